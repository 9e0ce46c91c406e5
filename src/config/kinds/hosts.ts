// Host names and addresses. Whatever is accepted is what a browser would make of it: one parser (WHATWG) on both sides.
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { getPublicSuffix } from 'tldts'
import { bareAddress, isLoopback } from '../../net/loopback.js'

/** The host in a browser's spelling; undefined for what is no host. IPv6 in brackets. */
export function normalHost(text: string): string | undefined {
  if (/^\[[0-9a-f:.]+\]$/i.test(text)) {
    return isIP(text.slice(1, -1)) === 6
      ? new URL(`http://${text}`).hostname
      : undefined
  }
  if (text === '' || text.length > 253 || text.endsWith('.')) return undefined
  // eslint-disable-next-line no-control-regex -- exactly these would let the parser read another host
  if (/[\x00-\x20/\\?#@:%[\]<>^|*,\x7f]/.test(text) || !URL.canParse(`http://${text}`)) return undefined
  const host = new URL(`http://${text}`).hostname
  // eslint-disable-next-line no-control-regex -- ASCII
  const surprising = /^[\x00-\x7f]*$/.test(text) && host !== text.toLowerCase() // 0x7f.1, 127.1
  return surprising || !host.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))
    ? undefined
    : host
}

/** A host and what follows its colon: digits, `*` or nothing. */
export function splitPort(text: string): { readonly host: string, readonly port: string | undefined } | undefined {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(text) ?? []
  if (host === '') return undefined
  return port === undefined || port === '*' || (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535)
    ? { host, port }
    : undefined
}

export function isAddress(host: string): boolean {
  return isIP(bareAddress(host)) !== 0
}

/** A loopback name, or an address that no public network routes. */
export function isPrivate(host: string): boolean {
  if (isLoopback(host)) return true
  return isAddress(host) && ['private', 'uniqueLocal', 'linkLocal'].includes(ipaddr.process(bareAddress(host)).range())
}

/** A domain under which anybody may register, `co.uk` or `github.io`: browsers refuse its cookies, and so do we. */
export function isPublicSuffix(domain: string): boolean {
  return getPublicSuffix(domain, { allowPrivateDomains: true }) === domain
}

export function isWithin(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`)
}
