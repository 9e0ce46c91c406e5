// Our cookies: what they are called where, and how their values are found in a raw header. The `__Host-` and
// `__Secure-` prefixes are promises that browsers enforce (RFC 6265bis section 4.1.3).

export interface CookieNames {
  readonly session: string
  /** Binds sign-ins to this browser. */
  readonly binding: string
  /** The signed statement that applications of the domain verify by themselves. */
  readonly identity: string
  /** Carries `rd` over Entra's sign-out page. */
  readonly signedOut: string
  /** How often this browser signed in for one address within a minute (rounds.ts). */
  readonly rounds: string
}

export interface CookiePolicy {
  readonly names: CookieNames
  readonly secure: boolean
  /** Domain of the session cookie alone; undefined: host-only. */
  readonly domain: string | undefined
}

export function cookiePolicy(publicUrl: string, cookieDomain: string | undefined): CookiePolicy {
  const secure = new URL(publicUrl).protocol === 'https:'
  const hostOnly = secure ? '__Host-' : '' // guard: adv-cookie-host-prefix
  const session = cookieDomain === undefined ? hostOnly : secure ? '__Secure-' : ''
  return {
    names: {
      session: `${session}gatehouse_session`,
      identity: `${session}gatehouse_identity`,
      binding: `${hostOnly}gatehouse_login`,
      signedOut: `${hostOnly}gatehouse_signed_out`,
      rounds: `${hostOnly}gatehouse_rounds`,
    },
    secure,
    domain: cookieDomain,
  }
}

/** Where a cookie may have been set that a page of this address is sent: RFC 6265 section 5.1.3 and 5.1.4. */
interface Place {
  readonly path: string
  readonly domain?: string
}

/**
 * Two cookies of one name: an older session.cookieDomain left one, or another application of the domain set one. Which
 * of them is ours cannot be told, so the name is cleared for the host, every domain above it, and every path of a page.
 */
export function cookieScopes(name: string, publicUrl: string, pathname: string): Place[] {
  const { hostname } = new URL(publicUrl)
  const domains = name.startsWith('__Host-') ? [] : domainsOf(hostname)
  const segments = pathname.split('/').filter((segment) => segment !== '')
  const paths = new Set([
    '/',
    ...segments.flatMap((_, index) => {
      const path = `/${segments.slice(0, index + 1).join('/')}`
      return index === segments.length - 1 ? [path] : [path, `${path}/`]
    }),
  ])
  return [...paths].flatMap((path) => [{ path }, ...domains.map((domain) => ({ path, domain }))])
}

/** The host and the domains above it; browsers take no cookie for a single label, and an address has no domains. */
export function domainsOf(hostname: string): string[] {
  if (/^[\d.]+$|:/.test(hostname)) return []
  const labels = hostname.split('.')
  return labels.map((_, index) => labels.slice(index).join('.')).filter((domain) => domain.includes('.'))
}

/** Every value that a Cookie header has under this name, percent-decoded; an undecodable one as it is. */
export function cookieValues(header: string | undefined, name: string): string[] {
  if (header === undefined || !header.includes(name)) return []
  const values: string[] = []
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals < 0 || withoutBlanks(pair.slice(0, equals)) !== name) continue
    values.push(decoded(withoutBlanks(pair.slice(equals + 1))))
  }
  return values
}

/** What onlyCookie says where there are two: no cookie has this value. */
export const DOUBLED = ';;'

/** The one value that a Cookie header has under this name, as it was sent; DOUBLED where there are several. */
export function onlyCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined
  let found: string | undefined
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + name.length)) {
    let equals = at + name.length
    while (isBlank(header.charCodeAt(equals))) equals++
    if (header[equals] !== '=' || !beginsPair(header, at)) continue
    if (found !== undefined) return DOUBLED // guard: security-two-cookies
    const end = header.indexOf(';', equals)
    found = withoutBlanks(header.slice(equals + 1, end === -1 ? header.length : end))
  }
  return found
}

function beginsPair(header: string, at: number): boolean {
  let before = at - 1
  while (isBlank(header.charCodeAt(before))) before--
  return before < 0 || header[before] === ';'
}

// Not trim(): that also takes U+00A0 away, and browsers let a sibling host set a cookie whose name begins with it, past
// the promise of the __Host- prefix (RFC 6265 section 5.2 strips space and tab alone).
function withoutBlanks(text: string): string {
  let [from, to] = [0, text.length]
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
