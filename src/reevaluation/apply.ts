// Applies one user's Graph result in one transaction.
import type { AccountResult, EnabledAccount, EntraUser } from '../core/account-source.js'
import { GatehouseError } from '../core/errors.js'
import { azureadMapGroups } from '../core/pipeline/azuread-map-groups.js'
import { causesOf } from '../core/pipeline/pipeline.js'
import type { LostGrants, ReevaluationDeps, ReevaluationOutcome } from '../core/reevaluation.js'
import type { ReevaluationChange, Snapshot } from '../core/reevaluation-store.js'

const MAX_ATTEMPTS = 3 // guard: sync-retried-before-expiry

export async function applyResult(
  deps: ReevaluationDeps,
  user: EntraUser,
  snapshot: Snapshot,
  result: Exclude<AccountResult, { kind: 'failed' }>,
): Promise<ReevaluationOutcome> {
  const { writer, report } = deps
  if (result.kind === 'enabled') return await applyEnabled(deps, user, snapshot, result)
  if (result.kind === 'disabled') {
    const sessions = await writer.disabled(user, snapshot)
    if (sessions === undefined) return 'unchanged'
    report.sessionsEnded(user, 'disabled', sessions.length, snapshot.correlationId)
    return 'disabled'
  }
  const sessions = await writer.missing(user, snapshot)
  if (sessions === undefined) return 'missing'
  report.sessionsEnded(user, 'deleted', sessions.length, snapshot.correlationId)
  return 'deleted'
}

async function applyEnabled(
  deps: ReevaluationDeps,
  user: EntraUser,
  snapshot: Snapshot,
  account: EnabledAccount,
): Promise<ReevaluationOutcome> {
  const { report, mapping } = deps
  const { correlationId } = snapshot
  const applied = await applyMapping(deps, user, snapshot, account)
  if (!applied) return 'unchanged'
  const { change, missing, because } = applied
  for (const name of missing) report.groupMissing(name, user.username)
  if (change.revoked.length > 0) report.sessionsEnded(user, 'revoked', change.revoked.length, correlationId)
  // guard: sync-real-counts
  if (change.refused) report.sessionsEnded(user, 'refused', change.refused.length, correlationId)
  const lost = lostGrants(mapping(), change)
  if (lost) report.signInGrantsLost(user, lost, correlationId)
  const changed = change.flagsChanged || change.groupsAdded.length + change.groupsRemoved.length > 0
  const details = { correlationId, entraGroups: account.groupIds.length, missing, because }
  if (changed) report.changed(user, change, details)
  if (change.refused) return 'refused'
  if (change.revoked.length > 0) return 'revoked'
  return changed ? 'changed' : 'unchanged'
}

/** What the mapping in force would still grant if this snapshot had the Entra groups that the sign-in's had. */
function lostGrants(
  { settings }: ReturnType<ReevaluationDeps['mapping']>,
  change: ReevaluationChange,
): LostGrants | undefined {
  if (change.lostSinceSignIn.length === 0) return undefined
  const granted = settings.mapping.evaluate(change.lostSinceSignIn)
  const groups = change.groupsRemoved.filter((name) => granted.groups.has(name))
  const staff = change.flagsChanged && granted.staff.length > 0 && !change.staff
  const superuser = change.flagsChanged && granted.superuser.length > 0 && !change.superuser
  if (groups.length === 0 && !staff && !superuser) return undefined // guard: adv-hidden-same-mapping
  const flags = [...staff ? granted.staff : [], ...superuser ? granted.superuser : []]
  const causes = [...groups.flatMap((name) => granted.groups.get(name) ?? []), ...flags]
  const entraGroups = [...new Set(causes.map(({ entraGroup }) => entraGroup))]
  return { entraGroups, because: settings.mapping.namesOf(causes), groups, staff, superuser }
}

interface Applied {
  readonly change: ReevaluationChange
  readonly missing: readonly string[]
  readonly because: readonly string[]
}

/** Retries where a local group is removed, or a policy deployed, before the transaction, as a login does. */
async function applyMapping(
  { writer, lookups, mapping, catchUp }: ReevaluationDeps,
  user: EntraUser,
  snapshot: Snapshot,
  account: EnabledAccount,
): Promise<Applied | undefined> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (attempt > 0) await catchUp?.() // guard: policy-plan-caught-up-sync
    const { settings, requireMappedGroup, policyHash } = mapping()
    const { grants } = await azureadMapGroups({ groupIds: account.groupIds, settings, lookups })
    const change = await writer.apply(user, snapshot, { ...account, grants, requireMappedGroup, policyHash })
    if (change === 'outdated') continue
    const because = change?.superseded === false ? settings.mapping.namesOf(causesOf(grants)) : []
    return change && { change, missing: grants.missing, because }
  }
  throw new GatehouseError('internal', {
    detail: `local groups of the mapping or the policy were replaced during each of ${MAX_ATTEMPTS} attempts`,
    remedy: 'Nothing to do: the next run retries this user.',
  })
}
