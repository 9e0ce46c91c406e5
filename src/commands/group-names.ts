// Names of local groups go into headers, between separators.
import { GatehouseError } from '../core/errors.js'
import { readConfig, type CommonOptions } from './context.js'

/** @throws `group_name_invalid` where a name holds a character that headers.extra separates lists with */
export function refuseSeparators(names: readonly string[], options: CommonOptions): void {
  for (const { name: header, separator } of readConfig(options).config.headers.extra) {
    const name = names.find((each) => each.includes(separator))
    if (name !== undefined) {
      throw new GatehouseError('group_name_invalid', {
        detail: `${JSON.stringify(name)} holds ${
          JSON.stringify(separator)
        }, which separates the groups in ${header} (headers.extra)`,
        remedy: 'Choose another name, or another separator.',
      })
    }
  }
}
