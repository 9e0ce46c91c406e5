// The public keys of the assertions as a JWK Set (RFC 7517), for applications that verify assertions. Cacheable.
import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { JWKS_MAX_AGE, type KeyRing } from '../core/assertion.js'

export const JWKS_PATH = '/.well-known/jwks.json'

export async function jwksRoutes(scope: FastifyInstance, { keys }: { keys: KeyRing }): Promise<void> {
  scope.get(JWKS_PATH, async (request, reply) => {
    const body = JSON.stringify({
      keys: keys.published().map(({ kty, crv, x, y, kid, use, alg }) => ({ kty, crv, x, y, kid, use, alg })),
    })
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
    reply.headers({ 'cache-control': `public, max-age=${JWKS_MAX_AGE}`, etag, 'x-content-type-options': 'nosniff' })
    if (request.headers['if-none-match']?.split(',').some((known) => known.trim().replace(/^W\//, '') === etag)) {
      return reply.code(304).send()
    }
    return reply.header('content-type', 'application/jwk-set+json').send(Buffer.from(body))
  })
}
