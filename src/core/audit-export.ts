// The export of the audit (docs/audit-export.md): what is sent, how far it is, when a failed delivery is tried again,
// and the ports of queue and receiver. The rows of the audit are the queue, so that nothing is lost with a process.
import type { AuditView } from './audit.js'

export const EXPORT_FORMATS = ['webhook', 'syslog', 'otlp'] as const
export type ExportFormat = typeof EXPORT_FORMATS[number]

/**
 * Why a delivery failed. `unreachable`: no connection, or a broken one; `timeout`: no answer in time; `redirected`:
 * 3xx; `refused`: 4xx; `unavailable`: 408, 429 and 5xx.
 */
export const EXPORT_FAILURES = ['unreachable', 'timeout', 'redirected', 'refused', 'unavailable'] as const
export type ExportFailureCause = typeof EXPORT_FAILURES[number]

export interface ExportFailure {
  readonly cause: ExportFailureCause
  /** For operators: never an address, a secret or what the receiver wrote. */
  readonly detail: string
  /** What the receiver asked for. */
  readonly retryAfterMs?: number | undefined
}

/** Undefined in place of a failure: the receiver has accepted the events, except so many that it rejected for good. */
export type SendResult =
  | { readonly failure: ExportFailure }
  | { readonly failure?: undefined, readonly rejected: number }

export interface AuditReceiver {
  /** Never rejects. */
  send(events: readonly AuditView[], signal: AbortSignal): Promise<SendResult>
  close(): Promise<void>
}

export interface ExportBatch {
  /** In the order of their ids. */
  readonly events: readonly AuditView[]
  /** Whether more may wait than fitted in. */
  readonly isFull: boolean
  /** Failed attempts since the last accepted one. */
  readonly failures: number
  /** Until the next attempt with the same section of the configuration; 0: now. */
  readonly waitMs: number
}

export interface ExportQueue {
  /** Rows that are not delivered yet and visible. @throws GatehouseError `database_unavailable` */
  next(maxEvents: number): Promise<ExportBatch>
  /** The receiver has accepted them. */
  delivered(events: readonly AuditView[], rejected: number): Promise<void>
  /** The next attempt of any replica is after this time, unless its section of the configuration is another one. */
  failed(failure: ExportFailure, retryInMs: number, events: readonly AuditView[]): Promise<void>
  /** Forgets ids of which no row can come any more, so that the list of delivered ids stays short. */
  settle(): Promise<void>
}

/** The section `audit` as far as it decides how long rows are kept. */
export interface AuditRetention {
  readonly retentionMs: number
  /** `audit.export`; undefined: rows go when their retention is over, exported or not. */
  readonly export?: object | undefined
}

export const MAX_EXPORT_EVENTS = 500
/** Of the texts of one batch; one event may be larger. */
export const MAX_EXPORT_BYTES = 1024 * 1024
/** More are not counted. */
export const MAX_COUNTED_PENDING = 10_000

/** How far the export is. Times are those of the database. */
export interface ExportState {
  /** Events that receivers have accepted, since the first export. */
  readonly delivered: number
  /** Of those, how many receivers have rejected for good (OTLP's partial success). */
  readonly rejected: number
  /** The newest event that was delivered; null: none yet. */
  readonly deliveredUntil: string | null
  /** When a receiver last accepted a batch, and how long that is ago. */
  readonly acceptedAt: string | null
  readonly acceptedSeconds: number | null
  /** Rows that are not delivered; at most MAX_COUNTED_PENDING are counted. */
  readonly pending: number
  /** Age of the oldest of them; null: there is none. */
  readonly oldestPendingSeconds: number | null
  readonly failing: {
    readonly since: string
    readonly cause: string
    readonly detail: string
    readonly failures: number
    readonly retryAt: string
    /** Of the batch that failed last: how many events it had, and which was the first of them. */
    readonly events: number
    readonly firstId: string | null
    readonly firstAt: string | null
  } | null
  /** Whether rows that are past `audit.retention` are kept until they are delivered. */
  readonly isRetentionWaiting: boolean
}

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 300_000
/** A receiver that asks for more is asked again after it. */
const LONGEST_RETRY_AFTER_MS = 3_600_000

/**
 * Exponential, from a second to five minutes, with jitter: half of it is random.
 * @param failures before this one @param random from 0 to 1
 */
export function retryPauseMs(failures: number, retryAfterMs: number | undefined, random: number): number {
  const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 20)) * (0.5 + random / 2)
  // guard: audit-export-retry-after
  return Math.max(pause, Math.min(retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS))
}

/** With what is configured. Not configured: nothing else is known of it. */
export interface ExportHealth extends ExportState {
  readonly isConfigured: boolean
}

export const NOT_EXPORTED: ExportHealth = {
  isConfigured: false,
  delivered: 0,
  rejected: 0,
  deliveredUntil: null,
  acceptedAt: null,
  acceptedSeconds: null,
  pending: 0,
  oldestPendingSeconds: null,
  failing: null,
  isRetentionWaiting: false,
}

/** Attempts take seconds, and an outage of a receiver some minutes. */
const LATE_SECONDS = 600

export interface ExportProblem {
  readonly code: 'audit_export_late' | 'audit_export_retention'
  readonly message: string
  readonly remedy: string
}

export const EXPORT_REMEDY =
  'Check audit.export.url, its secret and the receiver. Events wait in the database, in their order.'

/** What an operator should do something about. */
export function exportProblems(state: ExportState): readonly ExportProblem[] {
  const seconds = Math.min(state.oldestPendingSeconds ?? 0, state.acceptedSeconds ?? Infinity)
  const late: readonly ExportProblem[] = seconds <= LATE_SECONDS ? [] : [{ // guard: audit-export-late
    code: 'audit_export_late',
    message: `events of the audit have not been exported for ${Math.floor(seconds / 60)} minutes: ${whyLate(state)}; ${
      pendingText(state)
    }, ${deliveredText(state)}`,
    remedy: EXPORT_REMEDY,
  }]
  if (!state.isRetentionWaiting) return late
  return [...late, {
    code: 'audit_export_retention',
    message: 'rows of the audit are past audit.retention and are kept, because they are not exported yet',
    remedy: 'They go once they are exported, or once the section audit.export is taken away.',
  }]
}

/** Old events wait, as at the first export of an existing audit, and the receiver accepts what it is sent. */
export function isCatchingUp(state: ExportState): boolean {
  return state.failing === null && (state.acceptedSeconds ?? Infinity) <= LATE_SECONDS &&
    (state.oldestPendingSeconds ?? 0) > LATE_SECONDS
}

function whyLate({ failing, acceptedAt }: ExportState): string {
  if (failing === null) return acceptedAt === null ? 'no replica has tried' : 'no replica has tried since'
  const { failures, events, firstId, firstAt } = failing
  return `${failures} ${failures === 1 ? 'attempt has' : 'attempts have'} failed, the last one because ${
    CAUSES[failing.cause] ?? failing.cause
  } (${failing.detail}); it had ${events === 1 ? 'the event' : `${events} events, the first of them`} ${
    firstId ?? '?'
  }${firstAt === null ? '' : ` of ${firstAt}`}`
}

const CAUSES: Readonly<Record<string, string>> = {
  unreachable: 'there was no connection to the receiver',
  timeout: 'the receiver did not answer in time',
  redirected: 'the receiver answered with a redirect',
  refused: 'the receiver refused it',
  unavailable: 'the receiver was not available',
} satisfies Record<ExportFailureCause, string>

/** `12 events wait`, at most MAX_COUNTED_PENDING of them. */
export function pendingText({ pending }: Pick<ExportState, 'pending'>): string {
  if (pending === 0) return 'no event waits'
  if (pending === 1) return '1 event waits'
  return `${pending >= MAX_COUNTED_PENDING ? `${MAX_COUNTED_PENDING} events or more` : `${pending} events`} wait`
}

export function deliveredText({ deliveredUntil }: Pick<ExportState, 'deliveredUntil'>): string {
  return deliveredUntil === null ? 'no event is delivered yet' : `delivered up to ${deliveredUntil}`
}

/** Whether an event is about something that was refused: it has a higher severity. */
export function isRefusal({ action }: Pick<AuditView, 'action'>): boolean {
  return action.split('.').includes('refused')
}
