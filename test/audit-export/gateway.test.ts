// The export in a whole gateway: a sign-in arrives at the receiver, the log and the metrics say how it goes and nothing
// secret, readiness does not depend on it, and a gateway with another receiver goes on where the last one stopped.
import t from 'tap'
import { createReport } from '../../src/audit-delivery.js'
import { GatehouseError } from '../../src/core/errors.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import { accept, eventsOf, startHttpReceiver, startSyslogReceiver } from '../helpers/audit-receivers.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { until } from '../helpers/until.js'

const KEY = Buffer.from('a-canary-of-a-signing-key-32byte').toString('base64')

const metric = async ({ management }: TestGateway, name: string) => {
  const text = await (await fetch(`${management}/metrics`)).text()
  return text.split('\n').find((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))?.split(' ').at(-1)
}

// proves: audit-export-log-host
t.test('a sign-in is exported; an outage changes nothing for users; another receiver goes on from there', async (t) => {
  const receiver = await startHttpReceiver(t)
  const url = `${receiver.url.href}/canary-of-a-path?key=canary-of-a-query`
  const exported = (lines: Record<string, string | undefined>) => ({ audit: { export: lines } })
  const test = await startTestGateway(t, {
    config: exported({ url, format: 'webhook', secretFile: './webhook.key' }),
    files: { 'webhook.key': `whsec_${KEY}\n` },
  })
  await test.signIn(PERSON_IDS.superuser)
  t.ok(await until(() => receiver.requests.flatMap(eventsOf).some(({ action }) => action === 'login'), 20_000))
  t.match(receiver.requests.flatMap(eventsOf).find(({ action }) => action === 'login'), { actor: 'login' })
  t.ok(test.log.some(({ msg, receiver: host }) => msg === 'the audit is exported' && host === receiver.url.host))
  t.ok(Number(await metric(test, 'gatehouse_audit_export_delivered_total')) >= 1)
  t.equal(await metric(test, 'gatehouse_audit_export_failures_total{cause="refused"}'), '0', 'there from the start')
  t.match(await metric(test, 'gatehouse_audit_export_pending'), /^\d+$/)
  t.match(await metric(test, 'gatehouse_audit_export_oldest_pending_seconds'), /^[\d.]+$/)

  receiver.answer = (response) => response.writeHead(503).end('canary-of-an-answer')
  const before = receiver.requests.flatMap(eventsOf).length
  await test.signIn(PERSON_IDS.staff)
  t.ok(await until(() => receiver.requests.flatMap(eventsOf).length > before, 20_000))
  t.ok(
    await until(async () =>
      Number(await metric(test, 'gatehouse_audit_export_failures_total{cause="unavailable"}')) > 0
    ),
  )
  t.ok(
    test.log.some(({ msg, cause }) =>
      String(msg).startsWith('the audit could not be exported') && cause === 'unavailable'
    ),
  )
  t.equal((await fetch(`${test.management}/readyz`)).status, 200)
  for (const line of test.rawLog) t.notMatch(line, /canary-of-a|whsec_/)

  const syslog = await startSyslogReceiver(t, { tls: false })
  const restarted = await test.restart(exported({ url: syslog.url.href, format: 'syslog', secretFile: undefined }))
  t.ok(await until(() => syslog.messages().some((message) => message.includes('"action":"login"')), 20_000))
  const logins = syslog.messages().filter((message) => message.includes('"action":"login"'))
  t.equal(logins.length, 1, 'what the first receiver has accepted is not sent to the second one')
  receiver.answer = accept
  await restarted.close()
})

t.test('without the section nothing is exported', async (t) => {
  const test = await startTestGateway(t)
  t.equal(test.gateway.auditExport, undefined)
  t.equal(await metric(test, 'gatehouse_audit_export_delivered_total'), undefined)
})

// proves: audit-export-log-limited
t.test('a failure that persists is one line in ten minutes, and one when it is over', async (t) => {
  const lines: [level: string, text: string][] = []
  const counted: unknown[] = []
  let at = 0
  const write = (level: string) => (_facts: object, text: string) => {
    lines.push([level, text])
  }
  const report = createReport(
    { warn: write('warn'), info: write('info'), debug: write('debug') } as never,
    { auditDelivered: (...all) => counted.push(all), auditDeliveryFailed: (cause) => counted.push(cause) },
    () => at,
  )
  const refused = { cause: 'refused', detail: 'it answered 401' } as const
  for (; at < 1_500_000; at += 60_000) report.failed(refused, 60_000)
  t.equal(lines.length, 3, 'in 25 minutes')
  t.equal(counted.length, 25)
  report.broken(new GatehouseError('database_unavailable'))
  t.equal(lines.length, 3)
  report.delivered(10, 0)
  t.match(lines.at(-1), ['info', 'the audit is exported again'])
  report.delivered(10, 2)
  t.match(lines.at(-1), ['warn', /rejected events for good/])
  const before = lines.length
  for (const until = at + 600_000; at < until; at += 30_000) { // it comes and goes
    report.failed(refused, 1_000)
    report.delivered(10, 0)
  }
  t.strictSame(lines.slice(before).map(([level]) => level), ['warn', 'info'], 'once in ten minutes')
  t.strictSame(counted.slice(25, 29), [[10, 0], [10, 2], 'refused', [10, 0]])
})
