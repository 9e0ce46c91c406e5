// Metrics for Prometheus (docs/metrics.md), on the management port alone. What happens on every request of every
// application is counted in plain numbers, and handed over when Prometheus asks.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { EXPORT_FAILURES } from '../core/audit-export.js'
import { FAILURES, LOGIN_FAILURES } from '../core/errors.js'
import type { Meter } from '../core/meter.js'
import { REEVALUATION_OUTCOMES } from '../core/reevaluation.js'
import { registeredGauges } from './gauges.js'
import { countsOf, labelledCounter, plainCounter, plainHistogram } from './plain-metrics.js'
import type { MetricSnapshot } from './summed-metrics.js'

export interface Metrics {
  readonly meter: Meter
  /** In Prometheus' text format. */
  text(): Promise<{ readonly type: string, readonly body: string }>
  /** For a process that puts those of several together. */
  snapshot(): Promise<readonly MetricSnapshot[]>
}

export interface MetricsOptions {
  readonly version: string
  /** Paths of the forward-auth endpoints. */
  readonly endpoints: readonly string[]
  /** Whether users are re-evaluated: its counters are absent otherwise. */
  readonly reevaluation: boolean
  /** Whether the audit is exported: its counters are absent otherwise. */
  readonly auditExport: boolean
}

const SLOW = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30]
const AUTH_STATUSES = [200, 401, 403, 500, 503] // the frequent ones first: they are looked for in this order
const USERINFO_STATUSES = ['200', '401', '429', '503']
const UPSTREAM_STATUSES = ['0', '200', '400', '401', '403', '404', '429', '500', '502', '503', '504']
const PARTS = ['entra', 'graph'] as const
/** Gauges of Node.js whose names end as those of counters do; the series by type contain the same. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

const SESSION_LOOKUPS = {
  name: 'gatehouse_session_lookups_total',
  help: 'Session lookups by source: memory, database, none (no session cookie, or an invalid one), or grace ' +
    '(memory, while the database is unreachable).',
  label: 'source',
}
const REFUSED = {
  name: 'gatehouse_requests_refused_total',
  help: 'Requests that were refused, by code.',
  label: 'code',
}
const LINES_WITHHELD = {
  name: 'gatehouse_log_lines_withheld_total',
  help: 'Log lines of requests that were over log.budget, by code.',
  label: 'code',
}
const USERINFO = { name: 'gatehouse_userinfo_total', help: 'Answers of /oauth2/userinfo, by status.', label: 'status' }
const UNNAMED_HOSTS = {
  name: 'gatehouse_access_unnamed_host_total',
  help: 'Answers to people who are signed in at hosts that no access rule names: access.default decided.',
}

export function createMetrics({ version, endpoints, reevaluation, auditExport }: MetricsOptions): Metrics {
  const registry = processRegistry()
  const registers = [registry]
  const known = AUTH_STATUSES.flatMap((status) => endpoints.map((endpoint) => [endpoint, status] as const))
  const help = 'Answers to proxies, by endpoint and status.'
  const answers = plainHistogram({ name: 'gatehouse_forward_auth_duration_seconds', help }, known)
  const logins = loginMetrics(registry)
  const upstream = upstreamMetrics(registry)
  const missing = new Counter({
    name: 'gatehouse_mapping_groups_missing_total',
    help: 'Mapped local groups that did not exist at a sign-in or a re-evaluation.',
    registers,
  })
  const reevaluated = new Counter({
    name: 'gatehouse_sync_people_total',
    help: 'Users re-evaluated, by result.',
    labelNames: ['result'],
    registers,
  })
  const signalled = new Counter({
    name: 'gatehouse_sync_signals_total',
    help: 'Users with active sessions of whom a delta query of Graph reported a change.',
    registers,
  })
  if (reevaluation) { for (const result of REEVALUATION_OUTCOMES) reevaluated.inc({ result }, 0) }
  registerInfo(version, registry)
  const request = requestCounters(registry)
  return {
    meter: {
      ...request,
      ...registeredGauges(registry),
      ...logins,
      ...auditExport ? exportCounters(registry) : NO_EXPORT,
      upstream,
      answered: (endpoint, status, seconds) => answers.observe(endpoint, status, seconds),
      groupMissing: () => missing.inc(),
      signalled: (people) => signalled.inc(people),
      reevaluated: (result, people) => reevaluated.inc({ result }, people),
    },
    text: async () => ({ type: registry.contentType, body: `${await registry.metrics()}\n${answers.text()}` }),
    snapshot: async () => [...await snapshotOf(registry), answers.snapshot()],
  }
}

const NO_EXPORT: Pick<Meter, 'auditDelivered' | 'auditDeliveryFailed'> = {
  auditDelivered: () => {},
  auditDeliveryFailed: () => {},
}

function exportCounters(registry: Registry): Pick<Meter, 'auditDelivered' | 'auditDeliveryFailed'> {
  const registers = [registry]
  const delivered = new Counter({
    name: 'gatehouse_audit_export_delivered_total',
    help: 'Events of the audit that the receiver of the export has accepted.',
    registers,
  })
  const rejected = new Counter({
    name: 'gatehouse_audit_export_rejected_total',
    help: 'Of those, events that the receiver rejected for good (partial success of OTLP).',
    registers,
  })
  const failures = new Counter({
    name: 'gatehouse_audit_export_failures_total',
    help: 'Deliveries of the audit that failed and are tried again, by cause.',
    labelNames: ['cause'],
    registers,
  })
  for (const cause of EXPORT_FAILURES) failures.inc({ cause }, 0)
  return {
    auditDelivered(events, rejectedEvents) {
      delivered.inc(events)
      rejected.inc(rejectedEvents)
    },
    auditDeliveryFailed: (cause) => failures.inc({ cause }),
  }
}

export interface PrimaryMetrics {
  readonly meter: Pick<Meter, 'gauge' | 'gauges'>
  workerDied(): void
  snapshot(): Promise<readonly MetricSnapshot[]>
}

/** Of the process that starts the workers: its own CPU and memory, and what it knows of them. */
export function createPrimaryMetrics(version: string): PrimaryMetrics {
  const registry = processRegistry()
  const deaths = new Counter({
    name: 'gatehouse_worker_deaths_total',
    help: 'Workers that ended by themselves or were killed.',
    registers: [registry],
  })
  registerInfo(version, registry)
  return {
    meter: registeredGauges(registry),
    workerDied: () => deaths.inc(),
    snapshot: () => snapshotOf(registry),
  }
}

/** With the metrics of the process itself. */
function processRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'gatehouse_' })
  for (const name of MISNAMED) registry.removeSingleMetric(`gatehouse_${name}`) // guard: adv-misnamed-gauges
  return registry
}

function registerInfo(version: string, registry: Registry): void {
  const info = { name: 'gatehouse_info', help: 'Its version.', labelNames: ['version'], registers: [registry] }
  new Gauge({ ...info, aggregator: 'first' }).set({ version }, 1)
}

async function snapshotOf(registry: Registry): Promise<readonly MetricSnapshot[]> {
  return await registry.getMetricsAsJSON() as unknown as readonly MetricSnapshot[]
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

/** Counted in plain numbers, because a flood or every request of every application may cause them. */
function requestCounters(registry: Registry): Pick<Meter, 'sessionLookups' | 'hostUnnamed' | 'userinfo' | 'refused'> {
  const sessionLookups = { memory: 0, database: 0, none: 0, grace: 0 }
  const userinfo = countsOf(USERINFO_STATUSES)
  let unnamedHosts = 0
  labelledCounter(SESSION_LOOKUPS, () => Object.entries(sessionLookups), registry)
  labelledCounter(USERINFO, userinfo.entries, registry)
  plainCounter(UNNAMED_HOSTS, () => unnamedHosts, registry)
  return {
    sessionLookups,
    hostUnnamed: () => {
      unnamedHosts++
    },
    userinfo: (status) => userinfo.add(String(status)),
    refused: refusalCounter(registry),
  }
}

function refusalCounter(registry: Registry): Meter['refused'] {
  const codes = Object.keys(FAILURES)
  const refused = countsOf(codes)
  const withheld = countsOf([...codes, 'other'])
  labelledCounter(REFUSED, refused.entries, registry)
  labelledCounter(LINES_WITHHELD, withheld.entries, registry)
  return (code, overBudget) => {
    refused.add(code)
    if (overBudget) withheld.add(code)
  }
}
