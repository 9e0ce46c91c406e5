// Addresses of web servers and of the database.
import { isAddressFault, readDatabaseServers } from '../../core/database-address.js'
import { valueProblem, type ValueProblem } from '../problem.js'
import { isLoopback } from '../../net/loopback.js'
import { normalHost } from './hosts.js'
import type { Kind, Reading } from './kind.js'

/** @param correct what the remedy makes of an origin that has too much around it */
function readOrigin(
  text: string,
  shown: string,
  correct: (url: URL) => string = ({ origin }) => origin,
): Reading | ValueProblem {
  const remedy = 'Write https://, the host and, if it is not the usual one, the port: https://auth.example.com'
  const [, host] = /^https?:\/\/(\[[^\]]*\]|[^/?#@:\\]+)(:\d{1,5})?(?=[/?#]|$)/i.exec(text) ?? []
  if (host === undefined || normalHost(host) === undefined || !URL.canParse(text)) {
    return valueProblem('origin_invalid', `must be an http(s) address, but is ${shown}`, remedy)
  }
  const url = new URL(text)
  if (url.pathname !== '/' || /[?#]/.test(text)) {
    return valueProblem(
      'origin_path',
      `must be an address without path, query or fragment, but is ${shown}`,
      `Write ${correct(url)}`,
    )
  }
  return { value: url.origin }
}

export const publicUrl: Kind = {
  title: 'origin',
  pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?$',
  read(text, { shown }) {
    const reading = readOrigin(text, shown, usable)
    if ('code' in reading) return reading
    const url = new URL(String(reading.value))
    if (url.origin === usable(url)) return reading
    return valueProblem(
      'origin_https',
      `must be https, but is ${shown}`,
      `Write ${
        usable(url)
      }: browsers keep the session cookie for https alone; let the proxy speak TLS. http is for loopback only.`,
    )
  },
}

/** http for loopback alone; a port that was one of http is the proxy's to choose anew. */
function usable({ protocol, hostname, origin }: URL): string {
  return protocol === 'http:' && !isLoopback(hostname) ? `https://${hostname}` : origin
}

/** As python-social-auth has it, a host alone means https. */
export const upstream: Kind = {
  title: 'origin',
  pattern: '^([Hh][Tt][Tt][Pp][Ss]?://)?[^/?#@]+/?$',
  read: (text, { shown }) => readOrigin(text.includes('://') ? text : `https://${text}`, shown),
}

export const databaseUrl: Kind = {
  title: 'PostgreSQL address',
  read(text) {
    const address = readDatabaseServers(text)
    return isAddressFault(address)
      ? valueProblem('database_url_invalid', address.problem, address.remedy)
      : { value: text }
  },
}

const EXPORT_SCHEMES = ['https:', 'http:', 'syslog+tls:', 'syslog+tcp:']

/** Its path or its query may be a secret: no message repeats it. */
export const exportUrl: Kind = {
  title: 'address of a receiver',
  pattern: '^(https?|syslog[+]t(ls|cp))://',
  read(text) {
    const wrong = (message: string, remedy: string) => valueProblem('export_url_invalid', message, remedy)
    const usual = 'Write https://siem.example.com/events or syslog+tls://siem.example.com:6514'
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url === undefined || !EXPORT_SCHEMES.includes(url.protocol)) {
      return wrong('is no address that begins with https://, syslog+tls:// or syslog+tcp://', usual)
    }
    if (url.username !== '' || url.password !== '') { // guard: audit-export-no-credentials
      return wrong('has a user or a password', 'Take them away: a secret belongs into audit.export.secretFile.')
    }
    if (normalHost(url.hostname) === undefined) return wrong('has no usable host', usual)
    if (text.includes('#')) return wrong('has a fragment, which is never sent', 'Take away # and what follows it.')
    if (url.protocol.startsWith('syslog') && (/^\/?$/.test(url.pathname) === false || url.search !== '')) {
      return wrong('has a path or a query, which syslog does not have', 'Write syslog+tls://HOST:PORT')
    }
    return { value: url.href }
  },
}
