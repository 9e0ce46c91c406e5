// Prints a list of any length page by page: as a table, or as one JSON array.
import { commandProcess, type OutputStream } from './command-process.js'
import { print, visible, visibleLines } from './printing.js'
import { present, styled, terminalOf } from './terminal.js'

/** Where the rows of a list go. */
export interface RowOutput<Row> {
  add(rows: readonly Row[]): void
  /** After the last row. */
  end(): void
}

/** Prints every page as soon as the reader has taken the one before; stops when it has gone (`| head`). */
export async function printPages<Row>(
  pages: AsyncIterable<readonly Row[]> | Iterable<readonly Row[]>,
  output: RowOutput<Row>,
): Promise<void> {
  const reader = readerOf(commandProcess().stdout)
  try {
    for await (const rows of pages) {
      output.add(rows)
      await reader.ready()
      if (reader.gone()) return
    }
    output.end()
  } finally {
    reader.leave()
  }
}

/** The reader of standard output: what is written faster than it reads is kept in memory. */
function readerOf(stdout: OutputStream) {
  const state = { gone: false, proceed: (): void => {} }
  const onDrain = (): void => state.proceed()
  const onError = (): void => {
    state.gone = true
    state.proceed()
  }
  stdout.on?.('drain', onDrain)
  stdout.on?.('error', onError)
  return {
    gone: () => state.gone,
    async ready(): Promise<void> {
      while (stdout.writableNeedDrain === true && !state.gone) {
        await new Promise<void>((resolve) => {
          state.proceed = resolve
        })
      }
    },
    leave(): void {
      stdout.off?.('drain', onDrain)
      stdout.off?.('error', onError)
    },
  }
}

/**
 * Columns under their headings, as wide as the first page needs; a wider cell of a later page widens its column from
 * there on. An empty list prints a sentence instead.
 */
export function tableOutput<Row>(
  headings: readonly string[],
  cells: (row: Row) => readonly string[],
  empty: string,
): RowOutput<Row> {
  const { stdout } = commandProcess()
  const terminal = terminalOf(stdout)
  const widths = headings.map((heading) => heading.length)
  let begun = false
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()
  return {
    add(rows) {
      if (rows.length === 0) return
      const table = rows.map((row) => cells(row).map(visible))
      for (const [column, width] of widths.entries()) {
        widths[column] = table.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), width)
      }
      if (!begun) {
        stdout.write(`${terminal.colour ? styled(line(headings), 'bold') : present(line(headings), terminal)}\n`)
      }
      begun = true
      stdout.write(table.map((row) => `${present(line(row), terminal)}\n`).join(''))
    },
    end() {
      if (!begun) print(empty)
    },
  }
}

/**
 * One array, as JSON.stringify writes it with an indentation of two.
 * @param within one object: `list` names the array, its first member, and `facts` are the others, known at the end
 */
export function jsonOutput<Row>(
  within?: { readonly list: string, readonly facts: () => Readonly<Record<string, unknown>> },
): RowOutput<Row> {
  const { stdout } = commandProcess()
  const margin = within === undefined ? '' : '  '
  let begun = false
  const begin = (): void => {
    if (!begun) stdout.write(within === undefined ? '[' : `{\n  ${JSON.stringify(within.list)}: [`)
    begun = true
  }
  const members = (): string =>
    Object.entries(within?.facts() ?? {}).map(([name, fact]) => `,\n  "${name}": ${JSON.stringify(fact)}`).join('')
  let empty = true
  return {
    add(rows) {
      for (const row of rows) {
        begin()
        const text = JSON.stringify(row, null, 2).split('\n').map((line) => `${margin}  ${line}`).join('\n')
        stdout.write(visibleLines(`${empty ? '' : ','}\n${text}`))
        empty = false
      }
    },
    end() {
      begin()
      stdout.write(visibleLines(`${empty ? '' : `\n${margin}`}]${within === undefined ? '' : `${members()}\n}`}\n`))
    },
  }
}

/** The same for rows that are there already. */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[], empty: string): void {
  const output = tableOutput(headings, (row: readonly string[]) => row, empty)
  output.add(rows)
  output.end()
}
