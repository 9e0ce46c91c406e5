// The names a proxy must not let a client forge, written down from the documentation and not imported from the gateway:
// the demo's proxy stands for one that somebody else configured.

const IDENTITY = /^(x-auth-request-.*|remote-(user|email|name|groups)|x-gatehouse-.*|x-original-.*|x-forwarded-.*)$/

/** Whatever spelling an application might take for one of ours: any case, hyphens or underscores. */
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
