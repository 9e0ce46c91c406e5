// The cursor of a list in the address of a page: the same text as in the API.
import type { Static, TSchema } from 'typebox'
import type { Page } from '../../../core/page.js'
import type { Cursors } from '../cursors.js'

/** Rows of a page of the console. */
export const PAGE_ROWS = 50

export interface ListCursor<Cursor> {
  readonly after: Cursor | undefined
  /** The parameter of the next page. */
  next(page: Page<unknown, Cursor>): string | undefined
}

/** @param list operation of the API that lists the same @throws GatehouseError `request_malformed` */
export function listCursor<Schema extends TSchema>(
  cursors: Cursors,
  list: string,
  schema: Schema,
  after: string | undefined,
): ListCursor<Static<Schema>> {
  return {
    after: after === undefined ? undefined : cursors.read(list, schema, after),
    next: ({ next }) => next === undefined ? undefined : cursors.write(list, next),
  }
}
