// Sign-ins, checks and endings of sessions at several gateways on one database, recorded with begin and end, and judged
// afterwards. Every session is checked at every gateway, as replicas behind a load balancer are.
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
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
  readonly gateway: TestGateway
}

export interface RecordedLoad {
  readonly checks: readonly RecordedCheck[]
  readonly sessions: readonly RecordedSession[]
  /** Attempts too, by gateway. */
  readonly signIns: readonly (Act & { readonly gateway: string })[]
  readonly reaches: ReadonlyMap<string, readonly Reach[]>
  stop(): Promise<void>
}

const CHECK_MS = 100
/** Of one gateway. */
const SIGN_IN_MS = 3_000
/** How many sessions are left active. */
const ACTIVE = 10
/** How long after its ending a session is still checked. */
const ENDED_FOR_MS = 80_000
/** Of one gateway, so that answers that are late do not pile up. */
const MOST_UNDER_WAY = 100
const TIMEOUTS = { idleTimeoutMs: 28_800_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }

/** @param urls of the database, by name, for commands that end sessions */
export function startRecordedLoad(
  gateways: readonly LoadedGateway[],
  urls: Readonly<Record<string, string>>,
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
  const endingOf = enders(gateways, dispatcher, urls)
  const loops = gateways.flatMap((at, index) => [
    every(CHECK_MS, createCheckLoop(at, sessions, check)),
    sleep(index * SIGN_IN_MS / gateways.length).then(() => every(SIGN_IN_MS, () => signIn(at, sessions, signIns))),
    every(250, () => measureReach(at, reaches.get(at.name) ?? [])),
  ])
  const ends = every(SIGN_IN_MS / gateways.length, () => {
    const active = sessions.filter(({ ending }) => ending === undefined)
    const oldest = active.find(({ id }) => id !== undefined)
    if (oldest !== undefined && active.length > ACTIVE) void endingOf(oldest) // several may be under way
  })
  return {
    checks,
    sessions,
    signIns,
    reaches,
    async stop() {
      state.running = false
      await Promise.all([...loops, ends])
      await check.settled()
      await dispatcher.close()
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
  const acknowledged = isGood ? performance.now() : undefined
  const act = { gateway: name, begin, acknowledged }
  signIns.push(act)
  if (signedIn === undefined || acknowledged === undefined) return
  const cookie = signedIn.browser.cookieHeader(gateway.url)
  sessions.push({ gateway: name, cookie, idHash: idHashOf(cookie), signIn: act, id: undefined, ending: undefined })
}

function idHashOf(cookie: string): string {
  const id = /=([\w-]{43})\./.exec(cookie)?.[1]
  if (id === undefined) throw new Error('there is no session cookie')
  return sessionIdHash(id).toString('hex')
}

async function measureReach({ gateway }: LoadedGateway, reaches: Reach[]): Promise<void> {
  const begin = performance.now()
  const reached = await gateway.gateway.database.ask((db) => db.execute(sql`select 1`)).then(() => true, () => false)
  reaches.push({ begin, reached })
}

/** Sign-outs at each gateway and commands with each address, in turn. */
function enders(gateways: readonly LoadedGateway[], dispatcher: Agent, urls: Readonly<Record<string, string>>) {
  const signOuts = gateways.map(({ name, gateway }) => ({
    by: `sign-out at ${name}`,
    end: async ({ cookie }: RecordedSession): Promise<boolean> => {
      const { statusCode, body } = await request(`${gateway.url}/oauth2/sign_out`, {
        dispatcher,
        headers: { ...NAVIGATION, cookie },
      })
      await body.dump()
      return statusCode === 303
    },
  }))
  const commands = Object.entries(urls).map(([name, url]) => ({
    by: `command by ${name}`,
    end: async ({ id }: RecordedSession): Promise<boolean> => {
      if (id === undefined) return false
      const database = openDatabase({ server: await chooseServer({ url }), poolSize: 1 })
      try {
        await createSessionAdmin(database, TIMEOUTS).revoke(id, 'test')
        return true
      } finally {
        await database.close()
      }
    },
  }))
  const ways = [...commands, ...signOuts]
  let count = 0
  return async (session: RecordedSession): Promise<void> => {
    const way = ways[count++ % ways.length]
    if (way === undefined) return
    const begin = performance.now()
    session.ending = { by: way.by, begin, acknowledged: undefined }
    const isGood = await way.end(session).catch(() => false)
    session.ending = { by: way.by, begin, acknowledged: isGood ? performance.now() : undefined }
  }
}
