// Hosts and networks as access rules, redirects, cookies and trusted proxies name them.
import { isIP } from 'node:net'
import { NAMED_NETWORKS } from '../../net/networks.js'
import { valueProblem, type ValueProblem } from '../problem.js'
import { isAddress, isPublicSuffix, normalHost, splitPort } from './hosts.js'
import type { Kind } from './kind.js'

export const network: Kind = {
  title: 'network',
  read(text, { shown }) {
    if (Object.hasOwn(NAMED_NETWORKS, text)) return { value: text }
    const [address = '', prefix] = text.split('/', 2)
    const version = address.includes('%') ? 0 : isIP(address)
    const prefixLength = prefix === undefined ? 0 : prefixLengthOf(prefix)
    if (version !== 0 && text.split('/').length <= 2 && prefixLength <= (version === 4 ? 32 : 128)) {
      return { value: text.toLowerCase() }
    }
    return valueProblem(
      'network_invalid',
      `must be an address or a CIDR range, but is ${shown}`,
      'Write 10.0.0.7, 10.0.0.0/8, fd00::/8, or loopback, linklocal or uniquelocal.',
    )
  },
}

/** @returns Infinity if the text is not a number */
function prefixLengthOf(text: string): number {
  return /^\d{1,3}$/.test(text) ? Number(text) : Infinity
}

export const listenHost: Kind = {
  title: 'host or address',
  read(text, { shown }) {
    const host = isIP(text) !== 0 ? text : normalHost(text)
    return host === undefined
      ? valueProblem(
        'host_invalid',
        `must be an address to listen on, but is ${shown}`,
        'Write 0.0.0.0, ::, 127.0.0.1 or a host name; the port has a key of its own.',
      )
      : { value: host }
  },
}

export const hostName: Kind = {
  title: 'domain',
  read(text, { shown }) {
    const host = normalHost(text)
    return host === undefined || isAddress(host)
      ? valueProblem(
        'host_invalid',
        `must be a domain, but is ${shown}`,
        'Write it without @, scheme, port or path: example.com',
      )
      : { value: host }
  },
}

export const redirectDomain: Kind = {
  title: 'redirect domain',
  read(text, { shown }) {
    const wrong = (hint: string) => valueProblem('redirect_domain_invalid', `must be a host, but is ${shown}`, hint)
    if (text.includes('/')) return wrong('Leave out the scheme and the path: only the host and perhaps the port count.')
    if (text.startsWith('*')) return wrong('For all hosts below a domain write .example.com, with a dot and no star.')
    const parts = splitPort(text)
    const suffix = parts?.host.startsWith('.') ?? false
    const host = parts && normalHost(suffix ? parts.host.slice(1) : parts.host)
    if (!parts || host === undefined || (suffix && isAddress(host))) {
      return wrong('Write app.example.com, .example.com, app.example.com:8443 or app.example.com:*')
    }
    if (suffix && isPublicSuffix(host) && host !== 'localhost') {
      return valueProblem(
        'redirect_domain_suffix',
        `is ${shown}, under which anybody may have a site`,
        'Name your own domain: else a link can redirect users from the sign-in to a foreign site.',
      )
    }
    return { value: `${suffix ? '.' : ''}${host}${parts.port === undefined ? '' : `:${parts.port}`}` }
  },
}

export const hostPattern: Kind = {
  title: 'host pattern',
  read(text, { shown }) {
    const wrong = (hint: string) =>
      valueProblem('host_pattern_invalid', `must be a host or *.suffix, but is ${shown}`, hint)
    if (text === '*') return wrong('Name the domain: *.example.com. What matches no rule is decided by access.default.')
    if (text.startsWith('.')) return wrong(`Write *${text}`)
    if (text.includes('/')) return wrong('Leave out scheme and path; paths have a key of their own.')
    const parts = splitPort(text)
    const below = parts?.host.startsWith('*.') ?? false
    const host = parts && normalHost(below ? parts.host.slice(2) : parts.host)
    if (!parts || parts.port === '*' || host === undefined || (below && isAddress(host))) {
      return wrong('Write app.example.com, *.example.com or app.example.com:8443; without a port, every port matches.')
    }
    return { value: `${below ? '*.' : ''}${host}${parts.port === undefined ? '' : `:${Number(parts.port)}`}` }
  },
}

export const cookieDomain: Kind = {
  title: 'domain',
  read(text, { shown }) {
    const host = normalHost(text.replace(/^\./, ''))
    if (host === undefined) {
      return valueProblem(
        'cookie_domain_invalid',
        `must be a domain, but is ${shown}`,
        'Write .example.com, without scheme and port.',
      )
    }
    if (isAddress(host)) {
      return valueProblem(
        'cookie_domain_ip',
        `is the address ${shown}, but cookies have no domain on addresses`,
        'Leave cookieDomain out, or give the hosts names.',
      )
    }
    return suffixRefusal(host, shown) ?? { value: host }
  },
}

function suffixRefusal(host: string, shown: string): ValueProblem | undefined {
  if (!isPublicSuffix(host)) return undefined
  return valueProblem(
    'cookie_domain_suffix',
    `is ${shown}, under which anybody may have a site`,
    'Browsers refuse such a cookie. Name the narrowest domain of your own that holds the applications.',
  )
}
