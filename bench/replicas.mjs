// How long a session that was ended is still accepted: two and four replicas on one PostgreSQL, idle and with checks
// and logins beside, and two behind PgBouncer in transaction mode; 1,000 trials each. A trial deletes the row of a warm
// session and asks every replica until it answers 401. Prints; judges nothing.
// TRIALS makes it shorter.
import { fork, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID } from '../dist/demo/people.js'
import { addSessions, freePort, openStage, quantile, say, startGateway, stop, tell } from './stage.mjs'

const TRIALS = Number(process.env.TRIALS ?? 1_000)
const CHECKS_A_SECOND = 500
const LOGINS_A_SECOND = 50
const SECRET = 'bench~secret'
const agent = new Agent({ keepAlive: true, maxSockets: 64 })

const stage = await openStage()
try {
  const publicUrl = `http://127.0.0.1:${await freePort()}` // of a proxy that is not there
  const load = stage.track(fork(new URL('replica-load.mjs', import.meta.url)))
  const entra = await tell(load, { kind: 'entra', publicUrl, secret: SECRET })
  for (const replicas of [2, 4]) {
    const config = {
      entra: {
        tenantId: DEMO_TENANT_ID,
        clientId: DEMO_CLIENT_ID,
        clientSecret: SECRET,
        authorityHost: entra.url,
        graphUrl: entra.graphUrl,
        allowHttp: true,
      },
    }
    const gateways = await Promise.all(
      Array.from(
        { length: replicas },
        (_, index) => startGateway(stage, { rules: 0, name: `gateway-${replicas}-${index}`, publicUrl, config }),
      ),
    )
    say(`${replicas} replicas, idle: ${await believed(gateways)}`)
    await tell(load, {
      kind: 'start',
      urls: gateways.map(({ url }) => url),
      publicUrl,
      cookies: await addSessions(stage, 200),
      checks: CHECKS_A_SECOND,
      logins: LOGINS_A_SECOND,
    })
    const figures = await believed(gateways)
    const { checks, logins, failed, error, seconds } = await tell(load, { kind: 'stop' })
    say(
      `${replicas} replicas, ${(checks / seconds).toFixed(0)} checks and ${
        (logins / seconds).toFixed(0)
      } logins a second beside${failed > 0 ? ` (${failed} failed: ${error})` : ''}: ${figures}`,
    )
    for (const { child } of gateways) await stop(child)
  }
  const url = await startPooler()
  const pooled = await Promise.all(
    [1, 2].map((index) =>
      startGateway(stage, {
        rules: 0,
        name: `pooled-${index}`,
        publicUrl,
        config: { database: { url, poolSize: 10 } },
      })
    ),
  )
  say(`two replicas behind PgBouncer in transaction mode, idle: ${await believed(pooled)}`)
} finally {
  agent.destroy()
  await stage.close()
}

/** @returns the address of the database through PgBouncer */
async function startPooler() {
  const { hostname, port: server, username, password, pathname } = new URL(stage.url)
  const port = await freePort()
  const file = join(stage.home, 'pgbouncer.ini')
  writeFileSync(
    file,
    `[databases]
* = host=${hostname} port=${server} user=${decodeURIComponent(username)} password=${decodeURIComponent(password)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
ignore_startup_parameters = statement_timeout, lock_timeout, idle_in_transaction_session_timeout
`,
  )
  const user = process.getuid() === 0 ? ['-u', 'nobody'] : []
  const child = stage.track(spawn('pgbouncer', [...user, file], { stdio: 'ignore' }))
  await new Promise((resolve, reject) => {
    child.once('error', reject)
    setTimeout(resolve, 1_000)
  })
  return `postgres://${username}@127.0.0.1:${port}${pathname}`
}

async function believed(gateways) {
  const latencies = []
  for (let trial = 0; trial < TRIALS;) {
    const cookies = await addSessions(stage, Math.min(100, TRIALS - trial))
    for (const cookie of cookies) {
      for (const gateway of gateways) if (await check(gateway, cookie) !== 200) throw new Error('not warm')
      latencies.push(...await endAndWatch(gateways, cookie))
      trial++
    }
  }
  return `an ended session was accepted for p50 ${quantile(latencies, 0.5).toFixed(1)} ms, p99 ${
    quantile(latencies, 0.99).toFixed(1)
  } ms, at most ${Math.max(...latencies).toFixed(1)} ms (${latencies.length} readings)`
}

function check({ url }, cookie) {
  return new Promise((resolve, reject) => {
    request(`${url}/oauth2/auth`, {
      agent,
      headers: {
        'cookie': `gatehouse_session=${cookie}`,
        'x-original-url': 'https://wiki.bench.test/',
        'x-original-method': 'GET',
      },
    }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
    }).on('error', reject).end()
  })
}

/**
 * Milliseconds from the answer to the deletion until the first 401 of each replica, which is that of a question's way
 * at least.
 */
async function endAndWatch(gateways, cookie) {
  const id = decodeURIComponent(cookie).split('.')[0]
  await stage.query('delete from sessions where id_hash = sha256($1::bytea)', [Buffer.from(id)])
  const committed = performance.now()
  return await Promise.all(gateways.map(async (gateway) => {
    while (await check(gateway, cookie) !== 401) {
      if (performance.now() - committed > 20_000) throw new Error('accepted for twenty seconds')
    }
    return performance.now() - committed
  }))
}
