// Hosts of this machine.
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** @param host an address in brackets or without them @returns without brackets */
export function bareAddress(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}

export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true
  const address = bareAddress(host)
  return isIP(address) !== 0 && ipaddr.process(address).range() === 'loopback'
}
