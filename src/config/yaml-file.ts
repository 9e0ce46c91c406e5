// Parses the YAML text into a tree with positions. After a syntax error the rest of the section may be parsed in a way
// that its author did not intend: problems found there are not reported.
import {
  Composer,
  isMap,
  isScalar,
  LineCounter,
  Parser,
  visit,
  type Document,
  type ParsedNode,
  type YAMLError,
} from 'yaml'
import type { Position } from './problem.js'
import type { Report } from './report.js'

export interface YamlFile {
  readonly doc: Document.Parsed<ParsedNode>
  positionAt(offset: number): Position
  /** Whether a problem at this position may be a consequence of a syntax error. */
  isUnreliable(position: Position): boolean
  /** A syntax error may have hidden keys: none can be reported as missing. */
  readonly broken: boolean
}

const MAX_DEPTH = 64
const MAX_ERRORS = 20
// Errors inside one value: the tree is reliable after it.
const LOCAL = [
  'BAD_DQ_ESCAPE',
  'BAD_SCALAR_START',
  'BAD_ALIAS',
  'TAG_RESOLVE_FAILED',
  'MULTIPLE_DOCS',
  'ALIAS_PROPS',
  'MULTIPLE_ANCHORS',
  'MULTIPLE_TAGS',
]

/**
 * @param sections known top-level keys: the tree is reliable again from the next one after a syntax error
 * @returns undefined if there is no tree; the report then has the problem
 */
export function parseYaml(text: string, report: Report, sections: readonly string[]): YamlFile | undefined {
  const lines = new LineCounter()
  const tokens = [...new Parser(lines.addNewLine).parse(text)]
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  // The composer recurses: a file of 100,000 opening brackets would end the process, not just throw.
  if (depthOf(tokens) > MAX_DEPTH) {
    report.problem(
      '',
      'yaml_depth',
      'The YAML is nested too deeply to be a configuration.',
      'Check that this is the right file.',
    )
    return undefined
  }
  const docs = [
    ...new Composer({ uniqueKeys: false, prettyErrors: false, logLevel: 'silent' }).compose(tokens, true, text.length),
  ]
  const [doc, second] = docs
  if (doc === undefined) return undefined
  if (second) {
    report.problem(
      '',
      'documents_several',
      'The file holds more than one YAML document.',
      'Keep one; remove the line --- (or ...) between them.',
      positionAt(second.contents?.range?.[0] ?? second.range[0]),
    )
  }
  const { unreliable, lines: linesWithErrors } = reportErrors(text, doc, positionAt, report, sections)
  return {
    doc,
    positionAt,
    broken: unreliable.length > 0,
    isUnreliable: ({ line }) => linesWithErrors.has(line) || isInside(unreliable, line),
  }
}

interface LineRange {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

interface SyntaxErrors {
  /** Lines in which the tree may be wrong because of an error. */
  readonly unreliable: readonly LineRange[]
  /** Every line with a reported error. */
  readonly lines: ReadonlySet<number>
}

/** Reports the first error of each line, except those that only follow from an earlier error. */
function reportErrors(
  text: string,
  doc: Document.Parsed,
  positionAt: (offset: number) => Position,
  report: Report,
  sections: readonly string[],
): SyntaxErrors {
  const lines = new Set<number>()
  const unreliable: LineRange[] = []
  for (const error of [...doc.errors, ...doc.warnings.filter((warning) => warning.code === 'TAG_RESOLVE_FAILED')]) {
    const offset = startOf(error, doc, text)
    const position = positionAt(offset)
    const isConsequence = error.code === 'UNEXPECTED_TOKEN' && isInside(unreliable, position.line)
    if (!LOCAL.includes(error.code)) {
      const from = positionAt(keyBefore(doc, offset)).line
      unreliable.push({ from, to: positionAt(sectionAfter(doc, offset, sections)).line })
    }
    if (isConsequence || lines.has(position.line) || lines.size >= MAX_ERRORS) continue
    lines.add(position.line)
    reportError(error, text.split('\n', position.line)[position.line - 1] ?? '', position, report)
  }
  return { unreliable, lines }
}

function isInside(ranges: readonly LineRange[], line: number): boolean {
  return ranges.some(({ from, to }) => line >= from && line < to)
}

function reportError(error: YAMLError, line: string, position: Position, report: Report): void {
  const code = error.code === 'TAG_RESOLVE_FAILED' ? 'yaml_tag' : 'yaml_syntax'
  const [message, remedy] = explain(error, line)
  report.problem('', code, `The YAML cannot be read here: ${message}.`, remedy, position)
}

/** How deeply the tokens are nested, without recursion. */
function depthOf(tokens: readonly unknown[]): number {
  let deepest = 0
  const open: [unknown, number][] = tokens.map((token) => [token, 0])
  for (let next = open.pop(); next; next = open.pop()) {
    const [token, depth] = next
    deepest = Math.max(deepest, depth)
    if (typeof token !== 'object' || token === null) continue
    for (const part of ['value', 'key', 'items']) {
      const inner: unknown = part in token ? (token as Record<string, unknown>)[part] : undefined
      if (Array.isArray(inner)) { for (const item of inner) open.push([item, depth + 1]) }
      else if (typeof inner === 'object') open.push([inner, part === 'value' ? depth + 1 : depth])
    }
  }
  return deepest / 2 // an item and its value are two levels of tokens
}

/** A quote that is never closed is reported where it opens, not at the end of the file; a variable at its dollar. */
function startOf(error: YAMLError, doc: Document.Parsed, text: string): number {
  let start = error.pos[0]
  if (text.startsWith('${', start - 1)) return start - 1
  if (error.code !== 'MISSING_CHAR') return start
  visit(doc, {
    Scalar(_, node) {
      if (
        (node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE') && node.range && node.range[0] < start &&
        node.range[1] >= error.pos[0]
      ) start = node.range[0]
    },
  })
  return start
}

/** Offset of the key whose value contains the error. */
function keyBefore(doc: Document.Parsed, offset: number): number {
  let start = 0
  visit(doc, {
    Scalar(key, { range }) {
      if (key === 'key' && range && range[0] <= offset) start = Math.max(start, range[0])
    },
  })
  return start
}

function sectionAfter(doc: Document.Parsed, offset: number, sections: readonly string[]): number {
  const keys = isMap(doc.contents) ? doc.contents.items.map(({ key }) => key) : []
  const starts = keys.flatMap((key) =>
    isScalar(key) && sections.includes(String(key.value)) && key.range && key.range[0] > offset ? [key.range[0]] : []
  )
  return Math.min(Number.MAX_SAFE_INTEGER, ...starts)
}

/** A message and a remedy for the code of the error. */
function explain(error: YAMLError, line: string): readonly [message: string, remedy: string] {
  // eslint-disable-next-line no-template-curly-in-string -- what the operator writes
  if (/[[{,].*\$\{/.test(line)) return ['a variable inside [ ] or { } needs quotes', 'Write "${NAME}".']
  if (error.code === 'TAB_AS_INDENT') return ['a tab indents this line', 'Indent with spaces.']
  if (error.code === 'BAD_SCALAR_START') {
    return ['a value cannot begin with this character', 'Put quotes around the value.']
  }
  if (error.code === 'BAD_DQ_ESCAPE') {
    return [
      'this backslash sequence is not valid in double quotes',
      'Use single quotes, in which \\ has no meaning, or write \\\\.',
    ]
  }
  if (error.code === 'TAG_RESOLVE_FAILED') {
    return ['there is no such !tag', 'Remove it, or put quotes around the value if it begins with !']
  }
  if (error.code === 'MISSING_CHAR') return ['a quote or a bracket is not closed', 'Close what is opened here.']
  const first = error.message.split('\n', 1)[0] ?? error.message
  return [
    `${first.charAt(0).toLowerCase()}${first.slice(1)}`,
    'Check quotes, brackets, colons and indentation on this line and the one before.',
  ]
}
