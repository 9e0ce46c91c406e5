// Acts on local groups on a real database: own rights as the ceiling, one act at a time, all of a file or nothing.
import t, { type Test } from 'tap'
import { createActUseCases } from '../../src/act-use-cases.js'
import { groupVersion } from '../../src/admin/acts/group-policy.js'
import type { Acting } from '../../src/core/acts.js'
import { versionTag } from '../../src/core/version-tag.js'
import { openDatabase } from '../../src/store/database.js'
import { createGroupsList } from '../../src/store/groups-list.js'
import { migrate } from '../../src/store/migrate.js'
import { administrators, NAMES_NO_GROUP } from '../helpers/acts.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, dumpEverything, type Query } from '../helpers/sql.js'

const TIMEOUTS = { idleTimeoutMs: 3_600_000, absoluteTimeoutMs: 3_600_000, privilegedTimeoutMs: undefined }
const POLICY = {
  ...NAMES_NO_GROUP,
  mapping: [{ entraGroup: 'a', groups: ['Mapped', 'Engineers'], staff: false, superuser: false }],
  rules: [{
    hosts: ['wiki.test'],
    networks: undefined,
    methods: undefined,
    paths: undefined,
    allow: { groups: ['Writers'], permissions: ['wiki.edit'], staff: undefined, superuser: undefined },
  }],
  defaultGroups: ['Everybody'],
  separators: [{ name: 'X-Roles', separator: ';' }],
}
const ROOT: Acting = { actor: 'cli:root', admin: undefined }

/** Sue is a superuser; Pat has `gatehouse.policy` and `gatehouse.people`, and Gus has `gatehouse.keys`. */
async function scene(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 4 })
  t.teardown(() => database.close())
  await query(`insert into users (username, username_key, is_superuser)
    select name, name, name = 'sue' from unnest(array['sue', 'pat', 'gus']) as name`)
  await query(`insert into groups (name) values ('Policy'), ('Keys'), ('Engineers'), ('Writers'), ('Idle')`)
  await query(`insert into group_permissions select id, word from groups join (values
    ('Policy', 'gatehouse.policy'), ('Policy', 'gatehouse.people'), ('Keys', 'gatehouse.keys'),
    ('Idle', 'wiki.edit')) as given (name, word) using (name)`)
  await query(`insert into user_groups (user_id, group_id) select u.id, g.id from users u join groups g
    on (username, g.name) in (('pat', 'Policy'), ('gus', 'Keys'), ('gus', 'Engineers'), ('pat', 'Engineers'))`)
  const actingAs = await administrators(query)
  const { groups } = createActUseCases({
    database,
    timeouts: TIMEOUTS,
    encryptionSecrets: [],
    reservedUsernames: () => [],
    groupPolicy: () => POLICY,
  })
  const list = createGroupsList(database)
  return { query, groups, list, sue: await actingAs('sue'), pat: await actingAs('pat'), gus: await actingAs('gus') }
}

// proves: act-group-renamed-ceiling
t.test('a group with permissions that the administrator lacks gets no name that sign-ins give', async (t) => {
  const { query, groups, pat, sue } = await scene(t)
  const before = await dumpEverything(query)
  for (const name of ['Mapped', 'Everybody']) {
    await t.rejects(groups.change('Keys', { name, description: 'x' }, pat), { code: 'above_own_rights' }, name)
  }
  t.equal(await dumpEverything(query), before, 'nothing changes')
  t.match(await groups.change('Keys', { name: 'Key Holders' }, pat), { changed: true }, 'a name that nothing gives')
  t.match(await groups.change('Idle', { name: 'Mapped' }, pat), { changed: true }, 'permissions of applications alone')
  t.match(await groups.change('Policy', { name: 'Everybody' }, pat), { changed: true }, 'permissions of his own')
  await groups.change('Mapped', { name: 'Idle' }, pat)
  t.match(await groups.change('Key Holders', { name: 'Mapped' }, sue), { changed: true }, 'a superuser')
})

t.test('two renames to one name: one of them succeeds', async (t) => {
  const { query, groups, sue, pat } = await scene(t)
  const both = await Promise.allSettled([
    groups.change('Idle', { name: 'One' }, sue),
    groups.change('Writers', { name: 'One' }, pat),
  ])
  t.strictSame(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  t.match(both.find(({ status }) => status === 'rejected'), { reason: { code: 'group_exists' } })
  t.equal((await query("select 1 from groups where name = 'One'")).length, 1)
  t.equal((await query("select 1 from audit_events where action = 'group.rename'")).length, 1)
})

t.test('two administrators who have seen one version: the second one is refused', async (t) => {
  const { groups, list, sue, pat } = await scene(t)
  const seen = await list.byName('Idle')
  const ifMatch = versionTag(groupVersion(seen ?? { name: '', description: '', permissions: [] }))
  await groups.grant('Idle', 'wiki.read', { ...sue, ifMatch })
  await t.rejects(groups.remove('Idle', { force: false }, { ...pat, ifMatch }), { code: 'version_stale' })
  await t.rejects(groups.change('Idle', { description: 'x' }, { ...pat, ifMatch }), { code: 'version_stale' })
  await t.rejects(groups.revoke('Idle', 'wiki.edit', { ...pat, ifMatch }), { code: 'version_stale' })
  t.strictSame((await list.byName('Idle'))?.permissions, ['wiki.edit', 'wiki.read'])
})

// proves: act-group-grant-ceiling
t.test('permissions of the console are given only by administrators who hold them, and taken by all', async (t) => {
  const { query, groups, pat, gus } = await scene(t)
  await t.rejects(groups.grant('Idle', 'gatehouse.keys', pat), { code: 'above_own_rights' })
  await t.rejects(groups.grant('Idle', 'gatehouse.all', pat), { code: 'permission_invalid' })
  await t.rejects(groups.grant('Idle', 'wiki.read', gus), { code: 'not_allowed' })
  t.match(await groups.grant('Idle', 'gatehouse.people', pat), { changed: true }, 'he holds it')
  t.match(await groups.grant('Idle', 'gatehouse.people', pat), { changed: false })
  t.match(await groups.grant('Idle', 'gatehouse.read', pat), { changed: true }, 'every permission includes it')
  t.match(await groups.revoke('Keys', 'gatehouse.keys', pat), { changed: true })
  t.match(await groups.revoke('Keys', 'gatehouse.keys', pat), { changed: false })
  const rows = await query(`select action, actor, correlation_id, detail from audit_events
    where action like 'group.%' order by id`)
  const by = { session: 'ses_pat', address: '192.0.2.1' }
  const row = (action: string, group: string, value: string) => ({
    action,
    actor: pat.actor,
    correlation_id: 'c-1',
    detail: { group, value, reason: 'Lost.', by },
  })
  t.strictSame(rows, [
    row('group.permission.granted', 'Idle', 'gatehouse.people'),
    row('group.permission.granted', 'Idle', 'gatehouse.read'),
    row('group.permission.revoked', 'Keys', 'gatehouse.keys'),
  ], 'what changed nothing has no row')
})

async function givenToken(query: Query, owner: string): Promise<string> {
  await query(
    `insert into tokens (id, kind, name, owner_id, scopes, hash, created_by, expires_at)
    values ('tok_1', 'admin', 'n', $1, '{gatehouse.policy}', sha256('1'), 'test', now() + interval '1 day')`,
    [owner],
  )
  return 'tok_1'
}

// proves: act-group-named, act-group-forced-by-token
t.test('a group that the configuration names is removed by force alone', async (t) => {
  const { query, groups, pat } = await scene(t)
  const before = await dumpEverything(query)
  for (const name of ['Engineers', 'Writers']) {
    await t.rejects(groups.remove(name, { force: false }, pat), { code: 'group_mapped' }, name)
  }
  t.equal(await dumpEverything(query), before)
  const { admin: { userId, address } = { userId: '', address: '' } } = pat
  const token: Acting = { ...pat, admin: { userId, address, tokenId: await givenToken(query, userId) } }
  await t.rejects(groups.remove('Engineers', { force: true }, token), { code: 'not_by_token' })
  await t.rejects(groups.remove('Engineers', { force: false }, token), { code: 'group_mapped' })
  t.strictSame(await groups.remove('Engineers', { force: true }, pat), { removed: 'Engineers', members: 2 })
  t.strictSame(await groups.remove('Idle', { force: false }, pat), { removed: 'Idle', members: 0 })
  const rows = await query("select detail from audit_events where action = 'group.remove' order by id")
  t.match(rows, [
    { detail: { before: { name: 'Engineers', members: 2, permissions: [] }, after: null, reason: 'Lost.' } },
    { detail: { before: { name: 'Idle', permissions: ['wiki.edit'] }, after: null } },
  ])
  await t.rejects(groups.remove('engineers', { force: true }, pat), { code: 'group_unknown' })
})

// proves: act-groups-import-ceiling, act-groups-dry-run
t.test('a file is applied as a whole or not at all', async (t) => {
  const { query, groups, list, pat, sue } = await scene(t)
  const own = [{ name: 'Idle', description: 'Rest', permissions: ['wiki.read'] }, { name: 'New', permissions: ['a.b'] }]
  const above = [...own, { name: 'Writers', permissions: ['gatehouse.keys'] }]
  const before = await dumpEverything(query)
  for (const dryRun of [false, true]) {
    await t.rejects(groups.apply(above, { dryRun }, pat), { code: 'above_own_rights' })
  }
  const changes = [
    { name: 'Idle', change: 'description', value: 'Rest' },
    { name: 'Idle', change: 'permission granted', value: 'wiki.read' },
    { name: 'Idle', change: 'permission revoked', value: 'wiki.edit' },
    { name: 'New', change: 'added' },
    { name: 'New', change: 'permission granted', value: 'a.b' },
  ]
  t.strictSame(await groups.apply(own, { dryRun: true }, pat), { dryRun: true, changes })
  t.equal(await dumpEverything(query), before, 'nothing has changed')

  const ifMatch = versionTag((await list.all()).map(groupVersion))
  t.strictSame(await groups.apply(own, { dryRun: false }, { ...pat, ifMatch }), { dryRun: false, changes })
  const rows = await query(`select action, detail->>'value' as value from audit_events
    where action like 'group.%' order by id`)
  t.strictSame(rows, [
    { action: 'group.description', value: 'Rest' },
    { action: 'group.permission.granted', value: 'wiki.read' },
    { action: 'group.permission.revoked', value: 'wiki.edit' },
    { action: 'group.add', value: null },
    { action: 'group.permission.granted', value: 'a.b' },
  ])
  await t.rejects(groups.apply(above, { dryRun: false }, { ...sue, ifMatch }), { code: 'version_stale' })
  t.match(await groups.apply(above, { dryRun: false }, sue), {
    changes: [{ name: 'Writers', change: 'permission granted' }],
  })
  const listed = [{ name: 'Keys', permissions: ['gatehouse.keys'] }]
  t.match(await groups.apply(listed, { dryRun: false }, pat), { changes: [] }, 'what a group has already is not given')
})

// proves: act-group-separator
t.test('names and texts that could not be kept or sent are refused', async (t) => {
  const { query, groups } = await scene(t)
  const before = await dumpEverything(query)
  const invalid = { code: 'group_name_invalid' }
  await t.rejects(groups.add({ name: 'A;B' }, ROOT), invalid)
  await t.rejects(groups.change('Idle', { name: 'A;B' }, ROOT), invalid)
  await t.rejects(groups.apply([{ name: 'A;B' }], { dryRun: true }, ROOT), invalid)
  const malformed = { code: 'request_malformed' }
  await t.rejects(groups.add({ name: 'A', description: '\0' }, ROOT), malformed)
  await t.rejects(groups.change('Idle', { description: '\0' }, ROOT), malformed)
  await t.rejects(groups.revoke('Idle', '\0', ROOT), malformed)
  await t.rejects(groups.apply([{ name: 'A', description: '\0' }], { dryRun: true }, ROOT), malformed)
  await t.rejects(groups.add({ name: 'Idle' }, ROOT), { code: 'group_exists' })
  t.equal(await dumpEverything(query), before)
})
