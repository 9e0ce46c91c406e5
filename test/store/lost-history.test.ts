// A database that has lost the latest part of its history: each kind of tombstone takes away again what came back, and
// where it is not known what was taken away all sessions end.
import t, { type Test } from 'tap'
import { createHistory, type History } from '../../src/core/history.js'
import { TAKINGS, type TakingKind } from '../../src/core/tombstones.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import { openDatabase } from '../../src/store/database.js'
import { createReconciler, type OnLostHistory } from '../../src/store/lost-history/reconcile.js'
import { migrate } from '../../src/store/migrate.js'
import { createPolicyVersionStore } from '../../src/store/policy-versions.js'
import { openServerOfRecord, serverAt } from '../../src/store/server-of-record/server-of-record.js'
import { startTestGateway } from '../helpers/gateway.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, withoutTriggers, type Query } from '../helpers/sql.js'
import { TARGET } from '../helpers/targets.js'
import { until } from '../helpers/until.js'

const USER = '10000000-0000-4000-8000-000000000000'
const OTHER = '20000000-0000-4000-8000-000000000000'
const GROUP = '30000000-0000-4000-8000-000000000000'
const TENANT = '40000000-0000-4000-8000-000000000000'
const HASH = 'a'.repeat(64)
const SECRETS = ['a-secret-that-is-long-enough-for-a-key']

const SESSION = `insert into sessions (id_hash, public_id, user_id) values ('\\x${HASH}', 'ses_1', '${USER}')`
const PERSON = `insert into users (id, username, username_key) values ('${USER}', 'anna', 'anna')`
const IDENTITY = `insert into identities (tid, oid, user_id) values ('${TENANT}', '${OTHER}', '${USER}')`

interface Scene {
  readonly subject: string
  /** What the database has after the loss, as before the change. */
  readonly back: string
  /** Finds it. */
  readonly find: string
}

const SCENES: Readonly<Record<TakingKind, Scene>> = {
  'session.ended': { subject: HASH, back: SESSION, find: 'select from sessions' },
  'user.removed': { subject: USER, back: IDENTITY, find: 'select from users' },
  'user.deactivated': { subject: USER, back: 'select', find: 'select from users where is_active' },
  'staff.lost': {
    subject: USER,
    back: "update users set is_staff = true, staff_cause = '[]', staff_since = now()",
    find: 'select from users where is_staff or staff_cause is not null or staff_since is not null',
  },
  'superuser.lost': {
    subject: USER,
    back: "update users set is_superuser = true, superuser_cause = '[]', superuser_since = now()",
    find: 'select from users where is_superuser or superuser_cause is not null or superuser_since is not null',
  },
  'group.lost': {
    subject: `${USER}/${GROUP}`,
    back: `insert into user_groups (user_id, group_id) values ('${USER}', '${GROUP}')`,
    find: 'select from user_groups',
  },
  'group.removed': { subject: GROUP, back: 'select', find: 'select from groups' },
  'permission.lost': {
    subject: `${GROUP}/wiki/edit`,
    back: `insert into group_permissions (group_id, permission) values ('${GROUP}', 'wiki/edit')`,
    find: 'select from group_permissions',
  },
  'identity.lost': { subject: `${USER}/${TENANT}/${OTHER}`, back: IDENTITY, find: 'select from identities' },
  'token.revoked': {
    subject: 'tok_AAAAAAAAAAAA',
    back: `insert into tokens (id, kind, name, owner_id, scopes, hash, created_by, expires_at) values
      ('tok_AAAAAAAAAAAA', 'admin', 'n', '${USER}', '{gatehouse.read}', '\\x00', 'test', now() + interval '1 day')`,
    find: 'select from tokens where revoked_at is null',
  },
  'key.withdrawn': {
    subject: 'leaked',
    back: "insert into signing_keys (kid, public_jwk, sealed_private_key) values ('leaked', '{}', '')",
    find: "select from signing_keys where kid = 'leaked'",
  },
  'policy.added': { subject: '7', back: 'select', find: 'select from outbox where version_floor < 7' },
}

async function open(t: Test): Promise<{ url: string, query: Query }> {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await query(PERSON)
  await query(`insert into groups (id, name) values ('${GROUP}', 'g')`)
  return { url, query }
}

function reconciler(history: History, replica = 'test', onLostHistory: OnLostHistory = 'reapply') {
  const lines: Record<string, unknown>[] = []
  const log = { error: (facts: object, msg: string) => lines.push({ ...facts, msg }) }
  return { ...createReconciler({ history, replica, onLostHistory, encryptionSecrets: SECRETS, log }), lines }
}

t.test('each kind is taken away again', async (t) => {
  t.strictSame(Object.keys(SCENES), Object.keys(TAKINGS), 'each kind has a scene')
  for (const [kind, { subject, back, find }] of Object.entries(SCENES)) {
    const { url, query } = await open(t)
    const server = serverAt(url).current()
    const history = createHistory()
    const { reconcile, lastLoss, lines } = reconciler(history)
    await reconcile(server)
    t.equal(lastLoss(), undefined, 'nothing was taken away')
    history.tombstones.record({ kind, subjects: [subject] })
    await query(back)
    t.equal((await query(find)).length, 1, kind)
    await reconcile(server)
    t.strictSame(await query(find), [], `${kind} is gone again`)
    t.match(lastLoss(), { takenAgain: { [kind]: 1 }, sessionsEnded: undefined })
    t.match(lines, [{ takenAgain: { [kind]: 1 } }])
    await reconcile(server)
    const audit = await query("select actor, detail from audit_events where action = 'history.lost'")
    t.match(audit, [{ actor: 'system', detail: { replica: 'test', takenAgain: { [kind]: 1 } } }])
    t.equal(audit.length, 1, 'recorded once')
    if (kind === 'user.removed') t.equal((await query('select from retired_usernames')).length, 1, 'the name is kept')
    if (kind === 'key.withdrawn') t.equal((await query('select from signing_keys')).length, 1, 'another key signs')
  }
})

/** What replicas receive, as the triggers record it. */
async function receive(query: Query, history: History, kind: TakingKind): Promise<readonly (readonly string[])[]> {
  const changes = await query<{ kind: string, subjects: string[] }>('select kind, subjects from changes order by id')
  for (const change of changes) history.tombstones.record(change)
  return changes.filter((change) => change.kind === kind).map(({ subjects }) => subjects)
}

t.test('a membership whose end was moved sooner is gone altogether: its later end does not come back', async (t) => {
  const { url, query } = await open(t)
  const server = serverAt(url).current()
  const history = createHistory()
  const { reconcile, lastLoss } = reconciler(history)
  await query(`insert into user_groups (user_id, group_id, until) values
    ('${USER}', '${GROUP}', now() + interval '30 days')`)
  await reconcile(server)
  await query('truncate changes')
  await query("update user_groups set until = now() + interval '1 hour'")
  t.strictSame(await receive(query, history, 'group.lost'), [[`${USER}/${GROUP}`]])
  await restore(query, "update user_groups set until = now() + interval '30 days'")
  await reconcile(server)
  t.strictSame(await query('select until from user_groups'), [])
  t.match(lastLoss(), { takenAgain: { 'group.lost': 1 } })

  await query(`insert into user_groups (user_id, group_id, until) values
    ('${USER}', '${GROUP}', now() + interval '1 hour')`)
  await query("update user_groups set until = now() + interval '30 days'")
  await receive(query, history, 'group.lost')
  await restore(query, "update user_groups set until = now() + interval '1 hour'")
  await reconcile(server)
  t.equal((await query('select until from user_groups')).length, 1, 'a later end that was lost is not given again')
})

// proves: lost-version-numbers
t.test('numbers of versions of the policy go on above those that were lost', async (t) => {
  const { url, query } = await open(t)
  const server = serverAt(url).current()
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const versions = createPolicyVersionStore(database)
  const add = (hash: string) =>
    versions.addLoaded({ text: '', hash, findings: [], author: 'test', release: '1', highestKnown: 0 })
  const history = createHistory()
  const { reconcile, lastLoss } = reconciler(history)
  t.match(await add('a'), { number: 1 })
  await reconcile(server)
  t.match([await add('b'), await add('c')], [{ number: 2 }, { number: 3 }])
  t.strictSame(await receive(query, history, 'policy.added'), [['1'], ['2'], ['3']], 'no replica runs them yet')
  await restore(query, 'delete from policy_versions where number > 1')
  await reconcile(server)
  t.match(lastLoss(), { takenAgain: { 'policy.added': 1 } })
  t.match(await add('d'), { number: 4, isNew: true })
  await reconcile(server)
  t.match(await add('e'), { number: 5 })
})

// proves: lost-unknown, admin-lost-history
t.test('where it is not known what was taken away, all sessions end, once', async (t) => {
  const { url, query } = await open(t)
  const record = await openServerOfRecord({ url, log: { error: () => {}, warn: () => {}, info: () => {} } })
  record.close()
  const server = record.current()
  const known = createHistory()
  const unknown = createHistory()
  const one = reconciler(known, 'one')
  const two = reconciler(unknown, 'two')
  await one.reconcile(server)
  await two.reconcile(server)
  for (const history of [known, unknown]) history.confirmed(history.next())
  unknown.tombstones.gap()
  await query(SESSION)
  await query(
    `insert into admin_sessions (id_hash, session_id, authenticated_at) values ('\\x${HASH}', 'ses_1', now())`,
  )
  await one.reconcile(server)
  t.strictSame(await query('select from admin_sessions'), [], 'sessions of the console end in any case')
  t.match(one.lastLoss(), { takenAgain: {}, sessionsEnded: undefined }, 'a heartbeat is missing, and all is known')
  t.equal((await query('select from sessions')).length, 1)
  await two.reconcile(server)
  t.match(two.lastLoss(), { sessionsEnded: 1 })
  t.strictSame(await query('select from sessions'), [])
  await query(SESSION)
  const third = createHistory()
  third.confirmed(third.next())
  third.confirmed(third.next())
  third.tombstones.gap()
  await reconciler(third, 'three').reconcile(server)
  t.equal(
    (await query('select from sessions')).length,
    1,
    'sessions that began after the first replica ended all go on',
  )
})

// proves: lost-again
t.test('each loss ends all sessions, also where a backup has the row of the loss before', async (t) => {
  const { url, query } = await open(t)
  const record = await openServerOfRecord({ url, log: { error: () => {}, warn: () => {}, info: () => {} } })
  record.close()
  const server = record.current()
  const lose = async (history: History, name: string) => {
    const { reconcile, lastLoss } = reconciler(history, name)
    history.confirmed(history.next())
    history.confirmed(history.next())
    history.tombstones.gap()
    await query(`update replicas set heartbeats = 0`)
    t.ok(await reconcile(server), 'a loss')
    return lastLoss()?.sessionsEnded
  }
  const [one, two] = [createHistory(), createHistory()]
  await query(SESSION)
  t.equal(await lose(one, 'one'), 1)
  await query(SESSION)
  t.equal(await lose(one, 'one'), 1, 'the same replica')
  await query(SESSION)
  t.equal(await lose(two, 'two'), undefined, 'another one, because of the same loss')
  await query(withoutTriggers("update audit_events set at = at - interval '3 minutes'"))
  t.equal(await lose(two, 'two'), 1, 'another one, later')
})

// proves: lost-reported
t.test('a loss whose commit was not confirmed is reported by the next attempt', async (t) => {
  const { url, query } = await open(t)
  const server = serverAt(url).current()
  const history = createHistory()
  const { reconcile, lastLoss } = reconciler(history)
  await reconcile(server)
  history.confirmed(history.next())
  history.tombstones.gap()
  await query(SESSION)
  await query(
    "create function warn() returns trigger language plpgsql as 'begin raise warning ''x''; return null; end'",
  )
  await query(`create constraint trigger warn after insert or update on replicas deferrable initially deferred
    for each row execute function warn()`)
  await t.rejects(reconcile(server), { code: 'database_unavailable', facts: { reason: 'unconfirmed' } })
  t.equal(lastLoss(), undefined)
  t.strictSame(await query('select from sessions'), [], 'committed, with a warning')
  await query('drop trigger warn on replicas')
  await reconcile(server)
  t.match(lastLoss(), { sessionsEnded: 1 })
})

// proves: lost-locked, lost-failure-named, lost-comparison-given-up
t.test('a comparison waits two seconds for a lock, and names its failure', async (t) => {
  const { url, query } = await open(t)
  const server = serverAt(url).current()
  const history = createHistory()
  const { reconcile, lastLoss } = reconciler(history)
  await query('begin; lock table replicas in access exclusive mode')
  await t.rejects(reconcile(server), { code: 'database_unavailable', message: /lock timeout/ })
  const another = new AbortController()
  const given = reconcile(server, another.signal)
  setTimeout(() => another.abort(), 500)
  const givenUp: unknown = await given.catch((error: unknown) => error)
  t.type(givenUp, Error)
  t.notMatch(String(givenUp), /lock timeout/, 'given up where another server is used')
  await query('rollback')
  history.tombstones.record({ kind: 'session.ended', subjects: [HASH] })
  await query(SESSION)
  await reconcile(server)
  t.match(lastLoss(), { takenAgain: { 'session.ended': 1 } }, 'the next attempt compares')
})

t.test('with endSessions, a loss ends all sessions', async (t) => {
  const { url, query } = await open(t)
  const server = serverAt(url).current()
  const history = createHistory()
  const { reconcile, lastLoss } = reconciler(history, 'one', 'endSessions')
  await reconcile(server)
  await query(SESSION)
  await reconcile(server)
  t.equal(lastLoss(), undefined, 'the same server, with its whole history')
  history.confirmed(history.next())
  await reconcile(server)
  t.match(lastLoss(), { sessionsEnded: 1 })
})

/** Rows as an older backup has them: the triggers do not notice. */
async function restore(query: Query, ...statements: readonly string[]): Promise<void> {
  for (
    const statement of ["set session_replication_role = 'replica'", ...statements, 'reset session_replication_role']
  ) {
    await query(statement)
  }
}

// proves: lost-counter, lost-cache
t.test('a database that is restored under a running replica', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const status = async (browser: Awaited<ReturnType<typeof gateway.signIn>>['browser']): Promise<number> =>
    (await gateway.ask('/oauth2/auth', { browser, headers: TARGET })).status
  const losses = () => gateway.log.filter(({ msg }) => String(msg).startsWith('the database has lost'))
  const { browser: kept } = await gateway.signIn(PERSON_IDS.many)
  const { browser: ended } = await gateway.signIn(PERSON_IDS.guest)
  const cookie = ended.cookieHeader(gateway.url)
  await query('create table backup as select * from sessions')
  await until(async () => ((await query<{ n: number }>('select heartbeats::int as n from replicas'))[0]?.n ?? 0) > 3)
  await ended.ask(`${gateway.url}/oauth2/sign_out`, { method: 'POST', form: {} })
  t.equal((await gateway.ask('/oauth2/auth', { headers: { ...TARGET, cookie } })).status, 401)

  await restore(
    query,
    'insert into sessions select * from backup on conflict do nothing',
    'update replicas set heartbeats = heartbeats - 1',
  )
  await until(() => losses().length > 0)
  t.match(losses(), [{ level: 'error', heartbeatsLost: Number, takenAgain: { 'session.ended': 1 } }])
  t.equal((await gateway.ask('/oauth2/auth', { headers: { ...TARGET, cookie } })).status, 401, 'ended again')
  t.equal(await status(kept), 200)

  await gateway.signIn(PERSON_IDS.staff)
  const { browser: unknown } = await gateway.signIn(PERSON_IDS.superuser)
  t.equal(await status(unknown), 200)
  await restore(
    query,
    "delete from sessions where user_id in (select id from users where username like 'sue%')",
    'update replicas set heartbeats = heartbeats - 1',
  )
  await until(() => losses().length > 1)
  t.equal(await status(unknown), 401, 'a session that the backup lacks is over, also in memory')
  t.equal(await status(kept), 200)

  await restore(query, 'delete from replicas')
  await until(() => losses().length > 2)
  t.match(losses().at(-1), { sessionsEnded: 2 }, 'a backup from before the start of this replica')
  t.equal(await status(kept), 401)
})
