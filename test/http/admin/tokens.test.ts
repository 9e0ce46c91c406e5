// API tokens at the API: who asks, what the token is worth at this moment, and what it never opens.
import fastify, { type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { GatehouseError } from '../../../src/core/errors.js'
import { makeToken, readToken } from '../../../src/core/token.js'
import type { AdminTokenRecord } from '../../../src/core/tokens.js'
import { createApiGuard } from '../../../src/http/admin/api-guard.js'
import { createAdminTokenStore } from '../../../src/store/admin-tokens.js'
import { sweep } from '../../../src/store/sweep.js'
import { createTokensList } from '../../../src/store/tokens-list.js'
import { explained, rowsRead, scansOf } from '../../helpers/plans.js'
import { connect, type Query } from '../../helpers/sql.js'
import { PEOPLE, startAdminScene, type AdminScene } from './helper.js'
import { askWith, giveToken } from './token-client.js'

const ALL = ['gatehouse.sessions', 'gatehouse.people', 'gatehouse.policy', 'gatehouse.tokens', 'gatehouse.keys']

async function start(t: Test): Promise<{ scene: AdminScene, query: Query }> {
  const scene = await startAdminScene(t)
  return { scene, query: await connect(t, scene.gateway.databaseUrl) }
}

t.test('a token reads what a session of its owner reads', async (t) => {
  const { scene, query } = await start(t)
  const { clients: { sue, sam }, document } = scene
  const token = await giveToken(scene, query, 'sue', ALL)
  const ofStaff = await giveToken(scene, query, 'sam', ALL)
  const reads = document.operations.filter(({ method, path }) => method === 'GET' && !path.includes('{'))
  t.ok(reads.length > 5)
  for (const operation of reads) {
    const { path, permission } = operation
    const required = operation.parameters.filter((each) => each.required)
    const query = required.map(({ name }) => `${name}=24h`).join('&')
    const at = query === '' ? path : `${path}?${query}`
    const [by, bySession] = [await token.ask(at), await sue.ask(at)]
    t.equal(by.status, bySession.status, at)
    t.equal(scene.undeclared(operation, by), undefined, at)
    t.equal((await ofStaff.ask(at)).status, permission === 'gatehouse.read' ? (await sam.ask(at)).status : 403, at)
  }
  t.match((await token.ask('/me')).json, {
    username: 'sue.super@contoso.example',
    permissions: [...ALL, 'gatehouse.read'].sort(),
    csrfToken: null,
    sessionId: null,
    authenticatedAt: null,
    tokenId: token.id,
  })
  const decided = await token.ask('/policy/test', { method: 'POST', body: { url: 'https://a.example/' } })
  t.not(decided.status, 403, 'a POST that changes nothing needs no form')
  t.match((await ofStaff.ask('/me')).json, { permissions: ['gatehouse.read'] }, 'no more than the owner has')
})

// proves: token-ended
t.test('a token is worth what its owner has at that moment, and nothing after its end', async (t) => {
  const { scene, query } = await start(t)
  const token = await giveToken(scene, query, 'sue', ALL)
  const [sue] = await query<{ id: string }>('select user_id as id from identities where oid = $1', [PEOPLE.sue])
  const asked = async () => {
    const { status, json, headers } = await token.ask('/me')
    return { status, code: json?.['code'], challenge: headers['www-authenticate'] }
  }
  const invalid = {
    status: 401,
    code: 'admin_token_invalid',
    challenge: /^Bearer realm="http:.*", error="invalid_token"$/,
  }
  t.match(await asked(), { status: 200 })
  for (
    const [what, change, back] of [
      ['an inactive owner', 'update users set is_active = false where id = $1', 'is_active = true'],
      ['an owner with break-glass', 'update users set is_break_glass = true where id = $1', 'is_break_glass = false'],
    ] as const
  ) {
    await query(change, [sue?.id])
    t.match(await asked(), invalid, what)
    await query(`update users set ${back} where id = $1`, [sue?.id])
    t.match(await asked(), { status: 200 }, `${what}: over`)
  }
  await query('update users set is_superuser = false, is_staff = false where id = $1', [sue?.id])
  t.match(await asked(), { status: 403, code: 'not_allowed' }, 'an owner without any permission')
  await query('update users set is_staff = true where id = $1', [sue?.id])
  t.match((await token.ask('/me')).json, { permissions: ['gatehouse.read'] })
  for (const end of ['expires_at = now()', "expires_at = now() + interval '1 day', revoked_at = now()"]) {
    await query(`update tokens set ${end} where id = $1`, [token.id])
    t.match(await asked(), invalid, end)
  }
  await query('update tokens set revoked_at = null where id = $1', [token.id])
  t.match(await asked(), { status: 200 })
  await query("update tokens set kind = 'service' where id = $1", [token.id])
  t.match(await asked(), invalid, 'a token of another kind')
  await query('delete from users where id = $1', [sue?.id])
  t.match(await asked(), invalid, 'a removed owner')
})

t.test('one credential decides', async (t) => {
  const { scene, query } = await start(t)
  const { gateway, clients: { sue } } = scene
  const token = await giveToken(scene, query, 'sam', ['gatehouse.read'])
  const cookie = sue.browser.cookieHeader(gateway.url)
  const me = async (headers: Record<string, string | string[]>) => {
    const answer = await request(`${gateway.url}/admin/api/v1/me`, { headers })
    const json = await answer.body.json() as Record<string, unknown>
    return json['code'] ?? json['username']
  }
  const [bearer, sam] = [`Bearer ${token.token}`, 'sam.staff@contoso.example']
  t.equal(await me({ authorization: bearer }), sam)
  t.equal(await me({ authorization: `bearer  ${token.token}` }), sam, 'schemes are case-insensitive')
  t.equal(await me({ authorization: bearer, cookie }), sam, 'the token, and not the cookie')
  for (const broken of [`${token.token}0`, 'gha_x', 'gh_x', makeToken('admin').token]) {
    t.equal(await me({ authorization: `Bearer ${broken}`, cookie }), 'admin_token_invalid', broken)
  }
  for (const other of ['Bearer nbt_x', 'Basic Z2hhXzpnaGFf', 'Bearer', 'gha_x', `Token ${token.token}`]) {
    t.equal(await me({ authorization: other, cookie }), 'sue.super@contoso.example', `${other} is not looked at`)
    t.equal(await me({ authorization: other }), 'admin_sign_in_required')
  }
})

// proves: token-one-credential
t.test('two Authorization headers are refused', async (t) => {
  const { scene, query } = await start(t)
  const token = await giveToken(scene, query, 'sue', ALL)
  for (const other of ['Bearer gha_x', 'Basic eA==', `Bearer ${token.token}`]) {
    for (const headers of [[`Bearer ${token.token}`, other], [other, `Bearer ${token.token}`]]) {
      const answer = await request(`${scene.gateway.url}/admin/api/v1/me`, {
        headers: headers.flatMap((each) => ['authorization', each]),
      })
      t.equal(answer.statusCode, 400)
      t.match(await answer.body.json(), { code: 'request_malformed' }, other)
    }
  }
})

t.test('a token opens nothing but the API', async (t) => {
  const { scene: { gateway, ...scene }, query } = await start(t)
  const token = await giveToken({ gateway, ...scene }, query, 'sue', ALL)
  const headers = { authorization: `Bearer ${token.token}`, accept: 'application/json' }
  for (const path of ['/admin', '/admin/people', '/admin/people.csv', '/admin/audit.ndjson', '/oauth2/userinfo']) {
    const { statusCode, body } = await request(`${gateway.url}${path}`, { headers })
    t.not(statusCode, 200, path)
    t.notMatch(await body.text(), /sue\.super/, path)
  }
  for (const path of ['/admin/people/add', '/admin/sessions/end-all', '/admin/sign-out']) {
    const { statusCode } = await request(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { ...headers, 'sec-fetch-site': 'same-origin', 'content-type': 'application/x-www-form-urlencoded' },
      body: 'reason=x&username=new',
    })
    t.equal(statusCode, 401, path)
  }
})

t.test('a use is recorded once a minute, and only of a token that counts', async (t) => {
  const { scene, query } = await start(t)
  const token = await giveToken(scene, query, 'sam', ['gatehouse.read'])
  const used = async () => (await query('select last_used_at as at from tokens where id = $1', [token.id]))[0]?.['at']
  const set = async (at: string) => await query(`update tokens set last_used_at = ${at} where id = $1`, [token.id])
  await set('null')
  await token.ask('/me')
  t.ok(await used())
  await set("now() - interval '50 seconds'")
  const before = await used()
  await token.ask('/me')
  t.strictSame(await used(), before)
  await set("now() - interval '61 seconds'")
  await token.ask('/me')
  t.not(String(await used()), String(before))
  await query('update tokens set last_used_at = null, revoked_at = now() where id = $1', [token.id])
  await token.ask('/me')
  t.equal(await used(), null)
})

const RECORD: AdminTokenRecord = {
  id: 'tok_AAAAAAAAAAAA',
  userId: '3f0f8a2e-0000-4000-8000-000000000001',
  username: 'sue',
  name: null,
  isStaff: false,
  isSuperuser: true,
  permissions: [],
  scopes: ['gatehouse.sessions'],
  state: 'active',
}

// proves: token-networks, token-permission
t.test('the guard refuses what is no token before it reads, and clients from outside before that', async (t) => {
  const { token } = makeToken('admin')
  const world = { outside: false, reads: 0 }
  const guard = createApiGuard({
    guard: { authenticate: () => Promise.reject(new GatehouseError('admin_sign_in_required')) },
    isOutside: () => world.outside,
    adminTokens: {
      async find(hash) {
        world.reads++
        return readToken('admin', token)?.equals(hash) === true ? RECORD : undefined
      },
    },
  })
  const app = fastify()
  t.teardown(() => app.close())
  const asked = async (authorization: string, permission: 'gatehouse.read' | 'gatehouse.people' = 'gatehouse.read') => {
    const raw = { headers: { authorization }, rawHeaders: ['Authorization', authorization] }
    return await guard.authenticate({ raw } as unknown as FastifyRequest, permission).then(
      ({ permissions }) => [...permissions].sort().join(' '),
      (error: unknown) => (error as GatehouseError).code,
    )
  }
  t.equal(await asked(`Bearer ${token}`), 'gatehouse.read gatehouse.sessions')
  t.equal(world.reads, 1)
  t.equal(await asked(`Bearer ${token}`, 'gatehouse.people'), 'not_allowed')
  t.equal(await asked(`Bearer ${makeToken('admin').token}`), 'admin_token_invalid')
  t.equal(world.reads, 3)
  for (const broken of ['gha_', `${token.slice(0, -1)}!`, `${token}, Bearer ${token}`, `gh_${token.slice(4)}`]) {
    t.equal(await asked(`Bearer ${broken}`), 'admin_token_invalid', broken)
  }
  world.outside = true
  t.equal(await asked(`Bearer ${token}`), 'not_found')
  t.equal(await asked('Bearer gha_x'), 'not_found')
  t.equal(world.reads, 3, 'nothing was read')
})

// proves: token-limit
t.test('requests with tokens are limited by client address', { timeout: 120_000 }, async (t) => {
  const { scene: { gateway, clients: { sue } } } = await start(t)
  const statuses = new Map<number, number>()
  for (let part = 0; part < 61; part++) {
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => (await askWith(gateway.url, 'gha_x', '/me')).status),
    )
    for (const status of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  t.strictSame([...statuses], [[401, 1_200], [429, 20]])
  t.equal((await sue.ask('/me')).status, 200, 'sessions are counted apart')
})

t.test('a token and the list are found by their indexes, with thousands of tokens', async (t) => {
  const { scene, query } = await start(t)
  const { database } = scene.gateway.gateway
  const { token } = await giveToken(scene, query, 'sue', ALL)
  await query(`insert into tokens (id, kind, name, owner_id, scopes, hash, created_by, expires_at, created_at)
    select 'tok_' || n, 'admin', 'n', (select id from users limit 1), '{}', sha256(n::text::bytea), 'test',
      now() + interval '1 day', now() - n * interval '1 second' from generate_series(1, 5000) n`)
  await query('analyze tokens')
  const { database: watched, plans } = explained(database)
  await createAdminTokenStore({ ...watched, confirm: () => {} }).find(readToken('admin', token) ?? Buffer.alloc(0))
  const list = createTokensList(watched)
  const { rows, next } = await list.list({ limit: 20 })
  t.equal(rows.length, 20)
  await list.list({ limit: 20, after: next })
  for (const plan of plans) {
    t.ok(rowsRead(scansOf([plan]).filter((node) => node['Relation Name'] === 'tokens')) <= 45, 'few rows are read')
  }
})

// proves: token-swept
t.test('tokens that ended 90 days ago are swept', async (t) => {
  const { scene, query } = await start(t)
  const ends = [
    'expires_at = now()',
    'revoked_at = now()',
    "expires_at = now() - interval '89 days'",
    "expires_at = now() - interval '91 days'",
    "revoked_at = now() - interval '91 days'",
  ]
  const made: string[] = []
  for (const end of ends) {
    const { id } = await giveToken(scene, query, 'sue', ALL)
    await query(`update tokens set ${end} where id = $1`, [id])
    made.push(id)
  }
  await sweep(scene.gateway.gateway.database, {
    ...scene.gateway.config.session,
    retentionMs: 90 * 86_400_000,
    isClockConfirmed: true,
    isExported: false,
  })
  const left = await query<{ id: string }>('select id from tokens')
  t.strictSame(new Set(left.map(({ id }) => id)), new Set(made.slice(0, 3)))
})
