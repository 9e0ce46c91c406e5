// What a person asked the proxy for, parsed once and strictly: two readings of one address are how rules are bypassed
// (CVE-2021-32637, CVE-2025-54576, CVE-2026-41059). Which headers name it is the dialect's business (http/dialects).
import { GatehouseError } from './errors.js'

export interface Target {
  /** `http` or `https`; ws and wss are judged as these at their handshake. */
  readonly scheme: 'http' | 'https'
  /** Lower case, no trailing dot, no default port; with the port where it is another. */
  readonly host: string
  /** Lower case without port: the audience of an assertion. */
  readonly hostname: string
  /** As it was sent, without the query. */
  readonly path: string
  /** Without `?`; empty where there is none. */
  readonly query: string
  /** Upper case. */
  readonly method: string
  /** The absolute address, to come back to. */
  readonly url: string
}

export interface TargetParts { readonly scheme: string, readonly host: string, readonly uri: string, readonly method: string }

const SCHEMES: Readonly<Record<string, 'http' | 'https'>> = { http: 'http', https: 'https', ws: 'http', wss: 'https' }
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/ // RFC 9110 section 5.6.2
const HOST = /^(\[[0-9a-f:.]+\]|[^\s/?#@\\[\]:,]+)(?::(\d{1,5}))?$/i

/** @throws `target_malformed` for anything that two programs could read in two ways */
export function parseTarget({ scheme, host, uri, method }: TargetParts): Target {
  const malformed = (detail: string) => new GatehouseError('target_malformed', { detail, facts: { host: host.slice(0, 100), path: pathAlone(uri) } })
  const plainScheme = SCHEMES[scheme.toLowerCase()]
  if (!plainScheme) throw malformed('the scheme is not http, https, ws or wss')
  if (!TOKEN.test(method)) throw malformed('the method is no token')
  if (/[^\x21-\x7e]/.test(host)) throw malformed('the host has bytes outside ASCII')
  if (host === '' || !HOST.test(host)) throw malformed('there is no host, or it has a user, a path or a list in it')
  if (!uri.startsWith('/')) throw malformed('the path does not begin with a slash')
  if (/[^\x21-\x7e\x80-\xff]/.test(uri) || (/[\x80-\x9f]/.test(uri) && !isUtf8(uri))) throw malformed('the path has control characters or white space')
  if (uri.includes('#')) throw malformed('there is a fragment')
  if (/%(?![0-9a-f]{2})/i.test(uri)) throw malformed('there is a bad percent-encoding')
  const [path = '/', ...rest] = uri.split('?')
  if (/%00/.test(uri)) throw malformed('there is a NUL')
  const origin = `${plainScheme}://${host}`
  if (!URL.canParse(origin)) throw malformed('the host is no host')
  const parsed = new URL(origin)
  const hostname = parsed.hostname.replace(/\.$/, '')
  // %61dmin, 0x7f.1 and a.. are hosts to one program and not to another.
  if (hostname === '' || hostname !== (HOST.exec(host)?.[1] ?? '').toLowerCase().replace(/\.$/, '') || hostname.startsWith('.') || hostname.endsWith('.') || hostname.includes('..')) throw malformed('the host is written in a way that can be read as another')
  const canonical = parsed.port === '' ? hostname : `${hostname}:${parsed.port}`
  return { scheme: plainScheme, host: canonical, hostname, path, query: rest.join('?'), method: method.toUpperCase(), url: `${plainScheme}://${canonical}${encodeRawBytes(uri)}` }
}

/** The same from one absolute address (nginx's X-Original-URL). */
export function parseTargetUrl(url: string, method: string): Target {
  const [, scheme, host, uri] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/i.exec(url) ?? []
  if (scheme === undefined || host === undefined || uri === undefined) throw new GatehouseError('target_malformed', { detail: 'not an absolute address', facts: { url: pathAlone(url) } })
  return parseTarget({ scheme, host, uri: uri.startsWith('/') ? uri : `/${uri}`, method })
}

/** For the log: an application's query may hold secrets. */
function pathAlone(uri: string): string {
  return (uri.split(/[?#]/, 1)[0] ?? '').slice(0, 200)
}

// Node hands header bytes over as Latin-1; clients that do not percent-encode send UTF-8.
function isUtf8(raw: string): boolean {
  const bytes = Buffer.from(raw, 'latin1')
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes)
}

function encodeRawBytes(uri: string): string {
  return uri.replace(/[\x80-\xff]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}
