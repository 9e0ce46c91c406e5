// The cookies that tie sign-ins to a browser. All sign-ins share one. Of tabs that begin at the same time without it
// each makes its own, and the last one to arrive overwrites the others: what begins anew because of that has a cookie
// to itself.
import { FLOW_LIFETIME_MS, isBinding, newBinding } from '../../core/flow.js'
import { cookieValues, type CookiePolicy } from '../cookies.js'
import type { HttpExchange } from '../http-exchange.js'

const SHARED_SECONDS = (6 * FLOW_LIFETIME_MS) / 1000
const MOST_OWN = 20 // above it they share: Cookie headers stay short whatever is opened here

interface OneFlow {
  readonly id: string
  readonly anew: boolean
}

export interface NewBinding {
  readonly value: string
  /** To be called when the flow's id is known. */
  give(flowId: string): void
}

/** What this browser sent for a flow; undefined where it sent nothing, or two. */
export function sentBinding(
  { id, anew }: OneFlow,
  { request }: HttpExchange,
  cookies: CookiePolicy,
): string | undefined {
  const names = anew ? [ownName(cookies, id), cookies.names.binding] : [cookies.names.binding]
  for (const name of names) {
    const [value, doubled] = cookieValues(request.headers.cookie, name)
    if (value !== undefined) return doubled === undefined ? value : undefined
  }
  return undefined
}

export function bindingFor(anew: boolean, { request, reply }: HttpExchange, cookies: CookiePolicy): NewBinding {
  const value = newBinding()
  if (anew && ownCookies(request.headers.cookie, cookies) < MOST_OWN) {
    const maxAge = FLOW_LIFETIME_MS / 1000
    return {
      value,
      give: (flowId) => {
        void reply.setCookie(ownName(cookies, flowId), value, { maxAge })
      },
    }
  }
  const [known] = cookieValues(request.headers.cookie, cookies.names.binding)
  // One that is there is not sent again: an answer that arrives late would put it back in place of another tab's.
  if (isBinding(known)) return { value: known, give: () => undefined }
  return {
    value,
    give: () => {
      void reply.setCookie(cookies.names.binding, value, { maxAge: SHARED_SECONDS })
    },
  }
}

/** The flow is over: so is its own cookie. */
export function clearBinding({ id, anew }: OneFlow, { request, reply }: HttpExchange, cookies: CookiePolicy): void {
  const name = ownName(cookies, id)
  if (anew && cookieValues(request.headers.cookie, name).length > 0) reply.clearCookie(name)
}

function ownName(cookies: CookiePolicy, flowId: string): string {
  return `${cookies.names.binding}_${flowId.slice(0, 8)}`
}

function ownCookies(header = '', cookies: CookiePolicy): number {
  return header.split(`${cookies.names.binding}_`).length - 1
}
