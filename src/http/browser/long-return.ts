// The way back of a flow whose address is too long for its state: kept on the server when the flow begins, found again
// when it ends. Where it is gone by then, the person is told; it is the front page otherwise.
import type { FastifyReply } from 'fastify'
import { flowHash, type FlowFacts, type NewFlow } from '../../core/flow.js'
import { MOST_IN_STATE, type LongReturns } from '../../core/long-returns.js'
import { readReturnTo, type ReturnToRules } from '../../core/return-to.js'
import type { HttpExchange } from '../http-exchange.js'
import { sendPage, type PageSettings } from '../pages/layout.js'
import { returnAddressLostPage } from '../pages/return-address-lost.js'

/** What the state says of a flow: the front page, where its address is too long. */
export function shortenForState(wanted: NewFlow): NewFlow {
  if (wanted.returnTo.length <= MOST_IN_STATE) return wanted
  return { ...wanted, returnTo: `${new URL(wanted.returnTo).origin}/`, kept: true }
}

/** @param returnTo the address that shortenForState left out */
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
 * The flow with the address itself; still `kept` where that is gone. An address that the configuration no longer allows
 * is replaced by the front page: a flow can be older than the configuration.
 */
export async function restoreReturnAddress<F extends FlowFacts & { readonly id: string }>(
  flow: F,
  longReturns: LongReturns,
  rules: ReturnToRules,
): Promise<F> {
  const address = flow.kept ? await longReturns.find(flowHash(flow)) : undefined
  return { ...flow, returnTo: stillAllowed(address ?? flow.returnTo, rules), kept: flow.kept && address === undefined }
}

function stillAllowed(returnTo: string, rules: ReturnToRules): string {
  return readReturnTo(returnTo, rules).address ?? `${rules.publicUrl}/`
}

/** To where the person wanted to be. */
export function sendToReturnAddress(
  { returnTo, kept }: FlowFacts,
  { reply }: HttpExchange,
  pages: PageSettings,
): FastifyReply {
  return kept ? sendPage(reply, 200, returnAddressLostPage(returnTo), pages) : reply.redirect(returnTo, 302)
}
