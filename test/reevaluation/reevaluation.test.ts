// The re-evaluation of users with active sessions: changes in Entra ID take effect without a sign-in.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import type { TestGateway } from '../helpers/gateway.js'
import { dump, type Query } from '../helpers/sql.js'
import { HOUR, scene } from '../helpers/reevaluation.js'
import { createUserAdmin } from '../helpers/acts.js'

const rights = (query: Query, username: string) =>
  query(`
  select u.is_staff, u.staff_cause, u.is_superuser, u.superuser_cause, u.is_active, array_agg(g.name || ' ' ||
    ug.cause::text order by g.name) as groups
  from users u left join user_groups ug on ug.user_id = u.id left join groups g on g.id = ug.group_id where u.username
    like '${username}%' group by u.id`)

// proves: sync-disabled
t.test('a disabled account loses its sessions, and other accounts do not', async (t) => {
  const { gateway, query, signIn, status, age, run, audit, metric } = await scene(t)
  gateway.entra.faults.add({
    on: 'graph',
    path: '/delta',
    times: Infinity,
    then: { kind: 'throttle', retryAfter: '0' },
  })
  const [sam, sue] = [await signIn('staff'), await signIn('superuser')]
  const before = await rights(query, 'sam')
  const user = gateway.entra.directory.users.get(PERSON_IDS.staff)
  if (user) user.accountEnabled = false
  await run()
  t.equal(await status(sam), 200, 'not due again so soon')
  await age(2 * HOUR)
  await run()
  t.equal(await status(sam), 401)
  t.equal(await status(sue), 200)
  t.same(await rights(query, 'sam'), before, 'grants and is_active do not change')
  const rows = await audit()
  t.match(rows, [{
    action: 'reevaluation.disabled',
    username: 'sam.staff@contoso.example',
    actor: 'sync',
    detail: { oid: PERSON_IDS.staff, sessions: [/^ses_/] },
  }])
  t.equal(rows.length, 1, 'unchanged users have no audit row')
  t.equal(await metric('gatehouse_sync_people_total{result="disabled"} '), 1)
  t.match(gateway.log.find(({ why }) => why === 'disabled'), {
    user: 'sam.staff@contoso.example',
    sessions: 1,
    correlationId: /^[0-9a-f-]{36}$/,
  })
})

// proves: sync-revoked, sync-revoked-later
t.test('revoked sessions end, and the session of a later sign-in does not', async (t) => {
  const { gateway, query, signIn, status, age, run, audit } = await scene(t)
  const old = await signIn('staff')
  const user = gateway.entra.directory.users.get(PERSON_IDS.staff)
  await query("update sessions set token_issued_at = token_issued_at - interval '10 minutes'")
  // Entra ID dates an id token five minutes before it issues it.
  if (user) user.signInSessionsValidFromDateTime = new Date(Date.now() - 6 * 60_000).toISOString()
  const { browser: next } = await gateway.signIn(PERSON_IDS.staff)
  t.equal(await status(next), 200)
  await age(2 * HOUR)
  await run()
  t.strictSame({ old: await status(old), next: await status(next) }, { old: 401, next: 200 })
  t.match(await audit(), [{ action: 'reevaluation.revoked', detail: { sessions: [/^ses_/] } }])
})

// proves: sync-revoked-older-version
t.test('a session without the time of its token counts from its beginning', async (t) => {
  const { gateway, query, signIn, status, age, run } = await scene(t)
  const [old, guest] = [await signIn('staff'), await signIn('guest')]
  await query('update sessions set token_issued_at = null')
  const user = gateway.entra.directory.users.get(PERSON_IDS.staff)
  if (user) user.signInSessionsValidFromDateTime = new Date(Date.now() + 1_000).toISOString()
  await age(2 * HOUR)
  await run()
  t.strictSame({ old: await status(old), guest: await status(guest) }, { old: 401, guest: 200 })
})

// proves: sync-flags
t.test('changed memberships change groups and flags during a session', async (t) => {
  const { gateway, query, signIn, header, age, run, audit } = await scene(t)
  const sue = await signIn('superuser')
  t.equal(await header(sue, 'x-auth-request-superuser'), 'true')
  gateway.entra.directory.removeMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
  // nested three levels inside Network Engineers
  gateway.entra.directory.addMember(GROUP_IDS.berlinTeam, PERSON_IDS.superuser)
  await age(2 * HOUR)
  await run()
  t.strictSame(
    {
      superuser: await header(sue, 'x-auth-request-superuser'),
      staff: await header(sue, 'x-auth-request-staff'),
      groups: await header(sue, 'remote-groups'),
    },
    { superuser: 'false', staff: 'true', groups: 'Network Engineers' },
  )
  t.match(await audit(), [{
    action: 'reevaluation',
    username: 'sue.super@contoso.example',
    detail: {
      groupsAdded: ['Network Engineers'],
      groupsRemoved: ['NetBox Superusers'],
      superuser: [],
      before: { superuser: true },
    },
  }])
  t.match(gateway.log.filter(({ msg }) => String(msg).includes('(re-evaluation)')), [{
    msg:
      /^Azure AD group mapping - user sue\.super@contoso\.example: 1 groups \(1 added, 1 removed\), staff true, superuser false/,
    groupsAdded: ['Network Engineers'],
    groupsRemoved: ['NetBox Superusers'],
  }])
  const kept = await rights(query, 'sue')
  await gateway.signIn(PERSON_IDS.superuser)
  t.same(await rights(query, 'sue'), kept, 'a login grants the same')
})

t.test('manual memberships are removed, and a missing local group is skipped and logged once', async (t) => {
  const { gateway, query, signIn, header, age, run } = await scene(t, {
    groups: ['NetBox Admins', 'Read Only', 'By Hand'],
  })
  const [gus, sam] = [await signIn('guest'), await signIn('staff')]
  await query(
    "insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g where g.name = 'By Hand'",
  )
  const log = gateway.log.length
  for (let round = 0; round < 2; round++) {
    await age(2 * HOUR)
    await run()
  }
  t.strictSame(
    { gus: await header(gus, 'remote-groups'), sam: await header(sam, 'remote-groups') },
    { gus: 'Read Only', sam: '' },
  )
  t.equal(
    gateway.log.slice(log).filter(({ msg }) => String(msg).includes('group not found locally: Network Engineers'))
      .length,
    1,
  )
})

// proves: sync-refused
t.test('requireMappedGroup ends the sessions of users to whom the mapping grants nothing any longer', async (t) => {
  const { gateway, signIn, status, age, run, audit } = await scene(t, { config: { requireMappedGroup: true } })
  const gus = await signIn('guest')
  gateway.entra.directory.removeMember(GROUP_IDS.readOnly, PERSON_IDS.guest)
  await age(2 * HOUR)
  await run()
  t.equal(await status(gus), 401)
  t.strictSame((await audit()).map(({ action }) => action), ['reevaluation', 'reevaluation.refused'])
})

t.test('a reloaded mapping is applied', async (t) => {
  const { gateway, signIn, header, age, run } = await scene(t)
  const gus = await signIn('guest')
  gateway.reload({ groupMapping: [{ entraGroup: GROUP_IDS.readOnly, groups: ['Circuit Manager'], staff: true }] })
  t.equal(await header(gus, 'remote-groups'), 'Read Only', 'the reload alone changes no user')
  await age(2 * HOUR)
  await run()
  t.strictSame(
    { groups: await header(gus, 'remote-groups'), staff: await header(gus, 'x-auth-request-staff') },
    { groups: 'Circuit Manager', staff: 'true' },
  )
})

t.test('users without an Entra identity are never changed', async (t) => {
  const { gateway, query, age, run } = await scene(t)
  await createUserAdmin(gateway.gateway.database).add({ username: 'admin.local', breakGlass: true }, 'test')
  await query("update users set is_superuser = true where username = 'admin.local'")
  await query(
    "insert into sessions (id_hash, public_id, user_id) select decode(repeat('ab', 32), 'hex'), 'ses_local', id " +
      "from users where username = 'admin.local'",
  )
  const before = await dump(query)
  await age(60 * 24 * HOUR)
  await run()
  t.equal(await dump(query), before)
})

t.test('users without an active session are not re-evaluated', async (t) => {
  const { gateway, query, signIn, age, run } = await scene(t)
  const sam = await signIn('staff')
  await sam.ask(`${gateway.url}/oauth2/sign_out`)
  await signIn('guest')
  await query("update sessions set last_seen_at = now() - interval '9 hours'")
  await age(2 * HOUR)
  gateway.entra.requests.splice(0)
  await run()
  t.same(gateway.entra.requests.filter(({ path }) => path.includes('$batch')), [])
})

// proves: sync-missing-twice, sync-missing-since-login
t.test('the sessions of a deleted account end when it was missing for a minute', async (t) => {
  const { gateway, query, signIn, status, age, ageAttempts, run, audit } = await scene(t)
  const sam = await signIn('staff')
  const user = gateway.entra.directory.users.get(PERSON_IDS.staff)
  const gone = {
    on: 'graph',
    path: `/users/${PERSON_IDS.staff}`,
    then: { kind: 'status', status: 404, body: { error: { code: 'Request_ResourceNotFound', message: 'x' } } },
  } as const
  await age(2 * HOUR)
  gateway.entra.faults.add(gone)
  await run()
  t.equal(await status(sam), 200, 'a single answer may come from a replica of Graph that lags')
  await run()
  t.same(gateway.entra.faults.waiting(), [])
  t.equal((await audit()).length, 0)

  t.comment('found again, and missing again later')
  await ageAttempts(61_000)
  await run()
  t.same(await query('select * from entra_checks'), [], 'a found account is no longer missing')
  await age(2 * HOUR)
  gateway.entra.faults.add(gone)
  await run()
  t.equal(await status(sam), 200, 'the minute begins again')

  t.comment('a sign-in after it was missing: the minute begins again')
  await ageAttempts(2 * HOUR)
  gateway.entra.faults.add(gone)
  await query("update entra_readings set read_at = now() - interval '90 minutes'")
  await run()
  t.equal(await status(sam), 200)

  t.comment('missing for a minute')
  if (user) gateway.entra.directory.removeUser(user.id)
  await ageAttempts(59_000)
  await run()
  t.equal(await status(sam), 200, '59 seconds are too few')
  await ageAttempts(61_000)
  await run()
  t.equal(await status(sam), 401)
  t.match(await audit(), [{ action: 'reevaluation.deleted', detail: { oid: PERSON_IDS.staff } }])
  t.match(await query('select is_active, is_staff from users'), [{ is_active: true, is_staff: true }], 'the user stays')
})

t.test('only throttled users are requested again, after the time that Graph named', async (t) => {
  const { gateway, signIn, status, age, run } = await scene(t)
  const [sam, gus] = [await signIn('staff'), await signIn('guest')]
  for (const user of gateway.entra.directory.users.values()) user.accountEnabled = false
  await age(2 * HOUR)
  gateway.entra.faults.add({
    on: 'graph',
    path: `/users/${PERSON_IDS.guest}?`,
    then: { kind: 'throttle', retryAfter: '1' },
  })
  gateway.entra.requests.splice(0)
  await run()
  t.strictSame({ sam: await status(sam), gus: await status(gus) }, { sam: 401, gus: 401 })
  const batches = gateway.entra.requests.filter(({ path }) => path.endsWith('$batch'))
  t.equal(batches.length, 2)
  t.ok((batches[1]?.at ?? 0) - (batches[0]?.at ?? 0) >= 1_000, 'not before the second has passed')
  t.equal(
    gateway.entra.requests.filter(({ path }) => path.includes(PERSON_IDS.staff)).length,
    2,
    'account and groups, once each',
  )
})

// proves: sync-pause, delta-pause-shared
t.test('a pause longer than the budget is kept, and delays only the throttled user', async (t) => {
  const { gateway, signIn, status, age, run, readiness } = await scene(t)
  const [sam, gus] = [await signIn('staff'), await signIn('guest')]
  for (const user of gateway.entra.directory.users.values()) user.accountEnabled = false
  await age(2 * HOUR)
  gateway.entra.faults.add({
    on: 'graph',
    path: `/users/${PERSON_IDS.guest}?`,
    then: { kind: 'throttle', retryAfter: '300' },
  })
  await run()
  t.strictSame({ sam: await status(sam), gus: await status(gus) }, { sam: 401, gus: 200 })
  await age(2 * HOUR)
  gateway.entra.requests.splice(0)
  await run()
  t.same(
    gateway.entra.requests.filter(({ server }) => server === 'graph'),
    [],
    'no request before the pause has passed',
  )
  t.equal(await readiness(), 'failing: graph_throttled')
  const { answer } = await gateway.signIn(PERSON_IDS.nobody)
  t.equal(answer.status, 200, 'sign-ins continue')
})

t.test('batches of ten users have the lowest priority', async (t) => {
  const { gateway, query, age, run } = await scene(t, { seed: (directory) => crowd(directory, 25) })
  const people = [...gateway.entra.directory.users.keys()]
  for (const person of people) await gateway.signIn(person)
  await age(2 * HOUR)
  gateway.entra.requests.splice(0)
  await run()
  const graph = gateway.entra.requests.filter(({ server }) => server === 'graph')
  t.equal(graph.filter(({ path }) => path.endsWith('$batch')).length, 3)
  t.equal(graph.filter(({ path }) => path.startsWith('/v1.0/users/') && !path.endsWith('/delta')).length, 50)
  t.ok(
    graph.filter(({ path }) => path.endsWith('$batch')).every(({ headers, method }) =>
      method === 'POST' && headers['x-ms-throttle-priority'] === 'low'
    ),
  )
  t.match(
    await query("select count(*)::int as fresh from entra_readings where read_at > now() - interval '1 minute'"),
    [{ fresh: 25 }],
  )
})

function crowd(directory: TestGateway['entra']['directory'], size: number): void {
  for (let n = 1; n <= size; n++) {
    const id = `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
    directory.addUser({
      id,
      displayName: `Person ${n}`,
      userPrincipalName: `person.${n}@contoso.example`,
      accountEnabled: true,
      userType: 'Member',
      signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z',
    })
  }
}

// proves: sync-spread
t.test('every user is re-evaluated once in an interval, spread over it', async (t) => {
  const { gateway, query } = await scene(t, {
    seed: (directory) => crowd(directory, 40),
    config: { sync: { interval: '10s', privilegedStaleness: '30d' } },
  })
  for (const person of gateway.entra.directory.users.keys()) await gateway.signIn(person)
  await sleep(10_500)
  gateway.entra.requests.splice(0)
  const [{ latest } = { latest: new Date() }] = await query<{ latest: Date }>(
    'select min(read_at) as latest from entra_readings',
  )
  t.ok(Date.now() - latest.getTime() < 10_000, `the oldest snapshot is ${Date.now() - latest.getTime()} ms old`)
  await sleep(10_000)
  const requests = new Map<string, number>()
  const halfSeconds = new Set<number>()
  for (const { path, at } of gateway.entra.requests.filter(({ path }) => path.includes('transitiveMemberOf'))) {
    requests.set(path, (requests.get(path) ?? 0) + 1)
    halfSeconds.add(Math.floor(at / 500))
  }
  t.equal(requests.size, 40)
  t.comment(
    `40 people in ten seconds: ${
      [...requests.values()].reduce((sum, each) => sum + each, 0)
    } requests, in ${halfSeconds.size} of 20 half seconds`,
  )
  t.ok(Math.max(...requests.values()) <= 2)
  t.ok(halfSeconds.size >= 8, 'not all at the same time')
})

// proves: sync-older-reading
t.test('a sign-in during a re-evaluation takes precedence over it', async (t) => {
  const { gateway, query, signIn, header, age } = await scene(t)
  const gus = await signIn('guest')
  gateway.entra.directory.removeMember(GROUP_IDS.readOnly, PERSON_IDS.guest)
  await age(2 * HOUR)
  gateway.entra.faults.add({
    on: 'graph',
    path: `${PERSON_IDS.guest}/transitiveMemberOf`,
    then: [{ kind: 'slow', ms: 1_000 }, { kind: 'status', status: 200, body: { value: [] } }],
  })
  const running = gateway.gateway.reevaluation?.run()
  while (gateway.entra.faults.waiting().length > 0) await sleep(10)
  gateway.entra.directory.addMember(GROUP_IDS.readOnly, PERSON_IDS.guest)
  gateway.entra.directory.addMember(GROUP_IDS.circuitManagers, PERSON_IDS.guest)
  await gateway.signIn(PERSON_IDS.guest, { browser: gus })
  await running
  t.equal(await header(gus, 'remote-groups'), 'Circuit Manager,Read Only')
  t.match(await query('select cardinality(group_ids) as groups from entra_readings'), [{ groups: 2 }])
})
