// What the primary process and a worker tell each other over their channel: one closed union for each direction. A
// message with an `id` is a question or its answer.
import type { CounterName, Count, Place, Topic } from '../core/siblings.js'
import type { Readiness } from '../http/health.js'
import type { MetricSnapshot } from '../telemetry/summed-metrics.js'
import type { ConfigInForce } from './config-in-force.js'
import type { SentError } from './sent-error.js'

export type ToWorker =
  /** The first message. */
  | { readonly kind: 'start', readonly place: Place, readonly config: ConfigInForce }
  /** A reload: first every worker prepares the next configuration, then it is in force in all or dropped by all. */
  | { readonly kind: 'prepare', readonly id: number, readonly config: ConfigInForce }
  | { readonly kind: 'commit' }
  | { readonly kind: 'abort' }
  /** Whether it still answers. */
  | { readonly kind: 'alive' }
  | { readonly kind: 'readiness', readonly id: number }
  | { readonly kind: 'metrics', readonly id: number }
  /** Answers `count`. */
  | { readonly kind: 'counted', readonly id: number, readonly count: Count }
  /** Another worker wrote this log line. */
  | { readonly kind: 'announced', readonly topic: Topic, readonly key: string }
  /** Completes the requests in progress and ends. */
  | { readonly kind: 'stop' }

export type ToPrimary =
  /** The program is loaded and waits for `start`. */
  | { readonly kind: 'loaded', readonly version: string }
  | { readonly kind: 'ready', readonly port: number | undefined }
  /** The start failed; the worker ends. */
  | { readonly kind: 'failed', readonly error: SentError }
  /** Answers `prepare`. */
  | { readonly kind: 'prepared', readonly id: number, readonly error?: SentError }
  | { readonly kind: 'alive' }
  | { readonly kind: 'readiness', readonly id: number, readonly readiness: Readiness }
  | { readonly kind: 'metrics', readonly id: number, readonly metrics: readonly MetricSnapshot[] }
  | {
    readonly kind: 'count'
    readonly id: number
    readonly counter: CounterName
    readonly key: string
    readonly windowMs: number
  }
  | { readonly kind: 'announce', readonly topic: Topic, readonly key: string }

/** The exit code of a worker that could not start because the database is unreachable: it is started again. */
export const EXIT_TRY_AGAIN = 75
