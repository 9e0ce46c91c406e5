// The parts of several workers that need no process: how totals are divided, what is counted, which deaths are too
// many, the two phases of a reload, and metrics that are put together.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { deserialize, serialize } from 'node:v8'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { loadConfig } from '../../src/config/load.js'
import { partOf, type Announcements, type Siblings } from '../../src/core/siblings.js'
import { callbackLimitExemption } from '../../src/http/browser/callback-limit-exemption.js'
import { createLogBudget } from '../../src/http/log-budget.js'
import { createLogThrottle } from '../../src/http/log-throttle.js'
import { createLogger, openLogOutput } from '../../src/telemetry/logger.js'
import { createSummedMetrics, type MetricSnapshot } from '../../src/telemetry/summed-metrics.js'
import { configOf, handedOver, type ConfigInForce } from '../../src/workers/config-in-force.js'
import { createCounters } from '../../src/workers/counters.js'
import { createDeaths } from '../../src/workers/deaths.js'
import { createHandOver, type Participant } from '../../src/workers/hand-over.js'
import { createLiveness } from '../../src/workers/liveness.js'
import { createQuestions } from '../../src/workers/questions.js'
import type { ToPrimary, ToWorker } from '../../src/workers/messages.js'
import { received, sendable } from '../../src/workers/sent-error.js'
import { createWorkerSiblings } from '../../src/workers/siblings.js'
import { createSender } from '../../src/workers/worker-handle.js'
import { until } from '../helpers/until.js'
import { configOfWorker, workerCount } from '../../src/workers/worker-count.js'
import { GatehouseError, thrownFacts } from '../../src/core/errors.js'

t.test('the parts of all workers sum to the total, in each interval', async () => {
  fc.assert(fc.property(
    fc.integer({ min: 0, max: 200 }),
    fc.integer({ min: 1, max: 64 }),
    fc.integer({ min: 0, max: 2_000_000_000 }),
    (total, count, interval) => {
      const parts = Array.from({ length: count }, (_, index) => partOf(total, { number: index + 1, count }, interval))
      return parts.reduce((sum, part) => sum + part, 0) === total && Math.max(...parts) - Math.min(...parts) <= 1
    },
  ))
})

t.test('each worker gets a line of a small total in one of the intervals', async (t) => {
  for (let number = 1; number <= 8; number++) {
    const parts = Array.from({ length: 8 }, (_, interval) => partOf(5, { number, count: 8 }, interval))
    t.equal(parts.reduce((sum, part) => sum + part, 0), 5, `worker ${number}`)
  }
})

const silent: Announcements = { announce: () => {}, onAnnounced: () => {} }
const siblings = (number: number, count: number): Siblings => ({
  number,
  count,
  increment: async () => ({ current: 1, ttlMs: 1 }),
  announcements: () => silent,
})

// proves: workers-budget-divided
t.test('the log lines of all workers together stay within the budget of one process', async (t) => {
  const clock = { at: 0 }
  const lines: unknown[] = []
  const log = createLogger({ level: 'info', format: 'json' }, { write: (line) => lines.push(line) })
  const meter = { refused: () => {} }
  const budgets = [1, 2, 3].map((number) =>
    createLogBudget({ log, meter, budget: 50, siblings: siblings(number, 3), now: () => clock.at })
  )
  for (let second = 0; second < 9; second++) {
    clock.at = second * 1_000
    lines.splice(0)
    for (let each = 0; each < 100; each++) {
      for (const budget of budgets) budget.log.info({ code: 'not_found' }, 'request refused')
    }
    t.equal(lines.length, 40, 'refusals of anonymous clients')
    for (let each = 0; each < 100; each++) {
      for (const { log } of budgets) log.error({ code: 'database_unavailable' }, 'request failed')
    }
    t.equal(lines.length, 45, 'five lines for one fault')
  }
  for (const budget of budgets) budget.close()
})

// proves: workers-faults-logged
t.test('however many workers there are, each may log a fault and a hint in every second', async (t) => {
  const clock = { at: 0 }
  const lines: { level: string }[] = []
  const write = (line: string) => lines.push(JSON.parse(line) as { level: string })
  const log = createLogger({ level: 'info', format: 'json' }, { write })
  const count = 16
  for (const budget of [50, 5, 1]) {
    const budgets = Array.from({ length: count }, (_, index) =>
      createLogBudget({
        log,
        meter: { refused: () => {} },
        budget,
        siblings: siblings(index + 1, count),
        now: () => clock.at,
      }))
    for (let second = 0; second < count; second++) {
      clock.at += 1_000
      lines.splice(0)
      for (const { log } of budgets) {
        for (let each = 0; each < 10; each++) log.info({ code: 'not_found' }, 'request refused')
        log.warn({ hint: true }, 'a hint')
        log.error({ code: 'internal' }, 'request failed')
        log.error({ code: 'internal' }, 'request failed')
      }
      const levels = (level: string): number => lines.filter((line) => line.level === level).length
      t.ok(levels('info') <= budget, 'what clients cause stays within the budget')
      t.strictSame([levels('warn'), levels('error')], [count, count], `budget ${budget}, second ${second}`)
    }
    for (const budget of budgets) budget.close()
  }
})

// proves: workers-foreign-lines
t.test('what a worker writes beside its log is a log line in the log of the machine', async (t) => {
  for (const format of ['json', 'text'] as const) {
    const written: string[] = []
    const { forward } = openLogOutput({ format }, { write: (line) => written.push(line) })
    forward('{"level":"info","msg":"a line"}', 1)
    const cut = `{"level":"info","msg":"${'a'.repeat(2_000)}`
    for (const line of ['hello', 'null', '5', '{', '{ a: 1 }', '\u001b[31mred', cut]) forward(line, 2)
    t.equal(written.length, 8, 'each is one line')
    t.match(written[0], /a line/)
    for (const line of written.slice(1)) t.match(line, /what is no log line/)
    t.ok(written.every((line) => line.endsWith('\n') && line.length < 500))
    t.notOk(written.some((line) => line.includes('\u001b')), 'no control character')
    if (format === 'json') t.match(JSON.parse(written[1] ?? ''), { level: 'warn', worker: 2, output: 'hello' })
  }
})

const LOGS_TO_CLOSED_PIPE = `
import { createLogger, workerOutput } from './dist/telemetry/logger.js'
const log = createLogger({ level: 'info', format: 'json' }, workerOutput())
log.info('began')
process.stdin.once('data', () => {
  for (let line = 0; line < 3; line++) log.info('nobody reads this')
  setTimeout(() => process.exit(7), 200)
})
`

// proves: workers-closed-pipe
t.test('a worker goes on where nobody reads its log any more', async (t) => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', LOGS_TO_CLOSED_PIPE])
  t.teardown(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  await once(child.stdout, 'data')
  child.stdout.destroy()
  await once(child.stdout, 'close')
  child.stdin.write('now\n')
  const [code] = await once(child, 'close') as [number]
  t.equal(code, 7, 'it completed what it had begun')
  t.equal(errors, '')
})

t.test('a line that another worker has written is not written again within the interval', async (t) => {
  const clock = { at: 0 }
  let announced: (key: string) => void = () => {}
  const sent: string[] = []
  const throttle = createLogThrottle({
    intervalMs: 60_000,
    capacity: 10,
    now: () => clock.at,
    announcements: {
      announce: (key) => sent.push(key),
      onAnnounced: (listener) => {
        announced = listener
      },
    },
  })
  announced('one')
  t.strictSame([throttle.admit('one'), throttle.admit('two')], [false, true])
  t.strictSame(sent, [], 'what was not written is not announced')
  throttle.written('two')
  t.strictSame(sent, ['two'])
  clock.at = 60_001
  t.equal(throttle.admit('one'), true, 'again after the interval')
})

t.test('requests are counted by limit and client, in a window that begins with the first one', async (t) => {
  const clock = { at: 0 }
  const counters = createCounters({ now: () => clock.at })
  const count = (key: string) => counters.increment('pages', key, 60_000)
  t.strictSame(count('a'), { current: 1, ttlMs: 60_000 })
  clock.at = 59_000
  t.strictSame(count('a'), { current: 2, ttlMs: 1_000 })
  t.strictSame(count('b').current, 1)
  t.strictSame(counters.increment('signIn', 'a', 60_000).current, 1, 'another limit')
  clock.at = 60_000
  t.strictSame(count('a').current, 1, 'a new window')
})

// proves: workers-callbacks
t.test('callbacks of one sign-in are counted for all workers', async (t) => {
  const count = { current: 10, ttlMs: 1 }
  const { allowList } = callbackLimitExemption({
    flows: { chainOf: (state) => state },
    siblings: { increment: async () => count },
  })
  const request = { url: '/oauth2/callback?state=a', query: { state: 'a' } }
  const exempt = async () => await (allowList as (request: unknown) => unknown)(request)
  t.equal(await exempt(), true)
  count.current = 11
  t.equal(await exempt(), false)
})

// proves: workers-counters-bounded
t.test('the memory of the counters is bounded', async (t) => {
  const counters = createCounters({ capacity: 3 })
  const count = (key: string) => counters.increment('pages', key, 60_000).current
  count('a')
  for (const key of ['b', 'c', 'a', 'd']) count(key)
  t.equal(count('a'), 3, 'still known: it was counted lately')
  t.equal(count('b'), 1, 'the client that was counted least recently is dropped')
})

// proves: workers-three-deaths
t.test('deaths count for a minute', async (t) => {
  const clock = { at: 0 }
  const deaths = createDeaths(() => clock.at)
  t.strictSame([deaths.record(), deaths.record()], [false, false])
  clock.at = 60_000
  t.strictSame([deaths.record(), deaths.record(), deaths.record()], [false, false, true])
})

const config = (name: string) => ({ name }) as unknown as ConfigInForce

function participant(prepare: Participant['prepare'] = async () => {}) {
  const told: string[] = []
  return { told, prepare, send: ({ kind }: { kind: string }) => told.push(kind) }
}

t.test('a reload is committed by all or aborted by all', async (t) => {
  const handOver = createHandOver(config('first'))
  const [one, two] = [
    participant(),
    participant(async () => {
      throw new Error('no')
    }),
  ]
  await t.rejects(handOver.prepare(config('second'), [one, two]), { message: 'no' })
  t.strictSame([one.told, two.told], [['abort'], ['abort']])
  let given: ConfigInForce | undefined
  handOver.give((next) => {
    given = next
  })
  t.match(given, { name: 'first' })
  const three = participant()
  await handOver.prepare(config('third'), [three])
  t.strictSame(three.told, [])
  handOver.commit()
  t.strictSame(three.told, ['commit'])
})

// proves: workers-reload-ended
t.test('a worker that ends during a reload refuses it, also after it has agreed', async (t) => {
  const handOver = createHandOver(config('first'))
  const agreed = participant()
  const hung = participant(() => new Promise(() => {}))
  const reload = handOver.prepare(config('second'), [agreed, hung])
  const given: unknown[] = []
  t.equal(handOver.give((next) => given.push(next)), true, 'the one in its place waits')
  handOver.ended(participant())
  t.strictSame(given, [], 'another one has no part in it')
  handOver.ended(agreed)
  const result = await Promise.race([reload.then(() => 'in force', () => 'refused'), sleep(5_000, 'under way')])
  t.equal(result, 'refused')
  t.strictSame(given, [config('first')])
  t.strictSame(hung.told, ['abort'])
  handOver.ended(hung)
})

// proves: workers-start-during-reload
t.test('a worker that starts during a reload gets its result', async (t) => {
  for (const fails of [true, false]) {
    const handOver = createHandOver(config('first'))
    let finish: () => void = () => {}
    const slow = participant(() =>
      new Promise((resolve, reject) => {
        finish = () => fails ? reject(new Error('no')) : resolve()
      })
    )
    const reload = handOver.prepare(config('second'), [slow])
    const given: unknown[] = []
    handOver.give((next) => given.push(next))
    t.strictSame(given, [], 'it waits')
    finish()
    await reload.then(handOver.commit, () => {})
    t.strictSame(given, [config(fails ? 'first' : 'second')])
  }
})

t.test('a question without an answer in time, or to a process that has ended, fails', async (t) => {
  const questions = createQuestions<string>((reason) => new Error(reason), 20)
  const answered = questions.ask((id) => questions.answer(id, 'yes'))
  t.equal(await answered, 'yes')
  await t.rejects(questions.ask(() => {}), { message: /has not answered within 20 ms/ })
  const open = questions.ask(() => {})
  questions.close()
  await t.rejects(open, { message: 'has ended' })
  await t.rejects(questions.ask(() => {}), { message: 'has ended' })
})

t.test('a question that is dropped fails, and the next one is asked', async (t) => {
  const questions = createQuestions<string>((reason) => new Error(reason), 60_000)
  const open = questions.ask(() => {})
  questions.drop('does not answer')
  await t.rejects(open, { message: 'does not answer' })
  t.equal(await questions.ask((id) => questions.answer(id, 'yes')), 'yes')
})

// proves: workers-hung-killed
t.test('a process that does not answer is silent, and after fifteen intervals it hangs', async (t) => {
  const events: string[] = []
  const liveness = createLiveness({
    ask: () => events.push('asked'),
    onSilent() {
      t.ok(liveness.silent())
      if (events.push('silent') > 2) return
      liveness.answered()
      t.notOk(liveness.silent(), 'it answers again')
    },
    onHung: () => events.push('hung'),
    everyMs: 5,
  })
  t.teardown(() => liveness.close())
  t.notOk(liveness.silent(), 'it was not asked yet')
  t.ok(await until(() => events.includes('hung'), 20_000))
  t.strictSame(events, ['asked', 'silent', 'asked', 'silent', 'hung'], 'one question at a time')
})

// proves: workers-announced-bounded
t.test('announcements that a worker does not read are bounded in memory, and no other message is lost', async (t) => {
  const sent: ToWorker['kind'][] = []
  const read: (() => void)[] = []
  const send = createSender(({ kind }, done) => {
    sent.push(kind)
    read.push(done)
  })
  const announce = (): void => {
    for (let each = 0; each < 5_000; each++) send({ kind: 'announced', topic: 'peer', key: String(each) })
  }
  announce()
  t.equal(sent.length, 1_000)
  send({ kind: 'commit' })
  t.equal(sent.at(-1), 'commit')
  for (const done of read.splice(0)) done()
  announce()
  t.equal(sent.length, 2_001, 'again when it has read')
})

t.test('without the primary process every request with a limit is refused', async (t) => {
  const sent: ToPrimary[] = []
  const { siblings, receive, close } = createWorkerSiblings({ number: 1, count: 2 }, (message) => {
    sent.push(message)
  })
  const counted = siblings.increment('pages', '192.0.2.1', 60_000)
  t.match(sent, [{ kind: 'count', id: 1, counter: 'pages', key: '192.0.2.1', windowMs: 60_000 }])
  receive({ kind: 'counted', id: 1, count: { current: 3, ttlMs: 5 } })
  t.strictSame(await counted, { current: 3, ttlMs: 5 })
  const open = siblings.increment('pages', '192.0.2.1', 60_000)
  close()
  await t.rejects(open, { code: 'internal' })
  await t.rejects(siblings.increment('pages', '192.0.2.1', 60_000), { code: 'internal' })
})

t.test('a worker announces at most a thousand lines a second', async (t) => {
  let sent = 0
  const { siblings } = createWorkerSiblings({ number: 1, count: 2 }, () => {
    sent++
  })
  const { announce } = siblings.announcements('peer')
  const began = performance.now()
  for (let each = 0; each < 5_000; each++) announce(String(each))
  const seconds = Math.floor(performance.now() / 1000) - Math.floor(began / 1000) + 1
  t.ok(sent <= 1_000 * seconds, `${sent} in ${seconds}`)
})

/** What the log writes of it. */
function logged(error: unknown): Record<string, unknown> {
  const lines: string[] = []
  const log = createLogger({ level: 'info', format: 'json' }, { write: (line) => lines.push(line) })
  log.fatal(thrownFacts(error), 'Gatehouse could not start')
  const { time: _time, ...fields } = JSON.parse(lines[0] ?? '') as Record<string, unknown>
  return fields
}

// proves: workers-sent-fields
t.test('the log line of an error that a worker has sent is that of a single process', async (t) => {
  const root = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', secret: 'canary' })
  const statement = Object.assign(new Error('canary', { cause: root }), { query: 'canary', params: ['canary'] })
  const typed = Object.assign(new TypeError('x', { cause: statement }), { code: 23505, request: { cookie: 'canary' } })
  const refused = { detail: 'cannot listen', remedy: 'Free it', facts: { port: 1, status: 429 } }
  const errors = [
    root,
    statement,
    typed,
    Object.assign(new Error('a code that is no text', { cause: 'thrown text' }), { code: { secret: 'canary' } }),
    new GatehouseError('port_unusable', { ...refused, cause: root }),
    new GatehouseError('internal', { detail: 'a defect' }),
    new GatehouseError('internal', { detail: 'a defect', remedy: 'Report it.', cause: typed }),
    new GatehouseError('step_failed', { cause: new GatehouseError('database_unavailable', { cause: statement }) }),
  ]
  for (const error of errors) {
    const sent = structuredClone(sendable(error))
    t.strictSame(logged(received(sent)), logged(error), String(error))
    if (error !== statement) t.notOk(JSON.stringify(sent).includes('"canary'), 'nothing else is sent')
  }
  t.match(received(sendable(errors[4])), { code: 'port_unusable', cause: { code: 'ECONNREFUSED' } })
  const unknown = { ...sendable(errors[4]), code: 'of_another_version' as never }
  t.match(received(unknown), { message: 'connect ECONNREFUSED' })
  t.match(received(sendable('thrown text')), { message: 'thrown text' })
})

t.test('auto gives one worker for each CPU, as far as the pool has connections', async (t) => {
  const given = (workers: number | 'auto', poolSize: number) =>
    ({ server: { workers }, database: { poolSize } }) as never
  t.strictSame(workerCount(given('auto', 10), 4), { count: 4, limitedFrom: undefined })
  t.strictSame(workerCount(given('auto', 10), 16), { count: 5, limitedFrom: 16 })
  t.strictSame(workerCount(given('auto', 1), 16), { count: 1, limitedFrom: 16 })
  t.strictSame(workerCount(given(3, 10), 16), { count: 3, limitedFrom: undefined })
  const { database } = configOfWorker({ database: { poolSize: 11, embedded: true, dataDir: 'd' } } as never, 3, 'url')
  t.strictSame(database, { poolSize: 3, embedded: false, dataDir: 'd', url: 'url' } as never)
})

const metric = (type: string, value: number, aggregator = 'sum', name = type): MetricSnapshot =>
  ({ name, help: 'h', type, aggregator, values: [{ value, labels: {} }] }) as MetricSnapshot

// proves: workers-counters-kept
t.test('counters of a process that has ended are kept, its gauges are dropped', async (t) => {
  const summed = createSummedMetrics()
  const text = async (...answering: number[]) => (await summed.text([], new Set(answering))).body
  summed.update(1, [metric('counter', 5), metric('gauge', 5), metric('counter', 7, 'max', 'shared')])
  summed.update(2, [metric('counter', 2), metric('gauge', 2), metric('counter', 6, 'max', 'shared')])
  t.match(await text(1, 2), /^counter 7$/m)
  t.match(await text(1, 2), /^gauge 7$/m)
  t.match(await text(1, 2), /^shared 7$/m, 'not the sum of what describes the same')
  t.match(await text(2), /^counter 7$/m, 'of a process that does not answer the last value counts')
  t.match(await text(2), /^gauge 2$/m)
  summed.ended(1)
  summed.update(1, [metric('counter', 1), metric('gauge', 1), metric('counter', 0, 'max', 'shared')])
  t.match(await text(1, 2), /^counter 8$/m)
  t.match(await text(1, 2), /^gauge 3$/m)
  t.match(await text(1, 2), /^shared 6$/m)
})

// proves: workers-shared-counters
t.test('what every process counts alike continues after all of them have ended', async (t) => {
  const summed = createSummedMetrics()
  const shared = (value: number) => [metric('counter', value, 'max', 'shared')]
  for (const process of [1, 2]) summed.update(process, shared(100))
  for (const process of [1, 2]) summed.ended(process)
  for (const process of [1, 2]) summed.update(process, shared(50))
  t.match((await summed.text([], new Set([1, 2]))).body, /^shared 50$/m)
})

t.test('the start of the process is that of the first one', async (t) => {
  const summed = createSummedMetrics()
  summed.update(1, [metric('gauge', 20, 'omit', 'start')])
  const { body } = await summed.text([metric('gauge', 10, 'omit', 'start')], new Set([1]))
  t.match(body, /^start 10$/m)
})

// eslint-disable-next-line no-template-curly-in-string -- what the operator writes
const VARIABLE = '${HOST}'

t.test('a worker has the findings of the file, its variables and its lines with the configuration', async (t) => {
  const text = `
server: { publicUrl: "https://auth.corp.test" }
entra: { tenantId: 11111111-2222-3333-4444-555555555555, clientId: 11111111-2222-3333-4444-555555555555,
  clientSecret: abc~def }
database: { url: "postgres://gatehouse@db/gatehouse" }
session: { secrets: ["q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv"] }
keys: { encryptionSecrets: ["z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua"] }
access: { rules: [{ hosts: ["${VARIABLE}"], allow: deny }] }
`
  const env = { HOST: 'netbox.corp.test' }
  const { config, warnings } = loadConfig('/etc/gatehouse.yaml', { env, readFile: () => text })
  const message = deserialize(serialize(await handedOver(config, async () => ''))) as ConfigInForce
  const { source } = configOf(message)
  t.strictSame(source?.variables.get('access.rules[0].hosts[0]'), VARIABLE)
  t.strictSame(source?.positions.get('access.rules[0]')?.line, 8)
  t.ok(warnings.length > 0)
  t.strictSame(source?.warnings, warnings)
})
