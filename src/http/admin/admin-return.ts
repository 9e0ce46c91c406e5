// Where a sign-in to the console may lead: a page of the console itself.
import { GatehouseError } from '../../core/errors.js'
import { parseReturnTo } from '../../core/return-to.js'

export const SIGN_IN_PATHS = { stepUp: '/admin/step-up', signOut: '/admin/sign-out' } as const

/**
 * @param rd a path below /admin, or an address of it; absent: the front page of the console
 * @throws GatehouseError `return_to_refused`
 */
export function adminReturn(rd: string | undefined, publicUrl: string): string {
  if (rd === undefined || rd === '') return `${publicUrl}/admin`
  const address = parseReturnTo(rd, { publicUrl, redirectDomains: [] })
  const { origin, pathname } = new URL(address)
  const isPage = origin === publicUrl && /^\/admin(?:\/|$)/.test(pathname) && !/^\/admin\/api(?:\/|$)/.test(pathname)
  if (isPage && !Object.values<string>(SIGN_IN_PATHS).includes(pathname)) return address // guard: admin-return-below
  throw new GatehouseError('return_to_refused', { detail: 'rd is no page of the console' })
}
