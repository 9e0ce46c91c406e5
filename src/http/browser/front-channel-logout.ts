// Entra ID's front-channel logout: signing out of Microsoft in this browser ends the session here. Entra ID loads this
// address in a hidden frame with its own session id. Browsers do not send our cookie in such frames, so only the id is
// used: it cannot be guessed, and it can only end sessions (OpenID Connect Front-Channel Logout 1.0; Entra ID sends no
// `iss`).
import type { FastifyInstance } from 'fastify'
import { GatehouseError } from '../../core/errors.js'
import type { SessionStore } from '../../core/session.js'
import { queryParameters } from '../query.js'

export interface FrontChannelLogoutOptions {
  /** Origin of Entra ID's pages, the only one that may frame the response. */
  readonly authority: string
  readonly sessions: Pick<SessionStore, 'endByEntraSid'>
}

const SID = /^[\w.-]{8,200}$/

export async function frontChannelLogoutRoutes(
  scope: FastifyInstance,
  { authority, sessions }: FrontChannelLogoutOptions,
): Promise<void> {
  scope.get('/oauth2/frontchannel-logout', async (request, reply) => {
    const { sid = '' } = queryParameters(request.query, ['sid'])
    if (!SID.test(sid)) {
      throw new GatehouseError('sid_malformed', {
        detail: 'front-channel logout without a usable sid',
        remedy: 'Entra ID sends it where the optional claim `sid` is in the ID token of the registration.',
      })
    }
    const ended = await sessions.endByEntraSid(sid, request.id)
    request.log.info({ sessionsEnded: ended.length }, 'front-channel logout')
    // The response is the same for every sid, so it does not reveal whether a session exists.
    return reply.code(200).headers({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `default-src 'none'; frame-ancestors ${authority}`,
      'x-content-type-options': 'nosniff',
    }).send('<!doctype html><title>Signed out</title>')
  })
}
