// LISTEN: hears of every change that the database tells (migrations/0002_change_notices.sql). A notice to oneself every second
// proves that nothing is missed; five seconds without one, and everything is in doubt until it is heard again. It also says
// what this replica runs (core/replicas.ts). It is sent on another connection than it is heard on: a pool in transaction mode would give
// whoever listens the notices that are sent by its own statement, and nobody else's.
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import type { Replicas } from '../core/replicas.js'
import type { Change, ChangeFeed } from '../core/session-cache.js'
import { createOwnConnection, type OwnConnection } from './own-connection.js'

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
  /** Which server rows are read from (`SERVER`). Another one than is listened to (a switchover that left the old one running): nothing is heard. */
  readonly readFrom: () => Promise<string>
  /** What goes out with each heartbeat, and who hears that of the others. */
  readonly replicas: Pick<Replicas, 'says' | 'hear' | 'look'>
  readonly log: { warn(facts: object, text: string): void, info(facts: object, text: string): void }
  readonly beatMs?: number
  readonly silenceMs?: number
}

const CHANNEL = 'gatehouse'
const RETRY_MS = 500
/** What tells one server from another, and from itself before a restart. */
export const SERVER = 'select pg_postmaster_start_time()::text as server'

interface Pair { readonly hears: OwnConnection, readonly tells: OwnConnection }

export function createChangeListener({ url, onChange, onKeys, onDoubt, readFrom, replicas, log, beatMs = 1_000, silenceMs = 5_000 }: ChangeListenerOptions): ChangeListener {
  const self = randomBytes(9).toString('base64url')
  const beats: { readonly number: number, readonly sentAt: number }[] = []
  let number = 0
  let waiting: { readonly number: number, readonly done: (heard: boolean) => void }[] = []
  let pair: Pair | undefined
  let heard = -Infinity
  let listening = false
  let closed = false
  let said = false
  let retry: NodeJS.Timeout | undefined
  /** When LISTEN was answered on the connections that stand, and by which server. */
  let since: number | undefined
  let server: string | undefined
  const slept = sleepWatch(silenceMs)

  const receive = ({ payload = '' }: pg.Notification): void => {
    const [, whose, beat, said = ''] = /^b (\S+) (\d+)(?: (.*))?$/.exec(payload) ?? []
    if (whose !== undefined) return whose === self ? hearOneself(Number(beat)) : replicas.hear(whose, said)
    if (payload === 'k') onKeys()
    else onChange(readNotice(payload))
  }
  /** Notices come in the order of their commits: all that was told before this one was sent has been heard. */
  const hearOneself = (beat: number): void => {
    if (beat < (beats[0]?.number ?? Infinity)) return // of connections that were given up
    while (beats[0] !== undefined && beats[0].number <= beat) heard = beats.shift()?.sentAt ?? heard
    if (!listening) onDoubt(-Infinity) // whatever was told before this moment was not heard
    if (!listening && said) log.info({}, 'changes are heard of again; answers come from memory again')
    listening = true
    said = false
    for (const each of waiting) if (each.number <= beat) each.done(true)
    waiting = waiting.filter((each) => each.number > beat)
    replicas.look()
  }
  const lose = (why: string): void => {
    const broken = pair
    pair = undefined
    since = undefined
    beats.length = 0
    for (const { done } of waiting.splice(0)) done(false)
    broken?.hears.drop()
    broken?.tells.drop()
    if (listening) onDoubt(heard)
    listening = false
    if (closed) return
    if (!said) log.warn({ detail: why, remedy: 'Every check reads the database until this is over. LISTEN needs a direct connection or a pool in session mode.' }, 'changes are not heard of')
    said = true
    clearTimeout(retry)
    retry = setTimeout(() => { connect().catch(() => {}) }, RETRY_MS).unref()
  }
  const connect = async (): Promise<void> => {
    const own = (name: string): OwnConnection => createOwnConnection({ url, name, timeoutMs: silenceMs, onLost: (why) => { if (pair === next) lose(why) } })
    const next: Pair = { hears: own('listener'), tells: own('heartbeat') }
    pair = next
    next.hears.client.on('notification', receive)
    try {
      await Promise.all([next.hears.client.connect(), next.tells.client.connect()])
      await next.hears.client.query(`listen ${CHANNEL}`)
      server = (await next.hears.client.query<{ server: string }>(SERVER)).rows[0]?.server
      since = performance.now()
      tell()
    } catch (error) {
      if (pair === next) lose(error instanceof Error ? error.message : String(error))
    }
  }
  let telling = false
  let againAfter = false
  /** One at a time; what is asked for meanwhile is told after it. */
  const tell = (): void => {
    const current = pair
    if (current === undefined || since === undefined) return
    if (telling) {
      againAfter = true
      return
    }
    telling = true
    beats.push({ number: ++number, sentAt: performance.now() })
    current.tells.client.query('select pg_notify($1, $2)', [CHANNEL, `b ${self} ${number} ${replicas.says()}`])
      .catch((error: unknown) => { if (pair === current) lose(error instanceof Error ? error.message : String(error)) })
      .finally(() => {
        telling = false
        if (!againAfter) return
        againAfter = false
        tell()
      })
  }
  const compareServers = async (): Promise<void> => {
    const [current, heardFrom] = [pair, server]
    const from = await readFrom().catch(() => undefined) // that the database is not reached is noticed elsewhere
    if (from !== undefined && from !== heardFrom && pair === current && since !== undefined) lose('rows are read from another server than changes are heard from')
  }
  let ticks = 0
  const timer = setInterval(() => {
    if (slept()) onDoubt(-Infinity)
    if (++ticks % 5 === 0) compareServers().catch(() => {})
    if (since === undefined) return // connecting, which has a time limit of its own
    if (performance.now() - Math.max(heard, since) > silenceMs) lose(`nothing was heard for ${silenceMs / 1000} seconds`)
    else tell()
  }, beatMs).unref()

  connect().catch(() => {})
  return {
    live: (at = performance.now()) => listening && at - heard <= silenceMs,
    heardAt: () => heard,
    caughtUp: () => new Promise((resolve) => {
      waiting.push({ number: number + 1, done: resolve })
      tell() // while it connects, that is told as soon as it does
    }),
    async close() {
      closed = true
      clearInterval(timer)
      clearTimeout(retry)
      const current = pair
      pair = undefined
      for (const { done } of waiting.splice(0)) done(false)
      await Promise.all([current?.hears.close(), current?.tells.close()])
    },
  }
}

/** Says once that the machine was suspended for longer than this: monotonic clocks stand still meanwhile, and timeouts with them. */
function sleepWatch(longerThanMs: number): () => boolean {
  const ahead = (): number => Date.now() - performance.now()
  let before = ahead()
  return () => {
    const moved = ahead() - before
    before += moved
    return moved > longerThanMs
  }
}

/** What is not understood may be about anything: everything is read again, and nothing else can come of it. */
export function readNotice(payload: string): Change {
  const [kind, list = ''] = payload.split(' ', 2)
  const ids = list.split(',')
  if (kind === 's' && ids.every((id) => /^[0-9a-f]{64}$/.test(id))) return { kind: 'sessions', hashes: ids }
  if (kind === 'u' && ids.every((id) => /^[0-9a-f-]{36}$/.test(id))) return { kind: 'users', ids }
  return { kind: 'everything' }
}
