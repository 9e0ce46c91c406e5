// Validates `rd`, the address to return to; an error here is an open redirect. The address is parsed once by the WHATWG
// parser, which browsers use too; only its normalised form is kept, and the origin of that form is checked.
import { GatehouseError } from './errors.js'

const MAX_LENGTH = 6144 // of the input and of its normalised form: it travels in headers
/** As a parameter: with the rest of the request line it stays below the 8 KB that proxies accept. */
const MAX_PARAMETER = 7900
const TOO_LONG = `rd is longer than ${MAX_LENGTH} characters`

/**
 * Whether parseReturnTo accepts this address of an application, apart from its host. If not, its front page is used.
 */
export function canReturnTo(url: string): boolean {
  return url.length <= MAX_LENGTH && (!url.includes('\\') || !(url.split(/[?#]/, 1)[0] ?? '').includes('\\'))
}

/**
 * The address as the value of `rd`: percent-encoded whole, or, where that is too long, no more than a query needs (RFC
 * 3986 section 3.4). @returns undefined where it is too long for that too
 */
export function asParameter(url: string): string | undefined {
  if (!canReturnTo(url)) return undefined
  const whole = encodeURIComponent(url)
  if (whole.length <= MAX_PARAMETER) return whole
  const least = url.replace(/[^\w.~:/?=@!$'()*,;-]+/g, encodeURIComponent)
  return least.length <= MAX_PARAMETER ? least : undefined
}

/** Pages of the sign-in itself: returning to one would start an endless loop. */
const OWN_STEPS: ReadonlySet<string> = new Set(['/oauth2/start', '/oauth2/callback', '/oauth2/sign_out'])

export interface ReturnToRules {
  readonly publicUrl: string
  /** `host`, `.suffix`, `host:port`, `host:*`; without a port the scheme's default port alone. */
  readonly redirectDomains: readonly string[]
}

/**
 * A safe address from an untrusted one: absolute, normalised; undefined input gives `/` on publicUrl.
 * @param base origin against which a relative address is read; publicUrl unless a trusted proxy forwarded another one
 * @throws `return_to_refused`
 */
export function parseReturnTo(input: string | undefined, rules: ReturnToRules, base: string = rules.publicUrl): string {
  if (input === undefined || input === '') return `${rules.publicUrl}/`
  const refuse = (
    detail: string,
    remedy = 'See who made this address: Gatehouse sends people to http(s) addresses alone.',
  ) =>
    new GatehouseError('return_to_refused', {
      detail,
      remedy,
      facts: { rd: (input.split(/[?#]/, 1)[0] ?? '').slice(0, 200) },
    })
  if (input.length > MAX_LENGTH) throw refuse(TOO_LONG)
  const [beforeQuery = ''] = input.split(/[?#]/, 1)
  if (hasControlOrSpace(input) || beforeQuery.includes('\\')) {
    throw refuse('rd has a control character, white space or a backslash')
  }
  const relative = input.startsWith('/')
  if (relative ? /^\/[/\\]|^\/(%2f|%5c|%09|%0a|%0d|%20)/i.test(input) : !/^https?:\/\/[^/]/i.test(input)) {
    throw refuse('rd is neither a path nor an http(s) address')
  }
  const url = parse(input, base)
  if (!url) throw refuse('rd is no address')
  if (url.username !== '' || url.password !== '' || (!relative && /^https?:\/\/[^/]*@/i.test(beforeQuery))) {
    throw refuse('rd names a user')
  }
  if (url.href.length > MAX_LENGTH) throw refuse(TOO_LONG)
  if (!isAllowed(url, rules)) { // guard: rd-checked, adv-allowed-origins
    throw refuse(`rd leads to ${url.host}, which is not in server.redirectDomains`, remedyOf(url, relative, rules))
  }
  if (url.origin === rules.publicUrl && OWN_STEPS.has(url.pathname)) return `${rules.publicUrl}/`
  return url.href
}

/** Like parseReturnTo, but returns the refusal instead of throwing it: one of the two is present. */
export function readReturnTo(
  input: string | undefined,
  rules: ReturnToRules,
): { readonly address?: string, readonly refusal?: GatehouseError } {
  try {
    return { address: parseReturnTo(input, rules) }
  } catch (error) {
    if (error instanceof GatehouseError) return { refusal: error }
    throw error
  }
}

function isAllowed(url: URL, rules: ReturnToRules): boolean {
  if (url.origin === rules.publicUrl) return true
  if (url.protocol !== 'https:' && new URL(rules.publicUrl).protocol === 'https:') return false
  return rules.redirectDomains.some((rule) => matches(url, rule.toLowerCase())) // guard: adv-any-rd
}

function remedyOf(url: URL, relative: boolean, rules: ReturnToRules): string {
  if (relative) { // guard: adv-return-remedy
    return `The request came with the Host ${url.host}, which is neither that of server.publicUrl nor an ` +
      "application's: " +
      'let the proxy pass on the Host that the browser sent.'
  }
  if (url.protocol !== 'https:' && new URL(rules.publicUrl).protocol === 'https:') {
    return 'Let the application be reached by https: the session cookie goes nowhere else.'
  }
  const nearly = rules.redirectDomains.map((rule) => rule.toLowerCase().replace(/:(\d+|\*)$/, '')).find((name) =>
    matches(url, `${name}:*`)
  )
  if (nearly === undefined) {
    return `Add ${url.host} to server.redirectDomains if people may be sent there after signing in.`
  }
  return `Write ${nearly}:${
    url.port || defaultPort(url)
  } or ${nearly}:* in server.redirectDomains: without a port an entry means the usual one.`
}

function matches(url: URL, rule: string): boolean {
  const [, name = '', port] = /^(.*?)(?::(\d+|\*))?$/.exec(rule) ?? []
  const wanted = port === undefined ? '' : port
  if (wanted !== '*' && url.port !== (wanted === defaultPort(url) ? '' : wanted)) return false
  const host = url.hostname.replace(/\.$/, '')
  return name.startsWith('.') ? host.length > name.length && host.endsWith(name) : host === name // guard: adv-suffix
}

function defaultPort(url: URL): string {
  return url.protocol === 'https:' ? '443' : '80'
}

function hasControlOrSpace(text: string): boolean {
  for (const char of text) {
    const point = char.codePointAt(0) ?? 0
    if (point <= 0x20 || (point >= 0x7f && point <= 0xa0) || /\s/.test(char)) return true
  }
  return false
}

function parse(input: string, base: string): URL | undefined {
  return URL.canParse(input, base) ? new URL(input, base) : undefined
}
