// Servers that a gateway must not use, although they accept writes: two of them on one timeline, and one of another
// cluster. Real servers, through a running gateway.
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import type { Browser } from '../helpers/browser.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { startServiceAddress, startStreamingPair } from '../helpers/streaming-pair.js'
import { TARGET } from '../helpers/targets.js'
import { until } from '../helpers/until.js'

const NO_GRACE = { session: { outageGrace: '0s' } }

function listOf(...addresses: readonly string[]): string {
  return `postgres://app@${addresses.join(',')}/gatehouse`
}

async function statusOf({ url }: TestGateway, browser: Browser): Promise<number> {
  return (await browser.ask(`${url}/oauth2/auth`, { headers: TARGET })).status
}

async function reached(t: Test, gateway: TestGateway, browser: Browser, status: number, name: string): Promise<void> {
  t.ok(await until(async () => await statusOf(gateway, browser) === status, 30_000), name)
}

/** That there is no server of record, and why. */
function said({ log }: TestGateway): TestGateway['log'] {
  return log.filter(({ level, msg }) => level === 'error' && String(msg).startsWith('no server'))
}

async function database({ management }: TestGateway): Promise<{ status: number, database: string }> {
  const answer = await fetch(`${management}/readyz`)
  return { status: answer.status, database: ((await answer.json()) as { parts: { database: string } }).parts.database }
}

t.test('a standby that starts as a primary without a promotion: two servers on one timeline', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const gateway = await startTestGateway(t, { databaseUrl: listOf(a.address, b.address), config: NO_GRACE })
  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  t.equal(await statusOf(gateway, browser), 200)
  b.stop('fast')
  b.startAlone()
  await reached(t, gateway, browser, 503, 'neither is used')
  t.strictSame(await database(gateway), { status: 503, database: 'unreachable' })
  const { answer } = await gateway.signIn(PERSON_IDS.many)
  t.equal(answer.status, 503, 'no sign-in either')
  t.match(said(gateway), [{ reason: 'split', detail: /both on timeline 1/, remedy: /Stop the server/ }], 'said once')
  for (const { address } of [a, b]) t.match(said(gateway)[0]?.['detail'], address, 'with its name')
  t.match(gateway.log.filter(({ code }) => code === 'database_unavailable'), [{ reason: 'split' }])
  b.stop('fast')
  await reached(t, gateway, browser, 200, 'once one of them is stopped the other is used')
})

t.test('a server of another cluster in the list of hosts', async (t) => {
  const [own, another] = [await startStreamingPair(t), await startStreamingPair(t)]
  if (own === undefined || another === undefined) return
  const mistaken = listOf(own.a.address, another.a.address)
  await t.rejects(startTestGateway(t, { databaseUrl: mistaken }), {
    code: 'database_unavailable',
    message: /different clusters: .* of cluster \d+, .* of cluster \d+/,
    facts: { reason: 'other_cluster' },
  }, 'a gateway does not start with it')

  const second = await startServiceAddress(t, own.b)
  const databaseUrl = listOf(own.a.address, second.address)
  const gateway = await startTestGateway(t, { databaseUrl, config: NO_GRACE })
  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  t.equal(await statusOf(gateway, browser), 200)
  for (const [name, server] of Object.entries({ primary: another.a, standby: another.b })) {
    const before = said(gateway).length
    second.moveTo(server)
    await reached(t, gateway, browser, 503, `none is used: the second host became a ${name} of another cluster`)
    t.strictSame(await database(gateway), { status: 503, database: 'unreachable' })
    t.match(said(gateway).slice(before), [{ reason: 'other_cluster', detail: /different clusters/, remedy: /alone/ }])
    second.moveTo(own.b)
    await reached(t, gateway, browser, 200, 'the own cluster alone is used')
  }
})
