// Seals of the audit: which rows are sealed and when; a row or a seal that changes, appears or disappears is found by
// `audit verify`.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  NO_SEAL,
  createIdSet,
  hashOfSeal,
  idRanges,
  isKnownSeal,
  macOfSeal,
  readIdRanges,
  type AuditSeal,
} from '../../src/core/audit-seals.js'
import { keepAuditMonths } from '../../src/store/audit-months.js'
import { createSealing } from '../../src/store/audit-sealing.js'
import { createAuditSealer, sealsAfter } from '../../src/store/audit-seals.js'
import { verifyAudit } from '../../src/store/audit-verification.js'
import { openDatabase, type Database } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { sweep } from '../../src/store/sweep.js'
import { createUserAdmin } from '../helpers/acts.js'
import { freshDatabase } from '../helpers/postgres.js'
import { postgresPrograms } from '../helpers/programs.js'
import { connect, withoutTriggers } from '../helpers/sql.js'
import { startStreamingPair } from '../helpers/streaming-pair.js'

const SECRETS = ['a secret of the tests that seals the audit']
const DAY = 86_400_000
const OPTIONS = { secrets: SECRETS, retentionMs: 400 * DAY }

const open = async (t: Test) => await openAt(t, await freshDatabase(t))

async function openAt(t: Test, url: string) {
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 3 })
  t.teardown(() => database.close())
  const query = await connect(t, url)
  const note = (count = 1, at = 'now()') =>
    query(`insert into audit_events (action, actor, username, detail, at) select 'login', 'login', 'sam',
      jsonb_build_object('n', n, 'oid', 'o'), ${at} from generate_series(1, ${count}) n`)
  const tamper = (statement: string) => query(withoutTriggers(statement))
  return { url, database, query, note, tamper, seal: sealerOf(database), verify: verifierOf(database) }
}

function sealerOf(database: Database, options = OPTIONS) {
  const sealer = createAuditSealer(database, options)
  return async () => (await sealer.run())?.rows
}

function verifierOf(database: Database) {
  return async (options: Partial<Parameters<typeof verifyAudit>[1]> = {}) => {
    const { broken, newest, ...counts } = await verifyAudit(database, { ...OPTIONS, ...options })
    return { ...counts, newest: newest?.number, fault: broken?.fault, broken: broken?.seal?.number }
  }
}

const WHOLE = { fault: undefined, broken: undefined }

/** Three seals: rows 1 to 3, 4 to 6 and 7 to 9. */
async function threeSeals(t: Test) {
  const opened = await open(t)
  for (const _ of [1, 2, 3]) {
    await opened.note(3)
    await opened.seal()
  }
  return opened
}

t.test('rows are sealed once, in order, and the seals are chained', async (t) => {
  const { query, note, seal, verify } = await open(t)
  t.equal(await seal(), 0)
  t.match(await verify(), { seals: 0, rows: 0, newest: undefined, ...WHOLE })
  await note(3)
  t.equal(await seal(), 3)
  t.equal(await seal(), 0, 'no seal without rows')
  await note(2)
  t.match(await verify(), { seals: 1, rows: 3, unsealed: 2, ...WHOLE })
  t.equal(await seal(), 2)
  t.match(await verify(), { seals: 2, rows: 5, unsealed: 0, newest: 2, ...WHOLE })
  const seals = await query<Record<string, string>>(
    `select number::int, ids, rows, encode(previous_hash, 'hex') as previous,
    encode(hash, 'hex') as hash from audit_seals order by number`,
  )
  t.match(seals, [{ number: 1, ids: '1-3', rows: 3, previous: NO_SEAL }, { number: 2, ids: '4-5', rows: 2 }])
  t.equal(seals[1]?.previous, seals[0]?.hash)
})

t.test('replicas that seal at the same time seal no row twice', async (t) => {
  const { database, note, verify } = await open(t)
  await note(50)
  const sealers = [1, 2, 3].map(() => sealerOf(database))
  await Promise.all(sealers.map((seal) => seal()))
  t.match(await verify(), { seals: 1, rows: 50, ...WHOLE })
  await note(1)
  for (const seal of sealers) await seal()
  t.match(await verify(), { seals: 2, rows: 51, ...WHOLE })
})

// proves: seal-one-replica
t.test('while one replica seals, the others do nothing, and no sign-in waits', async (t) => {
  const { url, query, note, seal, verify } = await open(t)
  await note(2)
  const other = await connect(t, url)
  await other("begin; select pg_advisory_xact_lock(hashtextextended('gatehouse audit seals', 0))")
  t.equal(await seal(), undefined)
  await query("set lock_timeout = '1s'")
  await note(1)
  await other('commit')
  t.equal(await seal(), 3)
  t.match(await verify(), { rows: 3, ...WHOLE })
})

t.test('a transaction that commits late is sealed late', async (t) => {
  const { url, query, note, seal, verify } = await open(t)
  const late = await connect(t, url)
  await note(2)
  await late("begin; insert into audit_events (action, actor) values ('late', 'x')")
  await note(2)
  t.equal(await seal(), 4)
  await late('commit')
  t.match(await verify(), { rows: 4, unsealed: 1, ...WHOLE })
  t.equal(await seal(), 1)
  t.match(await verify(), { rows: 5, unsealed: 0, ...WHOLE })
  await late("begin; insert into audit_events (action, actor) values ('undone', 'x'); rollback")
  await note(1)
  t.equal(await seal(), 1, 'an id without a row is none')
  t.strictSame((await query('select ids from audit_seals order by number')).map(({ ids }) => ids), [
    '1-2,4-5',
    '3',
    '7',
  ])
  t.match(await verify(), { rows: 6, unsealed: 0, ...WHOLE })
})

t.test('a replica that starts later goes on where the others were', async (t) => {
  const { database, url, note, seal, verify } = await open(t)
  const late = await connect(t, url)
  await note(1)
  await late("begin; insert into audit_events (action, actor) values ('late', 'x')")
  await note(1)
  await seal()
  await late('commit')
  t.equal(await sealerOf(database)(), 1)
  t.equal(await seal(), 0)
  t.match(await verify(), { rows: 3, unsealed: 0, ...WHOLE })
})

// proves: seal-rows, seal-count, seal-hash, seal-number
t.test('audit verify finds what was changed, deleted or inserted', async (t) => {
  for (
    const [what, statement, expected] of [
      ['a changed row', "update audit_events set detail = '{}' where id = 5", { fault: 'rows', broken: 2 }],
      ['a changed name', "update audit_events set username = 'kim' where id = 5", { fault: 'rows', broken: 2 }],
      ['a changed time', "update audit_events set at = at + interval '1 microsecond' where id = 5", { fault: 'rows' }],
      [
        'a name in place of a removed one',
        `update audit_events set username = 'kim', name_salt = null, name_commitment =
        sha256(convert_to(jsonb_build_array(name_salt, username, detail)::text, 'UTF8')) where id = 5`,
        { fault: 'rows', broken: 2 },
      ],
      [
        'rows in the place of each other',
        `update audit_events set id = -5 where id = 5; update audit_events set id = 5 where id = 6;
        update audit_events set id = 6 where id = -5`,
        { fault: 'rows', broken: 2 },
      ],
      ['a deleted row', 'delete from audit_events where id = 4', { fault: 'count', broken: 2 }],
      ['a deleted newest row', 'delete from audit_events where id = 9', { fault: 'count', broken: 3 }],
      [
        'a second row with a sealed id',
        "insert into audit_events (id, action, actor, at) values (5, 'x', 'x', now() + interval '2 months')",
        { fault: 'count', broken: 2 },
      ],
      ['a changed seal', "update audit_seals set last_at = last_at + interval '1 s' where number = 2", {
        fault: 'seal',
      }],
      ['a seal with other ids', "update audit_seals set ids = '4-5', rows = 2 where number = 2", { fault: 'seal' }],
      ['a deleted seal', 'delete from audit_seals where number = 2', { fault: 'number', broken: 3 }],
      ['a deleted first seal', 'delete from audit_seals where number = 1', { fault: 'number', broken: 2 }],
      ['a seal by another program', "update audit_seals set mac = sha256('x') where number = 3", {
        fault: 'mac',
        broken: 3,
      }],
    ] as const
  ) {
    await t.test(what, async (t) => {
      const { tamper, verify } = await threeSeals(t)
      t.match(await verify(), { seals: 3, rows: 9, ...WHOLE })
      await tamper(statement)
      t.match(await verify(), expected)
    })
  }
})

// proves: seal-previous-unknown
t.test('audit verify finds seals that were made anew by their own rules', async (t) => {
  const { database, query, tamper, seal, verify } = await threeSeals(t)
  const [newest] = await query<{ hash: string }>("select encode(hash, 'hex') as hash from audit_seals where number = 3")
  const expected = newest?.hash ?? ''
  t.match(await verify({ expected }), { ...WHOLE })
  await tamper("delete from audit_seals where number > 1; update audit_events set detail = '{}' where id = 5")
  await seal()
  t.match(await verify(), { rows: 9, ...WHOLE }, 'with the secret, past the database: only the hash elsewhere shows it')
  t.match(await verify({ expected }), { fault: 'absent' })

  const other = { ...OPTIONS, secrets: ['another secret, that the gateway does not have'] }
  await tamper('delete from audit_seals')
  await sealerOf(database, other)()
  t.match(await verify(), { fault: 'mac', broken: 1 })
  await query("insert into audit_events (action, actor) values ('x', 'x')")
  await seal() // the gateway goes on
  t.match(await verify(), { fault: 'previous', broken: 2 })
  const [vouched] = await query<{ hash: string }>(
    "select encode(hash, 'hex') as hash from audit_seals where number = 2",
  )
  t.match(await verify({ expected: vouched?.hash ?? '' }), WHOLE)
})

// proves: seal-chain, seal-ids-once
t.test('audit verify finds a seal that is right in itself and wrong in its place', async (t) => {
  const { database, tamper, verify } = await threeSeals(t)
  const [first, second, third] = await database.ask((db) => sealsAfter(db, 0, 3))
  if (!first || !second || !third) return t.fail('there are three seals')
  const forge = async (content: AuditSeal) => {
    const hash = hashOfSeal(content)
    await tamper(`update audit_seals set ids = '${content.ids}', rows_hash = '\\x${content.rowsHash}',
      previous_hash = '\\x${content.previousHash}', hash = '\\x${hash}', mac = '\\x${macOfSeal(hash, SECRETS[0] ?? '')}'
      where number = ${content.number}`)
  }
  await forge({ ...third, previousHash: first.hash })
  t.match(await verify(), { fault: 'chain', broken: 3 })
  await forge({ ...third, ids: second.ids, rowsHash: second.rowsHash })
  t.match(await verify(), { fault: 'ids', broken: 3 })
  await forge(third)
  t.match(await verify(), WHOLE)
})

// proves: seal-names-committed
t.test('a user who is removed leaves a whole seal, and their name cannot be put back', async (t) => {
  const { database, query, tamper, seal, verify } = await open(t)
  const admin = createUserAdmin(database)
  await admin.add({ username: 'sam', email: 'sam@example.com' }, 'test')
  await admin.add({ username: 'kim' }, 'test')
  await seal()
  const [sam] = await query<{ id: string }>("select id from users where username = 'sam'")
  await admin.remove(sam?.id ?? '', 'test')
  t.match(await verify(), { rows: 2, unsealed: 1, ...WHOLE })
  const [row] = await query(`select username, detail, name_salt, name_commitment is not null as committed
    from audit_events where id = 1`)
  t.match(row, { username: null, detail: {}, name_salt: null, committed: true })
  t.match(await query('select username, name_commitment from audit_events where id = 2'), [
    { username: 'kim', name_commitment: null },
  ])
  await seal()
  t.match(await verify(), { rows: 3, unsealed: 0, ...WHOLE })
  t.notMatch(JSON.stringify(await query('select * from audit_events where user_id = $1', [sam?.id])), /sam/)
  await tamper("update audit_events set username = 'max' where id = 1")
  t.match(await verify(), { fault: 'rows', broken: 1 })
})

t.test('a removal before the rows are sealed leaves rows that can be sealed', async (t) => {
  const { database, query, seal, verify } = await open(t)
  const admin = createUserAdmin(database)
  await admin.add({ username: 'sam' }, 'test')
  const [sam] = await query<{ id: string }>('select id from users')
  await admin.remove(sam?.id ?? '', 'test')
  t.equal(await seal(), 2)
  t.match(await verify(), { rows: 2, ...WHOLE })
})

// proves: seal-old-rows-salted
t.test('rows that are older than the seals are sealed in batches, with a salt of their own', async (t) => {
  const { database, query, tamper, note, verify } = await open(t)
  await note(12_500, "now() - interval '40 days' - n * interval '1 minute'")
  await tamper('update audit_events set name_salt = null')
  const [months] = await query<{ count: number }>(
    `select count(distinct date_trunc('month', at at time zone 'UTC'))::int
    as count from audit_events`,
  )
  const sealer = createAuditSealer(database, { ...OPTIONS, maxBatches: 2 })
  t.match(await sealer.run(), { rows: 10_000 })
  t.match(await sealer.run(), { rows: 2_500 })
  t.match(await verify(), { rows: 12_500, unsealed: 0, ...WHOLE })
  t.strictSame(await query('select count(distinct name_salt)::int as salts from audit_events'), [{ salts: 12_500 }])
  const spans = await query(`select number::int from audit_seals
    where date_trunc('month', first_at at time zone 'UTC') <> date_trunc('month', last_at at time zone 'UTC')`)
  t.strictSame(spans, [], 'a seal has rows of one month')
  t.equal((await query('select 1 from audit_seals')).length >= (months?.count ?? 9), true)
})

t.test('months that were dropped keep their seals, and the rest is verified as before', async (t) => {
  const { database, query, note, tamper, seal, verify } = await open(t)
  await query('drop table audit_events_before')
  const [month] = await query<{ name: string, since: string, until: string }>(`
    select to_char(start, '"audit_events_"YYYY_MM') as name, (start at time zone 'UTC')::text as since,
      ((start + interval '1 month') at time zone 'UTC')::text as until
    from (select date_trunc('month', now() at time zone 'UTC') - interval '14 months' as start) m`)
  await query(`create table ${month?.name} partition of audit_events for values from ('${month?.since}')
    to ('${month?.until}')`)
  await note(5, `'${month?.since}'::timestamptz + n * interval '1 day'`)
  await note(2)
  await seal()
  t.match(await verify(), { seals: 2, rows: 7, rowsPastRetention: 0, ...WHOLE })
  t.match(await keepAuditMonths(database, { ...OPTIONS, isClockConfirmed: true, isExported: false }), {
    dropped: [month?.name],
  })
  t.match(await verify(), { seals: 2, rows: 2, rowsPastRetention: 5, ...WHOLE })
  t.match(await verify({ retentionMs: 3_000 * DAY }), { fault: 'count', broken: 1 })
  await tamper("update audit_seals set rows_hash = sha256('x') where number = 1")
  t.match(await verify(), { fault: 'seal', broken: 1 }, 'the seal of a dropped month is part of the chain')
})

t.test('a short retention is kept to the row', async (t) => {
  const { database, note, seal, verify } = await open(t)
  await note(2, "now() - interval '3 days'")
  await note(2)
  await seal()
  const retentionMs = 2 * DAY
  const timeouts = { idleTimeoutMs: DAY, absoluteTimeoutMs: DAY, privilegedTimeoutMs: undefined }
  t.match(await sweep(database, { ...timeouts, retentionMs, isClockConfirmed: true, isExported: false }), { audit: 2 })
  t.match(await verify({ retentionMs }), { rows: 2, rowsPastRetention: 2, ...WHOLE })
})

// proves: seal-other-history
t.test('a database that was restored from a dump is verified and sealed on', async (t) => {
  const { url, query, note, seal, verify } = await threeSeals(t)
  const before = await query<{ row: string }>("select to_jsonb(e) #>> '{}' as row from audit_events e order by id")
  const seals = await query<{ row: string }>("select to_jsonb(s) #>> '{}' as row from audit_seals s order by number")
  const other = await open(t)
  // as pg_dump and psql do: rows come again by other transactions, the sequence continues
  for (const { row } of before) {
    await other.query('insert into audit_events select * from jsonb_populate_record(null::audit_events, $1)', [row])
  }
  for (const { row } of seals) {
    await other.query('insert into audit_seals select * from jsonb_populate_record(null::audit_seals, $1)', [row])
  }
  await other.query("select setval('audit_events_id_seq', 9)")
  t.not(other.url, url)
  t.match(await other.verify(), { seals: 3, rows: 9, unsealed: 0, ...WHOLE })
  await other.note(2)
  t.equal(await other.seal(), 2)
  t.match(await other.verify(), { seals: 4, rows: 11, ...WHOLE })

  await note(1) // and one that goes back to an older state under a replica that runs
  await seal()
  await query(withoutTriggers('delete from audit_events where id > 6; delete from audit_seals where number > 2'))
  await query("select setval('audit_events_id_seq', 6)")
  await note(2)
  t.equal(await seal(), 2)
  t.match(await verify(), { seals: 3, rows: 8, unsealed: 0, ...WHOLE })
})

t.test('audit verify finds that the owner has truncated the record, all of it or a month', async (t) => {
  for (const what of ['the record', 'the record, and its ids begin anew', 'a month']) {
    const { query, note, seal, verify } = await threeSeals(t)
    const [month] = await query<{ name: string }>('select tableoid::regclass::text as name from audit_events limit 1')
    if (what === 'a month') await query(`truncate ${month?.name}`)
    else await query(`truncate audit_events ${what === 'the record' ? '' : 'restart identity'}`)
    t.match(await verify(), { fault: 'count', broken: 1 }, what)
    await note(3)
    await seal()
    const other = what.includes('anew') ? 'rows' : 'count' // rows with the ids of those that are gone
    t.match(await verify(), { fault: other, broken: 1 }, `${what}, with rows that were added since`)
  }
})

t.test('truncated rows that are past their retention are counted as gone', async (t) => {
  const { query, note, seal, verify } = await open(t)
  await note(3, "now() - interval '500 days'")
  await seal()
  await query('truncate audit_events')
  t.match(await verify(), { seals: 1, rows: 0, rowsPastRetention: 3, ...WHOLE })
})

/** The distribution's PostgreSQL: it has the programs, and prepared transactions are switched on. */
t.test('the programs of PostgreSQL', async (t) => {
  const [pair, programs] = [await startStreamingPair(t), postgresPrograms(t)]
  if (pair === undefined || programs === undefined) return
  const { url, adminUrl } = pair.a
  const { note, seal, verify } = await openAt(t, url)

  await t.test('a prepared transaction that commits after its ids were passed is sealed late', async (t) => {
    const late = await connect(t, url)
    await note(2)
    await late("begin; insert into audit_events (action, actor) values ('late', 'x'); prepare transaction 'late'")
    await note(2)
    t.equal(await seal(), 4)
    t.match(await verify(), { rows: 4, unsealed: 0, ...WHOLE })
    await late("commit prepared 'late'")
    t.match(await verify(), { rows: 4, unsealed: 1, ...WHOLE })
    t.equal(await seal(), 1)
    t.match(await verify(), { seals: 2, rows: 5, unsealed: 0, ...WHOLE })
    await late("begin; insert into audit_events (action, actor) values ('undone', 'x'); prepare transaction 'undone'")
    await late("rollback prepared 'undone'")
    t.match(await verify(), { rows: 5, unsealed: 0, ...WHOLE })
  })

  await t.test('a dump by pg_dump that is restored by psql is verified and sealed on', async (t) => {
    const admin = await connect(t, adminUrl)
    await admin(`create database restored owner "${decodeURIComponent(new URL(url).username)}"`)
    const restored = new URL(url)
    restored.pathname = '/restored'
    const text = execFileSync(join(programs, 'pg_dump'), [url], { maxBuffer: 2 ** 26 })
    const into = ['--quiet', '--set=ON_ERROR_STOP=1', '--dbname', restored.href]
    execFileSync(join(programs, 'psql'), into, { input: text, stdio: ['pipe', 'ignore', 'inherit'] })
    const copy = await openAt(t, restored.href)
    t.match(await copy.verify(), { seals: 2, rows: 5, unsealed: 0, ...WHOLE })
    await copy.note(2)
    t.equal(await copy.seal(), 2)
    t.match(await copy.verify(), { seals: 3, rows: 7, unsealed: 0, ...WHOLE })
    const owner = await connect(t, Object.assign(new URL(adminUrl), { pathname: '/restored' }).href)
    await owner(withoutTriggers("update audit_events set actor = 'x' where id = 1"))
    t.match(await copy.verify(), { fault: 'rows', broken: 1 }, 'and what is changed then is found')
  })
})

t.test('no statement changes or deletes a row or a seal, not even as the owner', async (t) => {
  const { query, verify } = await threeSeals(t)
  const refused = { code: '42501' }
  for (
    const statement of [
      "update audit_events set action = 'x' where id = 1",
      "update audit_events set username = 'x' where id = 1",
      "update audit_events set detail = '{}' where id = 1",
      "update audit_events set username = null, detail = detail - 'n' where id = 1",
      'update audit_events set name_salt = gen_random_uuid() where id = 1',
      "update audit_events set username = null, detail = detail - 'oid', name_commitment = 'x' where id = 1",
      'delete from audit_events where id = 1',
      'update audit_seals set rows = 1',
      'delete from audit_seals',
      'truncate audit_seals',
    ]
  ) {
    await t.rejects(query(statement), refused, statement)
  }
  t.match(await verify(), { seals: 3, rows: 9, ...WHOLE })
})

// proves: seal-logged, seal-unknown-reported
t.test('the newest seal is logged once an hour, and one that another program made at once', async (t) => {
  const { database, query, note, tamper } = await open(t)
  const lines: unknown[] = []
  const line = (level: string) => (facts: object) => lines.push({ level, ...facts })
  let now = 0
  const log = { error: line('error'), warn: line('warn'), info: line('info') }
  const seal = createSealing(database, OPTIONS, log, () => now)
  const hash = async () =>
    (await query<{ hash: string }>(
      "select encode(hash, 'hex') as hash from audit_seals order by number desc limit 1",
    ))[0]?.hash
  await seal()
  t.strictSame(lines, [])
  await note()
  await seal()
  t.strictSame(lines.splice(0), [{ level: 'info', seal: 1, hash: await hash() }])
  now = 3_599_999
  await note()
  await seal()
  t.strictSame(lines, [])
  now = 3_600_000
  await seal()
  t.strictSame(lines.splice(0), [{ level: 'info', seal: 2, hash: await hash() }])
  now = 9_000_000
  await seal()
  t.strictSame(lines, [], 'nothing is new')
  await tamper("update audit_seals set mac = sha256('x') where number = 2")
  await note()
  await seal()
  t.match(lines, [{ level: 'error', seal: 3 }, { level: 'info', seal: 3 }])
})

t.test('sets of ids and seals by rotated secrets', async (t) => {
  t.equal(idRanges([1, 2, 3, 7, 9, 10]), '1-3,7,9-10')
  t.strictSame(readIdRanges('1-3,7,9-10'), [[1, 3], [7, 7], [9, 10]])
  t.strictSame(readIdRanges(idRanges([-5, -4, 3])), [[-5, -4], [3, 3]])
  for (const text of ['', '1-', '3-1', '1,1', '5,3', '1-3,2', 'x', '1 -2']) t.equal(readIdRanges(text), undefined, text)
  const set = createIdSet()
  const has = new Set<number>()
  let state = 7
  const random = (below: number) => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) % below
  for (let round = 0; round < 300; round++) {
    const first = random(900)
    const last = first + random(4)
    const overlaps = Array.from({ length: last - first + 1 }, (_, at) => has.has(first + at)).includes(true)
    t.equal(set.overlaps([first, last]), overlaps)
    set.add([first, last])
    for (let id = first; id <= last; id++) has.add(id)
  }
  const others = new Set(
    set.others().flatMap(([first, last]) => {
      const [from, to] = [Math.max(first, 0), Math.min(last, 1_000)]
      return Array.from({ length: Math.max(to - from + 1, 0) }, (_, at) => from + at)
    }),
  )
  t.strictSame(Array.from({ length: 1_001 }, (_, id) => id).filter((id) => has.has(id) === others.has(id)), [])
  const sealed = { hash: NO_SEAL, mac: macOfSeal(NO_SEAL, 'old') }
  t.ok(isKnownSeal(sealed, ['new', 'old']))
  t.notOk(isKnownSeal(sealed, ['new']))
})
