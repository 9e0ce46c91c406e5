// The report of access reviews as a file, CSV or NDJSON, page by page: it needs the memory of one page.
import { asciiControls } from '../core/audit.js'
import { csvLine } from '../core/csv.js'
import { allPages } from '../core/page.js'
import type { RightsCursor, RightsFilter } from '../core/reviews.js'
import type { RightReason } from './person.js'
import type { ReviewedRight, ReviewsAdmin } from './reviews.js'

export type ReviewsFormat = 'csv' | 'ndjson'

const PAGE_ROWS = 500

const COLUMNS: readonly (readonly [heading: string, cell: (right: ReviewedRight) => string | null])[] = [
  ['personId', ({ personId }) => personId],
  ['username', ({ username }) => username],
  ['name', ({ name }) => name],
  ['isActive', ({ isActive }) => String(isActive)],
  ['right', ({ right }) => right],
  ['permissions', ({ permissions }) => permissions.join(' ')],
  ['byHand', ({ byHand }) => String(byHand)],
  ['reasons', ({ reasons }) => reasons.map(reasonText).join('; ')],
  ['since', ({ since }) => utc(since)],
  ['until', ({ until }) => utc(until)],
  ['verdict', ({ review }) => review?.verdict ?? null],
  ['reviewerId', ({ review }) => review?.reviewerId ?? null],
  ['reviewer', ({ review }) => review?.reviewer ?? null],
  ['reviewedAt', ({ review }) => utc(review?.at ?? null)],
  ['note', ({ review }) => review?.note ?? null],
]

interface FileFormat {
  readonly start: string
  readonly line: (right: ReviewedRight) => string
}

const FORMATS: Readonly<Record<ReviewsFormat, FileFormat>> = {
  csv: {
    start: csvLine(COLUMNS.map(([heading]) => heading)),
    line: (right) => csvLine(COLUMNS.map(([, cell]) => cell(right))),
  },
  ndjson: { start: '', line: (right) => `${asciiControls(JSON.stringify(fieldsOf(right)))}\n` },
}

/** The headings come with the first page, so that a failure of the database comes before them. */
export async function* reviewsFile(
  reviews: Pick<ReviewsAdmin, 'list'>,
  filter: RightsFilter,
  format: ReviewsFormat,
): AsyncGenerator<string> {
  const { start, line } = FORMATS[format]
  const page = (after: RightsCursor | undefined) => reviews.list({ ...filter, after, limit: PAGE_ROWS })
  let before = start
  for await (const rows of allPages(page)) {
    const text = before + rows.map(line).join('')
    before = ''
    if (text !== '') yield text
  }
}

/** As the API answers them, without the version. */
function fieldsOf({ etag: _, ...right }: ReviewedRight): Omit<ReviewedRight, 'etag'> {
  const { since, until, review } = right
  return {
    ...right,
    since: utc(since),
    until: utc(until),
    review: review === null ? null : { ...review, at: utc(review.at) ?? review.at },
  }
}

function utc(time: string | null): string | null {
  return time === null ? null : new Date(time).toISOString()
}

function reasonText({ row, entraGroup, label, inForce }: RightReason): string {
  const name = label === null ? entraGroup : `${label} (${entraGroup})`
  return `${name}, row ${row}${inForce ? '' : ' of an earlier mapping'}`
}
