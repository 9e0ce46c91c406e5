// A login, after the browser has been verified: read the time, get the identity and the groups from Entra ID, run the
// steps, and pass the plan to one transaction. Nothing changes until that commits.
import { GatehouseError } from './errors.js'
import type { GrantChange } from './grants.js'
import type { AuthorizationGrant, IdentityClaims, IdentitySource, Person } from './identity.js'
import {
  causesOf,
  runPipeline,
  type CompletePlan,
  type NamedStep,
  type PipelineLookups,
  type PipelineSettings,
} from './pipeline/pipeline.js'
import type { NewSession } from './session.js'
import { requireContext, requireFresh, requireSamePerson, type StepUp } from './step-up.js'

/** Committed in one transaction. */
export interface LoginCommit {
  readonly plan: CompletePlan
  readonly person: Person
  readonly session: NewSession
  /** Hash of the flow, which this login invalidates. */
  readonly flow: Buffer
  readonly correlationId: string
  /** The client's address according to trusted proxies. */
  readonly client: string
  /** A user to whom the mapping grants nothing loses all sessions and gets no new one. */
  readonly requireMappedGroup: boolean
  /** Hash of the policy that the plan was made by, where it is in the database. */
  readonly policyHash?: string | undefined
  /** A fresh sign-in, which must be of this user. */
  readonly stepUp?: StepUp | undefined
}

/** `superseded`: another login of this user read Graph later and committed earlier; its result stays. */
export interface LoginOutcome extends GrantChange {
  /** Null: a new user who was refused. */
  readonly userId: string | null
  readonly username: string
  readonly created: boolean
  /** Nothing is granted and `requireMappedGroup` is set: no session was made. */
  readonly refused: boolean
  /** Older sessions of this user that ended because of `session.maxPerUser`. */
  readonly sessionsEnded: number
  /** Public id of the session in use: the new one, or the sibling's (NewSession); null where refused. */
  readonly session: string | null
  /** The browser's session goes on under the id that it has. */
  readonly keepsId: boolean
}

/** The database operations of a login. */
export interface LoginStore extends PipelineLookups {
  /** @throws `state_replayed` where this flow has made a session already */
  begin(flow: Buffer): Promise<void>
  /** The database's time, as text. */
  now(): Promise<string>
  /** One transaction. `outdated`: what the plan was made from has changed; run the steps again. */
  commit(login: LoginCommit): Promise<LoginOutcome | 'outdated'>
}

/** The log line of every login; operators search for "Azure AD group mapping". */
export interface LoginReporter {
  groupMissing(name: string, username: string): void
  completed(outcome: LoginOutcome, facts: LoginFacts): void
}

export interface LoginFacts {
  readonly entraGroups: number
  readonly graphRequests: number
  readonly missing: readonly string[]
  /** The Entra groups that something was granted for, by their labels. */
  readonly because: readonly string[]
  readonly correlationId: string
  /** The client's address according to trusted proxies. */
  readonly client: string
  readonly sessionId: string
}

export interface LoginDeps {
  readonly source: IdentitySource
  readonly store: LoginStore
  /** Read for every plan, so that a reload takes effect. */
  readonly pipeline: () => LoginPipeline
  /** Another version of the policy may be in force than here. */
  readonly catchUp?: (() => Promise<void>) | undefined
  readonly report: LoginReporter
}

export interface LoginPipeline {
  readonly steps: readonly NamedStep[]
  readonly settings: PipelineSettings
  /** Undefined: the policy is the file's. */
  readonly policyHash?: string | undefined
}

const ATTEMPTS = 8

export interface LoginRequest {
  readonly grant: AuthorizationGrant
  readonly flow: Buffer
  readonly session: NewSession
  readonly client: string
  /** With the time at which the flow began: milliseconds since 1970. */
  readonly stepUp?: StepUp & { readonly beganAt: number } | undefined
}

/** Completes a login or throws a GatehouseError and leaves everything as it was (but for `requireMappedGroup`). */
export function createLogin(
  { source, store, pipeline, catchUp, report }: LoginDeps,
): (request: LoginRequest) => Promise<LoginOutcome> {
  return async ({ grant, flow, session, client, stepUp }) => {
    const { correlationId } = grant
    await store.begin(flow)
    const person = await source.identify(grant, store.now)
    if (stepUp !== undefined) await checkStepUp(stepUp, person, store)
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (attempt > 0) await catchUp?.() // guard: policy-plan-caught-up
      const { steps, settings, policyHash } = pipeline()
      const plan = await runPipeline(steps, {
        claims: claimsForSteps(person),
        groupIds: person.memberships.groupIds,
        settings,
        lookups: store,
      })
      const { requireMappedGroup } = settings
      const request = { session, flow, correlationId, client, stepUp }
      const outcome = await store.commit({ ...request, plan, person, requireMappedGroup, policyHash })
      if (outcome === 'outdated') continue // guard: steps-run-again
      for (const name of plan.grants.missing) report.groupMissing(name, outcome.username)
      report.completed(outcome, {
        entraGroups: person.memberships.groupIds.length,
        graphRequests: person.memberships.requests,
        missing: plan.grants.missing,
        because: outcome.superseded ? [] : settings.mapping.namesOf(causesOf(plan.grants)),
        correlationId,
        client,
        sessionId: outcome.session ?? session.publicId,
      })
      if (outcome.refused) {
        throw new GatehouseError('not_mapped', {
          detail: `the mapping grants ${outcome.username} nothing and requireMappedGroup is set`,
          facts: { username: outcome.username },
          remedy: `See which rows their groups hit: gatehouse explain ${outcome.username}`,
        })
      }
      return outcome
    }
    throw new GatehouseError('login_contended', { detail: `the plan was outdated ${ATTEMPTS} times in a row` })
  }
}

/** An authentication context says something about this sign-in alone, and nothing about the user. */
function claimsForSteps({ claims: { acrs: _, ...claims } }: Person): IdentityClaims { // guard: admin-acrs-no-step
  return claims
}

/** Before any step: another person's sign-in may not even be refused by one, and changes nothing. */
async function checkStepUp(
  stepUp: StepUp & { readonly beganAt: number },
  { claims }: Person,
  store: Pick<LoginStore, 'userByIdentity'>,
): Promise<void> {
  requireFresh(claims.auth_time, stepUp.beganAt)
  requireSamePerson((await store.userByIdentity(claims.tid, claims.oid))?.id, stepUp)
  requireContext(claims.acrs, stepUp)
}
