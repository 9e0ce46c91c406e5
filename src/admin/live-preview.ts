// The one live preview of the installation: it reads everybody's Entra groups from Graph, few at a time, and ends with
// Graph's first 429, as soon as sign-ins have to wait, and when its process is to end. What it reads is not stored.
import { randomUUID } from 'node:crypto'
import type { AccountSource } from '../core/account-source.js'
import { GatehouseError } from '../core/errors.js'
import { LIVE_LEASE_MS, livePreviewRefused, throttledUntil, type LivePreviews } from '../core/live-preview.js'
import type { PreviewedSnapshot } from '../core/policy-preview.js'

export interface LiveAccounts extends AccountSource {
  close(): Promise<void>
}

/** @param stop ends every request @param onThrottled called with each 429, and the milliseconds of its Retry-After */
export type OpenLiveAccounts = (stop: AbortSignal, onThrottled: (waitMs: number | undefined) => void) => LiveAccounts

export interface LivePreviewPorts {
  /** Name of this replica, or host of this command. */
  readonly place: string
  readonly live: LivePreviews
  readonly openAccounts: OpenLiveAccounts
  /** Until when Graph asked the sign-ins of this process to wait (milliseconds since 1970); undefined: it did not. */
  readonly signInsHeldUntil: () => number | undefined
  readonly limits?: LiveLimits
}

export interface LiveLimits {
  /** Of the whole preview. */
  readonly mostMs?: number
  readonly renewMs?: number
  readonly leaseMs?: number
}

/** Users in one page of the database: progress is then shown every few seconds. */
export const LIVE_PAGE = 200
/** Requests of ten users each at the same time: sign-ins and the re-evaluation have the rest of what Graph allows. */
const CONCURRENCY = 2
const MOST_MS = 6 * 3_600_000
const RENEW_MS = 3_000
/** However long Graph asks to wait. */
const MOST_WAIT_MS = 3_600_000
/** Where Graph does not say how long. */
const UNSAID_WAIT_MS = 60_000
/** Of one request for ten users, for people who are to wait: about what a quiet Graph takes. */
const REQUEST_MS = 500
const USERS_PER_REQUEST = 10

/** About how many milliseconds a live preview takes. */
export function liveDuration(users: number): number {
  return Math.ceil(users / USERS_PER_REQUEST / CONCURRENCY) * REQUEST_MS
}

export interface LivePreviewRun {
  /** Each page with the groups that Graph has now. @throws GatehouseError: why the preview has ended */
  fresh<Snapshot extends PreviewedSnapshot & { readonly oid: string }>(
    pages: AsyncIterable<readonly Snapshot[]>,
  ): AsyncGenerator<readonly (Omit<Snapshot, 'entraGroupIds'> & PreviewedSnapshot)[]>
  /** Ends it now. @throws nothing */
  stop(): void
  /** To be called at its end, however it ended. Never rejects. */
  close(): Promise<void>
}

/** @throws GatehouseError `live_preview_busy`, `graph_throttled` */
export async function beginLivePreview(actor: string, ports: LivePreviewPorts): Promise<LivePreviewRun> {
  const { live, place } = ports
  requireSignInsFree(ports)
  const run = randomUUID()
  const sentAt = performance.now()
  const start = await live.begin({ run, actor, place })
  if (start.kind !== 'begun') throw livePreviewRefused(start)
  try {
    return openRun(run, sentAt, ports)
  } catch (error) {
    await live.end(run).catch(() => {})
    throw error
  }
}

function requireSignInsFree({ signInsHeldUntil }: Pick<LivePreviewPorts, 'signInsHeldUntil'>): void {
  const until = signInsHeldUntil()
  if (until !== undefined) throw heldBack(new Date(until).toISOString()) // guard: policy-live-after-sign-ins
}

function heldBack(until: string): GatehouseError {
  return livePreviewRefused({ kind: 'paused', until: new Date(until).toISOString(), asked: 'sign-ins' })
}

/** @param leasedAt monotonic milliseconds, not after the database's */
function openRun(run: string, leasedAt: number, ports: LivePreviewPorts): LivePreviewRun {
  const { live, limits: { mostMs = MOST_MS } = {} } = ports
  const controller = new AbortController()
  const { signal } = controller
  let waitMs = 0
  const endBy = (error: unknown): void => controller.abort(error)
  const accounts = ports.openAccounts(signal, (asked) => {
    waitMs = Math.max(waitMs, Math.min(asked ?? UNSAID_WAIT_MS, MOST_WAIT_MS))
    endBy(throttled(waitMs, asked !== undefined)) // guard: policy-live-429
  })
  const lease = keepLease({ run, leasedAt }, ports, endBy)
  const timer = setTimeout(() => endBy(tooLong(mostMs)), mostMs).unref()
  const read = createReader(accounts, () => {
    lease.check()
    if (!signal.aborted) requireSignInsFree(ports)
    signal.throwIfAborted()
  })
  return {
    async *fresh(pages) {
      for await (const page of pages) {
        const readAt = new Date().toISOString()
        const groups = await read(page.map(({ oid }) => oid)).catch((error: unknown) => {
          endBy(error) // the other requests end too; of two reasons the first one counts
          throw signal.reason
        })
        yield page.map((each) => ({ ...each, readAt, entraGroupIds: groups.get(each.oid) }))
      }
    },
    stop: () => endBy(new GatehouseError('preview_interrupted')),
    async close() {
      clearTimeout(timer)
      lease.stop()
      endBy(new GatehouseError('preview_interrupted'))
      await accounts.close().catch(() => {})
      await live.end(run, waitMs).catch(() => {}) // then it ends by itself, a while later
    },
  }
}

/** @param check called before each request @throws GatehouseError where one user cannot be read */
function createReader(source: AccountSource, check: () => void) {
  return async (oids: readonly string[]): Promise<ReadonlyMap<string, readonly string[] | undefined>> => {
    const found = new Map<string, readonly string[] | undefined>()
    const queue = [...oids]
    const readSome = async (): Promise<void> => {
      for (let some = queue.splice(0, source.batchSize); some.length > 0; some = queue.splice(0, source.batchSize)) {
        check()
        for (const [oid, account] of await source.read(some, randomUUID())) {
          if (account.kind === 'failed') throw account.error
          found.set(oid, account.kind === 'enabled' ? account.groupIds : undefined)
        }
      }
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, readSome)) // guard: policy-live-few
    return found
  }
}

/** Renews the lease; a run that could not for most of it ends before another one may begin. */
function keepLease(
  { run, leasedAt }: { readonly run: string, readonly leasedAt: number },
  { live, limits = {} }: LivePreviewPorts,
  endBy: (error: unknown) => void,
) {
  const { renewMs = RENEW_MS, leaseMs = LIVE_LEASE_MS } = limits
  let renewedAt = leasedAt
  let isAsking = false
  const check = (): void => {
    // guard: policy-live-lease
    if (performance.now() - renewedAt > leaseMs - renewMs) endBy(new GatehouseError('preview_interrupted'))
  }
  const renew = async (): Promise<void> => {
    const sentAt = performance.now()
    const { isHeld, signInsHeldUntil } = await live.renew(run)
    if (!isHeld) endBy(new GatehouseError('preview_interrupted')) // guard: policy-live-taken-over
    else if (signInsHeldUntil !== null) endBy(heldBack(signInsHeldUntil)) // guard: policy-live-sign-ins-elsewhere
    renewedAt = sentAt
  }
  const timer = setInterval(() => {
    check()
    if (isAsking) return
    isAsking = true
    renew().catch(() => {}).finally(() => { // a database that does not answer: the next one tries again
      isAsking = false
    })
  }, renewMs).unref()
  return { check, stop: () => clearInterval(timer) }
}

function throttled(waitMs: number, isSaid: boolean): GatehouseError {
  const until = new Date(Date.now() + waitMs).toISOString()
  return throttledUntil(
    until,
    isSaid
      ? `Microsoft Graph asked to wait until ${until}.`
      : `Microsoft Graph asked to wait, and did not say for how long: no other one begins until ${until}.`,
  )
}

function tooLong(mostMs: number): GatehouseError {
  return new GatehouseError('graph_timeout', {
    detail: `the live preview has taken longer than ${mostMs / 1000} seconds`,
    remedy: 'Nothing was changed. Preview without Graph, or begin it again when Graph answers faster.',
  })
}
