// The management port: alive, ready, which part is not, and the metrics. It never shares a port with the pages.
import type { FastifyInstance } from 'fastify'

export interface HealthOptions {
  /** Rejects where the database does not answer. */
  readonly ping: () => Promise<void>
  /** The other parts, for operators: none of them makes the gateway unready, because active sessions do not need it. */
  readonly parts: () => Readonly<Record<string, unknown>>
  readonly draining: () => boolean
  readonly metrics: { text(): Promise<{ readonly type: string, readonly body: string }> }
}

export async function healthRoutes(
  scope: FastifyInstance,
  { ping, parts, draining, metrics }: HealthOptions,
): Promise<void> {
  scope.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  })
  scope.get('/metrics', async (_request, reply) => {
    const { type, body } = await metrics.text()
    return reply.header('content-type', type).send(body)
  })
  scope.get('/healthz', async () => ({ status: 'ok' }))
  scope.get('/readyz', async (_request, reply) => {
    const database = await ping().then(() => 'ok', () => 'unreachable')
    const ready = database === 'ok' && !draining()
    return reply.code(ready ? 200 : 503).send({
      status: ready ? 'ok' : 'not ready',
      parts: { database, ...parts(), ...(draining() ? { shutdown: 'in progress' } : {}) },
    })
  })
}
