// Who asks, with which permissions: what a program reads first.
import Type from 'typebox'
import { defineEndpoint } from './endpoint.js'
import type { AdminActor, TokenActor } from '../actor.js'
import { isTokenActor } from '../api-guard.js'
import { closed, instant, nullable } from './schema.js'

export const me = defineEndpoint({
  method: 'GET',
  path: '/me',
  permission: 'gatehouse.read',
  summary: 'The administrator who asks',
  response: closed({
    username: Type.String({ examples: ['sue'] }),
    name: nullable(Type.String({ examples: ['Sue Superuser'] })),
    permissions: Type.Array(Type.String({ examples: ['gatehouse.read'] }), { description: 'Sorted.' }),
    csrfToken: nullable(Type.String({
      description: 'Header X-CSRF-Token of every request that changes something; null: an API token needs none.',
    })),
    authenticatedAt: nullable(
      instant('When Entra ID last authenticated this administrator for the console; null: an API token asks.'),
    ),
    sessionId: nullable(Type.String({ description: 'Public id of the session.', examples: ['ses_3vXq0b9Zk1Tt'] })),
    tokenId: nullable(Type.String({ description: 'Public id of the API token.', examples: ['tok_3vXq0b9Zk1Tt'] })),
  }),
  handle: ({ actor }) => ({
    username: actor.username,
    name: actor.name,
    permissions: [...actor.permissions].sort(),
    ...isTokenActor(actor) ? ofToken(actor) : ofSession(actor),
  }),
})

function ofToken({ tokenId }: TokenActor) {
  return { csrfToken: null, authenticatedAt: null, sessionId: null, tokenId }
}

function ofSession({ csrfToken, authenticatedAt, sessionId }: AdminActor) {
  return { csrfToken, authenticatedAt: new Date(authenticatedAt * 1000).toISOString(), sessionId, tokenId: null }
}
