// The parts of /readyz beside the database: they inform operators, and none of them makes the gateway unready, because
// sessions that are active go on without them.
import type { PolicyState } from './deployed-policy.js'
import type { ReloadState } from './config/reload-state.js'
import type { Replicas } from './core/replicas.js'
import type { Readiness } from './http/health.js'
import type { Entra } from './entra/open-entra.js'
import type { WatchedHttpClient } from './entra/reachability.js'
import type { ReevaluationSchedule } from './reevaluation/scheduler.js'
import type { CachedSessions } from './store/cached-sessions.js'
import type { ServerOfRecord } from './store/server-of-record/server-of-record.js'

export interface ReplicaHealth {
  /** Rejects where the database does not answer. */
  readonly ping: () => Promise<void>
  /** The other parts: none of them makes the gateway unready, because active sessions do not need it. */
  readonly parts: () => Readonly<Record<string, unknown>>
  readonly draining: () => boolean
  /** Undefined: the policy is the file's. */
  readonly policy?: (() => PolicyState) | undefined
}

/** Of a replica. */
export async function replicaReadiness({ ping, parts, draining, policy }: ReplicaHealth): Promise<Readiness> {
  const database = await ping().then(() => 'ok', () => 'unreachable')
  const hasPolicy = policy === undefined || policy().kind === 'in force' // guard: policy-not-ready
  return {
    ready: database === 'ok' && hasPolicy && !draining(),
    parts: { database, ...parts(), ...(draining() ? { shutdown: 'in progress' } : {}) },
  }
}

export interface ReadinessSources {
  readonly entra: Entra
  readonly sessions: Pick<CachedSessions, 'changes' | 'lostHistory'>
  readonly storage: { readonly server: Pick<ServerOfRecord, 'hosts'> }
  readonly replicas: Replicas
  readonly reload: () => ReloadState
  /** Undefined: no re-evaluation is configured. */
  readonly reevaluation: Pick<ReevaluationSchedule, 'state'> | undefined
  /** Undefined: the policy is the file's. */
  readonly policy: (() => PolicyState) | undefined
}

export function readinessParts(
  { entra: { client, source }, sessions, storage, replicas, reload, reevaluation, policy }: ReadinessSources,
): Readonly<Record<string, unknown>> {
  return {
    ...upstreamParts(client.http.reachability(), source.throttledUntil()),
    ...hostsPart(storage.server.hosts()),
    changes: changesPart(sessions.changes),
    ...historyPart(sessions.lostHistory()),
    replicas: replicas.state(),
    config: configPart(reload()),
    ...(policy ? { policy: policyPart(policy()) } : {}),
    ...(reevaluation ? { sync: reevaluationPart(reevaluation.state()) } : {}),
  }
}

/** Where database.url names several hosts. */
function hostsPart(hosts: ReturnType<ServerOfRecord['hosts']>) {
  return hosts.length < 2 ? {} : { databaseHosts: Object.fromEntries(hosts.map(({ host, state }) => [host, state])) }
}

export function changesPart(changes: CachedSessions['changes']): string {
  if (!changes.connected()) return 'disconnected: session cache bypassed'
  return changes.listens() ? 'connected' : 'connected: polled, because no notification arrives'
}

/** Where the database had lost acknowledged changes since the start of this replica. */
function historyPart(loss: ReturnType<CachedSessions['lostHistory']>) {
  if (loss === undefined) return {}
  const rows = Object.values(loss.takenAgain).reduce((sum, count) => sum + count, 0)
  const ended = loss.sessionsEnded === undefined ? '' : ', all sessions ended'
  return { history: `lost at ${loss.at.toISOString()}: ${rows} rows taken away again${ended}` }
}

/** A pause that Graph asked for is shown even where its last answer was good. */
function upstreamParts({ entra, graph }: ReturnType<WatchedHttpClient['reachability']>, throttledUntil?: number) {
  if (throttledUntil === undefined) return { entra, graph } // guard: adv-throttle-shown
  return { entra, graph: { ...graph, state: `throttled until ${new Date(throttledUntil).toISOString()}` } }
}

/** A refused file leaves the last good one in force, so the gateway stays ready. */
export function configPart({ refused }: ReloadState): string {
  // guard: adv-reload-reported
  return refused === undefined ? 'ok' : `refused since ${refused.since.toISOString()}: ${refused.reason}`
}

function policyPart(state: PolicyState): string {
  if (state.kind === 'in force') return `version ${state.version}`
  return state.kind === 'missing' ? 'missing' : `version ${state.version} cannot be run: ${state.reason}`
}

function reevaluationPart({ leader, failing }: ReturnType<ReevaluationSchedule['state']>): string {
  if (failing !== undefined) return `failing: ${failing}`
  return leader ? 'this replica does it' : 'another replica does it'
}
