// One endpoint of the API as a value: what it is called with, what it needs, and exactly what it answers. The document,
// its tests and the reference page are made from the same value.
import type { FastifyRequest } from 'fastify'
import Type, { type Static, type TObject, type TSchema } from 'typebox'
import type { AdminUseCases } from '../../../admin/use-cases.js'
import type { Acting } from '../../../core/acts.js'
import type { AdminPermission } from '../../../core/admin-permissions.js'
import type { ErrorCode } from '../../../core/errors.js'
import type { Page } from '../../../core/page.js'
import type { ApiActor } from '../actor.js'
import type { Cursors } from '../cursors.js'
import type { ActDeclaration } from './act.js'
import { UNSAFE_PROBLEMS } from './problem.js'
import { closed, nullable, requireClosed } from './schema.js'

export const MOST_ROWS = 200
export const DEFAULT_ROWS = 50

/** What a handler returns: its schema's type, where nothing has to be mutable. */
export type Answer<Value> = Value extends readonly (infer Item)[] ? readonly Answer<Item>[]
  : Value extends object ? { readonly [Key in keyof Value]: Answer<Value[Key]> }
  : Value

export interface EndpointContext<Params, Query, Body = unknown> {
  readonly actor: ApiActor
  readonly params: Params
  readonly query: Query
  readonly body: Body
  readonly useCases: AdminUseCases
  readonly request: FastifyRequest
}

export interface Described<Params extends TObject, Query extends TObject> {
  /** Below /admin/api/v1, in the router's style: `/people/:id`. */
  readonly path: string
  readonly permission: AdminPermission
  /** A phrase such as "The users, by name". */
  readonly summary: string
  readonly description?: string
  readonly params?: Params
  readonly query?: Query
  /** Of the body, where it may be longer than that of other requests. */
  readonly mostBytes?: number
  /** What the handler throws, beside what every endpoint can answer (COMMON_PROBLEMS). */
  readonly problems?: readonly ErrorCode[]
}

/** Of acts (act.ts). */
export type UnsafeMethod = 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** Every method but GET needs a request of the console's own origin, with the form token. */
export type Method = 'GET' | UnsafeMethod

/** POST is for reads whose parameters do not fit into an address; what changes something is an act (act.ts). */
type ReadMethod =
  | { readonly method: 'GET', readonly changesNothing?: never }
  | { readonly method: 'POST', readonly changesNothing: true }

export interface EndpointSpec<
  Params extends TObject,
  Query extends TObject,
  Response extends TSchema,
  Body extends TObject,
> extends Described<Params, Query> {
  /** JSON; not for GET. */
  readonly body?: Body
  /** Without a body, the one without members counts. */
  readonly optionalBody?: boolean
  readonly response: Response
  /** What an edit of this object must have seen; the ETag is a hash of it. */
  readonly version?: (answer: Answer<Static<Response>>) => unknown
  readonly handle: (
    context: EndpointContext<Static<Params>, Static<Query>, Static<Body>>,
  ) => Promise<Answer<Static<Response>>> | Answer<Static<Response>>
}

/** An endpoint whose types are known to its handler only. */
export interface Endpoint extends Described<TObject, TObject> {
  readonly method: Method
  readonly operationId: string
  readonly params: TObject
  readonly query: TObject
  readonly body: TObject | undefined
  readonly optionalBody: boolean
  readonly problems: readonly ErrorCode[]
  readonly response: TSchema
  readonly version: ((answer: unknown) => unknown) | undefined
  /** Undefined: it changes nothing. */
  readonly act: ActDeclaration | undefined
  /** Acts get `acting` in their context. */
  readonly handle: (
    context: EndpointContext<unknown, unknown> & { readonly acting?: Acting },
    cursors: Cursors,
  ) => unknown
}

/** @throws Error where the response leaves something open (src/http/admin/api/schema.ts), or POST is an act */
export function defineEndpoint<
  Response extends TSchema,
  Params extends TObject = TObject<Record<never, never>>,
  Query extends TObject = TObject<Record<never, never>>,
  Body extends TObject = TObject<Record<never, never>>,
>(spec: EndpointSpec<Params, Query, Response, Body> & ReadMethod): Endpoint {
  const { method, path, changesNothing } = spec
  if (method !== 'GET' && changesNothing !== true) { // guard: act-defined-as-one
    throw new Error(`${method} ${path} changes something: define it with defineAct`)
  }
  return endpointOf({
    ...spec,
    body: spec.body,
    version: spec.version as Endpoint['version'],
    problems: [...(method === 'GET' ? [] : UNSAFE_PROBLEMS), ...spec.problems ?? []],
    handle: spec.handle as Endpoint['handle'],
  })
}

/** @throws Error where the response leaves something open */
export function endpointOf(
  spec: Described<TObject, TObject> & {
    readonly method: Method
    readonly response: TSchema
    readonly body: TObject | undefined
    readonly optionalBody?: boolean
    readonly version?: Endpoint['version']
    readonly handle: Endpoint['handle']
  },
): Endpoint {
  const operationId = operationIdOf(spec.method, spec.path)
  requireClosed(spec.response, operationId)
  return {
    ...spec,
    operationId,
    params: closed(spec.params?.properties ?? {}),
    query: closed(spec.query?.properties ?? {}),
    body: spec.body && closed(spec.body.properties),
    optionalBody: spec.optionalBody ?? false,
    problems: spec.problems ?? [],
    version: spec.version,
    act: undefined,
  }
}

export interface ListSpec<
  Params extends TObject,
  Query extends TObject,
  Item extends TSchema,
  Cursor extends TSchema,
> extends Described<Params, Query> {
  readonly item: Item
  /** What `next` of a page consists of. */
  readonly cursor: Cursor
  readonly handle: (
    context: EndpointContext<Static<Params>, Static<Query>> & {
      readonly page: { readonly after: Static<Cursor> | undefined, readonly limit: number }
    },
  ) => Promise<Page<Answer<Static<Item>>, Static<Cursor>>>
}

/** A list, page by page: `?after=&limit=`, and `{ items, next }`. */
export function defineList<
  Item extends TSchema,
  Cursor extends TSchema,
  Params extends TObject = TObject<Record<never, never>>,
  Query extends TObject = TObject<Record<never, never>>,
>(spec: ListSpec<Params, Query, Item, Cursor>): Endpoint {
  const { item, cursor, handle, ...described } = spec
  const endpoint = defineEndpoint({
    ...described,
    method: 'GET',
    query: closed({ ...spec.query?.properties, ...PAGING }),
    response: closed({
      items: Type.Array(item),
      next: nullable(Type.String({ description: '`after` of the next page; null: this is the last one.' })),
    }),
    handle: () => ({ items: [], next: null }),
  })
  return {
    ...endpoint,
    async handle(context, cursors) {
      const { after, limit = DEFAULT_ROWS, ...query } = context.query as Static<TObject<typeof PAGING>>
      const list = endpoint.operationId
      const page = { after: after === undefined ? undefined : cursors.read(list, cursor, after), limit }
      const known = { ...context, query, page } as Parameters<typeof handle>[0]
      const { rows, next } = await handle(known)
      return { items: rows, next: next === undefined ? null : cursors.write(list, next) }
    },
  }
}

const PAGING = {
  after: Type.Optional(Type.String({ minLength: 1, description: '`next` of the page before.' })),
  limit: Type.Optional(Type.Integer({
    minimum: 1,
    maximum: MOST_ROWS,
    default: DEFAULT_ROWS,
    description: 'The most items of a page.',
  })),
}

/** GET /people/:id/explain is getPeopleByIdExplain. */
function operationIdOf(method: string, path: string): string {
  const words = path.split('/').filter((segment) => segment !== '').map((segment) =>
    segment.startsWith(':') ? `by-${segment.slice(1)}` : segment.replace(/\.json$/, '')
  )
  return [method.toLowerCase(), ...words].join('-').replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
