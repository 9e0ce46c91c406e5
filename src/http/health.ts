// The management port: alive, ready, which part is not, and the metrics. It never shares a port with the pages.
import type { FastifyInstance } from 'fastify'

export interface Readiness {
  /** Whether requests may be sent here. */
  readonly ready: boolean
  /** For operators. */
  readonly parts: Readonly<Record<string, unknown>>
}

export interface HealthOptions {
  readonly readiness: () => Promise<Readiness>
  readonly metrics: { text(): Promise<{ readonly type: string, readonly body: string }> }
}

export async function healthRoutes(
  scope: FastifyInstance,
  { readiness, metrics }: HealthOptions,
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
    const { ready, parts } = await readiness()
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'not ready', parts })
  })
}
