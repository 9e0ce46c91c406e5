// The admin console has its host to itself: a script of an application there would be of the same origin, and could act
// as the administrator.
import { isLoopback } from '../../net/loopback.js'
import { splitPort } from '../kinds/hosts.js'
import { entries, type Rule } from './rule.js'

/** Nothing that Gatehouse may read says whether there is a policy. */
export const contextWithPolicy: Rule = ({ admin }, report) => {
  if (admin?.acrs === undefined) return
  report.warn(
    'admin.acrs',
    'admin_acrs_policy',
    `admin.acrs ${admin.acrs}: Entra ID grants an authentication context that no Conditional Access policy requires ` +
      'to everybody, with the sign-in that they have.',
    'Make sure that a policy which is on, not in report-only mode, targets this authentication context and the ' +
      'administrators.',
  )
}

export const consoleHostApart: Rule = ({ admin, server, access, applications }, report) => {
  if (admin === undefined || server?.publicUrl === undefined) return
  const { hostname } = new URL(server.publicUrl)
  const found = [
    ...entries(access?.rules, 'access.rules').flatMap(({ item, path }) => entries(item.hosts, `${path}.hosts`)),
    ...entries(applications, 'applications').map(({ item, path }) => ({ item: item.host, path: `${path}.host` })),
  ]
  for (const { item: host, path } of found) {
    if (host === undefined || (splitPort(host)?.host ?? host) !== hostname) continue // guard: admin-host-apart
    const message = `${path} ${host} is the host of server.publicUrl, where the admin console is: a script of an ` +
      'application there could act as the administrator.'
    const remedy = 'Give Gatehouse a host of its own, or remove the section admin.'
    if (isLoopback(hostname.replace(/^\[|\]$/g, ''))) report.warn(path, 'admin_host_shared', message, remedy)
    else report.problem(path, 'admin_host_shared', message, remedy)
  }
}
