// How text looks on a terminal: lines wrapped to its width, and colours. In a pipe or a file it stays as it is.
import { commandProcess, type OutputStream } from './command-process.js'

export interface Terminal {
  readonly colour: boolean
  /** In columns; undefined: not a terminal, nothing is wrapped. */
  readonly width: number | undefined
}

/** Of a terminal that does not report its width. */
export const USUAL_WIDTH = 80
/** Narrower than this nothing that is wrapped can be read. */
const LEAST_WIDTH = 40

/** NO_COLOR (no-color.org): any value but the empty one. */
export function terminalOf({ isTTY = false, columns }: Pick<OutputStream, 'isTTY' | 'columns'>): Terminal {
  const { env } = commandProcess()
  if (!isTTY) return { colour: false, width: undefined }
  const plain = (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb'
  return { colour: !plain, width: Math.max(columns || USUAL_WIDTH, LEAST_WIDTH) } // a pseudo-terminal may report 0
}

/** @param text without control characters other than the ends of lines */
export function present(text: string, { colour, width }: Terminal): string {
  return text.split('\n')
    .flatMap((line) => width === undefined ? [line] : wrap(line, width))
    .map((line) => colour ? paint(line) : line)
    .join('\n')
}

/** Words longer than a line (addresses, paths) are left whole, so that they can be copied. */
function wrap(line: string, width: number): string[] {
  if (line.length <= width) return [line]
  const indent = ' '.repeat(hangingIndent(line, width))
  const lines: string[] = []
  let current = ''
  for (const [, blanks = '', word = ''] of line.matchAll(/(\s*)(\S+)/g)) {
    if (current.trim() !== '' && current.length + blanks.length + word.length > width) {
      lines.push(current)
      current = indent + word
    } else {
      current += blanks + word
    }
  }
  return [...lines, current]
}

/** Under the last column of a line that has columns (two blanks apart), else a little to the right of its beginning. */
function hangingIndent(line: string, width: number): number {
  const columns = [...line.slice(0, width / 2).matchAll(/ {2,}(?=\S)/g)]
    .map(({ index, 0: { length } }) => index + length)
  return columns.at(-1) ?? 2
}

const STYLES = { bold: 1, red: 31, green: 32, yellow: 33, cyan: 36 } as const

export function styled(text: string, style: keyof typeof STYLES): string {
  return `\u001b[${STYLES[style]}m${text}\u001b[0m`
}

/** The first word of a line is its kind. */
const KINDS: readonly (readonly [RegExp, keyof typeof STYLES])[] = [
  [/^(?:gatehouse: note:|warning:|note:|warn(?= ))/, 'yellow'],
  [/^(?:gatehouse:|FAIL(?= ))/, 'red'],
  [/^ok(?= {2})/, 'green'],
  [/^\S+:\d+:\d+:/, 'bold'],
]

function paint(line: string): string {
  for (const [pattern, style] of KINDS) {
    if (pattern.test(line)) return line.replace(pattern, (found) => styled(found, style))
  }
  return line
}
