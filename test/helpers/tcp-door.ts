// A door in front of a TCP server: it can be shut (connections break, new ones are refused), frozen (nothing comes through,
// nothing breaks: a half-open connection), and opened again.
import { createServer, connect, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface TcpDoor {
  /** The same address, through the door. */
  readonly url: string
  shut(): void
  freeze(): void
  open(): void
}

export async function startTcpDoor(t: Test, to: string): Promise<TcpDoor> {
  const target = new URL(to)
  const pairs = new Set<readonly [Socket, Socket]>()
  let state: 'open' | 'shut' | 'frozen' = 'open'
  const server = createServer((incoming) => {
    if (state === 'shut') return incoming.destroy()
    const outgoing = connect(Number(target.port), target.hostname)
    const pair = [incoming, outgoing] as const
    pairs.add(pair)
    for (const [from, other] of [pair, [outgoing, incoming] as const]) {
      from.on('data', (chunk) => { if (state !== 'frozen') other.write(chunk) })
      from.on('error', () => {})
      from.on('close', () => {
        pairs.delete(pair)
        if (state !== 'frozen') other.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const breakAll = (): void => { for (const pair of pairs) for (const socket of pair) socket.destroy() }
  t.teardown(() => { breakAll(); server.close() })
  const url = new URL(to)
  url.port = String((server.address() as { port: number }).port)
  return {
    url: url.href,
    shut() { state = 'shut'; breakAll() },
    freeze() { state = 'frozen' },
    open() { if (state === 'frozen') breakAll(); state = 'open' },
  }
}
