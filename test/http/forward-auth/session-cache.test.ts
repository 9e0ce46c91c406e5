// Answers from memory that are right: what any replica changes counts on every other, no question goes to the database
// for a warm session, and while the change feed is lost every check reads the row.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { createHistory } from '../../../src/core/history.js'
import { newSessionId } from '../../../src/core/session.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { createCookieSigner } from '../../../src/http/cookie-signer.js'
import { createChangeFeed, type FeedServer } from '../../../src/store/change-feed/feed.js'
import { openServerOfRecord } from '../../../src/store/server-of-record/server-of-record.js'
import { createBrowser, type Browser } from '../../helpers/browser.js'
import { SESSION_SECRET, startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { connect, endConnections, IN_THE_BACKGROUND } from '../../helpers/sql.js'
import { TARGET } from '../../helpers/targets.js'
import { databaseFaultProxy } from '../../helpers/tcp-fault-proxy.js'
import { createSessionAdmin, createUserAdmin } from '../../helpers/acts.js'

const status = async (gateway: TestGateway, browser: Browser) =>
  (await gateway.ask('/oauth2/auth', { browser, headers: TARGET })).status

/** Statements that reach PostgreSQL, without those that no request causes. */
function statements(t: Test): string[] {
  const seen: string[] = []
  const { query } = pg.Client.prototype
  pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
    const [config] = args as [string | { text?: string }]
    const text = String(typeof config === 'string' ? config : config.text)
    if (!IN_THE_BACKGROUND.test(text)) seen.push(text)
    return (query as (...all: unknown[]) => unknown).apply(this, args)
  } as typeof query
  t.teardown(() => {
    pg.Client.prototype.query = query
  })
  return seen
}

// proves: live-cache-size
t.test('a process keeps session.cacheSize sessions in memory, and those in use stay', async (t) => {
  const gateway = await startTestGateway(t, { config: { session: { cacheSize: 1_000 } } })
  const query = await connect(t, gateway.databaseUrl)
  await gateway.signIn(PERSON_IDS.staff)
  const ids = Array.from({ length: 2_500 }, newSessionId)
  await query(
    `insert into sessions (id_hash, public_id, user_id)
    select sha256(id::bytea), id, (select id from users) from unnest($1::text[]) id`,
    [ids],
  )
  const signer = createCookieSigner([SESSION_SECRET])
  const ask = async (id = '') => {
    const cookie = `gatehouse_session=${signer.sign(id)}`
    return (await fetch(`${gateway.url}/oauth2/auth`, { headers: { ...TARGET, cookie } })).status
  }
  const [used, ...others] = ids
  for (let each = 0; each < others.length; each += 20) {
    const statuses = await Promise.all([used, ...others.slice(each, each + 20)].map(ask))
    t.equal(statuses.filter((status) => status !== 200).length, 0) || t.bailout('refused')
  }
  const metrics = await (await fetch(`${gateway.management}/metrics`)).text()
  const kept = Number(/^gatehouse_cached_sessions (\d+)$/m.exec(metrics)?.[1])
  t.ok(kept >= 500 && kept <= 1_000, `${kept} of 2,500`)
  const seen = statements(t)
  t.equal(await ask(used), 200)
  t.equal(seen.length, 0, 'a session in use is answered from memory')
  t.equal(await ask(others[0]), 200)
  t.equal(seen.length, 1, 'one that was not used is read again')
})

t.test('two replicas on one database', async (t) => {
  const one = await startTestGateway(t)
  const two = await startTestGateway(t, { databaseUrl: one.databaseUrl })
  const query = await connect(t, one.databaseUrl)
  const sessions = createSessionAdmin(one.gateway.database, {
    idleTimeoutMs: 8 * 3_600_000,
    absoluteTimeoutMs: 24 * 3_600_000,
    privilegedTimeoutMs: undefined,
  })
  const users = createUserAdmin(one.gateway.database)
  const warm = async (person: string): Promise<Browser> => {
    const { browser } = await one.signIn(person)
    for (const replica of [one, two]) if (await status(replica, browser) !== 200) throw new Error('not warm')
    return browser
  }
  const idOf = async (username: string) =>
    (await query<{ id: string }>(`select id from users where username = '${username}'`))[0]?.id ?? ''

  const ends: Readonly<Record<string, (browser: Browser) => Promise<unknown>>> = {
    'sign-out on the other replica': (browser) => browser.ask(`${one.url}/oauth2/sign_out`),
    'sessions revoke ID': async () => {
      const { rows: [session] } = await sessions.list({ userId: await idOf('gus.guest@fabrikam.example') })
      await sessions.revoke(session?.id ?? '', 'cli:test')
    },
    'sessions revoke --user': async () =>
      sessions.revokeAll({ userId: await idOf('gus.guest@fabrikam.example') }, 'cli:test'),
    'sessions revoke --all': () => sessions.revokeAll({}, 'cli:test'),
    'front-channel logout': async () => {
      const [{ sid } = { sid: '' }] = await query<{ sid: string }>(
        'select entra_sid as sid from sessions order by created_at desc limit 1',
      )
      await one.ask(`/oauth2/frontchannel-logout?sid=${sid}`)
    },
    'a login as somebody else in the same browser': async (browser) => {
      const old = browser.cookieHeader(one.url)
      await one.signIn(PERSON_IDS.staff, { browser })
      browser.cookies.clear()
      browser.cookies.set('127.0.0.1', new Map(old.split('; ').map((pair) => pair.split('=') as [string, string])))
    },
    'users deactivate': async () => {
      await users.setActive(await idOf('gus.guest@fabrikam.example'), false, 'cli:test')
    },
    'users remove': async () => {
      const id = await idOf('gus.guest@fabrikam.example')
      await query(`update users set is_active = true where id = '${id}'`)
      await users.remove(id, 'cli:test')
    },
    'a row deleted by hand': () => query('delete from sessions'),
    'the table emptied': () => query('truncate sessions'),
  }
  for (const [name, end] of Object.entries(ends)) {
    if (name === 'users remove') await query('update users set is_active = true')
    const browser = await warm(PERSON_IDS.guest)
    await end(browser)
    for (const replica of [two, one]) t.equal(await status(replica, browser), 401, name)
  }

  await t.test('a sign-in above session.maxPerUser ends the oldest session, on every replica', async (t) => {
    const three = await startTestGateway(t, { databaseUrl: one.databaseUrl, config: { session: { maxPerUser: 2 } } })
    await query('delete from sessions')
    const { browser: oldest } = await three.signIn(PERSON_IDS.staff)
    const { browser: next } = await three.signIn(PERSON_IDS.staff)
    for (const replica of [one, two]) for (const browser of [oldest, next]) t.equal(await status(replica, browser), 200)
    const { browser } = await three.signIn(PERSON_IDS.staff)
    for (const replica of [two, one]) t.equal(await status(replica, oldest), 401)
    t.equal(await status(two, next), 200)
    t.equal(await status(three, browser), 200)
    t.match(three.log.findLast(({ msg }) => String(msg).startsWith('Azure AD group mapping - user')), {
      sessionsEnded: 1,
    })
  })

  // proves: live-notified-users
  await t.test('rights and names follow at once', async (t) => {
    const browser = await warm(PERSON_IDS.staff)
    const header = async (name: string) =>
      (await two.ask('/oauth2/auth', { browser, headers: TARGET })).headers.get(name)
    t.equal(await header('x-auth-request-groups'), 'Network Engineers')
    await query(
      'insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g where u.username like ' +
        "'sam%' and g.name = 'Read Only'",
    )
    t.equal(await header('x-auth-request-groups'), 'Network Engineers,Read Only')
    await query("update groups set name = 'Readers' where name = 'Read Only'")
    t.equal(await header('x-auth-request-groups'), 'Network Engineers,Readers')
    await query("delete from groups where name = 'Readers'")
    t.equal(await header('x-auth-request-groups'), 'Network Engineers')
    await query("update users set is_staff = false, name = 'Another' where username like 'sam%'")
    t.strictSame(
      { 'x-auth-request-staff': await header('x-auth-request-staff'), 'remote-name': await header('remote-name') },
      { 'x-auth-request-staff': 'false', 'remote-name': 'Another' },
    )
    await query(
      "insert into group_permissions (group_id, permission) select id, 'wiki.edit' from groups where name = 'Network " +
        "Engineers'",
    )
    t.match(JSON.parse((await two.ask('/oauth2/userinfo', { browser })).text), { permissions: ['wiki.edit'] })
  })

  await t.test('a login begun on one replica ends on the other', async (t) => {
    const shared = await one.restart()
    t.equal((await shared.signIn(PERSON_IDS.nested)).answer.status, 200)
    await shared.close()
  })
})

// proves: live-one-query, live-no-session
t.test('questions to the database', async (t) => {
  const gateway = await startTestGateway(t)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const seen = statements(t)
  const asked = () => seen.splice(0).filter((text) => /from sessions s join/.test(text)).length

  t.equal(await status(gateway, browser), 200)
  t.equal(asked(), 1)
  do { // the housekeeping of the start
    seen.splice(0)
    await sleep(500)
  } while (seen.length > 0)
  for (let each = 0; each < 30; each++) await status(gateway, browser)
  t.strictSame(seen.splice(0), [], 'none for a warm session')

  const { browser: other } = await gateway.signIn(PERSON_IDS.guest)
  t.ok(await gateway.gateway.changes.caughtUp()) // what the sign-in changed would have the row read once more
  asked()
  const direct = await connect(t, gateway.databaseUrl)
  await direct('begin; lock table sessions in access exclusive mode') // so that they all come while it is asked for
  const waiting = Promise.all(
    Array.from({ length: 50 }, () => other.ask(`${gateway.url}/oauth2/auth`, { headers: TARGET })),
  )
  await sleep(300)
  await direct('commit')
  const together = await waiting
  t.ok(together.every((answer) => answer.status === 200))
  t.equal(asked(), 1, 'one for fifty that wait for the same')

  const cookie = other.cookieHeader(gateway.url)
  await other.ask(`${gateway.url}/oauth2/sign_out`)
  asked()
  for (let each = 0; each < 20; each++) {
    t.equal((await createBrowser().ask(`${gateway.url}/oauth2/auth`, { headers: { ...TARGET, cookie } })).status, 401)
  }
  t.ok(asked() <= 1, 'at most one for a session that is over')

  const value = decodeURIComponent(browser.cookies.get('127.0.0.1')?.get('gatehouse_session') ?? '')
  for (let each = 0; each < 50; each++) {
    t.equal(
      (await createBrowser().ask(`${gateway.url}/oauth2/auth`, {
        headers: { ...TARGET, cookie: `gatehouse_session=${value.slice(0, -3)}${each}x` },
      })).status,
      401,
    )
  }
  t.strictSame(seen.splice(0), [], 'none for forged cookies')
})

t.test('when the change feed is lost', async (t) => {
  const door = databaseFaultProxy(t)
  const gateway = await startTestGateway(t, {
    throughProxy: door.throughProxy,
  })
  const direct = await connect(t, gateway.databaseUrl)
  const { browser: staff } = await gateway.signIn(PERSON_IDS.staff)
  const { browser: guest } = await gateway.signIn(PERSON_IDS.guest)
  const { browser: nobody } = await gateway.signIn(PERSON_IDS.nobody)
  const { changes } = gateway.gateway
  const until = async (wanted: boolean) => {
    while (changes.connected() !== wanted) await sleep(20)
  }
  const plain = async (browser: Browser) =>
    (await browser.ask(`${gateway.url}/oauth2/auth`, { headers: TARGET })).status
  for (const who of [staff, guest, nobody]) t.equal(await status(gateway, who), 200)

  await t.test("the listener's connection ends: rows are read until it stands again", async (t) => {
    await endConnections(direct, "application_name = 'gatehouse listener'")
    await until(false)
    await direct("delete from user_groups where user_id = (select id from users where username like 'sam%')")
    t.equal(
      (await staff.ask(`${gateway.url}/oauth2/auth`, { headers: TARGET })).headers.get('x-auth-request-groups'),
      '',
    )
    t.notOk(changes.connected())
    await direct("update users set name = 'Told to nobody' where username like 'sam%'")
    await until(true)
    t.equal(
      (await staff.ask(`${gateway.url}/oauth2/auth`, { headers: TARGET })).headers.get('remote-name'),
      'Told to nobody',
      'what was read meanwhile is read once more, because it changed',
    )
    t.ok(gateway.log.some(({ msg }) => /^change feed lost:/.test(String(msg))))
    t.ok(gateway.log.some(({ msg }) => /change feed restored/.test(String(msg))))
  })

  await t.test('notices that are garbage cause a new reading and nothing else', async (t) => {
    for (const payload of ['', 'x', '*', 'k', '\u0001', '{"a":1}', 'x'.repeat(7_000)]) {
      await direct(`select pg_notify('gatehouse_changes', ${pg.escapeLiteral(payload)})`)
      t.equal(await status(gateway, staff), 200, payload.slice(0, 20))
    }
    const changed: Readonly<Record<string, readonly string[]>> = {
      '': [],
      'x': ['x'],
      'session.ended': ['', 'zz', '0'.repeat(64), `${'0'.repeat(64)},`],
      'user.changed': ['', "'; drop table users; --", '1'],
      'group.lost': ['/', 'a/b/c'],
      'constructor': ['__proto__'],
      'bulk': [],
      'everything': [],
      'keys.changed': ['x'.repeat(100_000)],
    }
    for (const [kind, subjects] of Object.entries(changed)) {
      await direct('insert into changes (kind, subjects) values ($1, $2)', [kind, subjects])
      t.equal(await status(gateway, staff), 200, kind)
    }
    t.ok(changes.connected())
  })

  await t.test('a corrupt session row is treated as signed out and logged', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.nested)
    t.equal(await status(gateway, browser), 200)
    await direct(
      "update sessions set last_seen_at = 'infinity' where user_id = (select id from users where username like " +
        "'nina%'); insert into changes (kind, subjects) values ('everything', '{}')",
    )
    t.equal(await status(gateway, browser), 401)
    t.match(gateway.log.filter(({ msg }) => msg === 'a session cannot be read').at(-1), {
      code: 'session_unreadable',
      remedy: /^gatehouse sessions revoke ses_/,
    })
  })

  // proves: live-privileged
  await t.test('without PostgreSQL cached sessions stay valid, except those of staff and ended ones', async (t) => {
    for (const who of [staff, guest, nobody]) t.equal(await status(gateway, who), 200)
    door.shut()
    await until(false)
    t.equal(await plain(guest), 200)
    t.equal(await plain(staff), 503)
    t.equal((await fetch(`${gateway.management}/readyz`)).status, 503)
    await direct("delete from sessions where user_id = (select id from users where username like 'gus%')")
    door.open()
    await until(true)
    t.equal(await plain(guest), 401)
    t.equal(await plain(staff), 200)
    t.equal(await plain(nobody), 200)
  })

  await t.test('packets are dropped: after five seconds of silence it is the same', async (t) => {
    for (const who of [staff, nobody]) t.equal(await status(gateway, who), 200)
    door.freeze()
    await direct("delete from sessions where user_id = (select id from users where username like 'sam%')")
    await until(false)
    t.equal(await plain(staff), 503, 'once the loss is noticed')
    t.equal(await plain(nobody), 200)
    door.open()
    await until(true)
    t.equal(await plain(staff), 401)
    t.equal(await plain(nobody), 200)
  })
})

// proves: live-same-server, record-feed-left, record-feed-usable, record-grace-begins
t.test('the change feed counts only from the server of record', async (t) => {
  const { databaseUrl } = await startTestGateway(t)
  const { server, setKey, setFailing } = await feedServer(databaseUrl)
  const warnings: { readonly detail?: unknown }[] = []
  const listener = openFeed(t, server, { beatMs: 20, onWarning: (facts) => warnings.push(facts) })
  while (!listener.connected()) await sleep(10)
  await sleep(500)
  t.ok(listener.connected(), 'one and the same')
  t.strictSame(warnings, [])
  const since = performance.now() - 60_000
  setFailing(since)
  t.notOk(listener.connected(), 'checks of the server fail, and heartbeats are still received')
  await sleep(100)
  t.equal(listener.lastReceivedAt(), since, 'session.outageGrace counts from the first failure')
  setFailing(undefined)
  t.ok(listener.connected())
  const { key } = server.elected()
  setKey('00000002/1')
  t.notOk(listener.connected(), 'another server was elected')
  t.match(warnings, [{ detail: 'another server is the server of record, or none' }])
  await sleep(1_500)
  t.notOk(listener.connected(), 'new connections still lead to the former one')
  setKey(key)
  while (!listener.connected()) await sleep(10)
  await sleep(300)
  t.ok(listener.connected())
})

// proves: live-silence
t.test('without a read for five seconds the feed counts as disconnected', async (t) => {
  const { databaseUrl } = await startTestGateway(t)
  const feed = openFeed(t, (await feedServer(databaseUrl)).server)
  while (!feed.connected()) await sleep(5)
  const read = feed.lastReceivedAt()
  t.ok(feed.connected(read + 4_999))
  t.notOk(feed.connected(read + 5_001))
})

// proves: live-signed-out
t.test('signed out is not remembered, even where the sign-out could not be written', async (t) => {
  const door = databaseFaultProxy(t)
  const gateway = await startTestGateway(t, {
    throughProxy: door.throughProxy,
  })
  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  const cookie = browser.cookieHeader(gateway.url)
  t.equal(await status(gateway, browser), 200)
  door.shut()
  while (gateway.gateway.changes.connected()) await sleep(20)
  t.equal((await createBrowser().ask(`${gateway.url}/oauth2/auth`, { headers: { ...TARGET, cookie } })).status, 200)
  await browser.ask(`${gateway.url}/oauth2/sign_out`, { method: 'POST', form: {} })
  t.equal((await createBrowser().ask(`${gateway.url}/oauth2/auth`, { headers: { ...TARGET, cookie } })).status, 503)
})

/** A change feed without a session cache. */
function openFeed(
  t: Test,
  server: FeedServer,
  { beatMs = 1_000, onWarning = () => {} }: { beatMs?: number, onWarning?: (facts: object) => void } = {},
) {
  const feed = createChangeFeed({
    server,
    onChange: () => {},
    onKeys: () => {},
    onGap: () => {},
    beatMs,
    history: createHistory(),
    replica: 'test',
    replicas: {
      announcement: () => ({ config: '0'.repeat(64), name: 'test' }),
      receive: () => {},
      expireAndCompare: () => {},
    },
    log: { warn: onWarning, info: () => {} },
  })
  t.teardown(() => feed.close())
  return feed
}

/** The server at this address, which may pretend to be another one. */
async function feedServer(url: string) {
  const real = await openServerOfRecord({ url, log: { error: () => {}, warn: () => {}, info: () => {} } })
  real.close()
  const found = real.current()
  let current = found
  let failingSince: number | undefined
  const listeners: (() => void)[] = []
  const server: FeedServer = {
    elected: () => current,
    heartbeatSent: () => {},
    heartbeatConfirmed: () => {},
    historyInDoubt: () => {},
    suspect: () => {},
    onChange: (listener) => {
      listeners.push(listener)
    },
    usable: () => failingSince === undefined,
    failingSince: () => failingSince,
  }
  return {
    server,
    setFailing(since: number | undefined) {
      failingSince = since
    },
    setKey(key: string | undefined) {
      current = { ...found, key }
      for (const listener of listeners) listener()
    },
  }
}
