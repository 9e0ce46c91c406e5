// Reading every membership over a network that throttles, breaks, lies and points elsewhere: what is tried again and
// how often, what is final, and that a token goes nowhere but to Graph.
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { createDirectory } from '../../src/demo/directory.js'
import type { ErrorCode } from '../../src/core/errors.js'
import type { AnswerFault, Fault } from '../../src/demo/entra/faults.js'
import { startEntra } from '../../src/demo/entra/server.js'
import { createRegistration } from '../../src/demo/entra/registration.js'
import { DEMO_TENANT_ID, GROUP_IDS, PERSON_IDS, seedDemoDirectory } from '../../src/demo/people.js'
import { createGraphClient } from '../../src/entra/graph.js'
import { createHttpClient } from '../../src/entra/http-client.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { attempt, recordedGroups, refused, sample, setProxies, signedIn, startTrap, type Outcome } from './helper.js'

t.jobs = 3 // of what is `buffered`: where people wait, tests need not wait for one another

const ENGINEERS = [GROUP_IDS.networkEngineers]
const page = (ids: readonly string[], nextLink?: unknown) => ({
  kind: 'body' as const,
  body: {
    value: ids.map((id) => ({ '@odata.type': '#microsoft.graph.group', id })),
    ...(nextLink === undefined ? {} : { '@odata.nextLink': nextLink }),
  },
})
const padded = (bytes: number): AnswerFault => ({
  kind: 'body',
  body: { ...page([GROUP_IDS.readOnly]).body, padding: 'x'.repeat(bytes) },
})
const paths = ({ graph }: Outcome) => graph.map(({ path }) => path)

/**
 * A gateway whose faults are gone before each test, and which is started anew where Graph asked it to wait for long.
 */
async function suite(t: Test, loginBudget: string, more: Record<string, unknown> = {}) {
  let gateway = await startTestGateway(t, { config: { entra: { loginBudget, ...more } } })
  const test = (
    name: string,
    check: (t: Test, gateway: TestGateway, fault: (then: Fault | Fault[], times?: number) => void) => Promise<unknown>,
  ) =>
    t.test(name, async (t) => {
      gateway.entra.faults.clear()
      await check(t, gateway, (then, times = 1) => gateway.entra.faults.add({ on: 'graph', times, then }))
      if (gateway.log.some(({ code }) => code === 'graph_throttled')) gateway = await gateway.restart()
      gateway.entra.requests.length = 0
    })
  return { test, gateway: () => gateway }
}

t.test('what is tried again', { buffered: true }, async (t) => {
  const { test } = await suite(t, '15s')

  const waits: Readonly<Record<string, readonly [() => AnswerFault, number, number]>> = {
    '429 for a second': [() => ({ kind: 'throttle', retryAfter: '1' }), 990, 3000],
    '429 for 0.7 seconds': [() => ({ kind: 'throttle', retryAfter: '0.7' }), 690, 3000],
    '429 with two values joined': [() => ({ kind: 'throttle', retryAfter: '0,0.8' }), 790, 3000],
    '429 until a date': [
      () => ({ kind: 'throttle', retryAfter: new Date(Math.ceil(Date.now() / 1000) * 1000 + 1000).toUTCString() }),
      900,
      3000,
    ],
    '429 until a date that has passed': [
      () => ({ kind: 'throttle', retryAfter: 'Sat, 21 Nov 2020 22:10:34 GMT' }),
      0,
      3000,
    ],
    '429 without a word': [() => ({ kind: 'throttle' }), 240, 3000],
    '429 with garbage': [() => ({ kind: 'throttle', retryAfter: '-1' }), 240, 3000],
    '503 for 0.6 seconds': [() => ({ kind: 'throttle', status: 503, retryAfter: '0.6' }), 590, 3000],
    '503': [() => ({ kind: 'throttle', status: 503 }), 240, 3000],
    '504 with a page': [() => ({ kind: 'html', status: 504 }), 240, 3000],
    'a reset': [() => ({ kind: 'reset' }), 240, 3000],
    'an answer that breaks off': [() => ({ kind: 'cut' }), 240, 3000],
  }
  for (const [name, [fault, least, most]] of Object.entries(waits)) {
    await test(`${name}, and then it goes on`, async (t, gateway, add) => {
      add(fault())
      const outcome = await attempt(gateway)
      signedIn(t, outcome, { token: 1, graph: 2 })
      t.strictSame(await recordedGroups(gateway), ENGINEERS)
      t.ok(
        outcome.ms >= least && outcome.ms < most,
        `waited between ${least} and ${most} ms, ${Math.round(outcome.ms)} in fact`,
      )
      t.strictSame(outcome.graph.map(({ headers }) => headers['retry-attempt']), [undefined, '1'])
    })
  }
  await test('three different troubles in a row', async (t, gateway, add) => {
    add({ kind: 'reset' })
    add({ kind: 'html', status: 504 })
    add({ kind: 'throttle', status: 503, retryAfter: '0' })
    signedIn(t, await attempt(gateway), { token: 1, graph: 4 })
  })
  await test('five times and no more', async (t, gateway, add) => {
    add({ kind: 'throttle', status: 503, retryAfter: '0.05' }, Infinity)
    refused(t, await attempt(gateway), 'graph_unavailable', { token: 1, graph: 5 })
  })
  await test('trouble on a later page does not lose the first ones', async (t, gateway) => {
    gateway.entra.faults.add({ on: 'graph', page: 2, then: { kind: 'throttle', status: 503, retryAfter: '0' } })
    signedIn(t, await attempt(gateway, { person: PERSON_IDS.many }), { graph: 4 })
    t.equal((await recordedGroups(gateway, PERSON_IDS.many)).length, 2500)
  })
  await test("one person's 429 makes the others wait too", async (t, gateway, add) => {
    add({ kind: 'throttle', retryAfter: '1' })
    const first = attempt(gateway)
    while (!gateway.entra.requests.some(({ status }) => status === 429)) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const throttledAt = Date.now()
    const others = await Promise.all(
      [PERSON_IDS.superuser, PERSON_IDS.guest, PERSON_IDS.nobody].map((person) => attempt(gateway, { person })),
    )
    for (const outcome of [await first, ...others]) t.equal(outcome.code, 'signed in')
    const asked = gateway.entra.requests.filter(({ server, status }) => server === 'graph' && status === 200)
    t.equal(asked.length, 4)
    t.ok(asked.every(({ at }) => at >= throttledAt + 900), 'nobody asked before the second was over')
  })
})

t.test('a code is sent once', { buffered: true }, async (t) => {
  const { test } = await suite(t, '2s')
  const troubles: Readonly<Record<string, readonly [AnswerFault, ErrorCode]>> = {
    'never answered': [{ kind: 'hang' }, 'entra_timeout'],
    'answered too late': [{ kind: 'slow', ms: 2500 }, 'entra_timeout'],
    'reset': [{ kind: 'reset' }, 'entra_unavailable'],
    'cut': [{ kind: 'cut' }, 'entra_unavailable'],
    '429': [{ kind: 'throttle', retryAfter: '0' }, 'entra_unavailable'],
    '500 with a page': [{ kind: 'html', status: 500 }, 'entra_unavailable'],
    '400 with a page': [{ kind: 'html', status: 400 }, 'entra_malformed'],
    '200 with a page': [{ kind: 'html' }, 'entra_malformed'],
    '302': [{ kind: 'status', status: 302, headers: { location: '/elsewhere' } }, 'entra_malformed'],
    'an empty answer': [{ kind: 'body', body: {} }, 'entra_malformed'],
    'a token that is no bearer token': [
      { kind: 'body', body: { token_type: 'pop', access_token: 'x', id_token: 'x' } },
      'entra_malformed',
    ],
    'no access token': [{ kind: 'body', body: { token_type: 'Bearer', id_token: 'x' } }, 'entra_malformed'],
    'a body without end': [{ kind: 'hugeBody', bytes: Infinity }, 'entra_malformed'],
    'a number, whatever the text says': [{
      kind: 'status',
      status: 401,
      body: { error: 'invalid_client', error_codes: [7000222], error_description: 'AADSTS50076: \n' },
    }, 'entra_secret_expired'],
    'a number that nobody knows': [{
      kind: 'status',
      status: 400,
      body: { error: 'invalid_grant', error_codes: [99999999] },
    }, 'entra_request_refused'],
  }
  for (const [name, [fault, code]] of Object.entries(troubles)) {
    await test(name, async (t, gateway) => {
      gateway.entra.faults.add({ on: 'token', times: Infinity, then: fault })
      const outcome = await attempt(gateway)
      refused(t, outcome, code, { token: 1, graph: 0 })
      t.ok(outcome.ms < 3500, 'within the budget')
    })
  }
})

t.test('no browser waits longer than the budget', { buffered: true }, async (t) => {
  const { test } = await suite(t, '2s')
  const slow: Readonly<Record<string, readonly [AnswerFault | AnswerFault[], ErrorCode, number, number]>> = {
    'an answer that never comes': [{ kind: 'hang' }, 'graph_timeout', 1, 3500],
    'an answer that comes too late': [{ kind: 'slow', ms: 2500 }, 'graph_timeout', 1, 3500],
    'half an answer, too late': [[{ kind: 'slow', ms: 2500 }, { kind: 'cut' }], 'graph_timeout', 1, 3500],
    'a 429 that asks for ten seconds': [{ kind: 'throttle', retryAfter: '10' }, 'graph_throttled', 1, 1500],
    'a 429 that asks for a date next week': [
      { kind: 'throttle', retryAfter: new Date(Date.now() + 7 * 86_400_000).toUTCString() },
      'graph_throttled',
      1,
      1500,
    ],
    'a 429 that asks for more than a number holds': [
      { kind: 'throttle', retryAfter: '9'.repeat(400) },
      'graph_throttled',
      1,
      1500,
    ],
    'a 503 that asks for ten seconds': [
      { kind: 'throttle', status: 503, retryAfter: '10' },
      'graph_unavailable',
      1,
      1500,
    ],
    'one reset after the other': [{ kind: 'reset' }, 'graph_unavailable', 3, 2500],
  }
  for (const [name, [fault, code, requests, most]] of Object.entries(slow)) {
    await test(name, async (t, gateway, add) => {
      add(fault, Infinity)
      const outcome = await attempt(gateway)
      refused(t, outcome, code, { token: 1, graph: requests })
      t.ok(outcome.ms < most, `${Math.round(outcome.ms)} ms of ${most}`)
    })
  }
  // proves: one-budget
  await test('the budget is one for all pages', async (t, gateway, add) => {
    add({ kind: 'slow', ms: 700 }, Infinity)
    const outcome = await attempt(gateway, { person: PERSON_IDS.many })
    refused(t, outcome, 'graph_timeout', { graph: 3 })
    t.ok(outcome.ms < 3500)
  })
})

t.test('what is final', async (t) => {
  const { test } = await suite(t, '15s')
  const final: Readonly<Record<string, readonly [AnswerFault, ErrorCode]>> = {
    '400': [{ kind: 'status', status: 400, body: { error: { code: 'Request_BadRequest' } } }, 'graph_request_refused'],
    '401': [
      { kind: 'status', status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } },
      'graph_unauthorized',
    ],
    '403': [{ kind: 'status', status: 403, body: { error: { code: 'Forbidden' } } }, 'graph_forbidden'],
    '404': [{ kind: 'status', status: 404, body: { error: { code: 'Request_ResourceNotFound' } } }, 'person_not_found'],
    '409': [{ kind: 'status', status: 409, body: { error: { code: '' } } }, 'graph_request_refused'],
    '500': [{ kind: 'status', status: 500, body: 'oops' }, 'graph_unavailable'],
    '502 with a Retry-After': [{ kind: 'status', status: 502, headers: { 'retry-after': '0' } }, 'graph_unavailable'],
    '204': [{ kind: 'status', status: 204 }, 'graph_not_json'],
    '201 with a page': [{ kind: 'status', status: 201, body: { value: [] } }, 'graph_malformed'],
    'a page in HTML': [{ kind: 'html' }, 'graph_not_json'],
    'nothing': [{ kind: 'status', status: 200, body: '' }, 'graph_not_json'],
    'JSON that ends early': [{ kind: 'status', status: 200, body: '{"value":[' }, 'graph_not_json'],
    'null': [{ kind: 'status', status: 200, body: 'null' }, 'graph_malformed'],
    'a list': [
      { kind: 'body', body: [{ '@odata.type': '#microsoft.graph.group', id: GROUP_IDS.netboxSuperusers }] },
      'graph_malformed',
    ],
    'no value': [{ kind: 'body', body: {} }, 'graph_malformed'],
    'a value that is an object': [{ kind: 'body', body: { value: {} } }, 'graph_malformed'],
    'an error in a 200': [{ kind: 'body', body: { error: { code: 'TooManyRequests' } } }, 'graph_malformed'],
    'an element that is null': [{ kind: 'body', body: { value: [null] } }, 'graph_malformed'],
    'an element without id': [
      { kind: 'body', body: { value: [{ '@odata.type': '#microsoft.graph.group' }] } },
      'graph_malformed',
    ],
    'an element whose id is a name': [{
      kind: 'body',
      body: { value: [{ '@odata.type': '#microsoft.graph.group', id: 'NetBox Admins' }] },
    }, 'graph_malformed'],
    'an element without type': [{ kind: 'body', body: { value: [{ id: GROUP_IDS.netboxAdmins }] } }, 'graph_malformed'],
    'a body without end': [{ kind: 'hugeBody', bytes: Infinity }, 'graph_too_large'],
    'a good page in nine megabytes': [padded(9_000_000), 'graph_too_large'],
  }
  for (const [name, [fault, code]] of Object.entries(final)) {
    await test(name, async (t, gateway, add) => {
      add(fault, Infinity)
      const lists = code === 'graph_forbidden' ? 2 : 1 // a 403 is asked about once more, for the groups alone
      refused(t, await attempt(gateway), code, { token: 1, graph: lists })
    })
  }
  // proves: groups-alone
  await test('an element of another type is no group, and no trouble', async (t, gateway, add) => {
    add({
      kind: 'body',
      body: {
        value: [{ '@odata.type': '#microsoft.graph.directoryRole', id: GROUP_IDS.netboxSuperusers }, {
          '@odata.type': '#microsoft.graph.group',
          id: GROUP_IDS.netboxAdmins.toUpperCase(),
        }],
      },
    })
    const outcome = await attempt(gateway)
    signedIn(t, outcome, { graph: 1 })
    t.strictSame(await recordedGroups(gateway), [GROUP_IDS.netboxAdmins])
    const check = await gateway.ask('/oauth2/auth', {
      browser: outcome.browser,
      headers: { 'x-original-url': 'http://127.0.0.1:9999/', 'x-original-method': 'GET' },
    })
    t.equal(check.headers.get('x-auth-request-groups'), 'NetBox Admins', 'an id in capitals is the same id')
  })
  await test('a good page in eight megabytes', async (t, gateway, add) => {
    add(padded(8_000_000))
    signedIn(t, await attempt(gateway), { graph: 1 })
    t.strictSame(await recordedGroups(gateway), [GROUP_IDS.readOnly])
  })
  // proves: half-is-nothing
  await test('trouble on the last page alone changes nothing', async (t, gateway) => {
    gateway.entra.faults.add({
      on: 'graph',
      page: 'last',
      then: { kind: 'status', status: 403, body: sample('graph-error-403-insufficient-privileges.json') },
    })
    refused(t, await attempt(gateway, { person: PERSON_IDS.many }), 'graph_forbidden', { graph: 3 })
  })
})

t.test('pages', async (t) => {
  const { test, gateway } = await suite(t, '15s')
  const origin = gateway().entra.graphUrl
  const next = (name: string) =>
    `${origin}/v1.0/users/${PERSON_IDS.staff}/transitiveMemberOf?$select=id&$skiptoken=${name}`

  await test('an expired token starts over with nothing kept', async (t, gateway, add) => {
    add(page([GROUP_IDS.netboxSuperusers], next('one')))
    add({ ...sample<{ status: number, body: unknown }>('graph-error-400-expired-page-token.json'), kind: 'status' })
    add(page([GROUP_IDS.netboxAdmins], next('two')))
    add(page([GROUP_IDS.readOnly]))
    const outcome = await attempt(gateway)
    signedIn(t, outcome, { graph: 4 })
    t.strictSame(outcome.graph.map(({ query }) => query.$skiptoken), [undefined, 'one', undefined, 'two'])
    t.strictSame(
      await recordedGroups(gateway),
      [GROUP_IDS.netboxAdmins, GROUP_IDS.readOnly].sort(),
      'the group of the first reading has gone',
    )
  })
  await test('a real expired token, once', async (t, gateway) => {
    gateway.entra.faults.add({ on: 'graph', page: 2, then: { kind: 'expiredPageToken' } })
    signedIn(t, await attempt(gateway, { person: PERSON_IDS.many }), { graph: 5 })
    t.equal((await recordedGroups(gateway, PERSON_IDS.many)).length, 2500)
  })
  await test('tokens that always expire', async (t, gateway) => {
    gateway.entra.faults.add({ on: 'graph', page: 2, times: Infinity, then: { kind: 'expiredPageToken' } })
    refused(t, await attempt(gateway, { person: PERSON_IDS.many }), 'graph_page_expired', { graph: 8 })
  })
  await test('a page that points back to itself', async (t, gateway, add) => {
    add({ kind: 'loopingNextLink' }, Infinity)
    refused(t, await attempt(gateway), 'graph_paging_loop', { graph: 2 })
  })
  await test('two pages that point to each other', async (t, gateway, add) => {
    add(page([], next('one')))
    add(page([], next('two')))
    add(page([], next('one')))
    refused(t, await attempt(gateway), 'graph_paging_loop', { graph: 3 })
  })
  // proves: pages-counted
  await test('pages without end', async (t, gateway, add) => {
    add({ kind: 'emptyPage' }, Infinity)
    refused(t, await attempt(gateway), 'graph_too_many_pages', { graph: 1000 })
  })
  await test('empty pages on the way are not the end', async (t, gateway, add) => {
    add(page([], next('one')))
    add(page([], next('two')))
    add(page([GROUP_IDS.readOnly]))
    signedIn(t, await attempt(gateway), { graph: 3 })
    t.strictSame(await recordedGroups(gateway), [GROUP_IDS.readOnly])
  })
  for (const link of [null, 7, '', '/v1.0/me/transitiveMemberOf?$skiptoken=x', '?$skiptoken=x', [next('x')], {}]) {
    await test(`a nextLink that is no address: ${JSON.stringify(link)}`, async (t, gateway, add) => {
      add(page([GROUP_IDS.netboxSuperusers], link))
      refused(t, await attempt(gateway), 'graph_malformed', { graph: 1 })
    })
  }
  // proves: ids-alone
  await test('a query that Graph does not support is asked plainly', async (t, gateway, add) => {
    add({ kind: 'status', status: 400, body: { error: { code: 'Request_UnsupportedQuery' } } })
    const outcome = await attempt(gateway)
    signedIn(t, outcome, { graph: 2 })
    t.strictSame(outcome.graph.map(({ query }) => query), [{ $select: 'id', $top: '999' }, {}])
    t.strictSame(await recordedGroups(gateway), ENGINEERS)
  })
  // proves: token-of-this-login, person-by-oid
  await test('what every request says', async (t, gateway) => {
    const outcome = await attempt(gateway, { person: PERSON_IDS.many })
    signedIn(t, outcome, { graph: 3 })
    t.strictSame(paths(outcome), Array(3).fill(`/v1.0/users/${PERSON_IDS.many}/transitiveMemberOf`))
    for (const { headers } of outcome.graph) {
      t.match(headers, {
        'accept': 'application/json',
        'client-request-id': /^[0-9a-f-]{36}$/,
        'x-ms-throttle-priority': 'high',
        'authorization': /^Bearer EwB/,
      })
    }
    t.equal(
      new Set(outcome.graph.map(({ headers }) => headers['client-request-id'])).size,
      1,
      'one correlation id for one login',
    )
  })
})

t.test('a token goes to Graph and nowhere else', async (t) => {
  const { test, gateway } = await suite(t, '2s')
  const trap = await startTrap(t)
  const { host, port } = new URL(gateway().entra.graphUrl)
  const nowhere = (t: Test) => t.strictSame(trap.arrived, [], 'nothing arrived elsewhere')
  const namesTheLink = (t: Test, { log }: Outcome) =>
    t.match(
      log,
      { detail: '@odata.nextLink', remedy: 'entra.graphUrl' },
      'refused where it was read, before a request was made of it',
    )

  await test('a nextLink to another port', async (t, gateway, add) => {
    add({ kind: 'foreignNextLink', origin: trap.url }, Infinity)
    refused(t, await attempt(gateway), 'graph_foreign_link', { graph: 1 })
    nowhere(t)
  })
  await test('the same on the second page', async (t, gateway) => {
    gateway.entra.faults.add({ on: 'graph', page: 2, then: { kind: 'foreignNextLink', origin: trap.url } })
    refused(t, await attempt(gateway, { person: PERSON_IDS.many }), 'graph_foreign_link', { graph: 2 })
    nowhere(t)
  })
  for (
    const link of [
      `http://${host}@${new URL(trap.url).host}/v1.0/me/transitiveMemberOf`,
      `http://localhost:${port}/v1.0/me/transitiveMemberOf`,
      `http://127.0.0.1.nip.example:${port}/v1.0/`,
      `https://${host}/v1.0/me/transitiveMemberOf`,
      `${trap.url}\\@${host}/`,
      'file:///etc/passwd',
      'data:application/json,{"value":[]}',
      'https://graph.microsoft.com/v1.0/me/transitiveMemberOf?$skiptoken=x',
    ]
  ) {
    await test(`a nextLink to ${link}`, async (t, gateway, add) => {
      add(page([GROUP_IDS.netboxSuperusers], link))
      const outcome = await attempt(gateway)
      refused(t, outcome, 'graph_foreign_link', { graph: 1 })
      namesTheLink(t, outcome)
      nowhere(t)
    })
  }
  for (const status of [301, 302, 307, 308]) {
    await test(`a redirect, ${status}`, async (t, gateway, add) => {
      add({ kind: 'status', status, headers: { location: `${trap.url}/v1.0/me/transitiveMemberOf` } }, Infinity)
      refused(t, await attempt(gateway), 'graph_redirected', { graph: 1 })
      gateway.entra.faults.add({
        on: 'token',
        then: { kind: 'status', status, headers: { location: `${trap.url}/token` } },
      })
      refused(t, await attempt(gateway), 'entra_malformed', { token: 1, graph: 0 })
      nowhere(t)
    })
  }
  await test('the client itself refuses, for every caller', async (t, gateway) => {
    const http = {
      send: async () => {
        throw new Error('nothing may be sent')
      },
      close: async () => {},
    }
    const client = createGraphClient({ http, graphUrl: gateway.entra.graphUrl })
    const deadline = performance.now() + 1000
    await t.rejects(
      client.get({
        url: `${trap.url}/v1.0/me`,
        accessToken: 'x',
        correlationId: 'x',
        signal: AbortSignal.timeout(1000),
        deadline,
      }),
      { code: 'graph_foreign_link' },
    )
  })
})

t.test('/me, where that is configured', async (t) => {
  const { test } = await suite(t, '15s', { membershipPath: 'me' })
  // proves: me-instead
  await test('every page of it', async (t, gateway) => {
    const outcome = await attempt(gateway, { person: PERSON_IDS.many })
    signedIn(t, outcome, { graph: 3 })
    t.strictSame(paths(outcome), Array(3).fill('/v1.0/me/transitiveMemberOf'))
    t.equal((await recordedGroups(gateway, PERSON_IDS.many)).length, 2500)
  })
})

t.test('eleven thousand groups take twelve requests', async (t) => {
  const gateway = await startTestGateway(t, {
    seed: (directory) => {
      seedDemoDirectory(directory)
      for (let n = directory.transitiveMemberOf(PERSON_IDS.nobody).length; n < 11_000; n++) {
        const id = `e0000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
        directory.addObject({ id, type: 'group', displayName: `Group ${n}`, securityEnabled: true })
        directory.addMember(id, PERSON_IDS.nobody)
      }
    },
  })
  const outcome = await attempt(gateway, { person: PERSON_IDS.nobody })
  signedIn(t, outcome, { token: 1, keys: 1, graph: 12 })
  t.equal((await recordedGroups(gateway, PERSON_IDS.nobody)).length, 11_000)
})

t.test('a 503 is asked again over a new connection', async (t) => {
  const server = await startTrap(
    t,
    (number) =>
      number === 2 ? { status: 503, headers: { 'retry-after': '0' }, body: '' } : { status: 200, body: '{"value":[]}' },
  )
  const http = createHttpClient()
  t.teardown(() => http.close())
  const client = createGraphClient({ http, graphUrl: server.url })
  const ask = () =>
    client.get({
      url: `${server.url}/v1.0/me`,
      accessToken: 'x',
      correlationId: 'x',
      signal: AbortSignal.timeout(5000),
      deadline: performance.now() + 5000,
    })
  await ask()
  await new Promise((resolve) => setTimeout(resolve, 50)) // until the pool has taken the connection back
  await ask()
  const [first, second, third] = server.arrived.map(({ from }) => from)
  t.equal(second, first, 'connections are kept otherwise')
  t.not(third, second, 'the one that said 503 is left alone')
})

/** A forward proxy: plain requests in absolute form, and tunnels. */
async function startProxy(t: Test) {
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    request.pipe(
      httpRequest(
        request.url ?? '',
        { method: request.method, headers: request.headers },
        (answer: IncomingMessage) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(response)
        },
      ),
    )
  })
  server.on('connect', (request, socket) => {
    seen.push(`CONNECT ${request.url}`)
    const { hostname, port } = new URL(`http://${request.url}`)
    const onward = connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.pipe(socket)
      socket.pipe(onward)
    })
    for (const [end, other] of [[socket, onward], [onward, socket]] as const) {
      end.on('error', () => other.destroy()).on('close', () => other.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() =>
    new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    })
  )
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, seen }
}

t.test('proxies', async (t) => {
  const hosts = ({ entra }: TestGateway) => [entra.url, entra.graphUrl].map((url) => new URL(url).host)

  // proves: proxies-used
  await t.test('HTTP_PROXY carries tokens, keys and Graph', async (t) => {
    const proxy = await startProxy(t)
    setProxies(t, { HTTP_PROXY: proxy.url })
    const gateway = await startTestGateway(t)
    signedIn(t, await attempt(gateway), { token: 1, keys: 1, graph: 1 })
    for (const host of hosts(gateway)) {
      t.ok(proxy.seen.some((line) => line.includes(host)), `${host} was reached through the proxy`)
    }
  })
  await t.test('NO_PROXY leaves it out', async (t) => {
    const proxy = await startProxy(t)
    setProxies(t, { HTTP_PROXY: proxy.url, NO_PROXY: '127.0.0.1' })
    signedIn(t, await attempt(await startTestGateway(t)), { token: 1, keys: 1, graph: 1 })
    t.strictSame(proxy.seen, [])
  })
  await t.test('a proxy that refuses is no reason to go without it', async (t) => {
    const trap = await startTrap(t)
    setProxies(t, { HTTP_PROXY: trap.url })
    refused(t, await attempt(await startTestGateway(t)), 'entra_unavailable', { token: 0, graph: 0 })
    t.equal(trap.arrived.length, 1)
  })
  // proves: ca-trusted
  await t.test("HTTPS_PROXY is a tunnel, and the operator's CA counts within it", async (t) => {
    const proxy = await startProxy(t)
    const directory = createDirectory(DEMO_TENANT_ID)
    seedDemoDirectory(directory)
    const entra = await startEntra({ directory, tls: true, app: createRegistration({ redirectUris: [], secret: 'x' }) })
    t.teardown(() => entra.close())
    const ask = async (proxies: Parameters<typeof setProxies>[1], ca: string | undefined) => {
      setProxies(t, proxies)
      const http = createHttpClient({ ca })
      t.teardown(() => http.close())
      return await http.send({
        url: `${entra.graphUrl}/v1.0/`,
        method: 'GET',
        headers: {},
        signal: AbortSignal.timeout(5000),
      }).then(({ status }) => status, ({ kind }: { kind: string }) => kind)
    }
    t.equal(await ask({}, entra.caPem), 200)
    t.equal(await ask({}, undefined), 'network', 'a certificate that nobody vouches for')
    t.strictSame(proxy.seen, [])
    t.equal(await ask({ HTTPS_PROXY: proxy.url }, entra.caPem), 200)
    t.equal(await ask({ HTTPS_PROXY: proxy.url }, undefined), 'network')
    t.strictSame(proxy.seen, Array(2).fill(`CONNECT ${new URL(entra.graphUrl).host}`))
    t.equal(await ask({ HTTPS_PROXY: proxy.url, NO_PROXY: 'example.com,127.0.0.1' }, entra.caPem), 200)
    t.equal(proxy.seen.length, 2)
  })
})
