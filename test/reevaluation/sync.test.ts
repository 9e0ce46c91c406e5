// The re-evaluation of people with live sessions: what Entra ID and Graph say counts without a sign-in.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { createUserAdmin } from '../../src/store/user-admin.js'
import type { TestGateway } from '../helpers/gateway.js'
import { stopPostgres } from '../helpers/postgres.js'
import { dump, type Query } from '../helpers/sql.js'
import { HOUR, scene } from '../helpers/reevaluation.js'

t.teardown(stopPostgres)

const rights = (query: Query, username: string) =>
  query(`
  select u.is_staff, u.staff_cause, u.is_superuser, u.superuser_cause, u.is_active, array_agg(g.name || ' ' ||
    ug.cause::text order by g.name) as groups
  from users u left join user_groups ug on ug.user_id = u.id left join groups g on g.id = ug.group_id where u.username
    like '${username}%' group by u.id`)

t.test('without a sign-in', async (t) => {
  // proves: sync-disabled
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
    t.match(rows, [{
      action: 'reevaluation.disabled',
      username: 'sam.staff@contoso.example',
      actor: 'sync',
      detail: { oid: PERSON_IDS.staff, sessions: [/^ses_/] },
    }])
    t.equal(rows.length, 1, 'nothing is recorded of those who stay as they are')
    t.equal(await metric('gatehouse_sync_people_total{result="disabled"} '), 1)
    t.match(gateway.log.find(({ why }) => why === 'disabled'), {
      user: 'sam.staff@contoso.example',
      sessions: 1,
      correlationId: /^[0-9a-f-]{36}$/,
    })
  })

  // proves: sync-revoked, sync-revoked-later
  t.test('revoked sessions end, and those of a later sign-in do not', async (t) => {
    const { gateway, query, signIn, status, age, pass, audit } = await scene(t)
    const old = await signIn('staff')
    const user = gateway.entra.directory.users.get(PERSON_IDS.staff)
    await query("update sessions set token_issued_at = token_issued_at - interval '10 minutes'")
    // An id token says of itself that it was issued five minutes before it was.
    if (user) user.signInSessionsValidFromDateTime = new Date(Date.now() - 6 * 60_000).toISOString()
    const { browser: next } = await gateway.signIn(PERSON_IDS.staff)
    t.equal(await status(next), 200)
    await age(2 * HOUR)
    await pass()
    t.strictSame([await status(old), await status(next)], [401, 200])
    t.match(await audit(), [{ action: 'reevaluation.revoked', detail: { sessions: [/^ses_/] } }])
  })

  // proves: sync-revoked-older-version
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

  // proves: sync-flags
  t.test('a membership that ends takes its rights along in the middle of a session, and one that begins brings them', async (t) => {
    const { gateway, query, signIn, header, age, pass, audit } = await scene(t)
    const sue = await signIn('superuser')
    t.equal(await header(sue, 'x-auth-request-superuser'), 'true')
    gateway.entra.directory.removeMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
    // nested three levels inside Network Engineers
    gateway.entra.directory.addMember(GROUP_IDS.berlinTeam, PERSON_IDS.superuser)
    await age(2 * HOUR)
    await pass()
    t.strictSame([
      await header(sue, 'x-auth-request-superuser'),
      await header(sue, 'x-auth-request-staff'),
      await header(sue, 'remote-groups'),
    ], ['false', 'true', 'Network Engineers'])
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
    t.same(await rights(query, 'sue'), kept, 'what a login would have made of it')
  })

  t.test('memberships by hand go, a group that does not exist is skipped and said once', async (t) => {
    const { gateway, query, signIn, header, age, pass } = await scene(t, {
      groups: ['NetBox Admins', 'Read Only', 'By Hand'],
    })
    const [gus, sam] = [await signIn('guest'), await signIn('staff')]
    await query(
      "insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g where g.name = 'By Hand'",
    )
    const log = gateway.log.length
    for (let round = 0; round < 2; round++) {
      await age(2 * HOUR)
      await pass()
    }
    t.strictSame([await header(gus, 'remote-groups'), await header(sam, 'remote-groups')], ['Read Only', ''])
    t.equal(
      gateway.log.slice(log).filter(({ msg }) => String(msg).includes('group not found locally: Network Engineers'))
        .length,
      1,
    )
  })

  // proves: sync-refused
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
    t.strictSame([await header(gus, 'remote-groups'), await header(gus, 'x-auth-request-staff')], [
      'Circuit Manager',
      'true',
    ])
  })

  t.test('people without an Entra identity are never touched', async (t) => {
    const { gateway, query, age, pass } = await scene(t)
    await createUserAdmin(gateway.gateway.database).add({ username: 'admin.local', breakGlass: true }, 'test')
    await query("update users set is_superuser = true where username = 'admin.local'")
    await query(
      "insert into sessions (id_hash, public_id, user_id) select decode(repeat('ab', 32), 'hex'), 'ses_local', id " +
        "from users where username = 'admin.local'",
    )
    const before = await dump(query)
    await age(60 * 24 * HOUR)
    await pass()
    t.equal(await dump(query), before)
  })

  // proves: sync-live-people-only
  t.test('somebody without a live session is not asked about', async (t) => {
    const { gateway, query, signIn, age, pass } = await scene(t)
    const sam = await signIn('staff')
    await sam.ask(`${gateway.url}/oauth2/sign_out`)
    await signIn('guest')
    await query("update sessions set last_seen_at = now() - interval '9 hours'")
    await age(2 * HOUR)
    gateway.entra.requests.splice(0)
    await pass()
    t.same(gateway.entra.requests.filter(({ path }) => path.includes('$batch')), [])
  })
})

// proves: sync-missing-twice, sync-missing-since-login
t.test('an account that is gone', async (t) => {
  const { gateway, query, signIn, status, age, pass, audit } = await scene(t)
  const sam = await signIn('staff')
  const user = gateway.entra.directory.users.get(PERSON_IDS.staff)
  const gone = {
    on: 'graph',
    path: `/users/${PERSON_IDS.staff}`,
    then: { kind: 'status', status: 404, body: { error: { code: 'Request_ResourceNotFound', message: 'x' } } },
  } as const
  await age(2 * HOUR)
  gateway.entra.faults.add(gone)
  await pass()
  t.equal(await status(sam), 200, 'one answer alone may be a replica of Graph that lags')
  await pass()
  t.same(gateway.entra.faults.waiting(), [])
  t.equal((await audit()).length, 0)

  t.comment('it is back, and missing again later')
  await query(
    "update entra_checks set tried_at = tried_at - interval '61 seconds', missing_since = missing_since - interval " +
      "'61 seconds'",
  )
  await pass()
  t.same(await query('select * from entra_checks'), [], 'an answer ends the doubt')
  await age(2 * HOUR)
  gateway.entra.faults.add(gone)
  await pass()
  t.equal(await status(sam), 200, 'the first time again')

  t.comment('missing, then somebody signs in: the clock starts anew')
  await query(
    "update entra_checks set tried_at = tried_at - interval '2 hours', missing_since = missing_since - interval '2 " +
      "hours'",
  )
  gateway.entra.faults.add(gone)
  await query("update entra_readings set read_at = now() - interval '90 minutes'")
  await pass()
  t.equal(await status(sam), 200)

  t.comment('missing for a minute')
  if (user) gateway.entra.directory.removeUser(user.id)
  await query(
    "update entra_checks set tried_at = tried_at - interval '59 seconds', missing_since = missing_since - interval " +
      "'59 seconds'",
  )
  await pass()
  t.equal(await status(sam), 200, '59 seconds are too few')
  await query(
    "update entra_checks set tried_at = tried_at - interval '61 seconds', missing_since = missing_since - interval " +
      "'61 seconds'",
  )
  await pass()
  t.equal(await status(sam), 401)
  t.match(await audit(), [{ action: 'reevaluation.deleted', detail: { oid: PERSON_IDS.staff } }])
  t.match(await query('select is_active, is_staff from users'), [{ is_active: true, is_staff: true }], 'the user stays')
})

t.test('throttling', async (t) => {
  t.test('those who are throttled are asked about again when Graph says, the others not', async (t) => {
    const { gateway, signIn, status, age, pass } = await scene(t)
    const [sam, gus] = [await signIn('staff'), await signIn('guest')]
    for (const user of gateway.entra.directory.users.values()) user.accountEnabled = false
    await age(2 * HOUR)
    gateway.entra.faults.add({
      on: 'graph',
      path: `/users/${PERSON_IDS.guest}?`,
      then: { kind: 'throttle', retryAfter: '1' },
    })
    gateway.entra.requests.splice(0)
    await pass()
    t.strictSame([await status(sam), await status(gus)], [401, 401])
    const batches = gateway.entra.requests.filter(({ path }) => path.endsWith('$batch'))
    t.equal(batches.length, 2)
    t.ok((batches[1]?.at ?? 0) - (batches[0]?.at ?? 0) >= 1_000, 'not before the second is over')
    t.equal(
      gateway.entra.requests.filter(({ path }) => path.includes(PERSON_IDS.staff)).length,
      2,
      'account and groups, once each',
    )
  })

  // proves: sync-pause
  t.test('a pause that is too long to wait for is kept, and costs only those it is about', async (t) => {
    const { gateway, signIn, status, age, pass } = await scene(t)
    const [sam, gus] = [await signIn('staff'), await signIn('guest')]
    for (const user of gateway.entra.directory.users.values()) user.accountEnabled = false
    await age(2 * HOUR)
    gateway.entra.faults.add({
      on: 'graph',
      path: `/users/${PERSON_IDS.guest}?`,
      then: { kind: 'throttle', retryAfter: '300' },
    })
    await pass()
    t.strictSame([await status(sam), await status(gus)], [401, 200])
    await age(2 * HOUR)
    gateway.entra.requests.splice(0)
    await pass()
    t.same(
      gateway.entra.requests.filter(({ server }) => server === 'graph'),
      [],
      'nothing is asked before the pause is over',
    )
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
t.test('everybody is asked about once in an interval, spread over it', async (t) => {
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
  t.ok(Date.now() - latest.getTime() < 10_000, `the oldest reading is ${Date.now() - latest.getTime()} ms old`)
  await sleep(10_000)
  const asked = new Map<string, number>()
  const turns = new Set<number>()
  for (const { path, at } of gateway.entra.requests.filter(({ path }) => path.includes('transitiveMemberOf'))) {
    asked.set(path, (asked.get(path) ?? 0) + 1)
    turns.add(Math.floor(at / 500))
  }
  t.equal(asked.size, 40)
  t.comment(
    `40 people in ten seconds: ${
      [...asked.values()].reduce((sum, each) => sum + each, 0)
    } times asked, in ${turns.size} of 20 half seconds`,
  )
  t.ok(Math.max(...asked.values()) <= 2)
  t.ok(turns.size >= 8, 'not all at once')
})

// proves: sync-older-reading
t.test('a sign-in during a reading is newer than the reading', async (t) => {
  const { gateway, query, signIn, header, age } = await scene(t)
  const gus = await signIn('guest')
  gateway.entra.directory.removeMember(GROUP_IDS.readOnly, PERSON_IDS.guest)
  await age(2 * HOUR)
  gateway.entra.faults.add({
    on: 'graph',
    path: `${PERSON_IDS.guest}/transitiveMemberOf`,
    then: [{ kind: 'slow', ms: 1_000 }, { kind: 'status', status: 200, body: { value: [] } }],
  })
  const passing = gateway.gateway.reevaluation?.run()
  while (gateway.entra.faults.waiting().length > 0) await sleep(10)
  gateway.entra.directory.addMember(GROUP_IDS.readOnly, PERSON_IDS.guest)
  gateway.entra.directory.addMember(GROUP_IDS.circuitManagers, PERSON_IDS.guest)
  await gateway.signIn(PERSON_IDS.guest, { browser: gus })
  await passing
  t.equal(await header(gus, 'remote-groups'), 'Circuit Manager,Read Only')
  t.match(await query('select cardinality(group_ids) as groups from entra_readings'), [{ groups: 2 }])
})
