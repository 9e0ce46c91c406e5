// Programs differ in how they interpret a path (Path against RawPath, `..;/`, `%2f`, `%252e`): what one takes for a
// name, another takes for a separator or for the parent folder. Access rules are evaluated for every interpretation,
// and the most restrictive result decides.
import { isUtf8 } from './latin1.js'

/** Every interpretation, each as bytes in Latin-1; `unknowable`: any path is possible. */
export type PathInterpretations = readonly string[] | 'unknowable'

/**
 * Limit of the work for one path, in characters that are rewritten. It is not a time limit, so that a path always gets
 * the same result. The slowest rewrite takes about 10 ns for a character: the total stays below 2 ms
 * (docs/performance.md).
 * Over these two limits the request is treated as an attack: all rules of the host apply.
 */
export const MAX_CHARACTERS = 65_536
const MAX_INTERPRETATIONS = 64

/** White space as `String.trim` defines it, in UTF-8; control characters apart, which parseTarget refuses. */
const BLANK = '(?: |\\xc2\\xa0|\\xe1\\x9a\\x80|' +
  '\\xe2\\x80[\\x80-\\x8a\\xa8\\xa9\\xaf]|\\xe2\\x81\\x9f|\\xe3\\x80\\x80|\\xef\\xbb\\xbf)'

/** Most paths do not match: they are ASCII, with nothing encoded and nothing ambiguous. */
const NEEDS_ANALYSIS = /[%\\;\x80-\xff]|\/\/|\/\.{1,2}(?:\/|$)/
/**
 * After the unambiguous encodings are decoded: characters that some program takes for a separator, the end of the path,
 * the parent folder or white space to trim.
 */
const AMBIGUOUS = new RegExp(`[%\\\\;]|//|/\\.{1,2}(?:/|$)|${BLANK}(?:/|$)|/${BLANK}`)
/** C0, DEL and, in UTF-8, C1. parseTarget refuses them encoded once; encoded twice, they can reach an application. */
const CONTROL = /[^\x20-\x7e\x80-\xff]|\xc2[\x80-\x9f]/

/** What some program does to a path before it serves it. */
interface Rewrite {
  /** A quick test, so that only a rewrite that can change the path counts as work. */
  readonly appliesTo: (path: string) => boolean
  readonly apply: (path: string) => string
}

/** Applied in every order, as often as they change something. None makes a path longer. */
const REWRITES: readonly Rewrite[] = [
  { appliesTo: (path) => path.includes('%'), apply: (path) => decodeBytes(path, () => true) },
  // URL Standard, "double-dot URL path segment": %2e is a dot there, while %2f stays as it is
  // guard: adv-encoded-dot
  { appliesTo: (path) => /%2e/i.test(path), apply: (path) => decodeBytes(path, (byte) => byte === DOT) },
  { appliesTo: (path) => path.includes('\\'), apply: (path) => path.replaceAll('\\', '/') },
  // a path parameter, RFC 3986 section 3.3
  { appliesTo: (path) => path.includes(';'), apply: (path) => path.replace(/;[^/]*/g, '') },
  // each on its own: Go's ParseRequestURI ends a path at ? and takes # for a part of it
  ...[';', '?', '#'].map((end): Rewrite => (
    // guard: adv-path-ends
    { appliesTo: (path) => path.includes(end), apply: (path) => path.slice(0, path.indexOf(end)) }
  )),
  { appliesTo: (path) => path.includes('//'), apply: (path) => path.replace(/\/{2,}/g, '/') },
  // a network-path reference, RFC 3986 section 4.2: `new URL('//name/admin', base)` has the path /admin
  { appliesTo: (path) => path.startsWith('//'), apply: (path) => path.replace(/^\/+[^/]*/, '') }, // guard: adv-decoders
  { appliesTo: (path) => /\/\.{1,2}(?:\/|$)/.test(path), apply: withoutDotSegments }, // guard: adv-fuzz-readings
  // `path.normalize` of Node and `path.Clean` of Go leave no slash where the last segment was a dot
  // guard: adv-dot-at-end
  { appliesTo: (path) => /\/\.{1,2}$/.test(path), apply: (path) => withoutDotSegments(path).replace(/\/$/, '') },
  {
    appliesTo: (path) => TRIMMED.test(path),
    // guard: adv-blanks-trimmed
    apply: (path) => trimmed(path, (text) => text.split('/').map((name) => name.trim()).join('/')),
  },
  { appliesTo: (path) => TRIMMED.test(path), apply: (path) => trimmed(path, (text) => text.trimEnd()) },
]
const TRIMMED = new RegExp(`${BLANK}(?:/|$)|/${BLANK}`)

/** @param path as parseTarget has it: begins with a slash, well-formed percent-encoding, no control characters */
export function pathInterpretations(path: string): PathInterpretations {
  if (!NEEDS_ANALYSIS.test(path)) return [path]
  let characters = path.length
  if (characters > MAX_CHARACTERS) return 'unknowable'
  const decoded = decodeBytes(path, isUnambiguous)
  // guard: adv-overlong
  if (!isUtf8(decoded)) return 'unknowable' // some programs decode %c0%af as a slash
  if (!AMBIGUOUS.test(decoded)) return [decoded] // guard: adv-readings
  const interpretations = new Set([decoded])
  for (const interpretation of interpretations) { // the iterator of a Set also visits members added meanwhile
    for (const { appliesTo, apply } of REWRITES) {
      if (!appliesTo(interpretation)) continue
      characters += interpretation.length
      if (characters > MAX_CHARACTERS) return 'unknowable' // guard: adv-path-budget
      const rewritten = apply(interpretation) || '/'
      if (!isText(rewritten)) return 'unknowable'
      interpretations.add(rewritten) // guard: adv-decoded-again
    }
    if (interpretations.size > MAX_INTERPRETATIONS) return 'unknowable'
  }
  return [...interpretations]
}

/** Programs handle control characters and bytes that are not UTF-8 in different ways. */
function isText(path: string): boolean {
  return !CONTROL.test(path) && isUtf8(path) // guard: adv-controls-in-readings
}

/**
 * Decoding does not change the meaning of the path for any program: the unreserved characters of RFC 3986 section
 * 6.2.2.2 and every other byte except / \ % ; ? # and control characters.
 */
function isUnambiguous(byte: number): boolean {
  return byte >= 0x20 && byte !== 0x7f && !'/\\%;?#'.includes(String.fromCharCode(byte))
}

/** Decodes percent-encoded bytes once. Those that stay encoded get lower-case digits: one spelling for each byte. */
function decodeBytes(path: string, decodes: (byte: number) => boolean): string {
  if (!path.includes('%')) return path
  const bytes = Buffer.from(path, 'latin1') // a buffer of its own: a callback of replace() takes ten times as long
  let end = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = encodedByte(bytes, at)
    if (byte === undefined) bytes[end++] = bytes[at] ?? 0
    else if (decodes(byte)) bytes[end++] = byte
    else end += bytes.write(`%${byte.toString(16).padStart(2, '0')}`, end, 'latin1')
    if (byte !== undefined) at += 2
  }
  return bytes.toString('latin1', 0, end)
}

function encodedByte(bytes: Buffer, at: number): number | undefined {
  if (bytes[at] !== PERCENT) return undefined
  const [high, low] = [hexDigit(bytes[at + 1]), hexDigit(bytes[at + 2])]
  return high === undefined || low === undefined ? undefined : high * 16 + low
}

function hexDigit(code = 0): number | undefined {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20 // lower case
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : undefined
}

const PERCENT = 0x25
const DOT = 0x2e

function trimmed(path: string, trim: (text: string) => string): string {
  return Buffer.from(trim(Buffer.from(path, 'latin1').toString('utf8')), 'utf8').toString('latin1')
}

/** RFC 3986 section 5.2.4. */
function withoutDotSegments(path: string): string {
  const kept: string[] = []
  const segments = path.split('/').slice(1)
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1
    if (segment === '..') kept.pop()
    if (segment !== '.' && segment !== '..') kept.push(segment)
    else if (last) kept.push('')
  })
  return `/${kept.join('/')}`
}
