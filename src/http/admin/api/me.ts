// Who asks, with which permissions: what a program reads first.
import Type from 'typebox'
import { defineEndpoint } from './endpoint.js'
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
    csrfToken: Type.String({ description: 'Header X-CSRF-Token of every request that changes something.' }),
    authenticatedAt: instant('When Entra ID last authenticated this administrator for the console.'),
    sessionId: Type.String({ description: 'Public id of the session.', examples: ['ses_3vXq0b9Zk1Tt'] }),
  }),
  handle: ({ actor }) => ({
    username: actor.username,
    name: actor.name,
    permissions: [...actor.permissions].sort(),
    csrfToken: actor.csrfToken,
    authenticatedAt: new Date(actor.authenticatedAt * 1000).toISOString(),
    sessionId: actor.sessionId,
  }),
})
