// Text that comes from outside and goes to the database.
import { GatehouseError } from '../core/errors.js'

/** PostgreSQL has no NUL character in text. @throws GatehouseError `request_malformed` */
export function checkText(...texts: readonly (string | undefined)[]): void {
  if (texts.some((text) => text?.includes('\0'))) {
    throw new GatehouseError('request_malformed', { detail: 'a text has a NUL character' })
  }
}
