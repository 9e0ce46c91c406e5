// The management port: alive, ready, and which part is not. It never shares a port with the pages.
import type { FastifyInstance } from 'fastify'

export interface HealthChecks {
  /** Rejects where the database does not answer. */
  readonly database: () => Promise<void>
  /** Told, and no reason not to be ready: live sessions go on without them. */
  readonly informed: () => Readonly<Record<string, unknown>>
}

export async function healthRoutes(scope: FastifyInstance, { checks, draining }: { checks: HealthChecks, draining: () => boolean }): Promise<void> {
  scope.get('/healthz', async () => ({ status: 'ok' }))
  scope.get('/readyz', async (_request, reply) => {
    const database = await checks.database().then(() => 'ok', () => 'unreachable')
    const ready = database === 'ok' && !draining()
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'not ready', parts: { database, ...checks.informed(), ...(draining() ? { shutdown: 'in progress' } : {}) } })
  })
}
