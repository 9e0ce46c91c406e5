// The transaction of an act: the rights of that moment count, and what is refused changes nothing.
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { createActUseCases } from '../../src/act-use-cases.js'
import type { Acting } from '../../src/core/acts.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { administrators, NAMES_NO_GROUP } from '../helpers/acts.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, dumpEverything } from '../helpers/sql.js'

const TIMEOUTS = { idleTimeoutMs: 3_600_000, absoluteTimeoutMs: 3_600_000, privilegedTimeoutMs: undefined }

async function scene(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 4 })
  t.teardown(() => database.close())
  await query(`insert into users (username, username_key, is_superuser, is_staff)
    select name, name, name = 'sue', name in ('sue', 'sam') from unnest(array['sue', 'sam', 'gus', 'max']) as name`)
  await query("insert into groups (name) values ('Helpdesk')")
  await query(`insert into group_permissions select id, 'gatehouse.sessions' from groups`)
  await query(`insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g
    where username = 'gus'`)
  const actingAs = await administrators(query)
  return {
    query,
    database,
    actingAs,
    acts: createActUseCases({
      database,
      timeouts: TIMEOUTS,
      reservedUsernames: () => ['root'],
      groupPolicy: () => NAMES_NO_GROUP,
      encryptionSecrets: ['a secret'],
    }),
  }
}

// proves: act-give-time-zone
t.test('the end of a membership has a time zone, whoever asks', async (t) => {
  const { query, acts: { memberships }, actingAs } = await scene(t)
  const sue = await actingAs('sue')
  const [max] = await query<{ id: string }>("select id from users where username = 'max'")
  const before = await dumpEverything(query)
  for (const until of ['2999-01-01T00:00:00', '2999-01-01', '2999-01-01T00:00:00 tomorrow', 'infinity']) {
    const given = memberships.give({ userId: max?.id ?? '', group: 'Helpdesk', until }, sue)
    await t.rejects(given, { code: 'request_malformed' }, until)
  }
  t.equal(await dumpEverything(query), before)
})

// proves: act-superuser-left, act-add-reserved, act-end-all-privileged
t.test('the last superuser stays, reserved names are not given, and nothing ends in part', async (t) => {
  const { query, acts: { people, sessions }, actingAs } = await scene(t)
  const [sue, gus] = [await actingAs('sue'), await actingAs('gus')]
  const idOf = async (name: string) =>
    (await query<{ id: string }>('select id from users where username = $1', [name]))[0]?.id ?? ''
  const before = await dumpEverything(query)
  await t.rejects(people.setActive(await idOf('sue'), false, sue), { code: 'last_superuser' })
  await t.rejects(people.remove(await idOf('sue'), sue), { code: 'last_superuser' })
  await t.rejects(people.add({ username: 'ROOT' }, sue), { code: 'username_reserved' })
  await t.rejects(people.rename(await idOf('max'), 'root', sue), { code: 'username_reserved' })
  await t.rejects(sessions.endAll({ all: true }, gus), { code: 'above_own_rights' })
  await t.rejects(people.setActive(await idOf('max'), true, gus), { code: 'not_allowed' }, 'activating is for people')
  t.equal(await dumpEverything(query), before)

  await query("update users set is_superuser = true where username = 'sam'")
  const sam = await actingAs('sam')
  const both = await Promise.allSettled([
    people.setActive(await idOf('sam'), false, sue),
    people.setActive(await idOf('sue'), false, sam),
  ])
  t.strictSame(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'], 'not each other')
  const left = await query<{ username: string }>('select username from users where is_superuser and is_active')
  t.equal(left.length, 1)
  const { ended } = await sessions.endAll({ all: true }, { actor: 'cli:root', admin: undefined })
  t.equal(ended, 3)
  t.strictSame(await query('select 1 from sessions'), [])
})

// proves: act-activate-ceiling
t.test('no user is activated with rights that the administrator does not hold', async (t) => {
  const { query, acts: { people }, actingAs } = await scene(t)
  await query("update group_permissions set permission = 'gatehouse.people'")
  await query("update users set is_active = false where username in ('sam', 'max')")
  const gus = await actingAs('gus')
  const idOf = async (name: string) =>
    (await query<{ id: string }>('select id from users where username = $1', [name]))[0]?.id ?? ''
  const [sam, max] = [await idOf('sam'), await idOf('max')]
  await t.rejects(people.setActive(sam, true, gus), { code: 'above_own_rights' }, 'staff')
  await query("insert into groups (name) values ('Policy')")
  await query(`insert into group_permissions select id, 'gatehouse.policy' from groups where name = 'Policy'`)
  await query(`insert into user_groups (user_id, group_id) select $1, id from groups`, [max])
  await t.rejects(people.setActive(max, true, gus), { code: 'above_own_rights' }, 'a group with another permission')
  t.strictSame(await query('select 1 from users where username in ($1, $2) and is_active', ['sam', 'max']), [])
  await query("delete from groups where name = 'Policy'")
  t.match(await people.setActive(max, true, gus), { changed: true }, 'a group with the same permission')
  t.match(await people.setActive(sam, true, await actingAs('sue')), { changed: true }, 'a superuser')
})

// proves: act-active-again, act-permission-again
t.test('an act needs the rights of its own moment', async (t) => {
  const { query, acts, actingAs } = await scene(t)
  const gus = await actingAs('gus')
  const refused = async (t: Test, what: string, code: string, prepare: string, undo: string) => {
    await query(prepare)
    const before = await dumpEverything(query)
    await t.rejects(acts.sessions.end('ses_max', gus), { code }, what)
    t.equal(await dumpEverything(query), before, `${what}: nothing changes`)
    await query(undo)
  }
  const user = "where username = 'gus'"
  await refused(
    t,
    'deactivated meanwhile',
    'admin_sign_in_required',
    `update users set is_active = false ${user}`,
    `update users set is_active = true ${user}`,
  )
  await refused(
    t,
    'the session of the console is over',
    'admin_sign_in_required',
    "update admin_sessions set last_seen_at = now() - interval '31 minutes'",
    'update admin_sessions set last_seen_at = now()',
  )
  await refused(
    t,
    'the permission was taken away meanwhile',
    'not_allowed',
    "update group_permissions set permission = 'gatehouse.read'",
    "update group_permissions set permission = 'gatehouse.sessions'",
  )
  await t.rejects(acts.sessions.end('ses_sue', gus), { code: 'above_own_rights' })
  await t.rejects(acts.sessions.end('ses_none', gus), { code: 'session_unknown' })
  await t.rejects(acts.sessions.end('ses_\0', gus), { code: 'request_malformed' })
  const foreign = { ...gus, admin: { ...gus.admin, adminSessionId: randomUUID() } } as Acting
  await t.rejects(acts.sessions.end('ses_max', foreign), { code: 'admin_sign_in_required' })

  t.strictSame(await acts.sessions.end('ses_max', gus), { ended: 1 })
  t.strictSame(await acts.sessions.end('ses_sue', { actor: 'cli:root', admin: undefined }), { ended: 1 }, 'a command')
  const rows = await query('select action, actor, username, correlation_id, detail from audit_events order by id')
  t.strictSame(rows, [
    {
      action: 'session.revoke',
      actor: gus.actor,
      username: 'max',
      correlation_id: 'c-1',
      detail: { session: 'ses_max', reason: 'Lost.', by: { session: 'ses_gus', address: '192.0.2.1' } },
    },
    {
      action: 'session.revoke',
      actor: 'cli:root',
      username: 'sue',
      correlation_id: null,
      detail: { session: 'ses_sue' },
    },
  ])
})
