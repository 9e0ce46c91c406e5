// First sign-ins a second, as far as PostgreSQL limits them: the login's transaction, sixteen at a time, with an
// asynchronous standby, a synchronous one, and a synchronous one that is ten milliseconds away. It needs the
// distribution's PostgreSQL programs. Prints; judges nothing.
// DIST names the build of another release, SECONDS makes it shorter.
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect as connectSocket, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { freePort, quantile, say } from './stage.mjs'

const SECONDS = Number(process.env.SECONDS ?? 10)
const AT_ONCE = 16
const DIST = resolve(process.env.DIST ?? new URL('../dist', import.meta.url).pathname)
const TENANT = randomUUID()
const LIMITS = {
  idleTimeoutMs: 28_800_000,
  absoluteTimeoutMs: 86_400_000,
  privilegedTimeoutMs: undefined,
  maxPerUser: 50,
}

const { newPublicSessionId, newSessionId } = await import(`${DIST}/core/session.js`)
const { openDatabase } = await import(`${DIST}/store/database.js`)
const { createLoginStore } = await import(`${DIST}/store/login-store.js`)
const { migrate } = await import(`${DIST}/store/migrate.js`)

const pair = await startPair()
try {
  await migrate(pair.url)
  const query = await connect(pair.url)
  const { rows: groups } = await query(
    "insert into groups (name) select 'Group ' || n from generate_series(1, 5) n returning id, name",
  )
  const feed = await openFeed(pair.url)
  const database = openDatabase({ server: pair.url, url: pair.url, poolSize: 2 * AT_ONCE, timeoutMs: 30_000 })
  const store = createLoginStore(database, LIMITS)
  for (
    const [name, names, delayMs] of [
      ['asynchronous standby', '', 0],
      ['synchronous standby', '*', 0],
      ['synchronous standby, 10 ms away', '*', 5],
    ]
  ) {
    pair.delay(delayMs)
    await query(`alter system set synchronous_standby_names = '${names}'`)
    await query('select pg_reload_conf()')
    await signIns(store, groups, 2)
    const times = await signIns(store, groups, SECONDS)
    say(
      `${name}: ${(times.length / SECONDS).toFixed(0)} sign-ins a second; p50 ${quantile(times, 0.5).toFixed(1)} ms, ` +
        `p99 ${quantile(times, 0.99).toFixed(1)} ms`,
    )
  }
  await database.close()
  await feed.close()
} finally {
  pair.stop()
}
process.exit()

/** @returns the milliseconds of each transaction */
async function signIns(store, groups, seconds) {
  const times = []
  const until = performance.now() + seconds * 1_000
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (performance.now() < until) {
        const login = await firstSignIn(store, groups)
        const began = performance.now()
        await store.commit(login)
        times.push(performance.now() - began)
      }
    }),
  )
  return times
}

async function firstSignIn(store, groups) {
  const [oid, name] = [randomUUID(), randomBytes(8).toString('hex')]
  const details = { email: `${name}@example.com`, emailVerified: true, name, givenName: name, familyName: name }
  const causes = [{ entraGroup: randomUUID(), row: 1 }]
  const plan = {
    details: { ...details, username: name, usernameSource: 'preferred_username' },
    uid: { tid: TENANT, oid },
    origin: 'created',
    username: name,
    newAssociation: true,
    extraData: { sid: randomUUID(), loginHint: null, guest: false, upn: name },
    profile: details,
    grants: { groups: groups.map((group) => ({ ...group, causes })), staff: [], superuser: [] },
  }
  return {
    plan,
    person: {
      claims: { tid: TENANT, oid, iat: Math.floor(Date.now() / 1_000) },
      memberships: { groupIds: causes.map(({ entraGroup }) => entraGroup), readAt: await store.now() },
    },
    session: { id: newSessionId(), publicId: newPublicSessionId(), replaces: undefined, sibling: false },
    flow: randomBytes(32),
    correlationId: randomUUID(),
    client: '127.0.0.1',
    requireMappedGroup: false,
  }
}

/** A replica of this release, which is notified; the release before has none of these files. */
async function openFeed(url) {
  try {
    const { createChangeFeed } = await import(`${DIST}/store/change-feed/feed.js`)
    const { createHistory } = await import(`${DIST}/core/history.js`)
    const { openServerOfRecord } = await import(`${DIST}/store/server-of-record/server-of-record.js`)
    const log = { error: say, warn: say, info: () => {} }
    const nothing = () => {}
    return createChangeFeed({
      server: await openServerOfRecord({ url, log }),
      history: createHistory(),
      replica: 'bench',
      onChange: nothing,
      onKeys: nothing,
      onGap: nothing,
      replicas: {
        announcement: () => ({ name: 'bench', config: '0'.repeat(64) }),
        receive: nothing,
        expireAndCompare: nothing,
      },
      log,
    })
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    const query = await connect(url)
    await query('listen gatehouse')
    return { close: async () => {} }
  }
}

async function connect(url) {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return (...args) => client.query(...args)
}

/** The way between primary and standby, each direction of which may take a while. */
async function startRelay(port, target) {
  let delayMs = 0
  const server = createServer((incoming) => {
    const outgoing = connectSocket(target, '127.0.0.1')
    for (const [from, to] of [[incoming, outgoing], [outgoing, incoming]]) {
      from.on('data', (data) => delayMs === 0 ? to.write(data) : setTimeout(() => to.write(data), delayMs))
      from.on('error', () => {})
      from.on('close', () => to.destroy())
    }
  })
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    delay(ms) {
      delayMs = ms
    },
    close: () => server.close(),
  }
}

/** A primary and a standby, with the settings of PostgreSQL's own that make a commit wait for the disk. */
async function startPair() {
  const programs = `/usr/lib/postgresql/${readdirSync('/usr/lib/postgresql').at(-1)}/bin`
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  const idOf = (flag) => Number(spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout)
  const owner = process.getuid() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {}
  if ('uid' in owner) chownSync(home, owner.uid, owner.gid)
  const run = (name, ...args) => execFileSync(join(programs, name), args, { stdio: 'ignore', cwd: home, ...owner })
  const [first, second, relay] = [await freePort(), await freePort(), await freePort()]
  const way = await startRelay(relay, first)
  const start = (name, port) => {
    const options = `-p ${port} -k ${home} -c listen_addresses=127.0.0.1 -c max_connections=100 -c shared_buffers=128MB`
    run('pg_ctl', '-D', join(home, name), '-w', '-l', join(home, `${name}.log`), '-o', options, 'start')
  }
  run('initdb', '-D', join(home, 'a'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8')
  start('a', first)
  run(
    'pg_basebackup',
    '-h',
    '127.0.0.1',
    '-p',
    String(first),
    '-U',
    'postgres',
    '-D',
    join(home, 'b'),
    '-R',
    '-c',
    'fast',
  )
  start('b', second)
  const standby = await connect(`postgres://postgres@127.0.0.1:${second}/postgres`)
  await standby(`alter system set primary_conninfo = 'host=127.0.0.1 port=${relay} user=postgres'`)
  await standby('select pg_reload_conf()')
  return {
    url: `postgres://postgres@127.0.0.1:${first}/postgres`,
    delay: way.delay,
    stop() {
      way.close()
      for (const name of ['b', 'a']) run('pg_ctl', '-D', join(home, name), '-m', 'immediate', 'stop')
      rmSync(home, { recursive: true, force: true })
    },
  }
}
