// What a collector is told of logins and questions: the tree, whose trace it belongs to, and nothing about anybody.
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { request } from 'undici'
import { PEOPLE, PERSON_IDS } from '../../../src/demo/people.js'
import { VERSION } from '../../../src/version.js'
import { createBrowser, NAVIGATION } from '../../helpers/browser.js'
import { startCollector, type CollectedSpan, type Collector } from '../../helpers/collector.js'
import { CLIENT_SECRET, SESSION_SECRET, startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { originalHeaders } from '../../helpers/targets.js'

const SERVER = 2
const CLIENT = 3
const ERROR = 2
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PROXY_SPAN = '00f067aa0ba902b7'
const TARGET = originalHeaders('https://secret-host.test/secret-path')
const variables = (collector: Collector, more: Record<string, string> = {}) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  OTEL_BSP_SCHEDULE_DELAY: '20',
  ...more,
})
const questions = ({ spans }: Collector): CollectedSpan[] => spans.filter(({ name }) => name.endsWith(' /oauth2/auth'))

t.test('a login, a sign-out and what fails', async (t) => {
  const collector = await startCollector(t)
  const gateway = await startTestGateway(t, {
    tracing: variables(collector, {
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20for-the-collector',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    }),
  })
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const callback = await collector.until(({ name }) => name === 'GET /oauth2/callback')
  const names = (span: CollectedSpan) => collector.childrenOf(span).map(({ name }) => name)

  await t.test('is a tree: who this is, the steps in their order, the transaction', async (t) => {
    t.equal(callback.parentSpanId || undefined, undefined)
    t.equal(callback.kind, SERVER)
    t.match(callback.facts, {
      'http.request.method': 'GET',
      'http.route': '/oauth2/callback',
      'http.response.status_code': 302,
      'gatehouse.result': 'ok',
    })
    const identify = collector.spans.find(({ name }) => name === 'identify')
    t.ok(identify)
    if (identify) {
      t.equal(identify.parentSpanId, callback.spanId)
      t.match(identify.facts, { 'gatehouse.entra_groups': 1, 'gatehouse.graph_requests': 1 })
      t.strictSame(names(identify), ['entra token request', 'entra keys request', 'database query', 'graph request'])
      for (const child of collector.childrenOf(identify)) t.equal(child.kind, CLIENT)
      const graph = collector.childrenOf(identify).at(-1)
      t.strictSame(graph?.facts['server.address'], '127.0.0.1')
      t.match(graph?.facts, {
        'http.request.method': 'GET',
        'http.response.status_code': 200,
        'gatehouse.microsoft_request_id': /^[\w-]+$/,
      })
    }
    t.strictSame(names(callback), [
      'database query',
      'identify',
      ...gateway.config.pipeline.map((step) => `step ${step}`),
      'database transaction',
    ])
    t.equal(collector.spans.find(({ name }) => name === 'GET /oauth2/start')?.facts['http.response.status_code'], 302)
  })

  await t.test("has the correlation id of the log, whose lines have the trace's", async (t) => {
    const line = gateway.log.find(({ msg }) => String(msg).includes('Azure AD group mapping - user'))
    t.match(line, {
      correlationId: callback.facts['gatehouse.correlation_id'],
      trace_id: callback.traceId,
      span_id: callback.spanId,
    })
    t.equal(
      gateway.log.find(({ msg }) => msg === 'Gatehouse is listening')?.trace_id,
      undefined,
      'no request, no trace',
    )
  })

  await t.test('names the process, and comes with the headers that were asked for', async (t) => {
    t.match(collector.resource, {
      'service.name': 'gatehouse',
      'service.version': VERSION,
      'service.instance.id': /^[\w-]{36}$/,
      'deployment.environment.name': 'test',
    })
    t.match(collector.received[0], { path: '/v1/traces', headers: { authorization: 'Bearer for-the-collector' } })
    t.notMatch(gateway.rawLog.join(''), 'for-the-collector')
    t.match(gateway.log.find(({ msg }) => msg === 'traces are on'), {
      endpoint: `${collector.url}/v1/traces`,
      protocol: 'http/json',
      sampler: 'parentbased_always_on',
    })
  })

  await t.test('a sign-out by a form that arrives late keeps its parts together', async (t) => {
    const url = `${gateway.url}/oauth2/sign_out`
    const late = Readable.from((async function* () {
      await sleep(100)
      yield 'rd=%2F'
    })())
    const { statusCode } = await request(url, {
      method: 'POST',
      headers: {
        ...NAVIGATION,
        'cookie': browser.cookieHeader(url),
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: late,
    })
    t.equal(statusCode, 303)
    const signOut = await collector.until(({ name }) => name === 'POST /oauth2/sign_out')
    t.strictSame(names(signOut), ['database query', 'database transaction'])
  })

  // proves: trace-code
  await t.test('a failure is said by its code, where it happened and above', async (t) => {
    gateway.entra.faults.add({
      on: 'graph',
      times: 2,
      then: { kind: 'status', status: 403, body: { error: { code: 'Authorization_RequestDenied', message: 'no' } } },
    })
    await gateway.signIn(PERSON_IDS.nested)
    const failed = await collector.until(({ facts }) => facts['gatehouse.result'] === 'graph_forbidden')
    t.match(failed, {
      name: 'GET /oauth2/callback',
      status: { code: ERROR },
      facts: { 'http.response.status_code': 502 },
    })
    const parts = collector.spans.filter(({ traceId }) => traceId === failed.traceId)
    t.match(parts.find(({ name }) => name === 'identify'), {
      status: { code: ERROR },
      facts: { 'error.type': 'graph_forbidden' },
    })
    t.match(parts.find(({ name }) => name === 'graph request'), {
      status: { code: ERROR },
      facts: { 'error.type': '403', 'http.response.status_code': 403 },
    })

    await gateway.ask('/oauth2/callback')
    t.match(await collector.until(({ facts }) => facts['gatehouse.result'] === 'state_missing'), {
      status: { code: 0 },
      facts: { 'http.response.status_code': 400 },
    }, "the browser's fault is none of ours")
  })

  await t.test('an attempt at the same Graph request says which it is', async (t) => {
    gateway.entra.faults.add({
      on: 'graph',
      then: { kind: 'status', status: 503, headers: { 'retry-after': '0' }, body: {} },
    })
    await gateway.signIn(PERSON_IDS.superuser)
    const second = await collector.until(({ facts }) => facts['http.request.resend_count'] !== undefined)
    t.match(second, { name: 'graph request', facts: { 'http.response.status_code': 200 } })
    t.equal(
      collector.spans.filter(({ name, parentSpanId }) =>
        name === 'graph request' && parentSpanId === second.parentSpanId
      ).length,
      2,
    )
  })

  await t.test('everything that is said is in the documentation', async (t) => {
    const documented = readFileSync('docs/tracing.md', 'utf8')
    const steps = gateway.config.pipeline.map((step) => `step ${step}`)
    for (const { name, facts } of collector.spans) {
      if (!steps.includes(name) && !/^(GET|POST) \//.test(name)) t.ok(documented.includes(`\`${name}\``), name)
      for (const fact of Object.keys(facts)) t.ok(new RegExp(`[\`| ]${fact}[\`,]`).test(documented), fact)
    }
  })
})

t.test('traces contain no user and no secret', async (t) => {
  for (const protocol of ['http/json', 'http/protobuf'] as const) {
    await t.test(`over ${protocol}`, async (t) => {
      const collector = await startCollector(t)
      collector.answer = (response) => {
        response.writeHead(200, {
          'content-type': protocol === 'http/json' ? 'application/json' : 'application/x-protobuf',
        }).end()
      }
      const gateway = await startTestGateway(t, {
        tracing: variables(collector, {
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          OTEL_TRACES_SAMPLER: 'always_on',
          OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
        }),
        config: { log: { access: 'all' } },
      })
      const secrets = await everything(gateway)
      await gateway.close()
      const bytes = Buffer.concat(collector.received.map(({ body }) => body)).toString('latin1')
      t.ok(
        collector.received.every(({ headers }) =>
          headers['content-type'] === (protocol === 'http/json' ? 'application/json' : 'application/x-protobuf') &&
          headers['content-encoding'] === 'gzip'
        ),
      )
      for (
        const expected of [
          'GET /oauth2/callback',
          'POST /oauth2/sign_out',
          'GET /oauth2/auth',
          'GET /oauth2/forward-auth',
          'graph request',
          'graph_forbidden',
          'return_to_refused',
        ]
      ) t.ok(bytes.includes(expected), expected)
      t.ok(secrets.length > 25)
      for (const secret of secrets) {
        for (
          const spelling of new Set([secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64url')])
        ) {
          t.notOk(bytes.toLowerCase().includes(spelling.toLowerCase()), spelling.slice(0, 24))
        }
      }
    })
  }
})

/** Logins, failures and questions. @returns what none of it may tell */
async function everything(gateway: TestGateway): Promise<string[]> {
  const { browser } = await gateway.signIn(PERSON_IDS.staff, { rd: '/secret-page?secret-query=1' })
  const cookies = [...browser.cookies.get('127.0.0.1') ?? []].flatMap((
    [, value],
  ) => [value, decodeURIComponent(value).split('.')[0] ?? value])
  const headers = {
    ...TARGET,
    'user-agent': 'secret-agent',
    'x-forwarded-for': '198.51.100.77',
    'authorization': 'Bearer secret-bearer',
    'tracestate': 'secret-vendor=secret-state',
    'baggage': 'secret-baggage=1',
  }
  for (const path of ['/oauth2/auth', '/', '/oauth2/sign_in?rd=/secret-page', '/oauth2/userinfo']) {
    await gateway.ask(path, { browser, headers })
  }
  await gateway.ask('/oauth2/forward-auth', {
    browser,
    headers: {
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'secret-host.test',
      'x-forwarded-uri': '/secret-path',
      'x-forwarded-method': 'GET',
    },
  })
  await gateway.ask('/oauth2/auth', { headers: { ...TARGET, cookie: 'gatehouse_session=secret-cookie' } })
  await gateway.ask('/oauth2/start?rd=https://secret-host.test/')
  await gateway.ask('/oauth2/callback?state=secret-state&code=secret-code&error_description=secret-description')
  await gateway.ask('/oauth2/frontchannel-logout?sid=secret-entra-sid')
  gateway.entra.faults.add({
    on: 'graph',
    times: 2,
    then: {
      kind: 'status',
      status: 403,
      headers: { 'request-id': 'secret header' },
      body: { error: { code: 'Authorization_RequestDenied', message: 'secret-message' } },
    },
  })
  await gateway.signIn(PERSON_IDS.guest)
  gateway.entra.faults.add({ on: 'token', then: { kind: 'reset' } })
  await gateway.signIn(PERSON_IDS.guest)
  gateway.entra.faults.clear()
  await browser.ask(`${gateway.url}/oauth2/sign_out`, { method: 'POST', form: { rd: '/secret-page' } })
  const people = [PEOPLE.staff, PEOPLE.guest].flatMap((
    { displayName, userPrincipalName },
  ) => [displayName, userPrincipalName, userPrincipalName.split('@')[0] ?? userPrincipalName])
  return [
    'secret',
    '198.51.100.77',
    'contoso',
    CLIENT_SECRET,
    SESSION_SECRET,
    PERSON_IDS.staff,
    PERSON_IDS.guest,
    ...people,
    ...cookies,
    ...gateway.entra.issuedTokens,
    ...gateway.entra.requests.flatMap(({ query }) =>
      [query.state, query.nonce, query.code_challenge].flatMap((value) => typeof value === 'string' ? [value] : [])
    ),
  ]
}

t.test('whose trace it is', async (t) => {
  const collector = await startCollector(t)
  const gateway = await startTestGateway(t, { tracing: variables(collector) })
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const settled = () => sleep(200)

  // proves: trace-questions
  await t.test("a proxy's question is recorded where the proxy's trace is, as a part of that", async (t) => {
    await gateway.ask('/oauth2/auth', { browser, headers: TARGET })
    await gateway.ask('/oauth2/auth', { browser, headers: { ...TARGET, traceparent: `00-${TRACE}-${PROXY_SPAN}-00` } })
    await gateway.ask('/oauth2/auth', { browser, headers: { ...TARGET, traceparent: `00-${TRACE}-${PROXY_SPAN}` } })
    await settled()
    t.equal(questions(collector).length, 0, 'without a trace, with one that is not recorded, with nonsense')
    await gateway.ask('/oauth2/auth', { browser, headers: { ...TARGET, traceparent: `00-${TRACE}-${PROXY_SPAN}-01` } })
    await gateway.ask('/oauth2/auth', {
      browser: createBrowser(),
      headers: { ...TARGET, traceparent: `00-${TRACE}-${PROXY_SPAN}-01` },
    })
    await collector.until(({ facts }) => facts['http.response.status_code'] === 401)
    for (const question of questions(collector)) {
      t.match(question, {
        traceId: TRACE,
        parentSpanId: PROXY_SPAN,
        kind: SERVER,
        status: { code: 0 },
        facts: { 'http.route': '/oauth2/auth', 'gatehouse.correlation_id': String },
      })
    }
    t.strictSame(questions(collector).map(({ facts }) => facts['http.response.status_code']), [200, 401])
    const line = gateway.log.find(({ msg, trace_id: id }) => msg === 'access denied' && id !== undefined)
    t.match(line, { trace_id: TRACE, correlationId: questions(collector)[1]?.facts['gatehouse.correlation_id'] })
  })

  await t.test("a login belongs to the proxy's trace too, or is not recorded where that is not", async (t) => {
    await gateway.ask('/oauth2/start?rd=/', { headers: { traceparent: `00-${TRACE}-${PROXY_SPAN}-01` } })
    const start = await collector.until(({ name, parentSpanId }) =>
      name === 'GET /oauth2/start' && parentSpanId === PROXY_SPAN
    )
    t.equal(start.traceId, TRACE)
    const before = collector.spans.length
    await gateway.ask('/oauth2/start?rd=/', { headers: { traceparent: `00-${TRACE}-${PROXY_SPAN}-00` } })
    await settled()
    t.equal(collector.spans.length, before)
  })

  await t.test('Microsoft is told of none of it', async (t) => {
    const asked = gateway.entra.requests.filter(({ headers }) =>
      headers['client-request-id'] !== undefined || headers.authorization !== undefined
    )
    t.ok(asked.length >= 2)
    for (const { headers } of asked) {
      t.strictSame(
        { traceparent: headers.traceparent, tracestate: headers.tracestate, baggage: headers.baggage },
        { traceparent: undefined, tracestate: undefined, baggage: undefined },
      )
    }
  })

  // proves: trace-trusted
  await t.test('a trace that comes from elsewhere than a trusted proxy does not count', async (t) => {
    const untrusted = await gateway.restart({ server: { trustedProxies: ['192.0.2.0/24'] } })
    const before = collector.spans.length
    await untrusted.ask('/oauth2/auth', { headers: { traceparent: `00-${TRACE}-${PROXY_SPAN}-01` } })
    await untrusted.ask('/oauth2/start?rd=/', { headers: { traceparent: `00-${TRACE}-${PROXY_SPAN}-01` } })
    await untrusted.close()
    const after = collector.spans.slice(before)
    t.strictSame(after.map(({ name }) => name), ['GET /oauth2/start'])
    t.not(after[0]?.traceId, TRACE)
  })
})

t.test('a sampler that was chosen decides of questions too', async (t) => {
  for (
    const [sampler, argument, recorded] of [
      ['always_on', '', 4],
      ['parentbased_always_on', '', 3],
      ['parentbased_traceidratio', '0', 1],
      ['traceidratio', '1', 4],
      ['always_off', '', 0],
    ] as const
  ) {
    const collector = await startCollector(t)
    const gateway = await startTestGateway(t, {
      tracing: variables(collector, { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: argument }),
    })
    for (
      const more of [{}, {}, { traceparent: `00-${TRACE}-${PROXY_SPAN}-00` }, {
        traceparent: `00-${TRACE}-${PROXY_SPAN}-01`,
      }]
    ) await gateway.ask('/oauth2/auth', { headers: { ...TARGET, ...more } })
    await gateway.close()
    t.equal(questions(collector).length, recorded, sampler)
  }
})

t.test('OTEL_TRACES_EXPORTER=console: a line of the log for each span', async (t) => {
  const gateway = await startTestGateway(t, { tracing: { OTEL_TRACES_EXPORTER: 'console' } })
  await gateway.signIn(PERSON_IDS.staff)
  const line = gateway.log.find(({ msg }) => msg === 'span: GET /oauth2/callback')
  t.match(line, {
    trace_id: /^[0-9a-f]{32}$/,
    span_id: /^[0-9a-f]{16}$/,
    ms: Number,
    facts: { 'gatehouse.result': 'ok' },
  })
  t.match(gateway.log.find(({ msg }) => msg === 'span: identify'), { parent_span_id: line?.span_id })
  for (const raw of gateway.rawLog) t.notOk((raw.match(/"trace_id"/g) ?? []).length > 1, 'each name once in a line')
})
