// How long a session that was ended is still believed: two and four replicas on one PostgreSQL, idle and with checks beside, 1,000
// trials each. A trial ends a warm session by a row deleted and asks every replica until it says 401. Prints; judges nothing.
// TRIALS makes it shorter.
import { Agent, request } from 'node:http'
import { addSessions, openStage, quantile, say, startGateway, stop } from './stage.mjs'

const TRIALS = Number(process.env.TRIALS ?? 1_000)
const CHECKS_A_SECOND = 500
const agent = new Agent({ keepAlive: true, maxSockets: 64 })

const stage = await openStage()
try {
  for (const replicas of [2, 4]) {
    const gateways = await Promise.all(Array.from({ length: replicas }, (_, index) => startGateway(stage, { rules: 0, name: `gateway-${replicas}-${index}` })))
    for (const [name, beside] of [['idle', 0], [`${CHECKS_A_SECOND} checks a second beside`, CHECKS_A_SECOND]]) {
      const load = await startLoad(gateways, beside)
      const latencies = []
      for (let trial = 0; trial < TRIALS;) {
        const cookies = await addSessions(stage, Math.min(100, TRIALS - trial))
        for (const cookie of cookies) {
          for (const gateway of gateways) if (await check(gateway, cookie) !== 200) throw new Error('not warm')
          latencies.push(...await endAndWatch(gateways, cookie))
          trial++
        }
      }
      await load.stop()
      say(`${replicas} replicas, ${name}: an ended session was believed for p50 ${quantile(latencies, 0.5).toFixed(1)} ms, p99 ${quantile(latencies, 0.99).toFixed(1)} ms, at most ${Math.max(...latencies).toFixed(1)} ms (${latencies.length} readings)`)
    }
    for (const { child } of gateways) await stop(child)
  }
} finally {
  agent.destroy()
  await stage.close()
}

function check({ url }, cookie) {
  return new Promise((resolve, reject) => {
    request(`${url}/oauth2/auth`, { agent, headers: { 'cookie': `gatehouse_session=${cookie}`, 'x-original-url': 'https://wiki.bench.test/', 'x-original-method': 'GET' } }, (response) => { response.resume(); response.on('end', () => resolve(response.statusCode)) }).on('error', reject).end()
  })
}

/** Milliseconds from the commit until each replica says 401. */
async function endAndWatch(gateways, cookie) {
  const id = decodeURIComponent(cookie).split('.')[0]
  await stage.query('delete from sessions where id_hash = sha256($1::bytea)', [Buffer.from(id)])
  const committed = performance.now()
  return await Promise.all(gateways.map(async (gateway) => {
    while (await check(gateway, cookie) !== 401) if (performance.now() - committed > 20_000) throw new Error('believed for twenty seconds')
    return performance.now() - committed
  }))
}

async function startLoad(gateways, aSecond) {
  if (aSecond === 0) return { stop: async () => {} }
  const cookies = await addSessions(stage, 200)
  const state = { running: true }
  const one = async () => {
    for (let turn = 0; state.running; turn++) {
      await check(gateways[turn % gateways.length], cookies[turn % cookies.length])
      await new Promise((resolve) => setTimeout(resolve, 1000 * 10 / aSecond))
    }
  }
  const all = Promise.all(Array.from({ length: 10 }, one))
  return { stop: async () => { state.running = false; await all } }
}
