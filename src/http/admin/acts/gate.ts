// The checks of every act, for the API and for the forms of pages, in this order: networks, session of the console,
// permission (enter); origin and form token (own); after the schema, fresh sign-in and version (run), then the use
// case. What is refused is recorded.
import type { FastifyRequest } from 'fastify'
import type { RecordRefusal } from '../../../admin/acts/refusals.js'
import type { Acting } from '../../../core/acts.js'
import { GatehouseError, thrownFacts, type ErrorCode } from '../../../core/errors.js'
import { isVersionTag } from '../../../core/version-tag.js'
import { asGatehouseError, pathOf } from '../../errors.js'
import type { AdminActor, AdminGuard } from '../actor.js'
import { SIGN_IN_PATHS } from '../admin-return.js'
import type { Act } from '../api/act.js'
import { viewerOf } from '../viewer.js'

export interface ActGateOptions {
  readonly guard: AdminGuard
  /** @throws GatehouseError `form_refused` */
  readonly requireOwnForm: (request: FastifyRequest, actor: AdminActor, token: string | undefined) => void
  readonly recordRefusal: RecordRefusal
  /** admin.stepUp */
  readonly stepUpMs: number
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

export interface ActRequest {
  readonly actor: AdminActor
  readonly request: FastifyRequest
  /** As the schema has accepted it. */
  readonly body: unknown
  readonly reason: string | undefined
  /** Header If-Match, or the field of the form. */
  readonly ifMatch: string | undefined
}

export interface ActGate {
  /** @throws GatehouseError as AdminGuard */
  enter(request: FastifyRequest, act: Act): Promise<AdminActor>
  /** @throws GatehouseError `form_refused` */
  own(request: FastifyRequest, act: Act, actor: AdminActor, token: string | undefined): Promise<void>
  /** @throws GatehouseError `step_up_required`, `version_missing`, and what the use case throws */
  run<Result>(act: Act, asked: ActRequest, work: (acting: Acting) => Promise<Result> | Result): Promise<Result>
}

const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'not_allowed',
  'form_refused',
  'step_up_required',
  'version_missing',
  'version_stale',
  'above_own_rights',
  'last_superuser',
])

export function createActGate(options: ActGateOptions): ActGate {
  const { guard, requireOwnForm, recordRefusal, stepUpMs, now = Date.now } = options
  const recorded = async (thrown: unknown, act: Act, request: FastifyRequest, actor: AdminActor): Promise<unknown> => {
    const { code } = asGatehouseError(thrown)
    if (!REFUSALS.has(code)) return thrown
    const { userId, sessionId, address, correlationId } = viewerOf(actor, request)
    const detail = { act: act.operationId, code, path: pathOf(request), by: { session: sessionId, address } }
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
      if (permissions.has(permission) || permissions.has(orPermission)) return actor // guard: act-permission
      const refused = new GatehouseError('not_allowed', { detail: `${actor.username} lacks ${permission}` })
      throw await recorded(refused, act, request, actor)
    },
    async own(request, act, actor, token) {
      try {
        requireOwnForm(request, actor, token) // guard: act-own-form
      } catch (thrown) {
        throw await recorded(thrown, act, request, actor)
      }
    },
    async run(act, asked, work) {
      const { actor, request, body, ifMatch, reason } = asked
      try {
        if (isStepUpDue(act, body)) requireFreshSignIn(actor, { stepUpMs, now })
        if (act.act.ifMatch) requireVersionGiven(ifMatch)
        return await work(actingOf(asked, act.act.ifMatch ? ifMatch : undefined, reason))
      } catch (thrown) {
        throw await recorded(thrown, act, request, actor)
      }
    },
  }
}

function isStepUpDue({ act: { stepUp } }: Act, body: unknown): boolean {
  return typeof stepUp === 'boolean' ? stepUp : stepUp.isDue(body)
}

function requireFreshSignIn(
  { authenticatedAt }: AdminActor,
  { stepUpMs, now }: { readonly stepUpMs: number, readonly now: () => number },
): void {
  if (now() - authenticatedAt * 1000 <= stepUpMs) return // guard: act-step-up
  throw new GatehouseError('step_up_required', {
    detail: 'the last authentication is older than admin.stepUp',
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
  const { userId, sessionId, address, correlationId } = viewerOf(actor, request)
  return {
    actor: `admin:${userId}`,
    admin: { userId, sessionId, adminSessionId: actor.adminSessionId, address },
    correlationId,
    reason,
    ifMatch,
  }
}
