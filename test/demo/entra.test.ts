// The identity platform half of the simulator: sign-in, tokens, keys, sign-out, and what goes wrong with them.
import { X509Certificate, createHash, generateKeyPairSync, randomUUID } from 'node:crypto'
import { createLocalJWKSet, createRemoteJWKSet, exportJWK, jwtVerify, SignJWT, type JSONWebKeySet } from 'jose'
import t from 'tap'
import { Agent, fetch } from 'undici'
import { createCertificate } from '../../src/demo/entra/certificates.js'
import { signInAs } from '../../src/demo/entra/sign-in-as.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS, PEOPLE } from '../../src/demo/people.js'
import { claimsOf, headerOf, pkce, REDIRECT, SECRET, start, type Json } from './helper.js'

t.test('a person signs in: page, code, tokens, memberships', async (t) => {
  const { entra, client } = await start(t)
  const { verifier, challenge } = pkce()
  const asked = { code_challenge: challenge, code_challenge_method: 'S256' }

  const page = await client.authorize(asked)
  t.equal(page.status, 200)
  for (const { id } of Object.values(PEOPLE)) t.match(page.text, `data-person="${id}"`)
  t.notMatch(page.text, /<script/)

  const signedIn = await client.signIn(PEOPLE.staff.id, asked)
  t.equal(signedIn.status, 302)
  t.ok(signedIn.location?.startsWith(`${REDIRECT}?code=`))
  t.equal(signedIn.callback?.state, 'st ate+&=é')
  t.match(signedIn.callback?.session_state, /^[0-9a-f-]{36}$/)

  const { status, body, headers } = await client.redeem(signedIn.callback?.code ?? '', { code_verifier: verifier })
  t.equal(status, 200)
  t.match(headers.get('cache-control'), 'no-store')
  t.strictSame(Object.keys(body).sort(), [
    'access_token',
    'expires_in',
    'ext_expires_in',
    'id_token',
    'scope',
    'token_type',
  ])
  t.equal(body.scope, 'openid profile email User.Read')
  t.ok(Number(body.expires_in) >= 3599 && Number(body.expires_in) <= 5399)

  const keys = createRemoteJWKSet(new URL(`${client.base}/discovery/v2.0/keys`))
  const { payload } = await jwtVerify(String(body.id_token), keys, {
    issuer: `${client.base}/v2.0`,
    audience: DEMO_CLIENT_ID,
    algorithms: ['RS256'],
  })
  t.match(payload, {
    oid: PEOPLE.staff.id,
    tid: DEMO_TENANT_ID,
    nonce: 'n-1',
    ver: '2.0',
    sid: signedIn.callback?.session_state,
    preferred_username: PEOPLE.staff.userPrincipalName,
    email: PEOPLE.staff.mail,
    xms_edov: true,
  })
  t.notOk('at_hash' in payload)
  t.equal(Number(payload.exp) - Number(payload.iat), 3900)

  const { ids } = await client.all('/me/transitiveMemberOf', String(body.access_token))
  t.strictSame(ids, [GROUP_IDS.networkEngineers])
  t.ok(
    [signedIn.callback?.code, body.access_token, body.id_token].every((token) =>
      entra.issuedTokens.includes(String(token))
    ),
  )
  t.match(entra.requests.map(({ server, method, status }) => `${server} ${method} ${status}`), [
    'login GET 200',
    'login POST 302',
    'login POST 200',
    'login GET 200',
    'graph GET 200',
  ])
  t.equal(entra.requests[2]?.form?.client_secret, SECRET, 'the form is recorded')
  t.equal(entra.requests[4]?.headers.authorization, `Bearer ${body.access_token}`)
})

t.test('what may be asked of the authorization endpoint', async (t) => {
  const { entra, client } = await start(t, {}, {
    redirectUris: [REDIRECT, 'http://localhost/cb', 'http://127.0.0.1:4180/cb'],
  })
  const onPage: [string, Record<string, string | undefined>, number][] = [
    ['no client', { client_id: undefined }, 900144],
    ['unknown client', { client_id: randomUUID() }, 700016],
    ['no redirect URI', { redirect_uri: undefined }, 900144],
    ['a trailing slash', { redirect_uri: `${REDIRECT}/` }, 50011],
    ['another case', { redirect_uri: REDIRECT.replace('callback', 'Callback') }, 50011],
    ['an added query', { redirect_uri: `${REDIRECT}?a=1` }, 50011],
    ['another port of 127.0.0.1', { redirect_uri: 'http://127.0.0.1:4181/cb' }, 50011],
    ['another path of localhost', { redirect_uri: 'http://localhost:4181/cb2' }, 50011],
    ['a host that begins with localhost', { redirect_uri: 'http://localhost.evil.example/cb' }, 50011],
    ['an unknown response mode', { response_mode: 'web_message' }, 9002313],
  ]
  for (const [name, change, code] of onPage) {
    const answer = await client.authorize(change)
    t.equal(answer.location, null, `${name} is never redirected`)
    t.match(answer.text, `AADSTS${code}:`, `${name} is ${code}`)
    t.equal(answer.status, 400)
  }
  const toCallback: [string, Record<string, string | undefined>, string, number][] = [
    ['no scope', { scope: undefined }, 'invalid_request', 900144],
    ['no response type', { response_type: undefined }, 'invalid_request', 900144],
    ['an implicit response type', { response_type: 'id_token' }, 'unsupported_response_type', 700054],
    ['an unknown response type', { response_type: 'cod' }, 'unsupported_response_type', 70005],
    ['resource', { resource: 'https://graph.microsoft.com' }, 'invalid_request', 901002],
    ['a scope of another host', { scope: 'openid https://graph.microsoft.us/User.Read' }, 'invalid_scope', 70011],
    ['the scope of the real Graph', { scope: 'openid https://graph.microsoft.com/User.Read' }, 'invalid_scope', 70011],
    [
      '.default beside a permission',
      { scope: `openid ${entra.graphUrl}/.default ${entra.graphUrl}/User.Read` },
      'invalid_scope',
      70011,
    ],
    [
      'a permission for administrators',
      { scope: `openid ${entra.graphUrl}/Directory.Read.All` },
      'access_denied',
      90094,
    ],
    ['an unknown prompt', { prompt: 'maybe' }, 'invalid_request', 90023],
    ['a short challenge', { code_challenge: 'abc' }, 'invalid_request', 501491],
    [
      'an unknown challenge method',
      { code_challenge: 'a'.repeat(43), code_challenge_method: 'S512' },
      'invalid_request',
      9002313,
    ],
    ['prompt=none without a session', { prompt: 'none' }, 'login_required', 50058],
  ]
  for (const [name, change, error, code] of toCallback) {
    const { callback } = await client.authorize(change)
    t.match(callback, { error, error_description: new RegExp(`^AADSTS${code}: `), state: 'st ate+&=é' }, name)
  }
  t.equal(
    (await client.authorize({ redirect_uri: 'http://localhost:9999/cb' })).status,
    200,
    'the port of localhost does not matter',
  )
  t.equal((await client.authorize({ scope: 'openid User.Read' })).status, 200, 'a bare permission is one of Graph')
  t.equal((await client.authorize({ scope: `openid ${entra.graphUrl}/.default` })).status, 200)
  const doubled = await fetch(
    `${client.base}/oauth2/v2.0/authorize?${new URLSearchParams(client.parameters())}&state=again`,
  )
  t.match(await doubled.text(), 'AADSTS9000411:')
})

t.test('tenants: the GUID and a verified domain are ours, common is refused, others do not exist', async (t) => {
  const { entra, client } = await start(t)
  const get = async (path: string) => {
    const answer = await fetch(entra.url + path)
    return { status: answer.status, text: await answer.text() }
  }
  const query = new URLSearchParams(client.parameters())
  t.equal((await get(`/contoso.example/oauth2/v2.0/authorize?${query}`)).status, 200)
  t.match((await get(`/common/oauth2/v2.0/authorize?${query}`)).text, 'AADSTS50194:')
  t.match((await get(`/${randomUUID()}/oauth2/v2.0/authorize?${query}`)).text, 'AADSTS90002:')
  t.match(JSON.parse((await get(`/${randomUUID()}/v2.0/.well-known/openid-configuration`)).text), {
    error: 'invalid_request',
    error_codes: [90002],
  })

  const own = JSON.parse((await get('/contoso.example/v2.0/.well-known/openid-configuration?appid=x')).text) as Json
  t.match(own, {
    issuer: `${client.base}/v2.0`,
    token_endpoint: `${client.base}/oauth2/v2.0/token`,
    jwks_uri: `${client.base}/discovery/v2.0/keys?appid=x`,
    cloud_instance_name: 'microsoftonline.com',
  })
  t.notOk('code_challenge_methods_supported' in own)
  const common = JSON.parse((await get('/common/v2.0/.well-known/openid-configuration')).text) as Json
  t.equal(common.issuer, `${entra.url}/{tenantid}/v2.0`)

  const ownKeys = JSON.parse((await get(`/${entra.tenantId}/discovery/v2.0/keys`)).text) as JSONWebKeySet
  const commonKeys = JSON.parse((await get('/common/discovery/v2.0/keys')).text) as JSONWebKeySet
  t.equal(ownKeys.keys.length, 2, 'one key is published ahead')
  t.strictSame(commonKeys.keys.map((key) => (key as unknown as Json).issuer), [
    `${entra.url}/{tenantid}/v2.0`,
    `${entra.url}/{tenantid}/v2.0`,
    `${entra.url}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0`,
  ])
  for (const { x5c = [], x5t, kid, n } of ownKeys.keys) {
    const certificate = new X509Certificate(Buffer.from(x5c[0] ?? '', 'base64'))
    t.ok(certificate.verify(certificate.publicKey))
    t.equal(certificate.publicKey.export({ format: 'jwk' }).n, n)
    t.equal(createHash('sha1').update(certificate.raw).digest('base64url'), x5t)
    t.equal(kid, x5t)
  }
})

t.test('auth_time: where it is registered, and of the last time that the person signed in', async (t) => {
  let now = Date.parse('2026-11-22T10:00:00Z')
  const { entra, client } = await start(t, { now: () => now })
  const authTime = async ({ callback }: { callback?: Record<string, string | undefined> | undefined }) => {
    const { body } = await client.redeem(callback?.code ?? '')
    return claimsOf(String(body.id_token)).auth_time
  }
  const began = now / 1000
  const first = await client.signIn(PEOPLE.staff.id)
  const cookie = first.headers.get('set-cookie')?.split(';')[0] ?? ''
  t.equal(await authTime(first), began)
  now += 60_000
  t.equal(await authTime(await client.authorize({}, cookie)), began, 'single sign-on')
  t.equal(await authTime(await client.signIn(PEOPLE.staff.id, { prompt: 'select_account' }, cookie)), began)
  t.equal(await authTime(await client.signIn(PEOPLE.staff.id, { prompt: 'login' }, cookie)), began + 60)
  now += 60_000
  t.equal(await authTime(await client.authorize({}, cookie)), began + 60, 'for later sign-ins too')
  t.equal(await authTime(await client.signIn(PEOPLE.nested.id, {}, cookie)), began + 120, 'another person')
  entra.app.optionalClaims = ['email', 'sid']
  t.equal(await authTime(await client.signIn(PEOPLE.staff.id, { prompt: 'login' }, cookie)), undefined)
})

t.test('acrs: of the sign-in that asked for it in the documented form', async (t) => {
  const { client } = await start(t)
  const asked = (claims: unknown) => ({ claims: typeof claims === 'string' ? claims : JSON.stringify(claims) })
  const acrs = { essential: true, value: 'c12' }
  const given = async (more: Record<string, string>) => {
    const { callback } = await client.signIn(PEOPLE.staff.id, more)
    const { body } = await client.redeem(callback?.code ?? '')
    return claimsOf(String(body.id_token)).acrs
  }
  t.strictSame(await given(asked({ id_token: { acrs } })), ['c12'])
  t.equal(await given({}), undefined)
  t.equal(await given(asked({ access_token: { nbf: { essential: true, value: '1732000000' } } })), undefined)
  t.equal(await given(asked({ id_token: { login_hint: null, acr: acrs } })), undefined)
  const malformed = [
    'c12',
    '[]',
    { id_token: null },
    { id_token: { acrs: null } },
    { id_token: { acrs: { value: 'c12' } } },
    { id_token: { acrs: { essential: 'true', value: 'c12' } } },
    { id_token: { acrs: { essential: true, value: 'c100' } } },
    { id_token: { acrs: { essential: true, values: ['c12'] } } },
    { id_token: { acrs: { ...acrs, values: ['c12'] } } },
    { idtoken: { acrs } },
  ]
  for (const claims of malformed) {
    const { callback } = await client.signIn(PEOPLE.staff.id, asked(claims))
    t.match(callback, { error: 'invalid_request', error_description: /^AADSTS9002313:/ }, JSON.stringify(claims))
  }
})

t.test('single sign-on, prompts and refusals', async (t) => {
  const { entra, client } = await start(t)
  const first = await client.signIn(PEOPLE.staff.id)
  const cookie = first.headers.get('set-cookie')?.split(';')[0] ?? ''
  const again = await client.authorize({}, cookie)
  t.equal(again.callback?.session_state, first.callback?.session_state, 'no page, same session')
  t.ok(again.callback?.code)
  t.ok((await client.authorize({ prompt: 'none' }, cookie)).callback?.code)
  for (const prompt of ['login', 'select_account', 'consent']) {
    t.equal((await client.authorize({ prompt }, cookie)).status, 200, prompt)
  }
  t.ok((await client.authorize({ login_hint: PEOPLE.staff.userPrincipalName }, cookie)).callback?.code)
  t.equal(
    (await client.authorize({ login_hint: PEOPLE.nested.userPrincipalName }, cookie)).status,
    200,
    'a hint at somebody else asks',
  )
  t.match((await client.authorize({ login_hint: PEOPLE.nested.userPrincipalName, prompt: 'none' }, cookie)).callback, {
    error: 'login_required',
  })

  t.strictSame((await client.press('cancel')).callback, {
    error: 'access_denied',
    error_subcode: 'cancel',
    state: 'st ate+&=é',
  })
  t.match((await client.press('decline')).callback, { error: 'access_denied', error_description: /^AADSTS65004: / })

  const other = await client.signIn(PEOPLE.nested.id, {}, cookie)
  t.not(other.callback?.session_state, first.callback?.session_state, 'somebody else is another session')

  const staff = entra.directory.users.get(PEOPLE.staff.id)
  if (!staff) return t.fail('no such person')
  staff.signInSessionsValidFromDateTime = new Date(Date.now() + 1000).toISOString()
  t.equal((await client.authorize({}, cookie)).status, 200, 'revoked sessions ask again')
  staff.accountEnabled = false
  const refused = await client.signIn(PEOPLE.staff.id)
  t.equal(refused.location, null)
  t.match(refused.text, 'AADSTS50057:')

  const posted = await client.signIn(PEOPLE.nested.id, { response_mode: 'form_post' })
  t.match(
    posted.text,
    /<form method="post" action="https:\/\/gate.example\/oauth2\/callback">[\s\S]*name="code"[\s\S]*name="state" value="st ate\+&#38;=é"/,
  )
  t.match((await client.signIn(PEOPLE.nested.id, { response_mode: 'fragment' })).location, `${REDIRECT}#code=`)
})

t.test('assignment and consent', async (t) => {
  const { client } = await start(t, {}, {
    assignmentRequired: true,
    assignedUsers: [GROUP_IDS.networkEngineers, PEOPLE.superuser.id],
    adminConsent: false,
    delegatedPermissions: ['User.Read', 'GroupMember.Read.All'],
  })
  t.ok((await client.signIn(PEOPLE.superuser.id)).callback?.code, 'named')
  t.match((await client.signIn(PEOPLE.nested.id)).callback, {
    error: 'interaction_required',
    error_description: /^AADSTS50105: /,
  }, 'nested groups do not count')
  const staff = await client.signIn(PEOPLE.staff.id)
  t.ok(staff.callback?.code, 'in an assigned group')
  const cookie = staff.headers.get('set-cookie')?.split(';')[0] ?? ''
  t.ok((await client.authorize({ prompt: 'none' }, cookie)).callback?.code, 'signing in was consent')
  const asked = `${client.base}/oauth2/v2.0/authorize?${new URLSearchParams(client.parameters())}`
  const direct = await signInAs(asked, PEOPLE.superuser.id)
  t.match(direct, { status: 302, location: `${REDIRECT}?code=`, cookie: /^simulated_entra_session=/ })
  t.match((await signInAs(asked, { action: 'cancel' })).location, 'error_subcode=cancel')
  const decliner = await signInAs(asked, { action: 'decline' })
  t.notOk(decliner.cookie)
  const { body } = await client.redeem(staff.callback?.code ?? '')
  t.equal(body.scope, 'openid profile email User.Read', 'only what was asked for')
})

t.test('the token endpoint refuses', async (t) => {
  let now = Date.now()
  const { entra, client } = await start(t, { now: () => now }, {
    secrets: [{ value: SECRET, id: 'f0000000-0000-4000-8000-000000000001' }, {
      value: 'old',
      id: 'f0000000-0000-4000-8000-000000000002',
      expiresAt: now - 1,
    }],
  })
  const { verifier, challenge } = pkce()
  const withChallenge = { code_challenge: challenge, code_challenge_method: 'S256' }
  const refuses = async (
    name: string,
    answer: ReturnType<typeof client.token>,
    code: number,
    error: string,
    status = 400,
  ) => {
    const { status: actual, body, headers } = await answer
    t.match({ status: actual, error: body.error, codes: body.error_codes }, { status, error, codes: [code] }, name)
    t.strictSame(Object.keys(body), [
      'error',
      'error_description',
      'error_codes',
      'timestamp',
      'trace_id',
      'correlation_id',
      'error_uri',
    ])
    t.match(
      body.error_description,
      new RegExp(
        `^AADSTS${code}: .* Trace ID: ${body.trace_id} Correlation ID: ${body.correlation_id} ` +
          `Timestamp: ${body.timestamp}$`,
      ),
    )
    t.match(body.timestamp, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/)
    t.equal(headers.get('content-type'), 'application/json; charset=utf-8')
    t.equal(headers.get('x-ms-request-id'), body.trace_id)
  }
  const code = await client.code()
  await refuses('a wrong secret', client.redeem(code, { client_secret: 'wrong' }), 7000215, 'invalid_client', 401)
  await refuses(
    'the id of the secret',
    client.redeem(code, { client_secret: 'f0000000-0000-4000-8000-000000000001' }),
    7000215,
    'invalid_client',
    401,
  )
  await refuses('an expired secret', client.redeem(code, { client_secret: 'old' }), 7000222, 'invalid_client', 401)
  await refuses('no secret', client.redeem(code, { client_secret: undefined }), 7000218, 'invalid_client', 401)
  await refuses('another application', client.redeem(code, { client_id: randomUUID() }), 700016, 'unauthorized_client')
  await refuses('no application', client.redeem(code, { client_id: undefined }), 900144, 'invalid_request')
  await refuses('no grant type', client.token({ code }), 900144, 'invalid_request')
  await refuses('an unknown grant type', client.token({ grant_type: 'password' }), 70003, 'unsupported_grant_type')
  await refuses(
    'no code',
    client.token({ grant_type: 'authorization_code', redirect_uri: REDIRECT }),
    900144,
    'invalid_request',
  )
  await refuses('no redirect URI', client.redeem(code, { redirect_uri: undefined }), 900144, 'invalid_request')
  await refuses(
    'another registered redirect URI',
    client.redeem(code, { redirect_uri: 'https://gate.example/oauth2/sign_in' }),
    50011,
    'invalid_request',
  )
  await refuses('an invented code', client.redeem('nonsense'), 9002313, 'invalid_request')
  await refuses('a code that was never given out', client.redeem('1.AXEAinvented'), 70000, 'invalid_grant')
  await refuses(
    'a verifier without a challenge',
    client.redeem(code, { code_verifier: verifier }),
    501481,
    'invalid_grant',
  )
  await refuses(
    'an Origin header',
    client.redeem(code, {}, { headers: { origin: 'https://gate.example' } }),
    9002326,
    'invalid_request',
  )
  await refuses(
    'JSON',
    client.token({}, {
      body: JSON.stringify({ grant_type: 'authorization_code' }),
      headers: { 'content-type': 'application/json' },
    }),
    900144,
    'invalid_request',
  )
  await refuses(
    'a repeated parameter',
    client.token({}, { body: new URLSearchParams([['grant_type', 'a'], ['grant_type', 'b']]) }),
    9000411,
    'invalid_request',
  )
  t.equal((await client.redeem(code)).status, 200, 'none of these used the code up')
  await refuses('a code used again', client.redeem(code), 54005, 'invalid_grant')
  const guarded = await client.code(PEOPLE.staff.id, withChallenge)
  await refuses('a wrong verifier', client.redeem(guarded, { code_verifier: 'x'.repeat(43) }), 501481, 'invalid_grant')
  await refuses('no verifier', client.redeem(guarded), 501481, 'invalid_grant')
  const plain = await client.code(PEOPLE.staff.id, { code_challenge: verifier, code_challenge_method: 'plain' })
  t.equal((await client.redeem(plain, { code_verifier: verifier })).status, 200, 'plain PKCE is taken')
  const late = await client.code()
  now += 10 * 60_000 + 1
  await refuses('a code after ten minutes', client.redeem(late), 70008, 'invalid_grant')
  await refuses(
    'client credentials without .default',
    client.token({ grant_type: 'client_credentials', scope: `${entra.graphUrl}/User.Read` }),
    1002012,
    'invalid_scope',
  )
  await refuses(
    'client credentials for another Graph',
    client.token({ grant_type: 'client_credentials', scope: 'https://graph.microsoft.com/.default' }),
    70011,
    'invalid_scope',
  )
  const lost = await fetch(`${entra.url}/${randomUUID()}/oauth2/v2.0/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'authorization_code' }),
  })
  t.match(await lost.json(), { error_codes: [90002] })
  t.match(
    (await client.redeem('x', {}, { headers: { 'client-request-id': 'fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7' } })).body
      .correlation_id,
    'fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7',
  )
})

t.test('the application proves itself: Basic, certificate, workload identity', async (t) => {
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const now = Date.now()
  const { pem, der } = createCertificate({ name: 'gatehouse', keys, from: now - 1000, until: now + 1e9 })
  const cluster = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const { entra, client } = await start(t, {}, {
    certificates: [{ pem }],
    federatedCredentials: [{
      issuer: 'https://k8s.example',
      subject: 'system:serviceaccount:auth:gatehouse',
      audience: 'api://AzureADTokenExchange',
      jwks: { keys: [{ ...await exportJWK(cluster.publicKey), kid: 'k1', alg: 'RS256' }] },
    }],
  })
  const app = entra.app.clientId
  const basic = Buffer.from([app, SECRET].map((part) => encodeURIComponent(part).replaceAll('%20', '+')).join(':'))
    .toString('base64')
  t.equal(
    (await client.redeem(await client.code(), { client_id: undefined, client_secret: undefined }, {
      headers: { authorization: `Basic ${basic}` },
    })).status,
    200,
  )

  const thumbprint = (hash: string) => createHash(hash).update(der).digest('base64url')
  const assertion = (change: { alg?: string, header?: Json, claims?: Json, key?: typeof keys.privateKey } = {}) =>
    new SignJWT({
      iss: app,
      sub: app,
      aud: `${client.base}/oauth2/v2.0/token`,
      jti: randomUUID(),
      iat: now / 1000 | 0,
      nbf: now / 1000 | 0,
      exp: (now / 1000 | 0) + 600,
      ...change.claims,
    })
      .setProtectedHeader({
        alg: change.alg ?? 'PS256',
        typ: 'JWT',
        ...change.header ?? { 'x5t#S256': thumbprint('sha256') },
      }).sign(change.key ?? keys.privateKey)
  const present = async (jwt: string) =>
    client.token({
      grant_type: 'client_credentials',
      scope: `${entra.graphUrl}/.default`,
      client_secret: undefined,
      client_assertion: jwt,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
  t.equal((await present(await assertion())).status, 200, 'PS256 and x5t#S256')
  t.equal(
    (await present(await assertion({ alg: 'RS256', header: { x5t: thumbprint('sha1') } }))).status,
    200,
    'RS256 and x5t',
  )
  const refused = async (jwt: string) => (await present(jwt)).body.error_codes
  const seconds = now / 1000 | 0
  const sha1 = { x5t: thumbprint('sha1') }
  const wrong: Record<string, [Parameters<typeof assertion>[0], number]> = {
    'another key': [{ key: cluster.privateKey }, 700027],
    'another certificate': [{ header: { 'x5t#S256': thumbprint('sha512') } }, 700027],
    'PS256 with the SHA-1 thumbprint': [{ header: sha1 }, 700027],
    'RS256 with the SHA-256 thumbprint alone': [{ alg: 'RS256' }, 700027],
    'no typ': [{ header: { 'x5t#S256': thumbprint('sha256'), typ: undefined } }, 700027],
    'another audience': [{ claims: { aud: 'https://login.microsoftonline.com/' } }, 700023],
    'a list of audiences': [{ claims: { aud: [`${client.base}/oauth2/v2.0/token`] } }, 700023],
    'another issuer': [{ claims: { iss: randomUUID() } }, 700021],
    'another subject': [{ claims: { sub: randomUUID() } }, 700021],
    'expired': [{ claims: { exp: seconds - 3600 } }, 700024],
    'longer than ten minutes': [{ claims: { exp: seconds + 601 } }, 700024],
    'not valid yet': [{ claims: { nbf: seconds + 400, exp: seconds + 900 } }, 700024],
    'no nbf': [{ claims: { nbf: undefined } }, 700024],
    'no jti': [{ claims: { jti: undefined } }, 700027],
    'a jti that is no GUID': [{ claims: { jti: '1' } }, 50013],
  }
  for (const [name, [change, code]] of Object.entries(wrong)) {
    t.strictSame(await refused(await assertion(change)), [code], name)
  }
  const once = await assertion()
  for (let each = 0; each < 2; each++) {
    t.equal((await present(once)).status, 200, "as often as it is valid: Microsoft's own client counts on it")
  }
  t.strictSame(await refused('nonsense'), [50013])

  const external = (claims: Json = {}) =>
    new SignJWT({
      iss: 'https://k8s.example',
      sub: 'system:serviceaccount:auth:gatehouse',
      aud: ['api://AzureADTokenExchange'],
      exp: seconds + 600,
      ...claims,
    }).setProtectedHeader({ alg: 'RS256', kid: 'k1' }).sign(cluster.privateKey)
  const token = await external()
  for (let each = 0; each < 2; each++) t.equal((await present(token)).status, 200, 'as often as it is valid')
  t.strictSame(await refused(await external({ iss: 'https://k8s.other' })), [700211])
  t.strictSame(await refused(await external({ aud: 'https://k8s.example' })), [700212])
  t.strictSame(await refused(await external({ sub: 'system:serviceaccount:auth:other' })), [700213])
  t.strictSame(await refused(await external({ exp: seconds - 3600 })), [700024])
  t.strictSame(await refused(`${token.slice(0, -8)}AAAAAAAA`), [700027])
  entra.app.federatedCredentials = []
  t.strictSame(await refused(token), [70021])
  entra.app.certificates = [createCertificate({ name: 'gatehouse', keys, from: now - 2e9, until: now - 1e9 })]
  const { der: old } = entra.app.certificates[0] as ReturnType<typeof createCertificate>
  t.strictSame(
    await refused(await assertion({ header: { 'x5t#S256': createHash('sha256').update(old).digest('base64url') } })),
    [1000502],
    'a certificate that has expired',
  )
})

t.test('claims: guests, scopes, optional claims and groups', async (t) => {
  const { entra, client } = await start(t, {}, {
    optionalClaims: ['upn', 'acct', 'xms_edov', 'given_name', 'family_name', 'login_hint'],
    groupMembershipClaims: 'SecurityGroup',
  })
  const claims = async (person: string, more?: Record<string, string | undefined>) =>
    claimsOf((await client.login(person, more)).idToken)
  const guest = await claims(PEOPLE.guest.id)
  t.match(guest, {
    oid: PEOPLE.guest.id,
    acct: 1,
    idp: /^https:\/\/sts\.windows\.net\//,
    preferred_username: 'gus.guest@fabrikam.example',
    groups: [GROUP_IDS.readOnly],
  })
  for (const claim of ['email', 'upn', 'xms_edov', 'sid']) t.notOk(claim in guest, `no ${claim}`)

  const staff = await claims(PEOPLE.staff.id)
  t.match(staff, {
    acct: 0,
    upn: PEOPLE.staff.userPrincipalName,
    given_name: 'Sam',
    family_name: 'Staff',
    email: PEOPLE.staff.mail,
  })
  t.equal((await claims(PEOPLE.staff.id)).sub, staff.sub, 'sub is stable')
  t.match(staff.sub, /^[\w-]{43}$/)
  const bare = await claims(PEOPLE.staff.id, { scope: 'openid', nonce: undefined })
  for (const claim of ['oid', 'tid', 'name', 'preferred_username', 'email', 'nonce']) {
    t.notOk(claim in bare, `no ${claim} without its scope`)
  }

  const many = await claims(PEOPLE.many.id)
  t.notOk('groups' in many)
  t.match(many, {
    _claim_names: { groups: 'src1' },
    _claim_sources: {
      src1: { endpoint: `https://graph.windows.net/${entra.tenantId}/users/${PEOPLE.many.id}/getMemberObjects` },
    },
  })

  Object.assign(entra.directory.users.get(PEOPLE.guest.id) ?? {}, { externalEmail: 'gus@fabrikam.example', edov: '1' })
  t.match(await claims(PEOPLE.guest.id, { scope: 'openid profile' }), {
    email: 'gus@fabrikam.example',
    xms_edov: '1',
    preferred_username: 'gus@fabrikam.example',
  })
  t.notOk(
    'id_token' in (await client.login(PEOPLE.staff.id, { scope: 'User.Read' })).body,
    'no ID token without openid',
  )
})

t.test('client_info names the account, for those who ask', async (t) => {
  const { client } = await start(t)
  const { body } = await client.redeem(await client.code(), { client_info: '1' })
  t.strictSame(JSON.parse(Buffer.from(String(body.client_info), 'base64url').toString()), {
    uid: PEOPLE.staff.id,
    utid: DEMO_TENANT_ID,
  })
  t.notOk('client_info' in (await client.redeem(await client.code())).body)
})

t.test('refresh tokens end with "revoke sessions"', async (t) => {
  const { entra, client } = await start(t)
  const { body } = await client.login(PEOPLE.staff.id, { scope: 'openid profile offline_access User.Read' })
  const refresh = () => client.token({ grant_type: 'refresh_token', refresh_token: String(body.refresh_token) })
  t.equal((await refresh()).status, 200)
  Object.assign(entra.directory.users.get(PEOPLE.staff.id) ?? {}, {
    signInSessionsValidFromDateTime: new Date(Date.now() + 1000).toISOString(),
  })
  t.match((await refresh()).body, { error: 'invalid_grant', error_codes: [50173] })
})

t.test('sign-out', async (t) => {
  const { entra, client } = await start(t)
  const session = async () => {
    const signedIn = await client.signIn(PEOPLE.staff.id)
    return {
      cookie: signedIn.headers.get('set-cookie')?.split(';')[0] ?? '',
      sid: signedIn.callback?.session_state ?? '',
      code: signedIn.callback?.code ?? '',
    }
  }
  const logout = async (parameters: Record<string, string>, cookie: string, method = 'GET') => {
    const query = new URLSearchParams(parameters)
    const response = await fetch(`${client.base}/oauth2/v2.0/logout${method === 'GET' ? `?${query}` : ''}`, {
      redirect: 'manual',
      method,
      headers: { cookie },
      ...(method === 'POST' && { body: query }),
    })
    return { status: response.status, location: response.headers.get('location'), text: await response.text() }
  }
  const back = 'https://gate.example/oauth2/sign_in'
  const one = await session()
  const hint = String(claimsOf(String((await client.redeem(one.code)).body.id_token)).login_hint)
  const picker = await logout({ post_logout_redirect_uri: back }, one.cookie)
  t.match(picker.text, `data-person="${PEOPLE.staff.id}"`, 'without a hint one is asked')
  t.ok((await client.authorize({}, one.cookie)).callback?.code, 'and nothing has happened yet')
  t.equal(
    (await logout({ post_logout_redirect_uri: back, state: 's' }, one.cookie, 'POST')).location,
    `${back}?state=s`,
  )
  t.equal((await client.authorize({}, one.cookie)).status, 200, 'the session is over')

  const two = await session()
  t.equal(
    (await logout({ post_logout_redirect_uri: back, logout_hint: hint }, two.cookie)).location,
    back,
    'the hint spares the question',
  )
  const three = await session()
  const stays = await logout({ post_logout_redirect_uri: `${back}/`, logout_hint: hint }, three.cookie)
  t.equal(stays.location, null)
  t.match(stays.text, 'is not registered')

  entra.app.frontChannelLogoutUrl = 'https://gate.example/oauth2/frontchannel-logout'
  const four = await session()
  const framed = await logout({ post_logout_redirect_uri: back, logout_hint: hint }, four.cookie)
  t.match(framed.text, `<iframe src="https://gate.example/oauth2/frontchannel-logout?sid=${four.sid}"`)
  t.match(framed.text, `content="1;url=${back}"`)
})

t.test('keys roll, with or without an overlap', async (t) => {
  const { entra, client } = await start(t)
  const published = async () =>
    ((await (await fetch(`${client.base}/discovery/v2.0/keys`)).json()) as JSONWebKeySet).keys.map(({ kid }) => kid)
  const kid = async () => headerOf((await client.login()).idToken).kid
  const before = await published()
  const first = await kid()
  await entra.rollKeys()
  const second = await kid()
  t.notOk(before.includes(String(second)), 'a key nobody has seen')
  t.ok((await published()).includes(String(first)), 'the old one stays')
  await entra.rollKeys({ removeOld: true })
  const after = await published()
  t.notOk([first, second].some((old) => after.includes(String(old))))
  t.ok(after.includes(String(await kid())))
})

t.test('ID tokens that no client should accept', async (t) => {
  const { entra, client } = await start(t)
  const keys = createLocalJWKSet(await (await fetch(`${client.base}/discovery/v2.0/keys`)).json() as JSONWebKeySet)
  const verify = (token: string) => jwtVerify(token, keys, { audience: DEMO_CLIENT_ID, algorithms: ['RS256'] })
  for (
    const how of ['none', 'hs256-public-key', 'unregistered-key', 'unknown-kid', 'embedded-jwk', 'truncated'] as const
  ) {
    entra.faults.add({ on: 'token', then: { kind: 'signWith', how } })
    await t.rejects(verify((await client.login()).idToken), how)
  }
  entra.faults.add({
    on: 'token',
    then: [{
      kind: 'mutateClaims',
      change: (claims) => {
        claims.aud = 'other'
        delete claims.nonce
      },
    }, { kind: 'signWith', how: 'none' }],
  })
  const { idToken } = await client.login()
  t.match(
    { alg: headerOf(idToken).alg, aud: claimsOf(idToken).aud, nonce: claimsOf(idToken).nonce },
    { alg: 'none', aud: 'other', nonce: undefined },
  )
  entra.faults.add({ on: 'token', then: { kind: 'dropIdToken' } })
  t.notOk('id_token' in (await client.login()).body)
  await verify((await client.login()).idToken)
  t.strictSame(entra.faults.waiting(), [])
})

t.test('faults of the login host', async (t) => {
  const { entra, client } = await start(t)
  entra.faults.add({
    on: 'authorize',
    then: {
      kind: 'callback',
      change: (parameters) => {
        parameters.delete('code')
        parameters.set('error', 'server_error')
        parameters.set('state', 'forged')
      },
    },
  })
  t.match((await client.signIn(PEOPLE.staff.id)).callback, { error: 'server_error', state: 'forged', code: undefined })
  entra.faults.add({
    on: 'token',
    then: {
      kind: 'aadsts',
      code: 50076,
      error: 'interaction_required',
      crlf: true,
      suberror: 'basic_action',
      claims: '{}',
    },
  })
  const mfa = await client.redeem('x')
  t.match(mfa.body, { error: 'interaction_required', error_codes: [50076], suberror: 'basic_action', claims: '{}' })
  t.match(mfa.body.error_description, /\.\r\nTrace ID: .*\r\nCorrelation ID: .*\r\nTimestamp: /)
  entra.faults.add({ on: 'token', then: { kind: 'aadsts', code: 90033 } })
  t.match(await client.redeem('x'), { status: 503, body: { error: 'temporarily_unavailable' } })
  entra.faults.add({ on: 'keys', times: 2, then: { kind: 'html', status: 502 } })
  entra.faults.add({ on: 'discovery', then: { kind: 'body', body: { issuer: 'https://evil.example' } } })
  const status = async (path: string) => (await fetch(client.base + path)).status
  t.strictSame([
    await status('/discovery/v2.0/keys'),
    await status('/discovery/v2.0/keys'),
    await status('/discovery/v2.0/keys'),
  ], [502, 502, 200])
  t.strictSame(await (await fetch(`${client.base}/v2.0/.well-known/openid-configuration`)).json(), {
    issuer: 'https://evil.example',
  })
  t.throws(() => entra.faults.add({ on: 'token', then: [{ kind: 'dropIdToken' }, { kind: 'hang' }] }))
  entra.faults.add({
    on: 'logout',
    times: Infinity,
    then: { kind: 'status', status: 500, body: 'gone', headers: { 'Content-Type': 'text/plain' } },
  })
  t.equal(await status('/oauth2/v2.0/logout'), 500)
  entra.faults.clear()
  t.equal(await status('/oauth2/v2.0/logout'), 200)
})

t.test('TLS with a private authority', async (t) => {
  const { entra, client } = await start(t, { tls: true })
  t.match(entra.url, /^https:\/\/127\.0\.0\.1:/)
  t.match(entra.graphUrl, /^https:/)
  await t.rejects(fetch(`${client.base}/discovery/v2.0/keys`), 'unknown to everybody else')
  const dispatcher = new Agent({ connect: { ca: entra.caPem ?? '' } })
  t.teardown(() => dispatcher.close())
  for (const origin of [entra.url, entra.url.replace('127.0.0.1', 'localhost')]) {
    t.equal((await fetch(`${origin}/${entra.tenantId}/discovery/v2.0/keys`, { dispatcher })).status, 200, origin)
  }
  t.equal((await fetch(`${entra.graphUrl}/v1.0/`, { dispatcher })).status, 200)
})

t.test('it stays on loopback', async (t) => {
  await t.rejects(start(t, { host: '0.0.0.0' }), /allowOffLoopback/)
  await t.rejects(start(t, { host: '::' }), /allowOffLoopback/)
  await t.rejects(start(t, { host: 'gate.example' }), /allowOffLoopback/)
  const { entra } = await start(t, {
    host: '0.0.0.0',
    allowOffLoopback: true,
    publicUrl: 'http://entra.test:8400/',
    graphPublicUrl: 'http://graph.test:8401',
  })
  const { port } = new URL(entra.listening.login)
  const discovery = await fetch(`http://127.0.0.1:${port}/${entra.tenantId}/v2.0/.well-known/openid-configuration`)
  t.match(await discovery.json(), {
    issuer: `http://entra.test:8400/${entra.tenantId}/v2.0`,
    msgraph_host: 'graph.test:8401',
  })
})
