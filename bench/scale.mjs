// What the auth endpoint costs as things grow: sessions stored, rules, logins beside, first checks; and the redirect of
// a browser that is not signed in. Short alternating wrk runs on the same cores; medians and ratios. Prints; judges
// nothing.
// STORED, SECONDS and ROUNDS make it shorter.
import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID } from '../dist/demo/people.js'
import {
  addSessions,
  answerTo,
  drawing,
  freePort,
  median,
  metric,
  openStage,
  say,
  startBare,
  startGateway,
  stop,
  tell,
  warm,
  wrk,
} from './stage.mjs'

const STORED = Number(process.env.STORED ?? 1_000_000)
const SECONDS = Number(process.env.SECONDS ?? 2)
const ROUNDS = Number(process.env.ROUNDS ?? 9)
const WORKING_SET = 1_000
const MISSES = 30_000
const SECRET = 'bench~secret'

const few = await openStage()
const many = await openStage()
try {
  const cookies = await addSessions(few, WORKING_SET)
  const file = cookieFile(few, 'cookies', cookies)
  const gateway = await startGateway(few, { rules: 50 })
  await warm(gateway.url, cookies)
  const script = drawing(file, { path: '/pages/' })

  await storedSessions(gateway, script)
  await rules(script, cookies)
  await loginsBeside()
  await firstChecks()
  await redirects(gateway)
} finally {
  await few.close()
  await many.close()
}

function cookieFile(stage, name, cookies) {
  const file = join(stage.home, name)
  writeFileSync(file, cookies.join('\n'))
  return file
}

/** Each in turn, ROUNDS times. @returns medians */
async function alternately(contestants) {
  const runs = contestants.map(() => [])
  for (let round = 0; round < ROUNDS; round++) {
    for (
      const [index, { url, script, child, before = async () => {}, after = async () => {} }] of contestants.entries()
    ) {
      await before()
      runs[index].push(await wrk(few, { url, script, seconds: SECONDS, child }))
      await after()
    }
  }
  return runs.map((each) =>
    Object.fromEntries(['rate', 'p50', 'p99', 'cpu'].map((key) => [key, median(each.map((run) => run[key]))]))
  )
}

function compared(name, [one, other]) {
  say(
    `${name}: ratio ${(other.rate / one.rate).toFixed(2)} (CPU ${(one.cpu / other.cpu).toFixed(2)}); ${
      other.rate.toFixed(0)
    } against ${one.rate.toFixed(0)} a second, ${other.cpu.toFixed(1)} against ${
      one.cpu.toFixed(1)
    } microseconds of CPU, p99 ${other.p99} against ${one.p99} ms`,
  )
}

async function storedSessions(gateway, script) {
  const cookies = await addSessions(many, WORKING_SET)
  await many.query(`insert into sessions (id_hash, public_id, user_id)
    select sha256((u.id || ' ' || n)::bytea), 'ses_' || substr(md5(u.id || ' ' || n), 1, 12), u.id from users u cross
      join generate_series(2, ${Math.round(STORED / WORKING_SET)}) n`)
  await many.query('analyze')
  const other = await startGateway(many, { rules: 50 })
  await warm(other.url, cookies)
  compared(
    `${STORED} sessions stored against ${WORKING_SET}, ${WORKING_SET} of them warm`,
    await alternately([{ url: gateway.url, script, child: gateway.child }, {
      url: other.url,
      script: drawing(cookieFile(many, 'cookies', cookies), { path: '/pages/' }),
      child: other.child,
    }]),
  )
  await stop(other.child)
}

async function rules(script, cookies) {
  const gateways = await Promise.all(
    [1, 200].map((count) => startGateway(few, { rules: count, name: `rules-${count}` })),
  )
  for (const { url } of gateways) await warm(url, cookies)
  compared(
    '200 access rules against 1, the last one decides',
    await alternately(gateways.map(({ url, child }) => ({ url, script, child }))),
  )
  for (const { child } of gateways) await stop(child)
}

async function loginsBeside() {
  const publicUrl = `http://127.0.0.1:${await freePort()}` // of a proxy that is not there
  const load = few.track(fork(new URL('replica-load.mjs', import.meta.url)))
  const entra = await tell(load, { kind: 'entra', publicUrl, secret: SECRET })
  const gateway = await startGateway(few, {
    rules: 50,
    name: 'logins',
    publicUrl,
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
  const cookies = await addSessions(few, WORKING_SET)
  await warm(gateway.url, cookies)
  const one = {
    url: gateway.url,
    child: gateway.child,
    script: drawing(cookieFile(few, 'beside', cookies), { path: '/pages/' }),
  }
  let done = 0
  let failed = 0
  const beside = {
    ...one,
    before: () => tell(load, { kind: 'start', urls: [gateway.url], publicUrl, cookies, checks: 0, logins: 50 }),
    after: async () => {
      const told = await tell(load, { kind: 'stop' })
      done += told.logins
      failed += told.failed
    },
  }
  const [alone, together] = await alternately([one, beside])
  compared(
    `${
      (done / (ROUNDS * SECONDS)).toFixed(0)
    } logins a second beside (${failed} failed; the gateway's CPU for them is counted in) against none`,
    [alone, together],
  )
  await stop(gateway.child)
  await stop(load)
}

/** Sessions that are not in memory, each asked about once. A question to the database is a transaction of its own. */
async function firstChecks() {
  const gateway = await startGateway(few, { rules: 50, name: 'misses' })
  const cookies = await addSessions(few, MISSES)
  const script = drawing(cookieFile(few, 'misses', cookies), { path: '/pages/' }).replace(
    'request = function()',
    'local turn = 0\nrequest = function()\n  turn = turn + 1\n  if turn > #cookies then wrk.thread:stop() end',
  ).replace('cookies[math.random(#cookies)]', 'cookies[turn]')
  const transactions = async () =>
    Number(
      (await few.query('select xact_commit from pg_stat_database where datname = current_database()'))[0].xact_commit,
    )
  await sleep(11_000) // statistics are handed over by idle connections every ten seconds
  const [before, asked] = [
    await transactions(),
    await metric(gateway, 'gatehouse_session_lookups_total{source="database"}'),
  ]
  const { rate, cpu, p50, p99 } = await wrk(few, { url: gateway.url, script, seconds: 3, child: gateway.child })
  const misses = await metric(gateway, 'gatehouse_session_lookups_total{source="database"}') - asked
  await sleep(11_000)
  say(
    `first checks of sessions: ${rate.toFixed(0)} a second, ${
      cpu.toFixed(0)
    } microseconds of CPU, p50 ${p50} ms, p99 ${p99} ms; ${misses} misses, ${
      ((await transactions() - before) / misses).toFixed(2)
    } transactions each, heartbeats and notes of use included`,
  )
  await stop(gateway.child)
}

async function redirects(gateway) {
  const headers = {
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'wiki.bench.test',
    'x-forwarded-uri': '/pages/1/page?x=1',
    'x-forwarded-method': 'GET',
    'accept': 'text/html',
    'sec-fetch-mode': 'navigate',
    'sec-fetch-dest': 'document',
  }
  const answer = await answerTo(`${gateway.url}/oauth2/forward-auth`, headers)
  if (answer.status !== 302) throw new Error(`a redirect was ${answer.status}`)
  const bare = await startBare(few, 'fastify', answer, { path: '/oauth2/forward-auth' })
  const script = `request = function() return wrk.format("GET", "/oauth2/forward-auth", { ["Host"] = "127.0.0.1", ${
    Object.entries(headers).map(([name, value]) => `["${name}"] = "${value}"`).join(', ')
  } }) end`
  compared(
    '302 of a browser that is not signed in against a bare Fastify route',
    await alternately([{ url: bare.url, script, child: bare.child }, {
      url: gateway.url,
      script,
      child: gateway.child,
    }]),
  )
  await stop(bare.child)
}
