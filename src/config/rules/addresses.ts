// Where browsers go, and how far the cookie goes with them. A host that the cookie does not reach signs in forever.
import { isWithin, splitPort } from '../kinds/hosts.js'
import { entries, type Rule } from './rule.js'

export const cookieReachesPublicUrl: Rule = ({ server, session }, report) => {
  const domain = session?.cookieDomain
  if (domain === undefined || server?.publicUrl === undefined) return
  const host = new URL(server.publicUrl).hostname
  if (!isWithin(host, domain)) {
    report.problem(
      'session.cookieDomain',
      'cookie_domain_parent',
      `session.cookieDomain ${domain} does not hold ${host}, the host of server.publicUrl.`,
      `Browsers take a cookie for the host itself or a domain above it alone: write ${
        host.split('.').slice(1).join('.') || host
      }, or leave it out.`,
    )
  }
}

export const redirectsWithinCookie: Rule = ({ server, session }, report) => {
  const reach = cookieReach(server?.publicUrl, session?.cookieDomain)
  if (!reach || report.refused('session.cookieDomain')) return
  for (const { item, path } of entries(server?.redirectDomains, 'server.redirectDomains')) {
    const host = splitPort(item)?.host ?? item
    if (!reach.holds(host)) {
      report.warn(
        path,
        'redirect_outside_cookie',
        `${path}: the session cookie does not reach ${
          report.textOf(path, item)
        }, so its visitors sign in again and again.`,
        reach.remedy,
      )
    }
  }
}

export const accessRulesWithinCookie: Rule = ({ server, session, access }, report) => {
  const reach = cookieReach(server?.publicUrl, session?.cookieDomain)
  if (!reach || report.refused('session.cookieDomain')) return
  for (const rule of entries(access?.rules, 'access.rules')) {
    for (const { item, path } of entries(rule.item.hosts, `${rule.path}.hosts`)) {
      const host = (splitPort(item)?.host ?? item).replace(/^\*/, '')
      if (!reach.holds(host)) {
        report.warn(
          path,
          'rule_outside_cookie',
          `${path}: the session cookie does not reach ${
            report.textOf(path, item)
          }, so its visitors sign in again and again.`,
          reach.remedy,
        )
      }
    }
  }
}

export const applicationsWithinCookie: Rule = ({ server, session, applications }, report) => {
  const reach = cookieReach(server?.publicUrl, session?.cookieDomain)
  if (!reach || report.refused('session.cookieDomain')) return
  for (const { item, path } of entries(applications, 'applications')) {
    if (item.host === undefined || reach.holds(splitPort(item.host)?.host ?? item.host)) continue
    const message = `the session cookie does not reach ${
      report.textOf(`${path}.host`, item.host)
    }, so its visitors sign in again and again`
    report.warn(`${path}.host`, 'application_outside_cookie', `${path}.host: ${message}.`, reach.remedy)
  }
}

/** A sign-in for a host ends with a redirect to it, which only redirectDomains allows. */
export const accessRulesWithinRedirects: Rule = ({ server, access }, report) => {
  const { publicUrl, redirectDomains } = server ?? {}
  if (publicUrl === undefined || redirectDomains === undefined || report.refused('server.redirectDomains')) return
  const allowed = entries(redirectDomains, 'server.redirectDomains').map(({ item }) => splitPort(item)).filter((
    parts,
  ) => parts !== undefined)
  const { hostname, protocol, port } = new URL(publicUrl)
  const usual = protocol === 'https:' ? '443' : '80'
  for (const rule of entries(access?.rules, 'access.rules')) {
    if (rule.item.allow === 'anyone' || rule.item.allow === 'deny') continue // no redirect to the sign-in
    for (const { item, path } of entries(rule.item.hosts, `${rule.path}.hosts`)) {
      const wanted = splitPort(item.replace(/^\*/, ''))
      if (!wanted || (wanted.host === hostname && (wanted.port === undefined || wanted.port === (port || usual)))) {
        continue
      }
      if (allowed.some((entry) => leadsTo(entry, wanted, usual))) continue
      const text = report.textOf(path, item)
      const host = text === item ? wanted.host : text
      const entry = `${host}${wanted.port === undefined || wanted.port === usual ? '' : `:${wanted.port}`}`
      report.warn(
        path,
        'rule_outside_redirects',
        `${path}: ${text} is not in server.redirectDomains, so the redirect back to it after a sign-in is refused.`,
        `Add ${entry} to server.redirectDomains.`,
      )
    }
  }
}

interface HostAndPort {
  readonly host: string
  readonly port: string | undefined
}

/** Whether an entry of redirectDomains (`.suffix` as well) covers a rule's host or `.suffix`. */
function leadsTo(entry: HostAndPort, wanted: HostAndPort, usual: string): boolean {
  if (entry.port !== '*' && (entry.port ?? usual) !== (wanted.port ?? usual)) return false
  return entry.host === wanted.host || (entry.host.startsWith('.') && wanted.host.endsWith(entry.host))
}

function cookieReach(publicUrl: string | undefined, domain: string | undefined) {
  if (publicUrl === undefined) return undefined
  const host = new URL(publicUrl).hostname
  const remedy = domain === undefined
    ? `Without session.cookieDomain the cookie stays on ${host}: set it to a domain that holds both.`
    : `The cookie reaches ${domain} and what is below it: choose hosts there, or a wider session.cookieDomain.`
  return {
    remedy,
    holds: (name: string) => domain === undefined ? name === host : isWithin(name.replace(/^\./, ''), domain),
  }
}

export const managementApart: Rule = ({ server }, report) => {
  const { host, port, management } = server ?? {}
  if (port === undefined || port === 0 || management?.port !== port) return
  const everywhere = (address: string | undefined) => address === '0.0.0.0' || address === '::'
  if (host !== management.host && !everywhere(host) && !everywhere(management.host)) return
  report.problem(
    'server.management.port',
    'management_port',
    `server.management.port is ${port}, the public port.`,
    'Metrics and health never stand on the public port: choose another one.',
  )
}

export const trustsEveryPeer: Rule = ({ server }, report) => {
  for (const { item, path } of entries(server?.trustedProxies, 'server.trustedProxies')) {
    if (item.endsWith('/0')) {
      report.warn(
        path,
        'proxy_everybody',
        `${path} ${item} lets every client that reaches the port set its own address and host.`,
        "Name the proxy's own address or network.",
      )
    }
  }
}

export const publicUrlIsNoExample: Rule = ({ server }, report) => {
  if (server?.publicUrl === undefined) return
  if (/(^|\.)example\.(com|net|org)$/.test(new URL(server.publicUrl).hostname)) {
    report.warn(
      'server.publicUrl',
      'placeholder',
      `server.publicUrl ${server.publicUrl} is still the address of the example.`,
      'Put the address of your Gatehouse there, and register {publicUrl}/oauth2/callback in Entra ID.',
    )
  }
}
