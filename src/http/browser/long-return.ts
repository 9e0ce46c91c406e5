// Return addresses that are too long for the state of a flow: stored on the server when the flow begins and read when
// it ends. If the address is gone by then, a page reports it and links to the application's front page.
import type { FastifyReply } from 'fastify'
import { flowHash, type FlowFacts, type NewFlow } from '../../core/login-flow.js'
import { MOST_IN_STATE, type LongReturns } from '../../core/long-returns.js'
import { readReturnTo, type ReturnToRules } from '../../core/return-to.js'
import type { HttpExchange } from '../http-exchange.js'
import { sendPage, type PageSettings } from '../pages/layout.js'
import { returnAddressLostPage } from '../pages/return-address-lost.js'

/** The flow as its state holds it: a return address that is too long is replaced by the front page of its host. */
export function shortenForState(flow: NewFlow): NewFlow {
  if (flow.returnTo.length <= MOST_IN_STATE) return flow // guard: adv-long-kept
  return { ...flow, returnTo: `${new URL(flow.returnTo).origin}/`, addressStored: true }
}

/** @param returnTo the address that shortenForState replaced */
export async function storeLongReturn(
  flow: { readonly id: string },
  returnTo: string,
  longReturns: LongReturns,
  { request }: HttpExchange,
): Promise<void> {
  const dropped = await longReturns.keep(flowHash(flow), returnTo)
  if (dropped > 0) request.log.warn({ dropped }, 'long return addresses were dropped to make room for newer ones')
}

/**
 * The flow with its original return address; `addressStored` remains true if that is gone. An address that the
 * configuration no longer allows is replaced by the front page: a flow can be older than the configuration.
 */
export async function restoreReturnAddress<F extends FlowFacts & { readonly id: string }>(
  flow: F,
  longReturns: LongReturns,
  rules: ReturnToRules,
): Promise<F> {
  const address = flow.addressStored ? await longReturns.find(flowHash(flow)) : undefined
  return {
    ...flow,
    returnTo: allowedOrFrontPage(address ?? flow.returnTo, rules), // guard: adv-expired-allowed
    addressStored: flow.addressStored && address === undefined,
  }
}

function allowedOrFrontPage(returnTo: string, rules: ReturnToRules): string {
  return readReturnTo(returnTo, rules).address ?? `${rules.publicUrl}/`
}

/** Redirects to the flow's return address. */
export function redirectToReturnAddress(
  { returnTo, addressStored }: FlowFacts,
  { reply }: HttpExchange,
  pages: PageSettings,
): FastifyReply {
  // guard: adv-long-lost
  return addressStored ? sendPage(reply, 200, returnAddressLostPage(returnTo), pages) : reply.redirect(returnTo, 302)
}
