// The record as a file: NDJSON for programs, CSV for spreadsheets. The text of one page is in memory at a time.
import { auditJson, type AuditView } from '../core/audit.js'
import { csvLine } from '../core/csv.js'
import type { AuditExport } from './audit.js'

export type AuditFormat = 'ndjson' | 'csv'

/** What a page of rows is in the file, what comes before the first, and what after rows that end at the bound. */
interface FileFormat {
  readonly start: string
  readonly line: (row: AuditView) => string
}

const COLUMNS = ['at', 'action', 'actor', 'userId', 'username', 'correlationId'] as const

const FORMATS: Readonly<Record<AuditFormat, FileFormat>> = {
  ndjson: { start: '', line: (row) => `${auditJson(row)}\n` },
  csv: {
    start: csvLine(['id', ...COLUMNS, 'detail']),
    line: (row) => csvLine([row.id, ...COLUMNS.map((column) => row[column]), JSON.stringify(row.detail)]),
  },
}

/** Rows that end at the bound are followed by one more, so that nobody takes them for all. */
export async function* auditFile({ pages, bounded }: AuditExport, format: AuditFormat): AsyncGenerator<string> {
  const { start, line } = FORMATS[format]
  if (start !== '') yield start
  let last: AuditView | undefined
  for await (const rows of pages) {
    last = rows.at(-1) ?? last
    if (rows.length > 0) yield rows.map(line).join('')
  }
  if (bounded() && last !== undefined) yield line(endOfFile(last))
}

function endOfFile({ id, at }: AuditView): AuditView {
  const detail = { note: 'The rest of the record is not in this file: export it with an earlier end.' }
  const nobody = { userId: null, username: null, correlationId: null }
  return { id, at, action: 'export.incomplete', actor: 'system', ...nobody, detail }
}
