// The session reader over a store of the test's own: one session is one cache entry, however its cookie is encoded, and
// a result overtaken by a change is not used.
import { Signer } from '@fastify/cookie'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { GatehouseError } from '../../../src/core/errors.js'
import { newSessionId, sessionIdHash, type SessionRecord, type SessionUse } from '../../../src/core/session.js'
import { createSessionCache } from '../../../src/core/session-cache.js'
import { createSessionResolver } from '../../../src/http/forward-auth/session-resolver.js'
import { createActivityRecorder } from '../../../src/http/session-activity.js'

const RECORD = {
  userId: 'u1',
  isStaff: true,
  isSuperuser: true,
  groups: [],
  permissions: [],
  expiresInMs: 3_600_000,
  rightsEndInMs: null,
  idleMs: 0,
} as Partial<SessionRecord> as SessionRecord
const NAME = 'gatehouse_session'

function setUp() {
  const world = {
    now: 1_000,
    live: true,
    ended: new Set<string>(),
    asked: [] as string[],
    touched: [] as string[],
    idleMs: 0,
    rightsEndInMs: null as number | null,
    before: async (): Promise<void> => {},
  }
  const sessions = {
    async find(id: string) {
      world.asked.push(id)
      const found = world.ended.has(id)
        ? undefined
        : { ...RECORD, idleMs: world.idleMs, rightsEndInMs: world.rightsEndInMs }
      await world.before()
      return found
    },
    async touch(uses: readonly SessionUse[]) {
      world.touched.push(...uses.map(({ hash }) => hash))
    },
  }
  const log = { error: () => {} }
  const cache = createSessionCache({
    feed: { connected: () => world.live, lastReceivedAt: () => world.now },
    capacity: 1_000,
    touchAfterMs: 60_000,
    now: () => world.now,
  })
  const activity = createActivityRecorder({ sessions, idleTimeoutMs: 3_600_000, recordClient: false, log })
  const secrets = ['a secret of at least 32 characters!', 'an older secret of 32 characters...']
  const signer = new Signer(secrets)
  const reader = createSessionResolver({
    signer,
    cookieName: NAME,
    sessions,
    cache,
    activity,
    graceMs: 60_000,
    log,
    meter: { sessionLookups: { memory: 0, database: 0, none: 0, grace: 0 } },
    now: () => world.now,
  })
  const read = async (value: string) => (await reader.resolve(`${NAME}=${value}`)).session !== undefined
  const end = (id: string) => {
    world.ended.add(id)
    cache.apply({ kind: 'sessions', hashes: [sessionIdHash(id).toString('hex')] })
  }
  return {
    world,
    cache,
    reader,
    read,
    end,
    signed: (id: string, secret = 0) => new Signer(secrets[secret] ?? '').sign(id),
  }
}

// proves: live-one-entry
t.test('an ended session is over in every spelling of its cookie', async (t) => {
  const { world, cache, reader, read, end, signed } = setUp()
  const id = newSessionId()
  const [plain, older] = [signed(id), signed(id, 1)]
  const spellings = [plain, encodeURIComponent(plain), older, encodeURIComponent(older)]
  for (const value of [...spellings, ...spellings]) t.ok(await read(value))
  t.ok(reader.resolveCached(`${NAME}=${spellings[3]}`) !== 'anonymous')
  t.equal(cache.size, 1)
  end(id)
  for (const value of spellings) {
    t.notOk(await read(value))
    t.equal(reader.resolveCached(`${NAME}=${value}`), 'anonymous')
  }
  world.live = false
  for (const value of spellings) t.notOk(await read(value))
})

// proves: live-one-spelling
t.test('malformed cookies are rejected without a query', async (t) => {
  const { world, read, signed } = setUp()
  let plain = ''
  while (!/[+/].*[+/]/.test(plain)) plain = signed(newSessionId())
  const half = encodeURIComponent(plain).replace(/%2B|%2F/, (found) => decodeURIComponent(found))
  const everything = [...plain].map((char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`).join('')
  for (
    const value of [
      plain.replace('.', '%2E'),
      plain.replace('.', '%2e'),
      `%${plain.charCodeAt(0).toString(16)}${plain.slice(1)}`,
      everything,
      half,
      encodeURIComponent(plain).replace(/%2B|%2F/, (found) => found.toLowerCase()),
    ]
  ) t.notOk(await read(value), value)
  t.strictSame(world.asked, [])
})

// proves: live-slow-row
t.test('a row that was read slowly while a change arrived is read again', async (t) => {
  const { world, read, end, signed } = setUp()
  const id = newSessionId()
  world.before = async () => {
    world.before = async () => {}
    end(id)
    world.now += 3_000
  }
  t.notOk(await read(signed(id)), 'it ended meanwhile')
  t.equal(world.asked.length, 2)
})

// proves: live-membership-waited
t.test('a row that was read while a membership ended is read again', async (t) => {
  const { world, reader, signed } = setUp()
  const id = newSessionId()
  world.rightsEndInMs = 200
  world.before = async () => {
    world.before = async () => {}
    world.rightsEndInMs = null
    world.now += 200
  }
  const answer = await reader.resolve(`${NAME}=${signed(id)}`)
  t.equal(answer.session?.rightsEndInMs, null, 'the rights without it')
  t.equal(world.asked.length, 2)
})

// proves: live-late-joiner
t.test('a request does not join a query that began more than half a second before it', async (t) => {
  const { world, read, end, signed } = setUp()
  const id = newSessionId()
  let answer = (): void => {}
  world.before = () =>
    new Promise((resolve) => {
      answer = resolve
    })
  const first = read(signed(id))
  const joined = read(signed(id))
  t.equal(world.asked.length, 1)
  end(id)
  world.now += 600
  world.before = async () => {}
  t.notOk(await read(signed(id)))
  answer()
  t.strictSame(await Promise.all([first, joined]), [false, false])
  t.equal(world.asked.length, 3)
})

t.test('a read that keeps being overtaken by changes is refused', async (t) => {
  const { world, read, cache, signed } = setUp()
  world.before = async () => {
    world.now += 3_000
    cache.apply({ kind: 'users', ids: ['somebody'] })
  }
  await t.rejects(read(signed(newSessionId())), { code: 'database_unavailable' })
  t.equal(world.asked.length, 2)
})

// proves: live-use-overtaken
t.test('a read that a change overtakes records the use if the last record is old enough', async (t) => {
  const { world, read, cache, signed } = setUp()
  world.before = async () => cache.apply({ kind: 'users', ids: ['somebody'] })
  const [recent, due] = [newSessionId(), newSessionId()]
  world.idleMs = 359_999
  t.ok(await read(signed(recent)))
  world.idleMs = 360_000
  t.ok(await read(signed(due)))
  while (world.touched.length === 0) await sleep(10)
  t.strictSame(world.touched, [sessionIdHash(due).toString('hex')])
})

t.test('notes that a session is in use', async (t) => {
  const written: string[][] = []
  const errors: unknown[] = []
  let goOn = (): void => {}
  const stuck = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const touch = async (uses: readonly SessionUse[]): Promise<void> => {
    written.push(uses.map(({ hash }) => hash))
    if (written.length === 1) await stuck
  }
  const activity = createActivityRecorder({
    sessions: { touch },
    idleTimeoutMs: 3_600_000,
    recordClient: false,
    log: {
      error: (...args: unknown[]) => {
        errors.push(args)
      },
    },
  })

  await t.test('are gathered while one is written, not queued one behind the other', async (t) => {
    activity.record('first')
    while (written.length < 1) await sleep(10)
    for (let each = 0; each < 5; each++) {
      for (const id of ['a', 'b']) activity.record(id)
      await sleep(120)
    }
    t.strictSame(written, [['first']])
    goOn()
    while (written.length < 2) await sleep(10)
    t.strictSame(written, [['first'], ['a', 'b']])
  })

  // proves: live-use-written
  await t.test('that cannot be written are due again after ten seconds', async (t) => {
    let attempts = 0
    const refused = createActivityRecorder({
      sessions: {
        async touch() {
          if (++attempts === 1) throw new GatehouseError('database_unavailable', {})
        },
      },
      idleTimeoutMs: 3_600_000,
      recordClient: false,
      log: { error: (...args: unknown[]) => errors.push(args) },
    })
    const session = { hash: 'a', touchDue: 1_000 }
    refused.recordIfDue(session, 1_000)
    for (let each = 0; each < 300 && session.touchDue > 11_000; each++) await sleep(10)
    t.equal(session.touchDue, 11_000)
    refused.recordIfDue(session, 10_999)
    await sleep(150)
    t.equal(attempts, 1)
    refused.recordIfDue(session, 11_000)
    await refused.close()
    t.equal(attempts, 2)
    t.strictSame(session, { hash: 'a', touchDue: 371_000 }, 'after a tenth of the idle timeout')
    t.strictSame(errors, [], 'the failure is not logged for each')
  })

  await t.test('the remaining updates are written at shutdown, within a time limit', async (t) => {
    activity.record('last')
    await activity.close()
    t.strictSame(written.at(-1), ['last'])
    const frozen = createActivityRecorder({
      sessions: { touch: () => new Promise(() => {}) },
      idleTimeoutMs: 3_600_000,
      recordClient: false,
      log: { error: () => {} },
    })
    frozen.record('x')
    await sleep(150)
    frozen.record('y')
    await Promise.all([frozen.close(), sleep(3_000)]) // something else has to keep the process
    t.strictSame(errors, [])
  })
})
