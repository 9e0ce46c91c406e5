// X-Gatehouse-Assertion and the identity cookie over real HTTP: what they say, who believes them, the life of the keys.
import { createHmac, generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT, type JSONWebKeySet } from 'jose'
import { createServer } from 'node:http'
import t from 'tap'
import { Agent, buildConnector } from 'undici'
import { PERSON_IDS } from '../../src/demo/people.js'
import type { SessionRecord } from '../../src/core/session.js'
import type { CachedSession } from '../../src/core/session-cache.js'
import { createAssertionSigner } from '../../src/http/assertion-signer.js'
import { compileHeaders } from '../../src/http/forward-auth/header-template.js'
import { createIdentityHeaderCache } from '../../src/http/forward-auth/identity-header-cache.js'
import { createKeyRing } from '../../src/store/key-ring.js'
import { createSigningKeyStore } from '../../src/store/keys.js'
import { createVerifier, type AssertionError } from '../../src/verify/verify.js'
import { rotateSigningKeys } from '../helpers/acts.js'
import { createBrowser, formOf } from '../helpers/browser.js'
import { ENCRYPTION_SECRET, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { connect, dump } from '../helpers/sql.js'
import { originalHeaders } from '../helpers/targets.js'

const TARGET = originalHeaders('https://App.Test:8443/x')
const published = async (gateway: TestGateway) =>
  JSON.parse((await gateway.ask('/.well-known/jwks.json')).text) as JSONWebKeySet
const codeOf = (promise: Promise<unknown>) => promise.then(() => 'believed', (error: AssertionError) => error.code)

t.test('the assertion', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const { browser } = await gateway.signIn(PERSON_IDS.superuser)
  const asked = async (headers: Record<string, string> = TARGET, who = browser) =>
    (await gateway.ask('/oauth2/auth', { browser: who, headers })).headers.get('x-gatehouse-assertion')
  const assertion = await asked() ?? ''
  const verifier = createVerifier({ issuer: gateway.url, audience: 'app.test' })

  await t.test('states identity and rights for one application for 5 minutes, signed by a published key', async (t) => {
    const { payload, protectedHeader } = await jwtVerify(assertion, createLocalJWKSet(await published(gateway)), {
      issuer: gateway.url,
      audience: 'app.test',
      algorithms: ['ES256'],
    })
    t.match(protectedHeader, { alg: 'ES256', kid: String })
    const { iat = 0, exp = 0, sub, sid, ...rest } = payload
    t.equal(exp - iat, 300)
    t.ok(Math.abs(iat - Date.now() / 1000) < 65)
    const [row] = await query<{ id: string, public_id: string }>(
      'select u.id, s.public_id from users u join sessions s on s.user_id = u.id',
    )
    t.strictSame({ sub, sid }, { sub: row?.id, sid: row?.public_id })
    t.strictSame(rest, {
      iss: gateway.url,
      aud: 'app.test',
      username: 'sue.super@contoso.example',
      email: 'sue.super@contoso.example',
      email_verified: true,
      name: 'Sue Super',
      groups: ['NetBox Superusers'],
      permissions: [],
      is_staff: true,
      is_superuser: true,
      oid: PERSON_IDS.superuser,
      tid: gateway.config.entra.tenantId,
    })
    t.ok(assertion.length < 1200, `${assertion.length} characters`)
  })

  await t.test('is signed once for a session and an application; another application gets another one', async (t) => {
    const [one, again, other] = [
      await asked(),
      await asked(),
      await asked({ ...TARGET, 'x-original-url': 'https://other.test/' }),
    ]
    t.equal(again, one)
    t.equal(decodeJwt(other ?? '').aud, 'other.test')
    await query("insert into groups (name) values ('Fresh')")
    await query(
      "insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g where g.name = 'Fresh'",
    )
    t.match(
      decodeJwt(await asked() ?? '').groups,
      ['Fresh', 'NetBox Superusers'],
      'and a right that changed is another one at once',
    )
    await query("delete from groups where name = 'Fresh'")
  })

  await t.test('is empty for anonymous requests and for requests without a target', async (t) => {
    t.equal(await asked({}), '')
    const open = await gateway.restart({ access: { rules: [{ hosts: ['app.test'], allow: 'anyone' }] } })
    const answer = await open.ask('/oauth2/auth', { browser: createBrowser(), headers: TARGET })
    t.equal(answer.status, 200)
    t.equal(answer.headers.get('x-gatehouse-assertion'), '')
    await open.close()
  })

  await t.test('gatehouse/verify believes it, and nothing else', async (t) => {
    const again = await gateway.restart()
    const fresh =
      (await again.ask('/oauth2/auth', { browser, headers: TARGET })).headers.get('x-gatehouse-assertion') ?? ''
    t.match(await verifier.verify(fresh), {
      sub: /^[0-9a-f-]{36}$/,
      username: 'sue.super@contoso.example',
      email: 'sue.super@contoso.example',
      emailVerified: true,
      name: 'Sue Super',
      groups: ['NetBox Superusers'],
      permissions: [],
      isStaff: true,
      isSuperuser: true,
      oid: PERSON_IDS.superuser,
      sid: /^ses_/,
    })
    for (const audience of ['', [], undefined, [''], null]) {
      t.throws(
        () => createVerifier({ issuer: gateway.url, audience: audience as string }),
        TypeError,
        `audience ${JSON.stringify(audience)}`,
      )
    }
    for (const issuer of ['', `${gateway.url}/`, undefined]) {
      t.throws(() => createVerifier({ issuer: issuer as string, audience: 'app.test' }), TypeError, `issuer ${issuer}`)
    }
    t.equal(
      await codeOf(createVerifier({ issuer: gateway.url, audience: 'other.test' }).verify(fresh)),
      'invalid',
      'what was meant for another application',
    )
    t.equal(
      await codeOf(
        createVerifier({
          issuer: 'http://127.0.0.1:1',
          audience: 'app.test',
          jwksUrl: `${gateway.url}/.well-known/jwks.json`,
        }).verify(fresh),
      ),
      'invalid',
      'another issuer',
    )
    t.equal(
      await codeOf(
        createVerifier({ issuer: gateway.url, audience: 'app.test', jwksUrl: 'http://127.0.0.1:1/' }).verify(fresh),
      ),
      'unavailable',
    )
    t.equal(await codeOf(verifier.verify('')), 'missing')
    t.equal(await codeOf(verifier.verify(undefined)), 'missing')
    const [head = '', body = '', signature = ''] = fresh.split('.')
    const claims = decodeJwt(fresh)
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const jwk = (await published(again)).keys[0] as JsonWebKey
    const hmac = `${encode({ alg: 'HS256', kid: decodeProtectedHeader(fresh).kid })}.${body}`
    const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const forged = {
      'a changed claim': `${head}.${encode({ ...claims, username: 'root' })}.${signature}`,
      'no algorithm': `${encode({ alg: 'none' })}.${body}.`,
      'HS256 with the public key': `${hmac}.${
        createHmac('sha256', JSON.stringify(jwk)).update(hmac).digest('base64url')
      }`,
      'another key': await new SignJWT(claims).setProtectedHeader({
        alg: 'ES256',
        kid: decodeProtectedHeader(fresh).kid ?? '',
      }).sign(foreign),
      'an unknown kid': await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'x' }).sign(foreign),
      'nonsense': 'x.y.z',
      'a session cookie': browser.cookies.get('127.0.0.1')?.get('gatehouse_session') ?? '',
    }
    for (const [name, token] of Object.entries(forged)) t.equal(await codeOf(verifier.verify(token)), 'invalid', name)
    const own = createSigningKeyStore(again.gateway.database, [ENCRYPTION_SECRET])
    const [key] = await own.load()
    const signed = async (changes: object, exp = Math.floor(Date.now() / 1000) + 60) =>
      await new SignJWT({ ...claims, ...changes, exp }).setProtectedHeader({ alg: 'ES256', kid: key?.kid ?? '' }).sign(
        key?.privateKey ?? foreign,
      )
    t.equal(await codeOf(verifier.verify(await signed({}))), 'believed')
    t.equal(
      await codeOf(verifier.verify(await signed({}, Math.floor(Date.now() / 1000) - 10))),
      'invalid',
      'one that has expired',
    )
    for (
      const changes of [
        { sub: undefined },
        { username: '' },
        { groups: 'A' },
        { groups: [1] },
        { is_superuser: 'true' },
        { sid: 7 },
        { aud: undefined },
        { iat: undefined },
      ]
    ) t.equal(await codeOf(verifier.verify(await signed(changes))), 'invalid', JSON.stringify(changes))
    await again.close()
  })

  // proves: adv-assertion-future, adv-assertion-lifetime
  await t.test('gatehouse/verify refuses an assertion issued in the future or with too long a lifetime', async (t) => {
    const again = await gateway.restart()
    const claims = decodeJwt(
      (await again.ask('/oauth2/auth', { browser, headers: TARGET })).headers.get('x-gatehouse-assertion') ?? '',
    )
    const [key] = await createSigningKeyStore(again.gateway.database, [ENCRYPTION_SECRET]).load()
    if (!key) throw new Error('there is no key')
    const between = async (from: number, lifetime: number, verify = verifier) => {
      const iat = Math.floor(Date.now() / 1000) + from
      const token = await new SignJWT({ ...claims, iat, exp: iat + lifetime }).setProtectedHeader({
        alg: 'ES256',
        kid: key.kid,
      }).sign(key.privateKey)
      return await codeOf(verify.verify(token))
    }
    t.equal(await between(0, 300), 'believed')
    t.equal(await between(3, 300), 'believed', 'clocks may differ a little')
    t.equal(await between(60, 300), 'invalid', 'issued in the future')
    for (const lifetime of [310, 600, 10 * 365 * 86_400]) {
      t.equal(await between(0, lifetime), 'invalid', `a life of ${lifetime} s`)
    }
    t.equal(await between(-7_000, 7_200), 'invalid', 'also where most of it is over')
    const forCookies = createVerifier({ issuer: gateway.url, audience: 'app.test', maxLifetime: 600 })
    t.equal(await between(0, 600, forCookies), 'believed')
    t.equal(await between(0, 700, forCookies), 'invalid')
    await again.close()
  })

  await t.test('the public keys are public, cached, and nothing but public', async (t) => {
    const again = await gateway.restart()
    const answer = await again.ask('/.well-known/jwks.json')
    t.equal(answer.status, 200)
    t.equal(answer.headers.get('cache-control'), 'public, max-age=300')
    t.equal(answer.headers.get('content-type'), 'application/jwk-set+json')
    t.strictSame((JSON.parse(answer.text) as JSONWebKeySet).keys.map((key) => Object.keys(key).sort()), [[
      'alg',
      'crv',
      'kid',
      'kty',
      'use',
      'x',
      'y',
    ]])
    const etag = answer.headers.get('etag') ?? ''
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`]) {
      t.equal((await again.ask('/.well-known/jwks.json', { headers: { 'if-none-match': known } })).status, 304, known)
    }
    t.equal((await again.ask('/.well-known/jwks.json', { headers: { 'if-none-match': '"x"' } })).status, 200)
    const [{ d } = { d: 'x' }] = [
      JSON.parse(
        JSON.stringify(
          (await createSigningKeyStore(again.gateway.database, [ENCRYPTION_SECRET]).load())[0]?.privateKey.export({
            format: 'jwk',
          }),
        ),
      ) as { d: string },
    ]
    t.ok(d.length > 40)
    t.notOk((await dump(query)).includes(d), 'the private half is nowhere in the database as it is')
    t.notOk(again.rawLog.join('').includes(assertion.slice(0, 40)), 'no assertion is logged')
  })
})

t.test('the life of the keys', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const store = createSigningKeyStore(gateway.gateway.database, [ENCRYPTION_SECRET])
  const rotate = async (now: boolean) => await rotateSigningKeys(gateway.gateway.database, ENCRYPTION_SECRET, now)
  const states = async () => (await store.list()).map(({ state }) => state)
  const [first] = await store.list()

  await t.test('the next key is published before it signs, the old one until its assertions expire', async (t) => {
    let now = 0
    const ring = createKeyRing(store, { now: () => now })
    const next = await rotate(false)
    t.equal(await rotate(false), next, 'one that waits is not followed by another')
    t.strictSame(await states(), ['signing', 'next'])
    await ring.refresh()
    t.strictSame(
      { signing: ring.signing().kid, published: ring.published().map(({ kid }) => kid) },
      { signing: first?.kid, published: [first?.kid, next] },
    )
    now = 14 * 60_000
    t.equal(ring.signing().kid, first?.kid)
    now = 16 * 60_000
    t.equal(ring.signing().kid, next, 'a quarter of an hour later, without asking the database again')
    await query(
      "update signing_keys set active_at = active_at - interval '20 minutes', retired_at = retired_at - interval '20 " +
        "minutes'",
    )
    t.strictSame(await states(), ['retired', 'signing'])
    await ring.refresh()
    t.equal(ring.published().length, 2)
    await query("update signing_keys set retired_at = retired_at - interval '2 hours' where retired_at is not null")
    await ring.refresh()
    t.strictSame(ring.published().map(({ kid }) => kid), [next])
    await store.keepUp(90 * 86_400_000)
    t.strictSame(await states(), ['signing'], 'and then it is forgotten')
  })

  await t.test('by age the next one comes by itself, once for all replicas', async (t) => {
    const [{ kid = '' } = {}] = await store.list()
    t.equal(await store.keepUp(86_400_000), undefined)
    await query("update signing_keys set active_at = now() - interval '1 day' + interval '14 minutes'")
    const made = await Promise.all(
      [1, 2, 3].map(() => createSigningKeyStore(gateway.gateway.database, [ENCRYPTION_SECRET]).keepUp(86_400_000)),
    )
    t.equal(made.filter((each) => each !== undefined).length, 1)
    t.strictSame(await states(), ['signing', 'next'])
    t.match(await query("select actor from audit_events where action = 'key.rotate' order by id desc limit 1"), [{
      actor: 'system',
    }])
    t.equal((await store.list())[0]?.kid, kid)
  })

  await t.test('a leaked key is withdrawn at once', async (t) => {
    const kid = await rotate(true)
    t.strictSame((await store.list()).map((key) => [key.kid, key.state]), [[kid, 'signing']])
    const ring = createKeyRing(store)
    await ring.refresh()
    t.equal(ring.signing().kid, kid)
  })

  await t.test('a rotated secret re-encrypts the keys; an undecryptable key stops the start and is kept', async (t) => {
    const NEXT = 'the next encryption secret, of 32 and more'
    const [before] = await query<{ kid: string, sealed_private_key: Buffer }>('select * from signing_keys')
    const rotated = await gateway.restart({ keys: { encryptionSecrets: [NEXT, ENCRYPTION_SECRET] } })
    const [after] = await query<{ kid: string, sealed_private_key: Buffer }>('select * from signing_keys')
    t.equal(after?.kid, before?.kid)
    t.notSame(after?.sealed_private_key, before?.sealed_private_key)
    const alone = await rotated.restart({ keys: { encryptionSecrets: [NEXT] } })
    t.equal((await published(alone)).keys[0]?.kid, before?.kid, 'so that the old secret can go')
    await t.rejects(alone.restart({ keys: { encryptionSecrets: ['a secret that never sealed anything here'] } }), {
      code: 'signing_key_sealed',
    })
    t.strictSame((await query<{ kid: string }>('select kid from signing_keys')).map(({ kid }) => kid), [before?.kid])
  })

  // proves: live-withdrawn-key, live-one-application, live-clock-back
  await t.test('assertions are cached by session and content for most of their life; failures are not', async (t) => {
    let now = 1_700_000_000_000
    let kid = 'k'
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    let privateKey = pair.privateKey
    const signer = createAssertionSigner({
      keys: { signing: () => ({ kid, privateKey }), published: () => [] },
      issuer: 'https://auth.test',
      now: () => now,
    })
    const prepared = createIdentityHeaderCache({ signer, capacity: 1_000, now: () => now })
    const compiled = compileHeaders({
      families: ['x-auth-request', 'assertion'],
      extra: [{ name: 'X-Bar', value: 'groups', separator: '|' }, { name: 'X-Sub', value: 'sub', separator: ',' }],
      maxBytes: 8192,
    })
    const person = {
      publicId: 's',
      userId: 'u',
      username: 'abe',
      email: null,
      emailVerified: false,
      name: null,
      givenName: null,
      familyName: null,
      isStaff: false,
      isSuperuser: false,
      tid: null,
      oid: null,
      loginHint: null,
      groups: ['A', 'B'],
      permissions: [],
      authTime: 0,
      expiresAt: 0,
      expiresInMs: 0,
      rightsEndInMs: null,
      idleMs: 0,
    }
    const session = (record: SessionRecord) =>
      ({ record, prepared: undefined }) as Partial<CachedSession> as CachedSession
    const abe = session(person)
    const headers = async (of: CachedSession | undefined, host: string | undefined, how = compiled) =>
      Object.fromEntries(pairs(await prepared.get(of?.record ?? person, of, host, how)))
    const signed = async (of: CachedSession | undefined, host: string) =>
      (await headers(of, host))['X-Gatehouse-Assertion'] ?? ''
    const one = await signed(abe, 'app.test')
    t.strictSame({ ...await headers(abe, 'app.test'), 'X-Gatehouse-Assertion': '' }, {
      'Cache-Control': 'no-store',
      'Vary': 'Cookie',
      'Content-Length': '0',
      'X-Auth-Request-User': 'abe',
      'X-Auth-Request-Email': '',
      'X-Auth-Request-Email-Verified': 'false',
      'X-Auth-Request-Preferred-Username': 'abe',
      'X-Auth-Request-Groups': 'A,B',
      'X-Auth-Request-Staff': 'false',
      'X-Auth-Request-Superuser': 'false',
      'X-Bar': 'A|B',
      'X-Sub': 'u',
      'X-Gatehouse-Assertion': '',
    })
    now += 1_000
    t.equal(await signed(abe, 'app.test'), one)
    const two = await signed(abe, 'other.test')
    t.strictSame({ one: decodeJwt(one).aud, two: decodeJwt(two).aud }, { one: 'app.test', two: 'other.test' })
    t.strictSame(
      [await signed(abe, 'app.test'), await signed(abe, 'other.test')],
      [one, two],
      'two applications in turn',
    )
    t.not(
      await signed(session({ ...person, groups: [] }), 'app.test'),
      one,
      'another session, or the same one read again',
    )
    t.not(await signed(undefined, 'app.test'), one, 'not kept without a session to keep it with')
    t.equal((await headers(abe, undefined))['X-Gatehouse-Assertion'], '', 'for nobody in particular')
    t.strictSame(
      Object.keys(await headers(abe, 'app.test', compileHeaders({ families: ['remote'], extra: [], maxBytes: 8192 })))
        .slice(3),
      ['Remote-User', 'Remote-Email', 'Remote-Name', 'Remote-Groups'],
      'other settings',
    )
    t.ok(await signed(abe, 'app.test'))
    for (let host = 0; host < 20; host++) await signed(abe, `app-${host}.test`)
    let kept = 0
    for (let each = abe.prepared as { next?: unknown } | undefined; each; each = each.next as typeof each) kept++
    t.equal(kept, 16, 'and no more applications than these')
    const last = await signed(abe, 'app-19.test')
    now += 224_000
    t.equal(await signed(abe, 'app-19.test'), last)
    now += 1_000
    t.not(await signed(abe, 'app-19.test'), last)
    const before = await signed(abe, 'app.test')
    kid = 'next'
    t.equal(decodeProtectedHeader(await signed(abe, 'app.test')).kid, 'next', 'a key that is withdrawn')
    t.not(await signed(abe, 'app.test'), before)
    now -= 3_600_000
    t.ok(
      (decodeJwt(await signed(abe, 'app.test')).iat ?? Infinity) * 1000 <= now,
      'a clock that is set back: nothing of the future is said',
    )
    now += 3_600_000
    t.ok(await signed(abe, 'app.test'))
    t.strictSame(Object.keys(decodeJwt(one)).sort(), [
      'aud',
      'email_verified',
      'exp',
      'groups',
      'iat',
      'is_staff',
      'is_superuser',
      'iss',
      'permissions',
      'sid',
      'sub',
      'username',
    ], 'what is not known is left out')
    privateKey = 'broken' as never
    await t.rejects(signed(abe, 'new.test'))
    t.ok(await signed(abe, 'app.test'), 'what is kept is still there')
    privateKey = pair.privateKey
    t.ok(await signed(abe, 'new.test'))
    await t.rejects(async () => headers(session({ ...person, groups: ['x'.repeat(9000)] }), 'app.test'), {
      code: 'identity_too_large',
    })
  })

  // proves: live-prepared-dropped
  await t.test('expired assertions are evicted without a request, and earlier in a full cache', async (t) => {
    let now = 1_700_000_000_000
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const signer = createAssertionSigner({
      keys: { signing: () => ({ kid: 'k', privateKey }), published: () => [] },
      issuer: 'https://auth.test',
    })
    const compiled = compileHeaders({ families: ['remote'], extra: [], maxBytes: 8192 })
    const record = { username: 'abe', email: null, name: null, groups: [] } as Partial<SessionRecord> as SessionRecord
    const some = (count: number) =>
      Array.from({ length: count }, () => ({ record, prepared: undefined }) as Partial<CachedSession> as CachedSession)
    const prepared = createIdentityHeaderCache({ signer, capacity: 20, now: () => now })
    const ask = (sessions: readonly CachedSession[]) => {
      for (const each of sessions) prepared.get(record, each, 'app.test', compiled)
    }
    const keeping = (sessions: readonly CachedSession[]) =>
      sessions.filter((each) => each.prepared !== undefined).length

    const [gone, staying] = [some(5), some(1)]
    ask([...gone, ...staying])
    for (let stretch = 0; stretch < 3; stretch++) {
      now += 226_000
      ask(staying)
    }
    t.strictSame({ gone: keeping(gone), staying: keeping(staying) }, { gone: 0, staying: 1 })

    const crowd = some(200)
    ask(crowd)
    t.ok(keeping(crowd) <= 20, `${keeping(crowd)} of 200`)
    t.equal(keeping(crowd.slice(-10)), 10, 'those asked about last')
  })
})

function pairs(flat: readonly string[]): [string, string][] {
  return flat.flatMap((name, index): [string, string][] => index % 2 === 0 ? [[name, flat[index + 1] ?? '']] : [])
}

t.test('the identity cookie', async (t) => {
  const PUBLIC = 'http://auth.gatehouse.localhost:4180'
  const gateway = await startTestGateway(t, {
    app: { redirectUris: [`${PUBLIC}/oauth2/callback`, `${PUBLIC}/oauth2/sign_in`] },
    config: {
      server: { publicUrl: PUBLIC, redirectDomains: ['.gatehouse.localhost:*'] },
      session: { cookieDomain: 'gatehouse.localhost', identityCookie: true },
    },
  })
  const toGateway = () =>
    createBrowser({
      dispatcher: new Agent({
        connect: (options, done) =>
          buildConnector({})(
            options.hostname.endsWith('.localhost')
              ? { ...options, hostname: '127.0.0.1', port: String(gateway.config.server.port) }
              : options,
            done,
          ),
      }),
    })
  const browser = toGateway()
  const jar = () => browser.cookies.get('.gatehouse.localhost') ?? new Map<string, string>()
  const back = encodeURIComponent('http://wiki.gatehouse.localhost:9000/page?x=1')

  await t.test('is set at sign-in for the whole domain and ten minutes; gatehouse/verify accepts it', async (t) => {
    const page = await browser.follow(`${PUBLIC}/oauth2/start`)
    const { action, fields } = formOf(page)
    const callback = await browser.ask(
      (await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.staff } })).location ?? '',
    )
    const line = callback.headers.getSetCookie().find((each) => each.startsWith('gatehouse_identity=')) ?? ''
    for (const attribute of ['Max-Age=600', 'Domain=gatehouse.localhost', 'Path=/', 'HttpOnly', 'SameSite=Lax']) {
      t.match(line, attribute)
    }
    t.ok(line.length < 4096)
    const token = jar().get('gatehouse_identity') ?? ''
    t.equal(decodeJwt(token).aud, 'gatehouse.localhost')
    t.equal((decodeJwt(token).exp ?? 0) - (decodeJwt(token).iat ?? 0), 600)
    const keys = createServer((_, response) => {
      browser.ask(`${PUBLIC}/.well-known/jwks.json`).then(({ text }) => response.end(text)).catch(() =>
        response.destroy()
      )
    })
    await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      keys.close()
    })
    const jwksUrl = `http://127.0.0.1:${(keys.address() as { port: number }).port}/`
    t.match(
      await createVerifier({ issuer: PUBLIC, audience: 'gatehouse.localhost', jwksUrl, maxLifetime: 600 }).verify(
        token,
      ),
      { username: 'sam.staff@contoso.example', isStaff: true },
    )
    t.equal(
      await codeOf(createVerifier({ issuer: PUBLIC, audience: 'wiki.gatehouse.localhost', jwksUrl }).verify(token)),
      'invalid',
      'it is no assertion for an application',
    )
  })

  await t.test('/oauth2/refresh renews it while the session is active, else redirects to the sign-in', async (t) => {
    const before = jar().get('gatehouse_identity')
    jar().delete('gatehouse_identity')
    const answer = await browser.ask(`${PUBLIC}/oauth2/refresh?rd=${back}`)
    t.strictSame(
      { status: answer.status, location: answer.location },
      { status: 302, location: 'http://wiki.gatehouse.localhost:9000/page?x=1' },
    )
    t.ok(jar().get('gatehouse_identity'))
    t.not(before, undefined)
    const stranger = await toGateway().ask(`${PUBLIC}/oauth2/refresh?rd=${back}`)
    t.strictSame(
      { status: stranger.status, location: stranger.location },
      { status: 302, location: `${PUBLIC}/oauth2/start?rd=${back}` },
    )
    t.strictSame(stranger.headers.getSetCookie(), [])
    t.equal((await browser.ask(`${PUBLIC}/oauth2/refresh?rd=${encodeURIComponent('https://evil.test/')}`)).status, 400)
  })

  await t.test('an assertion too large for a cookie is refused with identity_too_large', async (t) => {
    const query = await connect(t, gateway.databaseUrl)
    await query(
      "insert into groups (name) select 'A rather long name of a local group, number ' || n from generate_series(1, " +
        '80) n',
    )
    await query(
      "insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g where g.name like 'A " +
        "rather%'",
    )
    const answer = await browser.ask(`${PUBLIC}/oauth2/refresh?rd=${back}`, { headers: { accept: 'application/json' } })
    t.strictSame(
      { status: answer.status, code: (JSON.parse(answer.text) as { error: string }).error },
      { status: 403, code: 'identity_too_large' },
    )
    await query("delete from groups where name like 'A rather%'")
  })

  await t.test('signing out takes it away', async (t) => {
    await browser.ask(`${PUBLIC}/oauth2/refresh?rd=${back}`)
    t.ok(jar().get('gatehouse_identity'))
    await browser.ask(`${PUBLIC}/oauth2/sign_out`)
    t.equal(jar().get('gatehouse_identity'), undefined)
  })

  await t.test('is renewed 60 times a minute and session at most', async (t) => {
    const other = toGateway()
    const { action, fields } = formOf(await other.follow(`${PUBLIC}/oauth2/start`))
    const form = { ...fields, person: PERSON_IDS.staff }
    await other.ask((await other.ask(action, { method: 'POST', form })).location ?? '')
    const refresh = () => other.ask(`${PUBLIC}/oauth2/refresh?rd=${back}`)
    for (let count = 0; count < 60; count++) t.equal((await refresh()).status, 302)
    const refused = await refresh()
    t.equal(refused.status, 429)
    t.ok(Number(refused.headers.get('retry-after')) > 0)
  })

  const without = await startTestGateway(t)
  t.equal((await without.ask('/oauth2/refresh')).status, 404, 'and it is not there unless it is wanted')
})
