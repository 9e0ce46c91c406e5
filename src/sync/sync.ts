// The re-evaluation of people with live sessions: one replica asks Graph about everybody within each interval, a few at a time,
// and what it hears is applied at once. While it hears nothing, what was heard last is believed for so long and no longer.
import { randomUUID } from 'node:crypto'
import { GatehouseError } from '../core/errors.js'
import { azureadMapGroups, type MappingContext } from '../core/pipeline/azuread-map-groups.js'
import type { AccountSource, Leadership, Standing, SyncChange, SyncPerson, SyncReading, SyncStore } from '../core/reevaluation.js'

export interface SyncPace {
  readonly intervalMs: number
  readonly privilegedStalenessMs: number
  /** Undefined: sessions outlive any silence. */
  readonly maxStalenessMs: number | undefined
}

export type SyncResult = 'unchanged' | 'changed' | 'refused' | 'revoked' | 'disabled' | 'missing' | 'deleted' | 'failed' | 'stale_privileges' | 'stale_session'

/** What an operator hears of it. */
export interface SyncReporter {
  changed(person: SyncPerson, change: SyncChange, facts: { readonly correlationId: string, readonly entraGroups: number, readonly missing: readonly string[] }): void
  ended(person: SyncPerson, why: 'refused' | 'revoked' | 'disabled' | 'deleted' | 'stale_session', sessions: number, correlationId?: string): void
  privilegesDropped(person: SyncPerson): void
  /** Nothing could be said of these people: once for each cause, until it is over. */
  failing(error: GatehouseError, people: number, correlationId: string): void
  recovered(): void
  /** The pass itself broke. */
  broken(error: unknown): void
  counted(result: SyncResult, people: number): void
  groupMissing(name: string, username: string): void
}

export interface SyncDeps {
  readonly source: AccountSource
  readonly store: SyncStore
  readonly leadership: Leadership
  readonly pace: SyncPace
  /** Read at every pass, so that a reload takes effect. */
  readonly mapping: () => { readonly settings: MappingContext['settings'], readonly requireMappedGroup: boolean }
  readonly lookups: MappingContext['lookups']
  readonly report: SyncReporter
}

export interface SyncState {
  /** Whether this replica is the one that asks. */
  readonly here: boolean
  /** The code of what is wrong; undefined while all is well. */
  readonly failing: string | undefined
  readonly lagMs: number
}

export interface Sync {
  /** One turn: whoever is due. */
  pass(): Promise<void>
  state(): SyncState
  close(): Promise<void>
}

const TURNS = 20
const LONGEST_TURN_MS = 15_000
const AT_ONCE = 4
const PATIENCE_MS = 2_000

/** Turns begin by themselves. */
export function createSync(deps: SyncDeps): Sync {
  const everyMs = Math.min(deps.pace.intervalMs / TURNS, LONGEST_TURN_MS)
  let state: SyncState = { here: false, failing: undefined, lagMs: 0 }
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const turn = async (): Promise<void> => {
    const here = await deps.leadership.held()
    if (!here) {
      state = { here, failing: undefined, lagMs: 0 }
      return
    }
    const failing = await askAboutAll(deps, everyMs, () => closed)
    await expire(deps)
    if (failing === undefined && state.failing !== undefined) deps.report.recovered()
    state = { here, failing, lagMs: await deps.store.lagMs() }
  }
  const pass = (): Promise<void> => {
    running ??= turn().catch((error: unknown) => {
      if (!closed) deps.report.broken(error)
      state = { ...state, failing: error instanceof GatehouseError ? error.code : 'internal' }
    }).finally(() => { running = undefined })
    return running
  }
  const next = (inMs: number): void => {
    timer = setTimeout(() => {
      const began = performance.now()
      pass().finally(() => { if (!closed) next(Math.max(0, began + everyMs - performance.now())) }).catch(() => {})
    }, inMs).unref()
  }
  next(0)
  return {
    pass,
    state: () => state,
    async close() {
      closed = true
      clearTimeout(timer)
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS).unref())]) // Graph may take longer than a replica that is to end
    },
  }
}

/** @returns the code of what went wrong, where anything did */
async function askAboutAll(deps: SyncDeps, everyMs: number, stopped: () => boolean): Promise<string | undefined> {
  const { source, store, pace, report } = deps
  const people = await store.due({ spanMs: pace.intervalMs - 2 * everyMs, everyMs }) // two turns to spare
  const failures = new Map<string, { error: GatehouseError, people: SyncPerson[], correlationId: string }>()
  const fail = (error: GatehouseError, who: readonly SyncPerson[], correlationId: string): void => {
    const same = failures.get(error.code) ?? { error, people: [], correlationId }
    same.people.push(...who)
    failures.set(error.code, same)
  }
  let next = 0
  let silent = false
  const worker = async (): Promise<void> => {
    while (next < people.length && !silent && !stopped()) {
      const batch = people.slice(next, next += source.batch)
      const reading: SyncReading = { readAt: await store.now(), correlationId: randomUUID() }
      const standings = await source.read(batch.map(({ oid }) => oid), reading.correlationId).catch((error: unknown) => {
        if (!(error instanceof GatehouseError)) throw error
        silent = true // whoever is left is due at the next turn, which begins with one question again
        fail(error, batch, reading.correlationId)
        return undefined
      })
      if (!standings) return
      const unknown: SyncPerson[] = []
      for (const person of batch) {
        const standing = standings.get(person.oid)
        if (standing?.kind === 'failed' || standing === undefined) {
          unknown.push(person)
          fail(standing?.error ?? new GatehouseError('graph_malformed'), [person], reading.correlationId)
        } else report.counted(await settle(deps, person, reading, standing), 1)
      }
      if (unknown.length > 0) await store.failed(unknown)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  for (const { error, people: who, correlationId } of failures.values()) {
    report.failing(error, who.length, correlationId)
    report.counted('failed', who.length)
  }
  return failures.keys().next().value
}

/** What was heard becomes true, at once. */
async function settle({ store, lookups, mapping, report }: SyncDeps, person: SyncPerson, reading: SyncReading, standing: Exclude<Standing, { kind: 'failed' }>): Promise<SyncResult> {
  if (standing.kind === 'disabled') {
    const sessions = await store.disabled(person, reading)
    report.ended(person, 'disabled', sessions.length, reading.correlationId)
    return 'disabled'
  }
  if (standing.kind === 'missing') {
    const sessions = await store.missing(person, reading)
    if (sessions === undefined) return 'missing'
    report.ended(person, 'deleted', sessions.length, reading.correlationId)
    return 'deleted'
  }
  const { settings, requireMappedGroup } = mapping()
  const { groupIds, sessionsValidFrom } = standing
  const { grants } = await azureadMapGroups({ groupIds, settings, lookups })
  const change = await store.apply(person, reading, { grants, groupIds, sessionsValidFrom, requireMappedGroup })
  if (!change) return 'unchanged'
  for (const name of grants.missing) report.groupMissing(name, person.username)
  if (change.revoked.length > 0) report.ended(person, 'revoked', change.revoked.length, reading.correlationId)
  if (change.refused) report.ended(person, 'refused', 0, reading.correlationId)
  const changed = change.flagsChanged || change.groupsAdded.length + change.groupsRemoved.length > 0
  if (changed) report.changed(person, change, { correlationId: reading.correlationId, entraGroups: groupIds.length, missing: grants.missing })
  return change.refused ? 'refused' : change.revoked.length > 0 ? 'revoked' : changed ? 'changed' : 'unchanged'
}

async function expire({ store, pace, report }: SyncDeps): Promise<void> {
  const { privileges, sessions } = await store.expire({ privilegedMs: pace.privilegedStalenessMs, maxMs: pace.maxStalenessMs })
  for (const person of privileges) report.privilegesDropped(person)
  for (const person of sessions) report.ended(person, 'stale_session', 1)
  if (privileges.length > 0) report.counted('stale_privileges', privileges.length)
  if (sessions.length > 0) report.counted('stale_session', sessions.length)
}
