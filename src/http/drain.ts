// The end of the listener that proxies hold connections to: none of them is closed under a request's feet. For a while
// everything is still answered, each answer with `Connection: close`, so that a proxy lets go of its connections by
// itself and, where it asks
// /readyz, sends nothing more; then nothing new is accepted, and what is under way finishes.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

export interface DrainOptions {
  /** How long it goes on answering at most; it ends before where nobody was connected for a quarter of that. */
  readonly lingerMs: number
  /** How long what is under way may take after that; whoever trickles is cut off. */
  readonly cutOffMs: number
}

const LOOK_EVERY_MS = 50

export async function drainAndClose(app: FastifyInstance, { lingerMs, cutOffMs }: DrainOptions): Promise<void> {
  const { server } = app
  server.prependListener('request', (_request, response) => { // guard: live-drain-lets-go
    response.setHeader('connection', 'close')
  })
  const until = performance.now() + lingerMs
  let lastSeen = performance.now()
  while (performance.now() < until && performance.now() - lastSeen < lingerMs / 4) { // guard: live-drain-lingers
    await sleep(LOOK_EVERY_MS)
    if (await connections(app) > 0) lastSeen = performance.now()
  }
  // A long request that began before all this was answered with keep-alive.
  const reaper = setInterval(() => server.closeIdleConnections(), LOOK_EVERY_MS)
  const cutOff = setTimeout(() => server.closeAllConnections(), cutOffMs)
  await app.close()
  clearInterval(reaper)
  clearTimeout(cutOff)
}

function connections({ server }: FastifyInstance): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((_error, count) => resolve(server.listening ? count : 0))
  })
}
