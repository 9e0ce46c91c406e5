// The one server whose rows count. Every five seconds each host of database.url is asked, on a new connection, who it
// is and whether it accepts writes; the election (election.ts) decides. Where another server is elected, or none, the
// pool and the change feed are closed. A row that another server returned is never used.
import { setTimeout as sleep } from 'node:timers/promises'
import type { GatehouseError } from '../../core/errors.js'
import { place } from '../database-failure.js'
import { coalesced } from '../../core/coalesced.js'
import { addressOf, serversOf } from '../postgres-client.js'
import { identityKey, type OptionalPart, type ServerIdentity } from './identity.js'
import { probe, type Probe } from './probe.js'
import { createRecord, type CompareHistory, type CurrentServer, type Log } from './record.js'

/** Where connections lead. The object that `current` returns is the same as long as the server is the same. */
export interface DatabaseServer {
  /** @throws `database_unavailable` where no server may be used */
  current(): CurrentServer
  /** The same, after a check where the last one is too long ago (the process was suspended). */
  confirmed(): CurrentServer | Promise<CurrentServer>
  /** A connection or a statement failed: the servers are asked soon. */
  suspect(): void
  /** Called when connections to the server that was current until now must be closed. */
  onChange(listener: () => void): void
}

export interface ServerOfRecord extends DatabaseServer {
  /** For connections that find out whether it may be used. @throws `database_unavailable` where none is elected */
  elected(): CurrentServer
  /** A heartbeat is written to the server; until it is confirmed, it counts as a check that fails. */
  heartbeatSent(): void
  heartbeatConfirmed(): void
  /**
   * @param compare called with each other server that is elected, before its rows count: whether it has the whole
   * history. While it fails, the server is not used.
   */
  reconcileWith(compare: CompareHistory): void
  /** The current server has fewer heartbeats than it confirmed: its history is compared again. */
  historyInDoubt(): void
  /** Whether rows and notifications of the current server count. @param at the monotonic time now */
  usable(at?: number): boolean
  /** The monotonic time of the first failure since the last successful check; undefined: the last check succeeded. */
  failingSince(): number | undefined
  /** What the last check found, host by host. */
  hosts(): readonly HostState[]
  close(): void
}

export interface HostState {
  /** host:port, or the directory of a Unix socket */
  readonly host: string
  readonly state: 'current' | 'accepts writes' | 'read-only' | 'unreachable'
  readonly identity: ServerIdentity | undefined
  /** What this server does not show. */
  readonly hidden: readonly OptionalPart[]
  readonly failure: GatehouseError | undefined
}

export interface ServerOfRecordOptions {
  /** With one host or several, past a pooler. */
  readonly url: string
  /** Of a pooler in front of these servers, for the pool. */
  readonly poolUrl?: string | undefined
  readonly log: Log
  /** Milliseconds between two checks, and how long checks may fail before the database counts as unreachable. */
  readonly intervalMs?: number
  /** A server that has not answered by then is down. */
  readonly probeTimeoutMs?: number
}

const INTERVAL_MS = 5_000
const PROBE_TIMEOUT_MS = 1_000
/** The process did not run for so long, and how long what arrived meanwhile may take to be read. */
const STALL_MS = 2_000
const SETTLE_MS = 1_000
/** While checks fail, and the least time between two checks that failures of connections cause. */
const SOON_MS = 500

/**
 * Asks all hosts, until one is elected or checks have failed for `intervalMs`, and from then on regularly.
 * @throws `database_unavailable`
 */
export async function openServerOfRecord(options: ServerOfRecordOptions): Promise<ServerOfRecord> {
  const { intervalMs = INTERVAL_MS } = options
  const watch = createWatch(options)
  const deadline = performance.now() + intervalMs
  await watch.check()
  while (watch.mayBeLate() && performance.now() < deadline) {
    await sleep(SOON_MS)
    await watch.check()
  }
  watch.server.current()
  watch.start()
  return watch.server
}

/** For commands, which print the failure themselves. */
export const SILENT: Log = { error: () => {}, warn: () => {}, info: () => {} }

/**
 * For one command: the server is chosen once, where there are several, and behind a pooler it is verified.
 * @param address as database-url.ts returns it
 * @throws `database_unavailable`
 */
export async function chooseServer(
  { url, directUrl }: { readonly url: string, readonly directUrl?: string },
): Promise<DatabaseServer> {
  // guard: record-command-direct
  if (directUrl === undefined && serversOf(url).length === 1) return serverAt(url)
  const server = await openServerOfRecord({ url: directUrl ?? url, poolUrl: directUrl && url, log: SILENT })
  server.close()
  return fixedServer(server.current())
}

/** @param server a text is the address of one server, which is not asked who it is */
export function serverAt(server: DatabaseServer | string): DatabaseServer {
  return typeof server === 'string' ? fixedServer(unverified(server)) : server
}

function unverified(url: string): CurrentServer {
  return { url, poolUrl: url, key: undefined, identitySql: 'null::text' }
}

function fixedServer(server: CurrentServer): DatabaseServer {
  return { current: () => server, confirmed: () => server, suspect: () => {}, onChange: () => {} }
}

function createWatch(options: ServerOfRecordOptions) {
  const { url, poolUrl, log, intervalMs = INTERVAL_MS, probeTimeoutMs = PROBE_TIMEOUT_MS } = options
  const servers = serversOf(url).map((each) => ({ url: each, hidden: new Set<OptionalPart>() }))
  const hiddenOf = (of: string) => servers.find((each) => each.url === of)?.hidden ?? new Set()
  const record = createRecord({ hiddenOf, poolUrl, toleranceMs: intervalMs, log })
  let hosts: readonly HostState[] = []
  const check = coalesced(async () => {
    const began = performance.now()
    const probes = await Promise.all(servers.map((each) => probe(each.url, each.hidden, probeTimeoutMs)))
    record.take(probes, began)
    hosts = probes.map((each) => hostState(each, hiddenOf(each.url), record.key()))
    void record.compareHistory() // beside the checks, because it may take longer
  })
  const schedule = createSchedule(check, () => record.failingSince() === undefined ? intervalMs : SOON_MS)
  record.onChange(schedule.soon)
  const { current, elected, heartbeatSent, heartbeatConfirmed, usable, failingSince, onChange, reconcileWith } = record
  /** The process was suspended, for example. Where checks fail, waiting for one more says nothing new. */
  const isOverdue = (): boolean =>
    failingSince() === undefined && performance.now() - record.lastSuccess() > intervalMs + 2 * probeTimeoutMs
  const stall = createStallDetector()
  /** After a stall, answers that arrived meanwhile are read before any time limit counts. */
  const settled = async (): Promise<void> => {
    if (!record.isHistoryPending()) await check()
    for (const deadline = performance.now() + SETTLE_MS; !usable() && performance.now() < deadline;) await sleep(10)
  }
  const server: ServerOfRecord = {
    current,
    // guard: record-stall
    confirmed: () =>
      isOverdue() || record.isHistoryPending() || (!usable() && stall.justEnded())
        ? settled().then(current)
        : current(),
    suspect: schedule.soon,
    onChange,
    elected,
    heartbeatSent,
    heartbeatConfirmed,
    reconcileWith,
    historyInDoubt: record.historyInDoubt,
    usable,
    failingSince,
    hosts: () => hosts,
    close: () => [schedule, stall].forEach((each) => each.stop()),
  }
  /** A server that did not answer in time may answer the next check; other failures stay. */
  const mayBeLate = (): boolean => record.key() === undefined && isTimeout(record.failure())
  return { server, check, mayBeLate, start: schedule.start }
}

function isTimeout(failure: GatehouseError | undefined): boolean {
  return failure?.facts.reason === 'timeout'
}

function hostState(each: Probe, hidden: ReadonlySet<OptionalPart>, current: string | undefined): HostState {
  const host = place(addressOf(each.url))
  const known = { host, hidden: [...hidden] }
  if (each.failure !== undefined) {
    return { ...known, state: 'unreachable', identity: undefined, failure: each.failure }
  }
  const { identity, writable } = each
  const acceptsWrites = identityKey(identity) === current ? 'current' : 'accepts writes'
  return { ...known, state: writable ? acceptsWrites : 'read-only', identity, failure: undefined }
}

/** Runs a check after a delay that depends on the last one; `soon` brings the next one forward. */
function createSchedule(check: () => Promise<void>, delayMs: () => number) {
  let timer: NodeJS.Timeout | undefined
  let due = Infinity
  let running = false
  let stopped = true
  const at = (time: number): void => {
    if (stopped || running || time >= due) return
    clearTimeout(timer)
    due = time
    timer = setTimeout(() => {
      run().catch(() => {}) // a probe reports its failure as a value
    }, Math.max(0, time - performance.now())).unref()
  }
  const run = async (): Promise<void> => {
    due = Infinity
    running = true
    const began = performance.now()
    try {
      await check()
    } finally {
      running = false
      at(began + delayMs())
    }
  }
  return {
    start(): void {
      stopped = false
      at(performance.now() + delayMs())
    },
    soon(): void {
      at(performance.now() + SOON_MS)
    },
    stop(): void {
      stopped = true
      clearTimeout(timer)
    },
  }
}

/** Notices that the process did not run for a while: nothing that it waited for could arrive. */
function createStallDetector() {
  let lastTick = performance.now()
  let endedAt = -Infinity
  const tick = (): void => {
    const now = performance.now()
    if (now - lastTick > STALL_MS) endedAt = now
    lastTick = now
  }
  const timer = setInterval(tick, STALL_MS / 4).unref()
  return {
    justEnded(): boolean {
      tick()
      return performance.now() - endedAt < SETTLE_MS
    },
    stop: (): void => clearInterval(timer),
  }
}
