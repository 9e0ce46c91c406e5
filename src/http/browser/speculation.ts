// A browser loads pages ahead of time: links of a page that has speculation rules, addresses that are being typed. Such
// a request ends no session and begins no sign-in. The browser forgets this answer, and asks again when the person
// does.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { GatehouseError } from '../../core/errors.js'
import { sendError } from '../errors.js'
import { isSpeculative } from '../navigation.js'
import type { PageSettings } from '../pages/layout.js'

/** For the scopes whose pages do something. */
export const refuseSpeculation = fp(async (scope: FastifyInstance, { pages }: { readonly pages: PageSettings }) => {
  scope.addHook('onRequest', async (request, reply) => {
    if (isSpeculative(request.headers)) return sendError(new GatehouseError('loaded_ahead'), request, reply, pages)
  })
})
