// Recovers from a callback with a valid state that this browser cannot complete: the sign-in began in another browser
// (Word follows links itself), in a tab whose cookie is gone (restored tabs), or more than ten minutes ago. Its code is
// not used. The state contains the return address: with a session the user is redirected to it, without one a new
// sign-in starts.
import type { FastifyReply } from 'fastify'
import { GatehouseError } from '../../core/errors.js'
import type { OpenedFlow } from '../../core/login-flow.js'
import { sendError } from '../errors.js'
import type { HttpExchange } from '../http-exchange.js'
import type { LoginOptions } from './login-options.js'
import { redirectToReturnAddress, restoreReturnAddress } from './long-return.js'
import type { RedirectToEntra } from './entra-redirect.js'
import { startUrl } from './return-to.js'

type RecoverableCallback = Extract<OpenedFlow, { fault: string }>

const COOKIES_LOST = 'If one user is affected, the browser blocks cookies. If all are, the proxy removes Cookie or ' +
  'Set-Cookie, or browsers use another host than that of server.publicUrl.'

export async function recoverCallback(
  { flow: opened, fault }: RecoverableCallback,
  redirectToEntra: RedirectToEntra,
  options: LoginOptions,
  exchange: HttpExchange,
): Promise<FastifyReply> {
  const { request, reply } = exchange
  const flow = await restoreReturnAddress(opened, options.longReturns, options.returnTo)
  const { returnTo, selectAccount, round, retry, addressStored } = flow
  // guard: adv-chain-restarted
  const chain = fault === 'state_expired' ? {} : { chain: flow.chain } // an expired state was rate-limited by address
  // guard: adv-stray-session
  if (request.session.record !== undefined && !selectAccount) {
    return redirectToReturnAddress(flow, exchange, options.pages)
  }
  const outcome = flow.restarted ? 'refused, the browser does not send its cookie back' : 'restarted'
  const remedy = flow.restarted ? COOKIES_LOST : undefined // guard: adv-cookies-lost
  const facts = { code: fault, remedy, host: request.host, client: request.ip }
  request.log[flow.restarted ? 'warn' : 'info'](facts, `sign-in of another browser, or an expired one: ${outcome}`)
  // Restarted once only: with blocked cookies every attempt would end here.
  // guard: adv-stray-restarted, adv-stray-once, adv-browser-slow-tabs
  if (!flow.restarted) {
    const next = { returnTo, addressStored, selectAccount, round, retry, ...chain, restarted: true }
    return redirectToEntra(next, exchange)
  }
  const retryUrl = startUrl(options.publicUrl, returnTo, selectAccount ? { prompt: 'select_account' } : {})
  return sendError(new GatehouseError(fault), request, reply, options.pages, { retryUrl })
}
