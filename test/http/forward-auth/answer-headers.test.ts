// Headers that every answer bears: nothing is kept by caches, JSON is not taken for anything else, a 503 says when to
// ask again.
import { connect as connectTo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { createBrowser, type Answer, type Browser } from '../../helpers/browser.js'
import { startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { forwardedHeaders, TARGET } from '../../helpers/targets.js'
import { databaseFaultProxy } from '../../helpers/tcp-fault-proxy.js'

const FORWARDED = forwardedHeaders('https://app.test/x')
const KINDS: Readonly<Record<string, Record<string, string>>> = {
  page: {},
  program: { 'accept': 'application/json', 'sec-fetch-mode': 'cors' },
}
const PLACES: readonly (readonly [path: string, headers: Record<string, string>])[] = [
  ['/oauth2/auth', TARGET],
  ['/oauth2/auth', {}],
  ['/oauth2/auth?allowed_groups=x', TARGET],
  ['/oauth2/auth', { ...TARGET, 'x-original-url': 'nothing' }],
  ['/oauth2/forward-auth', FORWARDED],
  ['/oauth2/forward-auth', { ...FORWARDED, 'x-forwarded-uri': '/%00' }],
  ['/oauth2/ext-authz/x', { 'x-forwarded-proto': 'https' }],
  ['/oauth2/userinfo', {}],
  ['/', {}],
  ['/oauth2/sign_in', {}],
  ['/oauth2/sign_in?rd=https%3A%2F%2Felsewhere.test', {}],
  ['/oauth2/start', {}],
  ['/oauth2/callback', {}],
  ['/oauth2/frontchannel-logout', {}],
  ['/oauth2/frontchannel-logout?sid=12345678', {}],
  ['/oauth2/nothing', {}],
  ['/%zz', {}],
  ['/oauth2/sign_out', {}],
]

function notKept(t: Test, answer: Pick<Answer, 'headers'>, name: string): void {
  t.equal(answer.headers.get('cache-control'), 'no-store', name)
  t.match(answer.headers.get('vary') ?? '', /(^|, )Cookie(,|$)/, name)
  const json = /json/.test(answer.headers.get('content-type') ?? '')
  if (json) t.equal(answer.headers.get('x-content-type-options'), 'nosniff', name)
}

async function each(
  gateway: TestGateway,
  browser: Browser,
  see: (answer: Answer, name: string) => void,
): Promise<void> {
  for (const [kind, wish] of Object.entries(KINDS)) {
    for (const [path, headers] of PLACES) {
      const answer = await browser.ask(`${gateway.url}${path}`, { headers: { ...headers, ...wish } })
      see(answer, `${kind} ${path}: ${answer.status}`)
    }
  }
}

// proves: adv-json-nosniff
t.test('no answer is kept by a cache, and JSON is never sniffed', async (t) => {
  const gateway = await startTestGateway(t, { config: { server: { rateLimit: 40 } } })
  const seen = new Set<number>()
  const see = (answer: Answer, name: string): void => {
    seen.add(answer.status)
    notKept(t, answer, name)
  }
  await each(gateway, createBrowser(), see)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  await each(gateway, browser, see)
  for (let count = 0; count < 40; count++) await gateway.ask('/oauth2/start')
  for (const wish of Object.values(KINDS)) see(await gateway.ask('/oauth2/start', { headers: wish }), 'too many')
  t.strictSame([...seen].sort(), [200, 302, 303, 400, 401, 403, 404, 429].filter((status) => seen.has(status)))
  for (const status of [200, 302, 400, 401, 403, 404, 429]) t.ok(seen.has(status), String(status))
})

// proves: adv-client-error-headers
t.test('nor one to what is no request', async (t) => {
  const gateway = await startTestGateway(t)
  const asks = { 400: 'NO REQUEST\r\n\r\n', 431: `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(70_000)}\r\n\r\n` }
  for (const [status, ask] of Object.entries(asks)) {
    const socket = connectTo(gateway.config.server.port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => {
      text += String(chunk)
    }).on('error', () => {}).write(ask)
    await new Promise((resolve) => {
      socket.on('close', resolve)
    })
    t.match(text, new RegExp(`^HTTP/1.1 ${status} `))
    for (
      const line of ['Cache-Control: no-store', 'Vary: Cookie', 'X-Content-Type-Options: nosniff', 'Connection: close']
    ) {
      t.ok(text.includes(`\r\n${line}\r\n`), `${status} ${line}`)
    }
    t.match(JSON.parse(text.split('\r\n\r\n')[1] ?? ''), { error: 'request_malformed' })
  }
})

// proves: adv-retry-after, adv-retry-after-auth
t.test('every 503 has a Retry-After header', async (t) => {
  const door = databaseFaultProxy(t)
  const gateway = await startTestGateway(t, {
    throughProxy: door.throughProxy,
    config: { session: { outageGrace: '0s' } },
  })
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  door.shut()
  while (gateway.gateway.changes.connected()) await sleep(20)
  const unavailable = new Set<string>()
  await each(gateway, browser, (answer, name) => {
    notKept(t, answer, name)
    if (answer.status !== 503) return
    unavailable.add(new URL(answer.url).pathname)
    t.equal(answer.headers.get('retry-after'), '5', name)
  })
  const expected = [
    '/',
    '/oauth2/auth',
    '/oauth2/forward-auth',
    '/oauth2/ext-authz/x',
    '/oauth2/userinfo',
    '/oauth2/sign_out',
  ]
  for (const path of expected) t.ok(unavailable.has(path), path)
})
