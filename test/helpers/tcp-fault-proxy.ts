// A proxy in front of a TCP server that injects faults: shut (connections break, new ones are refused), frozen (no data
// passes and no connection breaks, as in a half-open connection), and opened again. All connections can be frozen, or
// those that sent a given text.
import { createServer, connect, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface TcpFaultProxy {
  /** The URL of the server, with the address of the proxy. */
  readonly url: string
  shut(): void
  /** @param saying only the present connections on which the client has sent this text */
  freeze(saying?: string): void
  open(): void
}

/** The fault proxy of a gateway's database: `throughProxy` is an option of startTestGateway, which starts it. */
export interface DatabaseFaultProxy extends Omit<TcpFaultProxy, 'url'> {
  throughProxy(url: string): Promise<string>
}

/** Call its other methods once the gateway has started. */
export function databaseFaultProxy(t: Test): DatabaseFaultProxy {
  let started: TcpFaultProxy | undefined
  const proxy = (): TcpFaultProxy => {
    if (started === undefined) throw new Error('the gateway, and with it the proxy, has not been started')
    return started
  }
  return {
    async throughProxy(url) {
      started = await startTcpFaultProxy(t, url)
      return started.url
    },
    shut: () => proxy().shut(),
    freeze: (saying) => proxy().freeze(saying),
    open: () => proxy().open(),
  }
}

export async function startTcpFaultProxy(t: Test, to: string): Promise<TcpFaultProxy> {
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
