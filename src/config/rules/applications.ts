// The applications that the home page lists: each once, and people come back to each after signing in.
import { readReturnTo } from '../../core/return-to.js'
import { entries, type Rule } from './rule.js'

export const applicationsOnce: Rule = ({ applications }, report) => {
  const first = new Map<string, string>()
  for (const { item, path } of entries(applications, 'applications')) {
    if (item.host === undefined) continue
    const at = `${path}.host`
    const earlier = first.get(item.host)
    if (earlier === undefined) first.set(item.host, at)
    else {
      const message = `${at} ${report.textOf(at, item.host)} is the same application as ${earlier} on line ${
        report.positionOf(earlier).line
      }.`
      report.problem(at, 'application_repeated', message, 'Keep one of the two: the home page lists front pages.')
    }
  }
}

export const applicationsReturnedTo: Rule = ({ server, applications }, report) => {
  const { publicUrl, redirectDomains } = server ?? {}
  if (publicUrl === undefined || redirectDomains === undefined) return
  const rules = { publicUrl, redirectDomains: redirectDomains.filter((domain) => domain !== undefined) }
  for (const { item, path } of entries(applications, 'applications')) {
    if (item.host === undefined) continue
    const { refusal } = readReturnTo(`${new URL(publicUrl).protocol}//${item.host}/`, rules)
    if (refusal === undefined) continue
    const host = report.textOf(`${path}.host`, item.host)
    const message = `${path}.host: no user can return to ${host} after signing in.`
    report.warn(`${path}.host`, 'application_not_returned_to', message, 'Add the host to server.redirectDomains.')
  }
}
