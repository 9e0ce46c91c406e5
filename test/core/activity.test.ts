// What is counted in memory: keys of access rules, the counters of one configuration after the other, and the hours
// that wait to be written.
import t from 'tap'
import { compileAccess, type AccessRule } from '../../src/core/access.js'
import { OTHER_KEYS, ruleKeys } from '../../src/core/activity.js'
import { createActivityCounters, NOTHING_COUNTED } from '../../src/core/activity-counters.js'
import { createActivityHours } from '../../src/core/activity-hours.js'
import { parseTargetUrl } from '../../src/core/target.js'

const rule = (change: Partial<AccessRule> = {}): AccessRule => ({
  hosts: ['app.test', 'b.test'],
  networks: undefined,
  methods: undefined,
  paths: undefined,
  allow: 'authenticated',
  ...change,
})
const HOUR = 3_600_000
const AT = Date.UTC(2026, 10, 28, 9)
const one = (key: string, count = 1) => ({ kind: 'rule', key, count }) as const

t.test('the key of a rule depends on its content alone', async (t) => {
  const groups = (names: readonly string[]) =>
    rule({ allow: { groups: names, permissions: [], staff: undefined, superuser: undefined } })
  const rules = [
    rule(),
    rule({ allow: 'anyone' }),
    rule({ hosts: ['app.test'] }),
    rule({ paths: ['/a'] }),
    rule({ methods: ['/a'] }),
    rule({ networks: ['/a'] }),
    rule({ paths: [] }),
    groups(['a', 'b']),
    groups(['a b']),
    rule({ allow: { groups: [], permissions: ['a', 'b'], staff: undefined, superuser: undefined } }),
    rule({ allow: { groups: [], permissions: [], staff: true, superuser: undefined } }),
    rule({ allow: { groups: [], permissions: [], staff: undefined, superuser: true } }),
  ]
  const keys = ruleKeys(rules)
  t.equal(new Set(keys).size, rules.length)
  t.strictSame(ruleKeys(rules.toReversed()), keys.toReversed(), 'it moves with the rule')
  t.strictSame(ruleKeys([rule({ hosts: ['B.test', 'app.test'] }), groups(['b', 'a'])]), [keys[0], keys[7]])
  t.strictSame(ruleKeys([rule(), rule({ allow: 'anyone' }), rule()]), [keys[0], keys[1], `${keys[0]}-2`])
})

t.test('an answer counts for its outcome and for the rule that decided it', async (t) => {
  const counters = createActivityCounters()
  const rules = [rule({ hosts: ['*.app.test'], allow: 'deny' }), rule({ hosts: ['app.test'], methods: ['GET'] })]
  const [denied, read] = ruleKeys(rules)
  const policy = compileAccess({ default: 'deny', rules }, () => () => true, counters.rules)
  const grounds = (url: string, method = 'GET') => {
    const [first] = policy.grounds({ target: parseTargetUrl(url, method), address: undefined })
    if (first === undefined) throw new Error('no grounds')
    return first
  }
  counters.answers.allowed(grounds('https://app.test/'))
  counters.answers.allowed(grounds('https://app.test/x'))
  counters.answers.notAllowed(grounds('https://x.app.test/'))
  counters.answers.notSignedIn(grounds('https://other.test/'))
  counters.answers.notSignedIn(grounds('https://app.test/', 'POST'))
  counters.answers.notSignedIn(grounds('https://app.test/', 'WHATEVER'))
  counters.answers.notSignedIn(undefined)
  counters.answers.failed('database_unavailable')
  counters.signIn('ok')
  counters.signIn('graph_timeout')
  counters.signIn('graph_timeout')
  t.strictSame(counters.take(), [
    { kind: 'answer', key: 'allowed', count: 2 },
    { kind: 'answer', key: 'not_signed_in', count: 4 },
    { kind: 'answer', key: 'not_allowed', count: 1 },
    { kind: 'answer', key: 'database_unavailable', count: 1 },
    { kind: 'sign_in', key: 'completed', count: 1 },
    { kind: 'sign_in', key: 'graph_timeout', count: 2 },
    { kind: 'rule', key: denied, count: 1 },
    { kind: 'rule', key: read, count: 2 },
    { kind: 'rule', key: 'default', count: 2 },
    { kind: 'rule', key: 'unknown_method', count: 1 },
  ])
  t.strictSame(counters.take(), [], 'what was taken is not counted again')
})

t.test('requests in flight count for the rules that they began with', async (t) => {
  const counters = createActivityCounters()
  const [before] = counters.rules(['a'])
  const [after] = counters.rules(['a'])
  for (const counter of [before, after, after]) if (counter !== undefined) counter.count++
  t.strictSame(counters.take(), [one('a'), one('a', 2)])
  if (before !== undefined) before.count++
  t.strictSame(counters.take(), [one('a')], 'also a minute later')
  for (let change = 0; change < 100; change++) counters.rules(['a'])
  counters.take()
  if (before !== undefined) before.count++
  t.strictSame(counters.take(), [], 'configurations without a hit are not kept')
})

t.test('where nothing is counted, rules have no counters', async (t) => {
  const policy = compileAccess({ default: 'deny', rules: [rule()] }, () => () => true, NOTHING_COUNTED.rules)
  t.strictSame(policy.grounds({ target: parseTargetUrl('https://app.test/', 'GET'), address: undefined }), [
    {
      path: 'access.rules[0]',
      allow: 'authenticated',
      allows: 'everybody who is signed in',
      description: 'app.test or b.test',
    },
  ])
  t.strictSame(NOTHING_COUNTED.take(), [])
})

t.test('a row has the whole of its hour, by minute', async (t) => {
  const hours = createActivityHours()
  hours.add(AT, [one('a'), one('a', 2)])
  hours.add(AT + 59 * 60_000, [one('a', 4), { kind: 'answer', key: 'a', count: 1 }])
  hours.add(AT + HOUR, [one('a', 8)])
  const rows = hours.unwritten()
  t.strictSame(rows.map(({ hour, kind, count }) => [hour.getTime(), kind, count]), [
    [AT, 'rule', 7],
    [AT, 'answer', 1],
    [AT + HOUR, 'rule', 8],
  ])
  t.strictSame([0, 1, 59].map((minute) => rows[0]?.minutes[minute]), [3, 0, 4])
  t.equal(rows[0]?.minutes.length, 60)
  t.strictSame(hours.unwritten().length, 3, 'until they are written')
  hours.written(rows)
  t.strictSame(hours.unwritten(), [])
  hours.add(AT + HOUR, [one('a', 16)])
  t.match(hours.unwritten(), [{ hour: new Date(AT + HOUR), count: 24 }], 'its own minutes before are in it')
})

// proves: admin-activity-clock
t.test('a clock that is set back does not replace what was written of its hour', async (t) => {
  const hours = createActivityHours()
  hours.add(AT, [one('a', 5)])
  hours.written(hours.unwritten())
  hours.add(AT + HOUR, [one('a', 1)])
  hours.written(hours.unwritten())
  hours.add(AT + 60_000, [one('a', 2)])
  t.match(hours.unwritten(), [{ hour: new Date(AT + HOUR), count: 3 }])
})

// proves: admin-activity-bounded
t.test('keys of an hour beyond the limit are counted together', async (t) => {
  const hours = createActivityHours({ maxKeys: 3 })
  for (const key of ['a', 'b', 'c', 'd', 'e', 'a']) hours.add(AT, [one(key)])
  hours.add(AT, [{ kind: 'answer', key: 'x', count: 7 }])
  t.strictSame(hours.unwritten().map(({ kind, key, count }) => [kind, key, count]), [
    ['rule', 'a', 2],
    ['rule', 'b', 1],
    ['rule', 'c', 1],
    ['rule', OTHER_KEYS, 2],
    ['answer', OTHER_KEYS, 7],
  ])
})

// proves: admin-activity-outage-bounded
t.test('what cannot be written is bounded: the oldest hours are dropped', async (t) => {
  const hours = createActivityHours({ maxRows: 4 })
  for (let hour = 0; hour < 2; hour++) t.equal(hours.add(AT + hour * HOUR, [one('a', 5), one('b', 6)]), 0)
  t.equal(hours.add(AT + 2 * HOUR, [one('a')]), 11)
  t.equal(hours.unwritten()[0]?.hour.getTime(), AT + HOUR)
  const small = createActivityHours({ maxRows: 1 })
  t.equal(small.add(AT, [one('a'), one('b')]), 0, 'the latest hour stays')
  t.equal(small.unwritten().length, 2)
})
