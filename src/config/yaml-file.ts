// The YAML text as a tree that knows where everything stands. Syntax errors are reported in plain words; what stands
// before the first of them is still worth checking, what follows is perhaps not what its author meant.
import { Composer, isMap, isScalar, LineCounter, Parser, visit, type Document, type ParsedNode, type YAMLError } from 'yaml'
import type { Place } from './problem.js'
import type { Report } from './report.js'

export interface YamlFile {
  readonly doc: Document.Parsed<ParsedNode>
  placeAt(offset: number): Place
  /** Whether what was found at this place may only be the consequence of a syntax error. */
  doubtful(place: Place): boolean
  /** Something may have been swallowed by a syntax error, so that nothing can be called missing. */
  readonly broken: boolean
}

const MAX_DEPTH = 64
const MAX_ERRORS = 20
// Errors inside one value, behind which the tree is sound again.
const LOCAL = ['BAD_DQ_ESCAPE', 'BAD_SCALAR_START', 'BAD_ALIAS', 'TAG_RESOLVE_FAILED', 'MULTIPLE_DOCS', 'ALIAS_PROPS', 'MULTIPLE_ANCHORS', 'MULTIPLE_TAGS']

/** Undefined where there is no tree at all; the report then says why. */
export function parseYaml(text: string, report: Report): YamlFile | undefined {
  const lines = new LineCounter()
  const tokens = [...new Parser(lines.addNewLine).parse(text)]
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  // The composer recurses: a file of 100,000 opening brackets would end the process, not just throw.
  if (depthOf(tokens) > MAX_DEPTH) {
    report.problem('', 'yaml_depth', 'The YAML is nested too deeply to be a configuration.', 'Check that this is the right file.')
    return undefined
  }
  const docs = [...new Composer({ uniqueKeys: false, prettyErrors: false, logLevel: 'silent' }).compose(tokens, true, text.length)]
  const [doc, second] = docs
  if (doc === undefined) return undefined
  if (second) report.problem('', 'documents_several', 'The file holds more than one YAML document.', 'Keep one; take the line --- (or ...) between them away.', placeAt(second.contents?.range?.[0] ?? second.range[0]))
  const errors = [...doc.errors, ...doc.warnings.filter((warning) => warning.code === 'TAG_RESOLVE_FAILED')]
  const seen = new Set<number>()
  let cut = Infinity
  for (const error of errors) {
    const offset = startOf(error, doc)
    const place = placeAt(offset)
    if (!LOCAL.includes(error.code)) cut = Math.min(cut, placeAt(topLevelStart(doc, offset)).line)
    if (seen.has(place.line) || seen.size >= MAX_ERRORS) continue
    seen.add(place.line)
    report.problem('', error.code === 'TAG_RESOLVE_FAILED' ? 'yaml_tag' : 'yaml_syntax', `The YAML cannot be read here: ${sentence(error.message)}`, remedyFor(error, lineText(text, lines, place.line)), place)
  }
  return { doc, placeAt, broken: cut !== Infinity, doubtful: (place) => place.line >= cut || seen.has(place.line) }
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
      if (Array.isArray(inner)) for (const item of inner) open.push([item, depth + 1])
      else if (typeof inner === 'object') open.push([inner, part === 'value' ? depth + 1 : depth])
    }
  }
  return deepest / 2 // an item and its value are two levels of tokens
}

/** A quote that is never closed is reported where it opens, not at the end of the file. */
function startOf(error: YAMLError, doc: Document.Parsed): number {
  let start = error.pos[0]
  if (error.code !== 'MISSING_CHAR') return start
  visit(doc, {
    Scalar(_, node) {
      if ((node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE') && node.range && node.range[0] < start && node.range[1] >= error.pos[0]) start = node.range[0]
    },
  })
  return start
}

function topLevelStart(doc: Document.Parsed, offset: number): number {
  if (!isMap(doc.contents)) return 0
  const starts = doc.contents.items.map(({ key }) => isScalar(key) ? key.range?.[0] ?? 0 : 0)
  return Math.max(0, ...starts.filter((start) => start <= offset))
}

function sentence(message: string): string {
  const first = message.split('\n', 1)[0] ?? message
  return `${first.charAt(0).toLowerCase()}${first.slice(1)}.`
}

function lineText(text: string, lines: LineCounter, line: number): string {
  return text.slice(lines.lineStarts[line - 1] ?? 0, lines.lineStarts[line] ?? text.length)
}

function remedyFor(error: YAMLError, line: string): string {
  // eslint-disable-next-line no-template-curly-in-string -- what the operator writes
  if (/[[{,].*\$\{/.test(line)) return 'Inside [ ] and { } put quotes around a variable: "${NAME}".'
  if (error.code === 'TAB_AS_INDENT') return 'Indent with spaces.'
  if (error.code === 'BAD_SCALAR_START') return 'Put quotes around the value.'
  if (error.code === 'BAD_DQ_ESCAPE') return 'Use single quotes, in which \\ has no meaning, or write \\\\.'
  if (error.code === 'TAG_RESOLVE_FAILED') return 'Take the !tag away, or put quotes around the value if it begins with !'
  if (error.code === 'MISSING_CHAR') return 'Close the quote or the bracket that is opened here.'
  return 'Check quotes, brackets, colons and indentation on this line and the one before.'
}
