// Sign-ins, checks and endings of sessions at several gateways on one database, recorded with begin and end, and judged
// afterwards. Every session is checked at every gateway, as replicas behind a load balancer are.
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { sessionIdHash } from '../../src/core/session.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import { openDatabase } from '../../src/store/database.js'
import { chooseServer } from '../../src/store/server-of-record/server-of-record.js'
import { createBrowser, NAVIGATION } from './browser.js'
import type { TestGateway } from './gateway.js'
import { TARGET } from './targets.js'
import { createSessionAdmin } from './acts.js'

/** Times are milliseconds of the monotonic clock. */
export interface Act {
  readonly begin: number
  /** Undefined: not acknowledged, so that it may have taken effect or not. */
  readonly acknowledged: number | undefined
}

export interface RecordedSession {
  readonly gateway: string
  readonly cookie: string
  readonly signIn: Act
  /** As the row of the session has it, in hexadecimal digits. */
  readonly idHash: string
  /** The id that the audit log has, once an answer has named it. */
  id: string | undefined
  ending: (Act & { readonly by: string }) | undefined
}

export interface RecordedCheck {
  readonly gateway: string
  readonly session: RecordedSession
  readonly begin: number
  readonly end: number
  /** 0: no answer. */
  readonly status: number
}

/** Whether a replica got an answer from the server of record. */
interface Reach {
  readonly begin: number
  readonly reached: boolean
}

export interface LoadedGateway {
  readonly name: string
  readonly graceMs: number
  readonly gateway: Pick<TestGateway, 'url' | 'management' | 'signIn'>
}

/** Ends the session with this public id. @throws where that is not acknowledged */
export type EndSession = (publicId: string) => Promise<void>

export interface RecordedLoad {
  readonly checks: readonly RecordedCheck[]
  readonly sessions: readonly RecordedSession[]
  /** Attempts too, by gateway. */
  readonly signIns: readonly (Act & { readonly gateway: string })[]
  readonly reaches: ReadonlyMap<string, readonly Reach[]>
  /** Ends the oldest active sessions now. @returns how many endings were acknowledged */
  end(by: string, end: EndSession, count: number): Promise<number>
  stop(): Promise<void>
}

export interface Pace {
  readonly checkMs: number
  /** Of one gateway. */
  readonly signInMs: number
  /** How many sessions are left active. */
  readonly active: number
}

const PACE: Pace = { checkMs: 100, signInMs: 3_000, active: 10 }
/** How long after its ending a session is still checked. */
const ENDED_FOR_MS = 80_000
/** Of one gateway, so that answers that are late do not pile up. */
const MOST_UNDER_WAY = 100
const TIMEOUTS = { idleTimeoutMs: 28_800_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }

/** @param commands by name; sessions end by each of them and by sign-outs in turn */
export function startRecordedLoad(
  gateways: readonly LoadedGateway[],
  commands: Readonly<Record<string, EndSession>>,
  { checkMs, signInMs, active: leftActive } = PACE,
): RecordedLoad {
  const checks: RecordedCheck[] = []
  const sessions: RecordedSession[] = []
  const signIns: (Act & { gateway: string })[] = []
  const reaches = new Map(gateways.map(({ name }) => [name, [] as Reach[]]))
  const state = { running: true }
  const dispatcher = new Agent({ connections: 100, headersTimeout: 20_000, bodyTimeout: 20_000 })
  const every = async (ms: number, work: () => Promise<void> | void): Promise<void> => {
    while (state.running) {
      const began = performance.now()
      await work()
      await sleep(Math.max(10, ms - (performance.now() - began)))
    }
  }
  const check = checker(dispatcher, checks)
  const endInTurn = enders(gateways, dispatcher, commands)
  const loops = gateways.flatMap((at, index) => [
    every(checkMs, createCheckLoop(at, sessions, check)),
    sleep(index * signInMs / gateways.length).then(() => every(signInMs, () => signIn(at, sessions, signIns))),
    every(250, () => measureReach(at, reaches.get(at.name) ?? [])),
  ])
  const answered = (): readonly RecordedSession[] =>
    sessions.filter(({ id, ending }) => id !== undefined && ending === undefined)
  const ends = every(signInMs / gateways.length, () => {
    const [oldest] = answered()
    const active = sessions.filter(({ ending }) => ending === undefined).length
    if (oldest !== undefined && active > leftActive) void endInTurn(oldest) // several may be under way
  })
  let stopped: Promise<void> | undefined
  return {
    checks,
    sessions,
    signIns,
    reaches,
    async end(by, end, count) {
      const oldest = answered().slice(0, count)
      for (const session of oldest) await recordEnding(session, by, ({ id = '' }) => end(id))
      return oldest.filter(({ ending }) => ending?.acknowledged !== undefined).length
    },
    stop() {
      state.running = false
      stopped ??= Promise.all([...loops, ends]).then(check.settled).then(() => dispatcher.close())
      return stopped
    },
  }
}

type Checker = ReturnType<typeof checker>

function checker(dispatcher: Agent, checks: RecordedCheck[]) {
  const underWay = new Map<string, Set<Promise<void>>>()
  const ask = async ({ name, gateway }: LoadedGateway, session: RecordedSession): Promise<void> => {
    const begin = performance.now()
    const status = await request(`${gateway.url}/oauth2/auth`, {
      dispatcher,
      headers: { ...TARGET, cookie: session.cookie },
    }).then(async ({ statusCode, headers, body }) => {
      await body.dump()
      session.id ??= sessionIdIn(headers['x-gatehouse-assertion'])
      return statusCode
    }).catch(() => 0)
    checks.push({ gateway: name, session, begin, end: performance.now(), status })
  }
  return {
    begin(at: LoadedGateway, session: RecordedSession): void {
      const pending = underWay.get(at.name) ?? new Set()
      underWay.set(at.name, pending)
      if (pending.size >= MOST_UNDER_WAY) return
      const done = ask(at, session).finally(() => pending.delete(done))
      pending.add(done)
    },
    settled: () => Promise.all([...underWay.values()].flatMap((pending) => [...pending])),
  }
}

function sessionIdIn(assertion: string | readonly string[] | undefined): string | undefined {
  if (typeof assertion !== 'string') return undefined
  const [, payload = ''] = assertion.split('.')
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sid?: string }).sid
}

/** At each call one active session and two ended ones, in turn. */
function createCheckLoop(at: LoadedGateway, sessions: readonly RecordedSession[], check: Checker): () => void {
  let count = 0
  return () => {
    const now = performance.now()
    const active = sessions.filter(({ ending }) => ending === undefined)
    const ended = sessions.filter(({ ending }) => ending !== undefined && now - ending.begin < ENDED_FOR_MS)
    const chosen = [
      active[count % active.length],
      ended[2 * count % ended.length],
      ended[(2 * count + 1) % ended.length],
    ]
    for (const session of chosen) {
      if (session !== undefined) check.begin(at, session)
    }
    count++
  }
}

async function signIn(
  { name, gateway }: LoadedGateway,
  sessions: RecordedSession[],
  signIns: (Act & { gateway: string })[],
): Promise<void> {
  const begin = performance.now()
  const dispatcher = new Agent({ keepAliveTimeout: 100, headersTimeout: 20_000 })
  const signedIn = await gateway.signIn(PERSON_IDS.guest, { browser: createBrowser({ dispatcher }) })
    .catch(() => undefined)
  void dispatcher.close().catch(() => {})
  const isGood = signedIn?.answer.status === 200 && signedIn.answer.url.startsWith(gateway.url)
  const cookie = isGood ? signedIn.browser.cookieHeader(gateway.url) : ''
  const idHash = idHashOf(cookie)
  const acknowledged = idHash === undefined ? undefined : performance.now()
  const act = { gateway: name, begin, acknowledged }
  signIns.push(act)
  if (idHash !== undefined) {
    sessions.push({ gateway: name, cookie, idHash, signIn: act, id: undefined, ending: undefined })
  }
}

/** @returns undefined where there is no session cookie */
function idHashOf(cookie: string): string | undefined {
  const id = /=([\w-]{43})\./.exec(cookie)?.[1]
  return id === undefined ? undefined : sessionIdHash(id).toString('hex')
}

/** A replica is ready where the server of record answers it. */
async function measureReach({ gateway }: LoadedGateway, reaches: Reach[]): Promise<void> {
  const begin = performance.now()
  const reached = await fetch(`${gateway.management}/readyz`, { signal: AbortSignal.timeout(10_000) })
    .then(async (answer) => ((await answer.json()) as { parts: { database: string } }).parts.database === 'ok')
    .catch(() => false)
  reaches.push({ begin, reached })
}

/** `gatehouse sessions revoke`, on the server that this address leads to. */
export function commandAt(url: string): EndSession {
  return async (publicId) => {
    const database = openDatabase({ server: await chooseServer({ url }), poolSize: 1 })
    try {
      await createSessionAdmin(database, TIMEOUTS).revoke(publicId, 'test')
    } finally {
      await database.close()
    }
  }
}

async function recordEnding(
  session: RecordedSession,
  by: string,
  end: (session: RecordedSession) => Promise<void>,
): Promise<void> {
  const begin = performance.now()
  session.ending = { by, begin, acknowledged: undefined }
  const isGood = await end(session).then(() => true, () => false)
  session.ending = { by, begin, acknowledged: isGood ? performance.now() : undefined }
}

/** Sign-outs at each gateway and commands, in turn. */
function enders(
  gateways: readonly LoadedGateway[],
  dispatcher: Agent,
  commands: Readonly<Record<string, EndSession>>,
): (session: RecordedSession) => Promise<void> {
  const signOuts = gateways.map(({ name, gateway }) => ({
    by: `sign-out at ${name}`,
    end: async ({ cookie }: RecordedSession): Promise<void> => {
      const { statusCode, body } = await request(`${gateway.url}/oauth2/sign_out`, {
        dispatcher,
        headers: { ...NAVIGATION, cookie },
      })
      await body.dump()
      if (statusCode !== 303) throw new Error(`the sign-out was answered ${statusCode}`)
    },
  }))
  const byCommand = Object.entries(commands).map(([name, end]) => ({
    by: `command by ${name}`,
    end: ({ id = '' }: RecordedSession): Promise<void> => end(id),
  }))
  const ways = [...byCommand, ...signOuts]
  let count = 0
  return async (session) => {
    const way = ways[count++ % ways.length]
    if (way !== undefined) await recordEnding(session, way.by, way.end)
  }
}
