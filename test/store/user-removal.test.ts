// The removal of a user takes the names out of the record, however long it is: the rows are found by indexes.
import t from 'tap'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { eraseUser } from '../../src/store/user-admin.js'
import { explained, rowsRead } from '../helpers/plans.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const OID = '8d1f0000-1111-2222-3333-444444444444'

t.test('of refused sign-ins those of the account alone are read', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 1 })
  t.teardown(() => database.close())
  const [user] = await query<{ id: string }>(
    "insert into users (username, username_key) values ('max', 'max') returning id",
  )
  const id = user?.id ?? ''
  await query('insert into identities (tid, oid, user_id) values ($1, $1, $2)', [OID, id])
  await query(`insert into audit_events (action, actor, username, detail)
    select 'login.refused', 'login', 'other', jsonb_build_object('oid', gen_random_uuid())
    from generate_series(1, 20000)`)
  await query(
    `insert into audit_events (action, actor, detail) select 'x', 'system', '{}' from generate_series(1, 20000)`,
  )
  await query(
    `insert into audit_events (action, actor, username, detail)
    values ('login.refused', 'login', 'max', jsonb_build_object('oid', $1::text, 'tid', 'a', 'code', 'c'))`,
    [OID],
  )
  await query('analyze')

  const { database: watched, plans } = explained(database)
  await watched.transaction((tx) => eraseUser(tx, id))
  const record = plans.flat().filter((node) => node['Relation Name']?.startsWith('audit_events'))
  t.ok(record.length > 0)
  const read = rowsRead(record)
  t.ok(read < 100, `${read} rows of the record are read`)
  t.match(await query('select detail, username from audit_events where detail ? $1', ['code']), [
    { detail: { code: 'c' }, username: null },
  ])
  t.match(await query("select count(*)::int as n from audit_events where username = 'other'"), [{ n: 20_000 }])
})
