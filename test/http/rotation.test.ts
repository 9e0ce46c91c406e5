// Secrets that rotate while two replicas roll, one after the other, behind one address: in three steps nothing is
// refused at any moment; with the new secret first, what docs/deployment.md warns of comes true.
import { createServer, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createRotationHint } from '../../src/core/rotation-hint.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, type Answer, type Browser } from '../helpers/browser.js'
import {
  ENCRYPTION_SECRET,
  pickPerson,
  registration,
  SESSION_SECRET,
  startTestGateway,
  type TestGateway,
} from '../helpers/gateway.js'
import { originalHeaders } from '../helpers/targets.js'

const NEW_SESSION_SECRET = 'another-session-canary-Zr4Kd2Lw5Xb8Tn6Pj'
const NEW_ENCRYPTION_SECRET = 'another-encryption-canary-Hm6Tn8Pc1Fy7Gs'
const TARGET = originalHeaders('https://app.test/')

/** Which secrets, in which order: `o` the old one of each list, `n` the new one. */
const lists = (order: string) => {
  const pick = (old: string, fresh: string) => [...order].map((each) => each === 'o' ? old : fresh)
  return {
    session: { secrets: pick(SESSION_SECRET, NEW_SESSION_SECRET) },
    keys: { encryptionSecrets: pick(ENCRYPTION_SECRET, NEW_ENCRYPTION_SECRET) },
  }
}

interface Replicas {
  readonly each: [TestGateway, TestGateway]
  /** The one that the address leads to. */
  use(index: 0 | 1): void
  roll(index: 0 | 1, order: string): Promise<void>
}

/** Two replicas behind an address that leads to the one of them that a test chooses. */
async function replicas(t: Test): Promise<Replicas> {
  let chosen: 0 | 1 = 0
  const each: TestGateway[] = []
  const balancer = createServer((incoming, outgoing) => {
    const { method, headers, url: path } = incoming
    const port = each[chosen]?.config.server.port
    const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(outgoing)
    })
    asked.on('error', () => outgoing.destroy())
    incoming.pipe(asked)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => balancer.once('listening', resolve))
  t.teardown(() => {
    balancer.closeAllConnections()
    balancer.close()
  })
  const address = balancer.address()
  const publicUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  const { redirectUris } = registration(publicUrl)
  const first = await startTestGateway(t, { app: { redirectUris }, config: { server: { publicUrl }, ...lists('o') } })
  const entra = { authorityHost: first.entra.url, graphUrl: first.entra.graphUrl }
  const config = { server: { publicUrl }, entra, ...lists('o') }
  const second = await startTestGateway(t, { databaseUrl: first.databaseUrl, config })
  each.push(first, second)
  return {
    each: each as [TestGateway, TestGateway],
    use: (index) => {
      chosen = index
    },
    async roll(index, order) {
      each[index] = await each[index]?.restart(lists(order)) as TestGateway
    },
  }
}

const OTHER = { 0: 1, 1: 0 } as const

async function begin({ each: [{ url }], use }: Replicas, at: 0 | 1) {
  use(at)
  const browser = createBrowser()
  return { browser, page: await browser.follow(`${url}/oauth2/start`) }
}

async function asked({ each: [{ url }], use }: Replicas, at: 0 | 1, browser: Browser): Promise<Answer> {
  use(at)
  return await browser.ask(`${url}/oauth2/auth`, { headers: TARGET })
}

/**
 * Sign-ins that begin at one and end at the other, their sessions at both; sessions from before; the assertion keys.
 */
async function allHolds(t: Test, pair: Replicas, before: readonly Browser[], moment: string): Promise<Browser[]> {
  const signedIn: Browser[] = []
  for (const at of [0, 1] as const) {
    const { browser, page } = await begin(pair, at)
    pair.use(OTHER[at])
    const { status } = await pickPerson(browser, page, PERSON_IDS.staff)
    t.equal(status, 200, `${moment}: begun at ${at}, finished at ${OTHER[at]}`)
    signedIn.push(browser)
  }
  const kids = []
  for (const at of [0, 1] as const) {
    for (const browser of [...before, ...signedIn]) {
      const answer = await asked(pair, at, browser)
      t.equal(answer.status, 200, `${moment}: a session at ${at}`)
      t.ok(answer.headers.get('x-gatehouse-assertion'), `${moment}: signed at ${at}`)
    }
    const { text } = await createBrowser().ask(`${pair.each[0].url}/.well-known/jwks.json`)
    const { keys } = JSON.parse(text) as { keys: { kid: string }[] }
    kids.push(keys.map(({ kid }) => kid))
  }
  t.strictSame(kids[0], kids[1], `${moment}: both publish the same keys`)
  return signedIn
}

// proves: adv-rotation-sign-in, adv-rotation-session, adv-rotation-keys
t.test('in three steps every sign-in and every session goes on at both replicas, at every moment', async (t) => {
  const pair = await replicas(t)
  let sessions = await allHolds(t, pair, [], 'before')
  for (const order of ['on', 'no', 'n']) {
    for (const at of [0, 1] as const) {
      await pair.roll(at, order)
      const made = await allHolds(t, pair, sessions, `${order} at ${at}`)
      // Before the last step a session's longest life is waited for: what the old secret signed is over by then.
      sessions = order === 'no' && at === 1 ? made : [...sessions.slice(-2), ...made]
    }
  }
})

// proves: adv-rotation-named, adv-rotation-remedy
t.test('with the new secret first, a replica without it refuses sign-ins and sessions and logs why', async (t) => {
  const pair = await replicas(t)
  await pair.roll(0, 'no')
  const { browser, page } = await begin(pair, 0)
  for (let tries = 0; tries < 400 && !await differs(pair.each[1]); tries++) await sleep(50)
  pair.use(1)
  const callback = await pickPerson(browser, page, PERSON_IDS.staff)
  t.equal(callback.status, 400, 'begun at the new one, finished at the old one')
  t.match(callback.text, /state_invalid/)
  const again = await begin(pair, 0)
  t.equal((await pickPerson(again.browser, again.page, PERSON_IDS.staff)).status, 200)
  t.equal((await asked(pair, 0, again.browser)).status, 200)
  t.equal((await asked(pair, 1, again.browser)).status, 401, 'signed in at the new one, unknown at the old one')
  const hints = pair.each[1].log.filter(({ msg }) => /unknown signature/.test(String(msg)))
  t.equal(hints.length, 1, 'once')
  t.match(hints[0], { level: 'warn', remedy: /\[old, new\] first/ })
  const sealed = { code: 'signing_key_sealed', remedy: /^A secret is missing in the list of this replica/ }
  await t.rejects(pair.roll(1, 'o'), sealed)
})

async function differs({ management }: TestGateway): Promise<boolean> {
  const { parts } = await (await fetch(`${management}/readyz`)).json() as {
    parts: { replicas: { different: unknown[] } }
  }
  return parts.replicas.different.length > 0
}

// proves: adv-rotation-hint
t.test('the hint comes once an hour, and only while replicas differ', async (t) => {
  const state = { differ: false, now: 0, looks: 0 }
  const lines: unknown[] = []
  const hint = createRotationHint({
    differing: () => {
      state.looks++
      return state.differ
    },
    log: {
      warn: (facts) => {
        lines.push(facts)
      },
    },
    now: () => state.now,
  })
  for (let each = 0; each < 10_000; each++) hint()
  t.strictSame(
    { warnings: lines.length, checks: state.looks },
    { warnings: 0, checks: 1 },
    'a flood of forged cookies looks once a second',
  )
  state.differ = true
  for (; state.now < 2 * 3_600_000; state.now += 500) hint()
  t.equal(lines.length, 2)
})
