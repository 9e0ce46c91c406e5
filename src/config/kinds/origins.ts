// Addresses of web servers and of the database.
import { refuse, type Refusal } from '../problem.js'
import { isLoopback, normalHost } from './hosts.js'
import type { Kind, Reading } from './kind.js'

function readOrigin(text: string, shown: string): Reading | Refusal {
  const remedy = 'Write https://, the host and, if it is not the usual one, the port: https://auth.example.com'
  const [, host] = /^https?:\/\/(\[[^\]]*\]|[^/?#@:\\]+)(:\d{1,5})?(?=[/?#]|$)/i.exec(text) ?? []
  if (host === undefined || normalHost(host) === undefined || !URL.canParse(text)) return refuse('origin_invalid', `must be an http(s) address, but is ${shown}`, remedy)
  const url = new URL(text)
  if (url.pathname !== '/' || /[?#]/.test(text)) return refuse('origin_path', `must be an address without path, query or fragment, but is ${shown}`, `Write ${url.origin}`)
  return { value: url.origin }
}

export const publicUrl: Kind = {
  title: 'origin',
  pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?$',
  read(text, { shown }) {
    const reading = readOrigin(text, shown)
    if ('code' in reading) return reading
    const url = new URL(String(reading.value))
    if (url.protocol === 'http:' && !isLoopback(url.hostname)) return refuse('origin_https', `must be https, but is ${shown}`, 'Browsers keep the session cookie for https alone; let the proxy speak TLS. http is for loopback only.')
    return reading
  },
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
    if (!/^postgres(ql)?:\/\//.test(text)) return refuse('database_url_invalid', 'must begin with postgres:// or postgresql://', 'Write postgres://user:password@host:5432/database')
    return URL.canParse(text) ? { value: text } : refuse('database_url_invalid', 'is no address', 'Write postgres://user:password@host:5432/database; in user and password, characters like @ : / # % are percent-encoded.')
  },
}
