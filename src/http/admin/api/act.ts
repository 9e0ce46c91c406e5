// One act of the API as a value: an endpoint that changes something, with what the frame has to check before it. None
// of these can be left out; acts/gate.ts checks them, and the document declares them.
import Type, { type Static, type TObject, type TProperties, type TSchema } from 'typebox'
import type { AdminPermission } from '../../../core/admin-permissions.js'
import type { Acting } from '../../../core/acts.js'
import type { ErrorCode } from '../../../core/errors.js'
import {
  endpointOf,
  type Answer,
  type Described,
  type Endpoint,
  type EndpointContext,
  type UnsafeMethod,
} from './endpoint.js'
import { UNSAFE_PROBLEMS } from './problem.js'

/** For acts of which some requests alone need a fresh sign-in. */
export interface StepUpWhere {
  /** In which case, for the document: "where `all` is true". */
  readonly where: string
  /** @param body as the schema has accepted it */
  readonly isDue: (body: unknown) => boolean
}

export interface ActDeclaration {
  /** Whether the administrator must have been authenticated within `admin.stepUp`. */
  readonly stepUp: boolean | StepUpWhere
  /** Whether the request names the version that the administrator has seen. */
  readonly ifMatch: boolean
  /** `required` where something is taken away: in the query of DELETE, otherwise in the body. */
  readonly reason: 'required' | 'none'
  /**
   * Whether an API token may do this: never where a fresh sign-in is due, except for deploys where `admin.tokenDeploy`
   * or `admin.approvals` says so.
   */
  readonly byToken: boolean | 'tokenDeploy'
  /** It opens the act too; the use case says which request needs which permission. */
  readonly orPermission?: AdminPermission | undefined
}

export interface ActSpec<
  Params extends TObject,
  Body extends TObject,
  Response extends TSchema,
  Query extends TObject,
> extends ActDeclaration, Omit<Described<Params, TObject>, 'query'> {
  readonly method: UnsafeMethod
  readonly body?: Body
  /** Of DELETE, which has no body. */
  readonly query?: Query
  readonly response: Response
  readonly handle: (
    context: ActContext<Static<Params>, Static<Body>, Static<Query>>,
  ) => Promise<Answer<Static<Response>>> | Answer<Static<Response>>
}

export interface ActContext<Params, Body, Query> extends EndpointContext<Params, Query, Body> {
  /** For the use case: who acts, why, and which version was seen. */
  readonly acting: Acting
}

/** An endpoint that is an act. */
export interface Act extends Endpoint {
  readonly act: ActDeclaration
}

export const MOST_REASON = 500

export const Reason = Type.String({
  minLength: 1,
  maxLength: MOST_REASON,
  // Without a lookahead, which would make the random requests of the tests slow.
  pattern: '^[^\\S\\u0000-\\u001F]*[^\\s\\u0000-\\u001F\\u007F][^\\u0000-\\u001F\\u007F]*$',
  description: 'Why; the audit record keeps it.',
  examples: ['The laptop was lost.'],
})

/** @throws Error where the declaration is not complete, or the response leaves something open */
export function defineAct<
  Response extends TSchema,
  Params extends TObject = TObject<Record<never, never>>,
  Body extends TObject = TObject<Record<never, never>>,
  Query extends TObject = TObject<Record<never, never>>,
>(spec: ActSpec<Params, Body, Response, Query>): Act {
  const { stepUp, ifMatch, reason, byToken, orPermission, ...described } = spec
  const act = { stepUp, ifMatch, reason, byToken, ...orPermission === undefined ? {} : { orPermission } }
  requireDeclared(act, spec)
  const inQuery = spec.method === 'DELETE'
  const asked: TProperties = reason === 'required' ? { reason: Reason } : {}
  const body = inQuery ? {} : { ...spec.body?.properties, ...asked }
  const endpoint = endpointOf({
    ...described,
    problems: [...UNSAFE_PROBLEMS, ...problemsOf(act), ...spec.problems ?? []],
    query: Type.Object(inQuery ? { ...spec.query?.properties, ...asked } : {}),
    body: Object.keys(body).length > 0 ? Type.Object(body) : undefined,
    handle: spec.handle as Endpoint['handle'],
  })
  return { ...endpoint, act }
}

/** A program without types must not start with an act that declares less. */
function requireDeclared(
  act: ActDeclaration,
  { method, path, body, query }: Pick<
    ActSpec<TObject, TObject, TSchema, TObject>,
    'method' | 'path' | 'body' | 'query'
  >,
): void {
  const { stepUp, ifMatch, reason, byToken } = act
  const isStepUp = typeof stepUp === 'boolean' || typeof stepUp?.isDue === 'function'
  const isByToken = typeof byToken === 'boolean' || byToken === 'tokenDeploy'
  const isDeclared = isStepUp && typeof ifMatch === 'boolean' && isByToken &&
    (reason === 'required' || reason === 'none')
  if (!isDeclared) { // guard: act-declared
    throw new Error(`${method} ${path} must declare stepUp, ifMatch, reason and byToken`)
  }
  if (stepUp === true && byToken === true) { // guard: token-no-sign-in
    throw new Error(`${method} ${path} needs a fresh sign-in, so it cannot be by token`)
  }
  if (method === 'DELETE' && body !== undefined) throw new Error(`${method} ${path} cannot have a body`)
  if (method !== 'DELETE' && query !== undefined) throw new Error(`${method} ${path} cannot have a query`)
}

function problemsOf({ stepUp, ifMatch, byToken }: ActDeclaration): readonly ErrorCode[] {
  return [
    'above_own_rights',
    ...stepUp === false ? [] : ['step_up_required' as const],
    ...byToken === true && stepUp === false ? [] : ['not_by_token' as const],
    ...ifMatch ? ['version_missing' as const, 'version_stale' as const] : [],
  ]
}

export function isAct(endpoint: Endpoint): endpoint is Act {
  return endpoint.act !== undefined
}

/** What a request must have, in words: for the document. */
export function actText({ stepUp, ifMatch, reason, byToken, orPermission }: ActDeclaration): string {
  return [
    ...orPermission === undefined ? [] : [`Some requests need \`${orPermission}\` instead.`],
    ...stepUp === false
      ? []
      : [`It needs a sign-in within \`admin.stepUp\`${stepUp === true ? '' : `, ${stepUp.where}`}.`],
    ...ifMatch ? ['It needs `If-Match` with the `ETag` of the object.'] : [],
    ...reason === 'required' ? ['It needs a reason.'] : [],
    ...byToken === 'tokenDeploy'
      ? ['API tokens may do it where `admin.tokenDeploy` is true or `admin.approvals` at least 1.']
      : [],
    ...stepUp !== false && byToken === true ? ['API tokens may do the rest of it.'] : [],
    ...byToken === false ? ['API tokens may not do it.'] : [],
  ].join(' ')
}

/** The declaration in the document: `x-act`. */
export function actExtension({ stepUp, ...declared }: ActDeclaration): Record<string, unknown> {
  return { stepUp: typeof stepUp === 'boolean' ? stepUp : stepUp.where, ...declared }
}
