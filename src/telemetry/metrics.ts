// Metrics for Prometheus (docs/metrics.md), on the management port alone. What happens on every request of every
// application is counted in plain numbers, and handed over when Prometheus asks.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { ReloadState } from '../config/reload-state.js'
import { FAILURES, LOGIN_FAILURES } from '../core/errors.js'
import type { Meter } from '../core/meter.js'
import {
  countsOf,
  gauge,
  labelledCounter,
  labelledGauge,
  plainCounter,
  plainHistogram,
  type Counts,
} from './plain-metrics.js'
import type { PoolState } from '../store/database.js'
import type { RecordCounts } from '../store/record-counts.js'
import { REEVALUATION_OUTCOMES } from '../core/reevaluation.js'

export interface Metrics {
  readonly meter: Meter
  /** In Prometheus' text format. */
  text(): Promise<{ readonly type: string, readonly body: string }>
}

export interface MetricsSources {
  readonly version: string
  /** Paths of the forward-auth endpoints. */
  readonly endpoints: readonly string[]
  readonly cachedSessions: () => number
  readonly changeListenerUp: () => boolean
  /** Until when Graph asked to wait, in milliseconds since 1970; undefined: it does not. */
  readonly graphThrottledUntil: () => number | undefined
  /** Absent: no re-evaluation is configured. */
  readonly sync?: () => { readonly leader: boolean, readonly lagMs: number } | undefined
  readonly reload: () => ReloadState
  /** By whether they run the configuration that this one runs; itself among the same. */
  readonly replicas: () => { readonly same: number, readonly different: number }
  readonly pool: () => PoolState
  /** Undefined: not read yet. */
  readonly record: () => RecordCounts | undefined
  /** When the certificate or the client secret ends, in milliseconds since 1970; undefined: not known. */
  readonly credentialEndsAt: () => number | undefined
}

const SLOW = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30]
const AUTH_STATUSES = [200, 401, 403, 500, 503] // the frequent ones first: they are looked for in this order
const USERINFO_STATUSES = ['200', '401', '429', '503']
const UPSTREAM_STATUSES = ['0', '200', '400', '401', '403', '404', '429', '500', '502', '503', '504']
const PARTS = ['entra', 'graph'] as const
/** Gauges of Node.js whose names end as those of counters do; the series by type say the same. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

export function createMetrics(sources: MetricsSources): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'gatehouse_' })
  for (const name of MISNAMED) registry.removeSingleMetric(`gatehouse_${name}`) // guard: adv-misnamed-gauges
  const known = AUTH_STATUSES.flatMap((status) => sources.endpoints.map((endpoint) => [endpoint, status] as const))
  const help = 'Answers to proxies, by endpoint and status.'
  const answers = plainHistogram({ name: 'gatehouse_forward_auth_duration_seconds', help }, known)
  const logins = loginMetrics(registry)
  const upstream = upstreamMetrics(registry)
  const missing = new Counter({
    name: 'gatehouse_mapping_groups_missing_total',
    help: 'Mapped local groups that did not exist when somebody signed in or was looked up again.',
    registers,
  })
  const reevaluated = new Counter({
    name: 'gatehouse_sync_people_total',
    help: 'People looked up again, by result.',
    labelNames: ['result'],
    registers,
  })
  if (sources.sync) { for (const result of REEVALUATION_OUTCOMES) reevaluated.inc({ result }, 0) }
  sourceGauges(sources, registry)
  const request = requestCounters(registry)
  return {
    meter: {
      ...request,
      ...logins,
      upstream,
      answered: (endpoint, status, seconds) => answers.observe(endpoint, status, seconds),
      groupMissing: () => missing.inc(),
      reevaluated: (result, people) => reevaluated.inc({ result }, people),
    },
    text: async () => ({ type: registry.contentType, body: `${await registry.metrics()}\n${answers.text()}` }),
  }
}

function loginMetrics(registry: Registry): Pick<Meter, 'login' | 'loginStarted'> {
  const registers = [registry]
  const started = new Counter({
    name: 'gatehouse_logins_started_total',
    help: 'Browsers that were sent to Entra ID to sign in.',
    registers,
  })
  const finished = new Histogram({
    name: 'gatehouse_login_duration_seconds',
    help: 'Callbacks of sign-ins, by result: ok or the code of the failure.',
    labelNames: ['result'],
    buckets: SLOW,
    registers,
  })
  for (const result of ['ok', ...LOGIN_FAILURES]) finished.zero({ result }) // guard: adv-series-from-zero
  return {
    loginStarted: () => started.inc(),
    login: (result, seconds) => finished.observe({ result }, seconds),
  }
}

function upstreamMetrics(registry: Registry): Meter['upstream'] {
  const registers = [registry]
  const requests = new Histogram({
    name: 'gatehouse_upstream_duration_seconds',
    help: 'Requests to Entra ID and Graph, by part and status; 0: no answer.',
    labelNames: ['part', 'status'],
    buckets: SLOW,
    registers,
  })
  const throttled = new Counter({
    name: 'gatehouse_upstream_throttled_total',
    help: 'Answers 429 and 503 of Entra ID and Graph.',
    labelNames: ['part'],
    registers,
  })
  for (const part of PARTS) {
    throttled.inc({ part }, 0)
    for (const status of UPSTREAM_STATUSES) requests.zero({ part, status })
  }
  return (part, status, seconds) => {
    requests.observe({ part, status: String(status) }, seconds)
    if (status === 429 || status === 503) throttled.inc({ part })
  }
}

/** What a flood may cause, or every request of every application. */
function requestCounters(registry: Registry): Pick<Meter, 'sessionLookups' | 'hostUnnamed' | 'userinfo' | 'refused'> {
  const codes = Object.keys(FAILURES)
  const sessionLookups = { memory: 0, database: 0, none: 0, grace: 0 }
  const userinfo = countsOf(USERINFO_STATUSES)
  const refused = countsOf(codes)
  const withheld = countsOf([...codes, 'other'])
  let unnamedHosts = 0
  labelledCounter(
    {
      name: 'gatehouse_session_lookups_total',
      help: 'Session lookups by source: memory, database, none (no session cookie, or an invalid one), or grace ' +
        '(memory, while the database is unreachable).',
      label: 'source',
    },
    () => Object.entries(sessionLookups),
    registry,
  )
  const byCode = (name: string, help: string, counts: Counts<string>): void => {
    labelledCounter({ name, help, label: 'code' }, counts.entries, registry)
  }
  byCode('gatehouse_requests_refused_total', 'Requests that were refused, by code.', refused)
  byCode(
    'gatehouse_log_lines_withheld_total',
    'Log lines of requests that were over log.budget, by code.',
    withheld,
  )
  labelledCounter(
    {
      name: 'gatehouse_userinfo_total',
      help: 'Answers of /oauth2/userinfo, by status.',
      label: 'status',
    },
    userinfo.entries,
    registry,
  )
  plainCounter(
    {
      name: 'gatehouse_access_unnamed_host_total',
      help: 'Answers to people who are signed in at hosts that no access rule names: access.default decided.',
    },
    () => unnamedHosts,
    registry,
  )
  return {
    sessionLookups,
    hostUnnamed: () => {
      unnamedHosts++
    },
    userinfo: (status) => userinfo.add(String(status)),
    refused(code, over) {
      refused.add(code)
      if (over) withheld.add(code)
    },
  }
}

function sourceGauges(sources: MetricsSources, registry: Registry): void {
  const one = (name: string, help: string, read: () => number | undefined) => gauge({ name, help }, read, registry)
  one('gatehouse_cached_sessions', 'Sessions in memory.', sources.cachedSessions)
  one(
    'gatehouse_change_listener_up',
    '1 if the LISTEN connection is healthy; 0: session cache bypassed, every check reads the database.',
    () => sources.changeListenerUp() ? 1 : 0,
  )
  const success = 'gatehouse_config_reload_success'
  const { reload, graphThrottledUntil, sync, record, credentialEndsAt } = sources
  one(success, '1: the configuration file is in force; 0: the last reload was refused.', () => reload().refused ? 0 : 1)
  one(
    `${success}_timestamp_seconds`,
    'When a configuration file was last put in force.',
    () => reload().succeededAt.getTime() / 1000,
  )
  one(
    'gatehouse_graph_throttled_until_seconds',
    'Unix time until which Graph asked sign-ins to wait; 0: it does not.',
    () => (graphThrottledUntil() ?? 0) / 1000, // guard: adv-throttle-gauge
  )
  one(
    'gatehouse_entra_credential_expiry_timestamp_seconds',
    'Unix time at which the certificate or the client secret ends; absent where that is not known.',
    () => inSeconds(credentialEndsAt()),
  )
  one('gatehouse_superusers', 'Active people who are superusers.', () => record()?.superusers)
  if (sync) {
    one('gatehouse_sync_here', '1 where this replica looks people up again.', () => sync()?.leader ? 1 : 0)
    one(
      'gatehouse_sync_lag_seconds',
      'Age of the oldest re-evaluation among users with active sessions, as of the last run of this replica.',
      () => (sync()?.lagMs ?? 0) / 1000,
    )
  }
  groupedGauges(sources, registry)
}

function groupedGauges({ version, replicas, pool, record }: MetricsSources, registry: Registry): void {
  const entries = (label: string, values: Readonly<Record<string, number>>) =>
    Object.entries(values).map(([value, count]) => [{ [label]: value }, count] as const)
  labelledGauge(
    {
      name: 'gatehouse_replicas',
      help: "Replicas on this database that were heard of, by configuration: same as this one's, or different.",
      labels: ['config'],
    },
    () => entries('config', replicas()),
    registry,
  )
  labelledGauge({
    name: 'gatehouse_database_connections',
    help: 'Connections of the pool, by state.',
    labels: ['state'],
  }, () => {
    const { busy, idle } = pool()
    return entries('state', { busy, idle })
  }, registry)
  gauge(
    {
      name: 'gatehouse_database_waiting',
      help: 'Work that waits for a connection of the pool.',
    },
    () => pool().waiting,
    registry,
  )
  labelledCounter(
    {
      name: 'gatehouse_revocations_total',
      help: 'Revocations in the audit since this replica started, by action; every replica counts all.',
      label: 'action',
    },
    () => Object.entries(record()?.revocations ?? {}),
    registry,
  )
  new Gauge({ name: 'gatehouse_info', help: 'Its version.', labelNames: ['version'], registers: [registry] })
    .set({ version }, 1)
}

function inSeconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : milliseconds / 1000
}
