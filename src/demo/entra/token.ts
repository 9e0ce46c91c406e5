// The token endpoint: authorization codes, refresh tokens and client credentials. Form-encoded only; a body of another
// type is not read, so that `grant_type` is missing from it.
import { createHash, randomInt } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { AadstsError, aadstsBody, explain } from './aadsts.js'
import { isRegistered } from './authorize-request.js'
import { authenticateClient } from './client-auth.js'
import { issueIdToken } from './id-token.js'
import { readParameters, required, type Parameters } from './parameters.js'
import { readScopes } from './scopes.js'
import { resolveTenant } from './tenant.js'
import type { Grant, IssuedCode } from './token-store.js'
import type { World } from './types.js'

const CODE_LIFETIME = 10 * 60_000
const REFRESH_LIFETIME = 90 * 86_400_000

export function tokenRoutes(scope: FastifyInstance, world: World) {
  scope.setErrorHandler((error, request, reply) => {
    const correlationId = String(request.headers['client-request-id'] ?? '') || undefined
    const { code, values } = error instanceof AadstsError ? error : new AadstsError(9002313)
    const body = aadstsBody({ code, values, now: world.now(), ...(correlationId && { correlationId }) })
    return reply.code(explain(code).status).headers({
      'cache-control': 'no-store, no-cache',
      pragma: 'no-cache',
      'x-ms-request-id': body.trace_id,
    })
      .type('application/json; charset=utf-8').send(body)
  })

  scope.post<{ Params: { tenant: string } }>('/:tenant/oauth2/v2.0/token', async (request, reply) => {
    resolveTenant(world, request.params.tenant)
    const form = readParameters(request.body)
    const grant = grants[required(form, 'grant_type')]
    if (!grant) throw new AadstsError(70003, form.grant_type ?? '')
    const body = await grant(world, form, () => authenticateClient(world, request.params.tenant, form, request.headers))
    return reply.headers({ 'cache-control': 'no-store, no-cache', pragma: 'no-cache' }).type(
      'application/json; charset=utf-8',
    ).send(body)
  })
}

type GrantHandler = (world: World, form: Parameters, authenticate: () => Promise<void>) => Promise<unknown>

const grants: Partial<Record<string, GrantHandler>> = {
  async authorization_code(world, form, authenticate) {
    const code = required(form, 'code')
    await authenticate()
    const grant = redeem(world, world.tokens.codes.get(code), code, form)
    return userTokens(world, grant, form)
  },

  async refresh_token(world, form, authenticate) {
    const token = required(form, 'refresh_token')
    await authenticate()
    const issued = world.tokens.refreshTokens.get(token)
    if (!issued) throw new AadstsError(9002313)
    if (world.now() - issued.issuedAt > REFRESH_LIFETIME) throw new AadstsError(70008)
    const validFrom = Date.parse(world.directory.users.get(issued.grant.userId)?.signInSessionsValidFromDateTime ?? '')
    if (validFrom > issued.issuedAt) throw new AadstsError(50173)
    return userTokens(world, issued.grant, form)
  },

  async client_credentials(world, form, authenticate) {
    const scope = required(form, 'scope')
    await authenticate()
    if (!scope.endsWith('/.default')) throw new AadstsError(1002012, scope)
    const { isDefault, oidc } = readScopes(world, scope)
    if (!isDefault || oidc.length > 0) throw new AadstsError(70011, scope)
    const lifetime = 3599
    const token = world.tokens.issueAccessToken({
      kind: 'app',
      permissions: [...world.app.applicationPermissions],
      expiresAt: world.now() + lifetime * 1000,
    })
    return { token_type: 'Bearer', expires_in: lifetime, ext_expires_in: lifetime, access_token: token }
  },
}

function redeem(world: World, issued: IssuedCode | undefined, code: string, form: Parameters): Grant {
  if (!issued) throw code.startsWith('1.') ? new AadstsError(70000, 'code') : new AadstsError(9002313)
  if (issued.redeemed) throw new AadstsError(54005)
  if (world.now() - issued.issuedAt > CODE_LIFETIME) throw new AadstsError(70008)
  const redirectUri = required(form, 'redirect_uri')
  if (redirectUri !== issued.grant.redirectUri || !isRegistered(world.app.redirectUris, redirectUri)) {
    throw new AadstsError(50011, redirectUri, world.app.clientId)
  }
  checkVerifier(issued.grant.challenge, form.code_verifier)
  if (form.scope !== undefined) readScopes(world, form.scope)
  issued.redeemed = true
  return issued.grant
}

/** A verifier without a challenge is refused too: RFC 9700 2.1.1, the downgrade. */
function checkVerifier(challenge: Grant['challenge'], verifier: string | undefined) {
  if (!challenge && verifier === undefined) return
  const computed = challenge?.method === 'S256'
    ? createHash('sha256').update(verifier ?? '').digest('base64url')
    : verifier
  if (verifier === undefined || computed !== challenge?.value) throw new AadstsError(501481)
}

async function userTokens(world: World, grant: Grant, form: Parameters) {
  const user = world.directory.users.get(grant.userId)
  if (!user?.accountEnabled) throw user ? new AadstsError(50057) : new AadstsError(70000, 'code')
  const lifetime = randomInt(3600, 5400) - 1
  const idToken = grant.scopes.includes('openid') ? await issueIdToken(world, grant, user) : undefined
  return {
    token_type: 'Bearer',
    scope: [...grant.scopes.filter((scope) => scope !== 'offline_access'), ...grant.graphScopes].join(' '),
    expires_in: lifetime,
    ext_expires_in: lifetime,
    access_token: world.tokens.issueAccessToken({
      kind: 'delegated',
      userId: user.id,
      permissions: [...grant.graphScopes],
      expiresAt: world.now() + lifetime * 1000,
    }),
    ...(grant.scopes.includes('offline_access') &&
      { refresh_token: world.tokens.issueRefreshToken(grant, world.now()) }),
    ...(idToken !== undefined && { id_token: idToken }),
    ...(form.client_info === '1' && { client_info: clientInfo(world, user.id) }),
  }
}

/** What Microsoft's libraries know an account by. */
function clientInfo(world: World, userId: string): string {
  return Buffer.from(JSON.stringify({ uid: userId, utid: world.tenantId })).toString('base64url')
}
