// Sampled requests in the database: written once, counted over all replicas, for a day, and not a minute longer than
// their user.
import t, { type Test } from 'tap'
import { GatehouseError } from '../../src/core/errors.js'
import { parseTargetUrl } from '../../src/core/target.js'
import { createLifecycle } from '../../src/lifecycle.js'
import { openDatabase, type Database } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { openRequestSample } from '../../src/store/request-sample.js'
import { sampledRequests } from '../../src/store/sampled-requests.js'
import { sweep } from '../../src/store/sweep.js'
import { eraseUser } from '../../src/store/user-admin.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const DAY_MS = 86_400_000
const SESSION = { idleTimeoutMs: DAY_MS, absoluteTimeoutMs: DAY_MS, privilegedTimeoutMs: undefined }
const ENTRA = '00000000-0000-4000-8000-000000000001'

async function open(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 5 })
  t.teardown(() => database.close())
  const query = await connect(t, url)
  const addUser = async (name: string) => {
    const [row] = await query<{ id: string }>(
      'insert into users (username, username_key) values ($1, $1) returning id',
      [name],
    )
    return row?.id ?? ''
  }
  const rows = async () => {
    const all = []
    for await (const batch of sampledRequests(database, [ENTRA], 2)) all.push(...batch)
    return all.sort((a, b) => a.path < b.path ? -1 : 1)
  }
  return { database, query, addUser, rows }
}

function openReplica(t: Test, database: Database, options: { enabled?: boolean } = {}) {
  const settings = { perSecond: 100 }
  const log = { warn: () => {}, error: () => {} }
  const { own, close } = createLifecycle(log)
  const perSecond = () => settings.perSecond
  const { sample, flush } = openRequestSample({ database, enabled: true, perSecond, own, log, ...options })
  t.teardown(close)
  const note = (path: string, user?: string) => {
    sample.note(parseTargetUrl(`https://app.test${path}`, 'GET'), user, undefined)
  }
  return { settings, note, flush }
}

t.test('requests of all replicas are counted together, with the rights of their user', async (t) => {
  const { database, query, addUser, rows } = await open(t)
  const [ann, bob] = [await addUser('ann'), await addUser('bob')]
  await query('update users set is_staff = true where id = $1', [ann])
  await query("insert into groups (name) values ('A'), ('B')")
  await query(`insert into group_permissions (group_id, permission) select id, lower(name) || '.view' from groups`)
  await query("insert into user_groups (user_id, group_id) select $1, id from groups where name = 'A'", [ann])
  await query(
    'insert into entra_readings (user_id, group_ids, read_at) values ($1, $2::uuid[], now())',
    [ann, [ENTRA, '00000000-0000-4000-8000-000000000002']],
  )
  const replicas = [openReplica(t, database), openReplica(t, database)]
  for (const { note, flush } of replicas) {
    note('/a', ann)
    note('/b')
    await flush()
    note('/a', ann)
    note('/c', bob)
    await flush()
    await flush()
  }
  const rights = { username: 'ann', isStaff: true, groups: ['A'], permissions: ['a.view'], entraGroupIds: [ENTRA] }
  t.match(await rows(), [
    { path: '/a', userId: ann, count: 4, user: rights },
    { path: '/b', userId: null, count: 2, user: null },
    { path: '/c', userId: bob, count: 2, user: { isStaff: false, groups: [], entraGroupIds: null } },
  ])
  await query('update users set is_active = false where id = $1', [ann])
  t.strictSame((await rows()).map(({ path }) => path), ['/b', '/c'], 'without those of inactive users')
})

// proves: policy-sample-repeated
t.test('a write whose outcome is not known is repeated, and counts once', async (t) => {
  const { database, rows } = await open(t)
  const state = { fails: true }
  const failing: Database = {
    ...database,
    async ask(work) {
      const result = await database.ask(work)
      if (state.fails) throw new GatehouseError('database_unavailable')
      return result
    },
  }
  const { note, flush } = openReplica(t, failing)
  note('/a')
  state.fails = false
  await flush()
  note('/a')
  state.fails = true
  await t.rejects(flush(), { code: 'database_unavailable' })
  state.fails = false
  note('/a')
  await flush()
  t.match(await rows(), [{ path: '/a', count: 3 }])
})

// proves: policy-sample-removed-user
t.test('what is kept of a user goes with the user, and does not come back', async (t) => {
  const { database, query, addUser, rows } = await open(t)
  const ann = await addUser('ann')
  const { note, flush } = openReplica(t, database)
  note('/a', ann)
  await flush()
  await query(`insert into policy_drafts (id, text, base, author, changed_by)
    values ('d', '', 1, 'x', 'x'), ('e', '', 1, 'x', 'x'), ('f', '', 1, 'x', 'x')`)
  await query(
    `insert into policy_previews (draft, run, draft_hash, policy_hash, state, result) values
      ('d', gen_random_uuid(), 'x', 'x', 'done', jsonb_build_object('requests', jsonb_build_array($1::text))),
      ('e', gen_random_uuid(), 'x', 'x', 'done', '{}'), ('f', gen_random_uuid(), 'x', 'x', 'running', null)`,
    [ann],
  )
  await database.transaction((tx) => eraseUser(tx, ann))
  t.strictSame(await query('select draft from policy_previews'), [{ draft: 'e' }])
  t.strictSame(await query('select * from sampled_requests'), [])
  note('/a', ann)
  note('/b')
  await flush()
  t.match(await rows(), [{ path: '/b', count: 1 }])
})

// proves: policy-sample-swept
t.test('a request is kept for a day', async (t) => {
  const { database, query, rows } = await open(t)
  const { note, flush } = openReplica(t, database)
  note('/a')
  note('/b')
  await flush()
  await query("update sampled_requests set hour = now() - interval '24 hours 1 second' where path = '/a'")
  t.match((await rows()).map(({ path }) => path), ['/b'])
  await sweep(database, { ...SESSION, retentionMs: 400 * DAY_MS, isClockConfirmed: true, isExported: false })
  t.strictSame(await query('select path from sampled_requests'), [{ path: '/b' }])
})

// proves: policy-sample-0, policy-sample-off
t.test('nothing is kept where it is switched off, and nothing is noted without the console', async (t) => {
  const { database, query } = await open(t)
  const { settings, note, flush } = openReplica(t, database)
  note('/a')
  await flush()
  note('/b')
  settings.perSecond = 0
  await flush()
  t.strictSame(await query('select path from sampled_requests'), [])
  settings.perSecond = 1
  await flush()
  t.strictSame(await query('select path from sampled_requests'), [], 'what was noted before is forgotten')
  const other = openReplica(t, database, { enabled: false })
  other.note('/c')
  await other.flush()
  t.strictSame(await query('select path from sampled_requests'), [])
})
