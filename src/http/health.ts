// The routes of the management port: liveness, readiness by component, and metrics. Never on the port of the pages.
import type { FastifyInstance } from 'fastify'

export interface HealthChecks {
  /** Rejects if the database does not answer. */
  readonly database: () => Promise<void>
  /** Reported in /readyz without an effect on readiness: active sessions do not depend on these parts. */
  readonly informed: () => Readonly<Record<string, unknown>>
}

export interface HealthOptions {
  readonly checks: HealthChecks
  readonly draining: () => boolean
  readonly metrics: () => Promise<{ readonly type: string, readonly body: string }>
}

export async function healthRoutes(
  scope: FastifyInstance,
  { checks, draining, metrics }: HealthOptions,
): Promise<void> {
  scope.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  })
  scope.get('/metrics', async (_request, reply) => {
    const { type, body } = await metrics()
    return reply.header('content-type', type).send(body)
  })
  scope.get('/healthz', async () => ({ status: 'ok' }))
  scope.get('/readyz', async (_request, reply) => {
    const database = await checks.database().then(() => 'ok', () => 'unreachable')
    const ready = database === 'ok' && !draining()
    return reply.code(ready ? 200 : 503).send({
      status: ready ? 'ok' : 'not ready',
      parts: { database, ...checks.informed(), ...(draining() ? { shutdown: 'in progress' } : {}) },
    })
  })
}
