// CSV (RFC 4180) for spreadsheets, which must not take a name for a formula.

/** Spreadsheets evaluate cells that begin with these; an apostrophe makes them text. */
const FORMULA = /^[=+\-@\t\r]/
const QUOTED = /[",\r\n]|^\s|\s$/

export function csvLine(cells: readonly (string | null)[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`
}

function csvCell(cell: string | null): string {
  if (cell === null) return ''
  const text = FORMULA.test(cell) ? `'${cell}` : cell // guard: admin-csv-formula
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
