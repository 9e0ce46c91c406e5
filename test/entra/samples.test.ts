// Every recorded payload of Microsoft's goes through the code that meets it, and what became of it is asserted: the
// code, how often was asked, and whether anything was written. A new file in the folder without a line here fails.
import { createHash, createPublicKey } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import t, { type Test } from 'tap'
import type { ErrorCode } from '../../src/core/errors.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import { entraEndpoints } from '../../src/entra/clouds.js'
import { createClientCredential } from '../../src/entra/credentials.js'
import { createHttpClient } from '../../src/entra/http-client.js'
import { parseRetryAfter } from '../../src/core/retry-after.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { writePair } from '../helpers/key-pair.js'
import {
  attempt,
  begin,
  claimsOfRun,
  createTestKey,
  DEMO_CLIENT_ID,
  DEMO_TENANT_ID,
  recordedGroups,
  refused,
  replay,
  sample,
  SAMPLES,
  setProxies,
  signedIn,
  startTrap,
  tokenAnswer,
  type Counts,
  type Envelope,
  type Json,
  type Trap,
} from './helper.js'

const ADMINS = 'a1b2c3d4-e5f6-7890-1234-567890abcdef'
const SUPERUSERS = '11111111-2222-3333-4444-555555555555'
const CIRCUITS = '1a36bed9-3bdc-4970-ab66-faf9704e0af4'
const READ_ONLY = 'c3d4e5f6-a7b8-9012-3456-789012cdef01'
const ENGINEERS = 'b2c3d4e5-f6a7-8901-2345-678901bcdef0'
const MICROSOFT_365 = '0d2f6a58-6c1e-4b5f-9a3d-2b7c8d9e0f13'
/** A group that the first page lists too is among them. */
const ON_PAGE_2 = [CIRCUITS, ADMINS, READ_ONLY, MICROSOFT_365]
const REAL_GRAPH = 'https://graph.microsoft.com'

/** `gateway` has a budget of two seconds; whatever a test scripted is gone when the next one begins. */
let gateway: TestGateway
/** The proxy of everything that is not on this machine: a request to Microsoft's real hosts would show here. */
let outside: Trap

type Check = (t: Test, file: string) => unknown

/** Recorded Graph errors, as the answer to the first question about memberships. */
const graphError = (code: ErrorCode, counts: Counts, times = Infinity): Check => async (t, file) => {
  gateway.entra.faults.add({ on: 'graph', times, then: replay(file) })
  const outcome = await attempt(gateway)
  refused(t, outcome, code, { token: 1, ...counts })
  const { status, headers, body } = sample<Envelope>(file)
  t.match(outcome.log, {
    upstreamStatus: status,
    ...(headers['request-id'] === undefined ? {} : { requestId: headers['request-id'], date: headers.Date }),
  }, 'the log has what Microsoft support asks for')
  t.ok(typeof outcome.log.remedy === 'string' && outcome.log.remedy !== '', 'and a remedy')
  const message = (body as { error?: { message?: string } }).error?.message
  if (message !== undefined) t.notOk(outcome.page.includes(message), "Microsoft's text is not on the page")
}

/** The same once, and then the truth. */
const thenFine = (counts: Counts): Check => async (t, file) => {
  gateway.entra.faults.add({ on: 'graph', then: replay(file) })
  signedIn(t, await attempt(gateway), counts)
  t.strictSame(await recordedGroups(gateway), [ENGINEERS])
}

/** A 429 makes every sign-in of the process wait, so each has a process of its own. */
const throttled = (check: Check): Check => async (t, file) => {
  await check(t, file)
  gateway = await gateway.restart()
}

/** A payload of another question, in place of a page of memberships. */
const noPage = (code: ErrorCode = 'graph_malformed'): Check => async (t, file) => {
  gateway.entra.faults.add({ on: 'graph', times: Infinity, then: { kind: 'body', body: sample(file) } })
  refused(t, await attempt(gateway), code, { token: 1, graph: 1 })
}

/** Pages in a row; their nextLinks lead to the simulator's Graph instead of Microsoft's, and are verbatim otherwise. */
const pages = (files: readonly string[], groups: readonly string[]): Check => async (t) => {
  const recorded = files.map((file) => sample<{ '@odata.nextLink'?: string }>(file))
  t.ok(
    recorded.slice(0, -1).every((page) => page['@odata.nextLink']?.startsWith(REAL_GRAPH)),
    'each but the last has a nextLink',
  )
  if (recorded.length > 1) {
    gateway.entra.faults.add({ on: 'graph', then: { kind: 'body', body: recorded[0] } })
    // verbatim: graph.microsoft.com is not this Graph
    refused(t, await attempt(gateway), 'graph_foreign_link', { graph: 1 })
  }
  for (const [index, page] of recorded.entries()) {
    const link = page['@odata.nextLink']?.replace(REAL_GRAPH, gateway.entra.graphUrl)
    const path = recorded[index - 1]?.['@odata.nextLink']?.slice(REAL_GRAPH.length)
    gateway.entra.faults.add({
      on: 'graph',
      ...(path === undefined ? {} : { path }),
      then: { kind: 'body', body: link === undefined ? page : { ...page, '@odata.nextLink': link } },
    })
  }
  signedIn(t, await attempt(gateway), { token: 1, graph: files.length })
  t.strictSame(gateway.entra.faults.waiting(), [], 'every page was asked for, by its nextLink')
  t.strictSame(await recordedGroups(gateway), [...groups].sort())
}

const tokenError = (code: ErrorCode, aadsts: number): Check => async (t, file) => {
  gateway.entra.faults.add({ on: 'token', times: Infinity, then: replay(file) })
  const outcome = await attempt(gateway)
  refused(t, outcome, code, { token: 1, keys: 0, graph: 0 }) // a code is never sent twice
  const { status, body } = sample<{ status: number, body: Json }>(file)
  t.match(outcome.log, {
    aadsts,
    upstreamStatus: status,
    oauthError: body.error,
    entraCorrelationId: body.correlation_id,
    entraTraceId: body.trace_id,
    ...(body.suberror === undefined ? {} : { suberror: body.suberror }),
  })
  t.ok(typeof outcome.log.remedy === 'string' && outcome.log.remedy !== '', 'the log has a remedy')
  t.match(outcome.log.detail, `AADSTS${aadsts}`)
  const [, sentence = ''] = String(body.error_description).split(/: |\r\n| Trace ID/)
  t.ok(
    sentence.length > 20 && !outcome.page.includes(sentence.slice(0, 20)) && !/AADSTS|Trace ID/.test(outcome.page),
    "Entra's text is not on the page",
  )
  t.notOk(gateway.rawLog.some((line) => line.includes(sentence)), 'nor in the log')
}

/**
 * Claims as recorded but for issuer, nonce and times, which are the run's; audience, tenant and person are the
 * recording's own.
 */
const claimsAccepted = (person: string, recorded: Json, groups: readonly string[]): Check => async (t, file) => {
  t.match(sample(file), recorded, 'the recording has what this is about')
  gateway.entra.faults.add({
    on: 'token',
    then: {
      kind: 'mutateClaims',
      change: (claims: Json) => {
        const { iss, nonce, iat, nbf, exp } = claims
        for (const name of Object.keys(claims)) Reflect.deleteProperty(claims, name)
        Object.assign(claims, sample(file), { iss, nonce, iat, nbf, exp })
      },
    },
  })
  const outcome = await attempt(gateway, { person })
  signedIn(t, outcome, { token: 1, graph: 1 })
  t.equal(outcome.graph[0]?.path, `/v1.0/users/${person}/transitiveMemberOf`)
  t.strictSame(await recordedGroups(gateway, person), groups, "groups are Graph's, not the token's")
}

const claimsRefused = (code: ErrorCode, repaired: ErrorCode): Check => async (t, file) => {
  const change = (also: (claims: Json) => void) => ({
    on: 'token' as const,
    then: {
      kind: 'mutateClaims' as const,
      change: (claims: Json) => {
        Object.assign(claims, sample(file), { nonce: claims.nonce, iat: claims.iat, nbf: claims.nbf, exp: claims.exp })
        also(claims)
      },
    },
  })
  gateway.entra.faults.add(change(() => {}))
  refused(t, await attempt(gateway), code, { token: 1, graph: 0 })
  gateway.entra.faults.add(change((claims) => {
    claims.iss = `${gateway.entra.url}/${DEMO_TENANT_ID}/v2.0`
  }))
  refused(t, await attempt(gateway), repaired, { token: 1, graph: 0 }) // a v1.0 token of the right issuer
}

/** The recorded answer has a token that nobody could verify; then with a real one in its place. */
const tokenResponse: Check = async (t, file) => {
  const recorded: Json = sample(file)
  const key = await createTestKey('of this run')
  const noGroups = { kind: 'body', body: sample('transitivememberof-no-groups.json') } as const
  gateway.entra.faults.add({ on: 'token', then: { kind: 'body', body: sample(file) } })
  refused(t, await attempt(gateway), 'id_token_key', { token: 1, graph: 0 })
  gateway = await gateway.restart() // keys are cached
  gateway.entra.faults.add({ on: 'keys', then: { kind: 'body', body: { keys: [key.jwk] } } })
  gateway.entra.faults.add({ on: 'graph', then: noGroups })
  const outcome = await attempt(gateway, {
    script: async ({ nonce }) =>
      gateway.entra.faults.add({
        on: 'token',
        then: { kind: 'body', body: { ...recorded, id_token: await key.sign(claimsOfRun(gateway, nonce)) } },
      }),
  })
  signedIn(t, outcome, { token: 1, graph: 1 })
  t.equal(
    outcome.graph[0]?.headers.authorization,
    `Bearer ${String(recorded.access_token)}`,
    'the access token is sent on as it came, never looked into',
  )
  t.notOk(
    gateway.rawLog.join('').includes(String(recorded.refresh_token)),
    'a refresh token that nobody asked for goes nowhere',
  )
  gateway = await gateway.restart()
}

/** Each entry arrives as the answer to a sign-in that this browser really began. */
const callbacks: Check = async (t, file) => {
  const expected: Record<string, ErrorCode> = {
    user_declined_consent: 'consent_declined',
    user_cancelled: 'login_cancelled',
    not_assigned: 'person_not_assigned',
    consent_required_prompt_none: 'consent_required',
    login_required_prompt_none: 'interaction_required',
    success: 'code_expired', // a code that this Entra never issued
  }
  const { _note, ...entries } = sample<Record<string, Record<string, string>>>(file)
  t.strictSame(Object.keys(entries), Object.keys(expected))
  for (const [name, parameters] of Object.entries(entries)) {
    await t.test(name, async (t) => {
      const sent = parameters.code === undefined ? 0 : 1
      const outcome = await attempt(gateway, { callback: ({ state }) => ({ ...parameters, state }) })
      refused(t, outcome, expected[name] ?? 'internal', { token: sent, graph: 0 })
      const invalid = await attempt(gateway, { callback: () => parameters })
      t.equal(invalid.code, 'state_invalid')
      t.strictSame(invalid.changed, [])
      t.equal(invalid.token.length, 0, 'the code is not redeemed')
      const { state } = await begin(gateway)
      const stolen = await attempt(gateway, { callback: () => ({ ...parameters, state }) })
      t.ok(stolen.again, 'a state of another browser begins a new sign-in')
      t.not(new URL(stolen.again ?? gateway.url).searchParams.get('state'), state)
      t.strictSame(
        { tokenRequests: stolen.token.length, changed: stolen.changed },
        { tokenRequests: 0, changed: [] },
        'the code is not redeemed',
      )
      const text = parameters.error_description?.split(': ')[1]?.slice(0, 20) ?? 'AADSTS'
      for (const { page } of [outcome, invalid, stolen]) {
        t.notOk(/AADSTS|1\.AXEAFAKECODE/.test(page) || page.includes(text), 'the description is not shown')
      }
    })
  }
}

/** What the documents say, and what Gatehouse builds without having asked. */
const discoveryTenant: Check = (t, file) => {
  const document = sample<Record<string, string>>(file)
  const built = entraEndpoints({ tenantId: DEMO_TENANT_ID, cloud: 'global' })
  t.strictSame(
    {
      authorize: built.authority + built.authorizePath,
      token: built.token,
      keys: built.keys,
      endSession: built.endSession,
      issuer: built.issuer,
      graphHost: new URL(built.graph).host,
    },
    {
      authorize: document.authorization_endpoint,
      token: document.token_endpoint,
      keys: document.jwks_uri,
      endSession: document.end_session_endpoint,
      issuer: document.issuer,
      graphHost: document.msgraph_host,
    },
  )
  t.ok(
    document.token_endpoint_auth_methods_supported?.includes('client_secret_post'),
    'how Gatehouse proves itself is supported',
  )
  t.strictSame(document.id_token_signing_alg_values_supported, ['RS256'])
}

const discoveryCommon: Check = (t, file) => {
  const document = sample<Record<string, string>>(file)
  const built = entraEndpoints({ tenantId: 'common', cloud: 'global' })
  t.strictSame(
    {
      authorize: built.authority + built.authorizePath,
      token: built.token,
      keys: built.keys,
      endSession: built.endSession,
    },
    {
      authorize: document.authorization_endpoint,
      token: document.token_endpoint,
      keys: document.jwks_uri,
      endSession: document.end_session_endpoint,
    },
  )
  t.equal(
    built.issuer,
    document.issuer,
    "templated: the token's own tenant takes the place (test/http/tenants.test.ts)",
  )
}

const discoveryV1: Check = (t, file) => {
  const document = sample<Record<string, string>>(file)
  const built = entraEndpoints({ tenantId: DEMO_TENANT_ID, cloud: 'global' })
  const old = [
    document.authorization_endpoint,
    document.token_endpoint,
    document.jwks_uri,
    document.end_session_endpoint,
    document.issuer,
  ]
  t.notOk(
    [built.authority + built.authorizePath, built.token, built.keys, built.endSession, built.issuer].some((address) =>
      old.includes(address)
    ),
    'Gatehouse speaks v2.0 alone',
  )
}

/** Hosts of the templated issuers are rewritten to the simulator's; the kids and the material are the recording's. */
const jwks: Check = async (t, file) => {
  const { keys } = JSON.parse(
    JSON.stringify(sample(file)).replaceAll('https://login.microsoftonline.com', gateway.entra.url),
  ) as { keys: (Json & { kid: string, issuer: string })[] }
  const good = await createTestKey('good')
  const withKeys = async (list: readonly unknown[], kid: string) => {
    gateway.entra.faults.clear()
    gateway.entra.faults.add({ on: 'keys', times: Infinity, then: { kind: 'body', body: { keys: list } } })
    gateway.entra.faults.add({
      on: 'graph',
      times: Infinity,
      then: { kind: 'body', body: sample('transitivememberof-no-groups.json') },
    })
    return await attempt(gateway, {
      script: async ({ nonce }) =>
        gateway.entra.faults.add({
          on: 'token',
          then: tokenAnswer(await good.sign(claimsOfRun(gateway, nonce), { kid })),
        }),
    })
  }
  gateway = await gateway.restart()
  signedIn(t, await withKeys([keys[0], { ...good.jwk, issuer: keys[0]?.issuer }, keys[1]], 'good'), { keys: 1 })
  gateway = await gateway.restart()
  for (const { kid } of keys) {
    const outcome = await withKeys(keys, kid)
    t.match(outcome.code, /^(id_token_key|id_token_malformed|entra_keys_unavailable)$/, `nothing verifies with ${kid}`)
    t.strictSame({ changed: outcome.changed, graph: outcome.graph }, { changed: [], graph: [] })
  }
  gateway = await gateway.restart()
  refused(
    t,
    await withKeys([{ ...good.jwk, kid: keys[1]?.kid, issuer: keys[1]?.issuer }], keys[1]?.kid ?? ''),
    'id_token_key',
    { graph: 0 },
  ) // real material, but of the personal accounts
  gateway = await gateway.restart()
}

const idTokenHeader: Check = async (t, file) => {
  const header = sample<{ typ: string, alg: 'RS256', kid: string }>(file)
  const key = await createTestKey(header.kid)
  const withHeader = async () =>
    await attempt(gateway, {
      script: async ({ nonce }) =>
        gateway.entra.faults.add({
          on: 'token',
          then: tokenAnswer(await key.sign(claimsOfRun(gateway, nonce), header)),
        }),
    })
  refused(t, await withHeader(), 'id_token_key', { graph: 0 }) // nobody publishes this kid
  gateway = await gateway.restart()
  gateway.entra.faults.add({ on: 'keys', then: { kind: 'body', body: { keys: [key.jwk] } } })
  gateway.entra.faults.add({ on: 'graph', then: { kind: 'body', body: sample('transitivememberof-no-groups.json') } })
  signedIn(t, await withHeader())
  gateway = await gateway.restart()
}

/**
 * What each value means (RFC 9110 section 10.2.3 and what SDKs report): milliseconds, or undefined where it says
 * nothing.
 */
const retryAfterValues: Check = (t, file) => {
  const now = Date.parse('Sat, 21 Nov 2026 22:10:04 GMT')
  const meaning: Record<string, number | undefined> = {
    '10': 10_000,
    '0,120': 120_000, // two headers joined: the longer
    '2.128': 2_128,
    '315': 315_000, // longer than any budget: graph.ts refuses to wait
    'Sat, 21 Nov 2026 22:10:34 GMT': 30_000,
    '': undefined,
    '-1': undefined,
    'abc': undefined,
  }
  const { retry_after_values: values } = sample<{ retry_after_values: string[] }>(file)
  t.strictSame(values, Object.keys(meaning).sort((a, b) => values.indexOf(a) - values.indexOf(b)))
  for (const value of values) t.equal(parseRetryAfter(value, now), meaning[value], JSON.stringify(value))
  t.equal(parseRetryAfter(undefined, now), undefined)
  t.equal(parseRetryAfter('Sat, 21 Nov 2026 22:09:34 GMT', now), 0, 'a date that has passed is no wait')
  for (const value of ['120', '1795299004']) {
    t.equal(parseRetryAfter(value, now), Number(value) * 1000, 'a number is seconds, not a year')
  }
}

/** The dates of the recording are moved to now, 30 seconds apart as they were. */
const retryAfterDate: Check = async (t, file) => {
  const recorded = sample<Envelope>(file)
  const { Date: date = '', 'Retry-After': until = '' } = recorded.headers
  t.equal(Date.parse(until) - Date.parse(date), 30_000)
  const moved = {
    ...recorded.headers,
    'Date': new Date().toUTCString(),
    'Retry-After': new Date(Date.now() + 30_000).toUTCString(),
  }
  gateway.entra.faults.add({ on: 'graph', times: Infinity, then: { ...recorded, kind: 'status', headers: moved } })
  const outcome = await attempt(gateway)
  refused(t, outcome, 'graph_throttled', { token: 1, graph: 1 })
  t.ok(outcome.ms < 1000, 'it is not waited for')
}

const retryAfterSeconds: Check = async (t, file) => {
  await graphError('graph_throttled', { graph: 1 })(t, file)
  gateway.entra.faults.clear()
  const next = await attempt(gateway)
  refused(t, next, 'graph_throttled', { token: 1, graph: 0 }) // Graph asked for ten seconds, of everybody
  t.ok(next.ms < 1000, 'nobody waits for what would outlast the budget')
}

/** No code sends or reads it; what is sent instead. */
const notMet = (why: string, check: Check): Check => async (t, file) => {
  t.comment(`${file}: not met by any code yet (${why})`)
  await check(t, file)
}

/** What is sent has the members of the recording and no others, and values of their kinds. */
const assertionShape: Check = async (t, file) => {
  const { header, payload } = sample(file) as { header: Json, payload: Json }
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-assertion-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const { certificate, privateKey } = writePair(directory)
  const tokenEndpoint = String(payload.aud)
  const credential = createClientCredential(
    () => ({
      clientSecret: undefined,
      certificate: { keyFile: join(directory, 'key.pem'), certFile: join(directory, 'cert.pem'), algorithm: 'PS256' },
      federatedTokenFile: undefined,
    }),
    { clientId: String(payload.iss), tokenEndpoint, now: () => Number(payload.iat) * 1000 },
  )
  const { client_assertion: assertion = '', client_assertion_type: type } = await credential.parameters()
  t.equal(type, 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
  t.strictSame(decodeProtectedHeader(assertion), {
    ...header,
    'x5t#S256': createHash('sha256').update(certificate.raw).digest('base64url'),
  })
  const claims = decodeJwt(assertion)
  t.strictSame({ ...claims, jti: '' }, { ...payload, jti: '' })
  t.match(claims.jti, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  t.not((await credential.parameters()).client_assertion, assertion, 'each is a new one')
  await jwtVerify(assertion, createPublicKey(privateKey), { currentDate: new Date(Number(payload.iat) * 1000) })
}

const EXPECTED: Readonly<Record<string, Check>> = {
  'authorize-error-callbacks.json': callbacks,
  // of calls that Gatehouse does not make: in place of a page they are none
  'batch-response-partial-429.json': noPage(),
  'change-notification-group-members.json': noPage(),
  'client-assertion-certificate.json': assertionShape,
  'getmembergroups.json': noPage(),
  'graph-error-400-expired-page-token.json': async (t, file) => {
    await graphError('graph_page_expired', { graph: 4 })(t, file)
    gateway.entra.faults.clear()
    await thenFine({ graph: 2 })(t, file)
  },
  'graph-error-400-result-size-limit.json': graphError('graph_request_refused', { graph: 1 }),
  'graph-error-400-unsupported-query.json': async (t, file) => {
    await graphError('graph_request_refused', { graph: 2 })(t, file)
    gateway.entra.faults.clear()
    await thenFine({ graph: 2 })(t, file)
  },
  'graph-error-401-cae-two-challenges.json': graphError('graph_claims_challenge', { graph: 1 }),
  'graph-error-401-cae.json': graphError('graph_claims_challenge', { graph: 1 }),
  'graph-error-401-invalid-token.json': graphError('graph_unauthorized', { graph: 1 }),
  'graph-error-403-insufficient-privileges.json': graphError('graph_forbidden', { graph: 2 }),
  'graph-error-404-user.json': graphError('person_not_found', { graph: 1 }),
  'graph-error-429-http-date.json': throttled(retryAfterDate),
  'graph-error-429-no-retry-after.json': throttled(async (t, file) => {
    await thenFine({ graph: 2 })(t, file)
    await graphError('graph_throttled', { graph: 3 })(t, file)
  }),
  'graph-error-429-odd-retry-after.json': retryAfterValues,
  'graph-error-429-seconds.json': throttled(retryAfterSeconds),
  'graph-error-503.json': graphError('graph_unavailable', { graph: 1 }), // five seconds are asked for, two are left
  'graph-error-504-html.json': async (t, file) => {
    await thenFine({ graph: 2 })(t, file)
    await graphError('graph_unavailable', { graph: 3 })(t, file)
  },
  'graph-error-nested-innererror.json': graphError('graph_request_refused', { graph: 1 }),
  'groups-delta-members.json': noPage(),
  'id-token-claims-v1-guest-no-upn.json': claimsRefused('id_token_issuer', 'id_token_claims'),
  'id-token-claims-v1-member.json': claimsRefused('id_token_issuer', 'id_token_claims'),
  'id-token-claims-v2-guest.json': claimsAccepted(PERSON_IDS.guest, { acct: 1, xms_edov: '1' }, [READ_ONLY]),
  'id-token-claims-v2-hasgroups-implicit.json': claimsAccepted(PERSON_IDS.staff, { hasgroups: true }, [ENGINEERS]),
  'id-token-claims-v2-member.json': claimsAccepted(PERSON_IDS.staff, { groups: [ADMINS, CIRCUITS] }, [ENGINEERS]),
  'id-token-claims-v2-overage.json': claimsAccepted(PERSON_IDS.staff, {
    _claim_sources: { src1: { endpoint: /^https:\/\/graph\.windows\.net\// } },
  }, [ENGINEERS]),
  'id-token-header.json': idTokenHeader,
  'jwks-v2-common.json': jwks,
  'me-select-state.json': noPage(),
  'openid-configuration-v1-tenant.json': discoveryV1,
  'openid-configuration-v2-common.json': discoveryCommon,
  'openid-configuration-v2-tenant.json': discoveryTenant,
  'token-error-50011-redirect.json': tokenError('entra_redirect_mismatch', 50011),
  'token-error-50076-mfa-interaction-required-crlf.json': tokenError('interaction_required', 50076),
  'token-error-50076-mfa-invalid-grant.json': tokenError('interaction_required', 50076),
  'token-error-501481-pkce.json': tokenError('code_mismatch', 501481),
  'token-error-54005-code-redeemed.json': tokenError('code_redeemed', 54005),
  'token-error-65001-consent.json': tokenError('consent_required', 65001),
  'token-error-700016-app-not-found.json': tokenError('entra_app_unknown', 700016),
  'token-error-7000215-invalid-secret.json': tokenError('entra_secret_wrong', 7000215),
  'token-error-7000222-expired-secret.json': tokenError('entra_secret_expired', 7000222),
  'token-error-70008-expired.json': tokenError('code_expired', 70008),
  'token-error-90002-tenant.json': tokenError('entra_tenant_unknown', 90002),
  'token-error-9002313-malformed.json': tokenError('entra_request_refused', 9002313),
  'token-error-90033-transient.json': tokenError('entra_unavailable', 90033),
  'token-response-app-only.json': notMet(
    "it is what commands get; in place of a person's tokens it is refused",
    async (t, file) => {
      gateway.entra.faults.add({ on: 'token', then: { kind: 'body', body: sample(file) } })
      refused(t, await attempt(gateway), 'id_token_missing', { token: 1, graph: 0 })
    },
  ),
  'token-response-v1.json': tokenResponse, // numbers as strings: Gatehouse keeps no token, so it reads no lifetime
  'token-response-v2.json': tokenResponse,
  'transitivememberof-cast-group-no-odata-type.json': noPage(),
  'transitivememberof-empty-page-with-nextlink.json': pages([
    'transitivememberof-empty-page-with-nextlink.json',
    'transitivememberof-page2-last.json',
  ], ON_PAGE_2),
  'transitivememberof-limited-info-user-read.json': pages(['transitivememberof-limited-info-user-read.json'], [
    ADMINS,
    SUPERUSERS,
  ]),
  'transitivememberof-no-groups.json': pages(['transitivememberof-no-groups.json'], []),
  'transitivememberof-page1.json': pages(['transitivememberof-page1.json', 'transitivememberof-page2-last.json'], [
    SUPERUSERS,
    ENGINEERS,
    ...ON_PAGE_2,
  ]),
  'transitivememberof-page2-last.json': pages(['transitivememberof-page2-last.json'], ON_PAGE_2),
  'transitivememberof-select-id.json': pages(
    ['transitivememberof-select-id.json', 'transitivememberof-no-groups.json'],
    [ADMINS],
  ),
}

t.test('recorded payloads', async (t) => {
  t.strictSame(
    Object.keys(EXPECTED).sort(),
    readdirSync(SAMPLES).sort(),
    'every file has its line, every line its file',
  )
  t.match(
    sample('id-token-claims-v2-member.json'),
    { aud: DEMO_CLIENT_ID, tid: DEMO_TENANT_ID, oid: PERSON_IDS.staff },
    "the recordings speak of the simulator's tenant",
  )
  outside = await startTrap(t)
  setProxies(t, { HTTPS_PROXY: outside.url, HTTP_PROXY: outside.url, NO_PROXY: '127.0.0.1' })
  gateway = await startTestGateway(t, { config: { entra: { loginBudget: '2s' } } })
  const first = await attempt(gateway)
  signedIn(t, first)
  for (const [file, check] of Object.entries(EXPECTED)) {
    await t.test(file, async (t) => {
      gateway.entra.faults.clear()
      await check(t, file)
    })
  }
  t.strictSame(outside.arrived, [], 'nothing was sent to graph.windows.net, graph.microsoft.com or anywhere else')
  const http = createHttpClient()
  t.teardown(() => http.close())
  await t.rejects(
    http.send({ url: 'https://graph.windows.net/', method: 'GET', headers: {}, signal: AbortSignal.timeout(5000) }),
  )
  t.equal(outside.arrived[0]?.what, 'CONNECT graph.windows.net:443', 'and it would have been seen')
  const check = await gateway.ask('/oauth2/auth', {
    browser: first.browser,
    headers: { 'x-original-url': 'http://127.0.0.1:9999/', 'x-original-method': 'GET' },
  })
  t.equal(check.status, 200, 'the session from before all this is still there')
})
