// Graceful shutdown: no keep-alive connection is closed while a request is in flight. First every request is answered,
// with `Connection: close`, so that a proxy gives up its connections and, if it polls /readyz, sends no new requests.
// Then the listener closes and requests in flight are completed.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

export interface DrainOptions {
  /** Maximum time for which requests are still accepted; it ends early after a quarter of it without connections. */
  readonly lingerMs: number
  /** Time for requests in flight after that; then their connections are closed. */
  readonly cutOffMs: number
}

const POLL_MS = 50

export async function drainAndClose(app: FastifyInstance, { lingerMs, cutOffMs }: DrainOptions): Promise<void> {
  const { server } = app
  server.prependListener('request', (_request, response) => { // guard: live-drain-lets-go
    response.setHeader('connection', 'close')
  })
  const until = performance.now() + lingerMs
  let lastConnected = performance.now()
  while (performance.now() < until && performance.now() - lastConnected < lingerMs / 4) { // guard: live-drain-lingers
    await sleep(POLL_MS)
    if (await connections(app) > 0) lastConnected = performance.now()
  }
  // A long request that began before the shutdown was answered with keep-alive.
  const idleCloser = setInterval(() => server.closeIdleConnections(), POLL_MS)
  const cutOff = setTimeout(() => server.closeAllConnections(), cutOffMs)
  await app.close()
  clearInterval(idleCloser)
  clearTimeout(cutOff)
}

function connections({ server }: FastifyInstance): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((_error, count) => resolve(server.listening ? count : 0))
  })
}
