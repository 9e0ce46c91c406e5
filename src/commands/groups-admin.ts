// `gatehouse groups rename|remove|grant|revoke`: one group at a time.
import { GatehouseError } from '../core/errors.js'
import { createGroupAdmin } from '../store/group-admin.js'
import { cliActor, EXIT, print, printJson, readConfig, withDatabase, type CommonOptions } from './context.js'
import { refuseSeparators } from './group-names.js'

export async function groupsRename(name: string, to: string, options: CommonOptions): Promise<number> {
  refuseSeparators([to], options)
  await withDatabase(options, ({ database }) => createGroupAdmin(database).rename(name, to, cliActor()))
  const rows = mappedBy(name, options)
  if (options.json) printJson({ renamed: name, to, mappingRows: rows })
  else {
    print(`Renamed ${name} to ${to}.`)
    if (rows.length > 0) {
      print(
        `groupMapping still names ${name} (row ${
          rows.join(', ')
        }): put ${to} there, or its members lose the group at their next login.`,
      )
    }
  }
  return EXIT.ok
}

/** A mapped group is not removed by accident: its members would lose it immediately, and logins would warn. */
export async function groupsRemove(
  name: string,
  options: CommonOptions & { readonly force?: boolean },
): Promise<number> {
  const rows = mappedBy(name, options)
  if (rows.length > 0 && !options.force) {
    throw new GatehouseError('group_mapped', {
      detail: `${name} is named in groupMapping, row ${rows.join(', ')}`,
      remedy: 'Take it out of the mapping first, or use --force.',
    })
  }
  const members = await withDatabase(options, ({ database }) => createGroupAdmin(database).remove(name, cliActor()))
  if (options.json) printJson({ removed: name, members })
  else print(`Removed ${name}; ${members} ${members === 1 ? 'person was' : 'people were'} in it.`)
  return EXIT.ok
}

export async function groupsGrant(name: string, permission: string, options: CommonOptions): Promise<number> {
  const changed = await withDatabase(
    options,
    ({ database }) => createGroupAdmin(database).grant(name, permission, cliActor()),
  )
  if (options.json) printJson({ group: name, permission, changed })
  else print(changed ? `${name} now has ${permission}.` : `${name} has ${permission} already.`)
  return EXIT.ok
}

export async function groupsRevoke(name: string, permission: string, options: CommonOptions): Promise<number> {
  const changed = await withDatabase(
    options,
    ({ database }) => createGroupAdmin(database).revoke(name, permission, cliActor()),
  )
  if (options.json) printJson({ group: name, permission, changed })
  else print(changed ? `${name} no longer has ${permission}.` : `${name} does not have ${permission}.`)
  return EXIT.ok
}

/** Rows of the mapping that name the group, counted from 1. */
function mappedBy(name: string, options: CommonOptions): number[] {
  return readConfig(options).config.groupMapping.flatMap((row, index) => row.groups.includes(name) ? [index + 1] : [])
}
