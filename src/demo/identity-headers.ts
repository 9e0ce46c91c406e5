// The headers that a proxy must not accept from a client, from the documentation and not imported from the gateway: the
// demo's proxy represents one that an operator configured.

const IDENTITY = /^(x-auth-request-.*|remote-(user|email|name|groups)|x-gatehouse-.*|x-original-.*|x-forwarded-.*)$/

/** Every spelling that an application may read as an identity header: any case, hyphens or underscores. */
export function isIdentityHeader(name: string): boolean {
  return IDENTITY.test(name.toLowerCase().replaceAll('_', '-'))
}

/** The Cookie header without the gateway's own cookies; undefined where nothing is left. */
export function withoutGatewayCookies(header: string | undefined): string | undefined {
  const left = (header ?? '').split(';').map((pair) => pair.trim()).filter((pair) =>
    pair !== '' && !/^(__Host-|__Secure-)?gatehouse_/.test(pair)
  )
  return left.length > 0 ? left.join('; ') : undefined
}
