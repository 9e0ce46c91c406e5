// The OpenAPI document of the API: @fastify/swagger reads the routes, and what holds for all of them is added here.
import { STATUS_CODES } from 'node:http'
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import type { ErrorCode } from '../../../core/errors.js'
import type { Endpoint } from './endpoint.js'
import { COMMON_PROBLEMS, PROBLEM_SCHEMA, PROBLEM_TYPE, statusOf } from './problem.js'

type Json = Record<string, unknown>

/** What the endpoints below each first segment are about. */
const TAGS: Readonly<Record<string, string>> = {
  access: 'The access rules in force, and how often each one was used',
  audit: 'The record of sign-ins and of every change',
  doctor: 'The checks of everything that a sign-in needs',
  groups: 'Local groups with their permissions and members',
  health: 'What this gateway and its surroundings report',
  keys: 'The signing keys',
  mapping: 'The group mapping in force, and whom each row reaches',
  me: 'The administrator who asks',
  metrics: 'Counts over time',
  names: 'Usernames that former users keep',
  openapi: 'This document',
  overview: 'The figures of the first page of the console',
  people: 'Users with their rights and the reason for each',
  superusers: 'Who was superuser at a time',
  policy: 'The configuration of rights in force, and what it would decide',
  images: 'Pictures that policies in the database name',
  reviews: 'Who has which right and why, and what reviewers found of it',
  sessions: 'Active sessions',
  system: 'The gateway, its replicas and its database',
  tokens: 'API tokens of programs',
}

const IF_MATCH = {
  name: 'If-Match',
  in: 'header',
  required: true,
  description: '`ETag` of the object as it was seen.',
  schema: { type: 'string' },
}

const PROBLEM = { $ref: '#/components/schemas/Problem' }

export function documentOptions(endpoints: readonly Endpoint[], cookieName: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Gatehouse admin API',
        version: '1',
        description:
          'Everything that the admin console shows and does. Errors are problems (RFC 9457) with stable codes.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/admin/api/v1', description: 'The gateway itself' }],
      security: [{ adminSession: [] }, { apiToken: [] }],
      components: {
        securitySchemes: {
          adminSession: {
            type: 'apiKey',
            in: 'cookie',
            name: cookieName,
            description: 'The cookie of the admin session, which a fresh sign-in at /admin gives.',
          },
          apiToken: {
            type: 'http',
            scheme: 'bearer',
            description: 'An API token (`gha_...`): what its scopes and the rights of its owner at that moment both ' +
              'allow. `byToken` of `x-act` says which acts are never by token.',
          },
        },
      },
    },
    transformObject: (document) => {
      const { openapiObject } = document as unknown as { openapiObject: Json }
      return completed(openapiObject, endpoints) as ReturnType<
        NonNullable<FastifyDynamicSwaggerOptions['transformObject']>
      >
    },
  }
}

function completed(document: Json, endpoints: readonly Endpoint[]): Json {
  const byId = new Map(endpoints.map((endpoint) => [endpoint.operationId, endpoint]))
  const paths = document['paths'] as Record<string, Record<string, Json>>
  for (const operation of Object.values(paths).flatMap((path) => Object.values(path))) {
    const endpoint = byId.get(operation['operationId'] as string)
    if (endpoint === undefined) continue
    const { 200: answer } = operation['responses'] as Record<string, Json>
    if (endpoint.optionalBody) operation['requestBody'] = { ...operation['requestBody'] as Json, required: false }
    if (endpoint.act?.ifMatch) operation['parameters'] = [...(operation['parameters'] ?? []) as Json[], IF_MATCH]
    operation['responses'] = { 200: { ...answer, ...answerOf(endpoint) }, ...problemsOf(endpoint.problems) }
  }
  const tags = [...new Set(endpoints.map(tagOf))].sort()
  return {
    ...document,
    tags: tags.map((name) => ({ name, ...(TAGS[name] === undefined ? {} : { description: TAGS[name] }) })),
    components: {
      ...(document['components'] as Json),
      schemas: { Problem: PROBLEM_SCHEMA },
      responses: Object.fromEntries(
        [...byStatus(COMMON_PROBLEMS)].map(([status, codes]) => [`Problem${status}`, problem(status, codes)]),
      ),
    },
  }
}

function answerOf({ summary, version }: Endpoint): Json {
  const etag = { description: 'A hash of what an edit must have seen.', required: true, schema: { type: 'string' } }
  return { description: summary, ...(version ? { headers: { ETag: etag } } : {}) }
}

/** Statuses with the common codes alone are described once for all endpoints. */
function problemsOf(own: readonly ErrorCode[]): Json {
  const all = byStatus([...COMMON_PROBLEMS, ...own])
  const ownStatuses = new Set(own.map(statusOf))
  return Object.fromEntries(
    [...all].map(([status, codes]) => [
      status,
      ownStatuses.has(status) ? problem(status, codes) : { $ref: `#/components/responses/Problem${status}` },
    ]),
  )
}

function problem(status: number, codes: readonly ErrorCode[]): Json {
  const schema = { allOf: [PROBLEM, { type: 'object', properties: { code: { enum: codes } } }] }
  return {
    description: `${STATUS_CODES[status]}: ${codes.map((code) => `\`${code}\``).join(', ')}`,
    content: { [PROBLEM_TYPE]: { schema } },
  }
}

function byStatus(codes: readonly ErrorCode[]): Map<number, ErrorCode[]> {
  const found = new Map<number, ErrorCode[]>()
  for (const code of new Set(codes)) found.set(statusOf(code), [...found.get(statusOf(code)) ?? [], code])
  return new Map([...found].sort(([a], [b]) => a - b))
}

/** The first segment of its path: `people`. */
export function tagOf({ path }: Pick<Endpoint, 'path'>): string {
  return (path.split('/')[1] ?? '').replace(/\..*$/, '')
}
