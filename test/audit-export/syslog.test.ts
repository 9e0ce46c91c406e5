// Syslog: RFC 5424 messages in octet-counted frames for whatever names people have, over TLS to a verified receiver,
// and what counts as accepted.
import fc from 'fast-check'
import type { Socket } from 'node:net'
import t from 'tap'
import { createSyslog } from '../../src/audit-export/syslog.js'
import { syslogFrames, syslogMessage } from '../../src/audit-export/syslog-message.js'
import type { AuditView } from '../../src/core/audit.js'
import { startSyslogReceiver, unframed } from '../helpers/audit-receivers.js'
import { HOSTILE_NAMES } from '../helpers/hostile-names.js'

const EVENT: AuditView = {
  id: '1207',
  at: '2026-11-28T10:11:12.123456+00:00',
  action: 'group.add',
  actor: 'cli:root',
  userId: null,
  username: 'Zoë',
  correlationId: null,
  detail: { group: 'A "quoted" ] \\ name\n<14>1 - - - - - - forged' },
}
const never = new AbortController().signal

t.test('a message is the event in JSON, with id, action and actor as structured data', async (t) => {
  t.equal(
    syslogMessage(EVENT, 'auth.example.com'),
    '<109>1 2026-11-28T10:11:12.123456+00:00 auth.example.com gatehouse - group.add ' +
      '[audit@32473 id="1207" action="group.add" actor="cli:root"] ' +
      '{"id":"1207","at":"2026-11-28T10:11:12.123456+00:00","action":"group.add","actor":"cli:root","userId":null,' +
      '"username":"Zo\\u00eb","correlationId":null,' +
      '"detail":{"group":"A \\"quoted\\" ] \\\\ name\\n<14>1 - - - - - - forged"}}',
  )
  t.match(syslogMessage({ ...EVENT, action: 'login.refused' }, 'x'), /^<108>1 /, 'log audit, warning')
  t.match(syslogMessage({ ...EVENT, at: 'infinity' }, 'x'), /^<109>1 - x /)
})

/** RFC 5424 section 6, read by its grammar. */
const MESSAGE =
  /^<(\d{1,3})>1 (\S+) ([!-~]{1,255}) gatehouse - ([!-~]{1,32}) \[audit@32473((?: [a-z]+="(?:[^"\\\]]|\\["\\\]])*")*)\] (.*)$/su
const PARAMETER = /^ ([a-z]+)="((?:[^"\\\]]|\\["\\\]])*)"/su

function parsed(message: string) {
  const [, priority, time, hostname, msgId, data = '', json = ''] = MESSAGE.exec(message) ?? []
  const parameters: Record<string, string> = {}
  let rest = data
  for (let match; (match = PARAMETER.exec(rest)) !== null; rest = rest.slice(match[0].length)) {
    parameters[match[1] ?? ''] = (match[2] ?? '').replace(/\\(["\\\]])/g, '$1')
  }
  return { priority, time, hostname, msgId, parameters, rest, event: JSON.parse(json) as AuditView, json }
}

// proves: audit-export-escaped, audit-export-octets
t.test('no name leaves its place in a message, and every frame has the length that it says', async (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(...HOSTILE_NAMES),
    fc.array(fc.constantFrom('"', ']', '\\', '\n', ' ', '\0', '<13>1', '[x@1 y="', '12 ', '\u2028', 'ß', '😀'))
      .map((parts) => parts.join('')),
  ).map((name) => name.replace(/\0/g, '\u0001'))
  const events = fc.array(
    fc.record({
      id: fc.bigInt({ min: 1n, max: 2n ** 62n }).map(String),
      at: fc.constantFrom(EVENT.at, 'infinity', '2026-11-28T10:11:12+00:00'),
      action: fc.oneof(fc.constant('login.refused'), text),
      actor: text,
      userId: fc.constant(null),
      username: fc.option(text),
      correlationId: fc.option(text),
      detail: fc.dictionary(text, fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null))),
    }),
    { minLength: 1, maxLength: 4 },
  )
  fc.assert(
    fc.property(events, text, (list, hostname) => {
      const messages = unframed(syslogFrames(list, hostname))
      if (messages.length !== list.length) return false
      return messages.every((message, index) => {
        const event = list[index] as AuditView
        const { parameters, rest, event: read, json } = parsed(message)
        const visible = (value: string) => value.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cf}]/gu, '\uFFFD')
        return rest === '' && /^[\x20-\x7e]*$/.test(json) && JSON.stringify(read) === JSON.stringify(event) &&
          parameters.id === event.id && parameters.action === visible(event.action) &&
          parameters.actor === visible(event.actor) && Object.keys(parameters).length === 3
      })
    }),
    { numRuns: 400 },
  )
  t.pass('400 batches')
})

// proves: audit-export-tls-verified
t.test('over TLS a batch is accepted once the receiver has read it, and only by one that is verified', async (t) => {
  const server = await startSyslogReceiver(t)
  const syslog = createSyslog({ url: server.url, hostname: 'auth.example.com', ca: server.ca })
  const events = Array.from(
    { length: 300 },
    (_, n) => ({ ...EVENT, id: String(n + 1), detail: { text: 'x'.repeat(n) } }),
  )
  t.strictSame(await syslog.send(events, never), { rejected: 0 })
  t.strictSame(server.messages().map((message) => parsed(message).event), events)
  await syslog.send([EVENT], never)
  t.equal(server.messages().length, 301)

  const unverified = createSyslog({ url: server.url, hostname: 'x' })
  t.match(await unverified.send([EVENT], never), { failure: { cause: 'unreachable', detail: /CERT|SIGNATURE/ } })
  const wrongName = new URL(server.url.href.replace('127.0.0.1', 'localhost'))
  const otherName = createSyslog({ url: wrongName, hostname: 'x', ca: server.ca })
  t.match(await otherName.send([EVENT], never), { failure: { cause: 'unreachable' } }, 'another name than its own')
  t.equal(server.messages().length, 301, 'nothing was sent')
})

t.test('over TCP to an agent on this machine', async (t) => {
  const server = await startSyslogReceiver(t, { tls: false })
  const syslog = createSyslog({ url: server.url, hostname: 'auth.example.com' })
  t.strictSame(await syslog.send([EVENT, { ...EVENT, id: '2' }], never), { rejected: 0 })
  t.strictSame(server.messages().map((message) => parsed(message).event.id), ['1207', '2'])
})

// proves: audit-export-closed-early
t.test('whatever ends before everything is read is no acceptance', async (t) => {
  const many = Array.from(
    { length: 500 },
    (_, n) => ({ ...EVENT, id: String(n), detail: { text: 'x'.repeat(20_000) } }),
  )
  const cases: readonly [what: string, server: (socket: Socket) => void, cause: string][] = [
    ['a connection that breaks', (socket) => socket.destroy(), 'unreachable'],
    ['a receiver that closes and does not read', (socket) => socket.end(), 'unreachable'],
    ['one that breaks in the middle', (socket) => socket.once('data', () => socket.destroy()), 'unreachable'],
    ['one that does not read', () => {}, 'timeout'],
  ]
  for (const [what, onConnection, cause] of cases) {
    for (const tls of [true, false]) {
      const server = await startSyslogReceiver(t, { tls })
      server.onConnection = onConnection
      const syslog = createSyslog({ url: server.url, hostname: 'x', ca: server.ca, timeoutMs: 1_500 })
      t.match(await syslog.send(many, never), { failure: { cause } }, `${what}, ${tls ? 'TLS' : 'TCP'}`)
    }
  }
  const open = await startSyslogReceiver(t, { tls: false })
  open.onConnection = (socket) => {
    socket.allowHalfOpen = true
    socket.resume()
  }
  const patient = createSyslog({ url: open.url, hostname: 'x', timeoutMs: 1_000 })
  t.match(await patient.send([EVENT], never), { failure: { cause: 'timeout' } }, 'one that never closes its side')
  const nobody = createSyslog({ url: new URL('syslog+tcp://127.0.0.1:1'), hostname: 'x' })
  t.match(await nobody.send([EVENT], never), { failure: { cause: 'unreachable', detail: 'ECONNREFUSED' } })
  t.match(await patient.send([EVENT], AbortSignal.abort()), { failure: { cause: 'timeout' } })
})
