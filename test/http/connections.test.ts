// Who is at the other end of a connection, and what one question leaves behind for the next one on it.
import { connect as openSocket, type Socket } from 'node:net'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { stripPort } from '../../src/http/forwarded-for.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'

const RULES = [
  { hosts: ['app.test'], paths: ['/net/**'], networks: ['10.9.0.0/16', '2001:db8::/32'], allow: 'anyone' },
  { hosts: ['app.test'], paths: ['/open/**'], allow: 'anyone' },
]
const ENDPOINTS: Readonly<Record<string, readonly string[]>> = {
  '/oauth2/auth': ['Host: gatehouse', 'X-Original-URL: https://app.test/open/x', 'X-Original-Method: GET'],
  '/oauth2/forward-auth': [
    'Host: gatehouse',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: app.test',
    'X-Forwarded-Uri: /open/x',
    'X-Forwarded-Method: GET',
  ],
  '/oauth2/ext-authz/open/x': ['Host: app.test', 'X-Forwarded-Proto: https'],
}

const request = (path: string, more: readonly string[] = [], method = 'GET'): string =>
  [`${method} ${path} HTTP/1.1`, ...ENDPOINTS[path] ?? [], ...more, '', ''].join('\r\n')

async function open(t: Test, gateway: TestGateway): Promise<Socket> {
  const socket = openSocket(Number(new URL(gateway.url).port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** The head of the next answer; the answers that are read so have no body. */
async function answered(socket: Socket, sent: string): Promise<string> {
  socket.write(sent)
  const [chunk] = await once(socket, 'data') as [Buffer]
  return chunk.toString('latin1')
}

/** Whether it happens within ten seconds. */
const within = (event: Promise<unknown>): Promise<boolean> =>
  Promise.race([event.then(() => true), sleep(10_000, false, { ref: false })])

// proves: adv-announced-body, adv-announced-body-route
t.test('a question that announces a body', async (t) => {
  for (const access of ['denied', 'all']) { // answered by the fast path, and by the route
    await t.test(`log.access: ${access}`, async (t) => {
      const gateway = await startTestGateway(t, { config: { access: { rules: RULES }, log: { access } } })
      for (const path of Object.keys(ENDPOINTS)) {
        const kept = await open(t, gateway)
        for (const more of [[], ['Content-Length: 0']]) {
          t.match(
            await answered(kept, request(path, more, 'POST')),
            /^HTTP\/1\.1 200 [^]*connection: keep-alive/i,
            `${path}: the connection is kept`,
          )
        }
        for (
          const [more, body] of [[['Content-Length: 300'], ''], [['Content-Length: 3'], 'abc'], [[
            'Transfer-Encoding: chunked',
          ], '']] as const
        ) {
          const socket = await open(t, gateway)
          const ended = once(socket, 'end')
          t.match(
            await answered(socket, request(path, more, 'POST') + body),
            /^HTTP\/1\.1 200 [^]*connection: close/i,
            `${path}: ${more.join()}`,
          )
          t.ok(await within(ended), `${path}: the connection is closed`)
        }
        t.match(await answered(kept, request(path)), /^HTTP\/1\.1 200 /, `${path}: the next question is answered`)
      }
      const refused = await open(t, gateway)
      const ended = once(refused, 'end')
      const question = request('/oauth2/auth', ['Content-Length: 300'], 'POST').replace('/open/', '/closed/')
      t.match(await answered(refused, question), /^HTTP\/1\.1 401 [^]*connection: close/i, 'a refusal too')
      t.ok(await within(ended), 'the connection is closed')
    })
  }
})

t.test('the address of the client', async (t) => {
  const gateway = await startTestGateway(t, {
    config: { access: { rules: RULES }, server: { trustedProxies: ['loopback', '10.0.0.7', 'fd00::7'], rateLimit: 6 } },
  })
  const ask = async (chain: string) =>
    (await gateway.ask('/oauth2/auth', {
      headers: { 'x-original-url': 'https://app.test/net/x', 'x-original-method': 'GET', 'x-forwarded-for': chain },
    })).status

  // proves: adv-address-without-port
  await t.test('it is read without its port and its brackets', async (t) => {
    for (
      const [entry, address] of [
        ['10.9.1.1:51234', '10.9.1.1'],
        ['[2001:db8::5]:443', '2001:db8::5'],
        ['[2001:db8::5]', '2001:db8::5'],
        ['2001:db8::5', '2001:db8::5'],
        ['10.9.1.1', '10.9.1.1'],
        ['unknown', 'unknown'],
        ['10.9.1.1:x', '10.9.1.1:x'],
        ['10.9.1:1', '10.9.1:1'],
      ] as const
    ) t.equal(stripPort(entry), address)
    for (
      const chain of [
        '10.9.1.1:51234',
        '[2001:db8::5]:443',
        '[2001:db8::5]',
        '10.9.1.1:1, 10.0.0.7:8080',
        '10.9.1.1, [fd00::7]:9',
        'junk, 10.9.1.1:5',
        '10.9.1.1:5,',
        '[::ffff:10.9.1.1]:5',
      ]
    ) t.equal(await ask(chain), 200, chain)
    for (const chain of ['11.9.1.1:51234', '10.9.1.1:5, 192.0.2.1:6', '[2001:db9::5]:443', '10.9.1.1:x', 'unknown']) {
      t.equal(await ask(chain), 401, chain)
    }
    t.match(gateway.log.findLast(({ msg, rule }) => msg === 'access denied' && rule !== undefined), {
      client: 'unknown',
    })
    await ask('192.0.2.1:6')
    t.match(
      gateway.log.findLast(({ msg }) => msg === 'access denied'),
      { client: '192.0.2.1' },
      'the log has the address alone',
    )
  })

  // proves: adv-limit-without-port
  await t.test('ports do not get round the limit', async (t) => {
    const statuses: number[] = []
    for (let port = 1; port <= 9; port++) {
      statuses.push(
        (await gateway.ask('/oauth2/start', { headers: { 'x-forwarded-for': `198.51.100.9:${port}` } })).status,
      )
    }
    t.strictSame(statuses, [302, 302, 302, 302, 302, 302, 429, 429, 429])
  })

  // proves: adv-no-address-named
  await t.test('what is no address is named in the log once an hour', async (t) => {
    for (const chain of ['unknown', 'unknown', '_hidden', '10.9.1.1']) await ask(chain)
    const lines = gateway.log.filter(({ msg }) => /not an IP address/.test(String(msg)))
    t.equal(lines.length, 1)
    t.match(lines[0], { peer: '127.0.0.1', client: '10.9.1.1:x' })
  })

  await t.test('it is ignored from an untrusted peer', async (t) => {
    const untrusted = await gateway.restart({ server: { trustedProxies: ['192.0.2.0/24'] } })
    for (let port = 1; port <= 7; port++) {
      await untrusted.ask('/oauth2/start', { headers: { 'x-forwarded-for': `198.51.100.${port}` } })
    }
    t.equal((await untrusted.ask('/oauth2/start', { headers: { 'x-forwarded-for': '198.51.100.99' } })).status, 429)
    t.notOk(untrusted.log.some(({ msg }) => /not an IP address/.test(String(msg))))
  })
})
