// A TCP relay that can stop listening, as a program does that has ended: its connections break, new ones are refused.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import type { Test } from 'tap'

export interface Relay {
  /** host:port */
  readonly address: string
  stop(): Promise<void>
  /** From now on connections are accepted and nothing goes through, as at a program that was sent SIGSTOP. */
  freeze(): void
  /** What came meanwhile arrives, and the rest passes again. */
  thaw(): void
}

/** @param to host:port @param delayMs how much later everything arrives, each way */
export async function startRelay(t: Pick<Test, 'teardown'>, to: string, delayMs = 0): Promise<Relay> {
  const [host = '', port = ''] = to.split(':')
  const sockets = new Set<Socket>()
  let frozen: Promise<void> | undefined
  let thaw = (): void => undefined
  const server = createServer((incoming) => {
    const outgoing = connect(Number(port), host)
    for (
      const [from, other] of [
        [incoming, outgoing],
        [outgoing, incoming],
      ] as const
    ) {
      sockets.add(from)
      from
        .on('error', () => undefined)
        .on('close', () => {
          sockets.delete(from)
          other.destroy()
        })
        .pipe(delayedBy(delayMs))
        .pipe(heldWhile(() => frozen))
        .pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()))
  }
  t.teardown(stop)
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop,
    freeze() {
      frozen = new Promise((resolve) => {
        thaw = resolve
      })
    },
    thaw() {
      frozen = undefined
      thaw()
    },
  }
}

/** Lets nothing through while there is something to wait for. */
function heldWhile(waitingFor: () => Promise<void> | undefined): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, next) {
      Promise.resolve(waitingFor()).then(() => next(null, chunk), next)
    },
  })
}

/** Everything comes later, nothing comes slower. */
function delayedBy(delayMs: number): Transform {
  return new Transform({
    readableHighWaterMark: 1_000_000,
    transform(chunk: Buffer, _encoding, next) {
      if (delayMs === 0) return next(null, chunk)
      setTimeout(() => this.push(chunk), delayMs)
      next()
    },
    flush(next) {
      setTimeout(next, delayMs)
    },
  })
}
