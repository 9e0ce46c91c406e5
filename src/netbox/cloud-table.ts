// The table of NetBox Cloud (Entra ID Group Object ID | NetBox Cloud Group | Staff | Super User), as Markdown or as
// CSV. The headings identify the columns; every cell keeps its place for problems and warnings.
import type { Position } from '../config/problem.js'
import type { Imported } from './imported.js'
import { ImportRefused, shown, type ImportReport } from './report.js'
import { createRows, type Row } from './rows.js'

interface Cell {
  readonly text: string
  readonly at: Position
}

const HEADINGS = {
  id: /object\s*id|^(?:azure|entra).*\bid$/i,
  group: /^(?:netbox|local).*group|^group$/i,
  staff: /^(?:is[_ ])?staff\b/i,
  superuser: /^(?:is[_ ])?super\s*user\b/i,
} as const
type Columns = Readonly<Record<keyof typeof HEADINGS, number>>
const YES = new Set(['yes', 'y', 'true', 'x', '1', '✓', '✔', '✔️', '✅', '☑'])
const NO = new Set(['', 'no', 'n', 'false', '0', '-', '–', '—', '✗', '✘', '❌', '☐'])

/** Whether the text is such a table, by the ending of the file's name or by a heading. */
export function isCloudTable(text: string, file: string): boolean {
  if (/\.(md|markdown|csv|tsv)$/i.test(file)) return true
  return !/\.py$/i.test(file) &&
    text.split('\n').some((line) => /^[\s"|]*(?:azure|entra)[^,;|\t]*\bid\b["\s]*[,;|\t]/i.test(line))
}

/** @throws ImportRefused where no line has the headings */
export function readCloudTable(text: string, file: string, report: ImportReport): Imported {
  const lines = /^\s*\|?[^,;"\n]*\|/m.test(text) ? markdownLines(text) : csvLines(text)
  const start = lines.findIndex((cells) =>
    cells.length > 1 && cells.some(({ text: heading }) => HEADINGS.id.test(heading))
  )
  const headings = lines[start]
  if (!headings) {
    throw new ImportRefused(
      `${file}: no table with a column "Entra ID Group Object ID" is in this file`,
      'Its columns are: Entra ID Group Object ID, NetBox Cloud Group, Staff, Super User.',
    )
  }
  const at = headings[0]?.at ?? { line: 1, column: 1 }
  const rows = readRows(lines.slice(start + 1), columnsOf(headings, at, report), report)
  if (rows.length === 0) {
    report.warn(
      at,
      'groupMapping',
      'mapping_empty',
      'The table has no rows: groupMapping is empty.',
      'Copy the whole table.',
    )
  }
  return { rows }
}

/** The index of each column; -1 and a warning where the table does not have it. */
function columnsOf(headings: readonly Cell[], at: Position, report: ImportReport): Columns {
  const column = (name: keyof Columns) => headings.findIndex(({ text }) => HEADINGS[name].test(text))
  const columns = { id: column('id'), group: column('group'), staff: column('staff'), superuser: column('superuser') }
  for (const [name, index] of Object.entries(columns)) {
    if (index === -1) {
      report.warn(
        at,
        name,
        'column_missing',
        `The table has no column for ${name}: it is read as empty.`,
        'Its columns are: Entra ID Group Object ID, NetBox Cloud Group, Staff, Super User.',
      )
    }
  }
  return columns
}

function readRows(lines: readonly Cell[][], columns: Columns, report: ImportReport): readonly Row[] {
  const rows = createRows(report)
  const seen = new Map<string, number>()
  for (const cells of lines) {
    const id = cells[columns.id]
    if (cells.every(({ text: cell }) => cell === '' || /^:?-{2,}:?$/.test(cell))) continue
    if (!id || cells.length === 1) continue // text below the table
    warnOfSecondRow(seen, id, report)
    const group = cells[columns.group]?.text ?? ''
    rows.add({ id: id.text, at: id.at, path: 'entraGroup' }, {
      ...(group === '' ? {} : { group }),
      staff: isYes(cells[columns.staff], 'staff', report), // guard: table-flags
      superuser: isYes(cells[columns.superuser], 'superuser', report),
    })
  }
  return rows.list
}

function warnOfSecondRow(seen: Map<string, number>, { text, at }: Cell, report: ImportReport): void {
  const key = text.toLowerCase()
  const line = seen.get(key)
  if (line === undefined) seen.set(key, at.line)
  else {
    report.warn(
      at,
      'entraGroup',
      'key_repeated',
      `${shown(text)} has a row already, on line ${line}: the two are merged.`,
      'Check that the row grants what you intend.',
    )
  }
}

function isYes(cell: Cell | undefined, name: string, report: ImportReport): boolean {
  const word = cell?.text.toLowerCase() ?? ''
  if (cell && !YES.has(word) && !NO.has(word)) {
    report.problem(
      cell.at,
      name,
      'flag_unclear',
      `${shown(cell.text)} is neither yes nor no: it is read as no.`,
      'Write yes or no.',
    )
  }
  return YES.has(word)
}

function markdownLines(text: string): Cell[][] {
  return text.split('\n').map((line, index) => {
    if (!line.includes('|')) return []
    const cells: Cell[] = []
    for (const { 0: raw, index: from } of line.matchAll(/(?:\\.|[^\\|]|\\$)*(?:\||$)/g)) {
      const cell = raw.replace(/\|$/, '')
      const text = cell.trim().replaceAll('\\|', '|').replace(/^`(.*)`$/, '$1').trim()
      const outside = (from === 0 && text === '' && raw.endsWith('|')) ||
        (from + raw.length >= line.length && text === '' && !raw.endsWith('|'))
      if (!outside) cells.push({ text, at: { line: index + 1, column: from + cell.search(/\S|$/) + 1 } })
    }
    return cells
  })
}

/** RFC 4180, with the separator that the line of headings uses; a quoted cell may go on over lines. */
function csvLines(text: string): Cell[][] {
  const separator = [',', ';', '\t'].map((each) => ({
    each,
    count: (text.split('\n').find((line) => HEADINGS.id.test(line)) ?? '').split(each).length,
  })).sort((a, b) => b.count - a.count)[0]?.each ?? ','
  const [quotedCell, plainCell] = [/"((?:[^"]|"")*)"?/y, new RegExp(`[^\n${separator}]*`, 'y')]
  const lines: Cell[][] = [[]]
  let [line, begin, at] = [1, 0, 0]
  while (at < text.length) {
    const from = { line, column: at - begin + 1 }
    const [raw = '', quoted] = matchAt(quotedCell, text, at)
    at += raw.length
    const [plain = ''] = matchAt(plainCell, text, at)
    const end = at + plain.length
    lines.at(-1)?.push({ text: (quoted === undefined ? plain : quoted.replaceAll('""', '"')).trim(), at: from })
    const breaks = raw.split('\n').length - 1
    if (breaks > 0) [line, begin] = [line + breaks, at - raw.length + raw.lastIndexOf('\n') + 1]
    at = end + 1
    if (text[end] === '\n') {
      lines.push([])
      line += 1
      begin = at
    }
  }
  return lines
}

function matchAt(pattern: RegExp, text: string, at: number): string[] {
  pattern.lastIndex = at
  return pattern.exec(text) ?? []
}
