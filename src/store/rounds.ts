// Pages of a list whose filters no index answers together: the rows are examined in the order of the list, in rounds of
// limited size, so that a page has a limited cost whatever the filters select.
import type { Page } from '../core/page.js'

export interface Round<Row, Cursor> {
  /** Those that fulfil the filters, at most one more than the limit. */
  readonly rows: readonly Row[]
  readonly examined: number
  /** The last one that was examined. */
  readonly last: Cursor | undefined
}

export interface RoundsOptions<Row, Cursor> {
  readonly after: Cursor | undefined
  readonly limit: number
  /** How many the first round examines. */
  readonly first: number
  /** At most so many rounds for a page. */
  readonly rounds?: number
  readonly cursorOf: (row: Row) => Cursor
  readonly read: (after: Cursor | undefined, examine: number) => Promise<Round<Row, Cursor>>
}

/** Of one round; the first ones are smaller. */
const EXAMINED = 2_000
const ROUNDS = 7

/** @returns a page that may be shorter than its limit, although it is not the last */
export async function pageInRounds<Row, Cursor>(
  { after, limit, first, rounds = ROUNDS, cursorOf, read }: RoundsOptions<Row, Cursor>,
): Promise<Page<Row, Cursor>> {
  const rows: Row[] = []
  let from = after
  for (let round = 0; round < rounds; round++) {
    const size = Math.min(first * 4 ** round, EXAMINED)
    const found = await read(from, size)
    rows.push(...found.rows)
    const last = rows[limit - 1]
    if (rows.length > limit && last !== undefined) return { rows: rows.slice(0, limit), next: cursorOf(last) }
    if (found.examined < size) return { rows, next: undefined }
    from = found.last // guard: list-round-after
  }
  return { rows, next: from }
}
