// schemathesis sends random requests to every operation of the admin API, made from the OpenAPI document alone: with
// a session of a superuser and of staff, and with an API token of each, at a gateway each.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { sql } from 'drizzle-orm'
import t, { type Test } from 'tap'
import { isInstalled, schemathesisFolder } from '../../scripts/install-schemathesis.mjs'
import { ADMIN_PERMISSIONS } from '../../src/core/admin-permissions.js'
import { PEOPLE, startDeployedScene, type AdminScene } from '../http/admin/helper.js'
import { giveAdminSession } from '../helpers/admin.js'
import { inForce } from '../http/admin/act-scenes.js'
import { giveToken } from '../http/admin/token-client.js'
import { connect } from '../helpers/sql.js'
import { skip } from '../helpers/programs.js'

const EXAMPLES = 20
const SEED = process.env.FUZZ_SEED ?? '1'
const HOOKS = 'schemathesis_hooks'

/** docs/testing.md has the reasons. */
const CHECKS_OFF = 'positive_data_acceptance,unsupported_method'

type Who = 'sue' | 'sam'

const EVERYTHING = Object.keys(ADMIN_PERMISSIONS)

interface Asking {
  readonly who: Who
  readonly by: 'session' | 'token'
}

const ASKING: readonly Asking[] = (['session', 'token'] as const).flatMap((by) =>
  (['sue', 'sam'] as const).map((who) => ({ who, by }))
)

for (const asking of ASKING) {
  const { who, by } = asking
  t.test(`random requests with a ${by} of ${who}`, { timeout: 600_000 }, async (t) => {
    const home = schemathesisFolder()
    if (!isInstalled(home)) return skip(t, `${home} is not there: node scripts/install-schemathesis.mjs`)
    const scene = await startDeployedScene(t, { server: { trustedProxies: ['127.0.0.1'] } })
    scene.gateway.entra.app.applicationPermissions = ['User.Read.All', 'GroupMember.Read.All'] // for ?live=true
    const { status, output, answers } = await fuzz(t, join(home, 'bin/schemathesis'), scene, asking)
    t.equal(status === 0 ? '' : output, '', 'schemathesis has found nothing')
    for (const { operationId, permission, act } of scene.document.operations) {
      const found = answers.get(operationId) ?? new Map<number, number>()
      const isNever = by === 'token' && act !== undefined && act.byToken !== true
      const expected = !isNever && (who === 'sue' || permission === 'gatehouse.read') ? 200 : 403
      t.ok((found.get(expected) ?? 0) > 0, `${operationId} was answered ${expected}: ${JSON.stringify([...found])}`)
    }
  })
}

async function fuzz(t: Test, program: string, scene: AdminScene, { who, by }: Asking) {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-fuzz-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  writeFileSync(join(home, 'openapi.json'), (await scene.clients[who].ask('/openapi.json')).text)
  writeFileSync(join(home, 'answers'), '')
  const args = [
    ...['--config-file', resolve('test/fixtures/schemathesis.toml')],
    ...['run', 'openapi.json', '--url', `${scene.gateway.url}/admin/api/v1`, '--no-color', '--seed', SEED],
    ...['--max-examples', String(EXAMPLES), '--generation-database', 'none', '--suppress-health-check', 'all'],
    ...['--checks', 'all', '--exclude-checks', CHECKS_OFF, '--continue-on-failure', '--no-shrink', '--warnings', 'off'],
  ]
  const running = spawn(program, args, {
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PYTHONPATH: resolve('test/fixtures'),
      PYTHONDONTWRITEBYTECODE: '1',
      SCHEMATHESIS_HOOKS: HOOKS,
      FUZZ_BY: by,
      FUZZ_CREDENTIALS: await credentials(t, scene, { who, by }),
      FUZZ_OBJECTS: JSON.stringify(await objects(scene)),
      FUZZ_ANSWERS: join(home, 'answers'),
    },
  })
  t.teardown(() => running.kill())
  let output = ''
  const collect = (part: Buffer) => (output += part.toString())
  running.stdout.on('data', collect)
  running.stderr.on('data', collect)
  const [status] = await once(running, 'close') as [number | null]
  return { status, output, answers: counted(readFileSync(join(home, 'answers'), 'utf8')) }
}

/** Where each request gets a new admin session or token of this person, or the version of an object. */
async function credentials(t: Test, scene: AdminScene, { who, by }: Asking): Promise<string> {
  const { gateway, document } = scene
  const query = await connect(t, gateway.databaseUrl)
  let tokens = 0
  const { components } = document.content as { components: { securitySchemes: { adminSession: { name: string } } } }
  const name = components.securitySchemes.adminSession.name.replace('__Host-', '')
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const version = searchParams.get('version')
    if (searchParams.has('inForce')) {
      inForce(query).then((number) => response.end(String(number)), (error: unknown) => {
        response.writeHead(500).end(String(error))
      })
      return
    }
    if (version !== null) {
      versionOf(scene, version).then((tag) => response.end(tag), (error: unknown) => {
        response.writeHead(500).end(String(error))
      })
      return
    }
    if (by === 'token') {
      giveToken(scene, query, who, EVERYTHING).then(({ token }) => {
        tokens++
        response.end(JSON.stringify({ token, address: `198.51.100.${tokens % 250}` }))
      }, (error: unknown) => {
        response.writeHead(500).end(String(error))
      })
      return
    }
    giveAdminSession(gateway, PEOPLE[who]).then(async ({ browser }) => {
      const me = await browser.ask(`${gateway.url}/admin/api/v1/me`)
      const { csrfToken } = JSON.parse(me.text) as { csrfToken: string }
      const cookie = browser.cookies.get(new URL(gateway.url).hostname)?.get(name)
      response.end(JSON.stringify({ name, cookie, csrfToken }))
    }).catch((error: unknown) => {
      response.writeHead(500).end(String(error))
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** The `ETag` of an object, as the superuser sees it; '' without one. */
async function versionOf({ gateway }: AdminScene, path: string): Promise<string> {
  const { browser } = await giveAdminSession(gateway, PEOPLE.sue)
  const { headers } = await browser.ask(`${gateway.url}/admin/api/v1${path}`)
  return headers.get('etag') ?? ''
}

/**
 * By the first segment of an address and its parameter: what an act of the superuser may end or remove. Memberships by
 * hand are ids of users and names of groups.
 */
async function objects({ gateway }: AdminScene): Promise<Record<string, readonly string[]>> {
  await gateway.gateway.database.ask((db) =>
    db.execute(sql`insert into retired_usernames (username_key)
      select 'former' || n || '@contoso.example' from generate_series(1, 20) n`)
  )
  await gateway.gateway.database.ask((db) =>
    db.execute(sql`insert into tokens (id, kind, name, owner_id, scopes, hash, created_by, expires_at)
      select 'tok_' || n, 'admin', 'n', (select id from users order by username limit 1), '{}',
        sha256(n::text::bytea), 'test', now() + interval '1 day' from generate_series(1, 20) n`)
  )
  await gateway.gateway.database.ask((db) =>
    db.execute(sql`with made as (
        insert into users (username, username_key) select 'member' || n, 'member' || n from generate_series(1, 8) n
        returning id)
      insert into user_groups (user_id, group_id) select made.id, g.id from made, groups g where not exists (
        select from group_permissions p where p.group_id = g.id)`)
  )
  await gateway.gateway.database.ask((db) =>
    db.execute(sql`insert into groups (name) select 'Spare ' || n from generate_series(1, 20) n`)
  )
  await gateway.gateway.database.ask((db) =>
    db.execute(sql`insert into policy_drafts (id, text, base, author, changed_by)
      select 'drf_' || n, 'access: { default: deny }', (select max(number) from policy_versions), 'cli:test', 'cli:test'
      from generate_series(1, 20) n`)
  )
  await gateway.gateway.database.ask((db) =>
    db.execute(sql`insert into policy_images (name, type, sha256, content, author)
      values ('logo.png', 'image/png', repeat('0', 64), 'x', 'cli:test')`)
  )
  await seedDeploys(gateway)
  const column = async (query: ReturnType<typeof sql>) =>
    (await gateway.gateway.database.ask((db) => db.execute<{ found: string }>(query))).rows.map(({ found }) => found)
  return {
    'people {id}': await column(sql`select id::text as found from users order by username`),
    'people {name}': await column(sql`select name as found from groups order by name`),
    'memberships': await column(sql`select user_id || ' ' || g.name as found from user_groups join groups g
      on g.id = group_id where cause is null order by user_id, g.name`),
    // of users without an identity: none of them is the one who asks
    'reviews': await column(sql`select user_id || ' group:' || g.name as found from user_groups join groups g
      on g.id = group_id where cause is null order by user_id, g.name`),
    'groups {name}': await column(sql`select name as found from groups order by name`),
    'names {name}': await column(sql`select username_key as found from retired_usernames order by username_key`),
    'policy/drafts {id}': await column(sql`select id as found from policy_drafts where id like 'drf_%' order by id`),
    'deploys': await column(sql`select id as found from policy_drafts where id like 'dep_%' order by id`),
    'images {name}': await column(sql`select name as found from policy_images`),
    'tokens {id}': await column(sql`select id as found from tokens order by created_at`),
    'sessions {publicId}': await column(sql`select public_id as found from sessions order by created_at`),
  }
}

/** Drafts with the meaning of the policy in force, and a preview of each: a deploy of one leaves the others current. */
async function seedDeploys({ gateway: { database } }: AdminScene['gateway']): Promise<void> {
  await database.ask((db) =>
    db.execute(sql`insert into policy_drafts (id, text, base, author, changed_by)
      select 'dep_' || n, text || '# ' || n, number, 'cli:test', 'cli:test'
      from generate_series(1, 100) n, policy_versions`)
  )
  const none = { users: 0, changed: 0, gains: 0, losses: 0, newSuperusers: 0, oldestReading: null, newestReading: null }
  const result = JSON.stringify({ hash: 'f'.repeat(64), ...none, changes: [], counts: [], sampled: null })
  await database.ask((db) =>
    db.execute(sql`insert into policy_previews (draft, run, draft_hash, policy_hash, state, result, written_at)
      select d.id, gen_random_uuid(), v.hash, v.hash, 'done', ${result}::jsonb, now() + interval '1 day'
      from policy_drafts d, policy_versions v where d.id like 'dep_%'`)
  )
}

function counted(lines: string): Map<string, Map<number, number>> {
  const answers = new Map<string, Map<number, number>>()
  for (const line of lines.split('\n').filter((each) => each !== '')) {
    const { operation, status } = JSON.parse(line) as { operation: string, status: number }
    const found = answers.get(operation) ?? new Map<number, number>()
    answers.set(operation, found.set(status, (found.get(status) ?? 0) + 1))
  }
  return answers
}
