// The management port: alive, ready, which part is not, and the metrics. It never shares a port with the pages.
import type { FastifyInstance } from 'fastify'

export interface HealthChecks {
  /** Rejects where the database does not answer. */
  readonly database: () => Promise<void>
  /** Told, and no reason not to be ready: live sessions go on without them. */
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
