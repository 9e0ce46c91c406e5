// Identities that must not be believed, each through a real login: refused under a code of its own, before Graph is
// asked and before anything is written. And the keys they are checked with: cached, rolled over, and out of reach.
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { UnsecuredJWT } from 'jose'
import t, { type Test } from 'tap'
import type { ErrorCode } from '../../src/core/errors.js'
import type { AnswerFault, Forgery } from '../../src/demo/entra/faults.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createHttpClient } from '../../src/entra/http-client.js'
import { createTenantKeys } from '../../src/entra/keys.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import {
  attempt,
  claimsOfRun,
  createTestKey,
  DEMO_CLIENT_ID,
  DEMO_TENANT_ID,
  refused,
  sample,
  signedIn,
  tokenAnswer,
  type Json,
  type Outcome,
  type TestKey,
} from './helper.js'

const OTHER_TENANT = '9188040d-6c67-4c5b-b112-36a304b66dad'
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

/** Changes to a token that is good otherwise, and the code of the refusal; undefined where it is still good. */
const CLAIMS: Readonly<Record<string, readonly [(claims: Json, issuer: string) => void, ErrorCode | undefined]>> = {
  'unchanged': [() => {}, undefined],
  'iss of another tenant': [(claims, issuer) => {
    claims.iss = issuer.replace(DEMO_TENANT_ID, OTHER_TENANT)
  }, 'id_token_issuer'],
  'iss of the v1.0 endpoint': [(claims) => {
    claims.iss = `https://sts.windows.net/${DEMO_TENANT_ID}/`
  }, 'id_token_issuer'],
  'iss with a slash at its end': [(claims, issuer) => {
    claims.iss = `${issuer}/`
  }, 'id_token_issuer'],
  'iss still templated': [(claims, issuer) => {
    claims.iss = issuer.replace(DEMO_TENANT_ID, '{tenantid}')
  }, 'id_token_issuer'],
  'iss missing': [(claims) => {
    delete claims.iss
  }, 'id_token_claims'],
  'aud of another application': [(claims) => {
    claims.aud = PERSON_IDS.staff
  }, 'id_token_audience'],
  'aud of Graph': [(claims) => {
    claims.aud = 'https://graph.microsoft.com'
  }, 'id_token_audience'],
  'aud with a second entry': [(claims) => {
    claims.aud = [DEMO_CLIENT_ID, PERSON_IDS.staff]
  }, 'id_token_audience'],
  'aud as a list of one': [(claims) => {
    claims.aud = [DEMO_CLIENT_ID]
  }, undefined],
  'aud as an empty list': [(claims) => {
    claims.aud = []
  }, 'id_token_audience'],
  'aud missing': [(claims) => {
    delete claims.aud
  }, 'id_token_claims'],
  'tid of another tenant': [(claims) => {
    claims.tid = OTHER_TENANT
  }, 'id_token_tenant'],
  'tid as a list': [(claims) => {
    claims.tid = [DEMO_TENANT_ID]
  }, 'id_token_tenant'],
  'tid missing': [(claims) => {
    delete claims.tid
  }, 'id_token_claims'],
  'nonce of another sign-in': [(claims) => {
    claims.nonce = 'n-0S6_WzA2Mj'
  }, 'id_token_nonce'],
  'nonce cut short': [(claims) => {
    claims.nonce = String(claims.nonce).slice(0, -1)
  }, 'id_token_nonce'],
  'nonce as a list': [(claims) => {
    claims.nonce = [claims.nonce]
  }, 'id_token_nonce'],
  'nonce missing': [(claims) => {
    delete claims.nonce
  }, 'id_token_claims'],
  'exp 310 seconds ago': [(claims) => {
    claims.exp = inSeconds(-310)
  }, 'id_token_expired'],
  'exp 280 seconds ago': [(claims) => {
    claims.exp = inSeconds(-280)
  }, undefined],
  'exp as text': [(claims) => {
    claims.exp = String(claims.exp)
  }, 'id_token_claims'],
  'exp missing': [(claims) => {
    delete claims.exp
  }, 'id_token_claims'],
  'nbf in 330 seconds': [(claims) => {
    claims.nbf = inSeconds(330)
  }, 'id_token_not_yet_valid'],
  'nbf in 280 seconds': [(claims) => {
    claims.nbf = inSeconds(280)
  }, undefined],
  'nbf missing': [(claims) => {
    delete claims.nbf
  }, 'id_token_claims'],
  'iat in 330 seconds': [(claims) => {
    claims.iat = inSeconds(330)
  }, 'id_token_not_yet_valid'],
  'iat in 280 seconds': [(claims) => {
    claims.iat = inSeconds(280)
  }, undefined],
  'iat missing': [(claims) => {
    delete claims.iat
  }, 'id_token_claims'],
  'ver 1.0': [(claims) => {
    claims.ver = '1.0'
  }, 'id_token_claims'],
  'ver as a number': [(claims) => {
    claims.ver = 2
  }, 'id_token_claims'],
  'ver missing': [(claims) => {
    delete claims.ver
  }, 'id_token_claims'],
  'oid missing': [(claims) => {
    delete claims.oid
  }, 'id_token_claims'],
  'oid a user principal name': [(claims) => {
    claims.oid = 'sam.staff@contoso.example'
  }, 'id_token_claims'],
  'oid that climbs out of its path': [(claims) => {
    claims.oid = `../users/${PERSON_IDS.superuser}`
  }, 'id_token_claims'],
  'oid with a line break': [(claims) => {
    claims.oid = `${PERSON_IDS.staff}\n`
  }, 'id_token_claims'],
  'oid as a list': [(claims) => {
    claims.oid = [PERSON_IDS.staff]
  }, 'id_token_claims'],
  'sub missing': [(claims) => {
    delete claims.sub
  }, 'id_token_claims'],
}

/** Tokens whose envelope is wrong; `good` is the one they are made from. */
const ENVELOPES: Readonly<
  Record<
    string,
    readonly [
      (token: { claims: Json, good: string, key: TestKey, other: TestKey }) => string | Promise<string>,
      ErrorCode | undefined,
    ]
  >
> = {
  'alg none': [({ claims }) => new UnsecuredJWT(claims).encode(), 'id_token_algorithm'],
  'alg none, with the kid and the signature of a good one': [
    ({ good, key }) => withHeader(good, { alg: 'none', kid: key.jwk.kid }),
    'id_token_algorithm',
  ],
  'alg rs256 in lower case': [
    ({ good, key }) => withHeader(good, { alg: 'rs256', kid: key.jwk.kid }),
    'id_token_algorithm',
  ],
  'alg PS256': [({ good, key }) => withHeader(good, { alg: 'PS256', kid: key.jwk.kid }), 'id_token_algorithm'],
  'HS256 with the published key as secret': [
    ({ claims, key }) => hs256(claims, key.jwk.kid ?? '', JSON.stringify(key.jwk)),
    'id_token_algorithm',
  ],
  'kid missing': [({ good }) => withHeader(good, { typ: 'JWT', alg: 'RS256' }), 'id_token_key'],
  'kid as a number': [({ good }) => withHeader(good, { alg: 'RS256', kid: 7 }), 'id_token_key'],
  'kid that nobody publishes': [({ claims, key }) => key.sign(claims, { kid: 'nobody' }), 'id_token_key'],
  "a stranger's key under a published kid": [
    ({ claims, key, other }) => other.sign(claims, { kid: key.jwk.kid ?? '' }),
    'id_token_signature',
  ],
  "a stranger's key, brought along as jwk": [
    ({ claims, key, other }) => other.sign(claims, { kid: key.jwk.kid ?? '', jwk: other.jwk }),
    'id_token_signature',
  ],
  "a stranger's key, its address as jku and x5u": [
    ({ claims, key, other }) =>
      other.sign(claims, { kid: key.jwk.kid ?? '', jku: 'http://127.0.0.1:1/keys', x5u: 'http://127.0.0.1:1/x5u' }),
    'id_token_signature',
  ],
  'a good key, but jwk and x5u of a stranger beside it': [
    ({ claims, key, other }) => key.sign(claims, { jwk: other.jwk, x5u: 'http://127.0.0.1:1/x5u' }),
    undefined,
  ],
  'a header that was swapped afterwards': [
    ({ good, key }) => withHeader(good, { typ: 'at+jwt', alg: 'RS256', kid: key.jwk.kid }),
    'id_token_signature',
  ],
  'claims that were changed afterwards': [
    ({ good, claims }) => withClaims(good, { ...claims, oid: PERSON_IDS.superuser }),
    'id_token_signature',
  ],
  'a critical header that nobody knows': [
    ({ good, key }) => withHeader(good, { alg: 'RS256', kid: key.jwk.kid, crit: ['x'], x: 1 }),
    'id_token_malformed',
  ],
  'a signature cut short': [({ good }) => good.slice(0, -40), 'id_token_signature'],
  'no signature': [({ good }) => good.slice(0, good.lastIndexOf('.') + 1), 'id_token_signature'],
  'two parts': [({ good }) => good.slice(0, good.lastIndexOf('.')), 'id_token_malformed'],
  'cut in the header': [({ good }) => good.slice(0, 20), 'id_token_malformed'],
  'four parts': [({ good }) => `${good}.x`, 'id_token_malformed'],
  'not a token at all': [() => 'FAKE', 'id_token_malformed'],
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const withHeader = (token: string, header: Json) => token.replace(/^[^.]*/, encoded(header))
const withClaims = (token: string, claims: Json) =>
  token.split('.').map((part, index) => index === 1 ? encoded(claims) : part).join('.')
function hs256(claims: Json, kid: string, secret: string): string {
  const signed = `${encoded({ typ: 'JWT', alg: 'HS256', kid })}.${encoded(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

const noGroups: AnswerFault = { kind: 'body', body: sample('transitivememberof-no-groups.json') }
const issuerOf = (gateway: TestGateway) => `${gateway.entra.url}/${DEMO_TENANT_ID}/v2.0`

/** The test's keys are the tenant's from now on, and nobody is in any group. */
function publish(gateway: TestGateway, keys: readonly unknown[]): void {
  gateway.entra.faults.clear()
  gateway.entra.faults.add({ on: 'keys', times: Infinity, then: { kind: 'body', body: { keys } } })
  gateway.entra.faults.add({ on: 'graph', times: Infinity, then: noGroups })
}

async function present(gateway: TestGateway, make: (claims: Json) => string | Promise<string>): Promise<Outcome> {
  return await attempt(gateway, {
    script: async ({ nonce }) =>
      gateway.entra.faults.add({ on: 'token', then: tokenAnswer(await make(claimsOfRun(gateway, nonce))) }),
  })
}

function judged(t: Test, outcome: Outcome, code: ErrorCode | undefined): void {
  if (code === undefined) return signedIn(t, outcome, { token: 1, graph: 1 })
  refused(t, outcome, code, { token: 1, graph: 0 })
  t.ok(
    typeof outcome.log.detail === 'string' && typeof outcome.log.remedy === 'string',
    'the log says what was wrong and what to do',
  )
}

// proves: oid-is-an-object-id, tid-checked, token-algorithm, token-known-key, token-audience, token-one-audience
// proves: token-times, token-skew, token-required-claims, token-nonce, token-version, token-object-id
// proves: token-issued-in-future
t.test('a token is accepted as a whole or not at all', async (t) => {
  const gateway = await startTestGateway(t)
  const [key, other] = await Promise.all([createTestKey('published'), createTestKey('stranger')])
  publish(gateway, [{ ...key.jwk, issuer: issuerOf(gateway) }])

  for (const [name, [change, code]] of Object.entries(CLAIMS)) {
    await t.test(`claims: ${name}`, async (t) => {
      judged(
        t,
        await present(gateway, async (claims) => {
          change(claims, issuerOf(gateway))
          return await key.sign(claims)
        }),
        code,
      )
    })
  }
  for (const [name, [make, code]] of Object.entries(ENVELOPES)) {
    await t.test(`envelope: ${name}`, async (t) => {
      judged(
        t,
        await present(gateway, async (claims) => await make({ claims, good: await key.sign(claims), key, other })),
        code,
      )
    })
  }
  t.test('no id token, or an empty one', async (t) => {
    for (const token of [undefined, '']) {
      refused(
        t,
        await attempt(gateway, { script: () => gateway.entra.faults.add({ on: 'token', then: tokenAnswer(token) }) }),
        'id_token_missing',
        { token: 1, graph: 0 },
      )
    }
  })
  t.test('a token of one sign-in, presented in another of the same browser', async (t) => {
    let kept = ''
    const first = await present(gateway, async (claims) => {
      kept = await key.sign(claims)
      return kept
    })
    judged(t, first, undefined)
    gateway.entra.faults.add({ on: 'token', then: tokenAnswer(kept) })
    const second = await attempt(gateway, { browser: first.browser })
    t.equal(second.code, 'id_token_nonce')
    t.strictSame(second.changed, [], 'the session from before stays as it was')
    t.equal(second.graph.length, 0)
  })
  t.notOk(gateway.rawLog.some((line) => /eyJ[\w-]{20}|opaque-access-token/.test(line)), 'no token is in the log')
})

t.test('forgeries of the simulated Entra, signed with its own keys', async (t) => {
  const gateway = await startTestGateway(t)
  const expected: Record<Forgery, ErrorCode> = {
    'none': 'id_token_algorithm',
    'hs256-public-key': 'id_token_algorithm',
    'unregistered-key': 'id_token_signature',
    'unknown-kid': 'id_token_key',
    'embedded-jwk': 'id_token_signature',
    'truncated': 'id_token_signature',
  }
  for (const [how, code] of Object.entries(expected) as [Forgery, ErrorCode][]) {
    await t.test(how, async (t) => {
      gateway.entra.faults.add({ on: 'token', then: { kind: 'signWith', how } })
      judged(t, await attempt(gateway), code)
    })
  }
  gateway.entra.faults.add({ on: 'token', then: { kind: 'dropIdToken' } })
  judged(t, await attempt(gateway), 'id_token_missing')
  signedIn(t, await attempt(gateway), { keys: 0, graph: 1 })
})

// proves: token-key-issuer
t.test('a key counts for the issuer that it is bound to', async (t) => {
  let gateway = await startTestGateway(t)
  const key = await createTestKey('bound')
  const bound: Readonly<Record<string, readonly [string | undefined, ErrorCode | undefined]>> = {
    'this tenant': [issuerOf(gateway), undefined],
    'every tenant, templated': [`${gateway.entra.url}/{tenantid}/v2.0`, undefined],
    'nobody, as in older documents': [undefined, undefined],
    'another tenant': [`${gateway.entra.url}/${OTHER_TENANT}/v2.0`, 'id_token_key'],
    'another cloud': [`https://login.partner.microsoftonline.cn/${DEMO_TENANT_ID}/v2.0`, 'id_token_key'],
    'the v1.0 endpoint': [`https://sts.windows.net/${DEMO_TENANT_ID}/`, 'id_token_key'],
  }
  for (const [name, [issuer, code]] of Object.entries(bound)) {
    await t.test(name, async (t) => {
      publish(gateway, [issuer === undefined ? key.jwk : { ...key.jwk, issuer }])
      judged(t, await present(gateway, (claims) => key.sign(claims)), code)
      gateway = await gateway.restart()
    })
  }
  // proves: token-key-use
  await t.test('a key for encryption signs nothing', async (t) => {
    const good = await createTestKey('good')
    publish(gateway, [
      good.jwk,
      { ...key.jwk, use: 'enc' },
      { kty: 'EC', kid: 'ec' },
      { kty: 'RSA', kid: 'broken' },
      null,
      'text',
    ])
    judged(t, await present(gateway, (claims) => key.sign(claims)), 'id_token_key')
    judged(t, await present(gateway, (claims) => good.sign(claims)), undefined)
  })
  // proves: token-key-size
  await t.test('a key of 1,024 bits is none, although the tenant lists it', async (t) => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
    gateway = await gateway.restart()
    publish(gateway, [key.jwk, { ...small.publicKey.export({ format: 'jwk' }), kid: 'small', use: 'sig' }])
    const signed = (claims: Json): string => {
      const text = [{ alg: 'RS256', typ: 'JWT', kid: 'small' }, claims].map((part) =>
        Buffer.from(JSON.stringify(part)).toString('base64url')
      ).join('.')
      return `${text}.${sign('sha256', Buffer.from(text), small.privateKey).toString('base64url')}`
    }
    judged(t, await present(gateway, signed), 'id_token_key')
  })
})

// proves: token-refetch-limit
t.test('keys are read when they are needed, and kept', async (t) => {
  let gateway = await startTestGateway(t, { config: { entra: { loginBudget: '2s' } } })
  const { entra } = gateway

  await t.test('ten people at once make one request for keys, the next ones none', async (t) => {
    entra.faults.add({ on: 'keys', then: { kind: 'slow', ms: 200 } })
    const from = entra.requests.length
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => attempt(gateway)))
    t.ok(outcomes.every(({ code }) => code === 'signed in'))
    t.equal(entra.requests.slice(from).filter(({ path }) => path.endsWith('/keys')).length, 1)
    signedIn(t, await attempt(gateway), { keys: 0 })
  })
  await t.test('cached keys outlive an outage of the endpoint', async (t) => {
    entra.faults.add({ on: 'keys', times: Infinity, then: { kind: 'reset' } })
    signedIn(t, await attempt(gateway), { keys: 0 })
    entra.faults.add({ on: 'token', then: { kind: 'signWith', how: 'unknown-kid' } })
    // whether it is a key cannot be said
    refused(t, await attempt(gateway), 'entra_keys_unavailable', { keys: 1, graph: 0 })
    signedIn(t, await attempt(gateway), { keys: 0 })
    entra.faults.clear()
  })
  await t.test('an emergency rollover blocks no login; a second one within 30 seconds waits', async (t) => {
    gateway = await gateway.restart()
    signedIn(t, await attempt(gateway), { keys: 1 })
    await entra.rollKeys({ removeOld: true })
    signedIn(t, await attempt(gateway), { keys: 1 })
    await entra.rollKeys()
    for (let time = 0; time < 3; time++) refused(t, await attempt(gateway), 'id_token_key', { keys: 0, graph: 0 })
  })

  const outOfReach: Readonly<Record<string, AnswerFault>> = {
    'reset': { kind: 'reset' },
    'never answered': { kind: 'hang' },
    'a server error, though it has a key': {
      kind: 'status',
      status: 500,
      body: { keys: [(await createTestKey('some')).jwk] },
    },
    'a page': { kind: 'html' },
    'no keys': { kind: 'body', body: { keys: [] } },
    'no list': { kind: 'body', body: { keys: 'none' } },
    'elsewhere': {
      kind: 'status',
      status: 302,
      headers: { location: `${entra.url}/${DEMO_TENANT_ID}/discovery/v2.0/keys` },
    },
    'without end': { kind: 'hugeBody', bytes: Infinity },
  }
  for (const [name, fault] of Object.entries(outOfReach)) {
    await t.test(`no keys at all: ${name}`, async (t) => {
      gateway = await gateway.restart()
      entra.faults.clear()
      entra.faults.add({ on: 'keys', times: Infinity, then: fault })
      const outcome = await attempt(gateway)
      refused(t, outcome, 'entra_keys_unavailable', { token: 1, graph: 0 })
      entra.faults.clear()
      signedIn(t, await attempt(gateway)) // a failure is not remembered
    })
  }
})

t.test('the clock of the key cache', async (t) => {
  const { entra } = await startTestGateway(t)
  const http = createHttpClient()
  t.teardown(() => http.close())
  const key = await createTestKey('known')
  const serve = (...kids: string[]) => {
    entra.faults.clear()
    entra.faults.add({
      on: 'keys',
      times: Infinity,
      then: { kind: 'body', body: { keys: kids.map((kid) => ({ ...key.jwk, kid })) } },
    })
  }
  let now = 0
  const create = () =>
    createTenantKeys({ http, url: `${entra.url}/${DEMO_TENANT_ID}/discovery/v2.0/keys`, now: () => now })
  const asked = async (work: () => Promise<unknown>) => {
    const from = entra.requests.length
    await work()
    return entra.requests.length - from
  }
  const soon = () => AbortSignal.timeout(5000)

  await t.test('an unknown kid is asked for at most every 30 seconds', async (t) => {
    const keys = create()
    serve('known')
    const find = (kid: string) =>
      asked(async () =>
        t.equal((await keys.find(kid, soon())) !== undefined, kid === 'known' || (kid === 'new' && now > 40_000))
      )
    t.equal(await find('known'), 1)
    now = 5_000
    t.equal(await find('new'), 1, 'at once')
    now = 34_000
    t.equal(
      await find('new') + await find('other') + await find('known'),
      0,
      'not again within 30 seconds, whatever it is called',
    )
    serve('known', 'new')
    now = 41_000
    t.equal(await find('new'), 1)
    t.equal(await find('new'), 0)
  })
  await t.test('keys are refreshed in the background after a day; the old ones stay if that fails', async (t) => {
    const keys = create()
    const find = () =>
      asked(async () => {
        t.ok(await keys.find('known', soon()))
        await new Promise((resolve) => setTimeout(resolve, 200)) // for what goes on behind it
      })
    serve('known')
    t.equal(await find(), 1)
    now += 23 * 3_600_000
    t.equal(await find(), 0)
    now += 2 * 3_600_000
    t.equal(await find(), 1)
    now += 25 * 3_600_000
    entra.faults.clear()
    entra.faults.add({ on: 'keys', times: Infinity, then: { kind: 'status', status: 503 } })
    t.equal(await find(), 1, 'asked in vain')
    t.equal(await find(), 0, 'and not again at once')
    now += 31_000
    serve('next')
    t.equal(await find(), 1)
    t.equal(await keys.find('known', soon()), undefined, 'a key that was taken back is forgotten')
  })
  await t.test('who runs out of time does not end the request for the others', async (t) => {
    const keys = create()
    serve('known')
    entra.faults.clear()
    entra.faults.add({ on: 'keys', then: [{ kind: 'slow', ms: 300 }, { kind: 'body', body: { keys: [key.jwk] } }] })
    const requests = await asked(async () => {
      const [hurried, patient] = await Promise.allSettled([
        keys.find('known', AbortSignal.timeout(50)),
        keys.find('known', soon()),
      ])
      t.match(hurried, { status: 'rejected', reason: { code: 'entra_keys_unavailable' } })
      t.equal(patient.status === 'fulfilled' && patient.value !== undefined, true)
    })
    t.equal(requests, 1)
  })
  await t.test('a call whose time is already over leaves no unhandled rejection', async (t) => {
    const unhandled: unknown[] = []
    const note = (reason: unknown) => {
      unhandled.push(reason)
    }
    process.prependListener('unhandledRejection', note)
    t.teardown(() => process.off('unhandledRejection', note))
    entra.faults.clear()
    entra.faults.add({ on: 'keys', then: { kind: 'reset' } })
    await t.rejects(create().find('known', AbortSignal.abort()), { code: 'entra_keys_unavailable' })
    await new Promise((resolve) => setTimeout(resolve, 200)) // until the fetch has failed
    t.strictSame({ unhandled, waitingFaults: entra.faults.waiting() }, { unhandled: [], waitingFaults: [] })
  })
})
