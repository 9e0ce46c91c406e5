// Sign-out: ends the simulator's session, notifies the application in a frame and redirects. The address must be
// registered.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hinted } from './login-hint.js'
import { signedOutPage, signOutPicker } from './pages.js'
import { readParameters, type Parameters } from './parameters.js'
import { cookiePlace, readCookie, SESSION_COOKIE, type BrowserSession } from './sessions.js'
import { resolveTenant } from './tenant.js'
import type { World } from './types.js'

interface TenantRoute {
  Params: { tenant: string }
}

export function logoutRoutes(scope: FastifyInstance, world: World) {
  scope.get<TenantRoute>('/:tenant/oauth2/v2.0/logout', async (request, reply) => {
    resolveTenant(world, request.params.tenant)
    const parameters = readParameters(request.query)
    const session = sessionOf(world, request)
    const user = session && world.directory.users.get(session.userId)
    // Only a logout_hint that names the signed-in account spares the question.
    if (user && (parameters.logout_hint === undefined || hinted(world, parameters.logout_hint)?.id !== user.id)) {
      return html(reply).send(signOutPicker(request.url.split('?')[0] ?? '', user, parameters))
    }
    return signOut(world, reply, { tenant: request.params.tenant, parameters, session })
  })
  scope.post<TenantRoute>('/:tenant/oauth2/v2.0/logout', async (request, reply) => {
    resolveTenant(world, request.params.tenant)
    const parameters = readParameters(request.body)
    return signOut(world, reply, { tenant: request.params.tenant, parameters, session: sessionOf(world, request) })
  })
}

const html = (reply: FastifyReply) => reply.code(200).type('text/html; charset=utf-8')
const sessionOf = (world: World, request: FastifyRequest) =>
  world.sessions.find(readCookie(request.headers.cookie, SESSION_COOKIE))

interface SignOut {
  readonly tenant: string
  readonly parameters: Parameters
  readonly session: BrowserSession | undefined
}

function signOut(world: World, reply: FastifyReply, { tenant, parameters, session }: SignOut) {
  const { app } = world
  if (session) world.sessions.end(session.id)
  reply.header('set-cookie', `${SESSION_COOKIE}=; ${cookiePlace(tenant)}; Max-Age=0`)
  const frame = session && app.frontChannelLogoutUrl !== undefined
    ? withParameter(app.frontChannelLogoutUrl, 'sid', session.sid)
    : undefined
  const wanted = parameters.post_logout_redirect_uri
  if (wanted !== undefined && !app.redirectUris.includes(wanted)) {
    return html(reply).send(
      signedOutPage({
        ...(frame !== undefined && { frame }),
        notice: `The address to go back to, ${wanted}, is not registered for the application.`,
      }),
    )
  }
  const next = wanted === undefined || parameters.state === undefined
    ? wanted
    : withParameter(wanted, 'state', parameters.state)
  if (next !== undefined && frame === undefined) return reply.redirect(next, 302)
  return html(reply).send(signedOutPage({ ...(frame !== undefined && { frame }), ...(next !== undefined && { next }) }))
}

function withParameter(address: string, name: string, value: string) {
  const url = new URL(address)
  url.searchParams.set(name, value)
  return url.href
}
