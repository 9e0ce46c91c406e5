// The report of access reviews in the database: every right of everybody once, in order, at a cost that does not grow
// with the number of users; and which marks count, and for how long.
import t, { type Test } from 'tap'
import { allPages } from '../../src/core/page.js'
import { rightText, type HeldRight, type RightsCursor, type RightsFilter } from '../../src/core/reviews.js'
import { createFallenReviews } from '../../src/store/access-reviews.js'
import { createActTransaction } from '../../src/store/act-unit.js'
import { openDatabase } from '../../src/store/database.js'
import { createHousekeeping } from '../../src/store/housekeeping.js'
import { migrate } from '../../src/store/migrate.js'
import { createRightsHeld } from '../../src/store/rights-held.js'
import { sweep } from '../../src/store/sweep.js'
import { createGroupAdmin } from '../helpers/acts.js'
import { seedCrowd } from '../helpers/crowd.js'
import { explained, rowsRead, scansOf } from '../helpers/plans.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, type Query } from '../helpers/sql.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }
/** Changes that delete no review. */
const WITHOUT_TRIGGERS = 'set local session_replication_role = replica'
const REVIEWER = '00000000-0000-4000-8000-000000000001'

async function open(t: Test, users = 0) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  if (users > 0) await seedCrowd(query, users)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const act = createActTransaction(database, TIMEOUTS, [])
  const mark = async (personId: string, kind: HeldRight['kind'], group: string | null = null) =>
    await act(async ({ reviews }) => {
      await reviews.mark(personId, { kind, group }, { verdict: 'confirmed', reviewerId: REVIEWER, note: null })
    })
  return { query, database, rights: createRightsHeld(database), mark }
}

type Scene = Awaited<ReturnType<typeof open>>

async function listed({ rights }: Pick<Scene, 'rights'>, filter: RightsFilter, limit = 50): Promise<string[]> {
  const found: string[] = []
  for await (const rows of allPages((after: RightsCursor | undefined) => rights.list({ ...filter, after, limit }))) {
    found.push(...rows.map((right) => `${right.username} ${rightText(right)}`))
  }
  return found
}

/** The same, as one statement of its own says. */
async function expected(query: Query, where = 'true'): Promise<string[]> {
  const rows = await query<{ text: string }>(
    `select username || ' ' || text as text from (
      select u.*, 0 as place, '' as called, 'superuser' as text, 'superuser' as key from users u where is_superuser
      union all select u.*, 1, '', 'staff', 'staff' from users u where is_staff
      union all select u.*, 2, g.name, 'group:' || g.name, g.id::text
        from users u join user_groups m on m.user_id = u.id join groups g on g.id = m.group_id) x
      where ${where} order by username, place, called`,
  )
  return rows.map(({ text }) => text)
}

/** One of three rights is marked, one of twelve is doubted. */
async function markSome({ query, mark, rights }: Scene): Promise<void> {
  let n = 0
  for await (const rows of allPages((after: RightsCursor | undefined) => rights.list({ after, limit: 200 }))) {
    for (const { personId, kind, group } of rows) if (n++ % 3 === 0) await mark(personId, kind, group)
  }
  await query("update access_reviews set verdict = 'doubted' where hashtext(user_id::text || right_id) % 4 = 0")
}

const MARKED = '(id, key) in (select user_id, right_id from access_reviews)'
const DOUBTED = "(id, key) in (select user_id, right_id from access_reviews where verdict = 'doubted')"

// proves: list-rights-after
t.test('every right of everybody is on one page, in order, with every filter', async (t) => {
  const scene = await open(t, 400)
  const { query } = scene
  await query(`insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g
    where u.username in ('U0000100@corp.test', 'U0000007@corp.test') on conflict do nothing;
    update users set is_active = false where username like '%3@corp.test';
    delete from user_groups where user_id in (select id from users where username like '%5@corp.test')`)
  await markSome(scene)
  const filters: readonly (readonly [RightsFilter, string])[] = [
    [{}, 'true'],
    [{ kind: 'superuser' }, "key = 'superuser'"],
    [{ kind: 'staff' }, "key = 'staff'"],
    [{ kind: 'group' }, 'place = 2'],
    [{ group: 'Group 7' }, "called = 'Group 7'"],
    [{ group: 'Group 7', kind: 'staff' }, 'false'],
    [{ group: 'No such group' }, 'false'],
    [{ active: false }, 'not is_active'],
    [{ q: 'u00001' }, "username like 'U00001%'"],
    [{ reviewed: true }, MARKED],
    [{ reviewed: false }, `not ${MARKED}`],
    [{ verdict: 'doubted' }, DOUBTED],
    [{ verdict: 'confirmed', kind: 'group', active: true }, `${MARKED} and not ${DOUBTED} and place = 2 and is_active`],
    [{ verdict: 'doubted', reviewed: false }, 'false'],
  ]
  for (const [filter, where] of filters) {
    const wanted = await expected(query, where)
    for (const limit of [1, 7, 200]) {
      t.strictSame(await listed(scene, filter, limit), wanted, `${JSON.stringify(filter)} by ${limit}`)
    }
  }
  t.ok((await expected(query, DOUBTED)).length > 5)
})

t.test('a page reads what it shows, wherever it is, also where every right is marked', async (t) => {
  const { query, database } = await open(t, 20_000)
  await query(`insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g
    where g.name in ('Group 1', 'Group 2', 'Group 3') on conflict do nothing;
    insert into access_reviews (user_id, right_id, basis, verdict, reviewer_id)
      select user_id, group_id::text, 'x', 'confirmed', '${REVIEWER}' from user_groups;
    analyze`)
  const { database: watched, plans } = explained(database)
  const rights = createRightsHeld(watched)
  const cursor = { username: 'U0015000@corp.test', place: 2, group: 'Group 2' }
  for (const filter of [{}, { kind: 'superuser' }, { kind: 'staff' }, { active: true }] as const) {
    for (const after of [undefined, cursor]) {
      plans.length = 0
      const { rows } = await rights.list({ ...filter, after, limit: 50 })
      const read = rowsRead(scansOf(plans))
      t.ok(read <= 2_000 && rows.length > 0, `${JSON.stringify(filter)}: ${read} rows read for ${rows.length}`)
    }
  }
})

async function oneUser(t: Test) {
  const scene = await open(t)
  const { query, rights } = scene
  const [{ id = '' } = {}] = await query<{ id: string }>(`insert into users
    (username, username_key, is_staff, staff_since, staff_cause) values ('max', 'max', true, now(),
      '[{"row":1,"entraGroup":"e0000000-0000-4000-8000-000000000001"}]') returning id`)
  await query(`insert into groups (name) values ('Auditors'), ('Others');
    insert into user_groups (user_id, group_id, cause, until) select '${id}', id, case when name = 'Auditors' then
      '[{"row":1,"entraGroup":"e0000000-0000-4000-8000-000000000001"},
        {"row":2,"entraGroup":"e0000000-0000-4000-8000-000000000002"}]'::jsonb end,
      case when name = 'Others' then now() + interval '1 hour' end from groups`)
  const marks = async () => [...(await rights.reviewsOf(id)).keys()].sort()
  const rows = async () => (await query('select 1 from access_reviews')).length
  for (const group of ['Auditors', 'Others']) await scene.mark(id, 'group', group)
  await scene.mark(id, 'staff')
  return { ...scene, id, marks, rows }
}

const ALL = ['group:Auditors', 'group:Others', 'staff']

// proves: review-bound, review-since, review-reasons, review-end
t.test('a mark counts as long as its right is as it was', async (t) => {
  const { query, marks } = await oneUser(t)
  t.strictSame(await marks(), ALL)
  const kept = async (statement: string, what: string, left: readonly string[] = ALL) => {
    await query(`begin; ${WITHOUT_TRIGGERS}; ${statement}`)
    const [{ count = 0 } = {}] = await query<{ count: number }>('select count(*)::int as count from access_reviews')
    await query('commit')
    t.equal(count, 3, `${what}: nothing is deleted by it`)
    t.strictSame(await marks(), left, what)
  }
  await kept(
    `update user_groups set cause = '[{"row":9,"entraGroup":"e0000000-0000-4000-8000-000000000002"},
      {"row":7,"entraGroup":"E0000000-0000-4000-8000-000000000001"},
      {"row":8,"entraGroup":"e0000000-0000-4000-8000-000000000002"}]' where cause is not null`,
    'other rows of the mapping for the same Entra groups',
  )
  await kept("update groups set name = 'Auditors ' where name = 'Auditors'", 'another name of the group', [
    'group:Auditors ',
    'group:Others',
    'staff',
  ])
  await kept("update groups set name = 'Auditors' where name = 'Auditors '", 'and back')
  await kept('update users set is_active = false', 'a user who is inactive')
  await kept(
    `update user_groups set cause = '[{"row":1,"entraGroup":"e0000000-0000-4000-8000-000000000001"}]'
      where cause is not null`,
    'one Entra group less',
    ['group:Others', 'staff'],
  )
  await kept("update user_groups set until = until + interval '1 second' where cause is null", 'another end', ['staff'])
  await kept("update users set staff_since = staff_since + interval '1 microsecond'", 'lost and given again', [])
})

t.test('a mark of a right by hand is none of the same right by the mapping', async (t) => {
  const { query, marks } = await oneUser(t)
  await query("update user_groups set cause = '[]', until = null where cause is null")
  t.strictSame(await marks(), ['group:Auditors', 'staff'])
})

t.test('a right changes by a role that has no rights on the table of reviews', async (t) => {
  const { query, marks, rows } = await oneUser(t)
  const role = 'r_reviews_' + String(process.pid)
  await query(`create role ${role}; grant select, update, delete on users, user_groups to ${role}`)
  t.teardown(() => query(`drop owned by ${role}; drop role ${role}`))
  const change = async (statement: string) => await query(`begin; set local role ${role}; ${statement}; commit`)
  await t.rejects(change('delete from access_reviews'), { code: '42501' })
  await query('rollback')
  await change("update user_groups set cause = cause || '[]', until = until; update users set is_active = false")
  t.equal(await rows(), 3, 'nothing of a right has changed')
  await change("update user_groups set until = until + interval '1 second' where cause is null")
  t.strictSame(await marks(), ['group:Auditors', 'staff'])
  t.equal(await rows(), 2)
  await change('update users set is_staff = false; delete from user_groups')
  t.equal(await rows(), 0)
})

// proves: review-permissions
t.test('a mark falls by itself when its group gets or loses a permission', async (t) => {
  const { query, marks, rows } = await oneUser(t)
  await query("insert into group_permissions select id, 'wiki.view' from groups where name = 'Auditors'")
  t.strictSame(await marks(), ['group:Others', 'staff'], 'a statement of another program has granted one')
  t.equal(await rows(), 3)
})

// proves: review-permission-granted, review-permission-revoked
t.test('marks of a group fall for good with a permission that it gets or loses, and with the group', async (t) => {
  const { query, database, marks, mark, rows, id } = await oneUser(t)
  const groups = createGroupAdmin(database)
  const apply = async (permissions: readonly string[]) =>
    await groups.apply([{ name: 'Auditors', permissions }], { actor: 'test', dryRun: false })
  await apply(['wiki.view'])
  t.strictSame(await marks(), ['group:Others', 'staff'], 'a permission was granted')
  t.equal(await rows(), 2)
  await mark(id, 'group', 'Auditors')
  await apply(['wiki.view'])
  t.strictSame(await marks(), ALL, 'nothing has changed')
  await groups.remove('Others', 'test')
  t.strictSame(await marks(), ['group:Auditors', 'staff'], 'the group was removed')
  await createActTransaction(database, TIMEOUTS, [])(async ({ groups: unit }) => {
    const [{ id: group = '' } = {}] = await query<{ id: string }>("select id from groups where name = 'Auditors'")
    t.equal(await unit.revoke(group, 'wiki.view'), true)
  })
  t.strictSame(await marks(), ['staff'], 'a permission was revoked')
  await apply(['wiki.view'])
  t.strictSame(await marks(), ['staff'], 'and granted again')
})

// proves: review-fallen-deleted
t.test('marks that have fallen are deleted, some in each run, and the others stay', async (t) => {
  const { query, database, rows, marks } = await oneUser(t)
  const run = createFallenReviews(database, 2)
  for (const _ of [1, 2, 3]) await run()
  t.strictSame(await marks(), ALL)
  await query(`begin; ${WITHOUT_TRIGGERS};
    update user_groups set since = since - interval '1 hour' where cause is null; commit`)
  for (const _ of [1, 2, 3]) await run()
  t.equal(await rows(), 2)
  await query(`begin; ${WITHOUT_TRIGGERS}; delete from user_groups; update users set is_staff = false; commit`)
  for (const _ of [1, 2, 3]) await run()
  t.equal(await rows(), 0)
})

// proves: review-fallen-moves-on
t.test('a portion whose deletion fails does not keep the next one from being deleted', async (t) => {
  const { query, database, rows } = await oneUser(t)
  await query(`begin; ${WITHOUT_TRIGGERS}; delete from user_groups; update users set is_staff = false; commit;
    create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$`)
  const [{ first = '' } = {}] = await query<{ first: string }>(
    'select right_id as first from access_reviews order by user_id, right_id limit 1',
  )
  await query(`create trigger refuse before delete on access_reviews for each row when (old.right_id = '${first}')
    execute function refuse()`)
  const run = createFallenReviews(database, 1)
  await t.rejects(run())
  await run()
  t.equal(await rows(), 1)
})

// proves: review-steps-alone
t.test('a step of the housekeeping that fails does not keep the others from running', async (t) => {
  const { query, database, rows } = await oneUser(t)
  await query(`begin; ${WITHOUT_TRIGGERS}; delete from user_groups; update users set is_staff = false; commit;
    drop table long_returns`)
  const log = { info() {}, warn() {} }
  const audit = { retentionMs: 86_400_000 }
  await t.rejects(createHousekeeping(database, { session: TIMEOUTS, audit }, { log })())
  t.equal(await rows(), 0)
})

// proves: review-swept
t.test('marks are kept 400 days, and deleted only while the clock is confirmed', async (t) => {
  const { query, database, marks } = await oneUser(t)
  const retention = { ...TIMEOUTS, retentionMs: 400 * 86_400_000 }
  await query("update access_reviews set at = now() - interval '399 days 23 hours'")
  await query("update access_reviews set at = now() - interval '400 days 1 minute' where right_id = 'staff'")
  await sweep(database, { ...retention, isClockConfirmed: false, isExported: false })
  t.strictSame(await marks(), ALL)
  await sweep(database, { ...retention, isClockConfirmed: true, isExported: false })
  t.strictSame(await marks(), ['group:Auditors', 'group:Others'])
})

t.test('the marks of a user go with the user, and those that a user has left stay', async (t) => {
  const { query, rights, id, rows } = await oneUser(t)
  const [{ id: reviewer = '' } = {}] = await query<{ id: string }>(
    "insert into users (username, username_key) values ('rita', 'rita') returning id",
  )
  await query('update access_reviews set reviewer_id = $1', [reviewer])
  t.match((await rights.reviewsOf(id)).get('staff'), { reviewer: 'rita', reviewerId: reviewer })
  await query("delete from users where username = 'rita'")
  t.match((await rights.reviewsOf(id)).get('staff'), { reviewer: null, reviewerId: reviewer })
  await query("delete from users where username = 'max'")
  t.equal(await rows(), 0)
})
