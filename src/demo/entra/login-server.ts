// The login host: every route of the identity platform, one scope per kind because each kind renders its errors
// differently.
import formbody from '@fastify/formbody'
import type { FastifyInstance } from 'fastify'
import { AadstsError, aadstsBody } from './aadsts.js'
import { authorizeRoutes } from './authorize.js'
import { discoveryRoutes, keyRoutes } from './discovery.js'
import type { FaultTarget } from './faults.js'
import { addFaults, createHttpServer, type TlsIdentity } from './http-server.js'
import { logoutRoutes } from './logout.js'
import { errorPage } from './pages.js'
import { tokenRoutes } from './token.js'
import type { World } from './types.js'

type Routes = (scope: FastifyInstance, world: World) => void

const kinds: [FaultTarget, Routes][] = [
  ['discovery', discoveryRoutes],
  ['keys', keyRoutes],
  ['authorize', authorizeRoutes],
  ['token', tokenRoutes],
  ['logout', logoutRoutes],
]

export async function createLoginServer(world: World, tls?: TlsIdentity): Promise<FastifyInstance> {
  const { http, faultInjector } = createHttpServer(world, 'login', tls)
  http.removeAllContentTypeParsers()
  await http.register(formbody)
  // A body of any other type is not read: its parameters are missing.
  http.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume()
    payload.on('end', () => done(null, {}))
  })

  http.addHook('onRequest', async (_request, reply) => {
    reply.headers({
      'cache-control': 'no-store, no-cache',
      'x-content-type-options': 'nosniff',
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; frame-src *; frame-ancestors 'none'; " +
        "base-uri 'none'",
    })
  })
  http.setErrorHandler((error, _request, reply) => {
    const { code, values } = error instanceof AadstsError ? error : new AadstsError(9002313)
    return reply.code(400).type('text/html; charset=utf-8').send(
      errorPage(aadstsBody({ code, values, now: world.now() }).error_description),
    )
  })
  http.setNotFoundHandler((_request, reply) =>
    reply.code(404).type('text/html; charset=utf-8').send(errorPage('There is no such page.'))
  )

  for (const [target, routes] of kinds) {
    await http.register(async (scope) => {
      addFaults(scope, world, faultInjector, target)
      routes(scope, world)
    })
  }
  http.get(
    '/',
    async (_request, reply) =>
      reply.type('text/html; charset=utf-8').send(errorPage('Sign-in starts at the application, not here.')),
  )
  http.get(
    '/form-post.js',
    async (_request, reply) => reply.type('text/javascript').send('document.forms[0].submit()\n'),
  )
  return http
}
