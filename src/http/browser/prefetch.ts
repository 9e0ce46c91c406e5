// Refuses speculative requests: browsers load pages ahead of time, because of speculation rules or while an address is
// typed. Such a request must not end a session or begin a sign-in. The browser discards the error and sends the request
// again on a real navigation.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { GatehouseError } from '../../core/errors.js'
import { sendError } from '../errors.js'
import { isSpeculative } from '../navigation.js'
import type { PageSettings } from '../pages/layout.js'

/** For scopes whose GET requests have side effects. */
export const refuseSpeculation = fp(async (scope: FastifyInstance, { pages }: { readonly pages: PageSettings }) => {
  scope.addHook('onRequest', async (request, reply) => {
    if (isSpeculative(request.headers)) return sendError(new GatehouseError('loaded_ahead'), request, reply, pages)
  })
})
