// The cookies that bind sign-ins to a browser. All sign-ins share one. Several tabs that begin at the same time without
// it create one each, and the last response overwrites the others; a sign-in that is restarted because of that gets a
// cookie of its own.
import { FLOW_LIFETIME_MS, isBinding, newBinding } from '../../core/login-flow.js'
import { cookieValues, type CookiePolicy } from '../cookies.js'
import type { HttpExchange } from '../http-exchange.js'

const SHARED_SECONDS = (6 * FLOW_LIFETIME_MS) / 1000
const MAX_OWN_COOKIES = 20 // above it sign-ins share the cookie, so that Cookie headers stay short

interface FlowIdentity {
  readonly id: string
  readonly restarted: boolean
}

export interface NewBinding {
  readonly value: string
  /** Call when the flow's id is known. */
  setCookie(flowId: string): void
}

/** The binding that this browser sent for a flow; undefined if it sent none, or two. */
export function sentBinding(
  { id, restarted }: FlowIdentity,
  { request }: HttpExchange,
  cookies: CookiePolicy,
): string | undefined {
  const names = restarted ? [ownName(cookies, id), cookies.names.binding] : [cookies.names.binding]
  for (const name of names) {
    const [value, doubled] = cookieValues(request.headers.cookie, name)
    if (value !== undefined) return doubled === undefined ? value : undefined
  }
  return undefined
}

export function bindingFor(restarted: boolean, { request, reply }: HttpExchange, cookies: CookiePolicy): NewBinding {
  const value = newBinding()
  // guard: adv-stray-own-cookie, adv-stray-few-cookies
  if (restarted && countOwnCookies(request.headers.cookie, cookies) < MAX_OWN_COOKIES) {
    const maxAge = FLOW_LIFETIME_MS / 1000
    return {
      value,
      setCookie: (flowId) => {
        void reply.setCookie(ownName(cookies, flowId), value, { maxAge })
      },
    }
  }
  const [known] = cookieValues(request.headers.cookie, cookies.names.binding)
  // An existing cookie is not set again: a late response would overwrite the cookie of another tab.
  if (isBinding(known)) return { value: known, setCookie: () => undefined }
  return {
    value,
    setCookie: () => {
      void reply.setCookie(cookies.names.binding, value, { maxAge: SHARED_SECONDS })
    },
  }
}

/** Clears the flow's own cookie when the flow has ended. */
export function clearBinding(
  { id, restarted }: FlowIdentity,
  { request, reply }: HttpExchange,
  cookies: CookiePolicy,
): void {
  const name = ownName(cookies, id)
  if (restarted && cookieValues(request.headers.cookie, name).length > 0) reply.clearCookie(name)
}

function ownName(cookies: CookiePolicy, flowId: string): string {
  return `${cookies.names.binding}_${flowId.slice(0, 8)}`
}

function countOwnCookies(header = '', cookies: CookiePolicy): number {
  return header.split(`${cookies.names.binding}_`).length - 1
}
