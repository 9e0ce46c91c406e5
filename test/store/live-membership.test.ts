// A membership that has ended counts nowhere, although its row is still there; the row is deleted with a line in the
// record.
import { readdirSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { newSessionId, sessionIdHash } from '../../src/core/session.js'
import { createAdminSessionStore } from '../../src/store/admin-sessions.js'
import { createActTransaction } from '../../src/store/act-unit.js'
import { openDatabase } from '../../src/store/database.js'
import { replaceGrants } from '../../src/store/grants.js'
import { createGroupAdmin } from '../helpers/acts.js'
import { createGroupsList } from '../../src/store/groups-list.js'
import { snapshotsOfActiveUsers } from '../../src/store/membership-snapshots.js'
import { migrate } from '../../src/store/migrate.js'
import { createPeopleStore } from '../../src/store/people.js'
import { createPolicyUsers } from '../../src/store/policy-reads.js'
import { createSessionStore } from '../../src/store/sessions.js'
import { sweep } from '../../src/store/sweep.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const TIMEOUTS = { idleTimeoutMs: 3_600_000, absoluteTimeoutMs: 3_600_000, privilegedTimeoutMs: undefined }
const OID = '11111111-1111-4111-8111-111111111111'

async function scene(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const [{ id = '' } = {}] = await query<{ id: string }>(
    "insert into users (username, username_key) values ('max', 'max') returning id",
  )
  await query('insert into identities (tid, oid, user_id) values ($1, $1, $2)', [OID, id])
  await query("insert into entra_readings (user_id, group_ids, read_at) values ($1, '{}', now())", [id])
  await query("insert into groups (name) values ('Ended'), ('Later'), ('For Good'), ('Mapped')")
  await query("insert into group_permissions select id, 'gatehouse.keys' from groups where name = 'Ended'")
  await query("insert into group_permissions select id, 'gatehouse.read' from groups where name = 'Later'")
  await query(
    `insert into user_groups (user_id, group_id, until, cause) select $1, id,
      case name when 'Ended' then now() when 'Later' then now() + interval '1 hour' when 'Mapped' then now() end,
      case name when 'Mapped' then '[]'::jsonb end from groups`,
    [id],
  )
  const session = newSessionId()
  await query('insert into sessions (id_hash, public_id, user_id, authenticated_at) values ($1, $2, $3, now())', [
    sessionIdHash(session),
    'ses_max',
    id,
  ])
  return { query, database, id, session }
}

const LIVE = ['For Good', 'Later', 'Mapped']

// proves: live-membership
t.test('no statement reads a membership that has ended', async (t) => {
  const { query, database, id, session } = await scene(t)
  const people = createPeopleStore(database, TIMEOUTS)
  const groups = createGroupsList(database)

  const found = await createSessionStore(database, TIMEOUTS).find(session)
  t.match(found, { groups: LIVE, permissions: ['gatehouse.read'] }, 'a session')
  t.equal(found?.groups.length, 3)
  t.ok((found?.rightsEndInMs ?? 0) > 3_500_000 && (found?.rightsEndInMs ?? 0) <= 3_600_000, 'the next end')

  const admin = createAdminSessionStore(database, TIMEOUTS)
  const cookie = newSessionId()
  t.equal(await admin.begin({ id: cookie, sessionId: 'ses_max', replaces: undefined }), true)
  const administrator = await admin.find(cookie)
  t.strictSame(administrator?.permissions, ['gatehouse.read'], 'the console')
  await createActTransaction(database, TIMEOUTS, [])(async (unit) => {
    const acting = { userId: id, sessionId: 'ses_max', adminSessionId: administrator?.id ?? '', address: '' }
    t.match(await unit.holdingsOf(acting), { permissions: ['gatehouse.read'] }, 'the ceiling')
    t.strictSame((await unit.people.target(id))?.permissions, ['gatehouse.read'], 'what an activation gives')
    const ended = await unit.memberships.group('Ended')
    t.equal(await unit.memberships.find(id, ended?.id ?? ''), undefined)
  })

  t.strictSame((await people.byId(id))?.groups.map(({ name }) => name), LIVE, 'the page of the user')
  t.match(await people.list({}), { rows: [{ groupCount: 3, handMadeCount: 2 }] }, 'the list')
  const named = async (filter: object) => (await people.list(filter)).rows.map(({ username }) => username)
  t.strictSame(await named({ group: 'Ended' }), [], 'the filter of a group')
  t.strictSame(await named({ group: 'Later' }), ['max'])
  t.strictSame((await people.members({ group: 'Ended' })).rows, [], 'members')
  t.match((await people.members({ group: 'Later' })).rows, [{ username: 'max', until: /^\d{4}-/ }])
  t.match((await people.members({ group: 'Mapped' })).rows, [{ until: null }], 'the mapping grants it: no end')
  t.match(await groups.byName('Ended'), { members: 0 }, 'the number of members')
  t.match(await groups.byName('Later'), { members: 1 })
  t.strictSame((await groups.list({ empty: true })).rows.map(({ name }) => name), ['Ended'], 'empty groups')
  t.strictSame((await createPolicyUsers(database, people).byId(id))?.groups, LIVE, 'access test and explain')
  for await (const [snapshot] of snapshotsOfActiveUsers(database, [])) t.strictSame(snapshot?.groups, LIVE, 'previews')

  await query("delete from user_groups where group_id in (select id from groups where name in ('Later', 'For Good'))")
  t.strictSame(await named({ handMade: true }), [], 'groups by hand')
  t.strictSame(await named({ handMade: false }), ['max'])
  t.equal(await createGroupAdmin(database).remove('Ended', 'cli:test'), 0, 'the members of a removed group')
})

// proves: act-ended-recorded
t.test('what has ended is deleted with a line in the record', async (t) => {
  const { query, database } = await scene(t)
  t.match(
    await sweep(database, { ...TIMEOUTS, retentionMs: 86_400_000_000, isClockConfirmed: true, isExported: false }),
    {
      memberships: 1,
    },
  )
  const names = async () =>
    (await query<{ name: string }>('select name from user_groups join groups on id = group_id order by 1'))
      .map(({ name }) => name)
  t.strictSame(await names(), LIVE)
  const [row] = await query(
    "select action, actor, username, detail from audit_events where action = 'user.group.ended'",
  )
  t.match(row, {
    actor: 'system',
    username: 'max',
    detail: { group: 'Ended', before: { until: /^\d{4}-\d\d-\d\dT.*Z$/, since: /Z$/ }, after: null },
  })
  t.strictSame(
    await sweep(database, { ...TIMEOUTS, retentionMs: 86_400_000_000, isClockConfirmed: true, isExported: false }),
    {
      sessions: 0,
      memberships: 0,
      audit: 0,
    },
  )
})

t.test('a sign-in takes what was given by hand, and begins anew what had ended', async (t) => {
  const { query, database, id } = await scene(t)
  await query("update user_groups set since = now() - interval '1 day', until = until - interval '1 hour'")
  const granted = await query<{ id: string, name: string }>(
    "select id, name from groups where name in ('Ended', 'Later')",
  )
  const grants = {
    groups: granted.map((group) => ({ ...group, causes: [{ row: 1, entraGroup: OID }] })),
    staff: [],
    superuser: [],
    missing: [],
  }
  const [{ now = '' } = {}] = await query<{ now: string }>('select now()::text as now')
  const change = await database.transaction((tx) =>
    replaceGrants(tx, { userId: id, grants, groupIds: [OID], readAt: now })
  )
  t.strictSame({ added: change.groupsAdded, removed: change.groupsRemoved }, {
    added: ['Ended', 'Later'],
    removed: ['For Good', 'Mapped'],
  })
  t.strictSame(
    await query(`select name, until, cause is null as hand, since > now() - interval '1 hour' as new
      from user_groups join groups on id = group_id order by 1`),
    ['Ended', 'Later'].map((name) => ({ name, until: null, hand: false, new: true })),
  )
})

/** They delete by key, or say what a row is. */
const WITHOUT = ['lost-history/kinds.ts', 'schema.ts']

t.test('every file of the store that names the table has the condition', async (t) => {
  const folder = new URL('../../src/store/', import.meta.url)
  for (
    const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  ) {
    const text = readFileSync(new URL(file, folder), 'utf8')
    if (!/\buser_groups\b/.test(text) || WITHOUT.includes(file)) continue
    t.match(text, /(?:live|ended)Membership\(|export function liveMembership/, file)
  }
})
