// Re-evaluation in a real PostgreSQL: which users are due, what expires, what a result changes, and what happens
// concurrently.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { AccountResult, EntraUser } from '../../src/core/account-source.js'
import type { DueUsers, ReevaluationWriter, Snapshot, StalenessExpiry } from '../../src/core/reevaluation-store.js'
import { openDatabase, type Database } from '../../src/store/database.js'
import { createDueUsers } from '../../src/store/due-users.js'
import { migrate } from '../../src/store/migrate.js'
import { createReevaluationWriter } from '../../src/store/reevaluation-writer.js'
import { createStalenessExpiry } from '../../src/store/staleness-expiry.js'
import { createReevaluationSchedule, type ReevaluationSchedule } from '../../src/reevaluation/scheduler.js'
import { freshDatabase } from '../helpers/postgres.js'
import { ENABLED, NOTHING_MAPPED } from '../helpers/reevaluation-scene.js'
import { connect, type Query } from '../helpers/sql.js'
import { createUserAdmin } from '../helpers/acts.js'

const TENANT = '11111111-1111-4111-8111-111111111111'
const OTHER_TENANT = '22222222-2222-4222-8222-222222222222'
const [SECOND, MINUTE, HOUR] = [1_000, 60_000, 3_600_000]
const CYCLE = 270 * SECOND
const DUE_QUERY = {
  cycleMs: CYCLE,
  usersPerSecond: 300,
  floor: { privilegedMs: 50 * MINUTE, othersMs: 24 * HOUR - 10 * MINUTE },
  runEveryMs: 15 * SECOND,
  stalenessLimitsMs: [HOUR, 24 * HOUR],
  overdueOnly: true,
}
const LIMITS = { privilegedMs: HOUR, maxMs: 24 * HOUR, unattemptedMs: undefined }
const OPTIONS = {
  tenantId: TENANT,
  idleTimeoutMs: 8 * HOUR,
  absoluteTimeoutMs: 48 * HOUR,
  privilegedTimeoutMs: undefined,
}
const NO_GRANTS = { groups: [], missing: [], staff: [], superuser: [] }
const NOTHING_GRANTED = { grants: NO_GRANTS, groupIds: [], sessionsValidFrom: null, requireMappedGroup: false }

interface Scene {
  readonly url: string
  readonly query: Query
  readonly database: Database
  readonly dueUsers: DueUsers
  readonly writer: ReevaluationWriter
  readonly expiry: StalenessExpiry
}

async function scene(t: Test, timeoutMs?: number): Promise<Scene> {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 20, ...(timeoutMs === undefined ? {} : { timeoutMs }) })
  t.teardown(() => database.close())
  return {
    url,
    database,
    query: await connect(t, url),
    dueUsers: createDueUsers(database, OPTIONS),
    writer: createReevaluationWriter(database),
    expiry: createStalenessExpiry(database, OPTIONS),
  }
}

/**
 * A user with flags and an active session. `readMs`: age of the snapshot; `triedMs`: time since the last failed
 * attempt; `missingMs`: time since Graph first found no account.
 */
async function addUser(
  { query }: Pick<Scene, 'query'>,
  name: string,
  { readMs = 0, triedMs, missingMs, tid = TENANT }: {
    readMs?: number
    triedMs?: number
    missingMs?: number
    tid?: string
  } = {},
): Promise<EntraUser> {
  const [row] = await query<{ userId: string, username: string, oid: string }>(
    `
    with u as (insert into users (username, username_key, is_staff, is_superuser) values ($1, $1, true, true) returning
      id),
    i as (insert into identities (tid, oid, user_id) select $2, gen_random_uuid(), id from u returning oid),
    s as (insert into sessions (id_hash, public_id, user_id, created_at) select decode(md5($1), 'hex'), 'ses_' || $1,
      id, now() - interval '25 hours' from u),
    r as (insert into entra_readings (user_id, group_ids, read_at) select id, '{}', now() - $3 * interval
      '1 millisecond' from u)
    select u.id as "userId", $1 as username, i.oid::text as oid from u, i`,
    [name, tid, readMs],
  )
  if (!row) throw new Error('the user was not added')
  if (triedMs !== undefined) {
    await query(
      "insert into entra_checks values ($1, now() - $2 * interval '1 millisecond', now() - $3::float8 * interval '1 " +
        "millisecond')",
      [row.userId, triedMs, missingMs ?? null],
    )
  }
  return row
}

const names = (users: readonly EntraUser[]) => users.map(({ username }) => username).sort()
const snapshotAt = (readAt: string): Snapshot => ({ readAt, correlationId: 'c0ffee00-0000-4000-8000-000000000000' })
const later = (time: string, ms: number): string => new Date(Date.parse(time) + ms).toISOString()
const allEnabled = async (oids: readonly string[]): Promise<ReadonlyMap<string, AccountResult>> =>
  new Map(oids.map((oid) => [oid, ENABLED]))

/** A schedule on the scene's database; the test calls its runs. `counts`: users by outcome. */
function scheduleOn(
  t: Test,
  { dueUsers, writer, expiry }: Scene,
  read: (oids: readonly string[]) => Promise<ReadonlyMap<string, AccountResult>> = allEnabled,
): { schedule: ReevaluationSchedule, counts: Map<string, number> } {
  const counts = new Map<string, number>()
  const nothing = (): void => {}
  const schedule = createReevaluationSchedule({
    ...NOTHING_MAPPED,
    dueUsers,
    writer,
    expiry,
    source: { batchSize: 10, read },
    leadership: { held: async () => true, release: async () => {} },
    pace: { intervalMs: 300 * SECOND, privilegedStalenessMs: HOUR, maxStalenessMs: 24 * HOUR },
    report: {
      changed: nothing,
      sessionsEnded: nothing,
      privilegesExpired: nothing,
      signInGrantsLost: nothing,
      usersFailed: nothing,
      runFailed: (error) => {
        t.error(error)
      },
      recovered: nothing,
      groupMissing: nothing,
      counted: (outcome, users) => counts.set(outcome, (counts.get(outcome) ?? 0) + users),
    },
    graceMs: 0,
  })
  t.teardown(() => schedule.close())
  return { schedule, counts }
}

// proves: sync-again-soon, sync-last-chance
t.test('failures back off exponentially up to the interval', async (t) => {
  const scenery = await scene(t)
  const cases = {
    'fresh': [{ readMs: CYCLE - 10 * SECOND }, false],
    'overdue': [{ readMs: CYCLE + SECOND }, true],
    'failed once, ten seconds ago': [{ readMs: CYCLE + 20 * SECOND, triedMs: 10 * SECOND }, false],
    'failed once, one run ago': [{ readMs: CYCLE + 20 * SECOND, triedMs: 16 * SECOND }, true],
    'failed after a minute overdue, half a minute ago': [{ readMs: CYCLE + 90 * SECOND, triedMs: 30 * SECOND }, false],
    'failed after a minute overdue, a minute ago': [{ readMs: CYCLE + 121 * SECOND, triedMs: 61 * SECOND }, true],
    'failed after half an hour, four minutes ago': [{ readMs: 30 * MINUTE, triedMs: 4 * MINUTE }, false],
    'failed after half an hour, a cycle ago': [{ readMs: 30 * MINUTE, triedMs: CYCLE + SECOND }, true],
    'past a limit, last attempt before it': [{ readMs: HOUR + SECOND, triedMs: 2 * MINUTE }, true],
    'past a limit, last attempt after it': [{ readMs: HOUR + 10 * SECOND, triedMs: 5 * SECOND }, false],
    'missing for fifty seconds': [{ readMs: CYCLE + SECOND, triedMs: 50 * SECOND, missingMs: 50 * SECOND }, false],
    'missing for a minute': [{ readMs: CYCLE + SECOND, triedMs: 61 * SECOND, missingMs: 61 * SECOND }, true],
    'of another tenant': [{ readMs: HOUR, tid: OTHER_TENANT }, false],
  } as const
  for (const [name, [state]] of Object.entries(cases)) await addUser(scenery, name, state)
  const wanted = Object.entries(cases).filter(([, [, due]]) => due).map(([name]) => name).sort()
  t.strictSame(names(await scenery.dueUsers.find(DUE_QUERY)), wanted)
  t.ok(
    names(await scenery.dueUsers.find({ ...DUE_QUERY, cycleMs: 27 * SECOND })).includes('missing for fifty seconds'),
    'a missing account is confirmed sooner in a short interval',
  )
  t.match(await scenery.dueUsers.overview(), { lagMs: Number, failedUsers: 8 }, 'missing is not a failure')
})

// proves: sync-failed-attempts, sync-attempted-since, sync-not-attempted, sync-other-tenant
// proves: sync-order-tenant
t.test('privileges and sessions expire where an attempt failed after the limit', async (t) => {
  const scenery = await scene(t)
  const { dueUsers, expiry, query } = scenery
  await addUser(scenery, 'fresh', { readMs: 23 * HOUR })
  await addUser(scenery, 'no attempt', { readMs: 25 * HOUR })
  await addUser(scenery, 'attempt after the first limit', { readMs: 25 * HOUR, triedMs: 24.5 * HOUR })
  await addUser(scenery, 'attempt after both limits', { readMs: 25 * HOUR, triedMs: SECOND })
  await addUser(scenery, 'of another tenant', { readMs: 25 * HOUR, tid: OTHER_TENANT })
  await query("insert into users (username, username_key, is_superuser) values ('local', 'local', true)")
  await query(
    "insert into sessions (id_hash, public_id, user_id) select '\\x00', 'ses_local', id from users where username = " +
      "'local'",
  )
  t.ok((await dueUsers.overview()).lagMs >= 25 * HOUR)
  const first = await expiry.expire(LIMITS)
  t.strictSame({ privileges: names(first.privileges), sessions: names(first.sessions) }, {
    privileges: ['attempt after both limits'],
    sessions: ['attempt after both limits'],
  })
  t.strictSame(first.sessions[0]?.sessions, ['ses_attempt after both limits'])
  t.strictSame(await expiry.expire(LIMITS), { privileges: [], sessions: [] })
  const unattempted = ['attempt after the first limit', 'no attempt', 'of another tenant']
  const second = await expiry.expire({ ...LIMITS, unattemptedMs: 22.5 * HOUR })
  t.strictSame(
    { privileges: names(second.privileges), sessions: names(second.sessions) },
    { privileges: unattempted, sessions: [] },
    'unattemptedMs after the limit they expire without an attempt',
  )
  t.strictSame(names((await expiry.expire({ ...LIMITS, unattemptedMs: 10 * MINUTE })).sessions), unattempted)
  t.match(await query("select is_superuser from users where username = 'local'"), [{ is_superuser: true }])
})

// proves: sync-judged-again, sync-left-locked
t.test('the expiry checks its condition again under the lock, and skips locked users', async (t) => {
  const scenery = await scene(t)
  const { database, query, url } = scenery
  const user = await addUser(scenery, 'signs in', { readMs: 25 * HOUR, triedMs: SECOND })
  const expiry = createStalenessExpiry(
    interrupted(database, () => query('update entra_readings set read_at = now()')),
    OPTIONS,
  )
  t.strictSame(await expiry.expire(LIMITS), { privileges: [], sessions: [] })
  await query("update entra_readings set read_at = now() - interval '25 hours'")
  const other = await connect(t, url)
  await other('begin')
  await other('select 1 from users where id = $1 for update', [user.userId])
  t.strictSame(await scenery.expiry.expire(LIMITS), { privileges: [], sessions: [] })
  await other('rollback')
  t.equal((await scenery.expiry.expire(LIMITS)).sessions.length, 1)
})

/** Calls `interrupt` after the first statement of each transaction. */
function interrupted(database: Database, interrupt: () => Promise<unknown>): Database {
  return {
    ...database,
    transaction: (work) =>
      database.transaction((tx) => {
        const execute = tx.execute.bind(tx)
        let statements = 0
        tx.execute = (async (statement: never) => {
          const result = await execute(statement)
          if (statements++ === 0) await interrupt()
          return result
        }) as never
        return work(tx)
      }),
  }
}

// proves: sync-older-disabled
t.test('a result that is older than the stored snapshot changes nothing', async (t) => {
  const scenery = await scene(t)
  const { writer, query } = scenery
  const user = await addUser(scenery, 'slow', { readMs: 0 })
  const old = snapshotAt(later(await writer.now(), -MINUTE))
  t.equal(await writer.disabled(user, old), undefined)
  t.equal(await writer.missing(user, old), undefined)
  t.match(await writer.apply(user, old, NOTHING_GRANTED), { superseded: true })
  t.strictSame(
    { checks: await query('select * from entra_checks'), sessions: (await query('select * from sessions')).length },
    { checks: [], sessions: 1 },
  )
  t.strictSame(await writer.disabled(user, snapshotAt(later(await writer.now(), SECOND))), ['ses_slow'])
})

// proves: sync-missing-minute
t.test('an account counts as deleted a minute after it was first missing', async (t) => {
  const scenery = await scene(t)
  const { writer } = scenery
  const user = await addUser(scenery, 'gone', { readMs: HOUR })
  const now = await writer.now()
  t.equal(await writer.missing(user, snapshotAt(now)), undefined)
  t.equal(await writer.missing(user, snapshotAt(later(now, 59 * SECOND))), undefined, '59 seconds')
  t.strictSame(await writer.missing(user, snapshotAt(later(now, 61 * SECOND))), ['ses_gone'])
})

// proves: sync-removed-person, sync-removed-group
t.test('a user or a local group that is removed during the re-evaluation', async (t) => {
  const scenery = await scene(t)
  const { writer, url, database, query } = scenery
  const user = await addUser(scenery, 'removed', { readMs: HOUR })
  const grants = { ...NO_GRANTS, groups: [{ id: '33333333-3333-4333-8333-333333333333', name: 'Gone', causes: [] }] }
  const snapshot = snapshotAt(await writer.now())
  t.equal(await writer.apply(user, snapshot, { ...NOTHING_GRANTED, grants }), 'outdated')
  const other = await connect(t, url)
  await other('begin')
  await other('delete from users where id = $1', [user.userId])
  const waiting = [writer.missing(user, snapshot), writer.disabled(user, snapshot), writer.failed([user])]
  await sleep(100) // they wait for the lock
  await other('commit')
  t.strictSame(await Promise.all(waiting), [undefined, undefined, undefined])
  t.equal(await writer.missing(user, snapshot), undefined)
  t.equal(await writer.apply(user, snapshot, NOTHING_GRANTED), undefined)

  for (const name of ['erased', 'deactivated', 'missing', 'stays']) {
    await addUser(scenery, name, { readMs: 10 * MINUTE })
  }
  const admin = createUserAdmin(database)
  const idOf = async (name: string) => String((await query('select id from users where username = $1', [name]))[0]?.id)
  const { schedule, counts } = scheduleOn(t, scenery, async (oids) => {
    const missing = await query<{ oid: string }>(
      "select oid::text from identities i join users u on u.id = i.user_id where username = 'missing'",
    )
    for (const name of ['erased', 'missing']) await admin.remove(await idOf(name), 'test')
    await admin.setActive(await idOf('deactivated'), false, 'test')
    return new Map(oids.map((oid) => [oid, missing.some((row) => row.oid === oid) ? { kind: 'missing' } : ENABLED]))
  })
  await schedule.run()
  t.strictSame({ failing: schedule.state().failing, counts: Object.fromEntries(counts) }, {
    failing: undefined,
    counts: { unchanged: 1, changed: 2, missing: 1 },
  })
  t.match(await query('select username, is_active from users order by 1'), [
    { username: 'deactivated', is_active: false },
    { username: 'stays', is_active: true },
  ])
  t.equal((await query('select * from sessions')).length, 1)
})

// proves: sync-locked-row
t.test('a locked row fails one user and does not delay the others', async (t) => {
  const scenery = await scene(t, 1_000)
  const locked = await addUser(scenery, 'locked', { readMs: 10 * MINUTE })
  for (const name of ['a', 'b', 'c']) await addUser(scenery, name, { readMs: 10 * MINUTE })
  const other = await connect(t, scenery.url)
  await other('begin')
  await other('select 1 from users where id = $1 for update', [locked.userId])
  const { schedule, counts } = scheduleOn(t, scenery)
  await schedule.run()
  t.strictSame(
    { changed: counts.get('changed'), failed: counts.get('failed'), failing: schedule.state().failing },
    { changed: 3, failed: 1, failing: 'database_unavailable' },
  )
  await other('commit')
  await schedule.run()
  t.equal(counts.get('changed'), 4)
  t.equal(schedule.state().failing, undefined)
})

t.test('after a long downtime thousands of users are re-evaluated before anything expires', async (t) => {
  const scenery = await scene(t)
  const { query } = scenery
  await query(`
    with u as (insert into users (username, username_key) select 'p' || n, 'p' || n from generate_series(1, 2100) n
      returning id),
    i as (insert into identities (tid, oid, user_id) select '${TENANT}', gen_random_uuid(), id from u),
    s as (insert into sessions (id_hash, public_id, user_id, created_at) select decode(md5(id::text), 'hex'), 'ses_' ||
      id, id, now() - interval '26 hours' from u),
    c as (insert into entra_checks (user_id, tried_at) select id, now() - interval '24.5 hours' from u)
    insert into entra_readings (user_id, group_ids, read_at) select id, '{}', now() - interval '25 hours' from u`)
  const { schedule, counts } = scheduleOn(t, scenery)
  while ((await query("select 1 from entra_readings where read_at < now() - interval '1 hour' limit 1")).length > 0) {
    await schedule.run()
  }
  t.strictSame(Object.fromEntries(counts), { unchanged: 2_100 })
  t.equal((await query('select * from sessions')).length, 2_100)
})
