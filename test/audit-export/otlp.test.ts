// OTLP: logs over HTTP as JSON, partial success, the address of the signal, and the bearer token.
import { createServer } from 'node:https'
import { generateKeyPairSync } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createOtlp, signalUrl } from '../../src/audit-export/otlp.js'
import { createWebhook } from '../../src/audit-export/webhook.js'
import type { AuditView } from '../../src/core/audit.js'
import { createCertificate, DAY } from '../../src/demo/entra/certificates.js'
import { createOutgoingAgent, post } from '../../src/net/outgoing-http.js'
import { setProxies, startTrap } from '../entra/helper.js'
import { startHttpReceiver } from '../helpers/audit-receivers.js'

const EVENT: AuditView = {
  id: '1207',
  at: '2026-11-28T10:11:12.123456+00:00',
  action: 'group.add',
  actor: 'cli:root',
  userId: null,
  username: 'Zoë',
  correlationId: 'c1',
  detail: { group: 'A', count: 2, is: true, list: ['x'] },
}
const never = new AbortController().signal
const OPTIONS = { token: undefined, version: '1.2.3', hostname: 'auth.example.com' }

t.test('events are log records of OTLP', async (t) => {
  const receiver = await startHttpReceiver(t)
  const otlp = createOtlp({ ...OPTIONS, url: new URL(receiver.url.origin), token: 'a-token' })
  t.strictSame(await otlp.send([EVENT, { ...EVENT, id: '2', action: 'login.refused' }], never), { rejected: 0 })
  const [request] = receiver.requests
  t.match(request, {
    path: '/v1/logs',
    headers: { 'content-type': 'application/json', authorization: 'Bearer a-token' },
  })
  const { resourceLogs } = JSON.parse(request?.body ?? '') as { resourceLogs: Record<string, unknown>[] }
  t.equal(resourceLogs.length, 1)
  const text = (stringValue: string) => ({ stringValue })
  t.match(resourceLogs[0], {
    resource: {
      attributes: [
        { key: 'service.name', value: text('gatehouse') },
        { key: 'service.version', value: text('1.2.3') },
        { key: 'service.instance.id', value: text('auth.example.com') },
      ],
    },
    scopeLogs: [{
      scope: { name: 'gatehouse.audit', version: '1.2.3' },
      logRecords: [{
        timeUnixNano: String(BigInt(Date.parse('2026-11-28T10:11:12Z')) * 1_000_000n + 123_456_000n),
        observedTimeUnixNano: String(BigInt(Date.parse('2026-11-28T10:11:12Z')) * 1_000_000n + 123_456_000n),
        severityNumber: 9,
        severityText: 'INFO',
        eventName: 'gatehouse.audit',
        attributes: [
          { key: 'gatehouse.audit.id', value: text('1207') },
          { key: 'gatehouse.audit.action', value: text('group.add') },
          { key: 'gatehouse.audit.actor', value: text('cli:root') },
        ],
        body: {
          kvlistValue: {
            values: [
              { key: 'id', value: text('1207') },
              { key: 'at', value: text(EVENT.at) },
              { key: 'action', value: text('group.add') },
              { key: 'actor', value: text('cli:root') },
              { key: 'userId', value: {} },
              { key: 'username', value: text('Zoë') },
              { key: 'correlationId', value: text('c1') },
              {
                key: 'detail',
                value: {
                  kvlistValue: {
                    values: [
                      { key: 'group', value: text('A') },
                      { key: 'count', value: { intValue: 2 } },
                      { key: 'is', value: { boolValue: true } },
                      { key: 'list', value: { arrayValue: { values: [text('x')] } } },
                    ],
                  },
                },
              },
            ],
          },
        },
      }, { severityNumber: 13, severityText: 'WARN' }],
    }],
  })
})

t.test('what a receiver rejects for good is counted, and a success with another body is one', async (t) => {
  const receiver = await startHttpReceiver(t)
  const otlp = createOtlp({ ...OPTIONS, url: receiver.url })
  const answered = async (body: string, status = 200) => {
    receiver.answer = (response) => response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    return await otlp.send([EVENT, EVENT, EVENT], never)
  }
  const partial = (rejectedLogRecords: unknown) =>
    JSON.stringify({ partialSuccess: { rejectedLogRecords, errorMessage: 'no' } })
  t.strictSame(await answered(partial('2')), { rejected: 2 }, 'an int64 is a text in JSON')
  t.strictSame(await answered(partial(1)), { rejected: 1 })
  t.strictSame(await answered(partial(900)), { rejected: 3 }, 'not more than were sent')
  for (const body of ['', '{}', 'null', 'ok', '[]', partial(0), partial(-1), partial({})]) {
    t.strictSame(await answered(body), { rejected: 0 }, body)
  }
  t.match(await answered(partial(0), 400), { failure: { cause: 'refused' } })
  t.equal(receiver.requests.every(({ headers }) => headers.authorization === undefined), true, 'no token, no header')
  t.equal(receiver.requests[0]?.path, '/events', 'a path is used as it stands')
})

t.test('the path of the signal is added to a base alone', async (t) => {
  const of = (text: string) => signalUrl(new URL(text)).href
  t.equal(of('https://otel.example.com'), 'https://otel.example.com/v1/logs')
  t.equal(of('https://otel.example.com:4318/?x=1'), 'https://otel.example.com:4318/v1/logs?x=1')
  t.equal(of('https://otel.example.com/otlp/v1/logs'), 'https://otel.example.com/otlp/v1/logs')
  t.equal(of('https://otel.example.com/v2/in'), 'https://otel.example.com/v2/in')
})

t.test('the certificate of a receiver over https is verified', async (t) => {
  const [authorityKeys, keys] = [1, 2].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
  const time = { from: Date.now() - DAY, until: Date.now() + DAY }
  const issuer = { name: 'authority', keys: authorityKeys! }
  const authority = createCertificate({ ...issuer, ca: true, ...time })
  const own = createCertificate({ name: 'receiver', keys: keys!, issuer, hosts: ['127.0.0.1'], ...time })
  let requests = 0
  const server = createServer(
    { cert: own.pem, key: keys!.privateKey.export({ type: 'pkcs8', format: 'pem' }) },
    (_request, response) => {
      requests++
      response.end()
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const key = Buffer.alloc(32, 1)
  const senders = (ca: { ca?: string }) => [
    createOtlp({ ...OPTIONS, url, ...ca }),
    createWebhook({ url, key, userAgent: 'x', ...ca }),
  ]
  for (const sender of senders({})) {
    t.match(await sender.send([EVENT], never), { failure: { cause: 'unreachable' } })
    await sender.close()
  }
  t.equal(requests, 0)
  for (const sender of senders({ ca: authority.pem })) {
    t.strictSame(await sender.send([EVENT], never), { rejected: 0 })
    await sender.close()
  }
  t.equal(requests, 2)
})

// proves: audit-export-loopback-direct
t.test('a receiver on loopback is reached directly, whatever HTTP_PROXY says', async (t) => {
  const receiver = await startHttpReceiver(t)
  const proxy = await startTrap(t)
  setProxies(t, { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url })
  const { port } = receiver.url
  for (const host of ['127.0.0.1', 'localhost']) {
    const otlp = createOtlp({ ...OPTIONS, url: new URL(`http://${host}:${port}`), token: 'a-token' })
    t.strictSame(await otlp.send([EVENT], never), { rejected: 0 }, host)
    await otlp.close()
  }
  t.equal(receiver.requests.length, 2)
  t.strictSame(proxy.arrived, [], 'neither the audit nor the token')
  for (const text of ['http://127.9.9.9/', 'http://[::1]/', 'http://otel.localhost/', 'http://otel.example.com/']) {
    const url = new URL(text)
    const agent = createOutgoingAgent(url.hostname, {})
    const signal = AbortSignal.timeout(2_000)
    await post({ url: new URL(`http://otel.example.invalid:${port}/`), headers: {}, body: '' }, { agent, signal })
    await agent.destroy()
    t.equal(proxy.arrived.length, text.includes('example') ? 1 : 0, text)
  }
})
