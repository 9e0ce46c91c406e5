// What a flood of each kind costs: CPU time of the gateway, bytes of its log, and how long a legitimate warm session
// waits beside it, next to the same load without a flood. SECONDS and ONLY=name make it shorter.
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { addSessions, cpuOf, openStage, quantile, say, startGateway, warm, wrk } from './stage.mjs'

const SECONDS = Number(process.env.SECONDS ?? 8)
/** Of wrk: about 200 requests a second at most. */
const PACE = { connections: 20, delay: 100 }
const LEGITIMATE_EVERY_MS = 10
const SLOW_SOCKETS = 150

const COLUMNS = [
  'load beside 100 legitimate requests a second',
  'requests a second',
  'CPU, percent of a core',
  'log, bytes a second',
  'p50, ms',
  'p99, ms',
]

const AMBIGUOUS = `/x/${'\\//;%252e%2e%255c'.repeat(500)}`
const LONG = `/${'a'.repeat(31_000)}`

/** Path and headers of a request of each flood. */
const FLOODS = {
  'ambiguous paths of 8 KB at an application': { path: '/oauth2/auth', headers: target(AMBIGUOUS) },
  'paths of 31 KB at the pages': { path: LONG },
  'malformed targets of 8 KB': { path: '/oauth2/auth', headers: target(`/%00${'a'.repeat(8_000)}`) },
  'unknown parameters': { path: '/oauth2/auth?unknown=1', headers: target('/pages/1') },
  'refused return addresses': { path: '/oauth2/sign_in?rd=https%3A%2F%2Felsewhere.test%2F' },
  'starts over the rate limit': { path: '/oauth2/start' },
  'one person who opens the home page': { path: '/', headers: {}, signedIn: true },
  'forged cookies': { path: '/oauth2/auth', headers: target('/pages/1'), forged: true },
}

const stage = await openStage()
try {
  const cookies = await addSessions(stage, 200)
  const gateway = await startGateway(stage, { server: { rateLimit: 120 }, config: { log: { access: 'denied' } } })
  let logged = 0
  gateway.child.stdout.on('data', (chunk) => {
    logged += chunk.length
  })
  await warm(gateway.url, cookies)
  await measured(2, cookies[0], gateway, async () => sleep(2_000)) // what any traffic takes at first
  say(`| ${COLUMNS.join(' | ')} |`)
  say('|---|---|---|---|---|---|')
  const row = async (name, run) => {
    if (!name.includes(process.env.ONLY ?? '')) return
    const bytes = logged
    const { result, cpu, p50, p99 } = await measured(SECONDS, cookies[0], gateway, run)
    const rate = result === undefined ? '' : result.rate.toFixed(0)
    const log = ((logged - bytes) / SECONDS).toFixed(0)
    say(`| ${name} | ${rate} | ${cpu.toFixed(1)} | ${log} | ${p50.toFixed(2)} | ${p99.toFixed(2)} |`)
    await sleep(1_500) // the summary of the refusals
  }
  await row('none', () => sleep(SECONDS * 1_000))
  for (const [name, flood] of Object.entries(FLOODS)) {
    const script = `${asking(flood, cookies[1])}\ndelay = function() return ${PACE.delay} end`
    await row(name, () => wrk(stage, { url: gateway.url, script, connections: PACE.connections, seconds: SECONDS }))
  }
  await row('slow bodies at the management port', () => trickle(gateway.management))
} finally {
  await stage.close()
}

function target(path) {
  return { 'X-Original-URL': `https://wiki.bench.test${path}`, 'X-Original-Method': 'GET' }
}

/** A wrk script: the same request each time, from one address. */
function asking({ path, headers = {}, signedIn = false, forged = false }, cookie) {
  const sent = forged ? `forged${cookie.slice(6)}` : cookie
  const own = signedIn || forged ? { Cookie: `gatehouse_session=${sent}` } : {}
  const all = { 'X-Forwarded-For': '203.0.113.9', 'Accept': 'text/html', ...headers, ...own }
  const fields = Object.entries(all).map(([name, value]) => `[${JSON.stringify(name)}] = ${JSON.stringify(value)}`)
  const lua = fields.join(', ')
  return `request = function() return wrk.format("GET", ${JSON.stringify(path)}, { ${lua} }) end`
}

/** Runs a load beside one session that asks all the time. @returns CPU in percent, latencies in ms */
async function measured(seconds, cookie, gateway, run) {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const headers = { ...target('/pages/1'), cookie: `gatehouse_session=${cookie}` }
  const taken = []
  const timer = setInterval(() => {
    const began = performance.now()
    request(`${gateway.url}/oauth2/auth`, { agent, headers }, (response) => {
      response.resume()
      response.on('end', () => {
        taken.push(response.statusCode === 200 ? performance.now() - began : Infinity)
      })
    }).on('error', () => {
      taken.push(Infinity)
    }).end()
  }, LEGITIMATE_EVERY_MS)
  const [cpu, began] = [cpuOf(gateway.child), performance.now()]
  const result = await run()
  const elapsed = (performance.now() - began) / 1_000
  clearInterval(timer)
  await sleep(200)
  agent.destroy()
  return {
    result,
    cpu: (cpuOf(gateway.child) - cpu) / elapsed * 100,
    p50: quantile(taken, 0.5),
    p99: quantile(taken, 0.99),
  }
}

/** Sockets that send a body byte by byte; one that is closed is opened again. */
async function trickle(port) {
  const until = performance.now() + SECONDS * 1_000
  let requests = 0
  const one = async () => {
    while (performance.now() < until) {
      requests++
      const socket = connect(port, '127.0.0.1').on('error', () => {})
      socket.write('POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n')
      while (!socket.destroyed && performance.now() < until) {
        socket.write('x')
        await sleep(100)
      }
      socket.destroy()
    }
  }
  await Promise.all(Array.from({ length: SLOW_SOCKETS }, one))
  return { rate: requests / SECONDS }
}
