// A long pause that Graph asks for: sign-ins are held back, one is let through in each interval, and the first answer
// ends the pause, however long it was to be.
import fc from 'fast-check'
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createGraphClient } from '../../src/entra/graph.js'
import { createHttpClient } from '../../src/entra/http-client.js'
import { createThrottle } from '../../src/entra/throttle.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { attempt, refused, signedIn, startTrap } from './helper.js'

const PROBE_EVERY_MS = 15_000
const never = new AbortController().signal

function scene() {
  const clock = { now: 0 }
  const throttle = createThrottle({ probeEveryMs: PROBE_EVERY_MS, clock: () => clock.now })
  const turn = (budgetMs = 1) => throttle.turn({ signal: never, deadline: clock.now + budgetMs })
  return { clock, throttle, turn }
}

t.test('whose turn it is', async (t) => {
  // proves: adv-throttle-probe
  t.test('one probe in each interval, and nothing else while Graph asks to wait', async (t) => {
    const { clock, throttle, turn } = scene()
    t.equal(await turn(), 'go')
    throttle.pause(120_000)
    t.equal(await turn(), 'no')
    clock.now = PROBE_EVERY_MS - 1
    t.equal(await turn(), 'no')
    clock.now = PROBE_EVERY_MS
    t.equal(await turn(), 'probe')
    throttle.pause(120_000)
    throttle.probed()
    t.equal(await turn(), 'no', 'the next one is an interval later')
    clock.now = 2 * PROBE_EVERY_MS
    t.equal(await turn(), 'probe')
    throttle.probed()
    clock.now = PROBE_EVERY_MS + 120_000
    t.equal(await turn(), 'go', 'the pause is over')
    t.equal(throttle.remainingMs(), 0)
  })

  t.test('those who wait go on as soon as a probe was answered', async (t) => {
    const { clock, throttle, turn } = scene()
    throttle.pause(120_000)
    clock.now = PROBE_EVERY_MS
    t.equal(await turn(), 'probe')
    const waiting = [turn(60_000), turn(60_000)]
    throttle.answered(clock.now)
    throttle.probed()
    t.strictSame(await Promise.all(waiting), ['go', 'go'])
  })

  t.test('a caller that cannot wait for the next probe fails with the current one', async (t) => {
    const { clock, throttle, turn } = scene()
    throttle.pause(120_000)
    clock.now = PROBE_EVERY_MS
    t.equal(await turn(), 'probe')
    const waiting = turn(PROBE_EVERY_MS - 1)
    throttle.pause(120_000)
    throttle.probed()
    t.equal(await waiting, 'no')
  })

  // proves: adv-throttle-old-answer
  t.test('an answer to a request from before the pause does not end it', async (t) => {
    const { clock, throttle, turn } = scene()
    clock.now = 10
    throttle.pause(120_000)
    throttle.answered(9)
    t.equal(await turn(), 'no')
  })

  t.test('a request that is given up waits no longer', async (t) => {
    const { throttle } = scene()
    throttle.pause(1_000)
    const giving = new AbortController()
    const waiting = throttle.turn({ signal: giving.signal, deadline: 60_000 })
    giving.abort()
    t.equal(await waiting, 'no')
  })

  t.test('whatever Graph says: never more than a probe in each interval, and in no interval without one', async () => {
    const pauses = fc.array(fc.integer({ min: 15_001, max: 300_000 }), { minLength: 1, maxLength: 20 })
    await fc.assert(fc.asyncProperty(pauses, fc.integer({ min: 1, max: 999 }), async (asked, stepMs) => {
      const { clock, throttle, turn } = scene()
      throttle.pause(asked[0] ?? 0)
      const probes: number[] = [0]
      for (const pauseMs of asked) {
        while (await turn() === 'no') clock.now += stepMs
        probes.push(clock.now)
        throttle.pause(pauseMs)
        throttle.probed()
      }
      const gaps = probes.slice(1).map((at, index) => at - (probes[index] ?? 0))
      return gaps.every((gap) => gap >= PROBE_EVERY_MS && gap < PROBE_EVERY_MS + stepMs)
    }))
  })
})

// proves: adv-throttle-ended
t.test('fifty requests that wait make one probe, and then all are sent', async (t) => {
  const answer = (number: number) =>
    number === 1 ? { status: 429, headers: { 'retry-after': '300' }, body: '{}' } : { status: 200, body: '{}' }
  const server = await startTrap(t, answer)
  const http = createHttpClient()
  t.teardown(() => http.close())
  const client = createGraphClient({ http, graphUrl: server.url, probeEveryMs: 3_000 })
  const ask = (ms: number) =>
    client.get({
      url: `${server.url}/v1.0/me`,
      accessToken: 'x',
      correlationId: 'x',
      signal: AbortSignal.timeout(ms),
      deadline: performance.now() + ms,
    })
  await t.rejects(ask(2_000), { code: 'graph_throttled' })
  t.ok((client.throttledUntil() ?? 0) > Date.now() + 200_000)
  await Promise.all(Array.from({ length: 50 }, () => ask(20_000)))
  t.equal(server.arrived.length, 51, 'the throttled one, and each of the fifty once')
  t.equal(client.throttledUntil(), undefined)
})

const graphPart = async (gateway: TestGateway) => {
  const answer = await fetch(`${gateway.management}/readyz`)
  return await answer.json() as { status: string, parts: { graph: { state: string } } }
}
const gauge = async (gateway: TestGateway) =>
  Number(
    /^gatehouse_graph_throttled_until_seconds (\S+)$/m.exec(await (await fetch(`${gateway.management}/metrics`)).text())
      ?.[1],
  )

// proves: adv-throttle-shown, adv-throttle-gauge
t.test('one long Retry-After does not lock sign-ins out', async (t) => {
  const gateway = await startTestGateway(t, { config: { entra: { loginBudget: '5s' } } })
  t.equal(await gauge(gateway), 0)
  gateway.entra.faults.add({ on: 'graph', then: { kind: 'throttle', retryAfter: '300' } })
  refused(t, await attempt(gateway), 'graph_throttled', { graph: 1 })
  const throttledAt = performance.now()

  const held = await attempt(gateway)
  refused(t, held, 'graph_throttled', { graph: 0 })
  t.match(held.log, { detail: /until \d{4}-/, remedy: /^Sign-ins go on by themselves/ })
  t.notMatch(held.log.remedy, 'loginBudget', 'more patience would not help')
  t.match(await graphPart(gateway), { status: 'ok', parts: { graph: { state: /^throttled until \d{4}-\d\d-\d\dT/ } } })
  const until = await gauge(gateway)
  t.ok(until > Date.now() / 1000 + 200 && until < Date.now() / 1000 + 301, `${until}`)

  let outcome = held
  while (outcome.code !== 'signed in' && performance.now() < throttledAt + 40_000) {
    await new Promise((resolve) => setTimeout(resolve, 500))
    outcome = await attempt(gateway)
  }
  signedIn(t, outcome, { graph: 1 })
  const probed = gateway.entra.requests.filter(({ server }) => server === 'graph')
  t.equal(probed.length, 2, 'nothing was sent between the pause and the probe')
  t.ok((probed[1]?.at ?? 0) - (probed[0]?.at ?? 0) >= 14_900)
  t.match(await graphPart(gateway), { parts: { graph: { state: 'ok' } } })
  t.equal(await gauge(gateway), 0)
  signedIn(t, await attempt(gateway, { person: PERSON_IDS.superuser }), { graph: 1 })
})
