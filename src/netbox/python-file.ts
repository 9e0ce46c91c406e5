// From the text of a Python file to its syntax tree: parsed, never executed. A file with a mistake in it is refused
// whole, since a tree of the rest would be a guess about the rights of users.
import { parser } from '@lezer/python'
import type { Position } from '../config/problem.js'
import { ImportRefused } from './report.js'
import { readPythonString } from './python-strings.js'

const MAX_DEPTH = 100
const TOO_DEEP = 'No NetBox configuration is: give the file that defines SOCIAL_AUTH_PIPELINE_CONFIG.'

export type SyntaxNode = ReturnType<typeof parser.parse>['topNode']

export interface PythonFile {
  /** The statements at the top of the file, in order. */
  readonly statements: readonly SyntaxNode[]
  textOf(node: SyntaxNode): string
  placeOf(node: { readonly from: number }): Position
  /** The comment on the line where the node ends. */
  commentBeside(node: SyntaxNode): string | undefined
}

/** @throws ImportRefused where it is no Python */
export function parsePython(text: string, file: string): PythonFile {
  const starts = lineStarts(text)
  const placeOf = ({ from }: { readonly from: number }) => place(starts, from)
  refuseDeep(text, file, placeOf)
  const top = parse(text, file)
  const comments = new Map<number, string>()
  const mistakes: Position[] = []
  top.cursor().iterate(({ name, type, from, to }) => {
    if (name === 'Comment') comments.set(place(starts, from).line, text.slice(from + 1, to).trim())
    else if (type.isError || (name === 'String' && 'unfinished' in readPythonString(text.slice(from, to)))) {
      mistakes.push(place(starts, from))
    }
  })
  if (mistakes.length > 0) {
    const places = mistakes.slice(0, 5).map(({ line, column }) => `${file}:${line}:${column}: this is not valid Python`)
    throw new ImportRefused(
      places.join('\n'),
      'Give the NetBox configuration file as Python itself reads it, or the NetBox Cloud table as Markdown or CSV.',
    )
  }
  return {
    statements: childrenOf(top).flatMap((node) => node.name === 'StatementGroup' ? childrenOf(node) : [node]),
    textOf: ({ from, to }) => text.slice(from, to),
    placeOf,
    commentBeside: (node) => comments.get(place(starts, node.to).line),
  }
}

/** Operators can be nested as well as brackets: `- - - 1`. */
function parse(text: string, file: string): SyntaxNode {
  try {
    return parser.parse(text).topNode
  } catch (error) {
    if (error instanceof RangeError) throw new ImportRefused(`${file} is nested too deep to be read`, TOO_DEEP)
    throw error
  }
}

/** The parts of a node, without comments. */
export function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = []
  for (let child = node.firstChild; child; child = child.nextSibling) if (child.name !== 'Comment') found.push(child)
  return found
}

/**
 * Brackets by the thousand would keep the parser busy for minutes; those in strings and comments count too, and close
 * again.
 */
function refuseDeep(text: string, file: string, placeOf: (at: { readonly from: number }) => Position): void {
  let depth = 0
  for (const { 0: bracket, index } of text.matchAll(/[()[\]{}]/g)) {
    depth = Math.max(0, depth + ('([{'.includes(bracket) ? 1 : -1))
    if (depth <= MAX_DEPTH) continue
    const { line, column } = placeOf({ from: index })
    throw new ImportRefused(`${file}:${line}:${column}: brackets are nested more than ${MAX_DEPTH} deep`, TOO_DEEP)
  }
}

function lineStarts(text: string): number[] {
  return [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)]
}

function place(starts: readonly number[], at: number): Position {
  let [low, high] = [0, starts.length]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((starts[middle] ?? 0) <= at) low = middle
    else high = middle
  }
  return { line: low + 1, column: at - (starts[low] ?? 0) + 1 }
}
