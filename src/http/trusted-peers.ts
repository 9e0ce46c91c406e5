// Which peers may say what was asked for and by whom: forwarding headers count from these addresses alone.
import ipaddr from 'ipaddr.js'

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number]
export type TrustedPeers = (address: string | undefined) => boolean

const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

/** @param proxies CIDRs, addresses, or loopback/linklocal/uniquelocal */
export function trustedPeers(proxies: readonly string[]): TrustedPeers {
  const ranges = proxies.flatMap((proxy) => NAMED[proxy] ?? [proxy]).map(rangeOf)
  return (address) => {
    if (address === undefined || !ipaddr.isValid(address)) return false
    const parsed = ipaddr.process(address) // an IPv4-mapped IPv6 address is the IPv4 address
    return ranges.some((range) => parsed.kind() === range[0].kind() && parsed.match(range))
  }
}

function rangeOf(text: string): Range {
  if (text.includes('/')) return ipaddr.parseCIDR(text)
  const address = ipaddr.process(text)
  return [address, address.kind() === 'ipv4' ? 32 : 128]
}
