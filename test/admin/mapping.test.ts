// The mapping and the rules as administrators see them, on a real database: what is counted, what is missing, and pages
// of any length.
import t, { type Test } from 'tap'
import { createAccessAdmin } from '../../src/admin/access.js'
import { createCounted } from '../../src/admin/counted.js'
import { createExplainAdmin } from '../../src/admin/explain.js'
import { createLiveReader, limitLiveReads } from '../../src/admin/live-reads.js'
import { createMappingAdmin, type MappingQuery } from '../../src/admin/mapping.js'
import { ruleKeys } from '../../src/core/activity.js'
import type { AccessRule } from '../../src/core/access.js'
import { GatehouseError } from '../../src/core/errors.js'
import type { MappingRow } from '../../src/core/mapping.js'
import type { LiveDirectory, PolicyFinding } from '../../src/core/policy.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { createPeopleStore } from '../../src/store/people.js'
import { createEntraGroupCounts, createLocalGroups, createPolicyUsers } from '../../src/store/policy-reads.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }
const id = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
const row = (number: number, parts: Partial<MappingRow> = {}): MappingRow => ({
  entraGroup: id(number),
  groups: [],
  staff: false,
  superuser: false,
  ...parts,
})

async function scene(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const addUser = async (username: string, groups: readonly string[], isActive = true): Promise<string> => {
    const [user] = await query<{ id: string }>(
      'insert into users (username, username_key, is_active) values ($1, $1, $2) returning id',
      [username, isActive],
    )
    await query('insert into entra_readings (user_id, group_ids, read_at) values ($1, $2, now())', [user?.id, groups])
    return user?.id ?? ''
  }
  return {
    query,
    database,
    addUser,
    localGroups: createLocalGroups(database),
    users: createPolicyUsers(database, createPeopleStore(database, TIMEOUTS)),
    counts: createEntraGroupCounts(database, { batch: 2 }),
  }
}

t.test('rows, with who is in their groups and what is wrong with them', async (t) => {
  const { query, addUser, localGroups, counts } = await scene(t)
  await query("insert into groups (name) values ('Circuits'), ('Racks')")
  for (const name of ['a', 'b', 'c', 'd']) await addUser(name, [id(1), id(9)])
  await addUser('e', [id(1), id(8), id(9)])
  await addUser('gone', [id(1), id(2), id(9)], false)
  const groupMapping = [
    row(1, { label: 'Network team', groups: ['Circuits', 'Racks'] }),
    row(2, { groups: ['Circuits'], superuser: true }),
    row(3, { entraGroup: id(3).toUpperCase(), groups: ['Gone'] }),
  ]
  const admin = createMappingAdmin({ policy: () => ({ groupMapping }), localGroups, counts, waitMs: 30_000 })
  const numbers = async (query: MappingQuery) => (await admin.rows(query)).rows.map((each) => each.row)

  await t.test('each row has the number of active users in its Entra group', async (t) => {
    const { rows, next, countedAt } = await admin.rows({})
    t.equal(next, undefined)
    t.ok(countedAt)
    t.strictSame(rows.map(({ users }) => users), [5, 0, 0], 'in several pages of snapshots, without inactive users')
    t.match(rows[0], {
      row: 1,
      label: 'Network team',
      groups: [{ name: 'Circuits', exists: true, otherRows: [2] }, { name: 'Racks', exists: true, otherRows: [] }],
    })
    t.match(rows[2], { groups: [{ name: 'Gone', exists: false }], entraGroup: id(3) })
  })
  await t.test('filters find rows without users, with missing local groups, and with shared ones', async (t) => {
    t.strictSame(await numbers({ only: 'unused' }), [2, 3])
    t.strictSame(await numbers({ only: 'missing' }), [3])
    t.strictSame(await numbers({ only: 'twice' }), [1, 2])
    t.strictSame(await numbers({ q: 'NETWORK' }), [1])
    t.strictSame(await numbers({ q: id(3) }), [3])
    t.strictSame(await numbers({ q: 'circ', only: 'unused' }), [2])
  })
  await t.test('the overview names what to repair', async (t) => {
    t.strictSame(await admin.overview(), { rows: 3, unused: 2, missing: ['Gone'], twice: ['Circuits'] })
    await query("insert into groups (name) values ('Gone')")
    t.strictSame((await admin.overview()).missing, [], 'a group that was added is known immediately')
  })
  await t.test('the largest groups without a row come first, without those of inactive users', async (t) => {
    const { value } = await admin.unmapped() ?? {}
    t.strictSame(value, {
      snapshots: 5,
      groups: [{ entraGroup: id(9), users: 5 }, { entraGroup: id(8), users: 1 }],
    })
  })
})

t.test('ten thousand rows are paged, and a page is quick', async (t) => {
  const { addUser, localGroups, counts } = await scene(t)
  await addUser('a', [id(9_999)])
  const groupMapping = Array.from(
    { length: 10_000 },
    (_, index) => row(index + 1, { groups: [`Group ${index % 500}`] }),
  )
  const admin = createMappingAdmin({ policy: () => ({ groupMapping }), localGroups, counts, waitMs: 30_000 })
  await admin.rows({})
  const seen: number[] = []
  for (let after: number | undefined = 0; after !== undefined;) {
    const page: Awaited<ReturnType<typeof admin.rows>> = await admin.rows({ after, limit: 1_000 })
    seen.push(...page.rows.map((each) => each.row))
    after = page.next
  }
  t.strictSame(seen, groupMapping.map((_, index) => index + 1))
  const before = performance.now()
  const { rows } = await admin.rows({ after: 9_950 })
  await admin.overview()
  t.ok(performance.now() - before < 2_000, 'measured by the benchmark; here only that it does not count again')
  t.equal(rows.find((each) => each.row === 9_999)?.users, 1)
})

t.test('of very many users a part is read for the largest groups', async (t) => {
  const { query, database } = await scene(t)
  await query(`insert into users (username, username_key) select 'u' || n, 'u' || n from generate_series(1, 3000) n`)
  await query(`insert into entra_readings select id, array['${id(1)}']::uuid[], now() from users`)
  const { snapshots, groups } = await createEntraGroupCounts(database, { sample: 300 }).largestBeside([], 20)
  t.ok(snapshots <= 600, `${snapshots} snapshots`)
  t.ok(groups.every(({ users }) => users <= snapshots))
  const all = await createEntraGroupCounts(database).largestBeside([], 20)
  t.strictSame(all, { snapshots: 3_000, groups: [{ entraGroup: id(1), users: 3_000 }] })
})

t.test('what takes long is counted once at a time, kept, and never waited for', async (t) => {
  let now = 0
  let counts = 0
  let finish = (_value: number): void => {}
  const counted = createCounted({
    count: () =>
      new Promise<number>((resolve) => {
        counts++
        finish = resolve
      }),
    maxAgeMs: 1_000,
    waitMs: 5,
    now: () => now,
  })
  t.strictSame(await Promise.all([counted(), counted()]), [undefined, undefined])
  t.equal(counts, 1)
  now = 100 // it took a tenth of a second: the next one may begin two seconds later
  finish(7)
  await new Promise((resolve) => setImmediate(resolve))
  t.match(await counted(), { value: 7, at: new Date(100) })
  now = 2_000
  await counted()
  t.equal(counts, 1)
  now = 2_101
  t.match(await counted(), { value: 7 }, 'the last value while it is counted again')
  t.equal(counts, 2)
})

t.test('a count that fails is an error for who waits, and is tried again', async (t) => {
  let counts = 0
  const counted = createCounted({
    count: async () => {
      counts++
      if (counts === 1) throw new GatehouseError('database_unavailable')
      return counts
    },
    maxAgeMs: 1_000,
    waitMs: 30_000,
  })
  await t.rejects(counted(), { code: 'database_unavailable' })
  t.match(await counted(), { value: 2 })
})

const rule = (host: string, parts: Partial<AccessRule> = {}): AccessRule => ({
  hosts: [host],
  networks: undefined,
  methods: undefined,
  paths: undefined,
  allow: 'authenticated',
  ...parts,
})

t.test('access rules in order, with findings and hits', async (t) => {
  const rules = [rule('a.test', { methods: ['GET'] }), rule('b.test', { allow: 'anyone' }), rule('a.test')]
  const access = { default: 'deny' as const, rules }
  const findings: readonly PolicyFinding[] = [
    { path: 'access.rules[2].paths[0]', code: 'rule_without_folder', message: 'm', remedy: 'r' },
    { path: 'access.rules[20]', code: 'other', message: 'm', remedy: undefined },
    { path: 'access.default', code: 'default_opens_hosts', message: 'm', remedy: 'r' },
  ]
  const [first = ''] = ruleKeys(rules)
  const lastHit = new Date('2026-11-20T10:00:00Z')
  const none = { day: 0, week: 0, month: 0 }
  const more = { refused: none, letIn: none, countedForMonth: true }
  const hits = [
    { key: first, day: 1, week: 2, month: 3, lastHit, ...more },
    { key: 'default', day: 4, week: 5, month: 6, lastHit, ...more },
    { key: 'of a former rule', day: 9, week: 9, month: 9, lastHit, ...more },
  ]
  const ports = { policy: () => ({ access }), findings: async () => findings }
  let reads = 0
  const admin = createAccessAdmin({
    ...ports,
    positionOf: (path) => path === 'access.rules[0]' ? { line: 7, column: 5 } : undefined,
    activity: {
      async ruleHits() {
        reads++
        return hits
      },
    },
  })
  const { rows } = await admin.rules({})
  t.strictSame(rows.map((each) => each.rule), ['access.rules[0]', 'access.rules[1]', 'access.rules[2]'])
  t.match(rows[0], { position: { line: 7 }, findings: [], hits: { day: 1, week: 2, month: 3, lastHit } })
  t.match(rows[1], { allows: 'everybody', hits: { day: 0, month: 0, lastHit: undefined } })
  t.strictSame(rows[2]?.findings.map(({ code }) => code), ['rule_without_folder'])
  t.match(await admin.byDefault(), { rule: 'access.default', allow: 'deny', hits: { day: 4 }, findings: [{}] })
  const found = async (query: Parameters<typeof admin.rules>[0]) =>
    (await admin.rules(query)).rows.map((each) => each.rule)
  t.strictSame(await found({ only: 'findings' }), ['access.rules[2]'])
  t.strictSame(await found({ only: 'idle' }), ['access.rules[1]', 'access.rules[2]'])
  t.strictSame(await found({ q: 'B.TEST' }), ['access.rules[1]'])
  t.strictSame(await found({ after: 1, limit: 1 }), ['access.rules[1]'])
  t.equal(reads, 1, 'a month of counts is read once, and kept for some seconds')
  const uncounted = createAccessAdmin(ports)
  t.equal((await uncounted.rules({})).rows[0]?.hits, undefined)
  t.strictSame((await uncounted.rules({ only: 'idle' })).rows, [], 'without counters nothing is called idle')
})

// proves: policy-dead-rule
t.test('a rule is dead where it has been counted for 30 days, and its hits are not among the others', async (t) => {
  const rules = [rule('a.test'), rule('b.test'), rule('c.test', { name: 'Wiki', enforce: false })]
  const [dead = '', young = '', shadow = ''] = ruleKeys(rules)
  const none = { day: 0, week: 0, month: 0 }
  const counted = { ...none, lastHit: undefined, refused: none, letIn: none, countedForMonth: true }
  const refused = { day: 1, week: 2, month: 3 }
  const hits = [
    { key: dead, ...counted },
    { key: young, ...counted, countedForMonth: false },
    { key: shadow, ...counted, month: 5, refused },
  ]
  const rowsWith = async (more: typeof hits) => {
    const admin = createAccessAdmin({
      policy: () => ({ access: { default: 'deny', rules } }),
      findings: async () => [],
      activity: { ruleHits: async () => [...hits, ...more] },
    })
    return {
      rows: (await admin.rules({})).rows,
      shadows: (await admin.rules({ only: 'shadow', q: 'wiki' })).rows.map((each) => each.rule),
    }
  }
  const { rows, shadows } = await rowsWith([])
  t.strictSame(rows.map((each) => [each.name, each.enforced, each.dead, each.wouldHave]), [
    [null, true, true, undefined],
    [null, true, false, undefined],
    ['Wiki', false, false, { refused, letIn: none }],
  ])
  t.strictSame(shadows, ['access.rules[2]'])
  const others = await rowsWith([{ key: 'other', ...counted, month: 1 }])
  t.strictSame(others.rows.map((each) => each.dead), [false, false, false])
})

t.test('what a sign-in would give', async (t) => {
  const { query, addUser, localGroups, users } = await scene(t)
  await query("insert into groups (name) values ('Circuits'), ('Racks')")
  const max = await addUser('max', [id(1), id(5)])
  await query(`insert into identities (tid, oid, user_id) values ('${id(70)}', '${id(71)}', '${max}')`)
  await query(`insert into user_groups (user_id, group_id) select '${max}', id from groups where name = 'Racks'`)
  const groupMapping = [row(1, { groups: ['Circuits', 'Gone'], staff: true }), row(2, { groups: ['Racks'] })]
  const asked: string[] = []
  const directory: LiveDirectory = {
    objectId: async () => id(71),
    memberships: async (oid) => {
      asked.push(oid)
      return [id(2), id(6)]
    },
    directMemberships: async () => [id(2)],
    group: async () => ({ displayName: 'Rack people' }),
  }
  const ports = { policy: () => ({ groupMapping, requireMappedGroup: true }), users, localGroups }
  const explain = createExplainAdmin({ ...ports, readLive: createLiveReader(directory) })

  await t.test('from the last snapshot', async (t) => {
    t.match(await explain.explain(max, { live: false }), {
      live: false,
      entraGroups: 2,
      nestedOnly: undefined,
      groups: ['Circuits'],
      missing: ['Gone'],
      staff: true,
      refused: false,
      rows: [{ row: 1, entraGroup: id(1) }],
      rowsNotHit: [{ row: 2 }],
      change: { gained: ['Circuits'], lost: ['Racks'], staff: 1, superuser: 0 },
    })
    t.strictSame(asked, [], 'Graph is not asked')
  })
  await t.test('live, with direct and nested memberships, by object ID', async (t) => {
    const now = await explain.explain(max, { live: true })
    t.match(now, { live: true, entraGroups: 2, nestedOnly: 1, groups: ['Racks'], change: { gained: [], lost: [] } })
    t.match(now?.memberships[0], { entraGroup: id(2), name: 'Rack people', nestedOnly: false })
    t.strictSame(asked, [id(71)])
  })
  await t.test('a user whom the mapping grants nothing would be refused', async (t) => {
    const nina = await addUser('nina', [id(9)])
    t.match(await explain.explain(nina, { live: false }), { refused: true, groups: [] })
  })
  await t.test('there may be no such user, and no snapshot', async (t) => {
    t.equal(await explain.explain(id(99), { live: false }), undefined)
    t.equal(await explain.explain('nonsense', { live: false }), undefined)
    await query(`delete from entra_readings where user_id = '${max}'`)
    await t.rejects(explain.explain(max, { live: false }), { code: 'snapshot_missing' })
  })
})

// proves: admin-live-limited
t.test('Graph is read for one user at a time, and for few in a minute', async (t) => {
  let now = 0
  let finish = (): void => {}
  const read = {
    oid: id(1),
    memberships: [],
    direct: new Set<string>(),
    names: new Map<string, string>(),
  }
  const limited = limitLiveReads(async (user) => {
    if (user === 'slow') await new Promise<void>((resolve) => (finish = resolve))
    if (user === 'failing') throw new GatehouseError('graph_unavailable')
    return read
  }, { perMinute: 3, now: () => now })
  const slow = limited('slow', [])
  await t.rejects(limited('other', []), { code: 'rate_limited' })
  finish()
  await slow
  await t.rejects(limited('failing', []), { code: 'graph_unavailable' })
  t.equal(await limited('a', []), read, 'a failed one is over')
  await t.rejects(limited('b', []), { code: 'rate_limited' })
  now = 60_000
  t.equal(await limited('b', []), read)
})
