// Forms that wait for a fresh sign-in: bound to session, act and object, few, small, and for ten minutes.
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createAdminForms, MOST_FORMS } from '../../src/store/admin-forms.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { sweep } from '../../src/store/sweep.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

// proves: act-forms-bound, act-forms-bounded, act-forms-small, act-forms-minutes, act-forms-swept
t.test('a kept form is of one session, act and object', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const forms = createAdminForms(database)
  const [adminSessionId, other] = [randomUUID(), randomUUID()]
  const place = { adminSessionId, act: 'deleteX', path: '/admin/x/1' }
  const id = await forms.keep(place, { reason: 'Lost.' }) ?? ''
  t.strictSame(await forms.find(id, place), { reason: 'Lost.' })
  for (const wrong of [{ adminSessionId: other }, { act: 'deleteY' }, { path: '/admin/x/2' }]) {
    t.equal(await forms.find(id, { ...place, ...wrong }), undefined)
  }
  t.equal(await forms.find('no-uuid', place), undefined)
  t.equal(await forms.keep(place, { reason: 'x'.repeat(16_000) }), undefined, 'too long')

  const count = async () => (await query<{ n: number }>('select count(*)::int as n from admin_forms'))[0]?.n
  await forms.keep({ ...place, adminSessionId: other }, {})
  await query("update admin_forms set kept_at = kept_at - interval '1 minute'")
  for (let n = 0; n < MOST_FORMS; n++) await forms.keep(place, { n: String(n) })
  t.equal(await count(), MOST_FORMS + 1, 'those of another session stay')
  t.equal(await forms.find(id, place), undefined, 'the oldest is gone')

  const last = await forms.keep(place, {}) ?? ''
  await query("update admin_forms set kept_at = now() - interval '9 minutes 50 seconds'")
  t.strictSame(await forms.find(last, place), {})
  await query("update admin_forms set kept_at = now() - interval '10 minutes 1 second'")
  t.equal(await forms.find(last, place), undefined)

  await query("insert into users (username, username_key) values ('max', 'max')")
  await query(
    `insert into admin_sessions (id_hash, id, session_id, authenticated_at)
    select 'x', $1, 'ses_1', now()`,
    [adminSessionId],
  )
  await query(`insert into sessions (id_hash, public_id, user_id)
    select 'x', 'ses_1', id from users limit 1`)
  const timeouts = { idleTimeoutMs: 3_600_000, absoluteTimeoutMs: 3_600_000, privilegedTimeoutMs: undefined }
  await sweep(database, { ...timeouts, retentionMs: 86_400_000, isClockConfirmed: true, isExported: false })
  t.equal(await count(), 0)
})
