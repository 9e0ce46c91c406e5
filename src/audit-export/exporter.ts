// The loop of the export: one replica at a time takes what is not delivered, sends it, and records it as delivered once
// the receiver has accepted it. A delivery that fails is tried again for ever: nothing is left out, and nothing
// overtakes.
import {
  retryPauseMs,
  type AuditReceiver,
  type ExportBatch,
  type ExportFailure,
  type ExportQueue,
} from '../core/audit-export.js'
import type { Leadership } from '../core/reevaluation.js'
import { createBatchSize } from './batch-size.js'

export interface ExportReport {
  /** @param rejected of them for good */
  delivered(events: number, rejected: number): void
  failed(failure: ExportFailure, retryInMs: number): void
  /** The database or the lock failed. */
  broken(error: unknown): void
}

export interface ExporterDeps {
  readonly queue: ExportQueue
  readonly receiver: AuditReceiver
  readonly leadership: Leadership & { close(): Promise<void> }
  readonly report: ExportReport
  readonly intervalMs?: number
  /** From 0 to 1. */
  readonly random?: () => number
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number
}

export interface AuditExporter {
  start(): void
  /** One run; the one in progress, if there is one. Never rejects. */
  run(): Promise<void>
  /** What is under way is completed within two seconds, or is delivered again by another replica. */
  close(): Promise<void>
}

const INTERVAL_MS = 2_000
const SHUTDOWN_GRACE_MS = 2_000
/** The receiver may be reachable for another replica. */
const FAILURES_BEFORE_YIELD = 3
const RUNS_YIELDED = 2

export function createAuditExporter(deps: ExporterDeps): AuditExporter {
  const { leadership, report, intervalMs = INTERVAL_MS } = deps
  const closing = new AbortController()
  const deliver = createDelivery(deps, closing.signal)
  let runsToYield = 0
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  const runOnce = async (): Promise<void> => {
    if (runsToYield > 0) {
      runsToYield--
      return
    }
    if (await deliver() !== 'yield') return
    runsToYield = RUNS_YIELDED
    await leadership.release()
  }
  const run = (): Promise<void> => {
    running ??= runOnce().catch(report.broken).finally(() => {
      running = undefined
    })
    return running
  }
  const next = (inMs: number): void => {
    timer = setTimeout(() => {
      void run().then(() => {
        if (!closing.signal.aborted) next(intervalMs)
      })
    }, inMs).unref()
  }
  return {
    start: () => next(0),
    run,
    async close() {
      clearTimeout(timer)
      const deadline = setTimeout(() => closing.abort(), SHUTDOWN_GRACE_MS).unref()
      await running
      closing.abort()
      clearTimeout(deadline)
      clearTimeout(timer)
      await Promise.all([leadership.close(), deps.receiver.close()])
    },
  }
}

/** @returns delivers what waits; `yield`: another replica should try */
function createDelivery(
  { queue, receiver, leadership, report, random = Math.random, now = () => performance.now() }: ExporterDeps,
  closing: AbortSignal,
) {
  const size = createBatchSize(now)

  const failed = async (failure: ExportFailure, { failures, events }: ExportBatch): Promise<void> => {
    const retryInMs = retryPauseMs(failures, failure.retryAfterMs, random())
    report.failed(failure, retryInMs)
    size.failed(failure.cause, events.length)
    await queue.failed(failure, retryInMs, events)
  }
  return async (): Promise<'yield' | undefined> => {
    for (;;) {
      if (closing.aborted || !await leadership.held()) return undefined // guard: audit-export-one-replica
      const batch = await queue.next(size.max())
      if (batch.events.length === 0) break
      if (batch.waitMs > 0) return undefined // guard: audit-export-backoff
      const result = await receiver.send(batch.events, closing)
      if (result.failure !== undefined) { // guard: audit-export-accepted
        if (closing.aborted) return undefined
        await failed(result.failure, batch)
        return (batch.failures + 1) % FAILURES_BEFORE_YIELD === 0 ? 'yield' : undefined
      }
      await queue.delivered(batch.events, result.rejected)
      report.delivered(batch.events.length, result.rejected)
      size.accepted(batch.events.length)
      if (!batch.isFull) break
    }
    await queue.settle()
    return undefined
  }
}
