// The re-evaluation during outages: an unclear answer changes nothing, privileges and sessions expire by staleness, and
// one of several replicas is the leader.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import type { TestGateway } from '../helpers/gateway.js'
import { connect, dump, endConnections } from '../helpers/sql.js'
import { HOUR, scene, type Scene } from '../helpers/reevaluation.js'

const account = (body: unknown, status = 200) =>
  ({ on: 'graph', path: /\/users\/[^/]+\?\$select=id,accountEnabled/, then: { kind: 'status', status, body } }) as const
const groups = (body: unknown, status = 200) =>
  ({ on: 'graph', path: /transitiveMemberOf/, then: { kind: 'status', status, body } }) as const
const batch = (body: unknown, status = 200) =>
  ({ on: 'graph', path: '$batch', then: { kind: 'status', status, body } }) as const
const SAM = { id: PERSON_IDS.staff, accountEnabled: true, signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z' }
const UNCLEAR: Readonly<Record<string, readonly [Parameters<TestGateway['entra']['faults']['add']>[0], string]>> = {
  'no value of accountEnabled': [account({ ...SAM, accountEnabled: null }), 'graph_forbidden'],
  'enabled as text': [account({ ...SAM, accountEnabled: 'false' }), 'graph_forbidden'],
  'another account': [account({ ...SAM, id: PERSON_IDS.guest }), 'graph_malformed'],
  'an object without an id': [account({ accountEnabled: false }), 'graph_malformed'],
  'an invalid time': [account({ ...SAM, signInSessionsValidFromDateTime: 'yesterday' }), 'graph_malformed'],
  'no time at all': [account({ id: SAM.id, accountEnabled: true }), 'graph_malformed'],
  'a 404 with another error code': [account({ error: { code: 'ResourceNotFound' } }, 404), 'person_not_found'],
  'a 404 from a proxy': [account('<html>', 404), 'person_not_found'],
  'a 403': [account({ error: { code: 'Authorization_RequestDenied' } }, 403), 'graph_forbidden'],
  'a 500': [account({ error: { code: 'generalException' } }, 500), 'graph_unavailable'],
  'an account, but no list of groups': [groups({ '@odata.context': 'x' }), 'graph_malformed'],
  'an account, but its groups are not found': [
    groups({ error: { code: 'Request_ResourceNotFound' } }, 404),
    'person_not_found',
  ],
  'groups without a type': [groups({ value: [{ id: GROUP_IDS.readOnly }] }), 'graph_malformed'],
  'groups on another server': [
    groups({ 'value': [], '@odata.nextLink': 'https://evil.example/v1.0/x' }),
    'graph_foreign_link',
  ],
  'the same page of groups twice': [{
    on: 'graph',
    path: 'transitiveMemberOf',
    page: 1,
    times: 2,
    then: { kind: 'loopingNextLink' },
  }, 'graph_paging_loop'],
  'no responses': [batch({}), 'graph_malformed'],
  'responses that are not a list': [batch({ responses: { 0: {} } }), 'graph_malformed'],
  'an empty list of responses': [batch({ responses: [] }), 'graph_malformed'],
  'an account without its groups': [
    batch({ responses: [{ id: '0-account', status: 200, body: SAM }] }),
    'graph_malformed',
  ],
  'a response with an unknown id': [batch({ responses: [{ id: '99', status: 200, body: {} }] }), 'graph_malformed'],
  'two responses with one id': [
    batch({
      responses: [{ id: '0-account', status: 200, body: SAM }, {
        id: '0-account',
        status: 200,
        body: { ...SAM, accountEnabled: false },
      }, { id: '0-groups', status: 200, body: { value: [] } }],
    }),
    'graph_malformed',
  ],
  'a response without a status': [batch({ responses: [{ id: '0-account', body: SAM }] }), 'graph_malformed'],
  'a status as text': [batch({ responses: [{ id: '0-account', status: '404', body: {} }] }), 'graph_malformed'],
  'a batch that is refused': [batch({ error: { code: 'BadRequest' } }, 400), 'graph_request_refused'],
  'a batch that is forbidden': [batch({ error: { code: 'Authorization_RequestDenied' } }, 403), 'graph_forbidden'],
  'an HTML page from a proxy': [{ on: 'graph', path: '$batch', then: { kind: 'html' } }, 'graph_not_json'],
  'a connection that breaks during the response': [
    { on: 'graph', path: '$batch', times: 5, then: { kind: 'cut' } },
    'graph_unavailable',
  ],
  'an expired secret': [{ on: 'token', then: { kind: 'aadsts', code: 7000222 } }, 'entra_secret_expired'],
  'a token that is refused twice': [{
    on: 'graph',
    path: '$batch',
    times: 2,
    then: { kind: 'status', status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } },
  }, 'graph_unauthorized'],
}

// proves: sync-missing-per-graph, sync-enabled-missing, sync-other-account, sync-valid-from-missing, sync-batch-ids
// proves: sync-batch-status, sync-batch-whole
t.test('an unclear answer changes nothing', async (t) => {
  const { gateway, query, signIn, status, age, run, metric } = await scene(t)
  const sam = await signIn('staff')
  await age(2 * HOUR)
  let failures = 0
  for (const [name, [fault, code]] of Object.entries(UNCLEAR)) {
    gateway.entra.faults.clear()
    const log = gateway.log.length
    await age(2 * HOUR)
    const before = await dump(query)
    if (fault.on === 'token') { // the cached token must be refused first
      gateway.entra.faults.add({ on: 'graph', path: '$batch', then: { kind: 'status', status: 401, body: {} } })
    }
    gateway.entra.faults.add(fault)
    await gateway.gateway.reevaluation?.run()
    t.equal(await dump(query), before, `${name}: nothing stored changes`)
    t.equal(await status(sam), 200, name)
    t.same(gateway.entra.faults.waiting(), [], `${name}: the fault occurred`)
    t.equal(await metric('gatehouse_sync_people_total{result="failed"} '), ++failures, name)
    t.match(await (await fetch(`${gateway.management}/readyz`)).json(), {
      status: 'ok',
      parts: { sync: `failing: ${code}` },
    }, name)
    t.ok(gateway.log.slice(log).every(({ level }) => level !== 'error'), name)
    await age(2 * HOUR)
    await run()
    t.match(
      gateway.log.findLast(({ msg }) => String(msg).startsWith('re-evaluation of users')),
      { level: 'info' },
      `${name}: recovery is logged`,
    )
  }
})

// proves: sync-stale-privileges, sync-stale-sessions
t.test('privileges, and later sessions, expire during an outage', async (t) => {
  const { gateway, query, signIn, status, header, age, run, audit, metric } = await scene(t, {
    config: {
      session: { secrets: ['session-secret-canary-0123456789abcdef'] },
      sync: { interval: '1h', privilegedStaleness: '2h', maxStaleness: '5h' },
    },
  })
  const [sue, gus] = [await signIn('superuser'), await signIn('guest')]
  const outage = (): void =>
    gateway.entra.faults.add({
      on: 'graph',
      path: '$batch',
      times: Infinity,
      then: { kind: 'status', status: 503, headers: { 'retry-after': '0' }, body: {} },
    })
  outage()
  await age(1.9 * HOUR)
  await run()
  t.equal(await header(sue, 'x-auth-request-superuser'), 'true', 'not before privilegedStaleness')
  await age(0.2 * HOUR)
  await run()
  t.strictSame(
    {
      superuser: await header(sue, 'x-auth-request-superuser'),
      staff: await header(sue, 'x-auth-request-staff'),
      groups: await header(sue, 'remote-groups'),
    },
    { superuser: 'false', staff: 'false', groups: 'NetBox Superusers' },
    'flags expire, groups do not',
  )
  t.equal(await header(gus, 'remote-groups'), 'Read Only')
  t.match(await audit(), [{
    action: 'reevaluation.stale_privileges',
    username: 'sue.super@contoso.example',
    detail: { before: { staff: true, superuser: true } },
  }])
  t.equal(await metric('gatehouse_sync_people_total{result="stale_privileges"} '), 1)
  t.ok(await metric('gatehouse_sync_lag_seconds ') > 2 * 3600)
  gateway.entra.faults.clear()
  await age(2 * HOUR)
  await run()
  t.equal(await header(sue, 'x-auth-request-superuser'), 'true', 'the next result restores them')
  outage()
  await age(4.9 * HOUR)
  await run()
  t.strictSame({ sue: await status(sue), gus: await status(gus) }, { sue: 200, gus: 200 })
  await age(0.2 * HOUR)
  await run()
  t.strictSame({ sue: await status(sue), gus: await status(gus) }, { sue: 401, gus: 401 })
  t.strictSame((await audit()).map(({ action }) => action), [
    'reevaluation.stale_privileges',
    'reevaluation',
    'reevaluation.stale_privileges',
    'reevaluation.stale_session',
    'reevaluation.stale_session',
  ])
  t.equal(await metric('gatehouse_sync_people_total{result="stale_session"} '), 2)
  t.same(await query('select * from sessions'), [])
  t.equal(
    gateway.log.filter(({ msg }) => String(msg).startsWith('re-evaluation of users with active sessions failed'))
      .length,
    2,
    'one line for each outage',
  )
})

t.test('sessions do not expire by staleness without maxStaleness', async (t) => {
  const { gateway, signIn, status, age, run } = await scene(t)
  const gus = await signIn('guest')
  gateway.entra.faults.add({
    on: 'graph',
    path: '$batch',
    times: Infinity,
    then: { kind: 'status', status: 500, body: {} },
  })
  await age(89 * 24 * HOUR)
  await run()
  t.equal(await status(gus), 200)
})

t.test('a replica shuts down while Graph does not answer, and logs no failure', async (t) => {
  const { gateway, signIn, age } = await scene(t)
  await signIn('guest')
  await age(2 * HOUR)
  gateway.entra.faults.add({ on: 'graph', path: '$batch', times: 5, then: { kind: 'hang' } })
  gateway.gateway.reevaluation?.run().catch(() => {})
  while (
    gateway.entra.faults.waiting()[0]?.times !== undefined &&
    !gateway.entra.requests.some(({ path }) => path.endsWith('$batch'))
  ) await sleep(10)
  const began = Date.now()
  await gateway.close()
  t.ok(
    Date.now() - began < 20_000,
    `closed after ${Date.now() - began} ms, long before the budget of 30 seconds for a batch`,
  )
  await sleep(200)
  t.same(gateway.log.filter(({ msg }) => String(msg).startsWith('re-evaluation run failed')), [])
})

// proves: sync-one-replica
t.test('one replica leads, and another one takes over when it ends', async (t) => {
  const one = await scene(t)
  const two = await scene(t, { databaseUrl: one.gateway.databaseUrl })
  await one.run()
  await two.run()
  await one.signIn('guest')
  await one.age(2 * HOUR)
  const batches = ({ gateway }: Scene): number =>
    gateway.entra.requests.filter(({ path }) => path.endsWith('$batch')).length
  await two.run()
  t.equal(batches(two), 0)
  await one.run()
  t.equal(batches(one), 1)
  const leads = ({ gateway }: Scene) => gateway.gateway.reevaluation?.state().leader
  t.strictSame({ one: leads(one), two: leads(two) }, { one: true, two: false })
  t.equal(await two.readiness(), 'another replica does it')
  t.strictSame(
    { one: await one.metric('gatehouse_sync_here '), two: await two.metric('gatehouse_sync_here ') },
    { one: 1, two: 0 },
  )
  await endConnections(
    one.query,
    "application_name = 'gatehouse lock' and pid in " +
      "(select pid from pg_locks where locktype = 'advisory' and granted)",
  )
  await two.run()
  t.equal(leads(two), true, 'it takes over in its next run')
  await one.age(2 * HOUR)
  await two.run()
  t.equal(batches(two), 1)
  await one.run()
  t.strictSame(
    { one: leads(one), two: leads(two) },
    { one: false, two: true },
    'and the former leader does not take it back',
  )
  await two.gateway.close()
  await one.run()
  t.equal(leads(one), true)
})

t.test('a user for whom Graph fails does not affect the others', async (t) => {
  const { gateway, signIn, status, age, run, readiness } = await scene(t)
  const [sam, gus] = [await signIn('staff'), await signIn('guest')]
  for (const user of gateway.entra.directory.users.values()) user.accountEnabled = false
  gateway.entra.faults.add({
    on: 'graph',
    path: `/users/${PERSON_IDS.guest}?`,
    times: Infinity,
    then: { kind: 'status', status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } },
  })
  await age(2 * HOUR)
  await run()
  t.strictSame({ sam: await status(sam), gus: await status(gus) }, { sam: 401, gus: 200 })
  t.equal(await readiness(), 'failing: graph_unauthorized')
  await run()
  t.equal(await readiness(), 'failing: graph_unauthorized', 'a run without due users is no recovery')
  t.same(gateway.log.filter(({ msg }) => String(msg).startsWith('re-evaluation of users')).length, 1)
})

// proves: sync-stands-back
t.test('a replica that cannot reach Graph yields to another one', async (t) => {
  const one = await scene(t)
  const two = await scene(t, { databaseUrl: one.gateway.databaseUrl })
  await one.run()
  const sue = await one.signIn('superuser')
  two.gateway.entra.directory.removeMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
  one.gateway.entra.faults.add({
    on: 'graph',
    path: '$batch',
    times: Infinity,
    then: { kind: 'status', status: 500, body: {} },
  })
  for (let count = 0; count < 3; count++) {
    await one.age(2 * HOUR)
    await two.run()
    t.equal(await one.header(sue, 'x-auth-request-superuser'), 'true')
    await one.gateway.gateway.reevaluation?.run()
  }
  t.match(one.gateway.gateway.reevaluation?.state(), { leader: false, failing: 'graph_unavailable' })
  await one.age(2 * HOUR)
  await two.run()
  t.equal(two.gateway.gateway.reevaluation?.state().leader, true)
  t.equal(await one.header(sue, 'x-auth-request-superuser'), 'false')
  for (let count = 0; count < 3; count++) await one.gateway.gateway.reevaluation?.run()
  t.equal(await one.readiness(), 'another replica does it')
})

// proves: sync-expire-everywhere
t.test('an unknown state of the lock is reported, and stale privileges expire nevertheless', async (t) => {
  const { gateway, query, signIn, header, age, run, metric, readiness } = await scene(t, {
    config: { sync: { interval: '1h', privilegedStaleness: '2h' } },
  })
  await run()
  const sue = await signIn('superuser')
  const adminUrl = new URL(gateway.databaseUrl)
  const name = adminUrl.pathname.slice(1)
  adminUrl.pathname = '/postgres'
  const admin = await connect(t, adminUrl.href)
  await admin(`alter database ${name} allow_connections false`) // open connections stay
  await endConnections(query, "application_name = 'gatehouse lock'")
  await query("update entra_readings set read_at = now() - interval '3 hours'")
  await query('insert into entra_checks (user_id, tried_at) select user_id, now() from entra_readings')
  await run()
  t.match(await (await fetch(`${gateway.management}/readyz`)).json(), {
    status: 'ok',
    parts: { sync: 'failing: sync_lock_unavailable' },
  })
  const warnings = () => gateway.log.filter(({ code }) => code === 'sync_lock_unavailable')
  t.match(warnings(), [{ level: 'warn', remedy: /connection outside the pool/ }])
  t.equal(warnings().length, 1, 'once')
  t.equal(await metric('gatehouse_sync_here '), 0)
  t.ok(await metric('gatehouse_sync_lag_seconds ') > 10_000)
  t.equal(await header(sue, 'x-auth-request-superuser'), 'false')
  await admin(`alter database ${name} allow_connections true`)
  await age(2 * HOUR)
  await run()
  t.equal(await readiness(), 'this replica does it')
  t.equal(await header(sue, 'x-auth-request-superuser'), 'true')
})
