// Metrics for Prometheus (docs/metrics.md), on the management port alone. What happens on every request of every application is
// counted in plain numbers, and handed over when Prometheus asks.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { ReloadState } from './config/reload-state.js'
import { FAILURES } from './core/errors.js'
import type { Meter } from './core/meter.js'

export interface Metrics {
  readonly meter: Meter
  /** In Prometheus' text format. */
  text(): Promise<{ readonly type: string, readonly body: string }>
}

export interface MetricsSources {
  readonly version: string
  readonly cachedSessions: () => number
  readonly changesHeard: () => boolean
  /** Until when Graph asked to wait, in milliseconds since 1970; undefined: it does not. */
  readonly graphThrottledUntil: () => number | undefined
  /** Absent: no re-evaluation is configured. */
  readonly sync?: () => { readonly here: boolean, readonly lagMs: number } | undefined
  readonly reload: () => ReloadState
  /** By whether they run the configuration that this one runs; itself among the same. */
  readonly replicas: () => { readonly same: number, readonly different: number }
}

const FAST = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5]
const SLOW = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30]

export function createMetrics(sources: MetricsSources): Metrics {
  const { version, cachedSessions, changesHeard, replicas, reload, sync, graphThrottledUntil } = sources
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'gatehouse_' })
  const answers = plainHistogram('gatehouse_forward_auth_duration_seconds', 'Answers to proxies, by endpoint and status.')
  const logins = new Histogram({ name: 'gatehouse_login_duration_seconds', help: 'Callbacks of sign-ins, by result: ok or the code of the failure.', labelNames: ['result'], buckets: SLOW, registers })
  const upstream = new Histogram({ name: 'gatehouse_upstream_duration_seconds', help: 'Requests to Entra ID and Graph, by part and status; 0: no answer.', labelNames: ['part', 'status'], buckets: SLOW, registers })
  const throttled = new Counter({ name: 'gatehouse_upstream_throttled_total', help: 'Answers 429 and 503 of Entra ID and Graph.', labelNames: ['part'], registers })
  const missing = new Counter({ name: 'gatehouse_mapping_groups_missing_total', help: 'Mapped local groups that did not exist when somebody signed in or was looked up again.', registers })
  const sessionFrom = { memory: 0, database: 0, nobody: 0 }
  const lookups = new Counter({ name: 'gatehouse_session_lookups_total', help: 'Where the answer to "who is this?" came from: memory, database, or nobody (no cookie, or one that is worthless).', labelNames: ['from'], registers, collect: () => handOver() })
  const handOver = (): void => {
    lookups.reset()
    for (const [from, count] of Object.entries(sessionFrom)) lookups.inc({ from }, count)
  }
  const refusals = refusalCounters(registers)
  gauge('gatehouse_cached_sessions', 'Sessions in memory.', cachedSessions, registers)
  gauge('gatehouse_changes_heard', '1 while changes of other replicas are heard of; 0: every check reads the database.', () => changesHeard() ? 1 : 0, registers)
  reloadGauges(reload, registers)
  const throttledUntilHelp = 'Unix time until which Graph asked sign-ins to wait; 0: it does not.'
  gauge('gatehouse_graph_throttled_until_seconds', throttledUntilHelp, () => (graphThrottledUntil() ?? 0) / 1000, registers)
  if (sync) {
    gauge('gatehouse_sync_here', '1 where this replica is the one that looks people up again.', () => sync()?.here ? 1 : 0, registers)
    gauge('gatehouse_sync_lag_seconds', 'Age of the oldest reading of somebody with a live session, as this replica saw it at its last turn.', () => (sync()?.lagMs ?? 0) / 1000, registers)
  }
  let unnamedHosts = 0
  const byDefault: Counter = new Counter({ name: 'gatehouse_access_unnamed_host_total', help: 'Answers to people who are signed in at hosts that no access rule names: access.default decided.', registers, collect: () => { byDefault.reset(); byDefault.inc(unnamedHosts) } })
  const reevaluated = new Counter({ name: 'gatehouse_sync_people_total', help: 'People looked up again, by result.', labelNames: ['result'], registers })
  const byConfig: Gauge = new Gauge({ name: 'gatehouse_replicas', help: 'Replicas on this database that were heard of, by configuration: same as this one\'s (itself among them), or different.', labelNames: ['config'], registers, collect: () => { for (const [config, count] of Object.entries(replicas())) byConfig.set({ config }, count) } })
  new Gauge({ name: 'gatehouse_info', help: 'Its version.', labelNames: ['version'], registers }).set({ version }, 1)

  return {
    meter: {
      sessionFrom,
      answered: (endpoint, status, seconds) => answers.observe(endpoint, status, seconds),
      login: (result, seconds) => logins.observe({ result }, seconds),
      upstream(part, status, seconds) {
        upstream.observe({ part, status: String(status) }, seconds)
        if (status === 429 || status === 503) throttled.inc({ part })
      },
      groupMissing: () => missing.inc(),
      refused: refusals,
      hostUnnamed: () => { unnamedHosts++ },
      reevaluated: (result, people) => reevaluated.inc({ result }, people),
    },
    text: async () => ({ type: registry.contentType, body: `${await registry.metrics()}\n${answers.text()}` }),
  }
}

/** Counted in plain numbers: a flood of refusals passes here. Every code has its series from the start, at 0. */
function refusalCounters(registers: Registry[]): Meter['refused'] {
  const zero = (codes: readonly string[]): Map<string, number> => new Map(codes.map((code) => [code, 0]))
  const refused = zero(Object.keys(FAILURES))
  const withheld = zero([...Object.keys(FAILURES), 'other'])
  const counter = (name: string, help: string, counts: ReadonlyMap<string, number>): void => {
    const made: Counter = new Counter({
      name, help, labelNames: ['code'], registers, collect: () => {
        made.reset()
        for (const [code, count] of counts) made.inc({ code }, count)
      }
    })
  }
  counter('gatehouse_requests_refused_total', 'Requests that were refused, by code.', refused)
  counter('gatehouse_log_lines_withheld_total', 'Log lines of requests that were over log.budget, by code.', withheld)
  const add = (counts: Map<string, number>, code: string): void => {
    const before = counts.get(code)
    if (before !== undefined) counts.set(code, before + 1)
  }
  return (code, over) => {
    add(refused, code)
    if (over) add(withheld, code)
  }
}

function reloadGauges(reload: () => ReloadState, registers: Registry[]): void {
  const success = 'gatehouse_config_reload_success'
  gauge(success, '1: the configuration file is in force; 0: the last reload was refused.', () => reload().refused ? 0 : 1, registers)
  const help = 'When a configuration file was last put in force.'
  gauge(`${success}_timestamp_seconds`, help, () => reload().succeededAt.getTime() / 1000, registers)
}

function gauge(name: string, help: string, read: () => number, registers: Registry[]): void {
  const made: Gauge = new Gauge({ name, help, registers, collect: () => made.set(read()) })
}

interface Series { readonly endpoint: string, readonly status: number, readonly counts: number[], sum: number }

/** A histogram that costs a few comparisons: prom-client's would cost more than the answer it times. */
function plainHistogram(name: string, help: string) {
  const all: Series[] = [] // a handful
  const seriesOf = (endpoint: string, status: number): Series => {
    for (const known of all) if (known.status === status && known.endpoint === endpoint) return known
    const made = { endpoint, status, counts: new Array<number>(FAST.length + 1).fill(0), sum: 0 }
    all.push(made)
    return made
  }
  return {
    observe(endpoint: string, status: number, seconds: number): void {
      const series = seriesOf(endpoint, status)
      let bucket = 0
      while (bucket < FAST.length && seconds > (FAST[bucket] ?? Infinity)) bucket++
      series.counts[bucket] = (series.counts[bucket] ?? 0) + 1
      series.sum += seconds
    },
    text(): string {
      const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`]
      for (const { endpoint, status, counts, sum } of all) {
        const labels = `endpoint="${endpoint}",status="${status}"`
        let total = 0
        counts.forEach((count, index) => { total += count; lines.push(`${name}_bucket{${labels},le="${FAST[index] ?? '+Inf'}"} ${total}`) })
        lines.push(`${name}_sum{${labels}} ${sum}`, `${name}_count{${labels}} ${total}`)
      }
      return `${lines.join('\n')}\n`
    },
  }
}
