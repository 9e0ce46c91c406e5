// The made-up history of the demo's console: always the same, plainly marked, and in agreement with itself.
import t, { type Test } from 'tap'
import { writeDemoHistory } from '../../src/commands/demo-history.js'
import type { Config } from '../../src/config/config.js'
import { createOverviewAdmin } from '../../src/admin/overview.js'
import { HISTORY_HOURS, KNOWN_PEOPLE, MADE_UP, pastCounts, pastSignIns } from '../../src/demo/history.js'
import { GROUP_IDS, PEOPLE } from '../../src/demo/people.js'
import { createActivityReader } from '../../src/store/activity-reader.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const NOON = Date.parse('2026-11-25T12:30:00Z')
const POLICY = {
  groupMapping: [
    { entraGroup: GROUP_IDS.netboxSuperusers, groups: ['NetBox Superusers'], staff: true, superuser: true },
    { entraGroup: GROUP_IDS.networkEngineers, groups: ['Network Engineers'], staff: true, superuser: false },
    { entraGroup: GROUP_IDS.circuitManagers, groups: ['Circuit Manager'], staff: false, superuser: false },
  ],
  access: { default: 'authenticated', rules: [{ hosts: ['network.test'], allow: 'authenticated' }] },
  applications: [{ host: 'network.test', name: 'Network' }],
} as unknown as Config

t.test('the history is the same each time, within a week, and quiet at night', (t) => {
  t.strictSame(pastCounts(NOON), pastCounts(NOON))
  t.strictSame(pastSignIns(), pastSignIns())
  for (const { minutesAgo } of pastSignIns()) t.ok(minutesAgo > 0 && minutesAgo < HISTORY_HOURS * 60, `${minutesAgo}`)
  for (const person of KNOWN_PEOPLE) t.ok(pastSignIns().some((each) => each.person === person), person)
  const allowedAt = (hoursAgo: number) =>
    pastCounts(NOON).find((each) => each.hoursAgo === hoursAgo && each.key === 'allowed')?.count ?? 0
  t.ok(allowedAt(24) > 10 * allowedAt(36), 'noon and midnight of the day before')
  t.end()
})

t.test('requests of an hour ago wait for the preview of a draft', async (t) => {
  const { query } = await history(t)
  t.strictSame(
    await query(`select u.username, s.path, s.is_cut as cut, s.count from sampled_requests s
      join users u on u.id = s.user_id where s.host = 'network.test' and s.path like '/staff%' order by s.count`),
    [
      { username: PEOPLE.many.userPrincipalName, path: '/staff/', cut: false, count: 2 },
      { username: PEOPLE.staff.userPrincipalName, path: '/staff/reports/2026', cut: true, count: 45 },
    ],
  )
})

async function history(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await query("insert into groups (name) values ('NetBox Superusers'), ('Network Engineers'), ('Circuit Manager')")
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  await writeDemoHistory(database, POLICY)
  return { query, database }
}

t.test('users have what the mapping grants, and every row of the record says that it is made up', async (t) => {
  const { query, database } = await history(t)
  const users = await query<{ username: string, staff: boolean, superuser: boolean, names: string[] }>(`
    select u.username, u.is_staff as staff, u.is_superuser as superuser, array(select g.name from user_groups ug
      join groups g on g.id = ug.group_id where ug.user_id = u.id and ug.cause is not null) as names
    from users u order by u.username`)
  const user = (key: keyof typeof PEOPLE, staff: boolean, superuser: boolean, name: string) => ({
    username: PEOPLE[key].userPrincipalName,
    staff,
    superuser,
    names: [name],
  })
  t.strictSame(users, [
    user('many', false, false, 'Circuit Manager'),
    user('nested', true, false, 'Network Engineers'),
    user('staff', true, false, 'Network Engineers'),
    user('superuser', true, true, 'NetBox Superusers'),
  ])
  t.strictSame(
    await query("select distinct detail ->> 'demo' as demo, user_id is null as unknown from audit_events"),
    [{ demo: MADE_UP, unknown: false }],
  )
  const [{ logins = 0, earliest = true } = {}] = await query<{ logins: number, earliest: boolean }>(`
    select count(*)::int as logins, min(at) > now() - interval '8 days' as earliest from audit_events
    where action = 'login'`)
  t.equal(logins, pastSignIns().length)
  t.ok(earliest)
  const reader = createActivityReader(database)
  const { signIns, answers } = await createOverviewAdmin({ reader: {}, activity: reader, health: {} } as never)
    .answers('7d')
  t.ok((signIns.series.find(({ key }) => key === 'completed')?.total ?? 0) >= logins - 6, 'all but the present hour')
  t.match(answers.series.map(({ key }) => key), ['allowed', 'not_signed_in', 'not_allowed'])
  t.ok((await reader.ruleHits()).length === 2, 'the rule and the default')
})

t.test('sessions of the history have no cookie: only hashes of random bytes are stored', async (t) => {
  const [one, other] = [await history(t), await history(t)]
  const hashes = async ({ query }: typeof one) =>
    (await query<{ hash: string }>("select encode(id_hash, 'hex') as hash from sessions")).map(({ hash }) => hash)
  const all = [...await hashes(one), ...await hashes(other)]
  t.equal(all.length, 6)
  t.equal(new Set(all).size, 6)
})
