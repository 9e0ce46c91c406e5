// Parses the address of a PostgreSQL server with the semantics of libpq, also for `sslmode` and `sslrootcert`, which
// the driver handles differently. No message here repeats any part of the address: it contains a password.
import type { Environment } from './environment.js'

export const TLS_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type TlsMode = (typeof TLS_MODES)[number]

export interface TlsSettings {
  readonly mode: TlsMode
  /** Path of the authorities' certificates (PEM); undefined: the public authorities that Node includes. */
  readonly rootFile: string | undefined
  /** Paths of the client's certificate and key. */
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
  /** The TLS handshake starts immediately, without the SSLRequest message (PostgreSQL 17 and newer). */
  readonly direct: boolean
}

/** The address of one server. */
export interface DatabaseAddress {
  /** For the driver: the address without the parameters of TLS and the password file. */
  readonly url: string
  /** A name, an address, or the directory of a Unix socket. */
  readonly host: string
  readonly port: string
  readonly user: string
  readonly database: string
  readonly hasPassword: boolean
  /** Where the password is looked up if there is none; undefined: nowhere. */
  readonly passFile: string | undefined
  /** From libpq's connect_timeout, which is in seconds; undefined: the caller has a default. */
  readonly connectTimeoutMs: number | undefined
  readonly tls: TlsSettings
}

/** A database that several servers may serve, one at a time. */
export interface DatabaseServers {
  /** The address of each server alone, in the order of the list; readDatabaseAddress reads each. */
  readonly urls: readonly string[]
  /** The first one. */
  readonly first: DatabaseAddress
}

export interface AddressFault {
  readonly problem: string
  readonly remedy: string
}

const EXAMPLE = 'postgres://user:password@host:5432/database'
const ENCODE =
  `Write ${EXAMPLE}; in user and password percent-encode @ as %40, : as %3A, / as %2F, # as %23, ? as %3F and % as %25.`
const ABOUT_TLS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslnegotiation', 'ssl', 'uselibpqcompat']
/** Values of target_session_attrs under which a server may be used that accepts writes, and no other one. */
const SESSION_ATTRS = ['read-write', 'primary', 'any']
/** Values that may contain `@`; in any other value it shows that the address was split at the wrong place. */
const MAY_HOLD_AT = ['user', 'password', 'options', 'application_name']

/**
 * The address of one server, as `readDatabaseServers` returns it.
 * @param env PGSSLMODE, PGSSLROOTCERT, PGHOST and so on are the defaults, as for libpq
 */
export function readDatabaseAddress(text: string, env: Environment = {}): DatabaseAddress | AddressFault {
  const servers = readDatabaseServers(text, env)
  return isAddressFault(servers) ? servers : servers.first
}

/**
 * A PostgreSQL address with one host or several, by libpq's grammar (PostgreSQL 18, section 32.1.1.2).
 * @param env PGHOST, PGPORT, PGTARGETSESSIONATTRS and so on are the defaults, as for libpq
 */
export function readDatabaseServers(text: string, env: Environment = {}): DatabaseServers | AddressFault {
  if (!/^postgres(ql)?:\/\//.test(text)) {
    return { problem: 'must begin with postgres:// or postgresql://', remedy: `Write ${EXAMPLE}` }
  }
  const parsed = parseDatabaseUrl(text)
  if (parsed === undefined) return { problem: 'is no address that can be read', remedy: ENCODE }
  const { url, hosts } = parsed
  // guard: adv-address-torn
  if (isMisparsed(url) || !isDecodable(url, hosts)) {
    return { problem: 'has a character that must be percent-encoded', remedy: ENCODE }
  }
  const endpoints = readEndpoints(parsed, env)
  if ('problem' in endpoints) return endpoints
  const attributes = url.searchParams.get('target_session_attrs') ?? (env.PGTARGETSESSIONATTRS || 'read-write')
  if (!SESSION_ATTRS.includes(attributes)) {
    return {
      problem: 'has a target_session_attrs that Gatehouse cannot use: it needs a server that accepts writes',
      remedy: `target_session_attrs is one of ${SESSION_ATTRS.join(', ')}; each of them means read-write here.`,
    }
  }
  const addresses: DatabaseAddress[] = []
  const urls = endpoints.map((endpoint) => urlOf(url, endpoint, endpoints.length > 1))
  for (const each of urls) {
    const address = addressOfOne(new URL(each), env)
    if ('problem' in address) return address
    addresses.push(address)
  }
  const [first] = addresses
  if (first === undefined) return { problem: 'names no host', remedy: `Write ${EXAMPLE}` }
  return { urls, first }
}

function addressOfOne(url: URL, env: Environment): DatabaseAddress | AddressFault {
  const parameter = (name: string): string | undefined => url.searchParams.get(name) ?? undefined
  const host = parameter('host') ?? (decodeURIComponent(bare(url.hostname)) || env.PGHOST || 'localhost')
  const tls = readTls(parameter, host, env)
  if ('problem' in tls) return tls
  const user = parameter('user') ?? (decodeURIComponent(url.username) || env.PGUSER || env.USER || '')
  return {
    url: forDriver(url),
    host,
    port: parameter('port') ?? (url.port || env.PGPORT || '5432'),
    user,
    database: decodeURIComponent(url.pathname.slice(1)) || env.PGDATABASE || user,
    hasPassword: url.password !== '' || parameter('password') !== undefined || (env.PGPASSWORD ?? '') !== '',
    passFile: parameter('passfile') ?? (env.PGPASSFILE || (env.HOME ? `${env.HOME}/.pgpass` : undefined)),
    connectTimeoutMs: seconds(parameter('connect_timeout') ?? env.PGCONNECT_TIMEOUT),
    tls,
  }
}

interface Endpoint {
  readonly host: string
  readonly port: string
}

/** One port for all hosts, or one for each; an empty entry stands for the default. */
function readEndpoints({ url, hosts }: ParsedUrl, env: Environment): readonly Endpoint[] | AddressFault {
  const list = (text: string | null | undefined): readonly string[] | undefined => text?.split(',')
  const given = list(url.searchParams.get('host'))
  const inUrl = hosts.map(({ host }) => decodeURIComponent(bare(host)))
  const names = given ?? (inUrl.every((name) => name === '') ? list(env.PGHOST || undefined) ?? inUrl : inUrl)
  const portsInUrl = hosts.map(({ port }) => port)
  const ports = list(url.searchParams.get('port')) ??
    (portsInUrl.every((port) => port === '') ? list(env.PGPORT || undefined) ?? [''] : portsInUrl)
  if (ports.length !== 1 && ports.length !== names.length) {
    return {
      problem: `has ${names.length} hosts and ${ports.length} ports`,
      remedy: 'Write one port for each host, or one port for all of them.',
    }
  }
  const endpoints = names.map((name, index) => ({
    host: name || 'localhost',
    port: (ports.length === 1 ? ports[0] : ports[index]) || '5432',
  }))
  const wrong = endpoints.findIndex(({ port }) => !/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535)
  if (wrong !== -1) {
    return { problem: `has no valid port for ${nth(wrong)} host`, remedy: 'A port is a number from 1 to 65535.' }
  }
  const keys = endpoints.map(({ host, port }) => `${host.toLowerCase()} ${Number(port)}`)
  const twice = keys.findIndex((key, index) => keys.indexOf(key) !== index)
  if (twice !== -1) {
    const [first, again] = [keys.indexOf(keys[twice] ?? ''), twice].map(nth)
    return { problem: `has the same server as ${first} and ${again} host`, remedy: 'Name each server once.' }
  }
  return endpoints
}

/** In place of the host, which may be part of a password that was split at the wrong place. */
function nth(index: number): string {
  return `the ${['first', 'second', 'third'][index] ?? `${index + 1}th`}`
}

/** The address of one server: the same URL with its host and its port, and without the list. */
function urlOf(url: URL, { host, port }: Endpoint, isList: boolean): string {
  const one = new URL(url)
  one.searchParams.delete('target_session_attrs')
  if (!isList) return one.href
  // The driver would take a percent-encoded directory here for a part of the database's name.
  one.hostname = 'localhost'
  one.port = ''
  one.searchParams.set('host', host)
  one.searchParams.set('port', port)
  return one.href
}

function seconds(text: string | undefined): number | undefined {
  const number = Number(text)
  return number > 0 ? number * 1_000 : undefined
}

/** A PostgreSQL URL: the WHATWG parser knows neither a list of hosts nor an empty host. */
export interface ParsedUrl {
  /** With the first host of the list alone. */
  readonly url: URL
  /** As they are written: percent-encoded, an IPv6 address in brackets, the port empty where there is none. */
  readonly hosts: readonly { readonly host: string, readonly port: string }[]
}

const AUTHORITY = /^(\w+:\/\/)([^/?#]*@)?([^/?#@]*)/
const HOST_AND_PORT = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/

export function parseDatabaseUrl(text: string): ParsedUrl | undefined {
  const [authority, scheme = '', user = '', list = ''] = AUTHORITY.exec(text) ?? ['']
  const hosts = list.split(',').map((each) => {
    const [, host = '', port = ''] = HOST_AND_PORT.exec(each) ?? []
    return { host, port }
  })
  const [first] = hosts
  if (first === undefined || authority === '') return undefined
  const host = first.host === '' && (user !== '' || hosts.length > 1) ? 'localhost' : first.host
  if (hosts.some(({ port }) => !/^\d*$/.test(port))) return undefined
  const port = first.port !== '' && Number(first.port) <= 65_535 ? `:${first.port}` : ''
  const one = `${scheme}${user}${host}${port}${text.slice(authority.length)}`
  return URL.canParse(one) ? { url: new URL(one), hosts } : undefined
}

export function isAddressFault<T extends object>(read: T | AddressFault): read is AddressFault {
  return 'problem' in read
}

/** A `/`, `?` or `#` in a password ends the authority of the URL; the rest is parsed as a path, query or fragment. */
function isMisparsed({ hash, pathname, searchParams, href }: URL): boolean {
  if (hash !== '' || href.endsWith('#') || pathname.includes('@')) return true
  return [...searchParams].some(([name, value]) =>
    /[^\w.-]/.test(name) || (value.includes('@') && !MAY_HOLD_AT.includes(name))
  )
}

function isDecodable({ username, password, pathname }: URL, hosts: ParsedUrl['hosts']): boolean {
  try {
    for (const part of [username, password, pathname, ...hosts.map(({ host }) => host)]) decodeURIComponent(part)
    return true
  } catch {
    return false
  }
}

function readTls(
  parameter: (name: string) => string | undefined,
  host: string,
  env: Environment,
): TlsSettings | AddressFault {
  const given = parameter('sslmode') ?? driversMode(parameter('ssl')) ?? env.PGSSLMODE
  const mode = given === 'no-verify' ? 'require' : given // the driver's name for it
  if (mode !== undefined && !isMode(mode)) {
    return { problem: 'has an sslmode that there is not', remedy: `sslmode is one of ${TLS_MODES.join(', ')}.` }
  }
  const root = parameter('sslrootcert') ?? env.PGSSLROOTCERT
  if (root === 'system' && mode !== undefined && mode !== 'verify-full') {
    return {
      problem: 'has sslrootcert=system with a weaker sslmode than verify-full',
      remedy: 'Anybody can have a certificate of a public authority: write sslmode=verify-full.',
    }
  }
  const rootFile = root === 'system' ? undefined : root
  const direct = parameter('sslnegotiation') === 'direct'
  const wanted = mode ?? (root === 'system' ? 'verify-full' : 'prefer')
  if (direct && ['disable', 'allow', 'prefer'].includes(wanted) && !isSocket(host)) {
    return {
      problem: 'has sslnegotiation=direct with a weaker sslmode than require',
      remedy: 'Write sslmode=require, or better sslmode=verify-full.',
    }
  }
  // as in libpq, where a root certificate is given: require verifies the authority
  const verifiesAuthority = wanted === 'require' && rootFile !== undefined && given !== 'no-verify'
  const remoteMode = verifiesAuthority ? 'verify-ca' : wanted
  return {
    mode: isSocket(host) ? 'disable' : remoteMode,
    rootFile,
    certFile: parameter('sslcert') ?? env.PGSSLCERT,
    keyFile: parameter('sslkey') ?? env.PGSSLKEY,
    direct,
  }
}

/** From the driver's own parameter `ssl`. */
function driversMode(ssl: string | undefined): TlsMode | undefined {
  if (ssl === undefined) return undefined
  if (ssl === 'no-verify') return 'require'
  return ['0', 'false', 'disable'].includes(ssl) ? 'disable' : 'verify-full'
}

function isMode(text: string): text is TlsMode {
  return (TLS_MODES as readonly string[]).includes(text)
}

export function isSocket(host: string): boolean {
  return host.startsWith('/')
}

function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

function forDriver(url: URL): string {
  const rest = new URL(url)
  for (const name of [...ABOUT_TLS, 'passfile']) rest.searchParams.delete(name)
  return rest.href
}
