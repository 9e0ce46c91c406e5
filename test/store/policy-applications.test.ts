// A version of the policy that is applied at once, on a real database: whose rights change, in which order, and what
// happens when users sign in, another version comes into force or the process ends in the middle.
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { createPolicyApplyAdmin, type PolicyApplyPorts } from '../../src/admin/policy-apply.js'
import type { Acting } from '../../src/core/acts.js'
import type { PolicyApplications } from '../../src/core/policy-application.js'
import { appliedPolicy } from '../../src/policy-applications.js'
import { openDatabase } from '../../src/store/database.js'
import { createLoginStore } from '../../src/store/login-store.js'
import { migrate } from '../../src/store/migrate.js'
import { createPolicyApplications } from '../../src/store/policy-applications.js'
import { requireDeployed } from '../../src/store/policy-deployments.js'
import { createReevaluationWriter } from '../../src/store/reevaluation-writer.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, type Query } from '../helpers/sql.js'
import { until } from '../helpers/until.js'

const TENANT = '11111111-1111-4111-8111-111111111111'
const HOUR = 3_600_000
const OPTIONS = {
  tenantId: TENANT,
  idleTimeoutMs: 8 * HOUR,
  absoluteTimeoutMs: 48 * HOUR,
  privilegedTimeoutMs: undefined,
  maxStalenessMs: 24 * HOUR,
}
const [ENGINEERS, ADMINS] = ['e0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002']
const ACTING: Acting = { actor: 'cli:test', admin: undefined, correlationId: 'c-1' }

/** Engineers gain `Engineers`; admins are staff; nobody has `Circuits` any more. */
const POLICY = {
  groupMapping: [
    { entraGroup: ENGINEERS, groups: ['Engineers'], staff: false, superuser: false, label: undefined },
    { entraGroup: ADMINS, groups: ['Admins'], staff: true, superuser: false, label: undefined },
  ],
  requireMappedGroup: false,
}

interface SceneOptions {
  readonly policy?: Parameters<typeof appliedPolicy>[0]
  /** Of one statement. */
  readonly timeoutMs?: number
}

async function scene(t: Test, { policy = POLICY, ...limits }: SceneOptions = {}) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 10, ...limits })
  t.teardown(() => database.close())
  await query("insert into groups (name) values ('Engineers'), ('Admins'), ('Circuits')")
  await version(query, 1)
  const applications = createPolicyApplications(database, OPTIONS)
  const failed: string[] = []
  const admin = (more: Partial<PolicyApplyPorts> = {}) =>
    createPolicyApplyAdmin({
      name: 'host:4180',
      applications,
      policyOf: async () => appliedPolicy(policy),
      lookups: createLoginStore(database, { ...OPTIONS, maxPerUser: 10 }),
      failed: ({ username }) => failed.push(username),
      pageSize: 2,
      ...more,
    })
  return { url, query, database, applications, admin, failed }
}

async function version(query: Query, number: number): Promise<void> {
  await query(
    `insert into policy_versions (number, source, text, hash, schema, release, author)
      values ($1::integer, 'database', '{}', 'hash of ' || $1::integer, 1, '0', 'cli:test')`,
    [number],
  )
}

interface UserOptions {
  readonly entraGroups?: readonly string[]
  /** Local groups, granted by a row of an earlier version. */
  readonly groups?: readonly string[]
  readonly byHand?: readonly string[]
  readonly staff?: boolean
  readonly readHours?: number
  readonly session?: boolean
  readonly id?: string
}

async function addUser(query: Query, name: string, options: UserOptions = {}): Promise<void> {
  const {
    entraGroups = [],
    groups = [],
    byHand = [],
    staff = false,
    readHours = 1,
    session = true,
    id = randomUUID(),
  } = options
  await query(
    `with u as (insert into users (id, username, username_key, is_staff, staff_cause) values ($7, $1, $1, $2,
        case when $2 then '[]'::jsonb end) returning id),
      i as (insert into identities (tid, oid, user_id) select $3, gen_random_uuid(), id from u),
      r as (insert into entra_readings (user_id, group_ids, read_at) select id, $4,
        now() - $5 * interval '1 hour' from u)
      insert into sessions (id_hash, public_id, user_id) select sha256($1::text::bytea), 'ses_' || $1, id from u
        where $6`,
    [name, staff, TENANT, entraGroups, readHours, session, id],
  )
  await query(
    `insert into user_groups (user_id, group_id, cause)
      select u.id, g.id, case when g.name = any($2) then '[{"row":9,"entraGroup":"x"}]'::jsonb end
      from users u join groups g on g.name = any($2::text[] || $3::text[]) where u.username = $1`,
    [name, groups, byHand],
  )
}

async function rights(query: Query) {
  const rows = await query<{ username: string, staff: boolean, groups: string[] }>(`select username, is_staff as staff,
    array(select g.name from user_groups ug join groups g on g.id = ug.group_id where ug.user_id = u.id order by 1)
      as groups from users u`)
  return Object.fromEntries(
    rows.map(({ username, staff, groups }) => [username, [...groups, ...staff ? ['staff'] : []].join(' ')]),
  )
}

async function audited(query: Query) {
  return await query<{ action: string, actor: string, username: string, detail: Record<string, unknown> }>(
    `select action, actor, username, detail from audit_events where correlation_id = 'c-1' order by id`,
  )
}

// proves: policy-apply-losses-first
t.test('everybody with a session is mapped anew, who loses something first, each with an audit row', async (t) => {
  const { query, admin } = await scene(t)
  await addUser(query, 'a gains', { entraGroups: [ENGINEERS], id: '00000000-0000-4000-8000-000000000001' })
  await addUser(query, 'b stays', { entraGroups: [ADMINS], groups: ['Admins'], staff: true })
  await addUser(query, 'c loses', { groups: ['Circuits'], staff: true })
  await addUser(query, 'd both', { entraGroups: [ADMINS], groups: ['Circuits'] })
  await addUser(query, 'e by hand', { entraGroups: [ENGINEERS], byHand: ['Circuits', 'Engineers'] })
  await addUser(query, 'f elsewhere', { entraGroups: [ENGINEERS], groups: ['Circuits'], session: false })
  const use = admin()
  const number = await use.begin(ACTING)
  const application = await use.finish(number)
  t.match(application, {
    ...{ version: 1, state: 'done', pass: 'rest', done: 5, total: 6 },
    ...{ gains: 2, losses: 3, tooOld: 0, failed: 0, actor: 'cli:test' },
  })
  t.strictSame(await rights(query), {
    'a gains': 'Engineers',
    'b stays': 'Admins staff',
    'c loses': '',
    'd both': 'Admins staff',
    'e by hand': 'Engineers',
    'f elsewhere': 'Circuits',
  })
  const rows = await audited(query)
  t.equal(rows.at(0)?.action, 'policy.apply')
  t.match(rows.at(-1), { action: 'policy.applied', detail: { version: 1, people: 5, gains: 2, losses: 3 } })
  const changed = rows.filter(({ action }) => action === 'reevaluation')
  t.strictSame(changed.map(({ username }) => username).slice(0, 3).sort(), ['c loses', 'd both', 'e by hand'])
  t.match(changed[3], {
    ...{ username: 'a gains', actor: 'cli:test' },
    detail: { version: 1, groupsAdded: ['Engineers'], groups: { Engineers: [{ row: 1, entraGroup: ENGINEERS }] } },
  })
  const [cause] = await query(`select ug.cause from user_groups ug join users u on u.id = ug.user_id
    where u.username = 'b stays'`)
  t.strictSame(cause, { cause: [{ row: 2, entraGroup: ADMINS }] }, 'the reason is that of the version')
})

// proves: policy-apply-too-old, policy-apply-no-snapshot
t.test('a snapshot that is too old only takes away, and without one nothing changes', async (t) => {
  const { query, admin, applications } = await scene(t)
  const old = { readHours: 25 }
  await addUser(query, 'gains', { ...old, entraGroups: [ENGINEERS, ADMINS] })
  await addUser(query, 'keeps', { ...old, entraGroups: [ADMINS], groups: ['Admins', 'Circuits'], staff: true })
  await addUser(query, 'by hand', { ...old, entraGroups: [ENGINEERS], byHand: ['Engineers', 'Circuits'] })
  await addUser(query, 'never read', { groups: ['Circuits'], staff: true })
  await query(
    "update entra_readings set read_at = 'epoch' where user_id in (select id from users where is_staff) " +
      "and group_ids = '{}'",
  )
  await query("update user_groups set until = now() + interval '1 hour' where cause is null")
  const use = admin()
  const names: unknown[] = []
  const ended = await use.finish(await use.begin(ACTING), async () => {
    names.push((await applications.find(1))?.runner)
  })
  t.match(ended, { state: 'done', done: 3, gains: 0, losses: 2, tooOld: 3, runner: null, endedAt: /^20/ })
  t.ok(names.length > 1 && names.every((name) => name === 'host:4180'), 'who does it')
  t.strictSame(await rights(query), {
    ...{ gains: '', keeps: 'Admins staff', 'by hand': 'Engineers', 'never read': 'Circuits staff' },
  })
  const [byHand] = await query(
    'select until is not null as ends from user_groups where cause is null and until < now() ' +
      "+ interval '2 hours' and user_id = (select id from users where username = 'by hand')",
  )
  t.match(byHand, { ends: true }, 'a membership with an end keeps it')
})

// proves: policy-apply-refused
t.test('with requireMappedGroup the sessions of users to whom nothing is granted end', async (t) => {
  const { query, admin } = await scene(t, { policy: { ...POLICY, requireMappedGroup: true } })
  await addUser(query, 'mapped', { entraGroups: [ENGINEERS], groups: ['Engineers'] })
  await addUser(query, 'other', {})
  const use = admin()
  await use.finish(await use.begin(ACTING))
  t.strictSame(await query('select public_id from sessions'), [{ public_id: 'ses_mapped' }])
  t.match(await audited(query), [{}, { action: 'reevaluation.refused', detail: { sessions: ['ses_other'] } }, {}])
})

// proves: policy-apply-newer-snapshot
t.test('a user who signs in meanwhile keeps what the newer snapshot grants', async (t) => {
  const { query, database, admin, applications } = await scene(t)
  await addUser(query, 'sam', { entraGroups: [ADMINS] })
  const racing: PolicyApplications = {
    ...applications,
    async apply(person, options) {
      await query('update entra_readings set group_ids = $1, read_at = now()', [[ENGINEERS]])
      return await createPolicyApplications(database, OPTIONS).apply(person, options)
    },
  }
  const use = admin({ applications: racing })
  await use.finish(await use.begin(ACTING))
  t.strictSame(await rights(query), { sam: 'Engineers' })
})

// proves: policy-apply-replaced
t.test('where another version comes into force, the first one is not applied any further', async (t) => {
  const { query, admin, applications } = await scene(t)
  for (const name of ['a', 'b', 'c', 'd', 'e']) await addUser(query, name, { groups: ['Circuits'] })
  let applied = 0
  const racing: PolicyApplications = {
    ...applications,
    async apply(person, options) {
      if (applied++ === 2) await version(query, 2)
      return await applications.apply(person, options)
    },
  }
  const use = admin({ applications: racing })
  t.match(await use.finish(await use.begin(ACTING)), { version: 1, state: 'replaced' })
  const left = await query("select 1 from user_groups ug join groups g on g.id = ug.group_id where g.name = 'Circuits'")
  t.ok(left.length >= 2 && left.length < 5, `${left.length} are left to the newer version`)
  t.match((await audited(query)).at(-1), { action: 'policy.applied', detail: { state: 'replaced' } })
  t.equal(await applications.waiting(), undefined)
})

// proves: policy-apply-taken-over
t.test('a process that ends in the middle: another one goes on, and the first one writes no more', async (t) => {
  const { query, admin, applications } = await scene(t)
  for (const name of ['a', 'b', 'c', 'd', 'e']) await addUser(query, name, { groups: ['Circuits'] })
  let pages = 0
  const dying: PolicyApplications = {
    ...applications,
    async page(...request) {
      if (++pages === 2) throw new Error('the process ends')
      return await applications.page(...request)
    },
    release: async () => {},
  }
  const first = admin({ applications: dying })
  const number = await first.begin(ACTING)
  await t.rejects(first.finish(number), { message: 'the process ends' })
  t.match(await applications.find(number), { state: 'running', done: 2, losses: 2 })
  t.equal(await applications.waiting(), undefined, 'it may still run')
  await query("update policy_applications set written_at = now() - interval '1 minute'")
  t.equal(await applications.waiting(), number)
  await admin().takeUp()
  t.match(await applications.find(number), { state: 'done', done: 5, losses: 5 })
  t.match(Object.values(await rights(query)), ['', '', '', '', ''])

  await admin().begin(ACTING)
  let read = 0
  const overtaken = admin({
    applications: {
      ...applications,
      async page(...request) {
        read++
        await query("update policy_applications set runner = 'another process'")
        await query('insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g')
        return { ...await applications.page(...request), next: undefined }
      },
    },
  })
  await overtaken.takeUp()
  t.match(await query('select runner, pass, done from policy_applications'), [
    { runner: 'another process', pass: 'losses', done: 0 },
  ])
  t.equal(read, 1)
})

t.test('a local group that is removed meanwhile, and a user whose row is locked', async (t) => {
  const { url, query, admin, applications, failed } = await scene(t, { timeoutMs: 1_500 })
  await addUser(query, 'sam', { entraGroups: [ENGINEERS] })
  await addUser(query, 'max', { entraGroups: [ADMINS] })
  let hasRemoved = false
  const racing: PolicyApplications = {
    ...applications,
    async apply(person, options) {
      if (!hasRemoved) await query("delete from groups where name = 'Engineers'")
      hasRemoved = true
      return await applications.apply(person, options)
    },
  }
  const use = admin({ applications: racing })
  t.match(await use.finish(await use.begin(ACTING)), { state: 'done', failed: 0 })
  t.strictSame(await rights(query), { sam: '', max: 'Admins staff' })

  const locked = await connect(t, url)
  await query("update user_groups set cause = '[]'")
  const number = await use.begin(ACTING)
  await locked("begin; select from users where username = 'max' for update")
  t.match(await use.finish(number), { state: 'done', failed: 1 })
  t.strictSame(failed, ['max'])
  await locked('rollback')
})

// proves: policy-plan-in-force, policy-plan-until-commit
t.test('no plan of an earlier version is written once a newer one is in force', async (t) => {
  const { query, database } = await scene(t)
  await addUser(query, 'sam', {})
  const [user] = await query<{ userId: string, username: string, oid: string }>(
    'select user_id as "userId", username, oid from users join identities on user_id = id',
  )
  if (user === undefined) throw new Error('there is no user')
  const writer = createReevaluationWriter(database)
  const none = { grants: { groups: [], missing: [], staff: [], superuser: [] }, groupIds: [], sessionsValidFrom: null }
  const apply = async (policyHash: string) => {
    const snapshot = { readAt: await writer.now(), correlationId: 'c-2' }
    return await writer.apply(user, snapshot, { ...none, requireMappedGroup: false, policyHash })
  }
  t.match(await apply('hash of 1'), { superseded: false })
  let deployed: Promise<void> | undefined
  await database.transaction(async (tx) => {
    await requireDeployed(tx, 'hash of 1')
    deployed = database.transaction(async (other) => {
      await other.execute("select pg_advisory_xact_lock(hashtextextended('gatehouse policy', 0))")
      await version(query, 2)
    })
    t.ok(
      await until(async () =>
        (await query("select 1 from pg_stat_activity where wait_event = 'advisory' and datname = current_database()"))
          .length === 1
      ),
    )
    t.match(await query('select max(number) as newest from policy_versions'), [{ newest: 1 }])
  })
  await deployed
  t.equal(await apply('hash of 1'), 'outdated')
  t.match(await apply('hash of 2'), { superseded: false })
})
