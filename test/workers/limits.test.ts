// What several workers may do together is what one process may do: requests of a client, log lines. The built program
// (dist/cli.js) runs.
import t from 'tap'
import { machineClock } from '../../src/core/siblings.js'
import { serveWorkers, valueOf, type Line, type ServedWorkers } from '../helpers/workers.js'

const START = '/oauth2/start'
const LIMIT = 10

async function times(count: number, one: (number: number) => Promise<number>): Promise<number[]> {
  const statuses: number[] = []
  for (let number = 0; number < count; number++) statuses.push(await one(number))
  return statuses
}

const counted = (statuses: readonly number[], status: number): number =>
  statuses.filter((each) => each === status).length

const answeringWorkers = (served: ServedWorkers, holds: (line: Line) => boolean) =>
  new Set(served.lines().filter(holds).map(({ worker }) => worker))

// proves: workers-rate-limit
t.test('a limit holds for all workers together, whichever answers', async (t) => {
  const served = await serveWorkers(t, { config: { server: { rateLimit: LIMIT }, log: { access: 'all' } } })
  const statuses = await times(3 * LIMIT, () => served.get(START))
  t.strictSame([counted(statuses, 302), counted(statuses, 429)], [LIMIT, 2 * LIMIT])
  t.strictSame(statuses.slice(0, LIMIT), Array.from({ length: LIMIT }, () => 302), 'first come, first served')
  const other = await times(3 * LIMIT, () => served.get(START, { 'x-forwarded-for': '192.0.2.1' }))
  t.equal(counted(other, 302), LIMIT, 'another client')
  t.equal(counted(await times(2 * LIMIT, () => served.get('/oauth2/sign_out')), 429), LIMIT, 'another limit')
  const metrics = await served.metrics()
  t.equal(valueOf(metrics, 'gatehouse_requests_refused_total{code="rate_limited"}'), 5 * LIMIT)
  const lines = served.lines().filter(({ code }) => code === 'rate_limited')
  t.strictSame(
    new Set(lines.map(({ client }) => client)),
    new Set(['127.0.0.1', '192.0.2.1']),
    'a client that is refused is logged',
  )
  t.equal(lines.length, 2, 'once a minute, not once for each worker')
})

t.test('log lines of all workers stay within the budget', async (t) => {
  const budget = 10
  const ofAnonymous = 8 // four fifths of it
  const served = await serveWorkers(t, { config: { log: { budget } } })
  const second = () => Math.floor(machineClock() / 1_000) // the seconds in which the log counts
  const first = second()
  const statuses = await Promise.all(Array.from({ length: 400 }, () => served.ask()))
  const seconds = second() - first + 1
  t.equal(counted(statuses, 401), 400)
  t.ok(await served.logged('more requests were refused', 2), 'each worker counts what it does not log')
  const lines = served.lines().filter(({ code }) => code === 'not_signed_in')
  t.strictSame(answeringWorkers(served, ({ code }) => code === 'not_signed_in'), new Set([1, 2]))
  t.ok(lines.length <= ofAnonymous * seconds, `${lines.length} lines in ${seconds} seconds`)
  const metrics = await served.metrics()
  t.equal(valueOf(metrics, 'gatehouse_requests_refused_total{code="not_signed_in"}'), 400)
  const answers = 'gatehouse_forward_auth_duration_seconds'
  t.equal(valueOf(metrics, `${answers}_count{endpoint="/oauth2/auth",status="401"}`), 400, 'the sum')
  t.equal(valueOf(metrics, `${answers}_bucket{endpoint="/oauth2/auth",status="401",le="+Inf"}`), 400)
  t.match(metrics, /^gatehouse_info\{version="[^"]+"\} 1$/m, 'what all have in common is not summed')
  t.ok(valueOf(metrics, 'gatehouse_replicas{config="same"}') <= 2)
  t.equal(valueOf(metrics, 'gatehouse_change_listener_up'), 1)
  const started = valueOf(metrics, 'gatehouse_process_start_time_seconds')
  t.ok(Math.abs(Date.now() / 1000 - started) < 600, 'nor is the start of the process')
})
