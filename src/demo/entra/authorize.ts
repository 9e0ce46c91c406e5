// The authorization endpoint and the sign-in form behind it.
//
// Without a browser: POST the form (sign-in-as.ts does). `POST /{tenant}/login`, form-encoded, with the parameters of
// the authorization request and `person=<user id>` (or `action=cancel`, `action=decline`) answers with the redirect to
// the application; no cookie is needed.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AadstsError, aadstsBody } from './aadsts.js'
import { readAuthorizeRequest, readReplyTarget, type AuthorizeRequest, type ReplyTarget } from './authorize-request.js'
import { sendCallback, sendErrorCallback } from './callback.js'
import { hinted } from './login-hint.js'
import { signInPage } from './pages.js'
import { readParameters, type Parameters } from './parameters.js'
import { cookiePlace, readCookie, SESSION_COOKIE, type BrowserSession } from './sessions.js'
import type { World } from './types.js'

interface TenantRoute {
  Params: { tenant: string }
}

export function authorizeRoutes(scope: FastifyInstance, world: World) {
  scope.get<TenantRoute>(
    '/:tenant/oauth2/v2.0/authorize',
    async (request, reply) => authorize(world, request.params.tenant, readParameters(request.query), request, reply),
  )
  scope.post<TenantRoute>(
    '/:tenant/oauth2/v2.0/authorize',
    async (request, reply) => authorize(world, request.params.tenant, readParameters(request.body), request, reply),
  )
  scope.post<TenantRoute>(
    '/:tenant/login',
    async (request, reply) => signIn(world, request.params.tenant, readParameters(request.body), request, reply),
  )
}

async function authorize(
  world: World,
  tenant: string,
  parameters: Parameters,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const target = readReplyTarget(world, tenant, parameters)
  return withErrorCallback(world, reply, target, () => {
    const authorizeRequest = readAuthorizeRequest(world, parameters)
    const session = activeSession(world, request)
    const interaction = interactionError(world, authorizeRequest, session)
    if (authorizeRequest.prompt === 'none' && interaction !== undefined) {
      throw new AadstsError(interaction, world.app.clientId)
    }
    if (session && interaction === undefined) return complete(world, reply, target, authorizeRequest, session)
    return showSignIn(world, target, tenant, parameters, reply, authorizeRequest.loginHint)
  })
}

async function signIn(world: World, tenant: string, form: Parameters, request: FastifyRequest, reply: FastifyReply) {
  const { person, action, ...parameters } = form
  const target = readReplyTarget(world, tenant, parameters)
  return withErrorCallback(world, reply, target, () => {
    const authorizeRequest = readAuthorizeRequest(world, parameters)
    if (action === 'cancel') {
      return sendCallback(world, reply, target, { error: 'access_denied', error_subcode: 'cancel' })
    }
    if (action === 'decline') throw new AadstsError(65004)
    const user = world.directory.users.get(person ?? '')
    if (!user) return showSignIn(world, target, tenant, parameters, reply, undefined, 'Pick one of the accounts.')
    if (!user.accountEnabled) {
      return showSignIn(world, target, tenant, parameters, reply, undefined, describe(world, 50057))
    }
    // The same browser keeps its sid while the same person signs in again.
    const known = activeSession(world, request)
    const session = known?.userId === user.id ? known : world.sessions.start(user.id, world.now())
    if (authorizeRequest.prompt === 'login') session.authenticatedAt = world.now()
    const secure = world.url.startsWith('https:') ? '; Secure' : ''
    reply.header('set-cookie', `${SESSION_COOKIE}=${session.id}; ${cookiePlace(tenant)}${secure}`)
    world.consents.add(user.id)
    return complete(world, reply, target, authorizeRequest, session)
  })
}

/** Once the redirect URI is known to be the application's, errors go there. */
async function withErrorCallback(world: World, reply: FastifyReply, target: ReplyTarget, work: () => unknown) {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AadstsError) return sendErrorCallback(world, reply, target, error)
    throw error
  }
}

/** Ended by disabling or deleting the person, and by "revoke sessions" in the portal. */
function activeSession(world: World, request: FastifyRequest) {
  const session = world.sessions.find(readCookie(request.headers.cookie, SESSION_COOKIE))
  const user = session && world.directory.users.get(session.userId)
  if (!session || !user?.accountEnabled) return undefined
  return Date.parse(user.signInSessionsValidFromDateTime) > session.startedAt ? undefined : session
}

/**
 * The error that `prompt=none` gets because the user has to act; undefined where the session suffices.
 */
function interactionError(
  world: World,
  authorizeRequest: AuthorizeRequest,
  session: BrowserSession | undefined,
): number | undefined {
  const { prompt, loginHint } = authorizeRequest
  if (!session || (prompt !== undefined && prompt !== 'none')) return 50058
  if (loginHint !== undefined && hinted(world, loginHint)?.id !== session.userId) return 50058
  return world.app.adminConsent === false && !world.consents.has(session.userId) ? 65001 : undefined
}

function showSignIn(
  world: World,
  target: ReplyTarget,
  tenant: string,
  parameters: Parameters,
  reply: FastifyReply,
  hint?: string,
  error?: string,
) {
  const first = hint === undefined ? undefined : hinted(world, hint)
  const people = [...world.directory.users.values()].sort((a, b) => Number(b === first) - Number(a === first))
  const appName = world.app.displayName ?? world.app.clientId
  const action = `/${encodeURIComponent(tenant)}/login`
  const appHost = new URL(target.redirectUri).host
  return reply.code(200).type('text/html; charset=utf-8')
    .send(signInPage({ action, appName, appHost, people, parameters, ...(error !== undefined && { error }) }))
}

const describe = (world: World, code: number) => aadstsBody({ code, now: world.now() }).error_description

function complete(
  world: World,
  reply: FastifyReply,
  target: ReplyTarget,
  authorizeRequest: AuthorizeRequest,
  session: BrowserSession,
) {
  requireAssignment(world, session.userId)
  const { scopes, graphScopes, nonce, challenge, acrs } = authorizeRequest
  const code = world.tokens.issueCode({
    userId: session.userId,
    sid: session.sid,
    authenticatedAt: session.authenticatedAt,
    redirectUri: target.redirectUri,
    scopes,
    graphScopes,
    ...(nonce !== undefined && { nonce }),
    ...(challenge && { challenge }),
    ...(acrs !== undefined && { acrs }),
  }, world.now())
  return sendCallback(world, reply, target, { code, session_state: session.sid })
}

/** Assignment counts for the person and for groups they are in directly: nested groups do not. */
function requireAssignment(world: World, userId: string) {
  const { app, directory } = world
  const assigned = app.assignedUsers ?? []
  if (
    app.assignmentRequired !== true || [userId, ...directory.directMemberOf(userId)].some((id) => assigned.includes(id))
  ) return
  throw new AadstsError(50105, app.clientId, app.displayName ?? app.clientId)
}
