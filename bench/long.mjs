// Memory over a long time: ten million checks, with 100,000 sessions that begin and end meanwhile. A login is a row inserted and an end a
// row deleted, which PostgreSQL tells the gateway as it tells any: the gateway's own part of a login is bench/login.mjs's business. In
// each slice the sessions of the slice before end and as many begin. Prints; judges nothing. CHECKS makes it shorter.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addSessions, drawing, metric, openStage, say, startGateway, wrk } from './stage.mjs'

const CHECKS = Number(process.env.CHECKS ?? 10_000_000)
const LOGINS = 100_000
const SLICES = 20
const SECONDS = 5

const stage = await openStage()
try {
  const gateway = await startGateway(stage, { flags: ['--expose-gc', '--import', './bench/measure.mjs'] })
  const file = join(stage.home, 'cookies')
  const checks = () => metric(gateway, 'gatehouse_forward_auth_duration_seconds_count{endpoint="/oauth2/auth",status="200"}')
  const slice = async (until) => {
    const cookies = await addSessions(stage, LOGINS / SLICES)
    writeFileSync(file, cookies.join('\n'))
    while (await checks() < until) await wrk(stage, { url: gateway.url, script: drawing(file, { path: '/pages/' }), seconds: SECONDS })
    await stage.query('delete from users') // their sessions, groups and identities go with them
  }
  await slice(CHECKS / SLICES / 10) // what any traffic takes is there from now on
  const before = await checks()
  for (let number = 1; number <= SLICES; number++) {
    await slice(before + CHECKS * number / SLICES)
    if (number % (SLICES / 10) === 0) say(`${number * 100 / SLICES} %: ${await memory(gateway.child)}; ${await metric(gateway, 'gatehouse_cached_sessions')} sessions in memory`)
  }
  say(`${await checks() - before} checks, ${LOGINS} sessions begun and ended`)
} finally {
  await stage.close()
}

async function memory(child) {
  child.send('memory')
  const { rss, heap } = await new Promise((resolve) => child.once('message', resolve))
  return `${(rss / 1024 ** 2).toFixed(1)} MB resident after a collection, ${(heap / 1024 ** 2).toFixed(1)} MB of heap`
}
