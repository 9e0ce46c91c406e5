// The re-evaluation of people with live sessions: what Entra ID and Graph say counts without a sign-in, what they do not say
// clearly changes nothing, and what was heard too long ago is not believed.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { createUserAdmin } from '../../src/store/user-admin.js'
import type { Browser } from '../helpers/browser.js'
import { startTestGateway, type TestGateway, type TestGatewayOptions } from '../helpers/gateway.js'
import { stopPostgres } from '../helpers/postgres.js'
import { connect, dump, type Query } from '../helpers/sql.js'

t.teardown(stopPostgres)
t.setTimeout(240_000)

const TARGET = { 'x-original-url': 'https://app.test/x', 'x-original-method': 'GET' }
const PERMISSIONS = ['User.Read.All', 'GroupMember.Read.All']
const SYNC = { interval: '1h', privilegedStaleness: '30d' }
const HOUR = 3_600_000

interface Scene {
  readonly gateway: TestGateway
  readonly query: Query
  readonly signIn: (person: keyof typeof PERSON_IDS) => Promise<Browser>
  readonly status: (browser: Browser) => Promise<number>
  readonly header: (browser: Browser, name: string) => Promise<string | null>
  /** Everybody was last read this long ago. */
  readonly age: (ms: number) => Promise<unknown>
  /** A whole turn that begins after this call. */
  readonly pass: () => Promise<void>
  readonly audit: () => Promise<readonly { action: string, username: string, actor: string, detail: Record<string, unknown> }[]>
  readonly metric: (line: string) => Promise<number>
}

async function scene(t: Test, { config, ...options }: TestGatewayOptions = {}): Promise<Scene> {
  const gateway = await startTestGateway(t, { ...options, app: { applicationPermissions: PERMISSIONS, ...options.app }, config: { sync: SYNC, ...config } })
  const query = await connect(t, gateway.databaseUrl)
  const check = (browser: Browser) => gateway.ask('/oauth2/auth', { browser, headers: TARGET })
  return {
    gateway,
    query,
    signIn: async (person) => {
      const { browser } = await gateway.signIn(PERSON_IDS[person])
      if ((await check(browser)).status !== 200) throw new Error('not signed in')
      return browser
    },
    status: async (browser) => (await check(browser)).status,
    header: async (browser, name) => (await check(browser)).headers.get(name),
    age: (ms) => query(`with a as (update entra_readings set read_at = read_at - interval '${ms} milliseconds')
      update entra_checks set tried_at = tried_at - interval '${ms} milliseconds', missing_since = missing_since - interval '${ms} milliseconds'`),
    async pass() {
      await gateway.gateway.sync?.pass() // one that is under way may have begun before
      await gateway.gateway.sync?.pass()
    },
    audit: () => query('select action, username, actor, detail from audit_events where actor = \'sync\' order by id'),
    async metric(line) {
      const text = await (await fetch(`${gateway.management}/metrics`)).text()
      return Number(text.split('\n').find((each) => each.startsWith(line))?.slice(line.length) ?? 0)
    },
  }
}

const rights = (query: Query, username: string) => query(`
  select u.is_staff, u.staff_cause, u.is_superuser, u.superuser_cause, u.is_active, array_agg(g.name || ' ' || ug.cause::text order by g.name) as groups
  from users u left join user_groups ug on ug.user_id = u.id left join groups g on g.id = ug.group_id where u.username like '${username}%' group by u.id`)

t.test('without a sign-in', async (t) => {
  t.test('an account that is disabled loses its sessions; others keep theirs', async (t) => {
    const { gateway, query, signIn, status, age, pass, audit, metric } = await scene(t)
    const [sam, sue] = [await signIn('staff'), await signIn('superuser')]
    const before = await rights(query, 'sam')
    const user = gateway.entra.directory.users.get(PERSON_IDS.staff)
    if (user) user.accountEnabled = false
    await pass()
    t.equal(await status(sam), 200, 'read a moment ago: not asked about again')
    await age(2 * HOUR)
    await pass()
    t.equal(await status(sam), 401)
    t.equal(await status(sue), 200)
    t.same(await rights(query, 'sam'), before, 'what was granted, and is_active, stay as they were')
    const rows = await audit()
    t.match(rows, [{ action: 'reevaluation.disabled', username: 'sam.staff@contoso.example', actor: 'sync', detail: { oid: PERSON_IDS.staff, sessions: [/^ses_/] } }])
    t.equal(rows.length, 1, 'nothing is recorded of those who stay as they are')
    t.equal(await metric('gatehouse_sync_people_total{result="disabled"} '), 1)
    t.match(gateway.log.find(({ why }) => why === 'disabled'), { user: 'sam.staff@contoso.example', sessions: 1, correlationId: /^[0-9a-f-]{36}$/ })
  })

  t.test('revoked sessions end, and those of a later sign-in do not', async (t) => {
    const { gateway, query, signIn, status, age, pass, audit } = await scene(t)
    const old = await signIn('staff')
    const user = gateway.entra.directory.users.get(PERSON_IDS.staff)
    await query('update sessions set token_issued_at = token_issued_at - interval \'10 minutes\'')
    // An id token says of itself that it was issued five minutes before it was.
    if (user) user.signInSessionsValidFromDateTime = new Date(Date.now() - 6 * 60_000).toISOString()
    const { browser: next } = await gateway.signIn(PERSON_IDS.staff)
    t.equal(await status(next), 200)
    await age(2 * HOUR)
    await pass()
    t.strictSame([await status(old), await status(next)], [401, 200])
    t.match(await audit(), [{ action: 'reevaluation.revoked', detail: { sessions: [/^ses_/] } }])
  })

  t.test('a session of an older version, without the time of its token, counts from when it began', async (t) => {
    const { gateway, query, signIn, status, age, pass } = await scene(t)
    const [old, guest] = [await signIn('staff'), await signIn('guest')]
    await query('update sessions set token_issued_at = null')
    const user = gateway.entra.directory.users.get(PERSON_IDS.staff)
    if (user) user.signInSessionsValidFromDateTime = new Date(Date.now() + 1_000).toISOString()
    await age(2 * HOUR)
    await pass()
    t.strictSame([await status(old), await status(guest)], [401, 200])
  })

  t.test('a membership that ends takes its rights along in the middle of a session, and one that begins brings them', async (t) => {
    const { gateway, query, signIn, header, age, pass, audit } = await scene(t)
    const sue = await signIn('superuser')
    t.equal(await header(sue, 'x-auth-request-superuser'), 'true')
    gateway.entra.directory.removeMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
    gateway.entra.directory.addMember(GROUP_IDS.berlinTeam, PERSON_IDS.superuser) // nested three levels inside Network Engineers
    await age(2 * HOUR)
    await pass()
    t.strictSame([await header(sue, 'x-auth-request-superuser'), await header(sue, 'x-auth-request-staff'), await header(sue, 'remote-groups')], ['false', 'true', 'Network Engineers'])
    t.match(await audit(), [{ action: 'reevaluation', username: 'sue.super@contoso.example', detail: { groupsAdded: ['Network Engineers'], groupsRemoved: ['NetBox Superusers'], superuser: [], before: { superuser: true } } }])
    t.match(gateway.log.filter(({ msg }) => String(msg).includes('(re-evaluation)')), [{ msg: /^Azure AD group mapping - user sue\.super@contoso\.example: 1 groups \(1 added, 1 removed\), staff true, superuser false/, groupsAdded: ['Network Engineers'], groupsRemoved: ['NetBox Superusers'] }])
    const kept = await rights(query, 'sue')
    await gateway.signIn(PERSON_IDS.superuser)
    t.same(await rights(query, 'sue'), kept, 'what a login would have made of it')
  })

  t.test('memberships by hand go, a group that does not exist is skipped and said once', async (t) => {
    const { gateway, query, signIn, header, age, pass } = await scene(t, { groups: ['NetBox Admins', 'Read Only', 'By Hand'] })
    const [gus, sam] = [await signIn('guest'), await signIn('staff')]
    await query('insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g where g.name = \'By Hand\'')
    const log = gateway.log.length
    for (let round = 0; round < 2; round++) {
      await age(2 * HOUR)
      await pass()
    }
    t.strictSame([await header(gus, 'remote-groups'), await header(sam, 'remote-groups')], ['Read Only', ''])
    t.equal(gateway.log.slice(log).filter(({ msg }) => String(msg).includes('group not found locally: Network Engineers')).length, 1)
  })

  t.test('requireMappedGroup ends the sessions of whom the mapping grants nothing any longer', async (t) => {
    const { gateway, signIn, status, age, pass, audit } = await scene(t, { config: { requireMappedGroup: true } })
    const gus = await signIn('guest')
    gateway.entra.directory.removeMember(GROUP_IDS.readOnly, PERSON_IDS.guest)
    await age(2 * HOUR)
    await pass()
    t.equal(await status(gus), 401)
    t.strictSame((await audit()).map(({ action }) => action), ['reevaluation', 'reevaluation.refused'])
  })

  t.test('the mapping that is in force now is applied', async (t) => {
    const { gateway, signIn, header, age, pass } = await scene(t)
    const gus = await signIn('guest')
    gateway.reload({ groupMapping: [{ entraGroup: GROUP_IDS.readOnly, groups: ['Circuit Manager'], staff: true }] })
    t.equal(await header(gus, 'remote-groups'), 'Read Only', 'a reload maps nobody anew')
    await age(2 * HOUR)
    await pass()
    t.strictSame([await header(gus, 'remote-groups'), await header(gus, 'x-auth-request-staff')], ['Circuit Manager', 'true'])
  })

  t.test('people without an Entra identity are never touched', async (t) => {
    const { gateway, query, age, pass } = await scene(t)
    await createUserAdmin(gateway.gateway.database).add({ username: 'admin.local', breakGlass: true }, 'test')
    await query('update users set is_superuser = true where username = \'admin.local\'')
    await query('insert into sessions (id_hash, public_id, user_id) select decode(repeat(\'ab\', 32), \'hex\'), \'ses_local\', id from users where username = \'admin.local\'')
    const before = await dump(query)
    await age(60 * 24 * HOUR)
    await pass()
    t.equal(await dump(query), before)
  })

  t.test('somebody without a live session is not asked about', async (t) => {
    const { gateway, query, signIn, age, pass } = await scene(t)
    const sam = await signIn('staff')
    await sam.ask(`${gateway.url}/oauth2/sign_out`)
    await signIn('guest')
    await query('update sessions set last_seen_at = now() - interval \'9 hours\'')
    await age(2 * HOUR)
    gateway.entra.requests.splice(0)
    await pass()
    t.same(gateway.entra.requests.filter(({ path }) => path.includes('$batch')), [])
  })
})

t.test('an account that is gone', async (t) => {
  const { gateway, query, signIn, status, age, pass, audit } = await scene(t)
  const sam = await signIn('staff')
  const user = gateway.entra.directory.users.get(PERSON_IDS.staff)
  const gone = { on: 'graph', path: `/users/${PERSON_IDS.staff}`, then: { kind: 'status', status: 404, body: { error: { code: 'Request_ResourceNotFound', message: 'x' } } } } as const
  await age(2 * HOUR)
  gateway.entra.faults.add(gone)
  await pass()
  t.equal(await status(sam), 200, 'one answer alone may be a replica of Graph that lags')
  await pass()
  t.same(gateway.entra.faults.waiting(), [])
  t.equal((await audit()).length, 0)

  t.comment('it is back, and missing again later')
  await query('update entra_checks set tried_at = tried_at - interval \'61 seconds\', missing_since = missing_since - interval \'61 seconds\'')
  await pass()
  t.same(await query('select * from entra_checks'), [], 'an answer ends the doubt')
  await age(2 * HOUR)
  gateway.entra.faults.add(gone)
  await pass()
  t.equal(await status(sam), 200, 'the first time again')

  t.comment('missing, then somebody signs in: the clock starts anew')
  await query('update entra_checks set tried_at = tried_at - interval \'2 hours\', missing_since = missing_since - interval \'2 hours\'')
  gateway.entra.faults.add(gone)
  await query('update entra_readings set read_at = now() - interval \'90 minutes\'')
  await pass()
  t.equal(await status(sam), 200)

  t.comment('missing for a minute')
  if (user) gateway.entra.directory.removeUser(user.id)
  await query('update entra_checks set tried_at = tried_at - interval \'59 seconds\', missing_since = missing_since - interval \'59 seconds\'')
  await pass()
  t.equal(await status(sam), 200, '59 seconds are too few')
  await query('update entra_checks set tried_at = tried_at - interval \'61 seconds\', missing_since = missing_since - interval \'61 seconds\'')
  await pass()
  t.equal(await status(sam), 401)
  t.match(await audit(), [{ action: 'reevaluation.deleted', detail: { oid: PERSON_IDS.staff } }])
  t.match(await query('select is_active, is_staff from users'), [{ is_active: true, is_staff: true }], 'the user stays')
})

// What is no clear answer changes nothing, and says so.
const account = (body: unknown, status = 200) => ({ on: 'graph', path: /\/users\/[^/]+\?\$select=id,accountEnabled/, then: { kind: 'status', status, body } }) as const
const groups = (body: unknown, status = 200) => ({ on: 'graph', path: /transitiveMemberOf/, then: { kind: 'status', status, body } }) as const
const batch = (body: unknown, status = 200) => ({ on: 'graph', path: '$batch', then: { kind: 'status', status, body } }) as const
const SAM = { id: PERSON_IDS.staff, accountEnabled: true, signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z' }
const UNCLEAR: Readonly<Record<string, readonly [Parameters<TestGateway['entra']['faults']['add']>[0], string]>> = {
  'no word on whether the account is enabled': [account({ ...SAM, accountEnabled: null }), 'graph_forbidden'],
  'enabled as text': [account({ ...SAM, accountEnabled: 'false' }), 'graph_forbidden'],
  'somebody else': [account({ ...SAM, id: PERSON_IDS.guest }), 'graph_malformed'],
  'an object without an id': [account({ accountEnabled: false }), 'graph_malformed'],
  'a time that is none': [account({ ...SAM, signInSessionsValidFromDateTime: 'yesterday' }), 'graph_malformed'],
  'no time at all': [account({ id: SAM.id, accountEnabled: true }), 'graph_malformed'],
  'a 404 that is not Graph\'s': [account({ error: { code: 'ResourceNotFound' } }, 404), 'person_not_found'],
  'a 404 of a proxy': [account('<html>', 404), 'person_not_found'],
  'a 403': [account({ error: { code: 'Authorization_RequestDenied' } }, 403), 'graph_forbidden'],
  'a 500': [account({ error: { code: 'generalException' } }, 500), 'graph_unavailable'],
  'an account, but no list of groups': [groups({ '@odata.context': 'x' }), 'graph_malformed'],
  'an account, but its groups are not found': [groups({ error: { code: 'Request_ResourceNotFound' } }, 404), 'person_not_found'],
  'groups without a type': [groups({ value: [{ id: GROUP_IDS.readOnly }] }), 'graph_malformed'],
  'groups on another server': [groups({ 'value': [], '@odata.nextLink': 'https://evil.example/v1.0/x' }), 'graph_foreign_link'],
  'groups in a circle': [{ on: 'graph', path: 'transitiveMemberOf', page: 1, times: 2, then: { kind: 'loopingNextLink' } }, 'graph_paging_loop'],
  'no responses': [batch({}), 'graph_malformed'],
  'responses that are no list': [batch({ responses: { 0: {} } }), 'graph_malformed'],
  'no response for anybody': [batch({ responses: [] }), 'graph_malformed'],
  'an account without its groups': [batch({ responses: [{ id: '0-account', status: 200, body: SAM }] }), 'graph_malformed'],
  'a response to no question': [batch({ responses: [{ id: '99', status: 200, body: {} }] }), 'graph_malformed'],
  'two responses to one question': [batch({ responses: [{ id: '0-account', status: 200, body: SAM }, { id: '0-account', status: 200, body: { ...SAM, accountEnabled: false } }, { id: '0-groups', status: 200, body: { value: [] } }] }), 'graph_malformed'],
  'a response without a status': [batch({ responses: [{ id: '0-account', body: SAM }] }), 'graph_malformed'],
  'a status as text': [batch({ responses: [{ id: '0-account', status: '404', body: {} }] }), 'graph_malformed'],
  'a batch that is refused': [batch({ error: { code: 'BadRequest' } }, 400), 'graph_request_refused'],
  'a batch that is forbidden': [batch({ error: { code: 'Authorization_RequestDenied' } }, 403), 'graph_forbidden'],
  'a page of a proxy': [{ on: 'graph', path: '$batch', then: { kind: 'html' } }, 'graph_not_json'],
  'a connection that breaks half-way': [{ on: 'graph', path: '$batch', times: 5, then: { kind: 'cut' } }, 'graph_unavailable'],
  'a secret that expired': [{ on: 'token', then: { kind: 'aadsts', code: 7000222 } }, 'entra_secret_expired'],
  'a token that is refused twice': [{ on: 'graph', path: '$batch', times: 2, then: { kind: 'status', status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } } }, 'graph_unauthorized'],
}

t.test('what is no clear answer changes nothing', async (t) => {
  const { gateway, query, signIn, status, age, pass, metric } = await scene(t)
  const sam = await signIn('staff')
  await age(2 * HOUR)
  let failures = 0
  for (const [name, [fault, code]] of Object.entries(UNCLEAR)) {
    gateway.entra.faults.clear()
    const log = gateway.log.length
    await age(2 * HOUR)
    const before = (await dump(query))
    if (fault.on === 'token') gateway.entra.faults.add({ on: 'graph', path: '$batch', then: { kind: 'status', status: 401, body: {} } }) // or the one at hand would do
    gateway.entra.faults.add(fault)
    await gateway.gateway.sync?.pass()
    t.equal(await dump(query), before, `${name}: nothing stored changes`)
    t.equal(await status(sam), 200, name)
    t.same(gateway.entra.faults.waiting(), [], `${name}: was met`)
    t.equal(await metric('gatehouse_sync_people_total{result="failed"} '), ++failures, name)
    t.match(await (await fetch(`${gateway.management}/readyz`)).json(), { status: 'ok', parts: { sync: `failing: ${code}` } }, name)
    t.ok(gateway.log.slice(log).every(({ level }) => level !== 'error'), name)
    await age(2 * HOUR)
    await pass()
    t.match(gateway.log.findLast(({ msg }) => String(msg).includes('looked up again')), { level: 'info' }, `${name}: and it is said when it is over`)
  }
})

t.test('throttling', async (t) => {
  t.test('those who are throttled are asked about again when Graph says, the others not', async (t) => {
    const { gateway, signIn, status, age, pass } = await scene(t)
    const [sam, gus] = [await signIn('staff'), await signIn('guest')]
    for (const user of gateway.entra.directory.users.values()) user.accountEnabled = false
    await age(2 * HOUR)
    gateway.entra.faults.add({ on: 'graph', path: `/users/${PERSON_IDS.guest}?`, then: { kind: 'throttle', retryAfter: '1' } })
    gateway.entra.requests.splice(0)
    await pass()
    t.strictSame([await status(sam), await status(gus)], [401, 401])
    const batches = gateway.entra.requests.filter(({ path }) => path.endsWith('$batch'))
    t.equal(batches.length, 2)
    t.ok((batches[1]?.at ?? 0) - (batches[0]?.at ?? 0) >= 1_000, 'not before the second is over')
    t.equal(gateway.entra.requests.filter(({ path }) => path.includes(PERSON_IDS.staff)).length, 2, 'account and groups, once each')
  })

  t.test('a pause that is too long to wait for is kept, and costs only those it is about', async (t) => {
    const { gateway, signIn, status, age, pass } = await scene(t)
    const [sam, gus] = [await signIn('staff'), await signIn('guest')]
    for (const user of gateway.entra.directory.users.values()) user.accountEnabled = false
    await age(2 * HOUR)
    gateway.entra.faults.add({ on: 'graph', path: `/users/${PERSON_IDS.guest}?`, then: { kind: 'throttle', retryAfter: '300' } })
    await pass()
    t.strictSame([await status(sam), await status(gus)], [401, 200])
    await age(2 * HOUR)
    gateway.entra.requests.splice(0)
    await pass()
    t.same(gateway.entra.requests.filter(({ server }) => server === 'graph'), [], 'nothing is asked before the pause is over')
    t.match(await (await fetch(`${gateway.management}/readyz`)).json(), { parts: { sync: 'failing: graph_throttled' } })
    const { answer } = await gateway.signIn(PERSON_IDS.nobody)
    t.equal(answer.status, 200, 'sign-ins go on')
  })

  t.test('the least urgent of all, twenty questions in a request', async (t) => {
    const { gateway, query, age, pass } = await scene(t, { seed: (directory) => crowd(directory, 25) })
    const people = [...gateway.entra.directory.users.keys()]
    for (const person of people) await gateway.signIn(person)
    await age(2 * HOUR)
    gateway.entra.requests.splice(0)
    await pass()
    const graph = gateway.entra.requests.filter(({ server }) => server === 'graph')
    t.equal(graph.filter(({ path }) => path.endsWith('$batch')).length, 3)
    t.equal(graph.filter(({ path }) => !path.endsWith('$batch')).length, 50)
    t.ok(graph.filter(({ path }) => path.endsWith('$batch')).every(({ headers, method }) => method === 'POST' && headers['x-ms-throttle-priority'] === 'low'))
    t.match(await query('select count(*)::int as fresh from entra_readings where read_at > now() - interval \'1 minute\''), [{ fresh: 25 }])
  })
})

function crowd(directory: TestGateway['entra']['directory'], size: number): void {
  for (let n = 1; n <= size; n++) {
    const id = `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
    directory.addUser({ id, displayName: `Person ${n}`, userPrincipalName: `person.${n}@contoso.example`, accountEnabled: true, userType: 'Member', signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z' })
  }
}

t.test('everybody is asked about once in an interval, spread over it', async (t) => {
  const { gateway, query } = await scene(t, { seed: (directory) => crowd(directory, 40), config: { sync: { interval: '10s', privilegedStaleness: '30d' } } })
  for (const person of gateway.entra.directory.users.keys()) await gateway.signIn(person)
  await sleep(10_500)
  gateway.entra.requests.splice(0)
  const [{ latest } = { latest: new Date() }] = await query<{ latest: Date }>('select min(read_at) as latest from entra_readings')
  t.ok(Date.now() - latest.getTime() < 10_000, `the oldest reading is ${Date.now() - latest.getTime()} ms old`)
  await sleep(10_000)
  const asked = new Map<string, number>()
  const turns = new Set<number>()
  for (const { path, at } of gateway.entra.requests.filter(({ path }) => path.includes('transitiveMemberOf'))) {
    asked.set(path, (asked.get(path) ?? 0) + 1)
    turns.add(Math.floor(at / 500))
  }
  t.equal(asked.size, 40)
  t.comment(`40 people in ten seconds: ${[...asked.values()].reduce((sum, each) => sum + each, 0)} times asked, in ${turns.size} of 20 half seconds`)
  t.ok(Math.max(...asked.values()) <= 2)
  t.ok(turns.size >= 8, 'not all at once')
})

t.test('what was heard too long ago', async (t) => {
  const { gateway, query, signIn, status, header, age, pass, audit, metric } = await scene(t, { config: { session: { secrets: ['session-secret-canary-0123456789abcdef'] }, sync: { interval: '1h', privilegedStaleness: '2h', maxStaleness: '5h' } } })
  const [sue, gus] = [await signIn('superuser'), await signIn('guest')]
  const outage = (): void => gateway.entra.faults.add({ on: 'graph', path: '$batch', times: Infinity, then: { kind: 'status', status: 503, headers: { 'retry-after': '0' }, body: {} } })
  outage()
  await age(1.9 * HOUR)
  await pass()
  t.equal(await header(sue, 'x-auth-request-superuser'), 'true', 'believed until privilegedStaleness')
  await age(0.2 * HOUR)
  await pass()
  t.strictSame([await header(sue, 'x-auth-request-superuser'), await header(sue, 'x-auth-request-staff'), await header(sue, 'remote-groups')], ['false', 'false', 'NetBox Superusers'], 'flags go, the rest stays')
  t.equal(await header(gus, 'remote-groups'), 'Read Only')
  t.match(await audit(), [{ action: 'reevaluation.stale_privileges', username: 'sue.super@contoso.example', detail: { before: { staff: true, superuser: true } } }])
  t.equal(await metric('gatehouse_sync_people_total{result="stale_privileges"} '), 1)
  t.ok(await metric('gatehouse_sync_lag_seconds ') > 2 * 3600)
  gateway.entra.faults.clear()
  await age(2 * HOUR)
  await pass()
  t.equal(await header(sue, 'x-auth-request-superuser'), 'true', 'they come back with an answer')
  outage()
  await age(4.9 * HOUR)
  await pass()
  t.strictSame([await status(sue), await status(gus)], [200, 200])
  await age(0.2 * HOUR)
  await pass()
  t.strictSame([await status(sue), await status(gus)], [401, 401])
  t.strictSame((await audit()).map(({ action }) => action), ['reevaluation.stale_privileges', 'reevaluation', 'reevaluation.stale_privileges', 'reevaluation.stale_session', 'reevaluation.stale_session'])
  t.equal(await metric('gatehouse_sync_people_total{result="stale_session"} '), 2)
  t.same(await query('select * from sessions'), [])
  t.equal(gateway.log.filter(({ msg }) => String(msg).includes('could not be looked up again')).length, 2, 'an outage is one line')
})

t.test('sessions outlive any silence without maxStaleness', async (t) => {
  const { gateway, signIn, status, age, pass } = await scene(t)
  const gus = await signIn('guest')
  gateway.entra.faults.add({ on: 'graph', path: '$batch', times: Infinity, then: { kind: 'status', status: 500, body: {} } })
  await age(89 * 24 * HOUR)
  await pass()
  t.equal(await status(gus), 200)
})

t.test('a sign-in during a reading is newer than the reading', async (t) => {
  const { gateway, query, signIn, header, age } = await scene(t)
  const gus = await signIn('guest')
  gateway.entra.directory.removeMember(GROUP_IDS.readOnly, PERSON_IDS.guest)
  await age(2 * HOUR)
  gateway.entra.faults.add({ on: 'graph', path: `${PERSON_IDS.guest}/transitiveMemberOf`, then: [{ kind: 'slow', ms: 1_000 }, { kind: 'status', status: 200, body: { value: [] } }] })
  const passing = gateway.gateway.sync?.pass()
  while (gateway.entra.faults.waiting().length > 0) await sleep(10)
  gateway.entra.directory.addMember(GROUP_IDS.readOnly, PERSON_IDS.guest)
  gateway.entra.directory.addMember(GROUP_IDS.circuitManagers, PERSON_IDS.guest)
  await gateway.signIn(PERSON_IDS.guest, { browser: gus })
  await passing
  t.equal(await header(gus, 'remote-groups'), 'Circuit Manager,Read Only')
  t.match(await query('select cardinality(group_ids) as groups from entra_readings'), [{ groups: 2 }])
})

t.test('a replica ends while Graph does not answer, and does not complain of it', async (t) => {
  const { gateway, signIn, age } = await scene(t)
  await signIn('guest')
  await age(2 * HOUR)
  gateway.entra.faults.add({ on: 'graph', path: '$batch', times: 5, then: { kind: 'hang' } })
  gateway.gateway.sync?.pass().catch(() => {})
  while (gateway.entra.faults.waiting()[0]?.times !== undefined && !gateway.entra.requests.some(({ path }) => path.endsWith('$batch'))) await sleep(10)
  const began = Date.now()
  await gateway.close()
  t.ok(Date.now() - began < 20_000, `closed after ${Date.now() - began} ms, long before Graph's budget of 30 seconds`)
  await sleep(200)
  t.same(gateway.log.filter(({ msg }) => String(msg).includes('broke off')), [])
})

t.test('one replica at a time, and another one when it goes', async (t) => {
  const one = await scene(t)
  const two = await scene(t, { databaseUrl: one.gateway.databaseUrl })
  await one.pass()
  await two.pass()
  await one.signIn('guest')
  await one.age(2 * HOUR)
  const asked = ({ gateway }: Scene): number => gateway.entra.requests.filter(({ path }) => path.endsWith('$batch')).length
  await two.pass()
  t.equal(asked(two), 0)
  await one.pass()
  t.equal(asked(one), 1)
  const here = () => [one, two].map(({ gateway }) => gateway.gateway.sync?.state().here)
  t.strictSame(here(), [true, false])
  t.match(await (await fetch(`${two.gateway.management}/readyz`)).json(), { parts: { sync: 'another replica does it' } })
  t.strictSame([await one.metric('gatehouse_sync_here '), await two.metric('gatehouse_sync_here ')], [1, 0])
  await one.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = \'gatehouse lock\' and pid in (select pid from pg_locks where locktype = \'advisory\' and granted)')
  await two.pass()
  t.equal(two.gateway.gateway.sync?.state().here, true, 'taken over at its next turn')
  await one.age(2 * HOUR)
  await two.pass()
  t.equal(asked(two), 1)
  await one.pass()
  t.strictSame(here(), [false, true], 'and not taken back')
  await two.gateway.close()
  await one.pass()
  t.equal(one.gateway.gateway.sync?.state().here, true)
})
