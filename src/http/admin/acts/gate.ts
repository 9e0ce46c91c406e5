// The checks of every act, for the API and for the forms of pages, in this order: networks, session of the console,
// permission (enter); origin and form token (own); after the schema, fresh sign-in and version (run), then the use
// case. What is refused is recorded.
import type { FastifyRequest } from 'fastify'
import type { RecordRefusal } from '../../../admin/acts/refusals.js'
import { byOf } from '../../../admin/viewer.js'
import type { Acting, ActingAdmin } from '../../../core/acts.js'
import { GatehouseError, thrownFacts, type ErrorCode } from '../../../core/errors.js'
import { isVersionTag } from '../../../core/version-tag.js'
import { asGatehouseError, pathOf } from '../../errors.js'
import type { AdminActor, ApiActor, Guard } from '../actor.js'
import { SIGN_IN_PATHS } from '../admin-return.js'
import { isTokenActor } from '../api-guard.js'
import type { Act } from '../api/act.js'
import { viewerOf } from '../viewer.js'

export interface ActGateOptions<Actor extends ApiActor> {
  readonly guard: Guard<Actor>
  /** @throws GatehouseError `form_refused` */
  readonly requireOwnForm: (request: FastifyRequest, actor: AdminActor, token: string | undefined) => void
  readonly recordRefusal: RecordRefusal
  /** admin.stepUp */
  readonly stepUpMs: number
  /** admin.acrs: the authentication context of a fresh sign-in; undefined: any will do. */
  readonly acrs: string | undefined
  /** Deploys by API tokens: admin.tokenDeploy, or admin.approvals. */
  readonly tokenDeploy: boolean
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

export interface ActRequest<Actor extends ApiActor = ApiActor> {
  readonly actor: Actor
  readonly request: FastifyRequest
  /** As the schema has accepted it. */
  readonly body: unknown
  readonly reason: string | undefined
  /** Header If-Match, or the field of the form. */
  readonly ifMatch: string | undefined
}

/** Of the API, where programs with API tokens ask too, or of the pages, where they do not. */
export interface ActGate<Actor extends ApiActor> {
  /** @throws GatehouseError as the guard, and `not_by_token` */
  enter(request: FastifyRequest, act: Act): Promise<Actor>
  /** A request with an API token needs no form. @throws GatehouseError `form_refused` */
  own(request: FastifyRequest, act: Act, actor: Actor, token: string | undefined): Promise<void>
  /** @throws GatehouseError `step_up_required`, `not_by_token`, `version_missing`, and what the use case throws */
  run<Result>(act: Act, asked: ActRequest<Actor>, work: (acting: Acting) => Promise<Result> | Result): Promise<Result>
}

const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'not_allowed',
  'not_by_token',
  'form_refused',
  'step_up_required',
  'version_missing',
  'version_stale',
  'above_own_rights',
  'last_superuser',
  'policy_own_draft',
  'review_own_right',
  'policy_approvals_missing',
])

export function createActGate<Actor extends ApiActor>(options: ActGateOptions<Actor>): ActGate<Actor> {
  const { guard, requireOwnForm, recordRefusal, stepUpMs, acrs, tokenDeploy, now = Date.now } = options
  const recorded = async (thrown: unknown, act: Act, request: FastifyRequest, actor: Actor): Promise<unknown> => {
    const { code } = asGatehouseError(thrown)
    if (!REFUSALS.has(code)) return thrown
    const viewer = viewerOf(actor, request)
    const { userId, correlationId } = viewer
    const detail = { act: act.operationId, code, path: pathOf(request), by: byOf(viewer) }
    // guard: act-refusal-recorded
    await recordRefusal({ actor: `admin:${userId}`, correlationId, detail }).catch((error: unknown) => {
      request.log.warn({ ...thrownFacts(error), act: act.operationId }, 'a refused act could not be recorded')
    })
    return thrown
  }
  return {
    async enter(request, act) {
      const { permission, act: { orPermission = permission } } = act
      const actor = await guard.authenticate(request, 'gatehouse.read')
      const { permissions } = actor
      const isAllowed = permissions.has(permission) || permissions.has(orPermission)
      if (!isAllowed) { // guard: act-permission
        const refused = new GatehouseError('not_allowed', { detail: `${actor.username} lacks ${permission}` })
        throw await recorded(refused, act, request, actor)
      }
      if (isNeverByToken(act, actor, tokenDeploy)) { // guard: token-never
        throw await recorded(new GatehouseError('not_by_token'), act, request, actor)
      }
      return actor
    },
    async own(request, act, actor, token) {
      if (isTokenActor(actor)) return
      try {
        requireOwnForm(request, actor, token) // guard: act-own-form
      } catch (thrown) {
        throw await recorded(thrown, act, request, actor)
      }
    },
    async run(act, asked, work) {
      const { actor, request, body, ifMatch, reason } = asked
      try {
        const isDue = isStepUpDue(act, body) && !isDeployByToken(act, actor, tokenDeploy)
        if (isDue) requireFreshSignIn(actor, { stepUpMs, acrs, now })
        if (act.act.ifMatch) requireVersionGiven(ifMatch)
        return await work(actingOf(asked, act.act.ifMatch ? ifMatch : undefined, reason))
      } catch (thrown) {
        throw await recorded(thrown, act, request, actor)
      }
    },
  }
}

function isNeverByToken(act: Act, actor: ApiActor, tokenDeploy: boolean): boolean {
  return isTokenActor(actor) && act.act.byToken !== true && !isDeployByToken(act, actor, tokenDeploy)
}

function isDeployByToken({ act: { byToken } }: Act, actor: ApiActor, tokenDeploy: boolean): boolean {
  return isTokenActor(actor) && byToken === 'tokenDeploy' && tokenDeploy // guard: token-deploy
}

function isStepUpDue({ act: { stepUp } }: Act, body: unknown): boolean {
  return typeof stepUp === 'boolean' ? stepUp : stepUp.isDue(body)
}

/** Programs do not sign in: what needs a fresh sign-in is never theirs. */
function requireFreshSignIn(
  actor: ApiActor,
  { stepUpMs, acrs, now }: Pick<ActGateOptions<ApiActor>, 'stepUpMs' | 'acrs'> & { readonly now: () => number },
): void {
  if (isTokenActor(actor)) throw new GatehouseError('not_by_token') // guard: token-step-up
  const { authenticatedAt } = actor
  const isRecent = now() - authenticatedAt * 1000 <= stepUpMs // guard: act-step-up
  const hasContext = acrs === undefined || actor.acrs === acrs // guard: act-acrs
  if (isRecent && hasContext) return
  throw new GatehouseError('step_up_required', {
    detail: isRecent
      ? `the last authentication was without the authentication context ${acrs} (admin.acrs)`
      : 'the last authentication is older than admin.stepUp',
    facts: { stepUp: SIGN_IN_PATHS.stepUp },
  })
}

function requireVersionGiven(ifMatch: string | undefined): void {
  if (ifMatch !== undefined && isVersionTag(ifMatch)) return // guard: act-version-given
  throw new GatehouseError('version_missing', {
    detail: 'If-Match must be the one ETag of the object; * and weak ones do not say what was seen',
  })
}

function actingOf({ actor, request }: ActRequest, ifMatch: string | undefined, reason: string | undefined): Acting {
  const { userId, address, correlationId } = viewerOf(actor, request)
  return {
    actor: `admin:${userId}`,
    admin: adminOf(actor, address),
    correlationId,
    reason,
    ifMatch,
  }
}

function adminOf(actor: ApiActor, address: string): ActingAdmin {
  const { userId } = actor
  if (isTokenActor(actor)) return { userId, tokenId: actor.tokenId, address }
  return { userId, sessionId: actor.sessionId, adminSessionId: actor.adminSessionId, address }
}
