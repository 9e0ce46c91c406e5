// What each page of the console and each list of its API takes with 100,000 users, 1,000,000 audit rows, 100,000
// sessions, 300 groups, 200 mapping rows and a month of counts: the first request of a process, the median and the
// longest of ten more, and bytes; then the preview of a draft, with the memory of the gateway. Prints; judges nothing.
// USERS makes it shorter or longer, AUDIT_ROWS too.
import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { newAdminSessionId } from '../dist/core/admin-session.js'
import { sessionIdHash } from '../dist/core/session.js'
import { createCookieSigner } from '../dist/http/cookie-signer.js'
import { PAGES } from '../dist/http/admin/pages/all-pages.js'
import { median, openStage, residentMB, say, SECRET, startGateway } from './stage.mjs'

const USERS = Number(process.env.USERS ?? 100_000)
const AUDIT_ROWS = Number(process.env.AUDIT_ROWS ?? 10 * USERS)
const ROUNDS = 10
const TARGET = { ms: 200, bytes: 60_000 }
const [GROUPS, MAPPING_ROWS, RULES, ENTRA_GROUPS, REPLICAS] = [300, 200, 50, 20, 4]
const TENANT = '8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f'
const SESSION = 'ses_00000000bench'
const entraId = (number) => `aaaaaaaa-0000-4000-8000-${number.toString(16).padStart(12, '0')}`
const ENTRA_ID = (number) => `('aaaaaaaa-0000-4000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`
const DAY_MS = 86_400_000

/** The first group has all users; each has three more. Group 300 is empty. Ids are random, as sign-ins leave them. */
const SEED = [
  `insert into groups (name, description) select 'Local ' || lpad(n::text, 3, '0'), 'The group number ' || n
    from generate_series(1, ${GROUPS}) n`,
  `insert into group_permissions select id, 'application.view_' || right(name, 1) from groups
    where right(name, 1) < '7'`,
  "insert into group_permissions select id, 'application.change' from groups where name < 'Local 050'",
  `insert into users (username, username_key, email, name, given_name, family_name, is_staff, is_superuser, is_active,
      created_at, last_login_at, superuser_since)
    select username || '@contoso.example', username || '@contoso.example', 'mail' || n || '@contoso.example',
      'Given' || n % 997 || ' Family' || n % 9973, 'Given' || n % 997, 'Family' || n % 9973, n % 100 = 0, n % 1000 = 0,
      n % 50 <> 7, now() - interval '2 years', now() - random() * interval '200 days',
      now() - random() * interval '100 days'
    from (select 'u' || n as username, n from generate_series(1, ${USERS}) n) given`,
  `insert into identities (tid, oid, user_id, upn, upn_key, upn_seen_at, guest)
    select '${TENANT}', gen_random_uuid(), id, username, username_key, now(), random() < 0.02 from users`,
  `insert into user_groups (user_id, group_id, cause)
    select u.id, g.id, '[{"row":1,"entraGroup":"${entraId(0)}"}]' from users u join groups g on g.name = 'Local 001'`,
  `insert into user_groups (user_id, group_id, cause)
    select u.id, g.id, case when random() < 0.999 then '[{"row":2,"entraGroup":"${entraId(31)}"}]'::jsonb end
    from users u cross join generate_series(1, 3) k join groups g
      on g.name = 'Local ' || lpad((2 + (hashtext(u.id::text) & 1023) * k % ${GROUPS - 3})::text, 3, '0')
    on conflict do nothing`,
  `insert into entra_readings (user_id, group_ids, read_at)
    select id, array(select ${ENTRA_ID(`(hashtext(id::text) & 1023) * 31 + g * 17`)}
      from generate_series(1, ${ENTRA_GROUPS}) g), now() - random() * interval '1 day' from users`,
  `insert into sessions (id_hash, public_id, user_id, created_at, browser, client_address, last_host)
    select sha256(id::text::bytea), 'ses_' || left(encode(sha256(id::text::bytea), 'hex'), 12), id,
      now() - random() * interval '7 hours', (array['Chrome', 'Edge', 'Firefox', 'Safari'])[1 + (random() * 3)::int],
      '192.0.2.' || (random() * 250)::int, 'app' || (random() * 9)::int || '.bench.test' from users`,
  `insert into audit_events (at, action, actor, user_id, username, correlation_id, detail)
    select now() - n * interval '1 year' / ${AUDIT_ROWS},
      case when n % 5000 = 0 then 'group.update' when n % 20 = 0 then 'session.revoke' when n % 7 = 0 then 'logout'
        when n % 11 = 0 then 'login.refused' else 'login' end,
      case when n % 5000 = 0 then 'cli:root' else 'login' end, u.id, u.username, 'req-' || n,
      jsonb_build_object('before', jsonb_build_object('groups', jsonb_build_array('Local 001'), 'staff', false,
        'superuser', n % 100000 = 0), 'after', jsonb_build_object('groups', jsonb_build_array('Local 001', 'Local 002'),
        'staff', false, 'superuser', false))
    from (select id, username, row_number() over (order by id) - 1 as place from users) u
      cross join generate_series(0, ${
    Math.ceil(AUDIT_ROWS / USERS) - 1
  }) k cross join lateral (select place + k * ${USERS} as n) each order by n desc`,
]

const stage = await openStage()
try {
  for (const statement of SEED) await stage.query(statement)
  await seedCounts()
  const { cookie, person } = await seedAdministrator()
  await stage.query('vacuum (analyze)')
  const gateway = await startGateway(stage, { config: configuration() })
  const send = await sender(gateway, cookie)
  const { id: draft } = await send('/policy/drafts', {})
  const facts = { ...await examples(), person, draft }
  say(`${USERS} users, load of the machine before ${loadavg()[0].toFixed(1)}`)
  say(row('address', ['first', 'p50', 'most', 'kB']))
  let worst = 0
  for (const address of [...pageAddresses(facts), ...apiAddresses(facts)]) {
    worst += await measure(`${gateway.url}${address}`, address, cookie)
  }
  await preview(gateway, send, draft)
  say(`${worst} of them above ${TARGET.ms} ms or ${TARGET.bytes / 1000} kB; load after ${loadavg()[0].toFixed(1)}`)
} finally {
  await stage.close()
}

async function seedCounts() {
  const day = (ahead) => new Date(Date.now() + ahead * DAY_MS).toISOString().slice(0, 10)
  for (let ahead = -31; ahead <= 1; ahead++) {
    const name = `activity_counts_${day(ahead).replaceAll('-', '_')}`
    await stage.query(`create table ${name} partition of activity_counts for values from ('${day(ahead)}Z')
      to ('${day(ahead + 1)}Z') with (fillfactor = 70)`)
  }
  const keys = {
    answer: ['allowed', 'not_signed_in', 'not_allowed', 'database_unavailable'],
    sign_in: ['completed', 'entra_consent_required', 'not_mapped', 'graph_throttled'],
    rule: Array.from({ length: RULES }, (_, n) => `rule-${n}`),
    superusers: ['superusers', 'staff'],
  }
  for (const [kind, names] of Object.entries(keys)) {
    await stage.query(
      `insert into activity_counts
      select hour, $1, key, ('00000000-0000-4000-8000-' || lpad(replica::text, 12, '0'))::uuid, 60 * place,
        array_fill(place::int, array[60])
      from generate_series(date_trunc('hour', now()) - interval '30 days', now(), interval '1 hour') hour,
        unnest($2::text[]) with ordinality as k (key, place), generate_series(1, ${REPLICAS}) replica`,
      [kind, names],
    )
  }
}

/** A superuser with a session of the console, and a user with many groups, sessions and audit rows. */
async function seedAdministrator() {
  const [{ id }] = await stage.query("select id from users where username = 'u1000@contoso.example'")
  await stage.query(
    `insert into sessions (id_hash, public_id, user_id, authenticated_at)
    values (sha256('bench'), '${SESSION}', $1, now())`,
    [id],
  )
  const admin = newAdminSessionId()
  await stage.query(
    'insert into admin_sessions (id_hash, session_id, authenticated_at) values ($1, $2, now())',
    [sessionIdHash(admin), SESSION],
  )
  const [{ id: person }] = await stage.query("select id from users where username = 'u500@contoso.example'")
  await stage.query(
    `insert into user_groups (user_id, group_id, cause) select $1, id,
    '[{"row":3,"entraGroup":"${entraId(62)}"}]' from groups where name < 'Local 100' on conflict do nothing`,
    [person],
  )
  await stage.query(
    `insert into sessions (id_hash, public_id, user_id) select sha256(('many' || n)::bytea), 'ses_many' || n, $1
    from generate_series(1, 40) n`,
    [person],
  )
  await stage.query(
    `insert into audit_events (at, action, actor, user_id, username, detail) select now() - n * interval '1 hour',
    'reevaluation.changed', 'system', $1, 'u500@contoso.example', '{"before":{"staff":true},"after":{"staff":false}}'
    from generate_series(1, 5000) n`,
    [person],
  )
  const cookie = `gatehouse_admin=${encodeURIComponent(createCookieSigner([SECRET]).sign(admin))}`
  return { cookie, person }
}

function configuration() {
  return {
    admin: {},
    session: { secrets: [SECRET], recordClient: true },
    groupMapping: Array.from({ length: MAPPING_ROWS }, (_, n) => ({
      entraGroup: entraId(n * 31),
      label: `Entra group number ${n}`,
      groups: [`Local ${String(n + 1).padStart(3, '0')}`, ...n % 20 === 0 ? [`Missing ${n}`] : []],
      staff: n % 50 === 0,
      superuser: n === 50,
    })),
    applications: Array.from({ length: 10 }, (_, n) => ({ host: `app${n}.bench.test`, name: `Application ${n}` })),
    access: {
      default: 'deny',
      rules: Array.from({ length: RULES }, (_, n) => ({
        hosts: [`app${n % 10}.bench.test`],
        paths: n < 40 ? [`/area-${n}/**`] : ['/**'],
        allow: n < 40
          ? { groups: [`Local ${String(n + 1).padStart(3, '0')}`] }
          : { permissions: ['application.change'] },
      })),
    },
  }
}

async function examples() {
  const [{ at, id }] = await stage.query(`select correlation_id as id, to_char(at at time zone 'utc',
    'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at from audit_events where action = 'login' offset 1000 limit 1`)
  return { correlationId: id, at }
}

/** A page without an example of its parameters fails. */
function pageAddresses({ person, draft, correlationId, at }) {
  const parameters = { ':id': person, ':name': 'Local%20001', ':number': '1' }
  const queries = {
    '/admin': ['range=7d', 'range=30d'],
    '/admin/people': [
      'q=family12',
      'staff=true',
      'superuser=true',
      'active=false',
      'guest=true',
      'handMade=true',
      'notSeenDays=90',
      'staff=false&active=true&notSeenDays=30',
      'group=Local%20002&staff=true',
    ],
    '/admin/reviews': [
      'q=family12',
      'kind=superuser',
      'group=Local%20002',
      'reviewed=true',
      'reviewed=false',
      'verdict=doubted',
      'active=false',
    ],
    '/admin/superusers': [`at=${at}`],
    '/admin/groups': ['q=24', 'empty=true', 'unused=true', 'missing=true'],
    '/admin/sessions': [
      'host=app3.bench.test',
      'browser=Firefox',
      'address=192.0.2.7',
      'olderThanHours=3',
      `person=${person}`,
    ],
    '/admin/audit': [
      'action=login',
      'action=group',
      'actor=cli%3Aroot',
      `person=${person}`,
      `correlationId=${correlationId}`,
      `since=${at}`,
    ],
    '/admin/versions/diff': ['from=1&to=1'],
    '/admin/mapping': ['only=unused', 'only=missing', 'q=number%2012'],
    '/admin/test': [`person=${person}&url=https%3A%2F%2Fapp3.bench.test%2Farea-3%2Fx`],
  }
  return PAGES.flatMap(({ path }) => {
    const given = path.includes('/drafts/') ? { ...parameters, ':id': draft } : parameters
    const filled = path.replace(/:\w+/g, (name) => {
      if (given[name] === undefined) throw new Error(`${path}: no example`)
      return given[name]
    })
    return [filled, ...(queries[path] ?? []).map((query) => `${filled}?${query}`)]
  })
}

function apiAddresses({ person, draft, correlationId, at }) {
  const { paths } = JSON.parse(readFileSync('docs/openapi.json', 'utf8'))
  const inPath = (path, name) =>
    path.includes('/drafts/') && name === 'id'
      ? draft
      : { id: person, name: 'Local%20001', number: '1', personId: person, right: 'group:Local%20001' }[name]
  const values = {
    from: '1',
    to: '1',
    q: 'family12',
    notSeenDays: '90',
    group: 'Local%20002',
    person,
    host: 'app3.bench.test',
    browser: 'Firefox',
    address: '192.0.2.7',
    olderThanHours: '3',
    actor: 'cli%3Aroot',
    action: 'login',
    correlationId,
    since: at,
    until: at,
    at,
    range: '30d',
    kind: 'staff',
    verdict: 'doubted',
    limit: '200',
    against: 'base',
  }
  // no image is uploaded
  const read = Object.entries(paths).filter(([path, { get }]) => get !== undefined && path !== '/images/{name}')
  return read.flatMap(([path, { get }]) => {
    const filled = `/admin/api/v1${path.replace(/\{(\w+)\}/g, (_, name) => inPath(path, name))}`
    const given = (get.parameters ?? []).filter((each) => each.in === 'query' && !['after', 'live'].includes(each.name))
    const of = (parameters) => parameters.map(({ name }) => `${name}=${values[name] ?? 'true'}`).join('&')
    const needed = given.filter(({ required }) => required)
    const plain = needed.length === 0 ? filled : `${filled}?${of(needed)}`
    return [plain, ...given.filter(({ required }) => !required).map((each) => `${filled}?${of([...needed, each])}`)]
  })
}

/** @returns 1 where it misses the target */
async function measure(url, address, cookie) {
  const times = []
  let bytes = 0
  while (times.length <= ROUNDS) {
    const began = performance.now()
    const answer = await fetch(url, { headers: { cookie, accept: address.includes('/api/') ? '*/*' : 'text/html' } })
    bytes = (await answer.arrayBuffer()).byteLength
    if (answer.status === 429) { // the API limits requests of a session
      await sleep(1_000 * Number(answer.headers.get('retry-after') ?? 1))
      continue
    }
    times.push(performance.now() - began)
    if (answer.status !== 200) throw new Error(`${address}: ${answer.status}`)
  }
  const [first, ...others] = times
  const most = Math.max(...others)
  // a list of 200 objects may be larger than a page
  const misses = first > TARGET.ms || most > TARGET.ms || bytes > TARGET.bytes && !address.includes('/api/')
  say(
    `${row(address, [first, median(others), most].map((ms) => ms.toFixed(0)).concat((bytes / 1000).toFixed(1)))}${
      misses ? ' !' : ''
    }`,
  )
  return misses ? 1 : 0
}

/** Requests that change something, through the API. */
async function sender({ url }, cookie) {
  const api = `${url}/admin/api/v1`
  const { csrfToken } = await (await fetch(`${api}/me`, { headers: { cookie } })).json()
  const headers = {
    cookie,
    'content-type': 'application/json',
    'sec-fetch-site': 'same-origin',
    'x-csrf-token': csrfToken,
  }
  return async (path, body) => {
    const answer = await fetch(`${api}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return await answer.json()
  }
}

/** A draft of the policy in force, which most of the seeded rights do not come from. */
async function preview({ child }, send, draft) {
  const before = residentMB(child)
  const began = performance.now()
  let peak = before
  for (;;) {
    const { state, done, result } = await send(`/policy/drafts/${draft}/preview`, {})
    peak = Math.max(peak, residentMB(child))
    if (state === 'running') await sleep(250)
    else {
      const seconds = ((performance.now() - began) / 1000).toFixed(1)
      const memory = `memory ${before.toFixed(0)} MB before, at most ${peak.toFixed(0)} MB`
      say(`preview of a draft: ${state}, ${done} users, ${result?.changed} change, ${seconds} s, ${memory}`)
      return
    }
  }
}

function row(name, figures) {
  return [name.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID').padEnd(76), ...figures.map((each) => each.padStart(7))].join(
    ' ',
  )
}
