// The export of the audit to real receivers, over a real database: what is delivered, when it is tried again, and what
// happens where a transaction commits late, a receiver refuses, or the leader is lost.
import { createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createAuditExporter, type ExportReport } from '../../src/audit-export/exporter.js'
import { createWebhook } from '../../src/audit-export/webhook.js'
import { retryPauseMs, type AuditReceiver, type ExportFailure } from '../../src/core/audit-export.js'
import { auditRecord, type AuditView } from '../../src/core/audit.js'
import { batchId, webhookKey } from '../../src/core/webhook-signature.js'
import { createExportQueue, readExportState } from '../../src/store/audit-export-queue.js'
import { listAudit } from '../../src/store/audit-list.js'
import { keepAuditMonths } from '../../src/store/audit-months.js'
import { openDatabase } from '../../src/store/database.js'
import { createLock } from '../../src/store/leadership.js'
import { migrate } from '../../src/store/migrate.js'
import { sweep } from '../../src/store/sweep.js'
import { accept, eventsOf, startHttpReceiver, type HttpReceiver } from '../helpers/audit-receivers.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, endConnections, withoutTriggers } from '../helpers/sql.js'
import { until } from '../helpers/until.js'

const SECRET = `whsec_${Buffer.from('a key of the tests, of 32 bytes.').toString('base64')}`
const KEY = webhookKey(SECRET) ?? Buffer.alloc(0)
const DAY = 86_400_000

interface Reported {
  readonly delivered: [events: number, rejected: number][]
  readonly failures: ExportFailure[]
  readonly broken: unknown[]
}

async function open(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const note = (action = 'login', count = 1) =>
    query(`insert into audit_events (action, actor, username, detail)
      select '${action}', 'login', 'sam', jsonb_build_object('n', n) from generate_series(1, ${count}) n returning id`)
  const receiver = await startHttpReceiver(t)
  return { url, query, note, receiver }
}

/** One replica. */
function replica(
  t: Test,
  url: string,
  receiver: HttpReceiver | AuditReceiver,
  timeoutMs = 5_000,
  now = () => performance.now(),
  section = 'a section',
) {
  const database = openDatabase({ server: url, poolSize: 3 })
  t.teardown(() => database.close())
  const reported: Reported = { delivered: [], failures: [], broken: [] }
  const report: ExportReport = {
    delivered: (...counts) => reported.delivered.push(counts),
    failed: (failure) => reported.failures.push(failure),
    broken: (error) => reported.broken.push(error),
  }
  const exporter = createAuditExporter({
    queue: createExportQueue(database, section),
    receiver: 'send' in receiver
      ? receiver
      : createWebhook({ url: receiver.url, key: KEY, userAgent: 'gatehouse/test', timeoutMs }),
    leadership: createLock({ server: url, name: 'gatehouse audit export' }),
    report,
    intervalMs: 20,
    random: () => 0,
    now,
  })
  t.teardown(() => exporter.close())
  return { exporter, reported, database }
}

const idsOf = (receiver: HttpReceiver) => receiver.requests.flatMap((request) => eventsOf(request).map(({ id }) => id))
const allIds = async (query: Awaited<ReturnType<typeof connect>>) =>
  (await query<{ id: string }>('select id::text from audit_events order by audit_events.id')).map(({ id }) => id)
/** The pause after a failure is over. */
const retryNow = (query: Awaited<ReturnType<typeof connect>>) => query('update audit_exports set retry_at = null')

// proves: audit-export-signature
t.test('a webhook has the events as lists have them, and a signature of Standard Webhooks', async (t) => {
  const { url, query, note, receiver } = await open(t)
  await note('login')
  await query(
    `insert into audit_events (action, actor, user_id, username, correlation_id, detail) values ('login.refused',
    'login', gen_random_uuid(), E'M\\u00fcller \\u202e', 'c1', '{"reason": "no \\u2028 group"}')`,
  )
  const { exporter, reported, database } = replica(t, url, receiver)
  await exporter.run()
  const [request] = receiver.requests
  t.equal(receiver.requests.length, 1)
  const listed = (await listAudit(database, {})).rows.map(auditRecord).reverse()
  t.strictSame(eventsOf(request), listed, 'all fields, in the order of their ids')
  t.match(request?.headers, { 'content-type': 'application/json', 'user-agent': 'gatehouse/test' })
  const { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signature } = request?.headers ?? {}
  t.equal(id, batchId(listed))
  t.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 60, 'the time of this attempt')
  const expected = createHmac('sha256', Buffer.from('a key of the tests, of 32 bytes.'))
    .update(`${String(id)}.${String(seconds)}.${request?.body}`).digest('base64')
  t.equal(signature, `v1,${expected}`)
  t.strictSame(reported.delivered, [[2, 0]])
  await exporter.run()
  t.equal(receiver.requests.length, 1, 'nothing is sent twice, and nothing without events')
})

t.test('the key of a webhook is base64 of 24 to 64 bytes', async (t) => {
  const bytes = Buffer.from('0123456789abcdef0123456789abcdef')
  for (const secret of [`whsec_${bytes.toString('base64')}`, bytes.toString('base64'), SECRET]) {
    t.ok(webhookKey(secret), secret)
  }
  t.strictSame(webhookKey(bytes.toString('base64')), bytes)
  for (
    const secret of ['', 'whsec_', 'c2hvcnQ=', 'not base64 at all, with spaces!', Buffer.alloc(65).toString('base64')]
  ) {
    t.equal(webhookKey(secret), undefined, secret)
  }
})

t.test('a row whose transaction commits after a delivery is delivered then, and no id is passed over', async (t) => {
  const { url, query, note, receiver } = await open(t)
  const late = await connect(t, url)
  const { exporter, database } = replica(t, url, receiver)
  await note()
  await late("begin; insert into audit_events (action, actor) values ('group.add', 'cli:root')")
  const [rolledBack] = await query<{ id: string }>("select nextval('audit_events_id_seq') as id") // an id without a row
  await note('login', 3)
  for (let runs = 0; runs < 4; runs++) await exporter.run()
  t.strictSame(idsOf(receiver), ['1', '4', '5', '6'])
  const delivered = async () =>
    (await query<{ set: string }>('select delivered::text as set from audit_exports'))[0]?.set
  t.equal(await delivered(), '{[1,2),[4,7)}', 'two ids are open: a row may come with each')
  await note()
  await exporter.run()
  await late('commit')
  await exporter.run()
  t.strictSame(idsOf(receiver), ['1', '4', '5', '6', '7', '2'])
  for (let runs = 0; runs < 4; runs++) await exporter.run()
  t.equal(rolledBack?.id, '3')
  t.equal(await delivered(), '{(,8)}', 'once no transaction is left that could have it, the id is closed')
  t.match(await readExportState(database, DAY), { pending: 0, oldestPendingSeconds: null, delivered: 6 })
})

// proves: audit-export-writers
t.test('an id is not closed while the transaction that took it is open, however many end meanwhile', async (t) => {
  const { url, query, note, receiver } = await open(t)
  const late = await connect(t, url)
  const { exporter } = replica(t, url, receiver)
  await late('begin; lock table audit_events in row exclusive mode') // as an insert does before it takes an id
  await late("select nextval('audit_events_id_seq')")
  await note('login', 5)
  for (let runs = 0; runs < 5; runs++) await exporter.run()
  await late("insert into audit_events (id, action, actor) values (1, 'group.add', 'cli:root')")
  await note()
  for (let runs = 0; runs < 3; runs++) await exporter.run()
  await late('commit')
  for (let runs = 0; runs < 3; runs++) await exporter.run()
  t.strictSame(idsOf(receiver).sort(), (await allIds(query)).sort())
})

// proves: audit-export-late-row
t.test('a row that commits after the last look is not passed over when ids are closed', async (t) => {
  const { url, query, note, receiver } = await open(t)
  const late = await connect(t, url)
  const { exporter, database } = replica(t, url, receiver)
  const queue = createExportQueue(database, 'a section')
  await note()
  await late("begin; insert into audit_events (action, actor) values ('group.add', 'cli:root')")
  await note('login', 2)
  await exporter.run() // notes which transactions are open
  await late('commit')
  for (let times = 0; times < 3; times++) await queue.settle()
  await exporter.run()
  t.strictSame(idsOf(receiver), ['1', '3', '4', '2'])
  for (let times = 0; times < 3; times++) await queue.settle()
  t.strictSame(await query('select delivered::text as set from audit_exports'), [{ set: '{(,5)}' }])
})

// proves: audit-export-accepted, audit-export-backoff
t.test('whatever is not accepted is tried again, after longer pauses, and nothing overtakes it', async (t) => {
  const { url, query, note, receiver } = await open(t)
  await note('login', 2)
  const { exporter, reported, database } = replica(t, url, receiver, 300)
  const pauses: number[] = []
  const redirect = { location: `${receiver.url.href}/elsewhere` }
  const answers: readonly [cause: string, answer: HttpReceiver['answer']][] = [
    ['unavailable', (response) => response.writeHead(503).end()],
    ['unavailable', (response) => response.writeHead(500).end('x'.repeat(200_000))],
    ['redirected', (response) => response.writeHead(307, redirect).end()],
    ['unreachable', (response) => response.destroy()],
    ['timeout', () => {}],
    ['timeout', (response) => {
      response.writeHead(200).write('so far')
    }],
    ['unavailable', (response) => response.writeHead(429).end()],
    ['refused', (response) => response.writeHead(401).end()],
  ]
  for (const [index, [cause, answer]] of answers.entries()) {
    receiver.answer = answer
    for (let runs = 0; reported.failures.length === index && runs < 5; runs++) await exporter.run() // one may yield
    t.equal(reported.failures.at(-1)?.cause, cause)
    const [row] = await query<{ ms: number }>(
      'select (extract(epoch from retry_at - clock_timestamp()) * 1000)::float8 as ms from audit_exports',
    )
    pauses.push(row?.ms ?? 0)
    const before = receiver.requests.length
    for (let runs = 0; runs < 4; runs++) await exporter.run()
    t.equal(receiver.requests.length, before, 'not before its time')
    await retryNow(query)
    await note()
  }
  t.ok(pauses.every((ms, index) => index === 0 || ms > (pauses[index - 1] ?? 0) * 1.5), String(pauses))
  t.equal(receiver.requests.filter(({ path }) => path !== '/events').length, 0, 'no redirect is followed')
  t.match(await readExportState(database, DAY), {
    delivered: 0,
    pending: 10,
    failing: { cause: 'refused', detail: 'it answered 401', failures: 8 },
  })
  const refused = receiver.requests.length
  receiver.answer = accept
  for (let runs = 0; runs < 4; runs++) await exporter.run()
  const accepted = receiver.requests.slice(refused).flatMap((request) => eventsOf(request).map(({ id }) => id))
  t.strictSame(accepted, await allIds(query), 'all, once, in order')
  t.match(await readExportState(database, DAY), { delivered: 10, pending: 0, failing: null })
})

// proves: audit-export-retry-after
t.test('the pause doubles from a second to five minutes, with jitter, and Retry-After counts', async (t) => {
  t.strictSame([0, 1, 2, 7, 8, 9, 50].map((failures) => retryPauseMs(failures, undefined, 1) / 1000), [
    1,
    2,
    4,
    128,
    256,
    300,
    300,
  ])
  t.equal(retryPauseMs(0, undefined, 0), 500)
  t.equal(retryPauseMs(0, 120_000, 0), 120_000)
  t.equal(retryPauseMs(9, 1_000, 1), 300_000, 'a shorter one than the pause does not')
  t.equal(retryPauseMs(0, 10 ** 9, 0), 3_600_000, 'nor one of days')
  const { url, query, note, receiver } = await open(t)
  await note()
  receiver.answer = (response) => response.writeHead(429, { 'retry-after': '90' }).end()
  await replica(t, url, receiver).exporter.run()
  const [row] = await query<{ seconds: number }>(
    'select extract(epoch from retry_at - clock_timestamp())::float8 as seconds from audit_exports',
  )
  t.ok((row?.seconds ?? 0) > 85 && (row?.seconds ?? 0) <= 90, String(row?.seconds))
})

// proves: audit-export-pause-kept
t.test('the pause holds for other replicas and after a restart, but not for another configuration', async (t) => {
  const { url, note, receiver } = await open(t)
  await note()
  receiver.answer = (response) => response.writeHead(429, { 'retry-after': '90' }).end()
  const one = replica(t, url, receiver)
  await one.exporter.run()
  await one.exporter.close()
  const two = replica(t, url, receiver)
  for (let runs = 0; runs < 3; runs++) await two.exporter.run()
  await two.exporter.close()
  t.equal(receiver.requests.length, 1)
  const other = replica(t, url, receiver, 5_000, undefined, 'another section')
  for (let runs = 0; runs < 3; runs++) await other.exporter.run()
  t.equal(receiver.requests.length, 2, 'once, and then its pause holds')
})

t.test('a receiver that refuses one event for ever blocks it alone, and loses nothing', async (t) => {
  const { url, query, note, receiver } = await open(t)
  await note('login', 40)
  await query("insert into audit_events (action, actor) values ('poison', 'test')")
  await note('login', 10)
  const { exporter, database } = replica(t, url, receiver)
  const accepted: AuditView[] = []
  let isPoisonTaken = false
  receiver.answer = (response, number) => {
    const events = eventsOf(receiver.requests[number - 1])
    if (!isPoisonTaken && events.some(({ action }) => action === 'poison')) return response.writeHead(400).end()
    accepted.push(...events)
    accept(response)
  }
  for (let runs = 0; runs < 60; runs++) {
    await exporter.run()
    await retryNow(query)
  }
  t.equal(accepted.length, 40, 'all before it')
  const [poison] = await query<{ at: string }>("select to_json(at) #>> '{}' as at from audit_events where id = 41")
  t.match(await readExportState(database, DAY), { failing: { events: 1, firstId: '41', firstAt: poison?.at } })
  isPoisonTaken = true
  for (let runs = 0; runs < 10; runs++) {
    await exporter.run()
    await retryNow(query)
  }
  t.strictSame(accepted.map(({ id }) => id), await allIds(query))
})

// proves: audit-export-size-held
t.test('a receiver with a limit of size refuses one batch in ten minutes', async (t) => {
  const { url, query, note, receiver } = await open(t)
  let at = 0
  const { exporter, reported } = replica(t, url, receiver, 5_000, () => at)
  receiver.answer = (response, number) => {
    if (eventsOf(receiver.requests[number - 1]).length > 300) response.writeHead(413).end()
    else accept(response)
  }
  const export1000 = async () => {
    await note('login', 1_000)
    for (let runs = 0; runs < 4; runs++) {
      await exporter.run()
      await retryNow(query)
    }
    return {
      sizes: reported.delivered.splice(0).map(([events]) => events),
      failures: reported.failures.splice(0).length,
    }
  }
  t.strictSame(await export1000(), { sizes: [250, 250, 250, 250], failures: 1 })
  at += 599_999
  t.strictSame(await export1000(), { sizes: [250, 250, 250, 250], failures: 0 })
  at += 2
  t.strictSame(await export1000(), { sizes: [250, 250, 250, 250], failures: 1 }, 'the limit may be another one by now')
  receiver.answer = accept
  at += 600_001
  t.strictSame(await export1000(), { sizes: [250, 500, 250], failures: 0 })
})

t.test('a batch that is not answered in time is halved', async (t) => {
  const { url, query, note, receiver } = await open(t)
  await note('login', 8)
  const { exporter, reported } = replica(t, url, receiver, 300)
  receiver.answer = (response, number) => {
    if (eventsOf(receiver.requests[number - 1]).length <= 2) accept(response)
  }
  for (let runs = 0; runs < 4; runs++) {
    await exporter.run()
    await retryNow(query)
  }
  t.strictSame(reported.failures.map(({ cause }) => cause), ['timeout', 'timeout'])
  t.strictSame(reported.delivered, [[2, 0], [2, 0], [2, 0], [2, 0]])
})

t.test('batches are bounded by their number of events and by their size', async (t) => {
  const { url, query, note, receiver } = await open(t)
  await note('login', 1_200)
  await query(`insert into audit_events (action, actor, detail) select 'big', 'test', jsonb_build_object('text',
    (select string_agg(md5(n::text || m::text), '') from generate_series(1, 10000) m)) from generate_series(1, 5) n`)
  const { exporter, reported } = replica(t, url, receiver)
  await exporter.run()
  t.strictSame(reported.delivered.slice(0, 2), [[500, 0], [500, 0]])
  t.equal(reported.delivered.reduce((sum, [events]) => sum + events, 0), 1_205, 'all in one run')
  t.ok(receiver.requests.every(({ body }) => body.length < 1_200_000), 'at most a megabyte')
  t.strictSame(idsOf(receiver), await allIds(query))
})

// proves: audit-export-one-replica
t.test('one replica delivers at a time; another goes on when it is lost in the middle of a delivery', async (t) => {
  const { url, query, note, receiver } = await open(t)
  await note('login', 3)
  const [one, two] = [replica(t, url, receiver), replica(t, url, receiver)]
  let held: (() => void) | undefined
  receiver.answer = (response, number) => {
    if (number > 1) return accept(response)
    held = () => accept(response)
  }
  const first = one.exporter.run()
  t.ok(await until(() => held !== undefined))
  await two.exporter.run()
  t.equal(receiver.requests.length, 1, 'the other one waits')
  await endConnections(query, "application_name like 'gatehouse%'")
  for (let runs = 0; runs < 50 && receiver.requests.length === 1; runs++) {
    await two.exporter.run()
    await sleep(20)
  }
  t.strictSame(idsOf(receiver), ['1', '2', '3', '1', '2', '3'], 'twice, because it was not known that it had arrived')
  t.equal(receiver.requests[0]?.headers['webhook-id'], receiver.requests[1]?.headers['webhook-id'], 'under one id')
  held?.()
  await first
  await note()
  for (let runs = 0; runs < 5; runs++) for (const { exporter } of [one, two]) await exporter.run()
  t.strictSame(idsOf(receiver).slice(6), ['4'])
  t.match(await readExportState(two.database, DAY), { pending: 0 })
})

t.test('two replicas whose connections break again and again lose nothing', async (t) => {
  const { url, query, note, receiver } = await open(t)
  let failing = true
  receiver.answer = (response, number) => {
    if (failing && number % 3 === 0) response.destroy()
    else setTimeout(() => accept(response), failing ? 15 : 0)
  }
  const replicas = [replica(t, url, receiver), replica(t, url, receiver)]
  for (const { exporter } of replicas) exporter.start()
  for (let round = 0; round < 15; round++) {
    await note('login', 7)
    await retryNow(query)
    await sleep(40)
    if (round % 3 === 0) await endConnections(query, "application_name like 'gatehouse%'")
  }
  failing = false
  const expected = await allIds(query)
  t.ok(
    await until(async () => {
      await retryNow(query)
      return new Set(idsOf(receiver)).size === expected.length
    }, 30_000),
    `${new Set(idsOf(receiver)).size} of ${expected.length}`,
  )
  t.strictSame([...new Set(idsOf(receiver))].sort(), expected.sort())
  const [row] = await query<{ rows: number }>('select count(*)::int as rows from audit_exports')
  t.equal(row?.rows, 1)
})

t.test('another replica tries when the receiver does not answer this one', async (t) => {
  const { url, query, note, receiver } = await open(t)
  await note()
  const unreachable: AuditReceiver = {
    send: async () => ({ failure: { cause: 'unreachable', detail: 'ECONNREFUSED' } }),
    close: async () => {},
  }
  const [one, two] = [replica(t, url, unreachable), replica(t, url, receiver)]
  for (let runs = 0; runs < 3; runs++) {
    await one.exporter.run()
    await two.exporter.run()
    await retryNow(query)
  }
  t.equal(one.reported.failures.length, 3)
  for (let runs = 0; runs < 2; runs++) await two.exporter.run()
  t.strictSame(idsOf(receiver), ['1'])
})

// proves: audit-export-same-row
t.test('an id counts only for the row that was sent: another one may have it after a failover', async (t) => {
  const { url, query, note, receiver } = await open(t)
  await note('login', 2)
  const { exporter } = replica(t, url, receiver)
  receiver.answer = (response) => {
    // the database loses row 2 while it is sent, and another row gets its id
    void query(withoutTriggers('delete from audit_events where id = 2')).then(async () => {
      await query("insert into audit_events (id, action, actor) values (2, 'group.add', 'cli:root')")
      accept(response)
    })
  }
  await exporter.run()
  receiver.answer = accept
  await exporter.run()
  t.strictSame(receiver.requests.map((request) => eventsOf(request).map(({ id, action }) => [id, action])), [
    [['1', 'login'], ['2', 'login']],
    [['2', 'group.add']],
  ])
})

// proves: audit-export-retention, audit-export-retention-rows
t.test('months and rows past the retention stay until they are exported, if an export is configured', async (t) => {
  const { url, query, receiver } = await open(t)
  const times = { idleTimeoutMs: DAY, absoluteTimeoutMs: DAY, privilegedTimeoutMs: undefined }
  const options = { retentionMs: 365 * DAY, isClockConfirmed: true, isExported: true }
  await query(
    'drop table audit_events_before; create table audit_events_2001_06 partition of audit_events ' +
      "for values from ('2001-06-01') to ('2001-07-01')",
  )
  await query("insert into audit_events (action, actor, at) values ('x', 'test', '2001-06-05'), ('x', 'test', now())")
  await query("insert into audit_events (action, actor, at) values ('x', 'test', '2010-06-05')") // of no month
  const { exporter, database } = replica(t, url, receiver)
  t.match(await keepAuditMonths(database, options), { dropped: [], kept: ['audit_events_2001_06'] })
  await sweep(database, { ...times, ...options })
  t.equal((await allIds(query)).length, 3)
  t.match(await readExportState(database, options.retentionMs), { isRetentionWaiting: true, pending: 3 })
  await exporter.run()
  t.equal(idsOf(receiver).length, 3)
  t.match(await readExportState(database, options.retentionMs), { isRetentionWaiting: false })
  t.match(await keepAuditMonths(database, options), { dropped: ['audit_events_2001_06'], kept: [] })
  t.match(await sweep(database, { ...times, ...options }), { audit: 1 })
  t.equal((await allIds(query)).length, 1)
})

// proves: audit-month-in-turn
t.test('two replicas that drop the same month at the same time do not hinder each other', async (t) => {
  const { url, query } = await open(t)
  const reader = await connect(t, url)
  const options = { retentionMs: 365 * DAY, isClockConfirmed: true, isExported: true }
  const databases = [1, 2].map(() => openDatabase({ server: url, poolSize: 1 }))
  t.teardown(() => Promise.all(databases.map((database) => database.close())))
  await keepAuditMonths(databases[0]!, options)
  await query(
    'drop table audit_events_before; create table audit_events_2001_06 partition of audit_events ' +
      "for values from ('2001-06-01') to ('2001-07-01')",
  )
  await reader('begin; lock table only audit_events in access share mode') // both wait behind it
  const dropping = Promise.allSettled(databases.map((database) => keepAuditMonths(database, options)))
  const waiting = async () =>
    (await query<{ n: number }>(
      'select count(*)::int as n from pg_locks where not granted and ' +
        'database = (select oid from pg_database where datname = current_database())',
    ))[0]?.n
  t.ok(await until(async () => await waiting() === 2))
  await reader('commit')
  for (const settled of await dropping) {
    t.match(settled, { status: 'fulfilled', value: { dropped: ['audit_events_2001_06'], kept: [] } })
  }
  t.strictSame(await query("select to_regclass('audit_events_2001_06') as is"), [{ is: null }])
})

t.test('without an export the retention does not wait', async (t) => {
  const { url, query } = await open(t)
  await query(
    'drop table audit_events_before; create table audit_events_2001_06 partition of audit_events ' +
      "for values from ('2001-06-01') to ('2001-07-01')",
  )
  await query("insert into audit_events (action, actor, at) values ('x', 'test', '2001-06-05')")
  const database = openDatabase({ server: url, poolSize: 1 })
  t.teardown(() => database.close())
  const options = { retentionMs: 365 * DAY, isClockConfirmed: true, isExported: false }
  t.match(await keepAuditMonths(database, options), { dropped: ['audit_events_2001_06'] })
})

t.test('an export that is closed in the middle of a delivery ends it, and the next start delivers it', async (t) => {
  const { url, note, receiver } = await open(t)
  await note()
  receiver.answer = () => {}
  const one = replica(t, url, receiver, 60_000)
  const running = one.exporter.run()
  t.ok(await until(() => receiver.requests.length === 1))
  const from = Date.now()
  await one.exporter.close()
  await running
  t.ok(Date.now() - from < 10_000, 'within seconds')
  receiver.answer = accept
  await replica(t, url, receiver).exporter.run()
  t.strictSame(idsOf(receiver), ['1', '1'])
})
