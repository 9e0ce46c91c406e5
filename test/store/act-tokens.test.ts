// Acts on tokens and acts by tokens, in their transaction: what is above the rights of this moment changes nothing.
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { createActUseCases } from '../../src/act-use-cases.js'
import type { NewAdminToken } from '../../src/admin/acts/tokens.js'
import type { Acting } from '../../src/core/acts.js'
import { readToken } from '../../src/core/token.js'
import { createAdminTokenStore } from '../../src/store/admin-tokens.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { administrators, NAMES_NO_GROUP } from '../helpers/acts.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, dumpEverything } from '../helpers/sql.js'

const TIMEOUTS = { idleTimeoutMs: 3_600_000, absoluteTimeoutMs: 3_600_000, privilegedTimeoutMs: undefined }
const DAY_MS = 86_400_000
const CLI: Acting = { actor: 'cli:root', admin: undefined }
const TOKEN = { name: 'Report', scopes: ['gatehouse.read'], lifetimeMs: DAY_MS } as const

/** Sue is superuser, Gus has `gatehouse.tokens` by a group, Max has nothing. */
async function scene(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 4 })
  t.teardown(() => database.close())
  await query(`insert into users (username, username_key, is_superuser) select name, name, name = 'sue'
    from unnest(array['sue', 'gus', 'max']) as name`)
  await query("insert into groups (name) values ('Helpdesk')")
  await query(`insert into group_permissions select id, word from groups, unnest(array['gatehouse.tokens',
    'gatehouse.sessions']) word`)
  await query(`insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g
    where username = 'gus'`)
  const idOf = async (name: string) =>
    (await query<{ id: string }>('select id from users where username = $1', [name]))[0]?.id ?? ''
  const actingAs = await administrators(query)
  const { tokens, sessions, people } = createActUseCases({
    database,
    timeouts: TIMEOUTS,
    reservedUsernames: () => [],
    groupPolicy: () => NAMES_NO_GROUP,
    encryptionSecrets: [],
  })
  return { query, database, idOf, actingAs, tokens, sessions, people }
}

// proves: token-ceiling, token-owner, token-lifetime
t.test('a token gets no scope that its maker does not hold, an owner who can use it, and an end', async (t) => {
  const { query, idOf, actingAs, tokens } = await scene(t)
  const gus = await actingAs('gus')
  const refused = async (what: string, code: string, asked: Partial<NewAdminToken>, acting = gus) => {
    const before = await dumpEverything(query)
    await t.rejects(tokens.addAdmin({ ...TOKEN, ...asked }, acting), { code }, what)
    t.equal(await dumpEverything(query), before, `${what}: nothing changes`)
  }
  await refused('a scope above', 'above_own_rights', { scopes: ['gatehouse.sessions', 'gatehouse.people'] })
  await refused('no scope', 'request_malformed', { scopes: [] })
  await refused('no name', 'request_malformed', { name: '  ' })
  await refused('too long', 'request_malformed', { lifetimeMs: 365 * DAY_MS + 1 })
  await refused('no time', 'request_malformed', { lifetimeMs: 0 })
  await refused('nobody', 'user_unknown', { ownerId: randomUUID() }, CLI)
  await refused('no permission', 'not_allowed', {}, await actingAs('max'))
  for (const change of ['is_active = false', 'is_break_glass = true']) {
    await query(`update users set ${change} where username = 'max'`)
    await refused(change, 'token_owner_unusable', { ownerId: await idOf('max') }, CLI)
    await query("update users set is_active = true, is_break_glass = false where username = 'max'")
  }
  const made = await tokens.addAdmin({ ...TOKEN, scopes: ['gatehouse.sessions'], lifetimeMs: 365 * DAY_MS }, gus)
  t.match(made, { id: /^tok_/, token: /^gha_/, owner: 'gus' })
})

// proves: token-made-once
t.test('a token is stored as a hash, recorded without itself, and made once for a request', async (t) => {
  const { query, database, idOf, actingAs, tokens } = await scene(t)
  const gus = await actingAs('gus')
  const requestId = randomUUID()
  const { id, token } = await tokens.addAdmin({ ...TOKEN, requestId }, gus)
  t.match(await createAdminTokenStore(database).find(readToken('admin', token) ?? Buffer.alloc(0)), {
    id,
    username: 'gus',
    scopes: ['gatehouse.read'],
    state: 'active',
  })
  const [row] = await query('select * from audit_events order by id desc limit 1')
  t.match(row, {
    action: 'token.add',
    actor: `admin:${await idOf('gus')}`,
    username: 'gus',
    detail: {
      token: id,
      before: null,
      after: { kind: 'admin', name: 'Report', owner: 'gus', scopes: ['gatehouse.read'] },
      by: { session: 'ses_gus', address: '192.0.2.1' },
    },
  })
  const stored = `${await dumpEverything(query)}${JSON.stringify(await query('select * from audit_events'))}`
  t.notOk(stored.includes(token) || stored.includes(token.slice(4, 47)), 'the token is nowhere')
  const before = await dumpEverything(query)
  await t.rejects(tokens.addAdmin({ ...TOKEN, requestId }, gus), { code: 'request_repeated' })
  t.equal(await dumpEverything(query), before)
  await tokens.addAdmin({ ...TOKEN, requestId }, await actingAs('sue'))
  await tokens.addAdmin(TOKEN, gus)
  await tokens.addAdmin(TOKEN, gus)
})

// proves: token-revoke-ceiling, token-revoked
t.test('a revoked token stays revoked; those of superusers are revoked by superusers', async (t) => {
  const { query, actingAs, tokens, idOf } = await scene(t)
  const [sue, gus] = [await actingAs('sue'), await actingAs('gus')]
  const ofSue = await tokens.addAdmin(TOKEN, sue)
  const ofGus = await tokens.addAdmin(TOKEN, gus)
  const before = await dumpEverything(query)
  await t.rejects(tokens.revoke(ofSue.id, gus), { code: 'above_own_rights' })
  await t.rejects(tokens.revoke('tok_AAAAAAAAAAAA', sue), { code: 'token_unknown' })
  t.equal(await dumpEverything(query), before)
  t.match(await tokens.revoke(ofGus.id, gus), { name: 'Report', owner: 'gus', changed: true })
  t.match(await tokens.revoke(ofGus.id, sue), { changed: false })
  t.match(await tokens.revoke(ofSue.id, CLI), { changed: true })
  const rows = await query("select actor, detail from audit_events where action = 'token.revoke' order by id")
  t.match(rows, [
    { actor: `admin:${await idOf('gus')}`, detail: { token: ofGus.id, before: { name: 'Report' }, reason: 'Lost.' } },
    { actor: 'cli:root', detail: { token: ofSue.id } },
  ])
  t.equal(rows.length, 2, 'what was revoked already is not recorded again')
  t.strictSame(await query('select 1 from tokens where revoked_at is null'), [])
})

// proves: token-again
t.test('an act by token needs what the token is worth at its own moment', async (t) => {
  const { query, actingAs, tokens, sessions, people, idOf } = await scene(t)
  const sue = await actingAs('sue')
  const { id } = await tokens.addAdmin({ ...TOKEN, scopes: ['gatehouse.sessions', 'gatehouse.people'] }, sue)
  const userId = await idOf('sue')
  const byToken: Acting = { ...sue, admin: { userId, tokenId: id, address: '192.0.2.1' } }
  const refused = async (what: string, code: string, work: () => Promise<unknown>) => {
    const before = await dumpEverything(query)
    await t.rejects(work(), { code }, what)
    t.equal(await dumpEverything(query), before, `${what}: nothing changes`)
  }
  await refused('a superuser, although the owner is one', 'above_own_rights', () => sessions.end('ses_sue', byToken))
  await refused('all', 'above_own_rights', () => sessions.endAll({ all: true }, byToken))
  await refused('break-glass', 'above_own_rights', () => people.add({ username: 'b', breakGlass: true }, byToken))
  await refused('a rename', 'above_own_rights', async () => people.rename(await idOf('max'), 'moritz', byToken))
  await refused('not in its scopes', 'not_allowed', () => tokens.revoke(id, byToken))
  for (
    const [end, back] of [
      ['update tokens set expires_at = now()', "update tokens set expires_at = now() + interval '1 day'"],
      ['update tokens set revoked_at = now()', 'update tokens set revoked_at = null'],
      ["update users set is_active = false where username = 'sue'", 'update users set is_active = true'],
      ["update users set is_break_glass = true where username = 'sue'", 'update users set is_break_glass = false'],
    ] as const
  ) {
    await query(end)
    await refused(end, 'admin_token_invalid', () => sessions.end('ses_max', byToken))
    await query(back)
  }
  await query('update users set is_superuser = false')
  await refused('an owner without rights', 'not_allowed', () => sessions.end('ses_max', byToken))
  await query("update users set is_superuser = username = 'sue'")
  t.match(await sessions.end('ses_max', byToken), { ended: 1 })
  const [row] = await query("select detail from audit_events where action = 'session.revoke'")
  t.match(row, { detail: { by: { token: id, address: '192.0.2.1' } } })
})
