// The store on a real PostgreSQL: migrations, conformance, and what happens when the database goes away.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync, chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as openSocket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, PERSON_IDS } from '../../src/demo/people.js'
import type { LoginCommit } from '../../src/core/login.js'
import type { CompletePlan } from '../../src/core/pipeline/pipeline.js'
import { newPublicSessionId, newSessionId, sessionIdHash } from '../../src/core/session.js'
import { invalidateOnWrite } from '../../src/core/session-cache.js'
import { errorFields } from '../../src/telemetry/logger.js'
import { openDatabase } from '../../src/store/database.js'
import { sqlState } from '../../src/store/database-errors.js'
import { startEmbeddedPostgres } from '../../src/store/embedded.js'
import { createLoginStore } from '../../src/store/login-store.js'
import { createSigningKeyStore } from '../../src/store/keys.js'
import { open, seal } from '../../src/store/sealing.js'
import { createLock } from '../../src/store/leadership.js'
import { readMigrationState, migrate } from '../../src/store/migrate.js'
import { listAudit } from '../../src/store/audit-list.js'
import { createGroupsList } from '../../src/store/groups-list.js'
import { replaceSession } from '../../src/store/session-placing.js'
import { createSessionStore } from '../../src/store/sessions.js'
import { users } from '../../src/store/schema.js'
import { sweep } from '../../src/store/sweep.js'
import { createBrowser, formOf } from '../helpers/browser.js'
import { startTestGateway } from '../helpers/gateway.js'
import { freshDatabase } from '../helpers/postgres.js'
import { sessionStoreConformance } from '../helpers/session-store-conformance.js'
import { connect, dump, endConnections } from '../helpers/sql.js'
import { createGroupAdmin, createSessionAdmin, createUserAdmin } from '../helpers/acts.js'

const TIMEOUTS = { idleTimeoutMs: 3_600_000, absoluteTimeoutMs: 7_200_000, privilegedTimeoutMs: undefined }
const UNROUTABLE_PATH = 'postgres://gatehouse:x@127.0.0.1:1/gatehouse'

// proves: migrate-once
t.test('gateways that start at the same time migrate once', async (t) => {
  const url = await freshDatabase(t)
  t.ok((await readMigrationState(url)).pending.length > 0)
  const applied = await Promise.all(Array.from({ length: 5 }, () => migrate(url)))
  t.equal(applied.filter((names) => names.length > 0).length, 1, JSON.stringify(applied))
  t.same((await readMigrationState(url)).pending, [])
  t.same(await migrate(url), [])
})

t.test('a database that is strict about time', async (t) => {
  const url = await freshDatabase(t)
  const [query, unlimited] = [await connect(t, url), await connect(t, url)]
  const limits = await query(
    "select name from pg_settings where name in ('statement_timeout', 'lock_timeout', " +
      "'idle_in_transaction_session_timeout', 'transaction_timeout')",
  )
  for (const { name } of limits) {
    await query(`alter database ${new URL(url).pathname.slice(1)} set ${String(name)} = '400ms'`)
  }
  await query(`alter database ${new URL(url).pathname.slice(1)} set default_transaction_isolation = 'repeatable read'`)

  // proves: migrate-waits, migrate-sees-what-was-done
  await t.test('gateways wait for one that migrates', async (t) => {
    await unlimited('begin; select pg_advisory_xact_lock(7406812734)')
    const waiting = [migrate(url), migrate(url)]
    await sleep(800)
    await unlimited('commit')
    t.equal((await Promise.all(waiting)).filter((names) => names.length > 0).length, 1)
  })

  // proves: sync-lock-unlimited, sync-lock-no-snapshot
  await t.test('the lock of one replica stays with it, and holds no vacuum back', async (t) => {
    const [one, two] = [createLock({ server: url, name: 'x' }), createLock({ server: url, name: 'x' })]
    t.teardown(() => Promise.all([one.close(), two.close()]))
    t.strictSame({ one: await one.held(), two: await two.held() }, { one: true, two: false })
    await sleep(800)
    t.strictSame({ one: await one.held(), two: await two.held() }, { one: true, two: false })
    t.match(
      await query(
        "select state, backend_xmin, backend_xid from pg_stat_activity where application_name = 'gatehouse lock' and " +
          'datname = current_database() order by state desc',
      ),
      [{ state: 'idle in transaction', backend_xmin: null, backend_xid: null }, { state: 'idle' }],
    )
    await one.close()
    t.equal(await two.held(), true)
  })
})

t.test('session stores conform', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 3 })
  t.teardown(() => database.close())
  const plain = createSessionStore(database, TIMEOUTS)
  let number = 0
  const subject = {
    newSession: async (entraSid?: string) => {
      const name = `user${number++}`
      const [user] = await database.ask((db) =>
        db.insert(users).values({ username: name, usernameKey: name }).returning({ id: users.id })
      )
      const id = newSessionId()
      await database.transaction((tx) =>
        replaceSession(tx, {
          userId: user?.id ?? '',
          session: { id, publicId: newPublicSessionId(), replaces: undefined, sibling: false },
          token: { entraSid: entraSid ?? null, tokenIssuedAt: new Date(), authenticatedAt: null },
          limits: { ...TIMEOUTS, maxPerUser: 10 },
        })
      )
      return id
    },
    deactivateUsers: async () => {
      await database.ask((db) => db.update(users).set({ isActive: false }))
    },
  }
  await t.test('PostgreSQL', (t) => sessionStoreConformance(t, { store: plain, ...subject }))
  await t.test('PostgreSQL, with a cache that forgets', (t) =>
    sessionStoreConformance(t, { store: invalidateOnWrite(plain, { apply: () => {} }), ...subject }))
})

// proves: security-keys-sealed
t.test('signing keys are sealed, made once, and never silently replaced', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 5 })
  t.teardown(() => database.close())
  const query = await connect(t, url)
  await Promise.all(Array.from({ length: 4 }, () => createSigningKeyStore(database, ['s'.repeat(32)]).ensure()))
  const keys = await query<{ kid: string, sealed_private_key: Buffer, public_jwk: unknown }>(
    'select * from signing_keys',
  )
  t.equal(keys.length, 1)
  const [key] = keys
  t.match(key?.public_jwk, { kty: 'EC', crv: 'P-256', alg: 'ES256' })
  t.notOk('d' in (key?.public_jwk as object))
  t.notMatch(key?.sealed_private_key.toString('latin1'), /"d"/)
  t.ok(
    JSON.parse(open(key?.sealed_private_key ?? Buffer.of(), key?.kid ?? '', ['x'.repeat(32), 's'.repeat(32)]).text).d,
  )
  t.throws(
    () => open(key?.sealed_private_key ?? Buffer.of(), 'another kid', ['s'.repeat(32)]),
    'a sealed key cannot be passed off as another',
  )
  await t.rejects(
    createSigningKeyStore(database, ['o'.repeat(32)]).ensure(),
    /cannot be opened with any of keys\.encryptionSecrets/,
  )
  t.equal((await query('select 1 from signing_keys')).length, 1)
  t.strictSame(open(seal('x', 'k', 'a'.repeat(32)), 'k', ['a'.repeat(32)]), { text: 'x', first: true })
})

t.test('groups: applied as one, idempotent, and names that could not travel in a header are refused', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const [groups, list] = [createGroupAdmin(database), createGroupsList(database)]
  const file = [{ name: "Zoë's Engineers", permissions: ['netbox.view', 'netbox.change'] }, {
    name: "zoë's engineers",
    description: 'another name, since case counts',
  }]
  t.same((await groups.apply(file, { actor: 'cli:t', dryRun: true })).length, 4)
  t.same(await list.all(), [], 'a dry run changes nothing')
  t.same((await groups.apply(file, { actor: 'cli:t', dryRun: false })).map((change) => change.change), [
    'added',
    'permission granted',
    'permission granted',
    'added',
  ])
  t.same(await groups.apply(file, { actor: 'cli:t', dryRun: false }), [])
  t.same(
    (await groups.apply([{ name: "Zoë's Engineers", permissions: ['netbox.view'] }], { actor: 'cli:t', dryRun: false }))
      .map((change) => change.change),
    ['permission revoked'],
  )
  await t.rejects(groups.add({ name: "Zoë's Engineers" }, 'cli:t'), { code: 'group_exists' })
  for (const name of ['', ' x', 'x ', 'a,b', 'a\nb', 'a\u0000b', 'x'.repeat(151)]) {
    await t.rejects(groups.add({ name }, 'cli:t'), { code: 'group_name_invalid' }, JSON.stringify(name))
  }
  await t.rejects(
    groups.apply([{ name: 'New' }, { name: 'Bad', permissions: ['no dots'] }], { actor: 'cli:t', dryRun: false }),
    { code: 'permission_invalid' },
  )
  t.notOk((await list.all()).some((group) => group.name === 'New'), 'nothing half applied')
  const query = await connect(t, url)
  t.match(await query("select distinct actor from audit_events where action like 'group.%'"), [{ actor: 'cli:t' }])
})

const LIMITS = {
  idleTimeoutMs: 3_600_000,
  absoluteTimeoutMs: 86_400_000,
  privilegedTimeoutMs: undefined,
  maxPerUser: 50,
}

// proves: adv-session-cap, adv-session-cap-newest, adv-session-cap-timed-out
t.test('a person has session.maxPerUser sessions at most, however many sign-ins come at the same time', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 10 })
  t.teardown(() => database.close())
  const query = await connect(t, url)
  const uid = { tid: DEMO_TENANT_ID, oid: '11111111-2222-3333-4444-555555550001' }
  let number = 0
  const signIn = async (maxPerUser: number): Promise<string> => {
    const store = createLoginStore(database, { ...LIMITS, maxPerUser })
    const user = await store.userByIdentity(uid.tid, uid.oid)
    const id = newSessionId()
    const outcome = await store.commit({
      plan: {
        uid,
        username: 'abe',
        origin: user === undefined ? 'created' : 'known',
        newAssociation: user === undefined,
        ...(user === undefined ? {} : { user }),
        details: {
          email: null,
          emailVerified: false,
          name: null,
          givenName: null,
          familyName: null,
          usernameSource: 'abe',
        },
        profile: { name: null, givenName: null, familyName: null },
        extraData: { sid: null, loginHint: null, guest: false, upn: null },
        grants: { groups: [], missing: [], staff: [], superuser: [] },
      },
      person: {
        claims: { ...uid, sub: 'x', iat: 0 },
        memberships: { groupIds: [], readAt: '2026-11-22T00:00:00Z', requests: 1 },
      },
      session: { id, publicId: newPublicSessionId(), replaces: undefined, sibling: false },
      flow: Buffer.from(`limit ${number++}`),
      correlationId: 'x',
      client: '192.0.2.10',
      requireMappedGroup: false,
    })
    t.not(outcome, 'outdated')
    return id
  }
  const sessions = createSessionStore(database, LIMITS)
  const live = async (ids: readonly string[]) => {
    const found = await Promise.all(ids.map((id) => sessions.find(id)))
    return found.map((record) => record !== undefined)
  }

  const first: string[] = []
  for (let count = 0; count < 4; count++) first.push(await signIn(3))
  t.strictSame(await live(first), [false, true, true, true], 'the oldest one ended')
  const [audited] = await query<{ ended: string[] }>(
    "select detail->'sessionsEnded' as ended from audit_events order by id desc limit 1",
  )
  t.equal(audited?.ended.length, 1)

  const idle = sessionIdHash(first[2] ?? '').toString('hex')
  await query(`update sessions set last_seen_at = now() - interval '2 hours' where id_hash = '\\x${idle}'`)
  const fifth = await signIn(3)
  t.strictSame(
    await live([...first, fifth]),
    [false, true, false, true, true],
    'a session that timed out goes before a live one',
  )

  const many = await Promise.all(Array.from({ length: 20 }, () => signIn(3)))
  t.equal((await live(many)).filter(Boolean).length, 3, 'of sign-ins at the same time, too')
  t.match(await query('select count(*)::int as count from sessions'), [{ count: 3 }])

  await query("update sessions set created_at = now() + interval '1 minute'")
  t.strictSame(await live([await signIn(1)]), [true], 'the new one stays where others began later')
  t.match(await query('select count(*)::int as count from sessions'), [{ count: 1 }])

  const [eve] = await query<{ id: string }>(
    "insert into users (username, username_key) values ('eve', 'eve') returning id",
  )
  const other = { id: newSessionId(), publicId: newPublicSessionId(), replaces: undefined, sibling: false }
  const token = { entraSid: null, tokenIssuedAt: new Date(), authenticatedAt: null }
  const placing = { userId: eve?.id ?? '', session: other, token, limits: { ...TIMEOUTS, maxPerUser: 10 } }
  await database.transaction((tx) => replaceSession(tx, placing))
  await signIn(1)
  t.strictSame(await live([other.id]), [true], 'nobody else loses a session')
})

t.test('a plan that was made from what is no longer so is not written', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 4 })
  t.teardown(() => database.close())
  const query = await connect(t, url)
  const store = createLoginStore(database, LIMITS)
  const person = (last: number) => ({ tid: DEMO_TENANT_ID, oid: `11111111-2222-3333-4444-55555555000${last}` })
  let number = 0
  const login = (plan: Partial<CompletePlan> & Pick<CompletePlan, 'uid'>): LoginCommit => ({
    plan: {
      details: {
        email: 'abe@contoso.example',
        emailVerified: true,
        name: null,
        givenName: null,
        familyName: null,
        usernameSource: 'abe',
      },
      origin: 'created',
      username: 'abe',
      newAssociation: true,
      profile: { name: null, givenName: null, familyName: null },
      extraData: { sid: null, loginHint: null, guest: false, upn: null },
      grants: { groups: [], missing: [], staff: [], superuser: [] },
      ...plan,
    },
    person: {
      claims: { ...plan.uid, sub: 'x', iat: 0 },
      memberships: { groupIds: [], readAt: '2026-11-22T00:00:00Z', requests: 1 },
    },
    session: { id: newSessionId(), publicId: newPublicSessionId(), replaces: undefined, sibling: false },
    flow: Buffer.from(`flow ${number++}`),
    correlationId: 'x',
    client: '192.0.2.10',
    requireMappedGroup: false,
  })
  const outdated = async (t: Test, plan: Parameters<typeof login>[0]) => {
    const before = await dump(query)
    t.equal(await store.commit(login(plan)), 'outdated')
    t.equal(await dump(query), before, 'nothing was written')
  }
  t.match(await store.commit(login({ uid: person(1) })), { username: 'abe', created: true })
  const abe = await store.userByIdentity(DEMO_TENANT_ID, person(1).oid)
  const [old] = await query<{ id: string }>(
    "insert into users (username, username_key, email) values ('old', 'old', 'Abe@contoso.example') returning id",
  )
  const user = {
    id: old?.id ?? '',
    username: 'old',
    email: null,
    isActive: true,
    isStaff: false,
    isSuperuser: false,
    isBreakGlass: false,
  }

  // proves: username-race
  await t.test('the username is taken by another user', (t) => outdated(t, { uid: person(2) }))
  // proves: person-race
  await t.test('the same person has signed in for the first time elsewhere', (t) =>
    outdated(t, { uid: person(1), username: 'abe2' }))
  await t.test("the user to be linked has an identity by now, or is another one's", async (t) => {
    await outdated(t, { uid: person(2), origin: 'linked', user: { ...user, id: abe?.id ?? '' } })
    await outdated(t, { uid: person(1), origin: 'linked', user })
  })
  // proves: eligible-still
  await t.test('the user to be linked has rights by now, or another address', async (t) => {
    for (
      const change of [
        'is_staff = true',
        'is_superuser = true',
        'is_break_glass = true',
        'is_active = false',
        "email = 'x@contoso.example'",
      ]
    ) {
      await query(`update users set ${change} where username = 'old'`)
      await outdated(t, { uid: person(2), origin: 'linked', user })
      await query(
        'update users set is_staff = false, is_superuser = false, is_break_glass = false, is_active = true, email = ' +
          "'Abe@contoso.example' where username = 'old'",
      )
    }
  })
  // proves: admin-other-person-commits
  await t.test('a step-up ends with another user than the one who was checked', async (t) => {
    const known = login({ uid: person(1), origin: 'known', newAssociation: false, ...(abe ? { user: abe } : {}) })
    const stepUp = { purpose: 'admin', session: undefined, userId: user.id, adminSession: undefined } as const
    const before = await dump(query)
    await t.rejects(store.commit({ ...known, stepUp }), { code: 'step_up_other_person' })
    t.equal(await dump(query), before, 'nothing was written')
    t.match(await store.commit({ ...known, stepUp: { ...stepUp, userId: abe?.id } }), { username: 'abe' })
  })
  await t.test('the user has been deactivated or removed', async (t) => {
    await query("update users set is_active = false where username = 'abe'")
    await outdated(t, { uid: person(1), origin: 'known', newAssociation: false, ...(abe ? { user: abe } : {}) })
    await query("delete from users where username = 'abe'")
    await outdated(t, { uid: person(1), origin: 'known', newAssociation: false, ...(abe ? { user: abe } : {}) })
  })
  t.match(
    await store.commit(login({ uid: person(2), origin: 'linked', user })),
    { username: 'old', created: false },
    'and otherwise it is',
  )
})

t.test('a database that is down at start: a clear message, exit 1', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const config = join(directory, 'gatehouse.yaml')
  writeFileSync(
    config,
    stringify({
      server: { publicUrl: 'http://127.0.0.1:4180', port: 0, management: { port: 0 } },
      entra: { tenantId: DEMO_TENANT_ID, clientId: DEMO_CLIENT_ID, clientSecret: 'x~yz' },
      database: { url: UNROUTABLE_PATH },
      session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
      keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
    }),
  )
  for (const args of [['serve'], ['users', 'list'], ['migrate']]) {
    const command = ['dist/cli.js', ...args, '--config', config]
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' })
    t.equal(status, 1, args.join(' '))
    const said = args[0] === 'serve' ? stdout : stderr // serve logs it
    t.match(said, /ECONNREFUSED[^]*database\.url/)
    t.notMatch(said, /\n\s+at /, 'no stack')
  }
})

t.test('a database that goes away later', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-pg-'))
  chmodSync(home, 0o711)
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  const server = await startEmbeddedPostgres(join(home, 'data'))
  const gateway = await startTestGateway(t, { databaseUrl: server.url, config: { session: { outageGrace: '3s' } } })
  const { browser: guest } = await gateway.signIn(PERSON_IDS.guest)
  const { browser: staff } = await gateway.signIn(PERSON_IDS.staff)
  const cold = createBrowser()
  const { action, fields } = formOf(await cold.follow(`${gateway.url}/oauth2/start`))
  const callback = await cold.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.many } })
  t.equal((await cold.ask(callback.location ?? '')).status, 302, 'signed in, and nothing asked since')
  for (const browser of [guest, staff]) t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 200)
  t.equal((await fetch(`${gateway.management}/readyz`)).status, 200)
  await server.stop()
  t.equal((await gateway.ask('/oauth2/auth', { browser: guest })).status, 200, 'a warm session goes on')
  t.equal((await gateway.ask('/oauth2/auth', { browser: staff })).status, 503, 'staff do not')
  t.equal(
    (await gateway.ask('/oauth2/auth', { browser: cold })).status,
    503,
    'a session that was never asked for here cannot be known',
  )
  t.equal((await gateway.ask('/oauth2/auth')).status, 401, 'nobody needs no database')
  t.equal((await fetch(`${gateway.management}/readyz`)).status, 503)
  t.equal((await fetch(`${gateway.management}/healthz`)).status, 200)
  for (const path of ['/', '/oauth2/userinfo', '/oauth2/sign_out', '/oauth2/forward-auth']) {
    const answer = await gateway.ask(path, { browser: staff })
    t.equal(answer.status, 503, path)
    t.match(answer.text, /database_unavailable/)
    t.notMatch(answer.text, /\n\s+at |ECONNREFUSED|postgres/)
  }
  const login = await gateway.signIn(PERSON_IDS.nested)
  t.equal(login.answer.status, 503)
  t.notOk(
    gateway.entra.requests.some((request) => request.path.endsWith('/token') && request.at > Date.now() - 100),
    'the code was not spent in vain',
  )
  await sleep(3_100)
  t.equal((await gateway.ask('/oauth2/auth', { browser: guest })).status, 503, 'the grace is over')
})

t.test('an embedded server that died does not keep its gateway from ending', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-pg-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  const server = await startEmbeddedPostgres(home)
  const pid = Number(readFileSync(join(home, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0])
  process.kill(pid, 'SIGKILL')
  await sleep(1_000)
  await server.stop()
  t.pass('ended')
})

t.test('administration: every change is recorded with who made it, before and after', async (t) => {
  const gateway = await startTestGateway(t)
  const { database } = gateway.gateway
  const query = await connect(t, gateway.databaseUrl)
  const groups = createGroupAdmin(database)
  const people = createUserAdmin(database)
  const sessions = createSessionAdmin(database, gateway.config.session)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const status = async () => (await gateway.ask('/oauth2/auth', { browser })).status
  const headers = async () => (await gateway.ask('/oauth2/auth', { browser })).headers.get('x-auth-request-groups')
  const last = async () =>
    (await query('select action, actor, username, detail from audit_events order by id desc limit 1'))[0]

  await t.test('groups', async (t) => {
    await groups.rename('Network Engineers', 'Engineers', 'cli:t')
    t.equal(await headers(), 'Engineers', 'live at once')
    t.match(await last(), {
      action: 'group.rename',
      actor: 'cli:t',
      detail: { before: { name: 'Network Engineers' }, after: { name: 'Engineers' } },
    })
    await t.rejects(groups.rename('Network Engineers', 'X', 'cli:t'), { code: 'group_unknown' })
    await t.rejects(groups.rename('engineers', 'X', 'cli:t'), {
      code: 'group_unknown',
      remedy: /Did you mean Engineers/,
    })
    await t.rejects(groups.rename('Engineers', 'Read Only', 'cli:t'), { code: 'group_exists' })
    t.equal(await groups.grant('Engineers', 'netbox.view', 'cli:t'), true)
    t.equal(await groups.grant('Engineers', 'netbox.view', 'cli:t'), false)
    t.same(JSON.parse((await gateway.ask('/oauth2/userinfo', { browser })).text).permissions, ['netbox.view'])
    t.equal(await groups.revoke('Engineers', 'netbox.view', 'cli:t'), true)
    await t.rejects(groups.grant('Engineers', 'no dots', 'cli:t'), { code: 'permission_invalid' })
    t.equal(await groups.remove('Engineers', 'cli:t'), 1)
    t.equal(await headers(), '')
    t.match(await last(), {
      action: 'group.remove',
      detail: { before: { name: 'Engineers', members: 1 }, after: null },
    })
  })

  // proves: sessions-ended-by-hand
  await t.test('sessions', async (t) => {
    const { browser: other } = await gateway.signIn(PERSON_IDS.guest)
    const { rows: listed } = await sessions.list({})
    t.same(listed.map((each) => each.username).sort(), ['gus.guest@fabrikam.example', 'sam.staff@contoso.example'])
    const mine = listed.find((each) => each.username.startsWith('sam'))
    await sessions.revoke(String(mine?.id), 'cli:t')
    t.equal(await status(), 401)
    t.match(await last(), {
      action: 'session.revoke',
      username: 'sam.staff@contoso.example',
      detail: { session: mine?.id },
    })
    await t.rejects(sessions.revoke(String(mine?.id), 'cli:t'), { code: 'session_unknown' })
    t.equal((await gateway.ask('/oauth2/auth', { browser: other })).status, 200)
    await gateway.signIn(PERSON_IDS.staff, { browser })
    t.equal(await sessions.revokeAll({}, 'cli:t'), 2)
    for (const each of [browser, other]) t.equal((await gateway.ask('/oauth2/auth', { browser: each })).status, 401)
    await gateway.signIn(PERSON_IDS.staff, { browser })
    await query("update sessions set last_seen_at = now() - interval '9 hours'")
    t.same((await sessions.list({})).rows, [], 'one that is over is not listed')
  })

  await t.test('people', async (t) => {
    await gateway.signIn(PERSON_IDS.staff, { browser })
    const [user] = await query<{ id: string }>("select id from users where username like 'sam%'")
    const id = user?.id ?? ''
    t.ok(await people.setActive(id, false, 'cli:t'))
    t.equal(await status(), 401)
    t.equal(await people.setActive(id, false, 'cli:t'), undefined)
    t.equal(await people.setActive(id, true, 'cli:t'), 0)
    t.equal(await status(), 401, 'activating brings no session back')
    await gateway.signIn(PERSON_IDS.staff, { browser })
    const refused = 'cccccccc-0000-4000-8000-00000000000c'
    await query(
      `insert into audit_events (action, actor, username, correlation_id, detail)
       select 'login.refused', 'login', username, $2, jsonb_build_object('oid', oid, 'tid', tid)
       from users join identities on user_id = id where id = $1`,
      [id, refused],
    )
    t.equal(await people.remove(id, 'cli:t'), 1)
    t.equal(await status(), 401)
    const left = (await query(
      'select t::text as row from audit_events t where user_id = $1 or correlation_id = $2',
      [id, refused],
    )).map((row) => row.row).join('\n')
    t.match(left, /login\.refused/)
    t.notMatch(left, /sam\.staff|6e7b768e/i, 'the record is anonymous')
    t.match(left, /user\.remove/)
    await t.rejects(people.add({ username: 'SAM.Staff@contoso.example' }, 'cli:t'), { code: 'username_taken' })
    await gateway.signIn(PERSON_IDS.staff)
    const [again] = await query("select username from users where username like 'sam%'")
    t.match(again?.username, /^sam\.staff-[0-9a-f]{8}@contoso\.example$/, 'the same person again is somebody new')
    await people.add({ username: 'breakglass', breakGlass: true }, 'cli:t')
    for (const username of ['', 'a b', 'x'.repeat(151), 'a\u202eb']) {
      await t.rejects(people.add({ username }, 'cli:t'), { code: 'username_invalid' })
    }
  })

  await t.test('the record', async (t) => {
    t.ok((await listAudit(database, { limit: 100 })).rows.length > 10)
    t.ok(
      (await listAudit(database, { limit: 100, action: 'group' })).rows.every((event) =>
        event.action.startsWith('group.')
      ),
    )
    t.same((await listAudit(database, { limit: 100, action: 'user.remove' })).rows.length, 1)
    t.same((await listAudit(database, { limit: 100, since: new Date(Date.now() + 60_000) })).rows, [])
    t.same((await listAudit(database, { limit: 100, action: 'gro' })).rows, [])
  })
})

t.test('a transaction that times out or loses its connection leaves nothing open behind it', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 1, timeoutMs: 1_000 })
  t.teardown(() => database.close())
  const other = await connect(t, url)
  const alive = async (): Promise<void> => {
    const first = await database.ask((db) => db.execute(sql`select now()::text as now`))
    const second = await database.ask((db) => db.execute(sql`select now()::text as now`))
    t.notSame(first.rows, second.rows, 'no transaction is open on the pooled connection')
    t.same(
      await other(
        "select 1 from pg_stat_activity where state like 'idle in transaction%' and datname = current_database()",
      ),
      [],
    )
  }
  await other('begin')
  await other('lock table users')
  await t.rejects(
    database.transaction(async (tx) => {
      await tx.execute(sql`insert into groups (name) values ('half')`)
      await tx.execute(sql`update users set name = 'x'`)
    }),
    { code: 'database_unavailable' },
  )
  await other('rollback')
  await alive()
  await t.rejects(
    database.transaction(async (tx) => {
      const { rows: [me] } = await tx.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`)
      await tx.execute(sql`insert into groups (name) values ('half')`)
      await endConnections(other, `pid = ${me?.pid}`)
      await sleep(100)
      await tx.execute(sql`select 1`)
    }),
    { code: 'database_unavailable' },
  )
  await alive()
  await t.rejects(
    database.transaction(async (tx) => {
      await tx.execute(sql`insert into groups (name) values ('half')`)
      throw new TypeError('a mistake of ours')
    }),
    { message: 'a mistake of ours' },
    'is not called an outage',
  )
  await alive()
  t.same(await other("select 1 from groups where name = 'half'"), [], 'nothing of any of them was kept')
})

t.test('deadlocks and serialization failures are tried again, a bounded number of times', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 4 })
  t.teardown(() => database.close())
  await createGroupAdmin(database).apply([{ name: 'A' }, { name: 'B' }], { actor: 't', dryRun: false })

  await t.test('two that wait for one another both end', async (t) => {
    let runs = 0
    let arrived = 0
    let bothIn = (): void => {}
    const both = new Promise<void>((resolve) => {
      bothIn = resolve
    })
    /** Resolves when the one that PostgreSQL did not end has committed. */
    let oneCommitted = (): void => {}
    const survivor = new Promise<void>((resolve) => {
      oneCommitted = resolve
    })
    const crossing = (first: string, second: string) =>
      database.transaction(async (tx) => {
        runs++
        // Otherwise this run might take a row before the other one has woken up, and meet it a second time.
        if (runs > 2) await survivor
        await tx.execute(sql`update groups set description = description || ${first} where name = ${first}`)
        arrived++
        if (arrived === 2) bothIn()
        await both
        await tx.execute(sql`update groups set description = description || ${first} where name = ${second}`)
      })
    await Promise.all([crossing('A', 'B').then(oneCommitted), crossing('B', 'A').then(oneCommitted)])
    t.equal(runs, 3, 'one of the two was given up by PostgreSQL and ran again')
    const { rows } = await database.ask((db) =>
      db.execute<{ description: string }>(sql`select description from groups order by name`)
    )
    for (const { description } of rows) t.strictSame([...description].sort(), ['A', 'B'], 'each change is there once')
  })

  await t.test('one that never succeeds is given up', async (t) => {
    let runs = 0
    const doomed = database.transaction(async (tx) => {
      runs++
      await tx.execute(sql`do $$ begin raise exception 'could not serialize' using errcode = '40001'; end $$`)
    })
    t.equal(sqlState(await doomed.catch((error: unknown) => error)), '40001')
    t.equal(runs, 5)
    t.same((await database.ask((db) => db.execute(sql`select 1 as alive`))).rows, [{ alive: 1 }])
  })
})

t.test('errors of the database carry no parameters', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 1 })
  t.teardown(() => database.close())
  const insert = () =>
    database.ask((db) =>
      db.insert(users).values({ username: 'a person', usernameKey: 'a person', email: 'canary@example.com' })
    )
  await insert()
  const error = await insert().then(() => undefined, (thrown: unknown) => thrown)
  t.notMatch(JSON.stringify(errorFields(error)), /canary@example/)
  t.notMatch(String(error), /canary@example/)
  const unmigrated = openDatabase({ server: await freshDatabase(t), poolSize: 1 })
  t.teardown(() => unmigrated.close())
  await t.rejects(createGroupsList(unmigrated).all(), { code: 'database_not_migrated' })
})

// proves: adv-long-returns-swept
t.test('housekeeping: what is over goes, in batches, by one replica', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 3 })
  t.teardown(() => database.close())
  const query = await connect(t, url)
  await query("insert into users (username, username_key) values ('a', 'a')")
  await query(
    "insert into sessions (id_hash, public_id, user_id, created_at, last_seen_at) select sha256(n::text::bytea), 's' " +
      "|| n, u.id, now() - n * interval '1 minute', now() - n * interval '1 minute' from generate_series(1, 2500) n, " +
      'users u',
  )
  await query(
    "insert into audit_events (action, actor, at) select 'x', 'y', now() - n * interval '1 hour' from " +
      'generate_series(1, 2500) n',
  )
  await query(`insert into long_returns (flow_hash, address, kept_at)
    select sha256(n::text::bytea), 'https://x/', now() - n * interval '8 minutes' from generate_series(1, 3) n`)
  const options = { ...TIMEOUTS, retentionMs: 100 * 3_600_000, isClockConfirmed: true, isExported: false }
  const swept = await Promise.all([sweep(database, options), sweep(database, options)])
  const total = swept.reduce<{ sessions: number, audit: number }>(
    (sum, each) => ({ sessions: sum.sessions + (each?.sessions ?? 0), audit: sum.audit + (each?.audit ?? 0) }),
    { sessions: 0, audit: 0 },
  )
  t.same(await query('select count(*)::int as n from sessions'), [{ n: 59 }])
  t.same(await query('select count(*)::int as n from audit_events'), [{ n: 99 }])
  t.same(await query('select count(*)::int as n from long_returns'), [{ n: 1 }])
  t.same(total, { sessions: 2441, audit: 2401 })
})

t.test('a draining gateway is not ready, and slow clients do not prevent its shutdown', async (t) => {
  const gateway = await startTestGateway(t)
  const socket = openSocket(
    Number(new URL(gateway.url).port),
    '127.0.0.1',
    () =>
      socket.write(
        'POST /oauth2/sign_out HTTP/1.1\r\nHost: x\r\nContent-Type: ' +
          'application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\nrd',
      ),
  )
  socket.on('error', () => {})
  await sleep(200)
  const closing = gateway.close()
  await sleep(100)
  t.equal((await fetch(`${gateway.management}/readyz`)).status, 503)
  socket.destroy()
  await closing
  t.pass('closed')
})
