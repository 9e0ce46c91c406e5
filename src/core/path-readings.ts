// A path can be read in more than one way: what one program takes for a name, another takes for a separator or a way up
// (Path against RawPath, `..;/`, `%2f`, `%252e`). Rules are judged by every reading, and the strictest wins.
import { isUtf8 } from './latin1.js'

/** Every reading, each as bytes in Latin-1; `unknowable` where it may be anything. */
export type PathReadings = readonly string[] | 'unknowable'

// Above these somebody is playing: every rule of the host then counts.
const MOST_CHARACTERS = 8192
const MOST_READINGS = 64

/** Most paths: ASCII, nothing encoded, nothing ambiguous. */
const ODD = /[%\\;\x80-\xff]|\/\/|\/\.{1,2}(?:\/|$)/
/** What may separate, end or climb, once the harmless encodings are gone. */
const AMBIGUOUS = /[%\\;]|\/\/|\/\.{1,2}(?:\/|$)/

/** One misreading each: applied in any order, as often as they change something. */
const MISREADINGS: readonly ((path: string) => string)[] = [
  (path) => path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  (path) => path.replaceAll('\\', '/'),
  (path) => path.replace(/;[^/]*/g, ''), // a path parameter, RFC 3986 section 3.3
  (path) => path.replace(/[;?#].*$/s, ''),
  (path) => path.replace(/\/{2,}/g, '/'),
  withoutDotSegments,
]

/** @param path as parseTarget has it: begins with a slash, well-formed percent-encoding, no NUL */
export function pathReadings(path: string): PathReadings {
  if (!ODD.test(path)) return [path]
  const plain = decodeHarmless(path)
  if (!isUtf8(plain)) return 'unknowable' // %c0%af is a slash for some
  if (!AMBIGUOUS.test(plain)) return [plain]
  if (path.length > MOST_CHARACTERS) return 'unknowable'
  const readings = new Set([plain])
  for (const reading of readings) { // a Set's iterator also visits what is added on the way
    for (const misread of MISREADINGS) readings.add(misread(reading) || '/')
    if (readings.size > MOST_READINGS) return 'unknowable'
  }
  return [...readings].every(isUtf8) ? [...readings] : 'unknowable'
}

/** RFC 3986 section 6.2.2.2, and what else nobody takes for anything but itself: all but / \ % ; ? # and controls. */
function decodeHarmless(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, (whole, hex: string) => {
    const byte = Number.parseInt(hex, 16)
    return byte < 0x20 || byte === 0x7f || '/\\%;?#'.includes(String.fromCharCode(byte)) ? whole.toLowerCase() : String.fromCharCode(byte)
  })
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
