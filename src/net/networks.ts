// Tests whether an address is in a network: for trusted proxies, and for access rules with networks.
import ipaddr from 'ipaddr.js'
import type { NetworkTest } from '../core/access.js'

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number]
export type TrustedPeers = (address: string | undefined) => boolean

/** The networks that the configuration may call by a name. */
export const NAMED_NETWORKS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

/**
 * @param networks CIDRs, addresses, or loopback/linklocal/uniquelocal @returns a test; undefined from it: no readable
 * address
 */
export function networkTest(networks: readonly string[]): NetworkTest {
  const ranges = networks.flatMap((network) => NAMED_NETWORKS[network] ?? [network]).map(rangeOf)
  return (address) => {
    if (address === undefined || !ipaddr.isValid(address)) return undefined // guard: adv-unreadable-address
    const parsed = ipaddr.process(address) // an IPv4-mapped IPv6 address is the IPv4 address
    return ranges.some((range) => parsed.kind() === range[0].kind() && parsed.match(range))
  }
}

/** Forwarding headers are trusted only from these addresses; an unparsable address is never trusted. */
export function trustedPeers(proxies: readonly string[]): TrustedPeers {
  const test = networkTest(proxies)
  const known = new Map<string | undefined, boolean>() // the same few, on every request
  return (address) => {
    const before = known.get(address)
    if (before !== undefined) return before
    if (known.size >= 1_000) known.clear()
    const trusted = test(address) === true
    known.set(address, trusted)
    return trusted
  }
}

function rangeOf(text: string): Range {
  if (text.includes('/')) return ipaddr.parseCIDR(text)
  const address = ipaddr.process(text)
  return [address, address.kind() === 'ipv4' ? 32 : 128]
}
