// Lists of any length, page by page: each page begins after the last row of the one before (keyset paging), so that a
// page costs the same wherever it is.

export interface Page<Row, Cursor> {
  readonly rows: readonly Row[]
  /** Where the next page begins, for `after`; undefined: this is the last page. */
  readonly next: Cursor | undefined
}

export interface PageRequest<Cursor> {
  /** `next` of the page before; the first page without it. */
  readonly after?: Cursor | undefined
  /** The most rows of the page. */
  readonly limit?: number
}

/** Rows of a page where none is given: few enough for memory, enough for a short list to be one page. */
export const PAGE_ROWS = 500

/**
 * @param found the rows of the page, and one more if there are more
 * @param cursorOf where the page after this row begins
 */
export function pageOf<Row, Cursor>(
  found: readonly Row[],
  limit: number,
  cursorOf: (row: Row) => Cursor,
): Page<Row, Cursor> {
  const rows = found.slice(0, limit)
  const last = rows.at(-1)
  // guard: list-next-page
  return { rows, next: found.length > limit && last !== undefined ? cursorOf(last) : undefined }
}

/** The rows of all pages. A row that changes its place meanwhile may be missed, or come twice. */
export async function* allPages<Row, Cursor>(
  page: (after: Cursor | undefined) => Promise<Page<Row, Cursor>>,
): AsyncGenerator<readonly Row[]> {
  let after: Cursor | undefined
  do {
    const { rows, next } = await page(after)
    yield rows
    after = next
  } while (after !== undefined)
}
