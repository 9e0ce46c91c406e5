// The use cases of users, groups and sessions on a real database: reasons, uses, and what is recorded.
import t, { type Test } from 'tap'
import type { AccessRule } from '../../src/core/access.js'
import type { MappingRow } from '../../src/core/mapping.js'
import { createPeopleUseCases } from '../../src/people-use-cases.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { createGroupAdmin } from '../helpers/acts.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, withoutTriggers } from '../helpers/sql.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }
const NETWORK = 'aaaaaaaa-0000-4000-8000-000000000001'
const CIRCUITS = 'aaaaaaaa-0000-4000-8000-000000000002'
const OTHER = 'aaaaaaaa-0000-4000-8000-000000000003'
const VIEWER = {
  userId: 'bbbbbbbb-0000-4000-8000-000000000001',
  sessionId: 'ses_a',
  address: '192.0.2.1',
  correlationId: 'c1',
}

const row = (entraGroup: string, groups: string[], rest: Partial<MappingRow> = {}): MappingRow => ({
  entraGroup,
  groups,
  staff: false,
  superuser: false,
  ...rest,
})
const rule = (groups: string[], permissions: string[] = []): AccessRule => ({
  hosts: ['app.test'],
  networks: undefined,
  methods: undefined,
  paths: undefined,
  allow: { groups, permissions, staff: undefined, superuser: undefined },
})

/** Max was signed in under a mapping in which the row of the circuits was the third one. */
const MAPPING = [
  row(NETWORK.toUpperCase(), ['Network'], { label: 'Network team', staff: true }),
  row(CIRCUITS, ['Circuits', 'Gone'], { superuser: true }),
]
const RULES = [rule(['Network', 'Never made']), rule([], ['circuits.change'])]

async function scene(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const cause = (at: number, entraGroup: string) => `'[{"row":${at},"entraGroup":"${entraGroup}"}]'`
  for (
    const statement of [
      `insert into groups (name, description) values ('Network', 'The team'), ('Circuits', ''), ('By hand', ''),
        ('Idle', '')`,
      `insert into group_permissions select id, 'circuits.change' from groups where name = 'Circuits'`,
      `insert into group_permissions select id, 'gatehouse.sessions' from groups where name = 'By hand'`,
      `insert into users (username, username_key, name, is_staff, staff_cause, is_superuser, superuser_since) values
        ('max', 'max', 'Max', true, ${
        cause(1, NETWORK)
      }, false, null), ('root', 'root', null, false, null, true, now())`,
      `insert into identities (tid, oid, user_id, upn, upn_key, upn_seen_at)
        select gen_random_uuid(), gen_random_uuid(), id, 'max', 'max', now() from users where username = 'max'`,
      `insert into user_groups (user_id, group_id, cause) select u.id, g.id, case g.name
        when 'Network' then ${cause(2, NETWORK)}::jsonb || ${cause(9, NETWORK)}::jsonb when 'Circuits' then ${
        cause(3, OTHER)
      }::jsonb end
        from users u, groups g where u.username = 'max' and g.name in ('Network', 'Circuits', 'By hand')`,
      `insert into entra_readings (user_id, group_ids, read_at) select id, '{${NETWORK},${CIRCUITS}}', now() from users
        where username = 'max'`,
      `insert into sessions (id_hash, public_id, user_id) select sha256('s'), 'ses_max', id from users
        where username = 'max'`,
    ]
  ) await query(statement)
  const useCases = createPeopleUseCases({
    database,
    timeouts: TIMEOUTS,
    policy: () => ({ mapping: MAPPING, rules: RULES }),
  })
  const idOf = async (username: string) => (await useCases.people.find(username)).id
  return { query, database, idOf, ...useCases }
}

t.test('every right has its row, its Entra group and its beginning', async (t) => {
  const { people, idOf } = await scene(t)
  const max = await people.get(await idOf('max'), VIEWER)
  const rights = max.rights.map(({ since: _since, ...right }) => right)
  const held = { permissions: [], until: null, byHand: false, endsAtNextSignIn: false, review: null }
  const network = { row: 1, entraGroup: NETWORK, label: 'Network team', inForce: true }
  t.strictSame(rights, [
    { ...held, kind: 'staff', name: 'staff', reasons: [network] },
    {
      ...held,
      kind: 'group',
      name: 'By hand',
      permissions: ['gatehouse.sessions'],
      reasons: [],
      byHand: true,
      endsAtNextSignIn: true,
    },
    {
      ...held,
      kind: 'group',
      name: 'Circuits',
      permissions: ['circuits.change'],
      reasons: [{ row: 3, entraGroup: OTHER, label: null, inForce: false }],
    },
    { ...held, kind: 'group', name: 'Network', reasons: [network] },
  ], 'a row that moved is the row of the mapping in force')
  const circuits = [{ row: 2, entraGroup: CIRCUITS, label: null, inForce: true }]
  t.strictSame(max.notHeld, [
    { kind: 'superuser', name: 'superuser', missing: false, reasons: circuits },
    { kind: 'group', name: 'Gone', missing: true, reasons: circuits },
  ])
  t.strictSame(max.sessions.map(({ id }) => id), ['ses_max'])
  t.equal(max.entraGroups, 2)

  const root = await people.get(await idOf('root'), VIEWER)
  t.match(root.rights, [{ kind: 'superuser', byHand: true, endsAtNextSignIn: false }], 'no Entra identity')
  t.strictSame(root.notHeld, [])
  await t.rejects(people.get('aaaaaaaa-0000-4000-8000-00000000000f', VIEWER), { code: 'user_unknown' })
  await t.rejects(people.get('max', VIEWER), { code: 'user_unknown' })
})

// proves: admin-view-recorded
t.test('looking at a user is recorded once a minute and actor, and refused where it cannot be', async (t) => {
  const { people, query, idOf } = await scene(t)
  const viewed = () =>
    query(`select actor, username, correlation_id, detail from audit_events where action = 'admin.person.viewed'
      order by id`)
  const max = await idOf('max')
  await Promise.all([1, 2, 3, 4].map(() => people.get(max, VIEWER)))
  const record = {
    actor: `admin:${VIEWER.userId}`,
    username: 'max',
    correlation_id: 'c1',
    detail: { session: 'ses_a', address: '192.0.2.1' },
  }
  t.strictSame(await viewed(), [record])
  const { audit } = await people.get(max, VIEWER)
  t.match(audit, [{ action: 'admin.person.viewed', actor: record.actor }])
  await people.get(await idOf('root'), VIEWER)
  await people.get(max, { ...VIEWER, userId: OTHER })
  t.equal((await viewed()).length, 3, 'of another user, and by another actor')
  await query(withoutTriggers("update audit_events set at = now() - interval '61 seconds'"))
  await people.get(max, VIEWER)
  t.equal((await viewed()).length, 4)
  await query(withoutTriggers("update audit_events set at = now() - interval '61 seconds'"))
  await query('alter table audit_events add constraint full_disk check (id < 0) not valid')
  await t.rejects(people.get(max, VIEWER))
})

t.test('a group shows what grants it and what uses it; names without a group are found', async (t) => {
  const { groups } = await scene(t)
  const { rows } = await groups.list({})
  const facts = (
    { name, members, rows: at, rules, isEmpty, isUnused, exists }: (typeof rows)[number],
  ) => [name, members, at, rules, isEmpty, isUnused, exists]
  t.strictSame(rows.map(facts), [
    ['By hand', 1, [], [], false, false, true],
    ['Circuits', 1, [2], ['access.rules[1]'], false, false, true],
    ['Idle', 0, [], [], true, true, true],
    ['Network', 1, [1], ['access.rules[0]'], false, false, true],
  ])
  const names = async (request: Parameters<typeof groups.list>[0]) =>
    (await groups.list(request)).rows.map(({ name }) => name)
  t.strictSame(await names({ q: 'TEAM' }), ['Network'], 'its description')
  t.strictSame(await names({ empty: true }), ['Idle'])
  t.strictSame(await names({ unused: true }), ['Idle'])
  t.strictSame(await names({ missing: true }), ['Gone', 'Never made'])
  t.strictSame(await names({ missing: true, q: 'never' }), ['Never made'])
  const first = await groups.list({ missing: true, limit: 1 })
  t.strictSame([first.rows[0]?.name, await names({ missing: true, after: first.next })], ['Gone', ['Never made']])
  t.strictSame(await names({ after: 'Circuits', limit: 1 }), ['Idle'])

  const circuits = await groups.get('Circuits')
  t.match(circuits, {
    permissionDetails: [{ permission: 'circuits.change', meaning: null }],
    rowDetails: [{ row: 2, entraGroup: CIRCUITS, label: null }],
    ruleDetails: [{ rule: 'access.rules[1]', permission: 'circuits.change' }],
  })
  t.match((await groups.get('By hand')).permissionDetails, [{ meaning: 'end sessions and deactivate users' }])
  t.match(await groups.get('Never made'), { exists: false, rows: [], rules: ['access.rules[0]'] })
  await t.rejects(groups.get('nobody names this'), { code: 'group_unknown' })
  t.match((await groups.members('Network', {})).rows, [{ username: 'max', cause: [{ row: 2 }] }])
  t.strictSame((await groups.members('Gone', {})).rows, [])
})

t.test('a session is found by any name of its user, and a NUL character by nothing', async (t) => {
  const { people, groups, sessions, idOf } = await scene(t)
  for (const person of ['max', 'MAX', await idOf('max')]) {
    t.match((await sessions.list({ person })).rows, [{ id: 'ses_max', username: 'max' }], person)
  }
  t.strictSame((await sessions.list({ person: 'root' })).rows, [])
  t.strictSame((await sessions.list({ olderThanHours: 1 })).rows, [])
  await t.rejects(sessions.list({ person: 'nobody' }), { code: 'user_unknown' })
  for (
    const refused of [
      () => people.list({ q: 'a\0' }),
      () => people.listDetailed({ group: 'a\0' }),
      () => people.find('\0'),
      () => groups.list({ q: '\0' }),
      () => groups.get('\0'),
      () => groups.members('\0', {}),
      () => sessions.list({ host: '\0' }),
    ]
  ) await t.rejects(refused() as Promise<unknown>, { code: 'request_malformed' })
})

// proves: admin-reserved-words
t.test('a permission with the reserved prefix must be one of the console', async (t) => {
  const { database } = await scene(t)
  const admin = createGroupAdmin(database)
  for (const word of ['gatehouse.everything', 'Gatehouse.read', 'gatehouse.read.more', 'GATEHOUSE.x']) {
    await t.rejects(admin.grant('Network', word, 'test'), { code: 'permission_invalid' }, word)
    await t.rejects(admin.apply([{ name: 'New', permissions: [word] }], { actor: 'test', dryRun: true }), {
      code: 'permission_invalid',
    })
  }
  t.equal(await admin.grant('Network', 'gatehouse.read', 'test'), true)
  t.equal(await admin.grant('Network', 'gatehouses.read', 'test'), true)
})
