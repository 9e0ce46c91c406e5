// The answers that `gatehouse init` needs, each read by the configuration's own rules, and rules about several of them.
import { guid } from '../config/kinds/object-ids.js'
import { databaseUrl, publicUrl } from '../config/kinds/origins.js'
import { isAddress, isPublicSuffix, isWithin, normalHost, splitPort } from '../config/kinds/hosts.js'
import type { Kind, KindContext } from '../config/kinds/kind.js'
import { valueProblem, type ValueProblem } from '../config/problem.js'

export const PROXIES = ['nginx', 'caddy', 'haproxy', 'traefik', 'envoy', 'none'] as const
export type Proxy = typeof PROXIES[number]

export interface Application {
  readonly host: string
  /** host:port, where the application itself listens. */
  readonly upstream: string
  /** The upstream is the default, because none was given. */
  readonly assumed: boolean
}

export interface Answers {
  readonly tenant: string
  /** undefined: the application is not registered yet. */
  readonly client: string | undefined
  /** An origin, as `server.publicUrl` has it. */
  readonly publicUrl: string
  readonly applications: readonly Application[]
  /** undefined: an embedded PostgreSQL. */
  readonly database: string | undefined
  readonly proxy: Proxy
  /** undefined: the default path of the proxy. */
  readonly certificate: string | undefined
  readonly certificateKey: string | undefined
}

export const EMBEDDED = 'embedded'
export const ASSUMED_UPSTREAM = '127.0.0.1:8080'

export type Read<T> = { readonly value: T } | ValueProblem

export const isRefused = <T>(read: Read<T>): read is ValueProblem => 'code' in read

/** The kinds that are used here need no more. */
const context = (shown: string): KindContext => ({
  shown,
  resolvePath: (path) => path,
  unreadable: () => undefined,
  unusableStep: () => undefined,
  unusableImage: () => undefined,
})

function readKind(kind: Kind, text: string, shown = JSON.stringify(text)): Read<string> {
  const reading = kind.read(text.trim(), context(shown))
  return 'code' in reading ? reading : { value: String(reading.value) }
}

export function readTenant(text: string): Read<string> {
  if (/^(common|organizations|consumers)$/i.test(text.trim())) {
    return valueProblem(
      'tenant_several',
      `must be one tenant, but is ${JSON.stringify(text)}`,
      'Give the Directory (tenant) ID. Several tenants: entra.allowedTenants in docs/configuration.md.',
    )
  }
  if (/^[^\s.]+(\.[^\s.]+)+$/.test(text.trim())) {
    return valueProblem(
      'tenant_domain',
      `is ${JSON.stringify(text)}, which looks like a domain`,
      'Give the Directory (tenant) ID, which the Overview page of the Entra admin center shows.',
    )
  }
  return readKind(guid, text)
}

export const readClient = (text: string): Read<string> => readKind(guid, text)

export function readPublicUrl(text: string): Read<string> {
  const read = readKind(publicUrl, /^[\w.-]+(:\d+)?$/.test(text.trim()) ? `https://${text.trim()}` : text)
  if (isRefused(read)) return read
  const { protocol, hostname } = new URL(read.value)
  if (protocol !== 'https:') {
    return valueProblem(
      'public_url_https',
      `must be https, but is ${JSON.stringify(text)}`,
      `Write https://${hostname}: the files for proxies do TLS. "npm run demo" tries Gatehouse without it.`,
    )
  }
  if (isAddress(hostname) || !hostname.includes('.')) {
    return valueProblem(
      'public_url_name',
      `must have a host name with a domain, but is ${JSON.stringify(text)}`,
      'The session cookie is for a domain that holds Gatehouse and the applications: https://auth.example.com',
    )
  }
  return read
}

/** `HOST` or `HOST=ADDRESS:PORT`, the address at which the application itself listens. */
export function readApplication(text: string): Read<Application> {
  const [, name = '', , address] = /^([^=]*)(=(.*))?$/s.exec(text.trim()) ?? []
  const host = normalHost(name.trim())
  if (host === undefined || isAddress(host) || !host.includes('.')) {
    return valueProblem(
      'application_host',
      `must be a host name, but is ${JSON.stringify(name)}`,
      'Write it without scheme, port and path: wiki.example.com, or wiki.example.com=127.0.0.1:8080',
    )
  }
  if (address === undefined) return { value: { host, upstream: ASSUMED_UPSTREAM, assumed: true } }
  const parts = splitPort(address.trim())
  const upstream = parts && normalHost(parts.host)
  if (!parts || upstream === undefined || parts.port === undefined || parts.port === '*') {
    return valueProblem(
      'application_upstream',
      `must name where ${host} listens, but is ${JSON.stringify(address)}`,
      `Write address and port, without http://: ${host}=${ASSUMED_UPSTREAM}`,
    )
  }
  return { value: { host, upstream: `${upstream}:${Number(parts.port)}`, assumed: false } }
}

/** @returns undefined for the embedded one; a refusal never shows the address, which may hold a password */
export function readDatabase(text: string): Read<string | undefined> {
  if (text.trim().toLowerCase() === EMBEDDED) return { value: undefined }
  if (/^postgres(ql)?:/.test(text.trim())) return readKind(databaseUrl, text, 'something else')
  return valueProblem(
    'database_invalid',
    'must be "embedded" or a PostgreSQL address, but is something else',
    'Write embedded, or postgres://user:password@host:5432/database',
  )
}

export function readProxy(text: string): Read<Proxy> {
  const found = PROXIES.find((name) => name === text.trim().toLowerCase())
  if (found) return { value: found }
  return valueProblem(
    'proxy_unknown',
    `must be one of ${PROXIES.join(', ')}, but is ${JSON.stringify(text)}`,
    'Files for other proxies are in config/proxies; "none" writes no file for a proxy.',
  )
}

/** The path is written into files of proxies, whose rules of quotation differ. */
export function readCertificatePath(text: string): Read<string> {
  if (/^\/[\w./@+-]+$/.test(text)) return { value: text }
  return valueProblem(
    'certificate_path',
    `must be an absolute path, but is ${JSON.stringify(text)}`,
    'Use a path of letters, digits and . _ @ + - alone, such as /etc/ssl/gatehouse/cert.pem',
  )
}

/** The narrowest domain that holds all of these hosts; undefined where there is none that a cookie may be for. */
export function commonDomain(hosts: readonly string[]): string | undefined {
  const [first = '', ...others] = hosts
  const labels = first.split('.')
  for (let from = 0; from < labels.length; from++) {
    const domain = labels.slice(from).join('.')
    if (others.every((host) => isWithin(host, domain))) return isPublicSuffix(domain) ? undefined : domain
  }
  return undefined
}

/** What is wrong with an application's host beside the others that are given. */
export function misplaced(
  { host }: Application,
  publicUrlGiven: string,
  before: readonly Application[],
): ValueProblem | undefined {
  const { hostname } = new URL(publicUrlGiven)
  if (host === hostname) {
    return valueProblem(
      'application_is_gatehouse',
      `is ${host}, the host of the public URL`,
      "Gatehouse's own pages need a host of their own: give each application another one.",
    )
  }
  if (before.some((other) => other.host === host)) {
    return valueProblem('application_repeated', `is ${host}, which is given twice`, 'Name each application once.')
  }
  if (commonDomain([hostname, ...before.map((other) => other.host), host]) !== undefined) return undefined
  return valueProblem(
    'application_outside',
    `is ${host}, which shares no domain of your own with ${hostname}`,
    'The session cookie would not reach it, and its visitors would sign in again and again. ' +
      'Use hosts below one domain, or a Gatehouse for each domain.',
  )
}
