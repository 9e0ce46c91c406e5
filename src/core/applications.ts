// Which applications somebody may open: those whose front page the access rules let them see.
import type { AccessPolicy, Rights } from './access.js'
import type { Application } from './branding.js'
import { parseTargetUrl } from './target.js'

export interface ApplicationLink extends Application {
  readonly url: string
}

export interface ApplicationQuestion {
  readonly policy: AccessPolicy
  readonly session: Rights
  /** The client's, as the trusted proxies say. */
  readonly address: () => string | undefined
}

/** @param scheme of every application, as of publicUrl: `https:` */
export function withAddresses(applications: readonly Application[], scheme: string): readonly ApplicationLink[] {
  return applications.map((application) => ({ ...application, url: `${scheme}//${application.host}/` }))
}

export function openTo(
  { policy, session, address }: ApplicationQuestion,
  applications: readonly ApplicationLink[],
): readonly ApplicationLink[] {
  return applications.filter(({ url }) => {
    const { port, protocol } = new URL(url)
    const target = parseTargetUrl(url, 'GET', port === '' ? usualPort(protocol) : port)
    return policy.decide({ target, address }, session).allow
  })
}

function usualPort(protocol: string): string {
  return protocol === 'https:' ? '443' : '80'
}

/** "NetBox (netbox.example.com)", or the host alone where nothing names it. @param address absolute */
export function nameOfPlace(address: string, applications: readonly Application[]): string {
  const { host } = new URL(address)
  const known = applications.find((application) => application.host === host)
  return known === undefined ? host : `${known.name} (${host})`
}
