// The names of Gatehouse's cookies, and how their values are read from a raw Cookie header. Browsers enforce the rules
// of the prefixes `__Host-` and `__Secure-` (RFC 6265bis section 4.1.3).

export interface CookieNames {
  readonly session: string
  /** Binds sign-ins to this browser. */
  readonly binding: string
  /** The assertion as a cookie, for applications of the domain that verify it themselves. */
  readonly identity: string
  /** Keeps `rd` during Entra ID's sign-out. */
  readonly signedOut: string
  /** Counts this browser's sign-ins for one address within a minute (browser/login-loop.ts). */
  readonly rounds: string
  /** Of the admin console. */
  readonly admin: string
}

export interface CookiePolicy {
  readonly names: CookieNames
  readonly secure: boolean
  /** Domain of the session cookie only; undefined: host-only. */
  readonly domain: string | undefined
}

export function cookiePolicy(publicUrl: string, cookieDomain: string | undefined): CookiePolicy {
  const secure = new URL(publicUrl).protocol === 'https:'
  const hostOnly = secure ? '__Host-' : '' // guard: adv-cookie-host-prefix
  const withDomain = secure ? '__Secure-' : ''
  const session = cookieDomain === undefined ? hostOnly : withDomain
  return {
    names: {
      session: `${session}gatehouse_session`,
      identity: `${session}gatehouse_identity`,
      binding: `${hostOnly}gatehouse_login`,
      signedOut: `${hostOnly}gatehouse_signed_out`,
      rounds: `${hostOnly}gatehouse_rounds`,
      admin: `${hostOnly}gatehouse_admin`,
    },
    secure,
    domain: cookieDomain,
  }
}

/** A path and domain for which a cookie can have been set so that it is sent with a request (RFC 6265 section 5.1). */
interface CookieScope {
  readonly path: string
  readonly domain?: string
}

/**
 * The scopes in which to clear a cookie that was sent twice: one may remain from an earlier session.cookieDomain, or
 * another application of the domain set it. The valid one cannot be identified, so the name is cleared for the host,
 * its parent domains and every parent path of the page.
 */
export function cookieScopes(name: string, publicUrl: string, pathname: string): CookieScope[] {
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

/** The host and its parent domains. Browsers accept no cookie for a single label, and an IP address has no domains. */
export function domainsOf(hostname: string): string[] {
  if (/^[\d.]+$|:/.test(hostname)) return []
  const labels = hostname.split('.')
  return labels.map((_, index) => labels.slice(index).join('.')).filter((domain) => domain.includes('.'))
}

/** All values of a name in a Cookie header, percent-decoded; a value that cannot be decoded is returned unchanged. */
export function cookieValues(header: string | undefined, name: string): string[] {
  if (header === undefined || !header.includes(name)) return []
  const values: string[] = []
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals < 0 || stripBlanks(pair.slice(0, equals)) !== name) continue
    values.push(decoded(stripBlanks(pair.slice(equals + 1))))
  }
  return values
}

/** Returned by onlyCookie for a duplicate name; no cookie can have this value. */
export const DOUBLED = ';;'

/** The value of a name in a Cookie header, not decoded; DOUBLED if the name occurs more than once. */
export function onlyCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined
  let found: string | undefined
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + name.length)) {
    let equals = at + name.length
    while (isBlank(header.charCodeAt(equals))) equals++
    if (header[equals] !== '=' || !isPairStart(header, at)) continue
    if (found !== undefined) return DOUBLED // guard: security-two-cookies
    const end = header.indexOf(';', equals)
    found = stripBlanks(header.slice(equals + 1, end === -1 ? header.length : end))
  }
  return found
}

function isPairStart(header: string, at: number): boolean {
  let before = at - 1
  while (isBlank(header.charCodeAt(before))) before--
  return before < 0 || header[before] === ';'
}

// Not trim(): that also removes U+00A0, and a sibling host can set a cookie whose name begins with it, which bypasses
// the __Host- prefix (RFC 6265 section 5.2 strips only space and tab).
function stripBlanks(text: string): string {
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
