// A path can be read in more than one way: what one program takes for a name, another takes for a separator or a way up
// (Path against RawPath, `..;/`, `%2f`, `%252e`). Rules are judged by every reading, and the strictest wins.
import { isUtf8 } from './latin1.js'

/** Every reading, each as bytes in Latin-1; `unknowable` where it may be anything. */
export type PathReadings = readonly string[] | 'unknowable'

/**
 * Work for one path, counted in characters that a misreading rewrites, never by a clock: the same path always gets the
 * same answer. The slowest misreading takes about 10 ns for a character, so all of it stays below 2 ms
 * (docs/performance.md).
 * Beyond it, and beyond the number of readings, the request is treated as an attack: every rule of the host counts.
 */
export const MOST_STEPS = 65_536
const MOST_READINGS = 64

/** White space as `String.trim` defines it, in UTF-8; control characters apart, which parseTarget refuses. */
const BLANK = '(?: |\\xc2\\xa0|\\xe1\\x9a\\x80|' +
  '\\xe2\\x80[\\x80-\\x8a\\xa8\\xa9\\xaf]|\\xe2\\x81\\x9f|\\xe3\\x80\\x80|\\xef\\xbb\\xbf)'

/** Most paths: ASCII, nothing encoded, nothing ambiguous. */
const ODD = /[%\\;\x80-\xff]|\/\/|\/\.{1,2}(?:\/|$)/
/** What may separate, end, climb or be trimmed, once the harmless encodings are gone. */
const AMBIGUOUS = new RegExp(`[%\\\\;]|//|/\\.{1,2}(?:/|$)|${BLANK}(?:/|$)|/${BLANK}`)
/** C0, DEL and, in UTF-8, C1. Encoded once, parseTarget refuses them; encoded twice, a program may meet them. */
const CONTROL = /[^\x20-\x7e\x80-\xff]|\xc2[\x80-\x9f]/

interface Misreading {
  /** A quick test, so that only what can change something is counted as work. */
  readonly concerns: (path: string) => boolean
  readonly read: (path: string) => string
}

/** One misreading each: applied in any order, as often as they change something. None makes a path longer. */
const MISREADINGS: readonly Misreading[] = [
  { concerns: (path) => path.includes('%'), read: (path) => decodeBytes(path, () => true) },
  // URL Standard, "double-dot URL path segment": %2e is a dot there, while %2f stays as it is
  { concerns: (path) => /%2e/i.test(path), read: (path) => decodeBytes(path, (byte) => byte === DOT) },
  { concerns: (path) => path.includes('\\'), read: (path) => path.replaceAll('\\', '/') },
  // a path parameter, RFC 3986 section 3.3
  { concerns: (path) => path.includes(';'), read: (path) => path.replace(/;[^/]*/g, '') },
  // each on its own: Go's ParseRequestURI ends a path at ? and takes # for a part of it
  ...[';', '?', '#'].map((end): Misreading => (
    { concerns: (path) => path.includes(end), read: (path) => path.slice(0, path.indexOf(end)) }
  )),
  { concerns: (path) => path.includes('//'), read: (path) => path.replace(/\/{2,}/g, '/') },
  // a network-path reference, RFC 3986 section 4.2: `new URL('//name/admin', base)` has the path /admin
  { concerns: (path) => path.startsWith('//'), read: (path) => path.replace(/^\/+[^/]*/, '') },
  { concerns: (path) => /\/\.{1,2}(?:\/|$)/.test(path), read: withoutDotSegments },
  // `path.normalize` of Node and `path.Clean` of Go leave no slash where the last segment was a dot
  { concerns: (path) => /\/\.{1,2}$/.test(path), read: (path) => withoutDotSegments(path).replace(/\/$/, '') },
  {
    concerns: (path) => TRIMMED.test(path),
    read: (path) => trimmed(path, (text) => text.split('/').map((name) => name.trim()).join('/')),
  },
  { concerns: (path) => TRIMMED.test(path), read: (path) => trimmed(path, (text) => text.trimEnd()) },
]
const TRIMMED = new RegExp(`${BLANK}(?:/|$)|/${BLANK}`)

/** @param path as parseTarget has it: begins with a slash, well-formed percent-encoding, no control characters */
export function pathReadings(path: string): PathReadings {
  if (!ODD.test(path)) return [path]
  let steps = path.length
  if (steps > MOST_STEPS) return 'unknowable'
  const plain = decodeBytes(path, isHarmless)
  if (!isUtf8(plain)) return 'unknowable' // %c0%af is a slash for some
  if (!AMBIGUOUS.test(plain)) return [plain]
  const readings = new Set([plain])
  for (const reading of readings) { // a Set's iterator also visits what is added on the way
    for (const { concerns, read } of MISREADINGS) {
      if (!concerns(reading)) continue
      steps += reading.length
      if (steps > MOST_STEPS) return 'unknowable'
      const misread = read(reading) || '/'
      if (!isText(misread)) return 'unknowable'
      readings.add(misread)
    }
    if (readings.size > MOST_READINGS) return 'unknowable'
  }
  return [...readings]
}

/** No program agrees with another about control characters and bytes that are no UTF-8. */
function isText(reading: string): boolean {
  return !CONTROL.test(reading) && isUtf8(reading)
}

/** RFC 3986 section 6.2.2.2, and what else nobody takes for anything but itself: all but / \ % ; ? # and controls. */
function isHarmless(byte: number): boolean {
  return byte >= 0x20 && byte !== 0x7f && !'/\\%;?#'.includes(String.fromCharCode(byte))
}

/** Percent-encoded bytes decoded once. What stays encoded is in lower case then, so that it has one spelling. */
function decodeBytes(path: string, wanted: (byte: number) => boolean): string {
  if (!path.includes('%')) return path
  const bytes = Buffer.from(path, 'latin1') // a buffer of its own: a callback of replace() takes ten times as long
  let end = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = encodedByte(bytes, at)
    if (byte === undefined) bytes[end++] = bytes[at] ?? 0
    else if (wanted(byte)) bytes[end++] = byte
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
