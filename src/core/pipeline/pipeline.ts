// The runner: steps in their configured order, each adding to one plan in memory. Nothing is written here; the plan
// that the last step completes is handed to one transaction (core/login.ts).
import { GatehouseError } from '../errors.js'
import type { IdentityClaims } from '../identity.js'
import type { Cause, GroupMapping } from '../mapping.js'
import type { Profile, StoredUser } from '../user.js'

/** What is to become of the person, complete when the last step has run. */
export interface LoginPlan {
  /** The id token's view of the person (social_details). */
  details?: Profile & { readonly usernameSource: string }
  /** Who this is: tenant and object id (social_uid). */
  uid?: { readonly tid: string, readonly oid: string }
  /** The user found by uid (social_user) or linked by e-mail (associate_by_email). */
  user?: StoredUser
  /** How the user came to be: found by uid, linked by e-mail, or made by this login. */
  origin?: 'known' | 'linked' | 'created'
  /** The name of a user to be made (get_username). */
  username?: string
  /** tid and oid are to be recorded for this user (associate_user). */
  newAssociation?: boolean
  /** Groups from user_default_groups_handler; azuread_map_groups replaces them. */
  defaultGroups?: readonly string[]
  /** Claims of interest that are kept (load_extra_data): never a token. */
  extraData?: ExtraData
  /** Profile columns to be written at every login (user_details); the e-mail is written when the user is made. */
  profile?: Omit<Profile, 'email' | 'emailVerified'>
  /** What the mapping grants (azuread_map_groups). */
  grants?: MappedGrants
}

export interface ExtraData {
  readonly sid: string | null
  readonly loginHint: string | null
  readonly guest: boolean | null
  /** The current principal name of the account in Entra ID; null where the token has no such claim. */
  readonly upn: string | null
}

export interface MappedGrants {
  /** Existing local groups and why. */
  readonly groups: readonly { readonly id: string, readonly name: string, readonly causes: readonly Cause[] }[]
  /** Mapped names that no local group bears. */
  readonly missing: readonly string[]
  readonly staff: readonly Cause[]
  readonly superuser: readonly Cause[]
}

/** Everything that something was granted for. */
export function causesOf({ groups, staff, superuser }: MappedGrants): readonly Cause[] {
  return [...groups.flatMap(({ causes }) => causes), ...staff, ...superuser]
}

/** What a step may ask of the users and groups that exist; reading only. */
export interface PipelineLookups {
  userByIdentity(tid: string, oid: string): Promise<StoredUser | undefined>
  usernameTaken(key: string): Promise<boolean>
  /** Users whose e-mail is this one without case: active, no Entra identity, no flag, not break-glass. */
  usersEligibleForEmail(email: string): Promise<readonly StoredUser[]>
  /** Exact names -> ids, of those that exist. */
  groupIds(names: readonly string[]): Promise<ReadonlyMap<string, string>>
}

export interface PipelineSettings {
  readonly username: 'upn' | 'email' | 'name'
  /** Unverified addresses and display names may become usernames. */
  readonly usernameUnverified: boolean
  readonly reservedUsernames: readonly string[]
  readonly associateByEmail: boolean
  readonly authAllowed: { readonly emailDomains: readonly string[], readonly guests: boolean }
  readonly defaultGroups: readonly string[]
  readonly requireMappedGroup: boolean
  readonly mapping: GroupMapping
}

export interface StepContext {
  readonly claims: IdentityClaims
  readonly groupIds: readonly string[]
  readonly plan: Readonly<LoginPlan>
  readonly settings: PipelineSettings
  readonly lookups: PipelineLookups
}

/** One step: what it adds to the plan. It throws to refuse the login. */
export type Step = (context: StepContext) => Promise<Partial<LoginPlan>> | Partial<LoginPlan>
export interface NamedStep {
  readonly name: string
  readonly run: Step
}

export type CompletePlan =
  & LoginPlan
  & Required<Pick<LoginPlan, 'uid' | 'details' | 'origin' | 'profile' | 'extraData' | 'grants'>>

/**
 * Runs every step in order.
 * @throws GatehouseError of the step that refused; `step_failed` where a step threw anything else, or where the steps
 * together left the plan incomplete.
 */
export async function runPipeline(
  steps: readonly NamedStep[],
  context: Omit<StepContext, 'plan'>,
): Promise<CompletePlan> {
  let plan: LoginPlan = {}
  for (const step of steps) {
    try {
      plan = { ...plan, ...await step.run({ ...context, plan }) }
    } catch (error) {
      if (error instanceof GatehouseError) throw error
      throw new GatehouseError('step_failed', {
        cause: error,
        detail: `the step ${step.name} threw`,
        facts: { step: step.name },
      })
    }
  }
  if (!isComplete(plan)) {
    throw new GatehouseError('step_failed', {
      detail: 'the pipeline ended without a complete plan',
      facts: { has: Object.keys(plan) },
    })
  }
  return plan
}

function isComplete(plan: LoginPlan): plan is CompletePlan {
  const whole = plan.uid && plan.details && plan.origin && plan.profile && plan.extraData && plan.grants
  return Boolean(whole) && (plan.user !== undefined || plan.username !== undefined)
}
