// The auth endpoint against a bare Fastify route and node:http that send the same status and headers, in short alternating
// runs on the same cores: medians and ratios. Cookies are drawn at random from the cached sessions of people in ten groups, paths
// match the last of fifty rules. SESSIONS, SECONDS and ROUNDS make it shorter.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'node:http'
import { addSessions, answering, drawing, freePort, median, openStage, say, startGateway, wrk } from './stage.mjs'

const AGENT = new Agent({ keepAlive: true, maxSockets: 24 })
const SESSIONS = Number(process.env.SESSIONS ?? 100_000)
const SECONDS = Number(process.env.SECONDS ?? 2)
const ROUNDS = Number(process.env.ROUNDS ?? 9)

const stage = await openStage()
const all = join(stage.home, 'cookies')
try {
  const cookies = await addSessions(stage, SESSIONS)
  writeFileSync(all, cookies.join('\n'))
  const gateway = await startGateway(stage, { flags: ['--expose-gc', '--import', './bench/measure.mjs'] })
  const empty = await memoryOf(gateway.child)
  await warm(gateway, cookies)
  const full = await memoryOf(gateway.child)
  say(`${SESSIONS} cached sessions, after a collection: ${(full.heap - empty.heap).toFixed(0)} MB more of heap than empty, ${(full.rss - empty.rss).toFixed(0)} MB more resident (${full.rss.toFixed(0)} MB in all)`)

  const forged = join(stage.home, 'forged')
  writeFileSync(forged, cookies.slice(0, 10_000).map((cookie) => `${cookie.slice(0, -6)}AAAAAA`).join('\n'))
  const cases = process.env.ONLY ? [[process.env.ONLY, drawing(all, { path: '/pages/' })]] : [
    ['200', drawing(all, { path: '/pages/' })],
    ['401, no cookie', drawing(all, { path: '/pages/' }).replace('gatehouse_session=', 'something_else=')],
    ['401, a forged cookie', drawing(forged, { path: '/pages/' })],
    ['403', drawing(all, { path: '/area-48/' })],
  ]
  for (const [name, script] of cases) {
    const sample = await answerTo(gateway, name, cookies)
    const file = join(stage.home, `answer-${name.slice(0, 3)}.json`)
    writeFileSync(file, JSON.stringify(sample))
    const rivals = [{ name: 'gateway', url: gateway.url, child: gateway.child }, await bare('fastify', file), await bare('http', file), ...name === '200' ? [await bare('lookup', file)] : []]
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

async function bare(kind, file) {
  const port = await freePort()
  const child = stage.track(spawn(process.execPath, ['bench/bare.mjs', kind, String(port), file, all], { stdio: 'inherit' }))
  await answering(port)
  return { name: kind, url: `http://127.0.0.1:${port}`, child }
}

/** In MB, after a collection. */
async function memoryOf(child) {
  child.send('memory')
  const { rss, heap } = await new Promise((resolve) => child.once('message', resolve))
  return { rss: rss / 1024 ** 2, heap: heap / 1024 ** 2 }
}

function ask(gateway, headers) {
  return new Promise((resolve, reject) => {
    request(`${gateway.url}/oauth2/auth`, { headers, agent: false }, (response) => { response.resume(); response.on('end', () => resolve({ status: response.statusCode, headers: response.rawHeaders })) }).on('error', reject).end()
  })
}

async function answerTo(gateway, name, cookies) {
  const url = name === '403' ? 'https://wiki.bench.test/area-48/1/page?x=1' : 'https://wiki.bench.test/pages/1/page?x=1'
  const cookie = name.startsWith('401') ? (name.includes('forged') ? { cookie: 'gatehouse_session=x' } : {}) : { cookie: `gatehouse_session=${cookies[0]}` }
  const { status, headers } = await ask(gateway, { 'x-original-url': url, 'x-original-method': 'GET', 'accept': 'text/html', ...cookie })
  if (String(status) !== name.slice(0, 3)) throw new Error(`${name}: ${status}`)
  const kept = []
  for (let index = 0; index < headers.length; index += 2) if (!['date', 'connection', 'keep-alive'].includes(headers[index].toLowerCase())) kept.push(headers[index], headers[index + 1])
  return { status, headers: kept }
}

async function warm(gateway, cookies) {
  let next = 0
  await Promise.all(Array.from({ length: 24 }, async () => {
    while (next < cookies.length) {
      const cookie = cookies[next++]
      const { status } = await new Promise((resolve, reject) => {
        request(`${gateway.url}/oauth2/auth`, { headers: { 'cookie': `gatehouse_session=${cookie}`, 'x-original-url': 'https://wiki.bench.test/pages/1', 'x-original-method': 'GET' }, agent: AGENT }, (response) => { response.resume(); response.on('end', () => resolve({ status: response.statusCode })) }).on('error', reject).end()
      })
      if (status !== 200) throw new Error(`warming: ${status}`)
    }
  }))
}
