// The listener of /healthz, /readyz and /metrics. Nothing that arrives slowly is held: a request that is not complete
// in time is answered 408 and its connection closed, and the number of connections is bounded.
import fastify, { LogController, type FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { healthRoutes, type HealthOptions } from './http/health.js'

export interface ManagementOptions extends HealthOptions {
  readonly log: Logger
  /** How long a request may take to arrive, headers and body. */
  readonly requestTimeoutMs?: number
  readonly maxConnections?: number
}

const REQUEST_TIMEOUT_MS = 10_000
const KEEP_ALIVE_MS = 75_000 // longer than monitors ask once a minute
const MAX_CONNECTIONS = 200
const MAX_HEADER_BYTES = 16 * 1024
const BODY_LIMIT = 1024 // nothing here takes a body

export async function createManagementServer(options: ManagementOptions): Promise<FastifyInstance> {
  const { log, requestTimeoutMs = REQUEST_TIMEOUT_MS, maxConnections = MAX_CONNECTIONS, ...health } = options
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: 'idle',
    requestTimeout: requestTimeoutMs, // guard: adv-management-slow
    keepAliveTimeout: KEEP_ALIVE_MS,
    bodyLimit: BODY_LIMIT,
    http: {
      headersTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, requestTimeoutMs),
      maxHeaderSize: MAX_HEADER_BYTES,
    },
  })
  app.server.maxConnections = maxConnections // guard: adv-management-connections
  await app.register(healthRoutes, health)
  return app as unknown as FastifyInstance
}
