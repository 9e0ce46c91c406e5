// LISTEN: hears of every change that the database tells (migrations/0002_change_notices.sql). A notice to oneself every
// second proves that nothing is missed; five seconds without one, and everything is in doubt until it is heard again.
// It also says what this replica runs (core/replicas.ts).
import { randomBytes } from 'node:crypto'
import type { Replicas } from '../../core/replicas.js'
import type { Change, ChangeFeed } from '../../core/session-cache.js'
import { createHeartbeats } from './heartbeats.js'
import { openChangeConnections, type ChangeConnections } from './connections.js'

export interface ChangeListener extends ChangeFeed {
  /** Everything that was told before this call has been heard. @returns false where that cannot be said */
  caughtUp(): Promise<boolean>
  close(): Promise<void>
}

export interface ChangeListenerOptions {
  readonly url: string
  readonly onChange: (change: Change) => void
  readonly onKeys: () => void
  /** The feed broke, or stands again: something may have been missed since `knownUntil`. */
  readonly onDoubt: (knownUntil: number) => void
  /**
   * Which server rows are read from (`SERVER`). Another one than is listened to (a switchover that left the old one
   * running): nothing is heard.
   */
  readonly readFrom: () => Promise<string>
  /** What goes out with each heartbeat, and who hears that of the others. */
  readonly replicas: Pick<Replicas, 'says' | 'hear' | 'look'>
  readonly log: { warn(facts: object, text: string): void, info(facts: object, text: string): void }
  readonly beatMs?: number
  readonly silenceMs?: number
}

const RETRY_MS = 500

export function createChangeListener(
  { url, onChange, onKeys, onDoubt, readFrom, replicas, log, beatMs = 1_000, silenceMs = 5_000 }: ChangeListenerOptions,
): ChangeListener {
  const self = randomBytes(9).toString('base64url')
  const heartbeats = createHeartbeats()
  const slept = sleepWatch(silenceMs)
  let connections: ChangeConnections | undefined
  let listening = false
  let said = false
  let retry: NodeJS.Timeout | undefined

  const receive = (payload: string): void => {
    const [, whose, beat, says = ''] = /^b (\S+) (\d+)(?: (.*))?$/.exec(payload) ?? []
    if (whose !== undefined) return whose === self ? receiveOwn(Number(beat)) : replicas.hear(whose, says)
    if (payload === 'k') onKeys()
    else onChange(readNotice(payload))
  }
  const receiveOwn = (beat: number): void => {
    if (!heartbeats.received(beat)) return
    if (!listening) onDoubt(-Infinity) // whatever was told before this moment was not heard
    if (!listening && said) log.info({}, 'LISTEN connection restored: session cache in use again')
    listening = true
    said = false
    replicas.look()
  }
  const lose = (why: string): void => {
    connections?.drop()
    connections = undefined
    heartbeats.discard()
    if (listening) onDoubt(heartbeats.lastReceivedAt())
    listening = false
    if (!said) {
      log.warn({
        detail: why,
        remedy: 'LISTEN needs a direct connection or a pool in session mode. It is retried until it succeeds.',
      }, 'LISTEN connection lost: session cache bypassed, every check reads the database')
    }
    said = true
    clearTimeout(retry)
    retry = setTimeout(connect, RETRY_MS).unref()
  }
  const connect = (): void => {
    connections = openChangeConnections({
      url,
      timeoutMs: silenceMs,
      receive,
      nextHeartbeat: () => `b ${self} ${heartbeats.next()} ${replicas.says()}`,
      onLost: lose,
    })
  }
  const compareServers = async (): Promise<void> => {
    const current = connections
    const from = await readFrom().catch(() => undefined) // that the database is not reached is noticed elsewhere
    if (from !== undefined && current?.since !== undefined && current === connections && from !== current.server) {
      lose('rows are read from a different server than the LISTEN connection')
    }
  }
  let ticks = 0
  const timer = setInterval(() => {
    if (slept()) onDoubt(-Infinity)
    if (++ticks % 5 === 0) compareServers().catch(() => {})
    if (connections?.since === undefined) return // connecting, which has a time limit of its own
    if (performance.now() - Math.max(heartbeats.lastReceivedAt(), connections.since) > silenceMs) {
      lose(`no heartbeat was received for ${silenceMs / 1000} seconds`)
    } else connections.beat()
  }, beatMs).unref()

  connect()
  return {
    live: (at = performance.now()) => listening && at - heartbeats.lastReceivedAt() <= silenceMs,
    heardAt: heartbeats.lastReceivedAt,
    caughtUp() {
      const received = heartbeats.nextReceived()
      connections?.beat()
      return received
    },
    async close() {
      clearInterval(timer)
      clearTimeout(retry)
      heartbeats.discard()
      const last = connections
      connections = undefined
      await last?.close()
    },
  }
}

/** Detects that the machine was suspended for longer than this: monotonic clocks and timers stop meanwhile. */
function sleepWatch(longerThanMs: number): () => boolean {
  const ahead = (): number => Date.now() - performance.now()
  let before = ahead()
  return () => {
    const moved = ahead() - before
    before += moved
    return moved > longerThanMs
  }
}

/** An unparsable notification invalidates the whole cache (safe default). */
export function readNotice(payload: string): Change {
  const [kind, list = ''] = payload.split(' ', 2)
  const ids = list.split(',')
  if (kind === 's' && ids.every((id) => /^[0-9a-f]{64}$/.test(id))) return { kind: 'sessions', hashes: ids }
  if (kind === 'u' && ids.every((id) => /^[0-9a-f-]{36}$/.test(id))) return { kind: 'users', ids }
  return { kind: 'everything' }
}
