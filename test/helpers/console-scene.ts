// A gateway with its console, full lists of people, groups, sessions and audit rows, and hostile names everywhere that
// a name can come from: Entra ID, the configuration, and the database.
import { readFileSync } from 'node:fs'
import type { Test } from 'tap'
import { GROUP_IDS, PERSON_IDS, seedDemoDirectory } from '../../src/demo/people.js'
import { createActTransaction } from '../../src/store/act-unit.js'
import { createRightsHeld } from '../../src/store/rights-held.js'
import { giveAdminSession } from './admin.js'
import type { Browser } from './browser.js'
import { startTestGateway, type TestGateway } from './gateway.js'
import { HOSTILE_NAMES, hostileName } from './hostile-names.js'
import { connect, type Query } from './sql.js'

export interface ConsoleScene {
  readonly gateway: TestGateway
  readonly query: Query
  /** Signed in to the console as a superuser. */
  readonly browser: Browser
  /** A person whose rights come from Entra ID, and one with a hostile name. */
  readonly people: readonly string[]
  readonly groups: readonly string[]
  /** One that can be used, with a preview; one whose preview is under way; one that is no YAML. */
  readonly drafts: readonly string[]
  /** A draft with long lists of hostile rows and rules, each with findings, and some that no form can change. */
  readonly longDraft: string
}

/** More than a page of each list shows. */
const ROWS = 70
const [, SCRIPT = '', MARKS = '', LONG = ''] = HOSTILE_NAMES
const MAPPED = [
  { entraGroup: GROUP_IDS.netboxSuperusers, label: SCRIPT, groups: ['Operators'], staff: true, superuser: true },
  { entraGroup: GROUP_IDS.networkEngineers, label: LONG.slice(0, 100), groups: ['Engineers'], staff: true },
  { entraGroup: GROUP_IDS.circuitManagers, label: 'Circuits', groups: ['Circuit Managers', 'Missing'] },
]
const CONFIG = {
  admin: {},
  session: { recordClient: true },
  branding: { name: 'Contoso <b>Networks</b>', color: '#b45309' },
  groupMapping: MAPPED,
  applications: [{ host: 'wiki.contoso.example', name: SCRIPT }, { host: 'netbox.contoso.example', name: 'NetBox' }],
  access: {
    default: 'deny',
    rules: [
      { hosts: ['netbox.contoso.example'], allow: { groups: ['Engineers', 'Operators'] } },
      { hosts: ['wiki.contoso.example'], paths: ['/staff'], allow: { staff: true } },
      { hosts: ['wiki.contoso.example'], allow: 'authenticated' },
    ],
  },
}

export async function startConsoleScene(t: Test, config: Record<string, unknown> = {}): Promise<ConsoleScene> {
  const gateway = await startTestGateway(t, {
    config: { ...CONFIG, ...config },
    groups: ['Operators', 'Engineers', 'Circuit Managers', 'Empty'],
    seed: (directory) => {
      const people = seedDemoDirectory(directory)
      people.superuser.displayName = MARKS
      people.staff.displayName = SCRIPT
    },
  })
  const query = await connect(t, gateway.databaseUrl)
  await gateway.signIn(PERSON_IDS.staff)
  await gateway.signIn(PERSON_IDS.many)
  const { browser } = await giveAdminSession(gateway, PERSON_IDS.superuser)
  await seedRows(query)
  const people = await query<{ id: string }>(
    `(select id from users where is_superuser order by username limit 1) union all
      (select user_id from identities where oid = $1)
      union all (select id from users where name like '%<script>%' order by username limit 1)`,
    [PERSON_IDS.many],
  )
  await seedImages(query)
  await seedReviews(gateway)
  return {
    gateway,
    query,
    browser,
    people: people.map(({ id }) => id),
    groups: ['Engineers', 'Empty', groupName(1)],
    drafts: await seedDrafts(query),
    longDraft: await seedLongDraft(query),
  }
}

/** Two marks of three of the first rights of the report, with notes. */
async function seedReviews({ gateway: { database }, config }: TestGateway): Promise<void> {
  const { rows } = await createRightsHeld(database).list({ limit: 60 })
  const reviewerId = rows.at(0)?.personId ?? ''
  await createActTransaction(database, config.session, [])(async ({ reviews }) => {
    for (const [n, { personId, kind, group }] of rows.entries()) {
      const verdict = n % 3 === 1 ? 'doubted' : 'confirmed'
      const note = n % 2 === 0 ? hostileName(n) : null
      if (n % 3 > 0) await reviews.mark(personId, { kind, group }, { verdict, reviewerId, note })
    }
  })
}

/** A picture of usual size, and one that is no picture, under a long name. */
async function seedImages(query: Query): Promise<void> {
  const picture = readFileSync('config/demo/network.png')
  await query(
    `insert into policy_images (name, type, sha256, content, author) values
      ('network.png', 'image/png', repeat('0', 64), $1, 'cli:somebody'),
      (repeat('n', 96) || '.png', 'image/png', repeat('1', 64), 'x', 'cli:' || $2)`,
    [picture, hostileName(1)],
  )
}

async function seedDrafts(query: Query): Promise<readonly string[]> {
  const messages = Array.from({ length: ROWS }, (_, n) => hostileName(n).slice(0, 200))
  await query(
    `insert into policy_drafts (id, text, base, message, author, changed_by, changed_at)
      select 'drf_' || n, case n when 3 then 'groups: [' || repeat(name, 5) else v.text || repeat('# ', n::int % 3) end,
        number, name, 'admin:x', 'admin:' || (select id from users where is_superuser limit 1),
        now() - n * interval '1 minute'
      from unnest($1::text[]) with ordinality as given (name, n), policy_versions v where number = 1`,
    [messages],
  )
  const changes = await query<{ userId: string, username: string }>(
    `select id as "userId", username, now() as "readAt", 1 as superuser, -1 as staff,
      array_fill(name, array[20]) as gained,
      array[name] as lost, 980 as "moreGained", 0 as "moreLost" from users order by username limit 200`,
  )
  const result = {
    ...{ hash: 'f'.repeat(64), users: 9_000, changed: 9_000, gains: 9_000, losses: 8_000, newSuperusers: 200, changes },
    ...{ oldestReading: '2026-01-01T00:00:00Z', newestReading: '2026-11-28T00:00:00Z' },
    counts: messages.map((right, n) => ({ right, gain: n, lose: 1 })),
  }
  await query(
    `insert into policy_previews (draft, run, draft_hash, policy_hash, state, done, total, result, written_at)
      select 'drf_' || n, gen_random_uuid(), hash, hash, case n when 1 then 'done' else 'running' end, 400, 9000,
        case n when 1 then $1::jsonb end, now() + interval '40 minutes'
      from generate_series(1, 2) n, policy_versions where number = 1`,
    [JSON.stringify(result)],
  )
  return ['drf_1', 'drf_2', 'drf_3']
}

async function seedLongDraft(query: Query): Promise<string> {
  const numbers = Array.from({ length: 6 * ROWS }, (_, n) => n)
  const several = (n: number) => Array.from({ length: 8 }, (_, each) => hostileName(n + each).slice(0, 200))
  const rows = numbers.map((n) => {
    const entraGroup = n % 10 === 9 ? hostileName(n) : `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`
    return {
      entraGroup,
      label: hostileName(n).slice(0, 200),
      groups: several(n),
      staff: n % 2 === 0,
      superuser: n % 3 === 0,
    }
  })
  const rules = numbers.slice(0, 2 * ROWS).map((n) => ({
    name: hostileName(n).slice(0, 200),
    hosts: [`${n}.contoso.example`, ...several(n)],
    paths: several(n),
    networks: several(n),
    allow: n % 2 === 0 ? 'anyone' : { groups: several(n), permissions: several(n), staff: true },
    ...n % 5 === 0 ? { more: hostileName(n) } : {},
  }))
  const lines = (list: readonly unknown[]) => list.map((each) => `  - ${JSON.stringify(each)}\n`).join('')
  const text = `groupMapping:\n  - &a { entraGroup: ${GROUP_IDS.circuitManagers} }\n  - *a\n${
    lines(rows)
  }access:\n  rules:\n${lines(rules)}`
  const author = "'admin:' || (select id from users where is_superuser limit 1)"
  await query(
    `insert into policy_drafts (id, text, base, message, author, changed_by)
      values ('drf_long', $1, 1, $2, ${author}, ${author})`,
    [text, hostileName(1).slice(0, 200)],
  )
  return 'drf_long'
}

/** Names of groups cannot have line separators or 300 characters. */
function groupName(n: number): string {
  return hostileName(n).replace(/[\u2028\u202C\u202E]/g, '').slice(-150)
}

async function seedRows(query: Query): Promise<void> {
  const numbers = Array.from({ length: ROWS }, (_, n) => n)
  const names = numbers.map(hostileName)
  await query(
    `insert into users (username, username_key, email, name, is_staff, is_active, last_login_at)
      select name, lower(name), name || '@contoso.example', name, n % 5 = 0, n % 7 <> 0, now() - n * interval '2 days'
      from unnest($1::text[]) with ordinality as given (name, n)`,
    [names],
  )
  await query(`insert into identities (tid, oid, user_id, upn, upn_key, upn_seen_at, guest)
    select gen_random_uuid(), gen_random_uuid(), id, username, username_key, now(), true from users
    where id not in (select user_id from identities)`)
  await query(
    `insert into tokens (id, kind, name, owner_id, scopes, hash, created_by, expires_at)
      select 'tok_' || n, 'admin', left(name, 100), (select id from users order by username limit 1),
        '{gatehouse.read,gatehouse.people}', sha256(n::text::bytea), 'cli:root', now() + n * interval '1 day'
      from unnest($1::text[]) with ordinality as given (name, n)`,
    [names],
  )
  await query('insert into groups (name, description) select name, name from unnest($1::text[]) as name', [
    numbers.map(groupName),
  ])
  await query(`insert into user_groups (user_id, group_id, since)
    select u.id, g.id, now() from users u, groups g where g.name = 'Engineers' or g.name like '%<script>% 1'
    on conflict do nothing`)
  await query(`insert into user_groups (user_id, group_id)
    select u.id, g.id from groups g, (select id from users where name like '%<script>%' limit 1) u
    on conflict do nothing`)
  await query(`insert into group_permissions (group_id, permission)
    select id, 'netbox.view' from groups
    union all select id, 'gatehouse.sessions' from groups where name = 'Engineers'`)
  await query(`insert into sessions (id_hash, public_id, user_id, browser, client_address, last_host)
    select sha256(id::text::bytea), 'ses_' || left(md5(id::text), 12), id, 'Chrome', '192.0.2.7', 'wiki.contoso.example'
    from users where is_active`)
  await query(`insert into audit_events (at, action, actor, user_id, username)
    select now() - row_number() over () * interval '1 minute', 'login', username, id, username from users`)
}
