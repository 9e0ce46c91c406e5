// The URL and method that the client requested from the proxy, parsed once and strictly: access rules are bypassed
// where two programs interpret one URL differently (CVE-2021-32637, CVE-2025-54576, CVE-2026-41059). The dialect knows
// which headers contain it (http/forward-auth/dialects).
import { GatehouseError } from './errors.js'
import { copyOf, isUtf8 } from './latin1.js'

export interface Target extends TargetOrigin {
  /** As received, without the query. */
  readonly path: string
  /** As received: the path, and the query with its `?`. */
  readonly uri: string
  /** Upper case; empty where the proxy does not send it: no rule matches that. */
  readonly method: string
  /** The proxy's own port (X-Forwarded-Port); undefined: the proxy does not send it. Never taken from Host. */
  readonly port: string | undefined
}

export interface TargetOrigin {
  /** `http` or `https`; the handshakes of ws and wss count as these. */
  readonly scheme: 'http' | 'https'
  /** Lower case, no trailing dot; with the port unless that is the default. */
  readonly host: string
  /** Lower case without port: the audience of an assertion. */
  readonly hostname: string
  /** The port in the client's Host header, also a default port; undefined: there is none. */
  readonly namedPort: string | undefined
}

/** What a proxy sends besides the URL; undefined: not sent. */
export interface ForwardedDetails {
  readonly method: string | undefined
  /** X-Forwarded-Port, as received. */
  readonly port?: string | undefined
}

export interface TargetParts extends ForwardedDetails {
  readonly scheme: string
  readonly host: string
  readonly uri: string
}

const SCHEMES: ReadonlyMap<string, 'http' | 'https'> = new Map([['http', 'http'], ['https', 'https'], ['ws', 'http'], [
  'wss',
  'https',
]])
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/ // RFC 9110 section 5.6.2
const USUAL_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const HOST = /^(\[[0-9a-f:.]+\]|[^\s/?#@\\[\]:,]+)(?::(\d{1,5}))?$/i

/** @throws `target_malformed` for anything that two programs could interpret differently */
export function parseTarget(parts: TargetParts, hosts?: KnownHosts): Target {
  return targetAt(`${parts.scheme}://${parts.host}`, parts.uri, parts, hosts)
}

/** The same from one absolute URL (nginx's X-Original-URL). */
export function parseTargetUrl(url: string, method: string | undefined, port?: string, hosts?: KnownHosts): Target {
  const colon = url.indexOf('://')
  if (colon === -1) {
    throw new GatehouseError('target_malformed', { detail: 'not an absolute URL', facts: { url: loggedPath(url) } })
  }
  const end = endOfHost(url, colon + 3)
  const uri = url.slice(end)
  return targetAt(url.slice(0, end), uri.startsWith('/') ? uri : `/${uri}`, { method, port }, hosts)
}

function endOfHost(url: string, from: number): number {
  for (let at = from; at < url.length; at++) {
    const code = url.charCodeAt(at)
    if (code === 0x2f || code === 0x3f || code === 0x23) return at // slash, question mark, number sign
  }
  return url.length
}

/** The absolute URL, to return to after a sign-in. */
export function targetUrl({ scheme, host, uri }: Target): string {
  return `${scheme}://${host}${encodeRawBytes(uri)}`
}

function targetAt(
  origin: string,
  uri: string,
  { method, port }: ForwardedDetails,
  hosts: KnownHosts | undefined,
): Target {
  const parsed = originOf(origin, hosts)
  const fault = typeof parsed === 'string' ? parsed : methodFault(method) ?? portFault(port, parsed) ?? uriFault(uri)
  if (typeof parsed === 'string' || fault !== undefined) {
    const facts = { host: origin.replace(/^.*?:\/\//, '').slice(0, 100), path: loggedPath(uri) }
    throw new GatehouseError('target_malformed', { detail: fault ?? '', facts })
  }
  const { scheme, host, hostname, namedPort } = parsed
  return { scheme, host, hostname, namedPort, port, path: pathOf(uri), uri, method: normalMethod(method) }
}

const PORT = /^[1-9]\d{0,4}$/

/** The client chooses Host: with a port other than the proxy's, two programs would evaluate two different targets. */
function portFault(port: string | undefined, { namedPort }: TargetOrigin): string | undefined {
  if (port === undefined) return undefined
  if (!PORT.test(port) || Number(port) > 65_535) return 'X-Forwarded-Port is not a valid port'
  return namedPort === undefined || namedPort === port // guard: adv-port-named-twice
    ? undefined
    : `Host has port ${namedPort}, X-Forwarded-Port is ${port}`
}

function methodFault(method: string | undefined): string | undefined {
  return method === undefined || USUAL_METHODS.has(method) || TOKEN.test(method)
    ? undefined
    : 'the method is not a valid token'
}

function normalMethod(method: string | undefined): string {
  if (method === undefined || USUAL_METHODS.has(method)) return method ?? '' // guard: adv-method-missing
  return method.toUpperCase()
}

/** Parsed origins. A few are used by nearly all requests; an attacker can evict them, which costs one parse each. */
export type KnownHosts = Map<string, TargetOrigin | string>

function originOf(origin: string, hosts: KnownHosts | undefined): TargetOrigin | string {
  const known = hosts?.get(origin)
  if (known !== undefined) return known
  const parsed = parseOrigin(origin)
  if (hosts !== undefined && hosts.size >= 1_000) hosts.clear() // guard: adv-hosts-bounded
  if (origin.length < 256) hosts?.set(copyOf(origin), parsed)
  return parsed
}

/** @returns a text where it is malformed */
function parseOrigin(given: string): TargetOrigin | string {
  const [, spelled = '', host = ''] = /^([^:]*):\/\/(.*)$/s.exec(given) ?? []
  const scheme = SCHEMES.get(spelled.toLowerCase())
  if (scheme === undefined) return 'the scheme is not http, https, ws or wss'
  if (/[^\x21-\x7e]/.test(host)) return 'the host has bytes outside ASCII'
  const [, name, namedPort] = HOST.exec(host) ?? []
  if (name === undefined) return 'the host is missing, or contains a user, a path or a list'
  const origin = `${scheme}://${host}`
  if (!URL.canParse(origin)) return 'the host is not a valid hostname'
  const parsed = new URL(origin)
  const hostname = parsed.hostname.replace(/\.$/, '')
  // Programs disagree on whether %61dmin, 0x7f.1 and a.. are hosts.
  if (
    // guard: adv-host-once
    hostname === '' || hostname !== name.toLowerCase().replace(/\.$/, '') || hostname.startsWith('.') ||
    hostname.endsWith('.') || hostname.includes('..')
  ) return 'the host has a spelling that some programs take for another host'
  const port = parsed.port === '' ? '' : `:${parsed.port}`
  // guard: adv-host-case
  return { scheme, hostname, host: `${hostname}${port}`, namedPort: namedPort && String(Number(namedPort)) }
}

/** A path whose encodings need no further check, and an optional query. */
const PLAIN_URI = /^\/(?:[\x21\x22\x24\x26-\x3e\x40-\x7e]|%(?![01]|7f|c2)[0-9a-f]{2})*(?:\?[\x21\x22\x24-\x7e]*)?$/i
/** C0, DEL and U+0080 to U+009F in a path, percent-encoded or with one half of the character raw. */
// Without the flag i: it would take the byte \xe2 for \xc2.
// guard: adv-every-language
const ENCODED_CONTROL = /%(?:[01][0-9a-fA-F]|7[fF])|(?:%[cC]2|\xc2)(?:%[89][0-9a-fA-F]|[\x80-\x9f])/

function uriFault(uri: string): string | undefined {
  if (PLAIN_URI.test(uri)) return undefined
  if (!uri.startsWith('/')) return 'the path does not begin with a slash'
  // guard: adv-raw-controls
  if (/[^\x21-\x7e\x80-\xff]|\xc2[\x80-\x9f]/.test(uri)) return 'the path has control characters or white space'
  if (/[\x80-\x9f]/.test(uri) && !isUtf8(uri)) return 'the path has control characters or white space'
  if (uri.includes('#')) return 'the path has a fragment' // guard: adv-fragment
  // guard: adv-query-is-the-applications
  const path = pathOf(uri) // only the application interprets the query
  if (/%(?![0-9a-f]{2})/i.test(path)) return 'the path has an invalid percent-encoding'
  // guard: adv-encoded-controls
  return ENCODED_CONTROL.test(path) ? 'the path has an encoded control character' : undefined
}

function pathOf(uri: string): string {
  const mark = uri.indexOf('?') // guard: adv-path-alone
  return mark === -1 ? uri : uri.slice(0, mark)
}

/** For the log: an application's query may contain secrets, and a terminal may execute raw control characters. */
function loggedPath(uri: string): string {
  return (uri.split(/[?#]/, 1)[0] ?? '').slice(0, 200).replace(/[^\x20-\x7e]/g, percentEncoded)
}

function encodeRawBytes(uri: string): string {
  return PLAIN_URI.test(uri) ? uri : uri.replace(/[\x80-\xff]/g, percentEncoded)
}

function percentEncoded(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
