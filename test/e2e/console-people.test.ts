// Users, groups and sessions of the console in a real Chromium, with hostile names: how they look.
import t from 'tap'
import { createAuditAdmin } from '../../src/admin/audit.js'
import type { AdminUseCases } from '../../src/admin/use-cases.js'
import { giveGroupPage, takeGroupPage } from '../../src/http/admin/pages/membership-acts.js'
import { createPeopleUseCases } from '../../src/people-use-cases.js'
import { createAuditReader } from '../../src/store/audit-list.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { startChromium } from '../helpers/chromium.js'
import { looksWell, refusalsOf } from '../helpers/console-checks.js'
import { seedCrowd } from '../helpers/crowd.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'
import { startFrame } from '../http/admin/frame.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }
const ENTRA_GROUP = 'aaaaaaaa-0000-4000-8000-000000000001'
const NAME = `'"><script>document.title='broken out'</script> \u202Egnp.exe ${'L'.repeat(200)}`

t.test('the pages of users, groups and sessions look well, also with hostile names', async (t) => {
  const browser = await startChromium(t)
  if (browser === undefined) return
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seedCrowd(query, 60)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const cause = `'[{"row":1,"entraGroup":"${ENTRA_GROUP}"},{"row":7,"entraGroup":"${ENTRA_GROUP}"}]'::jsonb`
  await query(
    `update user_groups set cause = ${cause} where user_id in (select id from users where username < 'U000003')`,
  )
  await query("update user_groups set until = '2999-01-01T18:00:00Z' where cause is null")
  await query("insert into group_permissions select id, 'gatehouse.read' from groups")
  await query('update users set name = $1, email = $1, is_staff = true, is_active = id < $2', [
    NAME,
    'c0000000-0000-4000-8000-000000000000',
  ])
  await query("update sessions set browser = 'Firefox', client_address = '192.0.2.1', last_host = $1", [NAME])
  const [{ id = '', group = '' } = {}] = await query<{ id: string, group: string }>(`select u.id, g.name as group
    from users u join user_groups m on m.user_id = u.id join groups g on g.id = m.group_id where u.is_active limit 1`)
  const [{ other = '', otherGroup = '' } = {}] = await query<{ other: string, otherGroup: string }>(
    `select user_id as other, name as "otherGroup" from user_groups join groups on id = group_id
    where cause is null limit 1`,
  )
  const mapping = [{ entraGroup: ENTRA_GROUP, label: NAME, groups: [group, 'Gone'], staff: false, superuser: true }]
  await query(`update entra_readings set group_ids = '{${ENTRA_GROUP}}'`)
  const useCases = createPeopleUseCases({ database, timeouts: TIMEOUTS, policy: () => ({ mapping, rules: [] }) })
  const audit = createAuditAdmin({ audit: createAuditReader(database), findPerson: async () => undefined as never })
  const frame = await startFrame(t, [], { ...useCases, audit } as unknown as AdminUseCases, {
    actPages: [giveGroupPage, takeGroupPage],
  })
  const context = await browser.newContext({ extraHTTPHeaders: { cookie: 'gatehouse.read gatehouse.people' } })
  const page = await context.newPage()
  const refusals = refusalsOf(page)
  for (
    const [name, path] of [
      ['people', 'people'],
      ['nobody', 'people?q=zzz'],
      ['person', `people/${id}`],
      ['person-by-hand', `people/${other}`],
      ['take-by-hand', `people/${other}/groups/${encodeURIComponent(otherGroup)}/take`],
      ['give-group', `people/${id}/groups/give`],
      ['take-group', `people/${id}/groups/${encodeURIComponent(group)}/take`],
      ['groups', 'groups'],
      ['missing-groups', 'groups?missing=true'],
      ['group', `groups/${encodeURIComponent(group)}`],
      ['sessions', 'sessions'],
    ] as const
  ) {
    const answer = await page.goto(`${frame.url}/admin/${path}`)
    t.equal(answer?.status(), 200, path)
    t.not(await page.title(), 'broken out', path)
    await looksWell(t, page, name)
  }
  t.strictSame(refusals, [], 'nothing that the policy refuses')
})
