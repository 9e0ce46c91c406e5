// Changes that Graph reports by delta queries take effect long before the users concerned are due by time; and a delta
// by itself changes nothing.
import t from 'tap'
import { GROUP_IDS, PERSON_IDS, seedDemoDirectory } from '../../src/demo/people.js'
import type { Fault } from '../../src/demo/entra/faults.js'
import { MAPPING, type TestGateway } from '../helpers/gateway.js'
import { HOUR, scene, type Scene } from '../helpers/reevaluation.js'
import { TARGET } from '../helpers/targets.js'

const { berlinTeam, networkEngineers, readOnly, netboxSuperusers } = GROUP_IDS
const CROWD = 2_500
const crowdId = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

/** Runs until all groups inside the mapped ones are followed. */
async function followed({ run }: Scene): Promise<void> {
  for (let rounds = 0; rounds < 4; rounds++) await run()
}

const change = (gateway: TestGateway, oid: string, changes: object) =>
  Object.assign(gateway.entra.directory.users.get(oid) ?? {}, changes)

/** Users whose accounts or groups were requested, in the order of the requests. */
const asked = (gateway: TestGateway) => [
  ...new Set(
    gateway.entra.requests.map(({ path }) => /^\/v1\.0\/users\/([0-9a-f-]{36})/.exec(path)?.[1]).filter((id) =>
      id !== undefined
    ),
  ),
]

t.test('a user who leaves a nested group is asked first and refused, while thousands of others are due', async (t) => {
  const place = await scene(t, {
    config: { requireMappedGroup: true, sync: { interval: '5m' } },
    seed(directory) {
      seedDemoDirectory(directory)
      for (let n = 0; n < CROWD; n++) {
        directory.addUser({
          id: crowdId(n),
          displayName: `Person ${n}`,
          userPrincipalName: `person${n}@contoso.example`,
          accountEnabled: true,
          userType: 'Member',
          signInSessionsValidFromDateTime: '2020-01-01T00:00:00Z',
        })
        directory.addMember(readOnly, crowdId(n))
      }
    },
  })
  const { gateway, query, signIn, status, run } = place
  const nora = await signIn('nested')
  await followed(place)
  await query(
    `with given as (select gen_random_uuid() as id, n from generate_series(0, $1 - 1) n),
    u as (insert into users (id, username, username_key) select id, 'crowd' || n, 'crowd' || n from given),
    i as (insert into identities (tid, oid, user_id)
      select $2::uuid, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, id from given),
    s as (insert into sessions (id_hash, public_id, user_id)
      select decode(md5(n::text), 'hex'), 'ses_' || n, id from given)
    insert into entra_readings (user_id, group_ids, read_at) select id, '{}', now() - interval '20 minutes' from given`,
    [CROWD, gateway.entra.tenantId],
  )
  gateway.entra.directory.removeMember(berlinTeam, PERSON_IDS.nested)
  gateway.entra.requests.splice(0)
  await run()
  t.equal(await status(nora), 401)
  t.ok(asked(gateway).indexOf(PERSON_IDS.nested) < 10, 'in the first batch')
  t.ok(asked(gateway).length > 2_000, `${asked(gateway).length} users were asked`)
})

t.test('disabled, revoked and deleted accounts lose their sessions without being due', async (t) => {
  const place = await scene(t)
  const { gateway, query, signIn, status, run, age, metric, audit } = place
  const [sam, gus, sue, nora] = [
    await signIn('staff'),
    await signIn('guest'),
    await signIn('superuser'),
    await signIn('nested'),
  ]
  await followed(place)
  await query("update sessions set token_issued_at = token_issued_at - interval '10 minutes'")
  change(gateway, PERSON_IDS.staff, { accountEnabled: false })
  change(gateway, PERSON_IDS.guest, {
    signInSessionsValidFromDateTime: new Date(Date.now() - 6 * 60_000).toISOString(),
  })
  gateway.entra.directory.removeUser(PERSON_IDS.superuser)
  await run()
  t.strictSame([await status(sam), await status(gus)], [401, 401])
  t.equal(await status(sue), 200, 'a single answer "no such account" ends nothing')
  await age(61_000)
  await query("update change_signals set signalled_at = signalled_at - interval '61 seconds'")
  await run()
  t.strictSame([await status(sue), await status(nora)], [401, 200])
  t.equal(await metric('gatehouse_sync_signals_total '), 3)
  t.ok(await metric('gatehouse_sync_delta_read_timestamp_seconds ') > 1e9)
  t.strictSame(
    (await audit()).map(({ action }) => action).sort(),
    ['reevaluation.deleted', 'reevaluation.disabled', 'reevaluation.revoked'],
  )
})

t.test('a group that joins a mapped group, and one that leaves, concern everyone in it', async (t) => {
  const place = await scene(t)
  const { gateway, signIn, header, run } = place
  const gus = await signIn('guest')
  await followed(place)
  gateway.entra.directory.addMember(netboxSuperusers, readOnly)
  await run()
  t.equal(await header(gus, 'x-auth-request-superuser'), 'true')
  gateway.entra.directory.removeMember(netboxSuperusers, readOnly)
  await run()
  t.equal(await header(gus, 'x-auth-request-superuser'), 'false')
})

t.test('a delta by itself grants, removes and ends nothing, whatever it claims', async (t) => {
  const place = await scene(t)
  const { gateway, query, signIn, status, header, run, audit } = place
  const [sam, gus] = [await signIn('staff'), await signIn('guest')]
  await followed(place)
  const rights = () =>
    query(`select u.username, u.is_active, u.is_staff, u.is_superuser, count(g.group_id)::int as groups
      from users u left join user_groups g on g.user_id = u.id group by u.id order by 1`)
  const before = await rights()
  const link = (kind: string) => `${gateway.entra.graphUrl}/v1.0/${kind}/delta?$deltatoken=x`
  const claim = (kind: 'users' | 'groups', value: readonly unknown[]) =>
    gateway.entra.faults.add({
      on: 'graph',
      path: `/${kind}/delta`,
      then: { kind: 'body', body: { '@odata.deltaLink': link(kind), value } },
    })
  claim('users', [
    { 'id': PERSON_IDS.staff, '@removed': { reason: 'deleted' } },
    { id: PERSON_IDS.guest, accountEnabled: false, signInSessionsValidFromDateTime: '2040-01-01T00:00:00Z' },
  ])
  claim('groups', [
    {
      'id': networkEngineers,
      'members@delta': [{
        '@odata.type': '#microsoft.graph.user',
        'id': PERSON_IDS.staff,
        '@removed': { reason: 'deleted' },
      }],
    },
    { 'id': netboxSuperusers, 'members@delta': [{ '@odata.type': '#microsoft.graph.user', 'id': PERSON_IDS.guest }] },
    { 'id': readOnly, '@removed': { reason: 'changed' } },
  ])
  gateway.entra.requests.splice(0)
  await run()
  t.ok([PERSON_IDS.staff, PERSON_IDS.guest].every((oid) => asked(gateway).includes(oid)), 'both are asked')
  t.strictSame([await status(sam), await status(gus)], [200, 200])
  t.equal(await header(gus, 'x-auth-request-superuser'), 'false')
  t.strictSame(await rights(), before)
  t.strictSame(await audit(), [])
})

// proves: delta-own-pause
t.test('without usable deltas everyone is still re-evaluated in time', async (t) => {
  const elsewhere = 'https://attacker.example/v1.0/users/delta?$deltatoken=x'
  const cases: Record<string, Fault> = {
    'a missing permission': { kind: 'status', status: 403, body: { error: { code: 'Authorization_RequestDenied' } } },
    'links that are gone': { kind: 'status', status: 410, body: { error: { code: 'resyncRequired' } } },
    'a pause of five minutes': { kind: 'throttle', retryAfter: '300' },
    'silence': { kind: 'body', body: { '@odata.deltaLink': 'LINK', 'value': [] } },
    'a link to elsewhere': { kind: 'body', body: { '@odata.nextLink': elsewhere, 'value': [] } },
    'half an answer': { kind: 'cut' },
    'a page of a proxy': { kind: 'html' },
  }
  for (const [title, fault] of Object.entries(cases)) {
    const place = await scene(t)
    const { gateway, signIn, status, age, run, readiness } = place
    const [sam, gus] = [await signIn('staff'), await signIn('guest')]
    await followed(place)
    const then = JSON.parse(
      JSON.stringify(fault).replace('LINK', `${gateway.entra.graphUrl}/v1.0/users/delta?x`),
    ) as Fault
    gateway.entra.faults.add({ on: 'graph', path: '/delta', times: Infinity, then })
    change(gateway, PERSON_IDS.staff, { accountEnabled: false })
    await age(2 * HOUR)
    await run()
    t.strictSame([await status(sam), await status(gus)], [401, 200], title)
    t.equal(await readiness(), 'this replica does it', title)
    await gateway.close()
  }
})

t.test('a failure of delta queries is reported once, with its remedy, and its end too', async (t) => {
  const place = await scene(t, { app: { applicationPermissions: ['User.Read.All'] } })
  const { gateway, run } = place
  await followed(place)
  const lines = () => gateway.log.filter(({ msg }) => String(msg).startsWith('delta query of mapped groups'))
  t.match(lines(), [{ code: 'graph_forbidden', remedy: /GroupMember\.Read\.All/ }])
  t.equal(lines().length, 1)
  gateway.entra.app.applicationPermissions.push('GroupMember.Read.All')
  gateway.entra.faults.add({
    on: 'graph',
    path: '$batch',
    then: { kind: 'status', status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } },
  })
  await gateway.signIn(PERSON_IDS.staff)
  await place.age(2 * HOUR)
  for (let rounds = 0; rounds < 40; rounds++) await run()
  t.strictSame(lines().map(({ msg }) => msg).slice(1), ['delta query of mapped groups works again'])
})

t.test('the next leader continues where the last one ended: a change between them is not lost', async (t) => {
  const place = await scene(t)
  const { gateway, signIn } = place
  const sam = await signIn('staff')
  await followed(place)
  await gateway.close()
  change(gateway, PERSON_IDS.staff, { accountEnabled: false })
  const next = await gateway.restart()
  await next.gateway.reevaluation?.run()
  await next.gateway.reevaluation?.run()
  t.equal((await next.ask('/oauth2/auth', { browser: sam, headers: TARGET })).status, 401)
})

t.test('another mapping in force follows other groups', async (t) => {
  const place = await scene(t, { config: { groupMapping: MAPPING.slice(0, 2) } })
  const { gateway, signIn, header, run } = place
  const nora = await signIn('nested')
  await followed(place)
  gateway.reload({ groupMapping: MAPPING })
  await followed(place)
  gateway.entra.directory.removeMember(berlinTeam, PERSON_IDS.nested)
  gateway.entra.directory.addMember(readOnly, PERSON_IDS.nested)
  await run()
  t.equal(await header(nora, 'remote-groups'), 'Read Only')
})
