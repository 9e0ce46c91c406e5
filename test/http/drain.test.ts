// A gateway that is told to stop lets its proxies go: what comes meanwhile is answered, no connection is closed under a
// request's feet, and a login that is under way ends.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Pool, request } from 'undici'
import { signInAs } from '../../src/demo/entra/sign-in-as.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser } from '../helpers/browser.js'
import { startTestGateway } from '../helpers/gateway.js'
import { TARGET } from '../helpers/targets.js'

const LINGER_MS = 2_000

// proves: live-drain-lets-go, live-drain-lingers
t.test('questions are answered until the proxy has turned away, each connection for the last time', async (t) => {
  const gateway = await startTestGateway(t, { lingerMs: LINGER_MS })
  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  const headers = { ...TARGET, cookie: browser.cookieHeader(gateway.url) }
  const kept = new Pool(gateway.url, { connections: 8, keepAliveTimeout: 60_000 })
  t.teardown(() => kept.destroy())
  const question = async (path: string) => {
    const answer = await kept.request({ path, method: 'GET', headers })
    await answer.body.dump()
    return { status: answer.statusCode, connection: answer.headers.connection }
  }
  const all = () =>
    Promise.all(
      ['/oauth2/auth', '/oauth2/forward-auth', '/oauth2/userinfo', '/oauth2/sign_in', '/.well-known/jwks.json'].map(
        question,
      ),
    )
  for (const { connection } of await all()) t.not(connection, 'close')
  await all()

  const closing = gateway.close()
  for (const until = performance.now() + LINGER_MS / 2; performance.now() < until;) {
    for (const { status, connection } of await all()) {
      if (status >= 500 || connection !== 'close') t.fail(`${status}, connection ${String(connection)}`)
    }
    await sleep(20)
  }
  t.equal((await fetch(`${gateway.management}/readyz`)).status, 503, 'not ready')
  t.equal((await fetch(`${gateway.management}/healthz`)).status, 200, 'but alive')
  await closing
  await t.rejects(request(`${gateway.url}/oauth2/auth`), { code: 'ECONNREFUSED' })
})

t.test('a login that is under way when nothing is accepted any more is finished', async (t) => {
  const gateway = await startTestGateway(t)
  gateway.entra.faults.add({ on: 'graph', then: { kind: 'slow', ms: 1_000 } })
  const browser = createBrowser()
  const begun = await browser.ask(
    `${gateway.url}/oauth2/start?rd=${encodeURIComponent(`${gateway.url}/oauth2/sign_in`)}`,
  )
  const { location = '' } = await signInAs(begun.location ?? '', PERSON_IDS.guest)
  const answer = browser.ask(location)
  await sleep(300)
  const closing = gateway.close()
  t.equal((await answer).status, 302)
  t.ok(browser.cookies.get('127.0.0.1')?.has('gatehouse_session'))
  await closing
})
