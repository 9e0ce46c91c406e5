// What a person asked the proxy for, parsed once and strictly: two readings of one address are how rules are bypassed
// (CVE-2021-32637, CVE-2025-54576, CVE-2026-41059). Which headers name it is the dialect's business (http/dialects).
import { GatehouseError } from './errors.js'
import { copyOf, isUtf8 } from './latin1.js'

export interface Target extends Place {
  /** As it was sent, without the query. */
  readonly path: string
  /** As it was sent: the path, and the query with its `?`. */
  readonly uri: string
  /** Upper case; empty where the proxy does not say, which is none that a rule was written for. */
  readonly method: string
  /**
   * The port that the proxy was reached on, by its own word (X-Forwarded-Port); undefined: it does not say. Never of
   * Host.
   */
  readonly port: string | undefined
}

export interface Place {
  /** `http` or `https`; ws and wss are judged as these at their handshake. */
  readonly scheme: 'http' | 'https'
  /** Lower case, no trailing dot, no default port; with the port where it is another. */
  readonly host: string
  /** Lower case without port: the audience of an assertion. */
  readonly hostname: string
  /** As the client wrote it in Host, a default port too; undefined: not there. */
  readonly namedPort: string | undefined
}

/** What a proxy says besides the address; undefined: not said. */
export interface Vouched {
  readonly method: string | undefined
  /** X-Forwarded-Port, as it was sent. */
  readonly port?: string | undefined
}

export interface TargetParts extends Vouched {
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

/** @throws `target_malformed` for anything that two programs could read in two ways */
export function parseTarget(parts: TargetParts, hosts?: KnownHosts): Target {
  return targetAt(`${parts.scheme}://${parts.host}`, parts.uri, parts, hosts)
}

/** The same from one absolute address (nginx's X-Original-URL). */
export function parseTargetUrl(url: string, method: string | undefined, port?: string, hosts?: KnownHosts): Target {
  const colon = url.indexOf('://')
  if (colon === -1) {
    throw new GatehouseError('target_malformed', { detail: 'not an absolute address', facts: { url: pathAlone(url) } })
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

/** The absolute address, to come back to. */
export function targetUrl({ scheme, host, uri }: Target): string {
  return `${scheme}://${host}${encodeRawBytes(uri)}`
}

function targetAt(origin: string, uri: string, { method, port }: Vouched, hosts: KnownHosts | undefined): Target {
  const place = placeOf(origin, hosts)
  const wrong = typeof place === 'string' ? place : wrongMethod(method) ?? wrongPort(port, place) ?? wrongUri(uri)
  if (typeof place === 'string' || wrong !== undefined) {
    const facts = { host: origin.replace(/^.*?:\/\//, '').slice(0, 100), path: pathAlone(uri) }
    throw new GatehouseError('target_malformed', { detail: wrong ?? '', facts })
  }
  const { scheme, host, hostname, namedPort } = place
  return { scheme, host, hostname, namedPort, port, path: pathOf(uri), uri, method: normalMethod(method) }
}

const PORT = /^[1-9]\d{0,4}$/

/** Host is the client's word: where it names another port than the proxy, two programs would judge two places. */
function wrongPort(port: string | undefined, { namedPort }: Place): string | undefined {
  if (port === undefined) return undefined
  if (!PORT.test(port) || Number(port) > 65_535) return 'X-Forwarded-Port is no port'
  return namedPort === undefined || namedPort === port // guard: adv-port-named-twice
    ? undefined
    : `the host names port ${namedPort}, the proxy says ${port}`
}

function wrongMethod(method: string | undefined): string | undefined {
  return method === undefined || USUAL_METHODS.has(method) || TOKEN.test(method) ? undefined : 'the method is no token'
}

function normalMethod(method: string | undefined): string {
  if (method === undefined || USUAL_METHODS.has(method)) return method ?? '' // guard: adv-method-unsaid
  return method.toUpperCase()
}

/** Origins that were parsed before: a few are asked for all the time. Strangers push them out, which costs a parse. */
export type KnownHosts = Map<string, Place | string>

function placeOf(origin: string, hosts: KnownHosts | undefined): Place | string {
  const known = hosts?.get(origin)
  if (known !== undefined) return known
  const place = parsePlace(origin)
  if (hosts !== undefined && hosts.size >= 1_000) hosts.clear() // guard: adv-hosts-bounded
  if (origin.length < 256) hosts?.set(copyOf(origin), place)
  return place
}

/** @returns what is wrong with it, where something is */
function parsePlace(given: string): Place | string {
  const [, spelled = '', host = ''] = /^([^:]*):\/\/(.*)$/s.exec(given) ?? []
  const scheme = SCHEMES.get(spelled.toLowerCase())
  if (scheme === undefined) return 'the scheme is not http, https, ws or wss'
  if (/[^\x21-\x7e]/.test(host)) return 'the host has bytes outside ASCII'
  const [, name, namedPort] = HOST.exec(host) ?? []
  if (name === undefined) return 'there is no host, or it has a user, a path or a list in it'
  const origin = `${scheme}://${host}`
  if (!URL.canParse(origin)) return 'the host is no host'
  const parsed = new URL(origin)
  const hostname = parsed.hostname.replace(/\.$/, '')
  // %61dmin, 0x7f.1 and a.. are hosts to one program and not to another.
  if (
    // guard: adv-host-once
    hostname === '' || hostname !== name.toLowerCase().replace(/\.$/, '') || hostname.startsWith('.') ||
    hostname.endsWith('.') || hostname.includes('..')
  ) return 'the host is written in a way that can be read as another'
  const port = parsed.port === '' ? '' : `:${parsed.port}`
  // guard: adv-host-case
  return { scheme, hostname, host: `${hostname}${port}`, namedPort: namedPort && String(Number(namedPort)) }
}

/** Nothing in it but a path without encodings that need a closer look, and perhaps a query. */
const PLAIN_URI = /^\/(?:[\x21\x22\x24\x26-\x3e\x40-\x7e]|%(?![01]|7f|c2)[0-9a-f]{2})*(?:\?[\x21\x22\x24-\x7e]*)?$/i
/** C0, DEL and U+0080 to U+009F in a path, percent-encoded or with one half of the character raw. */
const ENCODED_CONTROL = /%(?:[01][0-9a-f]|7f)|(?:%c2|\xc2)(?:%[89][0-9a-f]|[\x80-\x9f])/i // guard: adv-every-language

function wrongUri(uri: string): string | undefined {
  if (PLAIN_URI.test(uri)) return undefined
  if (!uri.startsWith('/')) return 'the path does not begin with a slash'
  // guard: adv-raw-controls
  if (/[^\x21-\x7e\x80-\xff]|\xc2[\x80-\x9f]/.test(uri)) return 'there are control characters or white space'
  if (/[\x80-\x9f]/.test(uri) && !isUtf8(uri)) return 'there are control characters or white space'
  if (uri.includes('#')) return 'there is a fragment' // guard: adv-fragment
  // guard: adv-query-is-the-applications
  const path = pathOf(uri) // the query is the application's business
  if (/%(?![0-9a-f]{2})/i.test(path)) return 'there is a bad percent-encoding in the path'
  // guard: adv-encoded-controls
  return ENCODED_CONTROL.test(path) ? 'there is an encoded control character in the path' : undefined
}

function pathOf(uri: string): string {
  const mark = uri.indexOf('?') // guard: adv-path-alone
  return mark === -1 ? uri : uri.slice(0, mark)
}

/** For the log: an application's query may hold secrets, and a terminal may obey raw control characters. */
function pathAlone(uri: string): string {
  return (uri.split(/[?#]/, 1)[0] ?? '').slice(0, 200).replace(/[^\x20-\x7e]/g, percentEncoded)
}

function encodeRawBytes(uri: string): string {
  return PLAIN_URI.test(uri) ? uri : uri.replace(/[\x80-\xff]/g, percentEncoded)
}

function percentEncoded(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
