// Every way in which an application might read a path, written without a look at the gateway's own readings: decoded
// up to three times, backslashes as slashes, path parameters cut, slashes merged, blanks and control characters
// dropped, dot segments resolved, in every order.
const MOST = 4_000

function decoded(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(parseInt(code, 16)))
}

/** Bytes as the characters that they are in UTF-8, where they are some. */
function asUtf8(path: string): string {
  if (/[\u0100-\uffff]/.test(path)) return path
  const text = Buffer.from(path, 'latin1').toString()
  return text.includes('\ufffd') ? path : text
}

function withoutDots(path: string): string {
  const left: string[] = []
  const segments = path.split('/').slice(1)
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1
    if (segment === '..') left.pop()
    else if (segment !== '.') left.push(segment)
    if (last && (segment === '.' || segment === '..')) left.push('')
  }
  return `/${left.join('/')}`
}

const OTHERS: readonly ((path: string) => string)[] = [
  (path) => path.replaceAll('\\', '/'),
  (path) => path.replace(/;[^/]*/g, ''),
  (path) => path.replace(/\/{2,}/g, '/'),
  // eslint-disable-next-line no-control-regex
  (path) => path.replace(/[\u0000-\u001f\u007f]/g, ''),
  (path) => path.replace(/[\s\u0000\u0085]+(?=\/|$)/g, ''), // eslint-disable-line no-control-regex
  asUtf8,
  (path) => path.replace(/[#?].*$/, ''),
  withoutDots,
]

/** RFC 3986 section 6.2.2.2: the encodings of these are the same path. */
function normal(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, (encoded, code: string) => {
    const character = String.fromCharCode(parseInt(code, 16))
    return /[A-Za-z0-9._~-]/.test(character) ? character : encoded
  })
}

/** @param path without its query, as it was sent; Latin-1 */
export function readingsOf(path: string): readonly string[] {
  const decodings = new Map<string, number>([[normal(path), 0]])
  const open = [normal(path)]
  for (let one = open.pop(); one !== undefined && decodings.size < MOST; one = open.pop()) {
    const times = decodings.get(one) ?? 0
    const next = [
      ...OTHERS.map((read) => [read(one), times] as const),
      ...(times < 3 ? [[decoded(one), times + 1] as const] : []),
    ]
    for (const [reading, cost] of next) {
      if ((decodings.get(reading) ?? Number.POSITIVE_INFINITY) <= cost) continue
      decodings.set(reading, cost)
      open.push(reading)
    }
  }
  return [...decodings.keys()]
}

/** Whether a path is the folder or something below it. */
export function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}
