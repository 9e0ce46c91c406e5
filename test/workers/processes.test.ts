// Workers as processes on one port: they start, answer, end, come back, and stop as one gateway. The built program
// (dist/cli.js) runs.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { CLIENT_SECRET, ENCRYPTION_SECRET, SESSION_SECRET } from '../helpers/gateway.js'
import { kill } from '../helpers/leftovers.js'
import { startMortalPostgres } from '../helpers/killable-postgres.js'
import { startLoad } from '../helpers/load.js'
import { skip } from '../helpers/programs.js'
import { connect } from '../helpers/sql.js'
import { until } from '../helpers/until.js'
import { isRunning, serveWorkers, valueOf, type ServedWorkers } from '../helpers/workers.js'

const linux = (t: Test): boolean => {
  if (process.platform === 'linux') return true
  skip(t, 'processes are looked up in /proc, which only Linux has')
  return false
}

const askMany = (served: ServedWorkers, count: number, ...args: Parameters<ServedWorkers['ask']>) =>
  Promise.all(Array.from({ length: count }, () => served.ask(...args)))

t.test('two workers answer on one port, and share sessions', async (t) => {
  const served = await serveWorkers(t)
  const browser = await served.signIn(PERSON_IDS.guest)
  t.strictSame(new Set(await askMany(served, 40, browser)), new Set([200]), 'on every connection')
  t.strictSame(new Set(await askMany(served, 40)), new Set([401]), 'nobody without a session')
  const refused = served.lines().filter(({ code }) => code === 'not_signed_in')
  const answering = new Set(refused.map(({ worker }) => worker))
  t.strictSame(answering, new Set([1, 2]), 'both answer')
  const pids = await served.pids()
  t.equal(new Set([...pids, served.primary.pid]).size, 3, 'each is a process of its own')

  const query = await connect(t, served.databaseUrl)
  await query('delete from sessions')
  await sleep(1_000)
  t.strictSame(new Set(await askMany(served, 40, browser)), new Set([401]), 'a revoked session is refused by both')

  const lines = served.lines().map(({ msg }) => String(msg))
  for (const once of ['Gatehouse is listening', 'configuration in force']) {
    t.equal(lines.filter((line) => line === once).length, 1, once)
  }
  const migrations = served.lines().flatMap(({ migration }) => migration === undefined ? [] : [migration])
  t.ok(migrations.length > 5)
  t.equal(new Set(migrations).size, migrations.length, 'each migration is applied once')
  const { status, parts } = await served.health()
  t.equal(status, 200)
  t.match(parts, { database: 'ok', config: 'ok', changes: 'connected', replicas: { different: [] } })
  const names = await query('select name from replicas order by name')
  t.match(names, [{ name: /-1$/ }, { name: /-2$/ }], 'each is a replica with a name of its own')
})

t.test('counts of all workers are written when they stop, and added', async (t) => {
  const served = await serveWorkers(t, { config: { admin: {} } })
  t.strictSame(new Set(await askMany(served, 40)), new Set([401]))
  served.primary.kill('SIGTERM')
  t.equal(await served.ended, 0)
  const query = await connect(t, served.databaseUrl)
  const rows = await query<{ replica: string, count: number }>(
    "select replica, count::int as count from activity_counts where kind = 'answer' and key = 'not_signed_in'",
  )
  t.equal(rows.reduce((sum, { count }) => sum + count, 0), 40)
  t.equal(new Set(rows.map(({ replica }) => replica)).size, 2, 'each worker counts by itself')
})

t.test('no secret is in the arguments, the environment or the log of a worker', async (t) => {
  if (!linux(t)) return
  const served = await serveWorkers(t, { config: { log: { level: 'trace' } } })
  await served.signIn(PERSON_IDS.guest)
  const pids = await served.pids()
  t.equal(pids.length, 2)
  const places = pids.flatMap((pid) =>
    ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'))
  )
  const log = served.lines().map((line) => JSON.stringify(line))
  for (const secret of [CLIENT_SECRET, SESSION_SECRET, ENCRYPTION_SECRET]) {
    t.notOk([...places, ...log].some((text) => text.includes(secret)))
  }
})

t.test('a worker that is killed comes back, and the other one goes on', async (t) => {
  if (!linux(t)) return
  const served = await serveWorkers(t)
  const browser = await served.signIn(PERSON_IDS.guest)
  await askMany(served, 10, browser)
  const before = valueOf(await served.metrics(), 'gatehouse_logins_started_total')
  const [victim = NaN, other = NaN] = await served.pids()
  const load = startLoad(100, async () => {
    const status = await served.ask(browser)
    return status === 200 ? 'ok' : `status ${status}`
  })
  await sleep(1_000)
  kill(victim, 'SIGKILL')
  t.ok(await served.logged('a worker was ended by SIGKILL'))
  t.ok(await served.ready(), 'it comes back')
  const outcomes = await load.stop()
  const failed = outcomes.filter(({ result }) => result !== 'ok')
  t.comment(
    `${outcomes.length} requests, ${failed.length} failed: ${JSON.stringify(failed.map(({ result }) => result))}`,
  )
  t.notOk(failed.some(({ result }) => result.startsWith('status')), 'no wrong answer')
  t.ok(failed.length < outcomes.length / 10, 'only what the killed one had under way')
  const [back, still] = await served.pids()
  t.not(back, victim)
  t.equal(still, other)
  t.match(served.lines().find(({ exitCode }) => exitCode !== undefined), {
    level: 'error',
    worker: 1,
    workerPid: victim,
    signal: 'SIGKILL',
  })
  const metrics = await served.metrics()
  t.equal(valueOf(metrics, 'gatehouse_worker_deaths_total'), 1)
  t.equal(valueOf(metrics, 'gatehouse_logins_started_total'), before, 'what it had counted is kept')
  t.equal(valueOf(metrics, 'gatehouse_workers{state="ready"}'), 2)
  const query = await connect(t, served.databaseUrl)
  const names = await query("select distinct name from replicas where heartbeat_at > now() - interval '3 seconds'")
  t.equal(names.length, 2, 'it has the name of the one before')
})

t.test('three deaths within a minute end the whole', async (t) => {
  if (!linux(t)) return
  const served = await serveWorkers(t)
  for (let death = 1; death <= 3; death++) {
    const [victim = NaN] = await served.pids()
    kill(victim, 'SIGKILL')
    t.ok(await served.logged('a worker was ended by SIGKILL', death))
    if (death < 3) t.ok(await served.ready())
  }
  t.equal(await served.ended, 1, 'a failure')
  t.match(served.lines().filter(({ level }) => level === 'fatal'), [{ detail: /^three workers have ended/ }])
})

t.test('SIGTERM to the whole group completes what is in progress, and ends all', async (t) => {
  if (!linux(t)) return
  const served = await serveWorkers(t)
  const browser = await served.signIn(PERSON_IDS.guest)
  const pids = await served.pids()
  const load = startLoad(50, async () => {
    const status = await served.ask(browser)
    return status === 200 ? 'ok' : String(status)
  })
  await sleep(500)
  process.kill(-(served.primary.pid ?? NaN), 'SIGTERM')
  const signalled = performance.now()
  t.ok(await until(async () => (await served.health()).status === 503, 5_000), 'readiness fails at once')
  await served.ended
  const outcomes = await load.stop()
  const failed = outcomes.filter(({ result }) => result !== 'ok')
  t.strictSame(
    failed.filter(({ at }) => at < signalled + 400),
    [],
    'every request before and shortly after is answered',
  )
  t.strictSame(
    failed.filter(({ result }) => /^\d/.test(result)),
    [],
    'later connections are refused, and get no answer',
  )
  t.equal(served.primary.exitCode, 0)
  t.strictSame(pids.filter(isRunning), [])
  const lines = served.lines().map(({ msg }) => String(msg))
  t.strictSame([lines.filter((line) => line === 'stopping').length, lines.at(-1)], [1, 'stopped'])
  t.notOk(lines.some((line) => line.startsWith('a worker was ended')))
})

t.test('workers end by themselves when the primary process is killed', async (t) => {
  if (!linux(t)) return
  const served = await serveWorkers(t)
  const pids = await served.pids()
  served.primary.kill('SIGKILL')
  t.ok(await until(() => !pids.some(isRunning)), 'none is left')
  await serveWorkers(t, {
    databaseUrl: served.databaseUrl,
    config: { server: { port: Number(new URL(served.url).port), publicUrl: served.url } },
  })
  t.equal(await served.ask(), 401, 'another one can start in its place')
})

t.test('a failure of the first start ends the whole with one message', async (t) => {
  const first = await serveWorkers(t)
  const port = Number(new URL(first.url).port)
  const second = await serveWorkers(t, { config: { server: { port, publicUrl: first.url } }, unready: true })
  t.equal(await second.ended, 1)
  t.match(second.lines().filter(({ level }) => level === 'fatal'), [{
    code: 'port_unusable',
    remedy: /server\.port/,
    msg: 'Gatehouse could not start',
  }])
  t.equal((await first.health()).status, 200)
})

/** A module for NODE_OPTIONS. */
const module = (source: string): Record<string, string> => ({
  NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=data:text/javascript,${encodeURIComponent(source)}`,
})

const LISTENING_FAILS = `
import { Server } from 'node:net'
const { listen } = Server.prototype
Server.prototype.listen = function (...args) {
  if (args[0]?.host !== '127.0.0.2') return listen.apply(this, args)
  const root = Object.assign(new Error('the root'), { code: 'E_ROOT', secret: 'canary' })
  throw Object.assign(new TypeError('no socket', { cause: root }), { code: 'E_SOCKET' })
}`

t.test('a start that fails is logged by workers with the fields of a single process, and their causes', async (t) => {
  const logged = async (workers: number) => {
    const config = { server: { host: '127.0.0.2', workers } }
    const served = await serveWorkers(t, { config, environment: module(LISTENING_FAILS), unready: true })
    t.equal(await served.ended, 1)
    const lines = served.lines().filter(({ level }) => level === 'fatal')
    t.equal(lines.length, 1)
    const { time: _time, ...fields } = lines[0] ?? {}
    return fields
  }
  const err = { type: 'TypeError', code: 'E_SOCKET', message: 'no socket', stack: /at Server.listen/ }
  const cause = { type: 'Error', code: 'E_ROOT', message: 'the root', stack: /Error: the root/ }
  const several = await logged(2)
  t.match(several, { err: { ...err, cause }, msg: 'Gatehouse could not start' })
  t.notOk(JSON.stringify(several).includes('"secret"'))
  t.strictSame(withoutStacks(several), withoutStacks(await logged(1)))
})

const OTHER_VERSION = (file: string): string => `
import { existsSync } from 'node:fs'
const { send } = process
if (send !== undefined && existsSync(${JSON.stringify(file)})) {
  process.send = (message, ...rest) =>
    send.call(process, message.kind === 'loaded' ? { ...message, version: '0.0.1' } : message, ...rest)
}`

// proves: workers-same-version
t.test('a worker of another version is given no configuration, and the whole ends', async (t) => {
  if (!linux(t)) return
  const replaced = join(t.testdir(), 'replaced')
  const served = await serveWorkers(t, { environment: module(OTHER_VERSION(replaced)) })
  writeFileSync(replaced, '')
  const [victim = NaN] = await served.pids()
  kill(victim, 'SIGKILL')
  t.ok(await until(() => served.primary.exitCode !== null), 'it ends')
  t.equal(served.primary.exitCode, 1)
  const lines = served.lines()
  const refused = { level: 'error', worker: 1, code: 'internal', detail: /version 0\.0\.1,/, remedy: /Restart/ }
  t.match(lines.filter(({ exitCode }) => exitCode !== undefined).slice(1), [refused, refused])
  t.equal(lines.filter(({ msg }) => msg === 'a worker is ready').length, 2, 'only those of this version')
})

/** Two processes are called from different places. */
const withoutStacks = (fields: unknown): unknown =>
  JSON.parse(JSON.stringify(fields, (key, value: unknown) => key === 'stack' ? typeof value : value))

// proves: workers-connections-closed
t.test('a connection that a killed worker had not accepted is closed', async (t) => {
  if (!linux(t)) return
  const served = await serveWorkers(t)
  const [victim = NaN] = await served.pids()
  kill(victim, 'SIGSTOP')
  const asked = Array.from({ length: 10 }, () => served.ask().then(String, (error: { code?: string }) => error.code))
  const results: (string | undefined)[] = []
  for (const each of asked) void each.then((result) => results.push(result))
  t.ok(await until(() => results.length === 9), 'one was given to the worker that does not answer')
  kill(victim, 'SIGKILL')
  t.ok(await until(() => results.length === 10), 'its client gets the end of the connection')
  t.strictSame(results, [...Array.from({ length: 9 }, () => '401'), results[9]])
  t.not(results[9], '401')
})

t.test('a worker that hangs is shown, and after half a minute another one takes its place', async (t) => {
  if (!linux(t)) return
  const served = await serveWorkers(t)
  const [hung = 0] = await served.pids()
  kill(hung, 'SIGSTOP')
  t.ok(await served.logged('a worker does not answer'))
  const { status, parts } = await served.health()
  t.equal(status, 200, 'the other one is ready')
  t.match(parts.workers, { 1: { state: 'silent', pid: hung }, 2: { state: 'ready' } })
  const metrics = await served.metrics()
  t.equal(valueOf(metrics, 'gatehouse_workers{state="silent"}'), 1)
  t.equal(valueOf(metrics, 'gatehouse_workers{state="ready"}'), 1)
  t.ok(await served.logged('a worker was ended by SIGKILL'))
  t.ok(await served.ready())
  t.notOk(isRunning(hung))
  t.equal(valueOf(await served.metrics(), 'gatehouse_worker_deaths_total'), 1)
})

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter((id) => id !== '').map(Number)

// proves: workers-stop-during-start
t.test('SIGTERM ends a start in which a worker hangs', async (t) => {
  if (!linux(t)) return
  const served = await serveWorkers(t, { unready: true })
  const workers = (): number[] => childrenOf(served.primary.pid ?? 0)
  t.ok(await until(() => workers().length === 2))
  const [hung = 0] = workers()
  kill(hung, 'SIGSTOP')
  served.primary.kill('SIGTERM')
  t.ok(await until(() => served.primary.exitCode !== null, 100_000), 'it ends')
  t.equal(served.primary.exitCode, 0)
  t.notOk(isRunning(hung))
  t.equal(served.lines().at(-1)?.msg, 'stopped')
})

t.test('SIGTERM to the whole group that ends workers before they ignore it is a stop', async (t) => {
  if (!linux(t)) return
  const served = await serveWorkers(t, { unready: true })
  while (childrenOf(served.primary.pid ?? 0).length < 2) await sleep(1)
  process.kill(-(served.primary.pid ?? 0), 'SIGTERM')
  t.equal(await served.ended, 0)
  t.strictSame(served.lines().filter(({ level }) => level === 'fatal' || level === 'error'), [])
})

// proves: workers-stop-bounded
t.test('a worker that does not stop is killed', async (t) => {
  if (!linux(t)) return
  const served = await serveWorkers(t)
  const [frozen = NaN] = await served.pids()
  kill(frozen, 'SIGSTOP')
  served.primary.kill('SIGTERM')
  t.ok(await until(() => served.primary.exitCode !== null), 'the primary process ends')
  t.notOk(isRunning(frozen))
})

// proves: workers-database-no-death
t.test('a worker that finds no database when it comes back tries again, and the others answer', async (t) => {
  if (!linux(t)) return
  const postgres = await startMortalPostgres(t)
  const served = await serveWorkers(t, {
    databaseUrl: postgres.url,
    config: { session: { outageGrace: '15m' } },
  })
  const browser = await served.signIn(PERSON_IDS.guest)
  await askMany(served, 20, browser)
  const [victim = NaN] = await served.pids()
  postgres.kill()
  kill(victim, 'SIGKILL')
  t.ok(await served.logged('a worker cannot start, and tries again'))
  t.ok(
    await until(async () => {
      const { parts } = await served.health()
      return /^starting: .*(refused|database|reach)/i.test(parts.workers['1']?.state ?? '')
    }),
    'it is shown as starting, with the reason',
  )
  t.strictSame(new Set(await askMany(served, 20, browser)), new Set([200]), 'the other one answers from memory')
  t.equal((await served.health()).status, 503, 'as any replica without a database')
  await sleep(10_000)
  t.equal(served.lines().filter(({ exitCode }) => exitCode !== undefined).length, 1, 'that is no death')
  await postgres.start()
  t.ok(await served.ready(), 'it comes back')
  t.equal((await served.health()).status, 200)
})
