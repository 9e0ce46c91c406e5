// Which applications a user may open: those whose front page the access rules allow.
import type { AccessPolicy, SessionRights } from './access.js'
import type { Application } from './branding.js'
import { parseTargetUrl } from './target.js'

export interface ApplicationLink extends Application {
  readonly url: string
}

export interface ApplicationAccess {
  readonly policy: AccessPolicy
  readonly session: SessionRights
  /** The client's address according to trusted proxies. */
  readonly address: () => string | undefined
}

/** @param scheme the scheme of publicUrl, which all applications use: `https:` */
export function withAddresses(applications: readonly Application[], scheme: string): readonly ApplicationLink[] {
  return applications.map((application) => ({ ...application, url: `${scheme}//${application.host}/` }))
}

export function openTo(
  { policy, session, address }: ApplicationAccess,
  applications: readonly ApplicationLink[],
): readonly ApplicationLink[] {
  return applications.filter(({ url }) => {
    const { port, protocol } = new URL(url)
    const target = parseTargetUrl(url, 'GET', port === '' ? defaultPort(protocol) : port)
    return policy.decide({ target, address }, session).allow // guard: adv-page-applications
  })
}

function defaultPort(protocol: string): string {
  return protocol === 'https:' ? '443' : '80'
}

/** "NetBox (netbox.example.com)", or the host alone where no application has it. @param address absolute */
export function applicationName(address: string, applications: readonly Application[]): string {
  const { host } = new URL(address)
  const known = applications.find((application) => application.host === host)
  return known === undefined ? host : `${known.name} (${host})`
}
