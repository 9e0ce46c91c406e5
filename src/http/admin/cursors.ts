// Where a page of a list begins, as text for addresses: only a cursor that Gatehouse made for the same list is
// accepted, so that no list has to handle values that it never returned.
import { createHmac } from 'node:crypto'
import type { Static, TSchema } from 'typebox'
import { Check } from 'typebox/value'
import { equalInConstantTime } from '../../core/constant-time.js'
import { GatehouseError } from '../../core/errors.js'

export interface Cursors {
  /** @param list the name of the list: no other one accepts the cursor */
  write(list: string, cursor: unknown): string
  /** @throws GatehouseError `request_malformed` (changed, made for another list, or of another release) */
  read<Schema extends TSchema>(list: string, schema: Schema, text: string): Static<Schema>
}

const MAC_BYTES = 16
const LONGEST = 2_048

/** @param secrets the first one is used; cursors of the others are accepted */
export function createCursors(secrets: readonly string[]): Cursors {
  const [newest = ''] = secrets
  return {
    write(list, cursor) {
      const json = JSON.stringify(cursor)
      return Buffer.concat([macOf(newest, list, json), Buffer.from(json)]).toString('base64url')
    },
    read(list, schema, text) {
      const json = text.length > LONGEST ? undefined : authentic(secrets, list, text)
      const cursor: unknown = json === undefined ? undefined : JSON.parse(json)
      if (json === undefined || !Check(schema, cursor)) { // guard: admin-cursor
        throw new GatehouseError('request_malformed', {
          detail: 'the cursor was changed, or is of another list',
          facts: { parameter: 'after' },
        })
      }
      return cursor
    },
  }
}

function authentic(secrets: readonly string[], list: string, text: string): string | undefined {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) return undefined // Node decodes leniently
  const mac = bytes.subarray(0, MAC_BYTES).toString('hex')
  const json = bytes.subarray(MAC_BYTES).toString()
  const isOurs = secrets.some((secret) => equalInConstantTime(macOf(secret, list, json).toString('hex'), mac))
  return isOurs ? json : undefined
}

function macOf(secret: string, list: string, json: string): Buffer {
  return createHmac('sha256', secret).update(`gatehouse-cursor\n${list}\n${json}`).digest().subarray(0, MAC_BYTES)
}
