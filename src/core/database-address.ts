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

export interface DatabaseAddress {
  /** For the driver: the address without the parameters of TLS. */
  readonly url: string
  /** A name, an address, or the directory of a Unix socket. */
  readonly host: string
  readonly port: string
  readonly user: string
  readonly database: string
  readonly hasPassword: boolean
  /** From libpq's connect_timeout, which is in seconds; undefined: the caller has a default. */
  readonly connectTimeoutMs: number | undefined
  readonly tls: TlsSettings
}

export interface AddressFault {
  readonly problem: string
  readonly remedy: string
}

const EXAMPLE = 'postgres://user:password@host:5432/database'
const ENCODE =
  `Write ${EXAMPLE}; in user and password percent-encode @ as %40, : as %3A, / as %2F, # as %23, ? as %3F and % as %25.`
const ABOUT_TLS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslnegotiation', 'ssl', 'uselibpqcompat']
/** Values that may contain `@`; in any other value it shows that the address was split at the wrong place. */
const MAY_HOLD_AT = ['user', 'password', 'options', 'application_name']

/** @param env PGSSLMODE, PGSSLROOTCERT, PGHOST and so on are the defaults, as for libpq */
export function readDatabaseAddress(text: string, env: Environment = {}): DatabaseAddress | AddressFault {
  if (!/^postgres(ql)?:\/\//.test(text)) {
    return { problem: 'must begin with postgres:// or postgresql://', remedy: `Write ${EXAMPLE}` }
  }
  const url = parseDatabaseUrl(text)
  if (url === undefined) return { problem: 'is no address that can be read', remedy: ENCODE }
  // guard: adv-address-torn
  if (isMisparsed(url) || !isDecodable(url)) {
    return { problem: 'has a character that must be percent-encoded', remedy: ENCODE }
  }
  const parameter = (name: string): string | undefined => url.searchParams.get(name) ?? undefined
  const host = parameter('host') ?? (decodeURIComponent(bare(url.hostname)) || env.PGHOST || 'localhost')
  const tls = readTls(parameter, host, env)
  if ('problem' in tls) return tls
  const user = parameter('user') ?? (decodeURIComponent(url.username) || env.PGUSER || env.USER || '')
  return {
    url: withoutTls(url),
    host,
    port: parameter('port') ?? (url.port || env.PGPORT || '5432'),
    user,
    database: decodeURIComponent(url.pathname.slice(1)) || env.PGDATABASE || user,
    hasPassword: url.password !== '' || parameter('password') !== undefined || (env.PGPASSWORD ?? '') !== '',
    connectTimeoutMs: seconds(parameter('connect_timeout') ?? env.PGCONNECT_TIMEOUT),
    tls,
  }
}

function seconds(text: string | undefined): number | undefined {
  const number = Number(text)
  return number > 0 ? number * 1_000 : undefined
}

/** libpq accepts an empty host, the WHATWG parser does not. */
export function parseDatabaseUrl(text: string): URL | undefined {
  const withHost = text.replace(/^(\w+:\/\/[^/?#@]*@)(?=[/?])/, '$1localhost')
  return URL.canParse(withHost) ? new URL(withHost) : undefined
}

export function isAddressFault(read: DatabaseAddress | AddressFault): read is AddressFault {
  return 'problem' in read
}

/** A `/`, `?` or `#` in a password ends the authority of the URL; the rest is parsed as a path, query or fragment. */
function isMisparsed({ hash, pathname, searchParams, href }: URL): boolean {
  if (hash !== '' || href.endsWith('#') || pathname.includes('@')) return true
  return [...searchParams].some(([name, value]) =>
    /[^\w.-]/.test(name) || (value.includes('@') && !MAY_HOLD_AT.includes(name))
  )
}

function isDecodable({ username, password, pathname, hostname }: URL): boolean {
  try {
    for (const part of [username, password, pathname, hostname]) decodeURIComponent(part)
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

function withoutTls(url: URL): string {
  const rest = new URL(url)
  for (const name of ABOUT_TLS) rest.searchParams.delete(name)
  return rest.href
}
