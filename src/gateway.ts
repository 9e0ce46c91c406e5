// What a running gateway offers to its caller, and the options of its start beside the configuration.
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { AuditExporter } from './audit-export/exporter.js'
import type { ReloadState } from './config/reload-state.js'
import type { CustomSteps } from './custom-steps/registry.js'
import type { Siblings } from './core/siblings.js'
import type { Readiness } from './http/health.js'
import type { ReevaluationSchedule } from './reevaluation/scheduler.js'
import type { Activity } from './store/activity.js'
import type { OpenChangeFeed } from './store/change-feed/feed.js'
import type { Database } from './store/database.js'
import type { RequestSampling } from './store/request-sample.js'
import type { Metrics } from './telemetry/metrics.js'
import type { Tracing } from './telemetry/tracing/tracing.js'

export interface Gateway {
  readonly app: FastifyInstance
  readonly database: Database
  readonly databaseUrl: string
  readonly changes: OpenChangeFeed
  /** Undefined: not configured. */
  readonly reevaluation: ReevaluationSchedule | undefined
  /** Undefined: not configured. */
  readonly auditExport: Pick<AuditExporter, 'run'> | undefined
  /** What was counted for the console. */
  readonly activity: Activity
  /** What was sampled for previews of drafts. */
  readonly sampling: Pick<RequestSampling, 'flush'>
  /** Where it listens. */
  readonly port: number | undefined
  /** What /readyz shows of this replica. */
  readonly readiness: () => Promise<Readiness>
  readonly metrics: Pick<Metrics, 'snapshot'>
  /** Fails readiness and mutes disconnect warnings. Call before shutting down dependencies. */
  drain(): void
  /** Lets proxies go, stops taking requests, finishes those under way, closes everything. */
  close(): Promise<void>
}

export interface GatewayOptions {
  readonly log: Logger
  /** Custom steps that the caller loads, and replaces after a reload. */
  readonly customSteps?: CustomSteps
  readonly migrate?: boolean
  /** Closed with the gateway. */
  readonly tracing?: Tracing
  /** How long requests are still taken after close(), at most (milliseconds). */
  readonly lingerMs?: number
  /** How long another replica's configuration may differ before it is reported (milliseconds). */
  readonly replicasMayDifferMs?: number
  /** How long after a start an outage of Graph expires no privileges and no sessions (milliseconds). */
  readonly reevaluationGraceMs?: number
  /** The result of the last reload of the configuration; absent: the configuration is never reloaded. */
  readonly reload?: () => ReloadState
  /**
   * This process is one of several workers (src/workers): another one migrates, reloads, and listens on the management
   * port.
   */
  readonly siblings?: Siblings
}
