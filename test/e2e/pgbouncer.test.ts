// Gateways behind real PgBouncer. In transaction mode nothing of a session outlives its transaction: what needs one
// must not seem to work, and no lock may stay behind. In session mode everything works.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { notificationsArrive } from '../../src/store/change-feed/notification-trial.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { serverState, withClient } from '../../src/store/postgres-server-state.js'
import { createBrowser, type Browser } from '../helpers/browser.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { startPgbouncer, type Pooled } from '../helpers/pgbouncer.js'
import { connect, type Query } from '../helpers/sql.js'
import { TARGET } from '../helpers/targets.js'
import { startTcpFaultProxy, type TcpFaultProxy } from '../helpers/tcp-fault-proxy.js'
import { createSessionAdmin } from '../helpers/acts.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 24 * 3_600_000, privilegedTimeoutMs: undefined }
const LOCKS =
  "select count(*)::int as held from pg_locks where locktype = 'advisory' and database = (select oid from " +
  'pg_database where datname = current_database())'
const POLLED = 'connected: polled, because no notification arrives'

const isPooled = async (url: string): Promise<boolean> =>
  (await withClient(url, 'test', (client) => serverState(client, url))).pooled

interface Site {
  readonly replicas: readonly [TestGateway, TestGateway]
  /** Between the first replica and PgBouncer. */
  readonly door: TcpFaultProxy
  readonly query: Query
  readonly signIn: (person: string) => Promise<{ browser: Browser, cookie: string }>
  /** What the replicas answer. */
  readonly statuses: (cookie: string) => Promise<readonly number[]>
  readonly changes: () => Promise<readonly string[]>
  readonly sessions: ReturnType<typeof createSessionAdmin>
}

async function openSite(t: Test, { direct, pooled }: Pooled): Promise<Site> {
  const door = await startTcpFaultProxy(t, pooled)
  const replica = (url: string) =>
    startTestGateway(t, {
      databaseUrl: direct,
      throughProxy: async () => url,
      app: { applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'] },
      config: { sync: { interval: '1h', privilegedStaleness: '30d' } },
    })
  const replicas = [await replica(door.url), await replica(pooled)] as const
  const database = openDatabase({ server: pooled, poolSize: 1 })
  t.teardown(() => database.close())
  return {
    replicas,
    door,
    query: await connect(t, direct),
    async signIn(person) {
      const { browser } = await replicas[0].signIn(person)
      return { browser, cookie: browser.cookieHeader(replicas[0].url) }
    },
    statuses: (cookie) =>
      Promise.all(
        replicas.map(async ({ url }) =>
          (await createBrowser().ask(`${url}/oauth2/auth`, { headers: { ...TARGET, cookie } })).status
        ),
      ),
    changes: () =>
      Promise.all(
        replicas.map(async ({ management }) =>
          ((await (await fetch(`${management}/readyz`)).json()) as { parts: { changes: string } }).parts.changes
        ),
      ),
    sessions: createSessionAdmin(database, TIMEOUTS),
  }
}

/** As a process that was killed, and as one that was stopped. */
async function oneLeads(t: Test, { replicas: [one, two], door, query }: Site): Promise<void> {
  const here = () => [one, two].map(({ gateway }) => gateway.reevaluation?.state().leader)
  const passes = async (...of: TestGateway[]) => {
    for (const { gateway } of [...of, ...of]) await gateway.reevaluation?.run()
  }
  await passes(one, two, one)
  t.strictSame(here(), [true, false])
  t.strictSame(await query(LOCKS), [{ held: 1 }])
  t.match(
    await query(
      'select a.state, a.backend_xmin, a.backend_xid from pg_locks l join pg_stat_activity a using (pid) where ' +
        "l.locktype = 'advisory' and a.datname = current_database()",
    ),
    [{ state: 'idle in transaction', backend_xmin: null, backend_xid: null }],
    'no vacuum waits for it',
  )
  door.shut()
  await until(async () => (await query(LOCKS))[0]?.held === 0)
  await passes(two)
  t.equal(here()[1], true, 'taken over from one that is gone')
  door.open()
  await passes(one)
  t.strictSame(here(), [false, true], 'and not taken back')
  await two.close()
  await until(async () => (await query(LOCKS))[0]?.held === 0)
  await passes(one)
  t.equal(here()[0], true, 'taken over from one that was stopped')
}

async function until(wanted: () => Promise<boolean>): Promise<void> {
  while (!await wanted()) await sleep(20)
}

const inTime = <T>(work: Promise<T>): Promise<T | 'hangs'> =>
  Promise.race([work, sleep(10_000, 'hangs' as const, { ref: false })])

t.test('a pool in transaction mode', async (t) => {
  const pool = await startPgbouncer(t, 'transaction')
  if (!pool) return

  // proves: migrate-leaves-no-lock
  await t.test('a start migrates once and leaves no lock behind', async (t) => {
    const query = await connect(t, pool.direct)
    const together = await inTime(Promise.all(Array.from({ length: 4 }, () => migrate(pool.pooled))))
    t.equal(together === 'hangs' ? together : together.filter((names) => names.length > 0).length, 1)
    t.strictSame(await query(LOCKS), [{ held: 0 }])
    const busy = await connect(t, pool.pooled)
    await busy('begin') // or the next one is lent the same connection
    t.strictSame(await inTime(migrate(pool.pooled)), [])
  })

  const site = await openSite(t, pool)
  const { replicas, query, signIn, statuses, changes, sessions } = site

  // proves: live-heartbeat-crosses
  await t.test('no notification arrives, and the outbox is polled', async (t) => {
    const from = performance.now()
    const said = new Set<string>()
    while (performance.now() - from < 7_000) {
      for (const each of await changes()) said.add(each)
      await sleep(50)
    }
    t.strictSame([...said], [POLLED])
    for (const { log } of replicas) {
      t.strictSame(log.filter(({ msg }) => String(msg).startsWith('change feed lost')), [])
    }
  })

  await t.test('no commit notifies: replicas of release 0.2 are notified by the one that polls', async (t) => {
    const previous = new pg.Client({ connectionString: pool.direct })
    await previous.connect()
    t.teardown(() => previous.end())
    const payloads: (string | undefined)[] = []
    previous.on('notification', ({ payload }) => payloads.push(payload))
    await previous.query('listen gatehouse')
    const { cookie } = await signIn(PERSON_IDS.guest)
    await until(async () => payloads.length > 0)
    const [{ hash } = {}] = await query<{ hash: string }>("select encode(id_hash, 'hex') as hash from sessions")
    payloads.length = 0
    await query('delete from sessions')
    await until(async () => payloads.length > 0)
    t.strictSame(payloads, [`s ${hash}`], 'of what to read again, which no commit knows')
    t.strictSame(await statuses(cookie), [401, 401])
  })

  await t.test('doctor finds out that no notification arrives', async (t) => {
    t.equal(await notificationsArrive(pool.pooled), false)
    t.equal(await notificationsArrive(pool.direct), true)
    for (const url of [pool.pooled, pool.direct]) t.equal(await isPooled(url), url === pool.pooled)
  })

  await t.test('checks are answered from memory', async (t) => {
    const { browser } = await signIn(PERSON_IDS.guest)
    const lookups = async (source: string): Promise<number> => {
      const text = await (await fetch(`${replicas[1].management}/metrics`)).text()
      return Number(new RegExp(`^gatehouse_session_lookups_total\\{.*"${source}".*\\} (\\d+)$`, 'm').exec(text)?.[1])
    }
    // what the sign-in changed was received before this check
    t.equal((await replicas[1].ask('/oauth2/auth', { browser, headers: TARGET })).status, 200)
    const before = await lookups('memory')
    for (let each = 0; each < 20; each++) await browser.ask(`${replicas[1].url}/oauth2/auth`, { headers: TARGET })
    t.equal(await lookups('memory') - before, 20)
  })

  await t.test('a session that was revoked is refused within a second', async (t) => {
    const ends: Readonly<Record<string, (browser: Browser) => Promise<unknown>>> = {
      'sessions revoke --all': () => sessions.revokeAll({}, 'cli:test'),
      'a row deleted by hand': () => query('delete from sessions'),
      'sign-out on the other replica': (browser) => browser.ask(`${replicas[0].url}/oauth2/sign_out`),
      'somebody deactivated by hand': () => query('update users set is_active = false'),
    }
    for (const [name, end] of Object.entries(ends)) {
      const { browser, cookie } = await signIn(PERSON_IDS.guest)
      for (let checks = 0; checks < 3; checks++) t.strictSame(await statuses(cookie), [200, 200])
      await end(browser)
      const ended = performance.now()
      while ((await statuses(cookie)).some((status) => status !== 401) && performance.now() - ended < 1_000);
      t.strictSame(await statuses(cookie), [401, 401], name)
      t.comment(`${name}: refused by both after ${Math.round(performance.now() - ended)} ms`)
    }
    await query('update users set is_active = true')
  })

  await t.test('twenty sign-ins at the same time', async (t) => {
    const people = await Promise.all(Array.from({ length: 20 }, () => signIn(PERSON_IDS.guest)))
    t.ok((await Promise.all(people.map(({ cookie }) => statuses(cookie)))).flat().every((status) => status === 200))
  })

  // proves: sync-lock-stays
  await t.test('one of two leads, and the other when it goes', (t) => oneLeads(t, site))
})

t.test('a pool in session mode', async (t) => {
  const pool = await startPgbouncer(t, 'session', { default_pool_size: 40 })
  if (!pool) return
  t.equal(await notificationsArrive(pool.pooled), true)
  t.equal(await isPooled(pool.pooled), true, 'doctor finds out that there is a pooler')
  const site = await openSite(t, pool)
  const { query, signIn, statuses, changes } = site

  await t.test('notifications arrive', async (t) => {
    await until(async () => (await changes()).every((each) => each === 'connected'))
    const { cookie } = await signIn(PERSON_IDS.guest)
    t.strictSame(await statuses(cookie), [200, 200])
    await query('delete from sessions')
    const ended = performance.now()
    await until(async () => (await statuses(cookie)).every((status) => status === 401))
    t.ok(performance.now() - ended < 1_000, `over after ${(performance.now() - ended).toFixed(0)} ms`)
  })

  await t.test('one of two leads, and the other when it goes', (t) => oneLeads(t, site))
})

t.test('a pool in transaction mode, with database.directUrl past it', async (t) => {
  const pool = await startPgbouncer(t, 'transaction')
  if (!pool) return
  const gateway = await startTestGateway(t, {
    databaseUrl: pool.direct,
    throughProxy: async () => pool.pooled,
    config: { database: { directUrl: pool.direct } },
  })
  const { browser } = await gateway.signIn(PERSON_IDS.many)
  const status = async (): Promise<number> => (await gateway.ask('/oauth2/auth', { browser, headers: TARGET })).status
  t.equal(await status(), 200)
  const { parts } = await (await fetch(`${gateway.management}/readyz`)).json() as { parts: { changes: string } }
  t.equal(parts.changes, 'connected', 'notifications arrive')
  const query = await connect(t, pool.direct)
  const [pooled] = await query<{ count: number }>(
    "select count(*)::int from pg_stat_activity where datname = current_database() and application_name = 'gatehouse'",
  )
  t.ok((pooled?.count ?? 0) > 0, 'statements go through the pool')
  const database = openDatabase({ server: pool.direct, poolSize: 1 })
  t.teardown(() => database.close())
  await createSessionAdmin(database, TIMEOUTS).revokeAll({}, 'test')
  const ended = performance.now()
  while (await status() === 200) await sleep(5)
  t.equal(await status(), 401)
  t.comment(`revoked after ${Math.round(performance.now() - ended)} ms`)
})
