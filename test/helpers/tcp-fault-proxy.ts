// A door in front of a TCP server: it can be shut (connections break, new ones are refused), frozen (nothing comes
// through, nothing breaks: a half-open connection), and opened again. Frozen as a whole, or the connections that said
// something.
import { createServer, connect, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface TcpDoor {
  /** The same address, through the door. */
  readonly url: string
  shut(): void
  /** @param saying only connections on which the client has said this, and only as they stand now */
  freeze(saying?: string): void
  open(): void
}

export async function startTcpDoor(t: Test, to: string): Promise<TcpDoor> {
  const target = new URL(to)
  const pairs = new Set<readonly [Socket, Socket]>()
  const said = new WeakMap<Socket, string>()
  const frozen = new WeakSet<Socket>()
  const all = new Set<Socket>()
  let state: 'open' | 'shut' | 'frozen' = 'open'
  const server = createServer((incoming) => {
    if (state === 'shut') return incoming.destroy()
    const outgoing = connect(Number(target.port), target.hostname)
    const pair = [incoming, outgoing] as const
    pairs.add(pair)
    incoming.on('data', (chunk) => {
      said.set(incoming, ((said.get(incoming) ?? '') + chunk.toString('latin1')).slice(0, 4_096))
    })
    for (const [from, other] of [pair, [outgoing, incoming] as const]) {
      from.on('data', (chunk) => {
        if (state !== 'frozen' && !frozen.has(incoming)) other.write(chunk)
      })
      all.add(from)
      from.on('error', () => {})
      from.on('close', () => {
        pairs.delete(pair)
        all.delete(from)
        if (state !== 'frozen' && !frozen.has(incoming)) other.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const breakAll = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
  }
  t.teardown(() => {
    for (const socket of all) socket.destroy()
    server.close()
  })
  const url = new URL(to)
  url.port = String((server.address() as { port: number }).port)
  return {
    url: url.href,
    shut() {
      state = 'shut'
      breakAll()
    },
    freeze(saying) {
      if (saying === undefined) state = 'frozen'
      else for (const [incoming] of pairs) if (said.get(incoming)?.includes(saying)) frozen.add(incoming)
    },
    open() {
      if (state === 'frozen') breakAll()
      state = 'open'
    },
  }
}
