// The list of users as CSV, page by page: a list of any length needs the memory of one page.
import { csvLine } from '../core/csv.js'
import { allPages } from '../core/page.js'
import type { PeopleCursor, PeopleFilter, PersonSummary } from '../core/people.js'
import type { PeopleAdmin } from './people.js'

const COLUMNS = [
  'id',
  'username',
  'name',
  'email',
  'isActive',
  'isStaff',
  'isSuperuser',
  'isBreakGlass',
  'isGuest',
  'groupCount',
  'handMadeCount',
  'lastLoginAt',
  'lastSeenAt',
] as const satisfies readonly (keyof PersonSummary)[]

const PAGE_ROWS = 500

/** The headings come with the first page, so that a failure of the database comes before them. */
export async function* peopleCsv(people: Pick<PeopleAdmin, 'list'>, filter: PeopleFilter): AsyncGenerator<string> {
  const page = (after: PeopleCursor | undefined) => people.list({ ...filter, after, limit: PAGE_ROWS })
  let headings = csvLine(COLUMNS)
  for await (const rows of allPages(page)) {
    const text = headings + rows.map((person) => csvLine(COLUMNS.map((column) => textOf(person[column])))).join('')
    headings = ''
    if (text !== '') yield text
  }
}

function textOf(value: string | number | boolean | null): string | null {
  return value === null ? null : String(value)
}
