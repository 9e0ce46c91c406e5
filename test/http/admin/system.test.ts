// System and overview in the console, over HTTP and a real database: also where parts of the installation fail.
import t, { type Test } from 'tap'
import { auditExported, auditSealed } from '../../../src/checks/audit.js'
import { createHealthAdmin } from '../../../src/admin/health.js'
import { createKeysAdmin } from '../../../src/admin/keys.js'
import { createOverviewAdmin } from '../../../src/admin/overview.js'
import type { AdminUseCases } from '../../../src/admin/use-cases.js'
import type { AuditRetention } from '../../../src/core/audit-export.js'
import { GatehouseError } from '../../../src/core/errors.js'
import type { HealthReader, KnownHealth } from '../../../src/core/health.js'
import { ENDPOINTS } from '../../../src/http/admin/api/endpoints.js'
import { makeActivityDays } from '../../../src/store/activity-days.js'
import { createActivityReader } from '../../../src/store/activity-reader.js'
import { createExportQueue, readExportState } from '../../../src/store/audit-export-queue.js'
import { createAuditSealer } from '../../../src/store/audit-seals.js'
import { openDatabase } from '../../../src/store/database.js'
import { createHealthReader } from '../../../src/store/health-reads.js'
import { createSigningKeyStore } from '../../../src/store/keys.js'
import { migrate } from '../../../src/store/migrate.js'
import { createOverviewReader } from '../../../src/store/overview-reads.js'
import { readSealState } from '../../../src/store/seal-state.js'
import { freshDatabase } from '../../helpers/postgres.js'
import { connect } from '../../helpers/sql.js'
import { within } from '../../helpers/within.js'
import { startFrame } from './frame.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }
const READ = 'gatehouse.read'
const HOSTILE = `'"><script>alert(1)</script>\u202e${'x'.repeat(240)}`
const OWN_HASH = 'a'.repeat(64)

const REACH = { state: 'ok', since: '2026-11-28T00:00:00.000Z', lastSuccessAt: '2026-11-28T01:00:00.000Z' } as const
const KNOWN: KnownHealth = {
  version: '1.2.3',
  servers: () => ({
    isEmbedded: false,
    hosts: [
      { host: 'db1:5432', state: 'current', timeline: '00000002' },
      { host: HOSTILE, state: 'accepts writes', timeline: null },
    ],
    changes: 'connected',
  }),
  entra: () => ({
    entra: REACH,
    graph: { state: 'failing', since: '2026-11-28T00:30:00.000Z', lastSuccessAt: null },
    throttledUntil: '2026-11-28T02:00:00.000Z',
    credential: 'secret',
    credentialEndsAt: new Date(Date.now() + 5.5 * 86_400_000).toISOString(),
  }),
  sync: () => ({
    isConfigured: true,
    isLeader: true,
    failing: 'graph_unavailable',
    lagSeconds: 7_200,
    lastRun: { at: '2026-11-28T01:00:00.000Z', processed: 17, failed: 3 },
  }),
  config: () => ({
    hash: 'aaaaaaaaaaaa',
    refused: { since: '2026-11-28T01:30:00.000Z', reason: HOSTILE },
    findings: [{ path: 'access', code: 'rule_dead', place: 'g.yaml:3:1', message: HOSTILE, remedy: null }],
  }),
}

async function scene(
  t: Test,
  broken: Partial<HealthReader> = {},
  audit: AuditRetention = { retentionMs: 400 * 86_400_000 },
) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 4 })
  t.teardown(() => database.close())
  const keys = createSigningKeyStore(database, ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'])
  await keys.ensure()
  const reader = { ...createHealthReader({ database, keys, config: () => OWN_HASH, audit }), ...broken }
  const health = createHealthAdmin({ reader, known: KNOWN })
  const activity = createActivityReader(database)
  const overview = createOverviewAdmin({ reader: createOverviewReader(database, TIMEOUTS), activity, health })
  const ask = await startFrame(
    t,
    ENDPOINTS,
    { health, keys: createKeysAdmin({ keys }), overview } as unknown as AdminUseCases,
  )
  return { ask, query, database }
}

const failing = () => Promise.reject(new GatehouseError('database_unavailable'))

t.test('the state of each part is shown, and a replica that differs is named', async (t) => {
  const { ask, query } = await scene(t)
  await query(`insert into replicas (replica, heartbeats, name, config, listens) values
    ('1', 1, 'one:4180', '${OWN_HASH}', true), ('2', 1, 'two:4180', '${'b'.repeat(64)}', false)`)
  const { status, json } = await ask('/admin/api/v1/health', READ)
  t.equal(status, 200)
  t.match(json, {
    version: '1.2.3',
    isReady: true,
    replicas: { state: 'read', value: [{ name: 'one:4180', isSameConfig: true }, { isSameConfig: false }] },
    database: { state: 'read', value: { pending: [], schema: /^\d{4}_/ } },
    keys: { state: 'read', value: [{ state: 'signing' }] },
    sync: { lastRun: { processed: 17, failed: 3 } },
  })
  const codes = (json.todo as { code: string }[]).map(({ code }) => code)
  t.strictSame(codes, [
    'database_second_primary',
    'graph_unavailable',
    'graph_unavailable',
    'credential_ends_soon',
    'configuration_refused',
    'replicas_differ',
    'rule_dead',
  ])
  const { text, status: shown } = await ask('/admin/system', READ)
  t.equal(shown, 200)
  for (const part of ['two:4180', 'different', 'throttled', 'signing', '17 users', 'expires in 5 days']) {
    t.match(text, part)
  }
  t.notMatch(text, '<script>alert')
  t.ok(text.length < 60_000)
})

// proves: seal-overdue
t.test('the newest seal of the audit is shown, and rows that wait for one for ten minutes', async (t) => {
  const { ask, query, database } = await scene(t)
  const seal = async () => await createAuditSealer(database, { secrets: ['a'.repeat(32)], retentionMs: 1e12 }).run()
  const note = (age: string) =>
    query(`insert into audit_events (action, actor, at) select 'login', 'login', now() - interval '${age}'
      from generate_series(1, 3)`)
  const health = async () => {
    const { json } = await ask('/admin/api/v1/health', READ)
    const due = (json.todo as { code: string, message: string }[]).find(({ code }) => code === 'audit_unsealed')
    const { value } = json.seals as { value: { newest: { hash: string } | null, overdueSeconds: number | null } }
    const [checked] = await auditSealed(() => readSealState(database))()
    t.equal(checked?.state === 'warn', due !== undefined, 'doctor says the same')
    return { ...value, due: due?.message }
  }
  t.strictSame(await health(), { newest: null, overdueSeconds: null, due: undefined })
  await note('30 minutes')
  t.match(await health(), { newest: null, due: /for 30 minutes: the audit has no seal yet/ })
  await seal()
  const [stored] = await query<{ hash: string }>("select encode(hash, 'hex') as hash from audit_seals")
  const { newest, ...rest } = await health()
  t.match(newest, { number: 1, rows: 3, at: /^\d{4}-\d\d-\d\dT/ })
  t.equal(newest?.hash, stored?.hash.slice(0, 16))
  t.strictSame(rest, { overdueSeconds: null, due: undefined }, 'nothing waits')
  const { text } = await ask('/admin/system', READ)
  t.match(text, `seal 1 of <time`)
  t.match(text, newest?.hash)
  t.notMatch(text, '>overdue<')

  await query("set session_replication_role = replica; update audit_seals set at = now() - interval '20 minutes'")
  await note('9 minutes')
  t.match(await health(), { newest: { number: 1 }, due: undefined }, 'a row of nine minutes ago may wait')
  await note('12 minutes')
  t.match(await health(), {
    newest: { number: 1 },
    due: /for 12 minutes: the newest seal of the audit is 1 of .* 3 rows/,
  })
  t.match((await ask('/admin/system', READ)).text, 'overdue')
})

// proves: audit-export-late
t.test('the export of the audit is shown, and events that wait for ten minutes', async (t) => {
  const { ask, query, database } = await scene(t, {}, { retentionMs: 400 * 86_400_000, export: {} })
  const queue = createExportQueue(database, 'a section')
  const note = (age: string) =>
    query(`insert into audit_events (action, actor, at) select 'login', 'login', now() - interval '${age}'
      from generate_series(1, 3)`)
  const health = async () => {
    const { json } = await ask('/admin/api/v1/health', READ)
    const due = (json.todo as { code: string, message: string }[]).filter(({ code }) => code.startsWith('audit_export'))
    const found = await auditExported(() => readExportState(database, 400 * 86_400_000))()
    t.strictSame(
      found.filter(({ state }) => state === 'warn').map(({ code }) => code),
      due.map(({ code }) => code),
      'doctor says the same',
    )
    const { text } = await ask('/admin/system', READ)
    const { value } = json.auditExport as { value: Record<string, unknown> }
    return { ...value, due: due.map(({ message }) => message), text }
  }
  t.match(await health(), { isConfigured: true, pending: 0, deliveredUntil: null, failing: null, due: [] })
  await note('9 minutes')
  t.match(await health(), { pending: 3, due: [], text: /works<.*nothing delivered yet, 3 events wait/s })
  const { events } = await queue.next(2)
  await queue.delivered(events, 1)
  t.match(await health(), { pending: 1, delivered: 2, rejected: 1, text: /delivered up to <time.*, 1 event waits/s })
  await query(
    'insert into audit_events (action, actor, at) ' +
      "values ('x', 't', now() - interval '12 minutes')",
  )
  t.match(await health(), { due: [], text: /catching up<.*, 2 events wait/s }, 'a receiver has just accepted some')
  t.match(await auditExported(() => readExportState(database, 400 * 86_400_000))(), [
    { state: 'ok', message: /^the export of the audit is catching up: delivered up to .*, 2 events wait$/ },
  ])
  await query("update audit_exports set accepted_at = now() - interval '11 minutes'")
  t.match(await health(), {
    due: [/^Events of the audit .* for 11 minutes: no replica has tried since; 2 events wait,/],
  })
  await query('update audit_exports set accepted_at = null')
  t.match(await health(), { due: [/^Events of the audit .* for 12 minutes: no replica has tried; 2 events wait, /] })
  await queue.failed({ cause: 'refused', detail: 'it answered 401' }, 60_000, (await queue.next(2)).events)
  t.match(await health(), {
    failing: { cause: 'refused', detail: 'it answered 401', failures: 1, events: 2, firstId: '3' },
    due: [
      /1 attempts? ha(?:s|ve) failed, the last one because the receiver refused it \(it answered 401\); it had 2 events, the first of them 3 of 2/,
    ],
    text: /fails<.*<code>refused<.*; 2 from event <code>3<.code> on failed, next attempt <time/s,
  })
  await note('500 days')
  t.match(await health(), { due: [/have not been exported for/, /past audit\.retention and are kept/] })
})

t.test('without an export nothing of it is read', async (t) => {
  const { ask, query } = await scene(t)
  await query("insert into audit_events (action, actor, at) values ('x', 't', now() - interval '1 day')")
  const { json } = await ask('/admin/api/v1/health', READ)
  t.match(json.auditExport, { state: 'read', value: { isConfigured: false, pending: 0 } })
  t.notMatch(JSON.stringify(json.todo), 'audit_export')
  t.match((await ask('/admin/system', READ)).text, 'events stay in the database')
})

t.test('private halves of keys leave neither with the list nor with the page', async (t) => {
  const { ask } = await scene(t)
  const { json } = await ask('/admin/api/v1/keys', READ)
  const [key] = json.items as Record<string, unknown>[]
  t.strictSame(Object.keys(key ?? {}).sort(), ['activeAt', 'createdAt', 'kid', 'retiredAt', 'state'])
  t.notMatch((await ask('/admin/system', READ)).text, /sealed|"d"/)
})

// proves: admin-health-bounded
t.test('a part that never answers is shown as such within two seconds, and the others are shown', async (t) => {
  const held: (() => void)[] = []
  const hanging = () =>
    new Promise<never>((_resolve, reject) => held.push(() => reject(new GatehouseError('database_unavailable'))))
  const { ask } = await scene(t, { database: hanging, ready: hanging })
  for (const path of ['/admin/system', '/admin', '/admin/api/v1/health']) {
    const answer = await within(20_000, ask(path, READ))
    t.equal(answer?.status, 200, path)
    t.match(answer?.text, path === '/admin/api/v1/health' ? '"code":"timeout"' : 'does not answer')
    if (path === '/admin/system') t.match(answer?.text, 'signing')
    for (const release of held.splice(0)) release() // otherwise a request that hangs keeps the server open
  }
})

// proves: admin-health-part
t.test('a database that is down is a state of the pages, and no error of them', async (t) => {
  const broken = {
    database: failing,
    ready: failing,
    replicas: failing,
    keys: failing,
    seals: failing,
    auditExport: failing,
  }
  const { ask, database } = await scene(t, broken)
  await database.close()
  for (const path of ['/admin/system', '/admin', '/admin?range=7d']) {
    const { status, text } = await ask(path, READ)
    t.equal(status, 200, path)
    t.match(text, 'The database does not answer.')
  }
  const { json } = await ask('/admin/api/v1/health', READ)
  t.match(json, { isReady: false, database: { state: 'unreachable', code: 'database_unavailable', value: null } })
})

t.test('the overview counts who is signed in, superusers, losses, and refusals with their sentence', async (t) => {
  const { ask, query, database } = await scene(t)
  await query(`insert into users (username, username_key, is_superuser, superuser_since) values
    ('new', 'new', true, now()), ('old', 'old', true, now() - interval '1 year'), ('former', 'former', false, null)`)
  await query(`insert into sessions (id_hash, public_id, user_id, created_at)
    select sha256((username || n)::bytea), username || n, id, now() - interval '1 day' * (n / 3)
    from users, generate_series(1, 3) n`)
  await query(`insert into audit_events (action, actor, user_id, username, detail)
    select 'reevaluation', 'sync', id, username, '{"before": {"superuser": true}, "superuser": []}' from users
    where username in ('former', 'old')`)
  await makeActivityDays(database)
  await query(`insert into activity_counts (hour, kind, key, replica, count, minutes)
    select date_trunc('hour', now(), 'UTC'), kind, key, gen_random_uuid(), count, array_fill(0, array[60])
    from (values ('answer', 'allowed', 5), ('answer', 'not_allowed', 2), ('sign_in', 'not_mapped', 3),
      ('sign_in', 'entra_timeout', 1), ('sign_in', 'graph_throttled', 1), ('superusers', 'superusers', 4),
      ('superusers', 'staff', 6)) as counted (kind, key, count)`)
  const { text, status } = await ask('/admin', READ)
  t.equal(status, 200)
  t.match(text, 'in 6 sessions')
  t.match(text, '+1 −1 this week')
  t.match(text, /former/)
  t.match(text, 'None of your groups gives you access.')
  t.match(text, /<td class="number">2<\/td>/)
  for (const cause of ['not_mapped: 3', 'not_allowed: 2', 'Other codes: 2', 'Superusers: 4']) {
    t.match(text, `</svg>${cause}</li>`)
  }
  t.ok(text.length < 60_000, `${text.length} bytes`)
  for (const range of ['24h', '7d', '30d']) {
    const { length } = (await ask(`/admin?range=${range}`, READ)).text
    t.ok(length < 60_000, `${range}: ${length} bytes`)
    const { json } = await ask(`/admin/api/v1/metrics/answers?range=${range}`, READ)
    t.equal(json.range, range)
    t.match(json.answers, [{ key: 'allowed', total: 5 }, { key: 'not_allowed', total: 2 }])
    t.match(json.signIns, [{ key: 'not_mapped', total: 3 }])
    t.match(json.levels, [{ key: 'staff', last: 6 }, { key: 'superusers', last: 4 }])
    t.match((await ask(`/admin?range=${range}`, READ)).text, '</svg>Other codes: 2</li>')
    const buckets = json.buckets as string[]
    t.ok(buckets.length >= { '24h': 24, '7d': 168, '30d': 30 }[range as '24h'], `${buckets.length} buckets`)
  }
  t.equal((await ask('/admin?range=1y', READ)).status, 400)
  const then = await ask('/admin/superusers?at=2020-01-01', READ)
  t.match(then.text, 'Nobody was superuser then.')
  t.match(then.text, 'who lost it before that is not known')
  await query("update users set created_at = now() - interval '1 year'")
  const hourAgo = new Date(Date.now() - 3_600_000).toISOString()
  const listed = (await ask(`/admin/superusers?at=${hourAgo}`, READ)).text
  t.match(listed, /former[\s\S]*no superuser any more[\s\S]*old/)
  t.notMatch(listed, '>new<')
  t.match((await ask(`/admin/api/v1/superusers?at=${hourAgo}`, READ)).json.items, [
    { username: 'former', isSuperuser: false },
    { username: 'old', isSuperuser: true },
  ])
  t.match((await ask('/admin/superusers', READ)).text, /new[\s\S]*old/)
  for (const wrong of ['yesterday..', '0000-01-01', '2026-13-01']) {
    t.equal((await ask(`/admin/api/v1/superusers?at=${wrong}`, READ)).status, 400, wrong)
    t.equal((await ask(`/admin/superusers?at=${wrong}`, READ)).status, 400, wrong)
  }
  t.equal((await ask('/admin/api/v1/metrics/answers?range=1y', READ)).json.code, 'request_malformed')
})
