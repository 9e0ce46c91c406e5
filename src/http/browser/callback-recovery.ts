// A callback whose state is genuine and that this browser cannot complete: the sign-in began in another browser (a link
// that Word followed), in another tab that lost its cookie (restored tabs), or more than ten minutes ago. Its code is
// never looked at. The state says where the person wanted to be: with a session they go there, without one they sign in
// anew.
import type { FastifyReply } from 'fastify'
import { GatehouseError } from '../../core/errors.js'
import type { OpenedFlow } from '../../core/flow.js'
import { sendError } from '../errors.js'
import type { HttpExchange } from '../http-exchange.js'
import type { LoginOptions } from './login.js'
import { sendToReturnAddress, restoreReturnAddress } from './long-return.js'
import type { RedirectToEntra } from './login-start.js'
import { startUrl } from './return-to.js'

type RecoverableCallback = Extract<OpenedFlow, { fault: string }>

const COOKIES_LOST = 'One person: their browser blocks cookies. Everybody: the proxy drops Cookie or Set-Cookie, or ' +
  'people arrive on another host than that of server.publicUrl.'

export async function recoverCallback(
  { flow: opened, fault }: RecoverableCallback,
  redirectToEntra: RedirectToEntra,
  options: LoginOptions,
  browser: HttpExchange,
): Promise<FastifyReply> {
  const { request, reply } = browser
  const flow = await restoreReturnAddress(opened, options.longReturns, options.returnTo)
  const { returnTo, pick, round, again, kept } = flow
  const chain = fault === 'state_expired' ? {} : { chain: flow.chain } // an expired one was limited by address
  if (request.session.record !== undefined && !pick) return sendToReturnAddress(flow, browser, options.pages)
  const did = flow.anew ? 'is refused: the browser does not send its cookie back' : 'begins anew'
  const remedy = flow.anew ? COOKIES_LOST : undefined
  const facts = { code: fault, remedy, host: request.host, client: request.ip }
  request.log[flow.anew ? 'warn' : 'info'](facts, `a sign-in of another browser, or an old one, ${did}`)
  // Once: where cookies are blocked it would go on for ever.
  if (!flow.anew) return redirectToEntra({ returnTo, kept, pick, round, again, ...chain, anew: true }, browser)
  const retryUrl = startUrl(options.publicUrl, returnTo, pick ? { prompt: 'select_account' } : {})
  return sendError(new GatehouseError(fault), request, reply, options.pages, { retryUrl })
}
