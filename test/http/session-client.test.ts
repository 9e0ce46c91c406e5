// Browser, address and host of a session: recorded at the sign-in and with the use, where it is configured.
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import bowser from 'bowser'
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { browserFamily } from '../../src/http/session-client.js'
import { startTestGateway } from '../helpers/gateway.js'
import { connect } from '../helpers/sql.js'
import { until } from '../helpers/until.js'
import { createSessionAdmin } from '../helpers/acts.js'

const CHROME = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
const TARGET = { 'x-original-url': 'https://app.example.com/', 'x-original-method': 'GET' }

// proves: live-client-browsers
t.test('the family of a browser is one of a closed list', async (t) => {
  for (
    const [userAgent, family] of [
      [CHROME, 'Chrome'],
      [`${CHROME} Edg/140.0.0.0`, 'Microsoft Edge'],
      [FIREFOX, 'Firefox'],
      ['curl/8.1.2', null],
      ['<script>alert(1)</script>/1 ', null],
      ['', null],
      [undefined, null],
    ] as const
  ) t.equal(browserFamily(userAgent), family, String(userAgent))
  const families = new Set<unknown>([null, ...Object.values(bowser.BROWSER_MAP)])
  fc.assert(fc.property(fc.string({ maxLength: 2_000, unit: 'binary' }), (text) => families.has(browserFamily(text))))
})

const recorded = { idleTimeout: '10s', recordClient: true } // a use is recorded each second

// proves: live-client-route, live-client-wanted
t.test('with session.recordClient the list of sessions says from where each is used', async (t) => {
  const gateway = await startTestGateway(t, { config: { session: recorded } })
  const query = await connect(t, gateway.databaseUrl)
  const client = async () => (await query('select browser, client_address, last_host from sessions'))[0]
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  t.strictSame(await client(), { browser: null, client_address: '127.0.0.1', last_host: '127.0.0.1' })

  const ask = async (headers: Record<string, string>) =>
    (await gateway.ask('/oauth2/auth', { browser, headers: { ...TARGET, ...headers } })).status
  t.equal(await ask({}), 200)
  await until(async () => { // from memory, until the next use is recorded
    t.equal(await ask({ 'user-agent': CHROME, 'x-forwarded-for': '203.0.113.9' }), 200)
    return (await client())?.browser !== null
  })
  t.strictSame(await client(), { browser: 'Chrome', client_address: '203.0.113.9', last_host: 'app.example.com' })

  await until(async () => {
    t.equal(await ask({ 'user-agent': 'check/1', 'x-forwarded-for': '203.0.113.10' }), 200)
    return (await client())?.client_address !== '203.0.113.9'
  })
  t.strictSame(
    await client(),
    { browser: 'Chrome', client_address: '203.0.113.10', last_host: 'app.example.com' },
    'a program in the name of the browser is no other browser',
  )
  const { rows: [listed] } = await createSessionAdmin(gateway.gateway.database, gateway.config.session).list({})
  t.match(listed, { browser: 'Chrome', address: '203.0.113.10', host: 'app.example.com' })

  const without = await gateway.restart({ session: { idleTimeout: '10s', recordClient: false } })
  const { browser: other } = await without.signIn(PERSON_IDS.guest)
  await sleep(1_500) // the use is due at the first check, which reads the row
  const seen = async () =>
    (await query(`select s.last_seen_at > s.created_at as used, s.browser, s.client_address, s.last_host
      from sessions s join users u on u.id = s.user_id where u.username like 'gus%'`))[0]
  await until(async () => {
    await without.ask('/oauth2/auth', { browser: other, headers: { ...TARGET, 'user-agent': FIREFOX } })
    return (await seen())?.used === true
  })
  t.strictSame(await seen(), { used: true, browser: null, client_address: null, last_host: null })
})
