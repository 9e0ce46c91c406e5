// The API below /admin/api/v1: each endpoint is authenticated before its parameters are looked at, and its answer is
// serialized by its schema.
import swagger from '@fastify/swagger'
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest, FastifySchema, RouteOptions } from 'fastify'
import type { AdminUseCases } from '../../../admin/use-cases.js'
import { GatehouseError } from '../../../core/errors.js'
import { JSON_ANSWER } from '../../errors.js'
import { versionTag } from '../../../core/version-tag.js'
import type { AdminActor, ApiActor, ApiGuard } from '../actor.js'
import type { ActGate, ActRequest } from '../acts/gate.js'
import { isTokenActor } from '../api-guard.js'
import type { Cursors } from '../cursors.js'
import { actExtension, actText, isAct } from './act.js'
import { documentOptions, tagOf } from './document.js'
import type { Endpoint } from './endpoint.js'
import { openapi } from './openapi.js'
import { API_PATH } from './problem.js'
import { refused, strictQuery } from './query.js'
import { createSerializer } from './serializer.js'

export interface ApiScopeOptions {
  readonly apiGuard: ApiGuard
  readonly useCases: AdminUseCases
  readonly cursors: Cursors
  readonly endpoints: readonly Endpoint[]
  /** @throws GatehouseError where an unsafe request is not of the console's origin, or has another form token */
  readonly requireOwnForm: (request: FastifyRequest, actor: AdminActor, token: string | undefined) => void
  /** For acts. */
  readonly apiGate: ActGate<ApiActor>
  /** Of the cookie of the admin session. */
  readonly cookieName: string
}

export async function apiScope(scope: FastifyInstance, options: ApiScopeOptions): Promise<void> {
  const endpoints = [...options.endpoints, openapi(() => scope.swagger() as unknown as Record<string, unknown>)]
  scope.setValidatorCompiler(TypeBoxValidatorCompiler)
  scope.setSchemaErrorFormatter(([first], part) => refused('request_malformed', parameterOf(first, part)))
  scope.addHook('onRequest', async (_request, reply) => {
    reply.headers(JSON_ANSWER) // guard: admin-no-store
  })
  // Otherwise the console's own answer to unknown addresses would match.
  for (const url of [API_PATH, `${API_PATH}/*`]) scope.get(url, unknownAddress)
  await scope.register(swagger, documentOptions(endpoints, options.cookieName))
  await scope.register(async (routes) => {
    for (const endpoint of endpoints) routes.route(routeOf(endpoint, options))
  }, { prefix: `${API_PATH}/v1` })
}

function unknownAddress(): never {
  throw new GatehouseError('not_found')
}

function parameterOf(error: { readonly instancePath?: string } | undefined, part: string): string {
  return error?.instancePath?.split('/')[1] ?? part
}

function routeOf(endpoint: Endpoint, options: ApiScopeOptions): RouteOptions {
  const { apiGuard: guard, apiGate: gate, useCases, cursors, requireOwnForm } = options
  const { method, path, operationId, permission, params, query, response, version, mostBytes, optionalBody } = endpoint
  const actors = new WeakMap<FastifyRequest, ApiActor>()
  return {
    method,
    url: path,
    ...mostBytes === undefined ? {} : { bodyLimit: mostBytes },
    schema: schemaOf(endpoint),
    serializerCompiler: () => createSerializer(response, operationId),
    onRequest: async (request) => {
      if (isAct(endpoint)) {
        const actor = await gate.enter(request, endpoint)
        await gate.own(request, endpoint, actor, tokenOf(request))
        actors.set(request, actor)
        return
      }
      const actor = await guard.authenticate(request, permission) // guard: admin-api-permission
      const isOfBrowser = method !== 'GET' && !isTokenActor(actor)
      if (isOfBrowser) requireOwnForm(request, actor, tokenOf(request)) // guard: admin-api-form
      actors.set(request, actor)
    },
    preValidation: async (request) => {
      request.params = strictQuery(request.params, params) // guard: admin-path-strict
      request.query = strictQuery(request.query, query)
      if (optionalBody && request.body === undefined) request.body = {}
    },
    handler: async (request, reply) => {
      const actor = actors.get(request)
      if (actor === undefined) throw new Error('the request was not authenticated')
      const context = { actor, params: request.params, query: request.query, body: request.body, useCases, request }
      const answer = isAct(endpoint)
        ? await gate.run(
          endpoint,
          askedOf(actor, request),
          (acting) => endpoint.handle({ ...context, acting }, cursors),
        )
        : await endpoint.handle(context, cursors)
      if (version) reply.header('etag', versionTag(version(answer)))
      return answer
    },
  }
}

function schemaOf(endpoint: Endpoint): FastifySchema {
  const { operationId, permission, summary, description, params, query, body, response, act } = endpoint
  return {
    operationId,
    summary,
    description: [
      ...description === undefined ? [] : [`${description}\n\n`],
      `Needs \`${permission}\`.`,
      ...act === undefined || actText(act) === '' ? [] : [` ${actText(act)}`],
    ].join(''),
    tags: [tagOf(endpoint)],
    ...(Object.keys(params.properties).length > 0 ? { params } : {}),
    querystring: query,
    ...(body ? { body } : {}),
    response: { 200: response },
    ...{ 'x-permission': permission, ...act === undefined ? {} : { 'x-act': actExtension(act) } },
  }
}

function askedOf(actor: ApiActor, request: FastifyRequest): ActRequest {
  const { body, headers: { 'if-match': ifMatch } } = request
  const given = request.method === 'DELETE' ? request.query : body
  const { reason } = (given ?? {}) as { readonly reason?: string }
  return { actor, request, body, reason, ifMatch }
}

function tokenOf({ headers }: FastifyRequest): string | undefined {
  const token = headers['x-csrf-token']
  return typeof token === 'string' ? token : undefined
}
