// What lists, searches and a preview take with 1,000,000 users, sessions and audit rows: each page in milliseconds,
// each command in seconds and peak memory, and the migrations of an upgrade. Prints; judges nothing. USERS makes it
// shorter.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { stringify } from 'yaml'
import { listAudit } from '../dist/store/audit-list.js'
import { createSignalStore } from '../dist/store/change-signals.js'
import { openDatabase } from '../dist/store/database.js'
import { createDueUsers } from '../dist/store/due-users.js'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'
import { migrate } from '../dist/store/migrate.js'
import { createPeopleStore } from '../dist/store/people.js'
import { createSessionsList } from '../dist/store/sessions-list.js'
import { createStalenessExpiry } from '../dist/store/staleness-expiry.js'

const USERS = Number(process.env.USERS ?? 1_000_000)
const ROUNDS = 20
const PAGE = 100
const ENTRA_GROUPS = 20
const MAPPING_ROWS = 100
const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }
const ENTRA_ID = (number) => `'aaaaaaaa-0000-4000-8000-' || lpad(to_hex(${number}), 12, '0')`

/** Ids are random, so that rows of one user lie apart, as sign-ins over years leave them. */
const SEED = [
  `insert into groups (name) select 'Local ' || n from generate_series(1, ${MAPPING_ROWS}) n`,
  `insert into users (username, username_key, email, name, given_name, family_name, is_staff, is_superuser,
      last_login_at)
    select 'u' || n || '@contoso.example', 'u' || n || '@contoso.example', 'person' || n || '@contoso.example',
      'Given' || n % 997 || ' Family' || n % 9973, 'Given' || n % 997, 'Family' || n % 9973, n % 1000 = 0,
      n % 10000 = 0, now() from generate_series(1, ${USERS}) n`,
  `insert into identities (tid, oid, user_id, upn, upn_key, upn_seen_at)
    select '8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f', gen_random_uuid(), id, username, username_key, now() from users`,
  `insert into user_groups (user_id, group_id)
    select u.id, g.id from users u join groups g on g.name = 'Local ' || 1 + substr(u.username, 2, 1)::int`,
  `insert into entra_readings (user_id, group_ids, read_at)
    select id, array(select (${ENTRA_ID(`(hashtext(id::text) & 1023) * 31 + g * 17`)})::uuid
      from generate_series(1, ${ENTRA_GROUPS}) g), now() - random() * interval '1 day' from users`,
  `insert into sessions (id_hash, public_id, user_id, created_at)
    select sha256(id::text::bytea), 'ses_' || left(encode(sha256(id::text::bytea), 'hex'), 12), id,
      now() - random() * interval '7 hours' from users`,
  `insert into audit_events (at, action, actor, user_id, username)
    select now() - (${USERS} - row_number() over (order by id)) * interval '30 seconds',
      (array['login', 'login', 'logout', 'session.revoke'])[1 + (hashtext(id::text) & 3)], 'login', id, username
    from users`,
]

const home = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
const postgres = await startEmbeddedPostgres(home, { tcp: true })
try {
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  await migrateBefore(client, '_lists')
  for (const statement of SEED) await client.query(statement)
  await client.query('vacuum (analyze)')
  const began = performance.now()
  const applied = await migrate(postgres.url)
  say(`the migrations ${applied.join(' and ')} of an upgrade`, `${seconds(began)} s`)
  const { rows: [{ size }] } = await client.query(`select sum(pg_indexes_size(name::regclass))::bigint as size
    from unnest(array['users', 'identities', 'audit_events_before']) name`)
  say('all indexes of users, identities and the record after it', `${Math.round(size / 1024 ** 2)} MB`)
  await client.query('vacuum (analyze)')
  await pages(client)
  await reevaluation(client)
  await client.end()
  await commands()
} finally {
  await postgres.stop()
  rmSync(home, { recursive: true, force: true })
}

/** The migrations of the versions before. */
async function migrateBefore(client, tag) {
  const { entries } = JSON.parse(readFileSync('migrations/meta/_journal.json', 'utf8'))
  await client.query(`create schema drizzle; create table drizzle.__drizzle_migrations (id serial primary key,
    hash text not null, created_at bigint)`)
  for (const entry of entries.slice(0, entries.findIndex((each) => each.tag.endsWith(tag)))) {
    await client.query(readFileSync(`migrations/${entry.tag}.sql`, 'utf8'))
    await client.query('insert into drizzle.__drizzle_migrations (hash, created_at) values ($1, $2)', [
      entry.tag,
      entry.when,
    ])
  }
}

async function pages(client) {
  const database = openDatabase({ server: postgres.url, poolSize: 2, timeoutMs: 60_000 })
  const [people, sessions] = [createPeopleStore(database, TIMEOUTS), createSessionsList(database, TIMEOUTS)]
  const { rows: [middle] } = await client.query(`select u.id, u.username, s.created_at::text as created, s.public_id,
    a.at::text as at, a.id::text as event from users u join sessions s on s.user_id = u.id
    join audit_events a on a.user_id = u.id where u.username = 'u${Math.round(USERS / 2)}@contoso.example'`)
  const event = { at: middle.at, id: middle.event }
  const term = { term: middle.username, id: middle.id }
  const limit = PAGE
  const requests = {
    'users, the first page': () => people.listDetailed({ limit }),
    'users, a page in the middle': () => people.listDetailed({ limit, after: { username: middle.username } }),
    'staff (one of a thousand users), in the middle': () =>
      people.listDetailed({ limit, staff: true, after: { username: middle.username } }),
    'search for one user by e-mail address': () => people.listDetailed({ q: 'person123456@', limit }),
    'search for a family name': () => people.listDetailed({ q: 'family123', limit }),
    'search for "u", which all usernames begin with': () => people.listDetailed({ q: 'u', limit }),
    'the same, in the middle': () => people.listDetailed({ q: 'u', limit, after: term }),
    'sessions, the first page': () => sessions.list({ limit }),
    'sessions, a page in the middle': () =>
      sessions.list({ limit, after: { createdAt: middle.created, id: middle.public_id } }),
    'the record, the first page': () => listAudit(database, { limit }),
    'the record, a page in the middle': () => listAudit(database, { limit, after: event }),
    'the record of one user': () => listAudit(database, { limit, userId: middle.id }),
    'one action (`session`) of the record, in the middle': () =>
      listAudit(database, { limit, action: 'session', after: event }),
  }
  for (const [name, request] of Object.entries(requests)) {
    const times = []
    for (let round = 0; round < ROUNDS; round++) {
      const began = performance.now()
      await request()
      times.push(performance.now() - began)
    }
    times.sort((a, b) => a - b)
    say(`${name} (${PAGE} rows)`, `p50 ${times[ROUNDS / 2].toFixed(1)} ms, at most ${times.at(-1).toFixed(1)} ms`)
  }
  await database.close()
}

/** What each run of the re-evaluation reads, at Gatehouse's rate of 300 users a second. */
async function reevaluation(client) {
  const database = openDatabase({ server: postgres.url, poolSize: 2 })
  const options = { ...TIMEOUTS, tenantId: '8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f' }
  const [dueUsers, expiry] = [createDueUsers(database, options), createStalenessExpiry(database, options)]
  const query = {
    cycleMs: 270_000,
    usersPerSecond: 300,
    floor: { privilegedMs: 50 * 60_000, othersMs: 23 * 3_600_000 },
    runEveryMs: 15_000,
    stalenessLimitsMs: [3_600_000, 86_400_000],
    overdueOnly: false,
  }
  const limits = { privilegedMs: 3_600_000, maxMs: 86_400_000, unattemptedMs: undefined }
  const measure = async (circumstances) => {
    for (
      const [name, work] of Object.entries({
        'the users that are due': () => dueUsers.find(query),
        'the oldest snapshot and the failed users': () => dueUsers.overview(),
        'the expiry, without anyone to expire': () => expiry.expire(limits),
      })
    ) {
      const times = []
      for (let round = 0; round < ROUNDS / 4; round++) {
        const began = performance.now()
        await work()
        times.push(performance.now() - began)
      }
      times.sort((a, b) => a - b)
      say(`${name}${circumstances}`, `p50 ${times[2].toFixed(0)} ms, at most ${times.at(-1).toFixed(0)} ms`)
    }
  }
  await measure('')
  for (const [groups, name] of [[1, 'one group'], [200, '200 groups']]) {
    await deltaRound(client, createSignalStore(database, options), groups, name)
  }
  await client.query('insert into change_signals select user_id, now() from entra_readings limit 50000')
  await client.query(`insert into entra_checks (user_id, tried_at) select user_id, now() - random() * interval '5 min'
    from entra_readings order by user_id limit 20000`)
  await measure(', with 50,000 signals and 20,000 failed users')
  await client.query('delete from sessions where get_byte(id_hash, 0) < 240')
  const began = performance.now()
  await dueUsers.find(query)
  say('the users that are due, after 94 of 100 users have signed out', `${seconds(began)} s`)
  await measure(', after that')
  await client.query('truncate change_signals, entra_checks')
  await database.close()
}

/** A round of delta queries in which these groups have changed: everybody's snapshot is looked at. */
async function deltaRound(client, signals, groups, name) {
  const { rows } = await client.query(`select id from (select unnest(group_ids) as id from entra_readings limit 20000)
    each group by id order by count(*) desc limit ${groups}`)
  const none = {
    chains: [],
    read: new Set(),
    users: new Set(),
    failures: new Map(),
    failed: new Set(),
    complete: new Set(),
  }
  const began = performance.now()
  const signalled = await signals.record('bench', {
    ...none,
    groups: new Set(rows.map(({ id }) => id)),
    restarted: 0,
    notFollowed: 0,
  })
  say(`a round of delta queries that names ${name}`, `${seconds(began)} s, ${signalled} users signalled`)
  await client.query('truncate change_signals')
}

async function commands() {
  const now = configuration('now.yaml', 0)
  const next = configuration('next.yaml', 1)
  for (
    const args of [
      ['users', 'list'],
      ['users', 'list', '--json'],
      ['sessions', 'list', '--json'],
      ['users', 'list', '--search', 'family123'],
      ['audit', 'list', '--json'],
      ['explain', '--with', next],
      ['explain', '--with', next, '--json'],
    ]
  ) {
    const { elapsed, peak, bytes, last } = await run([...args, '--config', now])
    const name = args.map((each) => each === next ? 'NEW.yaml' : each).join(' ')
    say(`gatehouse ${name}`, `${elapsed} s, ${peak} MB, prints ${Math.round(bytes / 1024 ** 2)} MB ${last}`)
  }
}

function configuration(name, shift) {
  const rows = Array.from({ length: MAPPING_ROWS }, (_, index) => ({
    entraGroup: `aaaaaaaa-0000-4000-8000-${(index * 310).toString(16).padStart(12, '0')}`,
    groups: [`Local ${(index + shift) % MAPPING_ROWS + 1}`],
    staff: index % 50 === shift,
  }))
  writeFileSync(
    join(home, name),
    stringify({
      server: { publicUrl: 'http://127.0.0.1:4180' },
      entra: {
        tenantId: '8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f',
        clientId: 'b14a7505-96e9-4927-91e8-0601d0fc9caa',
        clientSecret: 'x',
      },
      database: { url: postgres.url },
      session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
      keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
      groupMapping: rows,
    }),
  )
  return join(home, name)
}

/** @returns seconds, peak resident memory in MB, bytes printed, and for a preview its last line */
async function run(args) {
  const began = performance.now()
  const child = spawn(process.execPath, ['dist/cli.js', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let [bytes, peak, tail] = [0, 0, '']
  child.stdout.on('data', (chunk) => {
    bytes += chunk.length
    tail = (tail + chunk.toString('latin1')).slice(-300)
  })
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      peak = Math.max(peak, Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024))
    } catch {} // it has ended
  }, 20)
  await new Promise((resolve) => child.once('close', resolve))
  clearInterval(timer)
  const last = args[0] === 'explain' && !args.includes('--json') ? `(${tail.trim().split('\n').at(-1)})` : ''
  return { elapsed: seconds(began), peak, bytes, last }
}

function seconds(began) {
  return ((performance.now() - began) / 1000).toFixed(1)
}

function say(what, figure) {
  console.log(`${what.padEnd(72)} ${figure}`)
}
