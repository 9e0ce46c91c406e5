// What strangers can make the log hold: cut values, a budget of lines a second for everything that is refused, the rest
// counted.
import fc from 'fast-check'
import type { FastifyBaseLogger } from 'fastify'
import t from 'tap'
import { createLogBudget, cutFacts, type LogBudget } from '../../src/http/log-budget.js'
import { createLogThrottle } from '../../src/http/log-throttle.js'
import { createLogger } from '../../src/telemetry/logger.js'

interface Bench {
  readonly budget: LogBudget
  readonly log: FastifyBaseLogger
  readonly lines: Record<string, unknown>[]
  /** By code: all refusals, and those without a line. */
  readonly refused: Record<string, number>
  readonly withheld: Record<string, number>
  readonly clock: { at: number }
}

function bench(budget = 50, level: 'info' | 'error' = 'info'): Bench {
  const lines: Record<string, unknown>[] = []
  const log = createLogger({ level, format: 'json' }, {
    write: (line) => {
      lines.push(JSON.parse(line))
    },
  })
  const [refused, withheld]: Record<string, number>[] = [{}, {}]
  const clock = { at: 0 }
  const meter = {
    refused(code: string, over: boolean) {
      refused![code] = (refused![code] ?? 0) + 1
      if (over) withheld![code] = (withheld![code] ?? 0) + 1
    },
  }
  const made = createLogBudget({ log, meter, budget, now: () => clock.at })
  t.teardown(() => made.close())
  return { budget: made, log: made.log, lines, refused: refused!, withheld: withheld!, clock }
}

const times = (count: number, act: (index: number) => void): void => {
  for (let index = 0; index < count; index++) act(index)
}

// proves: adv-log-budget
t.test('refusals of every kind share one budget of lines a second, and the rest is counted', async (t) => {
  const { budget, log, lines, refused, withheld, clock } = bench(50)
  const request = log.child({ correlationId: 'one' })
  const codes = [
    'not_found',
    'target_malformed',
    'query_unknown',
    'return_to_refused',
    'state_missing',
    'not_signed_in',
  ]
  times(100, (index) => {
    request.info({ code: codes[index % codes.length] }, 'request refused')
  })
  times(100, () => {
    log.warn({}, 'sent on to publicUrl')
  })
  t.equal(lines.length, 40, 'a fifth is kept')
  t.ok(lines.every(({ correlationId }) => correlationId === 'one'))
  t.ok(budget.withheld('not_signed_in'))
  t.equal(Object.values(refused).reduce((sum, count) => sum + count, 0), 201 - 100 + 100)
  t.equal(withheld.other, 100)
  clock.at = 1_000
  t.notOk(budget.withheld('not_signed_in'), 'the next second has its own')
  request.info({ code: 'not_found' }, 'request refused')
  t.equal(lines.length, 41)
  budget.close()
  t.match(lines.at(-1), { level: 'warn', requests: 161, codes: { not_found: 10, other: 100, not_signed_in: 11 } })
  budget.close()
  t.equal(lines.length, 42, 'nothing more to say')
})

t.test('the summary comes by itself, once a second', async (t) => {
  const { log, lines } = bench(1)
  times(3, () => {
    log.info({ code: 'not_found' }, 'request refused')
  })
  while (lines.length < 2) {
    await new Promise((resolve) => {
      setTimeout(resolve, 20)
    })
  }
  t.match(lines[1], { requests: 2, codes: { not_found: 2 } })
})

// proves: adv-log-budget-kept
t.test('a flood of strangers leaves lines for people who are signed in and for faults', async (t) => {
  const { log, lines } = bench(50)
  times(1_000, () => {
    log.info({ code: 'not_found' }, 'request refused')
  })
  times(1_000, () => {
    log.info({ code: 'not_allowed', username: 'sam' }, 'access denied')
  })
  times(1_000, () => {
    log.error({ code: 'internal' }, 'request refused')
  })
  const count = (code: string) => lines.filter((line) => line.code === code).length
  t.strictSame(
    { not_found: count('not_found'), not_allowed: count('not_allowed'), internal: count('internal') },
    { not_found: 40, not_allowed: 5, internal: 5 },
  )
})

// proves: adv-log-hints
t.test('a flood of strangers does not hide a hint that is written once an hour', async (t) => {
  const { log, lines } = bench(50)
  times(1_000, () => {
    log.info({ code: 'not_found' }, 'request refused')
  })
  log.warn({ hint: true, host: 'app.test' }, 'no access rule names this host')
  t.match(lines.at(-1), { host: 'app.test' })
})

// proves: adv-log-faults
t.test('one fault has at most five lines a second: an outage does not fill the log', async (t) => {
  const { log, lines, clock, withheld } = bench(50)
  times(14_000, (index) => {
    clock.at = index
    if (index % 10 === 0) log.error({ code: 'database_unavailable' }, 'forward-auth refused')
  })
  t.equal(lines.length, 14 * 5)
  t.equal(withheld.database_unavailable, 1_400 - 70)
  log.error({ code: 'internal' }, 'request refused')
  t.equal(lines.length, 71, 'another fault has its own')
})

// proves: adv-log-rate-limited
t.test('429 is logged once for each address and minute', async (t) => {
  const { log, lines, clock, refused } = bench(50)
  const refuse = (client: string): void => {
    log.info({ code: 'rate_limited', client }, 'request refused')
  }
  times(1_000, () => refuse('192.0.2.1'))
  refuse('192.0.2.2')
  clock.at = 59_999
  refuse('192.0.2.1')
  t.strictSame(lines.map(({ client }) => client), ['192.0.2.1', '192.0.2.2'])
  clock.at = 60_000
  refuse('192.0.2.1')
  t.equal(lines.length, 3)
  t.equal(refused.rate_limited, 1_003)
})

// proves: adv-log-throttle-bounded
t.test('what is remembered of clients is bounded', async (t) => {
  const clock = { at: 0 }
  const throttle = createLogThrottle({ intervalMs: 60_000, capacity: 1_000, now: () => clock.at })
  times(5_000, (index) => {
    throttle.admit(`2001:db8::${index}`)
  })
  t.equal(throttle.size, 1_000)
  t.notOk(throttle.admit('2001:db8::4999'))
  t.ok(throttle.admit('2001:db8::0'), 'forgotten: it is logged again, within the budget')
})

t.test('a level that is not written takes nothing from the budget, and is counted', async (t) => {
  const { log, lines, refused, withheld } = bench(5, 'error')
  times(100, () => {
    log.info({ code: 'not_found' }, 'request refused')
  })
  log.error({ code: 'internal' }, 'request refused')
  t.equal(lines.length, 1)
  t.strictSame({ refused: refused.not_found, withheld: withheld.not_found }, { refused: 100, withheld: undefined })
})

// proves: adv-log-cut
t.test('strings of a client are cut, whatever they are called', async (t) => {
  const { log, lines } = bench(50)
  const long = 'x'.repeat(31_000)
  log.info(
    { code: 'not_found', path: long, host: long, method: long, anything: long, detail: long, status: 404 },
    'request refused',
  )
  const [line = {}] = lines
  for (const name of ['path', 'host', 'method', 'anything']) t.equal(String(line[name]).length, 200, name)
  t.equal(String(line.detail).length, 1_000)
  t.equal(line.status, 404)
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.string({ maxLength: 500 })), (facts) => {
    for (const [name, value] of Object.entries(cutFacts(facts))) {
      if (String(value).length > 200 && name !== 'detail' && name !== 'remedy' && name !== 'allows') return false
    }
    return true
  }))
})
