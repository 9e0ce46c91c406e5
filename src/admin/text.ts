// Text that comes from outside: what is refused of it.
import { GatehouseError } from '../core/errors.js'

/** PostgreSQL has no NUL character in text. @throws GatehouseError `request_malformed` */
export function checkText(...texts: readonly (string | undefined)[]): void {
  if (texts.some((text) => text?.includes('\0'))) {
    throw new GatehouseError('request_malformed', { detail: 'a text has a NUL character' })
  }
}

/** @param wrong texts that are no object IDs, at least one */
export function objectIdInvalid(wrong: readonly string[]): GatehouseError {
  return new GatehouseError('object_id_invalid', {
    detail: `${wrong.join(', ')} ${wrong.length === 1 ? 'is' : 'are'} no Object ID`,
    remedy: 'Use the Object ID of the Entra group, not its name: 8-4-4-4-12 hexadecimal digits.',
  })
}
