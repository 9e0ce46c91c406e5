// The auth endpoint against a bare Fastify route and node:http that send the same status and headers, in short
// alternating runs on the same cores: medians and ratios. Cookies are drawn at random from the cached sessions of
// people in ten groups, paths match the last of fifty rules. SESSIONS, SECONDS, ROUNDS and ONLY=status make it shorter.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  addSessions,
  answerTo,
  drawing,
  median,
  metric,
  openStage,
  say,
  startBare,
  startGateway,
  stop,
  warm,
  wrk,
} from './stage.mjs'

const SESSIONS = Number(process.env.SESSIONS ?? 100_000)
const SECONDS = Number(process.env.SECONDS ?? 2)
const ROUNDS = Number(process.env.ROUNDS ?? 9)
/** Of the flood: connections that wait so many milliseconds after each answer. */
const PACE = { connections: 84, delay: 6 }

const stage = await openStage()
const all = join(stage.home, 'cookies')
try {
  const cookies = await addSessions(stage, SESSIONS)
  writeFileSync(all, cookies.join('\n'))
  const gateway = await startGateway(stage, { flags: ['--expose-gc', '--import', './bench/memory.mjs'] })
  const first = cookies.slice(0, 1_000)
  // what any traffic takes is not what sessions take
  for (let round = 0; round < 20; round++) await warm(gateway.url, first)
  const empty = await memoryOf(gateway.child)
  await warm(gateway.url, cookies)
  const full = await memoryOf(gateway.child)
  say(
    `${SESSIONS} cached sessions against ${first.length}, after a collection: ${
      (full.heap - empty.heap).toFixed(0)
    } MB more of heap, ${(full.rss - empty.rss).toFixed(0)} MB more resident (${full.rss.toFixed(0)} MB in all)`,
  )

  const forged = join(stage.home, 'forged')
  writeFileSync(forged, cookies.slice(0, 10_000).map(forge).join('\n'))
  const cases = [
    ['200', drawing(all, { path: '/pages/' })],
    ['401, no cookie', drawing(all, { path: '/pages/' }).replace('gatehouse_session=', 'something_else=')],
    ['401, a forged cookie', drawing(forged, { path: '/pages/' })],
    ['403', drawing(all, { path: '/area-48/' })],
  ].filter(([name]) => name.startsWith(process.env.ONLY ?? ''))
  await flood(gateway, cases.filter(([name]) => name !== '403'))
  for (const [name, script] of cases) {
    const answer = await answerOf(gateway, name, cookies)
    const us = { url: gateway.url, child: gateway.child }
    const [ours, fastify, node] = await alternately(script, [
      us,
      await startBare(stage, 'fastify', answer),
      await startBare(stage, 'http', answer),
    ])
    say(
      `${name}: ratio to the bare Fastify route ${ratio(ours, fastify, 'rate')} (CPU ${
        ratio(fastify, ours, 'cpu')
      }), to node:http ${ratio(ours, node, 'rate')} (CPU ${ratio(node, ours, 'cpu')}); p99 ${
        ratio(ours, fastify, 'p99')
      } times that route's. ${middle([ours, fastify, node], 'rate', 0)} a second; ${
        middle([ours, fastify, node], 'cpu', 1)
      } microseconds of CPU; p99 ${middle([ours, fastify, node], 'p99', 1)} ms`,
    )
    if (name !== '200') continue
    const [again, lookup] = await alternately(script, [us, await startBare(stage, 'lookup', answer, { cookies: all })])
    say(
      `  to a bare Fastify route that looks everybody's own headers up in a map: ${ratio(again, lookup, 'rate')} (CPU ${
        ratio(lookup, again, 'cpu')
      })`,
    )
  }
} finally {
  await stage.close()
}

/**
 * About ten thousand requests a second of each kind, and what each of them costs: here nobody waits for the other, as
 * they do above.
 */
async function flood(gateway, cases) {
  if (cases.length === 0) return
  const told = async () => [
    await metric(gateway, 'gatehouse_session_lookups_total{source="database"}'),
    await metric(gateway, 'gatehouse_cached_sessions'),
  ]
  const runs = cases.map(() => [])
  const before = await told()
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, [, script]] of cases.entries()) {
      runs[index].push(
        await wrk(stage, {
          url: gateway.url,
          script: `${script}\ndelay = function() return ${PACE.delay} end`,
          connections: PACE.connections,
          seconds: SECONDS,
          child: gateway.child,
        }),
      )
    }
  }
  const after = await told()
  for (const [index, [name]] of cases.entries()) {
    say(
      `at ${middle([runs[index]], 'rate', 0)} a second: ${name}: ${
        middle([runs[index]], 'cpu', 1)
      } microseconds of CPU, ${ratio(runs[index], runs[0], 'cpu')} times a ${cases[0][0]}`,
    )
  }
  say(
    `  questions to the database meanwhile: ${after[0] - before[0]}; sessions in memory: ${before[1]} before, ${
      after[1]
    } after`,
  )
}

/** Of the right form, so that its signature has to be computed to see that it is none. */
function forge(cookie) {
  return `forged${cookie.slice(6)}`
}

/** Each in turn, ROUNDS times; those that are not the gateway end afterwards. */
async function alternately(script, rivals) {
  const runs = rivals.map(() => [])
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, { url, child }] of rivals.entries()) {
      runs[index].push(await wrk(stage, { url, script, seconds: SECONDS, child }))
    }
  }
  for (const { child } of rivals.slice(1)) await stop(child)
  return runs
}

/** Each round is a ratio of its own, since other programs may be in the way of a round. */
function ratio(one, other, key) {
  return median(one.map((run, round) => run[key] / other[round][key])).toFixed(2)
}

function middle(all, key, digits) {
  return all.map((runs) => median(runs.map((run) => run[key])).toFixed(digits)).join(', ')
}

/** In MB, after a collection. */
async function memoryOf(child) {
  child.send('memory')
  const { rss, heap } = await new Promise((resolve) => child.once('message', resolve))
  return { rss: rss / 1024 ** 2, heap: heap / 1024 ** 2 }
}

function cookieFor(name, cookies) {
  if (!name.startsWith('401')) return { cookie: `gatehouse_session=${cookies[0]}` }
  return name.includes('forged') ? { cookie: 'gatehouse_session=x' } : {}
}

async function answerOf(gateway, name, cookies) {
  const url = name === '403' ? 'https://wiki.bench.test/area-48/1/page?x=1' : 'https://wiki.bench.test/pages/1/page?x=1'
  const answer = await answerTo(`${gateway.url}/oauth2/auth`, {
    'x-original-url': url,
    'x-original-method': 'GET',
    'accept': 'text/html',
    ...cookieFor(name, cookies),
  })
  if (String(answer.status) !== name.slice(0, 3)) throw new Error(`${name}: ${answer.status}`)
  return answer
}
