// The outcome of the checks: which server is the server of record, or why there is none.
import type { GatehouseError } from '../../core/errors.js'
import { place } from '../database-failure.js'
import { addressOf } from '../postgres-client.js'
import { elect, NO_HISTORY, type Candidate, type ElectionHistory } from './election.js'
import { electionFailure, heartbeatUnconfirmed, historyUnknown, unreachable } from './failures.js'
import { identityKey, identitySql, isSameServer, type OptionalPart, type ServerIdentity } from './identity.js'
import type { Probe } from './probe.js'

export interface CurrentServer {
  /** The address of this server alone. */
  readonly url: string
  /** For the pool: the pooler's address, where there is one. */
  readonly poolUrl: string
  /** What `identitySql` returns on this server; undefined: the server is not verified. */
  readonly key: string | undefined
  /** An expression that statements select beside their rows. */
  readonly identitySql: string
}

export interface Log {
  error(facts: object, text: string): void
  warn(facts: object, text: string): void
  info(facts: object, text: string): void
}

/** @param signal aborted where this server is not used any more */
export type CompareHistory = (server: CurrentServer, signal: AbortSignal) => Promise<void>

interface RecordOptions {
  /** The parts of its identity that a server does not show. */
  readonly hiddenOf: (url: string) => ReadonlySet<OptionalPart>
  /** Of a pooler in front of the servers. */
  readonly poolUrl: string | undefined
  /** How long checks may fail before the database counts as unreachable. */
  readonly toleranceMs: number
  readonly log: Log
}

/** The server of record: elected by the checks, and usable while checks succeed and heartbeats are confirmed. */
export function createRecord(options: RecordOptions) {
  const { toleranceMs, log } = options
  const report = createReport(log)
  const listeners: (() => void)[] = []
  const heartbeat = createHeartbeatCheck(toleranceMs, report)
  const history = createHistoryCheck(report, () => checks.server())
  const leave = (): void => {
    history.require(failingSince())
    heartbeat.confirmed()
    for (const listener of listeners) listener()
  }
  const checks = createChecks(options, report, leave)
  const failingSince = () => earliest(checks.failingSince(), heartbeat.unconfirmedSince(), history.pendingSince())
  const reportRecovery = (): void => {
    const server = checks.server()
    if (server !== undefined && failingSince() === undefined) report.recovered(server.url)
  }
  const usable = (at = performance.now()): boolean =>
    checks.server() !== undefined && history.pendingSince() === undefined &&
    at - (failingSince() ?? at) < toleranceMs
  const elected = (): CurrentServer => {
    const server = checks.server()
    if (server === undefined) throw checks.failure() ?? unreachable([])
    if (history.pendingSince() !== undefined) throw historyUnknown(server.url, history.failure())
    return server
  }
  return {
    take(probes: readonly Probe[], began: number): void {
      checks.take(probes, began)
      reportRecovery()
    },
    compareHistory: () => history.compare().then(reportRecovery),
    reconcileWith: history.compareWith,
    historyInDoubt: leave,
    isHistoryPending: history.isFirstComparison,
    elected,
    current(): CurrentServer {
      if (usable()) return elected()
      throw checks.failure() ?? heartbeatUnconfirmed(elected().url)
    },
    heartbeatSent: (at = performance.now()): void => heartbeat.sent(at, checks.server()),
    heartbeatConfirmed: heartbeat.confirmed,
    usable,
    key: () => checks.server()?.key,
    failure: checks.failure,
    failingSince,
    lastSuccess: checks.lastSuccess,
    onChange: (listener: () => void): number => listeners.push(listener),
  }
}

/** Asked for each request: it allocates nothing. */
function earliest(one?: number, two?: number, three?: number): number | undefined {
  return earlier(earlier(one, two), three)
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return Math.min(one, other)
}

/** When the first heartbeat was sent that the server has not confirmed. */
function createHeartbeatCheck(toleranceMs: number, report: ReturnType<typeof createReport>) {
  let unconfirmedSince: number | undefined
  return {
    sent(at: number, server: CurrentServer | undefined): void {
      unconfirmedSince ??= at
      if (server !== undefined && at - unconfirmedSince >= toleranceMs) report.failed(heartbeatUnconfirmed(server.url))
    },
    confirmed(): void {
      unconfirmedSince = undefined
    },
    unconfirmedSince: () => unconfirmedSince,
  }
}

/**
 * Whether the current server has the whole history (store/lost-history/): until that is known, its rows do not count.
 */
function createHistoryCheck(report: ReturnType<typeof createReport>, current: () => CurrentServer | undefined) {
  let compareWith: CompareHistory | undefined
  let pendingSince: number | undefined
  let failure: unknown
  let attempt = new AbortController()
  let running: { readonly attempt: AbortController, readonly ended: Promise<void> } | undefined
  const compareOnce = async (server: CurrentServer, own: AbortController): Promise<void> => {
    const result = await compareWith?.(server, own.signal).then(() => undefined, (error: unknown) => error)
    if (running?.attempt === own) running = undefined
    if (current() !== server || attempt !== own) return // guard: lost-other-server
    failure = result
    if (failure === undefined) pendingSince = undefined
    else report.failed(historyUnknown(server.url, failure))
  }
  return {
    compareWith(compare: CompareHistory): void {
      compareWith = compare
    },
    /** @param failingSince since when the server that was used until now fails */
    require(failingSince: number | undefined): void {
      // guard: lost-compared-first
      if (compareWith !== undefined) pendingSince ??= failingSince ?? performance.now()
      failure = undefined
      attempt.abort()
      attempt = new AbortController()
    },
    /**
     * Compares the history of the current server, if that is due, once at a time. It never fails. A comparison with
     * a server that is not used any more delays no other one.
     */
    async compare(): Promise<void> {
      const server = current()
      if (server === undefined || pendingSince === undefined) return
      // guard: lost-comparison-delayed
      if (running?.attempt !== attempt) running = { attempt, ended: compareOnce(server, attempt) }
      await running.ended
    },
    /** A server was elected, and its history is being compared for the first time. */
    isFirstComparison: () => current() !== undefined && pendingSince !== undefined && failure === undefined,
    pendingSince: () => pendingSince,
    failure: () => failure,
  }
}

/** What the checks found. @param onUse called when another server is used, or none */
function createChecks(
  { hiddenOf, poolUrl, toleranceMs }: RecordOptions,
  report: ReturnType<typeof createReport>,
  onUse: () => void,
) {
  let server: CurrentServer | undefined
  let history: ElectionHistory = NO_HISTORY
  let failure: GatehouseError | undefined
  let failingSince: number | undefined
  let lastSuccess = -Infinity
  const use = (next: CurrentServer | undefined): void => {
    server = next
    onUse()
  }
  const succeed = ({ url, identity }: Candidate, advanced: ElectionHistory, began: number): void => {
    report.elected(url, identity, history.current)
    history = advanced
    failure = failingSince = undefined
    lastSuccess = began
    const key = identityKey(identity)
    if (server?.key === key && server.url === url) return
    use({ url, poolUrl: poolUrl ?? url, key, identitySql: identitySql(hiddenOf(url)) })
  }
  const fail = (cause: GatehouseError, began: number, isFinal: boolean): void => {
    failure = cause
    failingSince ??= began
    if (!isFinal && performance.now() - failingSince < toleranceMs) return
    report.failed(cause)
    if (server !== undefined) use(undefined)
  }
  return {
    take(probes: readonly Probe[], began: number): void {
      const outcome = outcomeOf(probes, history, server?.url)
      if ('cause' in outcome) fail(outcome.cause, began, outcome.isFinal)
      else succeed(outcome.elected, outcome.history, began)
    },
    server: () => server,
    failure: () => failure,
    failingSince: () => failingSince,
    lastSuccess: () => lastSuccess,
  }
}

type Outcome =
  | { readonly elected: Candidate, readonly history: ElectionHistory }
  /** `isFinal`: the servers answered, and waiting changes nothing. */
  | { readonly cause: GatehouseError, readonly isFinal: boolean }

function outcomeOf(probes: readonly Probe[], history: ElectionHistory, used: string | undefined): Outcome {
  const candidates = probes.filter((each) => each.failure === undefined)
  if (candidates.length === 0) return { cause: unreachable(probes), isFinal: false }
  const result = elect(candidates, history)
  if (result.failure === undefined) return result
  const isSilent = probes.some(({ url, failure }) => url === used && failure !== undefined)
  // A switchover makes every server read-only for a moment, and the server that is used may answer the next check.
  const mayPass = result.failure === 'read_only' || (result.failure === 'superseded' && isSilent)
  const isFinal = !mayPass // guard: record-slow-probe
  return { cause: electionFailure(result.failure, result.candidates, history), isFinal }
}

/** Each change of the outcome is logged once. */
function createReport(log: Log) {
  const failed = new Set<string>() // since the database was used last
  return {
    elected(url: string, identity: ServerIdentity, before: ServerIdentity | undefined): void {
      const facts = { host: place(addressOf(url)), ...identity }
      if (before !== undefined && !isSameServer(before, identity)) {
        const text = before.timeline === identity.timeline
          ? 'the database server restarted'
          : 'another server is the primary now: connections to the old one are closed'
        log.warn({ ...facts, before }, `${text}, and every cached session is read again`)
        failed.clear()
      }
    },
    recovered(url: string): void {
      if (failed.size > 0) log.info({ host: place(addressOf(url)) }, 'the database is used again')
      failed.clear()
    },
    failed(failure: GatehouseError): void {
      const { message: detail, remedy, facts = {} } = failure
      const kind = String(facts.reason ?? failure.code)
      if (!failed.has(kind)) {
        log.error({ ...facts, detail, remedy }, 'no server of the database may be used: sessions are not answered')
      }
      failed.add(kind)
    },
  }
}
