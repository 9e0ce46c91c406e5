// A membership with an end counts for nothing from that instant on: in sessions in memory, on every replica, without a
// change of the database, and while the database cannot be reached.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../../src/demo/people.js'
import type { Browser } from '../../helpers/browser.js'
import { startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { connect, IN_THE_BACKGROUND, type Query } from '../../helpers/sql.js'
import { TARGET } from '../../helpers/targets.js'
import { databaseFaultProxy } from '../../helpers/tcp-fault-proxy.js'

const GROUP = 'NetBox Admins'

/** As the proxy sees it, without waiting for changes of the database. */
async function answerOf(gateway: TestGateway, browser: Browser) {
  const { status, headers } = await browser.ask(`${gateway.url}/oauth2/auth`, { headers: TARGET })
  return { status, groups: headers.get('x-auth-request-groups') }
}

/** Statements about sessions that reach PostgreSQL. */
function statements(t: Test): string[] {
  const seen: string[] = []
  const { query } = pg.Client.prototype
  pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
    const [config] = args as [string | { text?: string }]
    const text = String(typeof config === 'string' ? config : config.text)
    if (!IN_THE_BACKGROUND.test(text) && /from sessions s join/.test(text)) seen.push(text)
    return (query as (...all: unknown[]) => unknown).apply(this, args)
  } as typeof query
  t.teardown(() => {
    pg.Client.prototype.query = query
  })
  return seen
}

/** By hand, with an end in so many seconds. */
async function giveFor(query: Query, username: string, seconds: number): Promise<void> {
  await query(
    `insert into user_groups (user_id, group_id, until)
    select u.id, g.id, now() + $2::int * interval '1 second' from users u, groups g
    where u.username like $1 and g.name = '${GROUP}'`,
    [`${username}%`, seconds],
  )
}

async function isOver(query: Query): Promise<boolean> {
  const [row] = await query<{ over: boolean }>('select max(until) <= clock_timestamp() as over from user_groups')
  return row?.over === true
}

async function waitForEnd(query: Query): Promise<void> {
  while (!await isOver(query)) await sleep(5)
}

// proves: live-membership-end
t.test('the end is exact on two replicas that answer from memory', async (t) => {
  const one = await startTestGateway(t)
  const two = await startTestGateway(t, { databaseUrl: one.databaseUrl })
  const query = await connect(t, one.databaseUrl)
  const { browser } = await one.signIn(PERSON_IDS.guest)
  await giveFor(query, 'gus', 6)
  for (const replica of [one, two]) {
    await replica.gateway.changes.caughtUp()
    t.match(await answerOf(replica, browser), { status: 200, groups: new RegExp(GROUP) }, 'read')
  }
  const seen = statements(t)
  for (const replica of [one, two]) t.match((await answerOf(replica, browser)).groups, GROUP, 'from memory')
  t.strictSame(seen, [])
  t.notOk(await isOver(query), 'all of it happened before the end')

  const recorded = async () => await query('select last_value from changes_id_seq')
  const before = await recorded()
  await waitForEnd(query)
  for (const replica of [one, two]) {
    const { status, groups } = await answerOf(replica, browser)
    t.equal(status, 200)
    t.notMatch(groups, GROUP, 'the next request')
  }
  t.strictSame(await recorded(), before, 'nothing in the database has changed')
  t.notMatch((await one.ask('/oauth2/userinfo', { browser })).text, GROUP)
  t.strictSame(await query('select count(*)::int as n from user_groups where until is not null'), [{ n: 1 }])
})

// proves: live-membership-outage
t.test('an outage of the database does not extend it', async (t) => {
  const door = databaseFaultProxy(t)
  const gateway = await startTestGateway(t, {
    config: { session: { outageGrace: '60s' } },
    throughProxy: door.throughProxy,
  })
  const direct = await connect(t, gateway.databaseUrl)
  const { browser: guest } = await gateway.signIn(PERSON_IDS.guest)
  const { browser: nobody } = await gateway.signIn(PERSON_IDS.nobody)
  await giveFor(direct, 'gus', 8)
  await gateway.gateway.changes.caughtUp()
  for (const who of [guest, nobody]) t.equal((await answerOf(gateway, who)).status, 200)
  door.shut()
  while (gateway.gateway.changes.connected()) await sleep(20)
  t.match(await answerOf(gateway, guest), { status: 200, groups: new RegExp(GROUP) }, 'the grace holds before the end')
  t.notOk(await isOver(direct), 'all of it happened before the end')
  await waitForEnd(direct)
  t.equal((await answerOf(gateway, guest)).status, 503, 'not used any more, since nobody knows the other rights')
  t.equal((await answerOf(gateway, nobody)).status, 200, 'the grace of others goes on')
  door.open()
  while (!gateway.gateway.changes.connected()) await sleep(20)
  const { status, groups } = await answerOf(gateway, guest)
  t.equal(status, 200)
  t.notMatch(groups, GROUP)
})

t.test('an end that is moved counts on every replica within a second, whoever moves it', async (t) => {
  const one = await startTestGateway(t)
  const two = await startTestGateway(t, { databaseUrl: one.databaseUrl })
  const query = await connect(t, one.databaseUrl)
  const { browser } = await one.signIn(PERSON_IDS.guest)
  const groups = async () => {
    for (const replica of [one, two]) await replica.gateway.changes.caughtUp()
    return [(await answerOf(one, browser)).groups, (await answerOf(two, browser)).groups]
  }
  await giveFor(query, 'gus', 3_600)
  t.match(await groups(), [new RegExp(GROUP), new RegExp(GROUP)])
  await query("update user_groups set until = now() - interval '1 second' where until is not null")
  for (const each of await groups()) t.notMatch(each, GROUP)
  await query("update user_groups set until = 'infinity' where until is not null")
  t.match(await groups(), [new RegExp(GROUP), new RegExp(GROUP)], 'no end, and no failure')
  await query('update user_groups set until = null')
  t.match(await groups(), [new RegExp(GROUP), new RegExp(GROUP)])
})
