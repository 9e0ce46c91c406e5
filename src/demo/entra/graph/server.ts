// The Graph host: the routes of v1.0 that group mapping and re-evaluation read.
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AnswerFault, PageFault } from '../faults.js'
import type { FaultInjector } from '../fault-injector.js'
import { addFaults, createHttpServer, type TlsIdentity } from '../http-server.js'
import type { World } from '../types.js'
import {
  mayReadDetails,
  readCaller,
  requireApplicationRead,
  requireGroup,
  requireMembershipAccess,
  requireUser,
} from './access.js'
import { answerBatch } from './batch.js'
import { createDelta } from './delta.js'
import { badRequest, GraphError, graphErrorBody, notFound, ResyncRequired } from './errors.js'
import { locate, renderPage, type CollectionRequest } from './memberships.js'
import { createPageTokens } from './page-token.js'
import { readCollectionQuery, readSelect } from './query.js'
import { applicationProperties, objectProperties, userProperties } from './render.js'
import { addThrottling } from './throttling.js'

const DIAGNOSTIC = JSON.stringify({
  ServerInfo: { DataCenter: 'West Europe', Slice: 'E', Ring: '5', ScaleUnit: '002', RoleInstance: 'AM2PEPF0001FAKE' },
})
const CHALLENGE = 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", ' +
  'client_id="00000003-0000-0000-c000-000000000000"'

interface GraphRoute {
  Params: { id?: string, collection?: string, type?: string }
  Querystring: Record<string, string>
}
type GraphRequest = FastifyRequest<GraphRoute>

export async function createGraphServer(world: World, tls?: TlsIdentity): Promise<FastifyInstance> {
  const { http, faultInjector } = createHttpServer(world, 'graph', tls)
  identify(http, world)
  await http.register(async (scope) => {
    addFaults(scope, world, faultInjector, 'graph')
    addThrottling(scope, world.throttle)
    addDeltaRoutes(scope, world)
    addUserRoutes(scope, world, faultInjector)
    addDirectoryRoutes(scope, world)
    scope.post('/$batch', async (request, reply) => sendJson(reply, await answerBatch(http, request)))
  }, { prefix: '/v1.0' })
  return http
}

/** A user and the user's memberships, by id or as `/me`. */
function addUserRoutes(scope: FastifyInstance, world: World, faultInjector: FaultInjector) {
  const tokens = createPageTokens(world.pageTokenLifetime)
  const memberships = async (request: GraphRequest, reply: FastifyReply) => {
    const wanted = readMemberships(world, request)
    const collection = locate(world, tokens, wanted)
    const faults = world.faults.forPage(request.url, collection.info)
    const answers = faults.filter((fault): fault is AnswerFault => !isPageFault(fault))
    if (await faultInjector.inject(answers, request, reply)) return reply
    return sendJson(reply, renderPage(world, tokens, wanted, collection, faults.filter(isPageFault)))
  }
  for (const owner of ['/me', '/users/:id']) {
    scope.get<GraphRoute>(owner, async (request, reply) => sendJson(reply, readUser(world, request)))
    scope.get<GraphRoute>(`${owner}/:collection(^memberOf|transitiveMemberOf$)`, memberships)
    scope.get<GraphRoute>(`${owner}/:collection(^memberOf|transitiveMemberOf$)/:type`, memberships)
  }
}

/** Delta queries of all users, and of groups. */
function addDeltaRoutes(scope: FastifyInstance, world: World) {
  const answer = createDelta(world)
  for (const kind of ['users', 'groups'] as const) {
    for (const name of ['delta', 'microsoft.graph.delta']) {
      scope.get<GraphRoute>(
        `/${kind}/${name}`,
        async (request, reply) =>
          sendJson(reply, answer(kind, readCaller(world, request.headers.authorization), request.query)),
      )
    }
  }
}

/** Groups, the registration, and the root. */
function addDirectoryRoutes(scope: FastifyInstance, world: World) {
  scope.get<GraphRoute>('/groups/:id', async (request, reply) => sendJson(reply, readGroup(world, request)))
  scope.get<{ Params: { segment: string }, Querystring: Record<string, string> }>(
    '/:segment',
    async ({ params, headers, query }, reply) =>
      sendJson(reply, readApplication(world, params.segment, headers.authorization, readSelect(query.$select))),
  )
  // Needs no token: an answer proves that the network reaches Graph, and nothing else.
  scope.get(
    '/',
    async (_request, reply) =>
      sendJson(reply, {
        '@odata.context': `${world.graphUrl}/v1.0/$metadata`,
        value: [{ name: 'users', kind: 'EntitySet', url: 'users' }],
      }),
  )
}

const pageFaults: readonly string[] = [
  'expiredPageToken',
  'foreignNextLink',
  'loopingNextLink',
  'emptyPage',
] satisfies PageFault['kind'][]
const isPageFault = (fault: AnswerFault | PageFault): fault is PageFault => pageFaults.includes(fault.kind)

const sendJson = (reply: FastifyReply, body: object) =>
  reply.type('application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8').send(
    JSON.stringify(body),
  )

/** The headers of every answer, errors included, and the error envelope. */
function identify(http: FastifyInstance, world: World) {
  http.addHook('onRequest', async (request, reply) => {
    const requestId = randomUUID()
    reply.headers({
      'cache-control': 'no-cache',
      'request-id': requestId,
      'client-request-id': String(request.headers['client-request-id'] ?? requestId),
      'x-ms-ags-diagnostic': DIAGNOSTIC,
    })
  })
  const send = (error: GraphError, reply: FastifyReply) => {
    if (error.status === 401) reply.header('www-authenticate', CHALLENGE)
    if (error instanceof ResyncRequired) reply.header('location', error.location)
    const ids = {
      requestId: String(reply.getHeader('request-id')),
      clientRequestId: String(reply.getHeader('client-request-id')),
    }
    return reply.code(error.status).type('application/json').send(
      JSON.stringify(graphErrorBody(error, ids, world.now())),
    )
  }
  http.setErrorHandler((error, _request, reply) => send(toGraphError(error), reply))
  http.setNotFoundHandler((request, reply) =>
    send(
      new GraphError(404, 'BadRequest', `Resource not found for the segment '${request.url.split(/[/?]/)[2] ?? ''}'.`),
      reply,
    )
  )
}

function toGraphError(error: unknown): GraphError {
  if (error instanceof GraphError) return error
  const { statusCode } = error as { statusCode?: number }
  return statusCode !== undefined && statusCode < 500
    ? new GraphError(statusCode, 'BadRequest', 'Unable to read JSON request payload.')
    : new GraphError(500, 'InternalServerError', String(error))
}

function readMemberships(world: World, request: GraphRequest): CollectionRequest {
  const { id, collection, type } = request.params
  const caller = readCaller(world, request.headers.authorization)
  const user = requireUser(world, caller, id, 'memberships')
  const query = readCollectionQuery(request.query, request.headers.consistencylevel, type)
  requireMembershipAccess(user, query.cast)
  const { directory } = world
  const ids = collection === 'memberOf' ? directory.directMemberOf(user.id) : directory.transitiveMemberOf(user.id)
  const parameters = Object.entries(request.query).filter(([name]) => name !== '$skiptoken')
  return {
    caller,
    ids,
    query,
    path: request.url.split('?')[0] ?? '',
    parameters,
    untyped: /odata\.metadata=none/i.test(request.headers.accept ?? ''),
  }
}

function readUser(world: World, request: GraphRequest) {
  const caller = readCaller(world, request.headers.authorization)
  const user = requireUser(world, caller, request.params.id, 'user')
  return entity(world, 'users', readSelect(request.query.$select), (select) => userProperties(user, select))
}

function readGroup(world: World, request: GraphRequest) {
  const caller = readCaller(world, request.headers.authorization)
  const group = requireGroup(world, caller, request.params.id ?? '')
  const all = objectProperties(group, mayReadDetails(world, caller, 'group'))
  return entity(world, 'groups', readSelect(request.query.$select), (select) => selected(all, select))
}

/** `applications(appId='...')`: the registration by its client id. */
function readApplication(world: World, segment: string, authorization: string | undefined, select: string[]) {
  const [, appId] = /^applications\(appId='([\w-]+)'\)$/.exec(segment) ?? []
  if (appId === undefined) throw new GraphError(404, 'BadRequest', `Resource not found for the segment '${segment}'.`)
  requireApplicationRead(readCaller(world, authorization))
  if (appId !== world.app.clientId) throw notFound(appId)
  const all = applicationProperties(world.app)
  return entity(world, 'applications', select, () => selected(all, select))
}

/** undefined where a selected property does not exist */
function selected(all: Record<string, unknown>, select: readonly string[]): Record<string, unknown> | undefined {
  if (select.length === 0) return all
  return select.every((name) => name in all) ? Object.fromEntries(select.map((name) => [name, all[name]])) : undefined
}

function entity(
  world: World,
  set: string,
  select: string[],
  read: (select: string[]) => Record<string, unknown> | undefined,
) {
  const properties = read(select)
  if (!properties) throw badRequest('Parsing OData Select and Expand failed: Could not find a selected property.')
  return {
    '@odata.context': `${world.graphUrl}/v1.0/$metadata#${set}${
      select.length > 0 ? `(${select.join(',')})` : ''
    }/$entity`,
    ...properties,
  }
}
