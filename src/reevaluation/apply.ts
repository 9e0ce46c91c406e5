// What was heard of one person becomes true, at once.
import { GatehouseError } from '../core/errors.js'
import { azureadMapGroups } from '../core/pipeline/azuread-map-groups.js'
import { causesOf } from '../core/pipeline/pipeline.js'
import type { EnabledAccount, Standing, SyncChange, SyncPerson, SyncReading } from '../core/reevaluation.js'
import type { SyncDeps, SyncResult, TakenBack } from './ports.js'

type Heard = Exclude<Standing, { kind: 'failed' }>

const ATTEMPTS = 3

export async function settle(
  { store, report, ...deps }: SyncDeps,
  person: SyncPerson,
  reading: SyncReading,
  heard: Heard,
): Promise<SyncResult> {
  if (heard.kind === 'disabled') {
    const sessions = await store.disabled(person, reading)
    if (sessions === undefined) return 'unchanged'
    report.ended(person, 'disabled', sessions.length, reading.correlationId)
    return 'disabled'
  }
  if (heard.kind === 'missing') {
    const sessions = await store.missing(person, reading)
    if (sessions === undefined) return 'missing'
    report.ended(person, 'deleted', sessions.length, reading.correlationId)
    return 'deleted'
  }
  const applied = await applyMapping({ store, report, ...deps }, person, reading, heard)
  if (!applied) return 'unchanged'
  const { change, missing, because } = applied
  for (const name of missing) report.groupMissing(name, person.username)
  if (change.revoked.length > 0) report.ended(person, 'revoked', change.revoked.length, reading.correlationId)
  if (change.refused) report.ended(person, 'refused', change.refused.length, reading.correlationId)
  const taken = takenBack(deps.mapping(), change)
  if (taken) report.takenBack(person, taken, reading.correlationId)
  const changed = change.flagsChanged || change.groupsAdded.length + change.groupsRemoved.length > 0
  const facts = { correlationId: reading.correlationId, entraGroups: heard.groupIds.length, missing, because }
  if (changed) report.changed(person, change, facts)
  return change.refused ? 'refused' : change.revoked.length > 0 ? 'revoked' : changed ? 'changed' : 'unchanged'
}

/** What the mapping in force would still grant, did this reading have the groups that the sign-in's had. */
function takenBack({ settings }: ReturnType<SyncDeps['mapping']>, change: SyncChange): TakenBack | undefined {
  if (change.lostSinceSignIn.length === 0) return undefined
  const granted = settings.mapping.evaluate(change.lostSinceSignIn)
  const groups = change.groupsRemoved.filter((name) => granted.groups.has(name))
  const staff = change.flagsChanged && granted.staff.length > 0 && !change.staff
  const superuser = change.flagsChanged && granted.superuser.length > 0 && !change.superuser
  if (groups.length === 0 && !staff && !superuser) return undefined
  const flags = [...staff ? granted.staff : [], ...superuser ? granted.superuser : []]
  const causes = [...groups.flatMap((name) => granted.groups.get(name) ?? []), ...flags]
  const entraGroups = [...new Set(causes.map(({ entraGroup }) => entraGroup))]
  return { entraGroups, because: settings.mapping.namesOf(causes), groups, staff, superuser }
}

interface Applied {
  readonly change: SyncChange
  readonly missing: readonly string[]
  readonly because: readonly string[]
}

/** A group that is removed between the look at it and the transaction is looked for again, as a login does. */
async function applyMapping(
  { store, lookups, mapping }: SyncDeps,
  person: SyncPerson,
  reading: SyncReading,
  account: EnabledAccount,
): Promise<Applied | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { settings, requireMappedGroup } = mapping()
    const { grants } = await azureadMapGroups({ groupIds: account.groupIds, settings, lookups })
    const change = await store.apply(person, reading, { ...account, grants, requireMappedGroup })
    if (change === 'outdated') continue
    const because = change?.superseded === false ? settings.mapping.namesOf(causesOf(grants)) : []
    return change && { change, missing: grants.missing, because }
  }
  throw new GatehouseError('internal', {
    detail: 'the local groups of the mapping changed again and again',
    remedy: 'Nothing to do: this person is looked up again.',
  })
}
