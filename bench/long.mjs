// Memory over a long time: ten million checks, and beside them 100,000 people who sign in through the simulated Entra
// ID and out again.
// Resident memory after a collection at every tenth of it. Prints; judges nothing. CHECKS and LOGINS make it shorter.
import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID } from '../dist/demo/people.js'
import { addSessions, drawing, freePort, metric, openStage, say, startGateway, tell, warm, wrk } from './stage.mjs'

const CHECKS = Number(process.env.CHECKS ?? 10_000_000)
const LOGINS = Number(process.env.LOGINS ?? 100_000)
const LOGINS_A_SECOND = 100
const SIGNED_IN = 500
const SESSIONS = 5_000
const SECONDS = 5
const SECRET = 'bench~secret'

const stage = await openStage()
try {
  const publicUrl = `http://127.0.0.1:${await freePort()}` // of a proxy that is not there
  const load = stage.track(fork(new URL('replica-load.mjs', import.meta.url)))
  const entra = await tell(load, { kind: 'entra', publicUrl, secret: SECRET })
  const gateway = await startGateway(stage, {
    publicUrl,
    flags: ['--expose-gc', '--import', './bench/memory.mjs'],
    config: {
      entra: {
        tenantId: DEMO_TENANT_ID,
        clientId: DEMO_CLIENT_ID,
        clientSecret: SECRET,
        authorityHost: entra.url,
        graphUrl: entra.graphUrl,
        allowHttp: true,
      },
    },
  })
  const file = join(stage.home, 'cookies')
  const cookies = await addSessions(stage, SESSIONS)
  writeFileSync(file, cookies.join('\n'))
  const checks = () =>
    metric(gateway, 'gatehouse_forward_auth_duration_seconds_count{endpoint="/oauth2/auth",status="200"}')
  const logins = () => metric(gateway, 'gatehouse_login_duration_seconds_count{result="ok"}')
  const check = () =>
    wrk(stage, { url: gateway.url, script: drawing(file, { path: '/pages/' }), seconds: SECONDS, connections: 8 })

  await warm(gateway.url, cookies)
  await tell(load, {
    kind: 'start',
    urls: [gateway.url],
    publicUrl,
    cookies: [],
    checks: 0,
    logins: LOGINS_A_SECOND,
    signedIn: SIGNED_IN,
  })
  await check() // what any traffic takes is there from now on
  const before = { checks: await checks(), logins: await logins() }
  for (let tenth = 1; tenth <= 10; tenth++) {
    let done = { checks: 0, logins: 0 }
    while (done.checks < CHECKS * tenth / 10 || done.logins < LOGINS * tenth / 10) {
      await check()
      done = { checks: await checks() - before.checks, logins: await logins() - before.logins }
    }
    say(
      `${tenth * 10} %: ${await memory(gateway.child)}; ${await metric(
        gateway,
        'gatehouse_cached_sessions',
      )} sessions in memory, ${done.checks} checks, ${done.logins} logins`,
    )
  }
  const { failed, error } = await tell(load, { kind: 'stop' })
  say(
    `${
      (await stage.query('select count(*)::int as count from sessions'))[0].count - SESSIONS
    } of those who signed in are signed in still${failed > 0 ? `; ${failed} failed: ${error}` : ''}`,
  )
} finally {
  await stage.close()
}

async function memory(child) {
  child.send('memory')
  const { rss, heap } = await new Promise((resolve) => child.once('message', resolve))
  return `${(rss / 1024 ** 2).toFixed(1)} MB resident after a collection, ${(heap / 1024 ** 2).toFixed(1)} MB of heap`
}
