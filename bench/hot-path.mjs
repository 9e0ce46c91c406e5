// The auth endpoint against a bare Fastify route and node:http that send the same status and headers, in short alternating
// runs on the same cores: medians and ratios. Cookies are drawn at random from the cached sessions of people in ten groups, paths
// match the last of fifty rules. SESSIONS, SECONDS, ROUNDS and ONLY=status make it shorter.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addSessions, answerTo, drawing, median, openStage, say, startBare, startGateway, warm, wrk } from './stage.mjs'

const SESSIONS = Number(process.env.SESSIONS ?? 100_000)
const SECONDS = Number(process.env.SECONDS ?? 2)
const ROUNDS = Number(process.env.ROUNDS ?? 9)

const stage = await openStage()
const all = join(stage.home, 'cookies')
try {
  const cookies = await addSessions(stage, SESSIONS)
  writeFileSync(all, cookies.join('\n'))
  const gateway = await startGateway(stage, { flags: ['--expose-gc', '--import', './bench/measure.mjs'] })
  const first = await addSessions(stage, 1_000)
  for (let round = 0; round < 20; round++) await warm(gateway.url, first) // what any traffic takes is not what sessions take
  const empty = await memoryOf(gateway.child)
  await warm(gateway.url, cookies)
  const full = await memoryOf(gateway.child)
  say(`${SESSIONS} cached sessions, after a collection: ${(full.heap - empty.heap).toFixed(0)} MB more of heap than empty, ${(full.rss - empty.rss).toFixed(0)} MB more resident (${full.rss.toFixed(0)} MB in all)`)

  const forged = join(stage.home, 'forged')
  writeFileSync(forged, cookies.slice(0, 10_000).map((cookie) => `${cookie.slice(0, -6)}AAAAAA`).join('\n'))
  const cases = [
    ['200', drawing(all, { path: '/pages/' })],
    ['401, no cookie', drawing(all, { path: '/pages/' }).replace('gatehouse_session=', 'something_else=')],
    ['401, a forged cookie', drawing(forged, { path: '/pages/' })],
    ['403', drawing(all, { path: '/area-48/' })],
  ].filter(([name]) => name.startsWith(process.env.ONLY ?? ''))
  for (const [name, script] of cases) {
    const answer = await answerOf(gateway, name, cookies)
    const yardsticks = ['fastify', 'http', ...name === '200' ? ['lookup'] : []]
    const rivals = [{ url: gateway.url, child: gateway.child }, ...await Promise.all(yardsticks.map((kind) => startBare(stage, kind, answer, { cookies: all })))]
    const results = rivals.map(() => [])
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, { url, child }] of rivals.entries()) results[index].push(await wrk(stage, { url, script, seconds: SECONDS, child }))
    }
    const middle = results.map((runs) => Object.fromEntries(['rate', 'p50', 'p99', 'cpu'].map((key) => [key, median(runs.map((run) => run[key]))])))
    const [ours, fastify, node, lookup] = middle
    say(`${name}: ratio to the bare Fastify route ${(ours.rate / fastify.rate).toFixed(2)} (CPU ${(fastify.cpu / ours.cpu).toFixed(2)}), to node:http ${(ours.rate / node.rate).toFixed(2)}; p99 ${(ours.p99 / fastify.p99).toFixed(2)} times that route's. ${ours.rate.toFixed(0)} against ${fastify.rate.toFixed(0)} and ${node.rate.toFixed(0)} a second; ${ours.cpu.toFixed(1)}, ${fastify.cpu.toFixed(1)}, ${node.cpu.toFixed(1)} microseconds of CPU; p50 ${ours.p50} ms, p99 ${ours.p99} ms`)
    if (lookup) say(`  to a bare Fastify route that looks everybody's own headers up in a map: ${(ours.rate / lookup.rate).toFixed(2)} (CPU ${(lookup.cpu / ours.cpu).toFixed(2)}; ${lookup.rate.toFixed(0)} a second, ${lookup.cpu.toFixed(1)} microseconds)`)
    for (const rival of rivals.slice(1)) rival.child.kill('SIGTERM')
  }
} finally {
  await stage.close()
}

/** In MB, after a collection. */
async function memoryOf(child) {
  child.send('memory')
  const { rss, heap } = await new Promise((resolve) => child.once('message', resolve))
  return { rss: rss / 1024 ** 2, heap: heap / 1024 ** 2 }
}

async function answerOf(gateway, name, cookies) {
  const url = name === '403' ? 'https://wiki.bench.test/area-48/1/page?x=1' : 'https://wiki.bench.test/pages/1/page?x=1'
  const cookie = name.startsWith('401') ? (name.includes('forged') ? { cookie: 'gatehouse_session=x' } : {}) : { cookie: `gatehouse_session=${cookies[0]}` }
  const answer = await answerTo(`${gateway.url}/oauth2/auth`, { 'x-original-url': url, 'x-original-method': 'GET', 'accept': 'text/html', ...cookie })
  if (String(answer.status) !== name.slice(0, 3)) throw new Error(`${name}: ${answer.status}`)
  return answer
}
