// What the migration of approvals makes of the drafts that are there.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const TAG = '0035_policy_approvals'

t.test('the editors of earlier drafts are those of the audit record', async (t) => {
  const query = await connect(t, await freshDatabase(t))
  const journal = JSON.parse(readFileSync('migrations/meta/_journal.json', 'utf8')) as { entries: { tag: string }[] }
  for (const { tag } of journal.entries) {
    if (tag === TAG) break
    await query(readFileSync(`migrations/${tag}.sql`, 'utf8'))
  }
  const note = (action: string, actor: string, draft: string) =>
    query('insert into audit_events (action, actor, detail) values ($1, $2, $3)', [action, actor, { draft }])
  await query(`insert into policy_drafts (id, text, base, author, changed_by)
    values ('one', '', 1, 'admin:a', 'admin:c'), ('two', '', 1, 'admin:a', 'admin:a')`)
  await note('policy.draft.add', 'admin:a', 'one')
  for (const actor of ['admin:b', 'admin:c', 'admin:b']) await note('policy.draft.change', actor, 'one')
  await note('policy.draft.change', 'admin:d', 'another')
  await note('policy.deployed', 'admin:e', 'one')
  await query(readFileSync(`migrations/${TAG}.sql`, 'utf8'))
  t.strictSame(await query('select id, editors from policy_drafts order by id'), [
    { id: 'one', editors: ['admin:a', 'admin:b', 'admin:c'] },
    { id: 'two', editors: [] }, // its author is an editor in any case
  ])
})
