// What a replica makes of what the others say of their configuration.
import t from 'tap'
import { createReplicas } from '../../src/core/replicas.js'

const A = 'a'.repeat(64)
const B = 'b'.repeat(64)
const C = 'c'.repeat(64)

function setUp() {
  const world = { now: 0, config: A }
  const lines: { level: string, facts: Record<string, unknown> }[] = []
  const note = (level: string) => (facts: object): void => {
    lines.push({ level, facts: facts as Record<string, unknown> })
  }
  const replicas = createReplicas({
    name: 'here:4180',
    config: () => world.config,
    log: { warn: note('warn'), info: note('info') },
    now: () => world.now,
  })
  /** Heartbeats of others and our own, every second. */
  const live = (seconds: number, others: Readonly<Record<string, string>>): void => {
    for (let each = 0; each < seconds; each++) {
      world.now += 1_000
      for (const [id, config] of Object.entries(others)) replicas.receive(id, { config, name: `${id}:4180` })
      replicas.expireAndCompare()
    }
  }
  return { world, replicas, lines, live, levels: () => lines.splice(0).map(({ level }) => level) }
}

// proves: live-replica-differs
t.test('a replica that differs for a minute is reported once, until something about it changes', async (t) => {
  const { world, lines, live, levels } = setUp()
  live(100, { one: A, two: A })
  t.strictSame(levels(), [])
  live(60, { one: A, two: B })
  t.strictSame(levels(), [], 'not yet a minute')
  live(1, { one: A, two: B })
  t.match(lines, [{
    level: 'warn',
    facts: {
      replica: 'here:4180',
      config: 'a'.repeat(12),
      others: [{ replica: 'two:4180', config: 'b'.repeat(12), since: /^\d{4}-.*Z$/ }],
      remedy: /\w/,
    },
  }])
  levels()
  live(300, { one: A, two: B })
  t.strictSame(levels(), [], 'once')
  live(1, { one: A, two: C })
  t.strictSame(levels(), ['warn'], 'another one that differs as well, without a minute between')
  live(70, { one: B, two: C })
  t.strictSame(levels(), ['warn'], 'a second one')
  live(70, { one: A, two: C })
  t.strictSame(levels(), [], 'one of two is mended')
  world.config = C
  live(70, { one: C, two: C })
  t.strictSame(levels(), ['info'])
  live(70, { one: C, two: C })
  t.strictSame(levels(), [])
})

t.test('a reload that goes from one to the next is not reported', async (t) => {
  const { world, live, levels } = setUp()
  live(10, { one: A, two: A })
  live(20, { one: B, two: A })
  world.config = B
  live(20, { one: B, two: A })
  live(100, { one: B, two: B })
  t.strictSame(levels(), [])
})

// proves: live-replica-not-receiving
t.test('a replica that is gone is forgotten; one that could not be heard is not', async (t) => {
  const { world, replicas, live, levels } = setUp()
  live(61, { two: B })
  t.strictSame(levels(), ['warn'])
  world.now += 600_000 // nothing was heard, not even ourselves
  live(1, {})
  t.match(replicas.state(), { same: 1, different: [{ replica: 'two:4180' }] })
  t.strictSame(levels(), [])
  live(6, {})
  t.strictSame(replicas.state(), { config: 'a'.repeat(12), same: 1, different: [] })
  t.strictSame(levels(), ['info'])
})

t.test('a replica that differs and starts again under another id is not said to be mended', async (t) => {
  const { live, levels } = setUp()
  live(61, { two: B })
  live(3, { again: B })
  live(30, { again: B })
  t.strictSame(levels(), ['warn'])
  live(40, { again: B })
  t.strictSame(levels(), ['warn'])
})

t.test('malformed announcements are ignored and use no memory', async (t) => {
  const { replicas, live } = setUp()
  for (
    const said of [
      { config: '', name: '' },
      { config: 'x', name: 'two' },
      { config: B, name: '' },
      { config: B, name: 'a b' },
      { config: B, name: '"; drop' },
      { config: B, name: 'x'.repeat(101) },
      { config: B, name: 'two\n' },
      { config: B.slice(1), name: 'two' },
      { config: B.toUpperCase(), name: 'two' },
      { config: `x${B}`, name: 'two' },
      { config: `0${B}`, name: 'two' },
      { config: `\n${B}`, name: 'two' },
      { config: `${B}\n`, name: 'two' },
    ]
  ) replicas.receive('two', said)
  replicas.receive('x'.repeat(41), { config: B, name: 'two' })
  t.match(replicas.state(), { same: 1, different: { length: 0 } })
  for (let each = 0; each < 5_000; each++) replicas.receive(`id${each}`, { config: B, name: 'two' })
  t.equal(replicas.state().different.length, 1_000)
  live(7, {})
  t.equal(replicas.state().different.length, 0)
})

t.test('its own name fits what the others understand', async (t) => {
  const others = setUp()
  const odd = createReplicas({
    name: `a host/with "signs"${'x'.repeat(200)}`,
    config: () => B,
    log: { warn: () => {}, info: () => {} },
  })
  others.replicas.receive('odd', odd.announcement())
  t.match(others.replicas.state().different, [{ replica: /^a-host-with--signs-x+$/ }])
})

t.test('the state lists the replicas that differ, and counts the others', async (t) => {
  const { world, replicas, live } = setUp()
  t.strictSame(replicas.state(), { config: 'a'.repeat(12), same: 1, different: [] })
  for (const [id, config] of Object.entries({ one: A, two: B, three: A, four: C })) {
    replicas.receive(id, { config, name: `${id}:4180` })
  }
  const stateOf = () => {
    const { same, different } = replicas.state()
    return { same, different: different.map(({ replica, config }) => ({ replica, config })) }
  }
  const two = { replica: 'two:4180', config: 'b'.repeat(12) }
  const four = { replica: 'four:4180', config: 'c'.repeat(12) }
  t.strictSame(stateOf(), { same: 3, different: [two, four] })
  t.match(replicas.state().different, [{ since: /^\d{4}-.*Z$/ }, { since: /^\d{4}-.*Z$/ }], 'not compared yet')
  live(1, { one: A, two: B, three: A, four: A })
  t.strictSame(stateOf(), { same: 4, different: [two] })
  world.config = B
  t.strictSame(
    replicas.state().different.map(({ replica }) => replica),
    ['one:4180', 'three:4180', 'four:4180'],
    'compared with the configuration in force',
  )
})

t.test('a difference is dated from the comparison that detected it', async (t) => {
  const { replicas, live } = setUp()
  live(1, { two: B })
  const since = () => replicas.state().different.map((other) => other.since)
  const first = since()
  await new Promise((resolve) => setTimeout(resolve, 5))
  live(3, { two: B })
  t.strictSame(since(), first)
})

t.test('a replica is expired above five seconds of silence, measured while this one receives', async (t) => {
  const { world, replicas } = setUp()
  const differing = () => replicas.state().different.length
  const compareAt = (at: number) => {
    world.now = at
    replicas.expireAndCompare()
    return differing()
  }
  replicas.receive('two', { config: B, name: 'two:4180' })
  t.equal(compareAt(3_000), 1)
  t.equal(compareAt(5_000), 1, 'silent for exactly five seconds')
  t.equal(compareAt(5_001), 0)

  replicas.receive('two', { config: B, name: 'two:4180' })
  t.equal(compareAt(10_001), 1, 'exactly five seconds between two comparisons: no announcement was missed')
  t.equal(compareAt(10_002), 0)

  replicas.receive('two', { config: B, name: 'two:4180' })
  t.equal(compareAt(15_003), 1, 'more than that: announcements may have been missed')
  t.equal(compareAt(20_003), 1, 'the silence is counted from there')
  t.equal(compareAt(20_004), 0)
})

t.test('the end of the last difference is reported with the number of replicas', async (t) => {
  const { lines, live, levels } = setUp()
  live(61, { one: A, two: B })
  t.strictSame(levels(), ['warn'])
  live(1, { one: A, two: A })
  t.strictSame(lines, [{ level: 'info', facts: { replica: 'here:4180', config: 'a'.repeat(12), replicas: 3 } }])
})

t.test('a difference that ended is reported again when it returns for a minute', async (t) => {
  const { live, levels } = setUp()
  live(61, { two: B })
  t.strictSame(levels(), ['warn'])
  live(1, { two: A })
  t.strictSame(levels(), ['info'])
  live(60, { two: B })
  t.strictSame(levels(), [], 'the minute begins again')
  live(1, { two: B })
  t.strictSame(levels(), ['warn'])

  live(61, { two: B, three: C })
  t.strictSame(levels(), ['warn'], 'a second one')
  live(1, { two: A, three: C })
  live(60, { two: B, three: C })
  t.strictSame(levels(), [])
  live(1, { two: B, three: C })
  t.strictSame(levels(), ['warn'], 'also while another difference lasts')
})

t.test('an ID of 40 characters is the longest', async (t) => {
  const { replicas } = setUp()
  const announced = (length: number) => {
    replicas.receive('x'.repeat(length), { config: B, name: `of-${length}` })
    return replicas.state().different.map(({ replica }) => replica)
  }
  t.strictSame(announced(40), ['of-40'])
  t.strictSame(announced(41), ['of-40'])
})

t.test('without a clock of its own the monotonic clock of the process is used', async (t) => {
  const levels: string[] = []
  const replicas = createReplicas({
    name: 'here:4180',
    config: () => A,
    log: { warn: () => levels.push('warn'), info: () => levels.push('info') },
    reportAfterMs: 0,
  })
  replicas.receive('two', { config: B, name: 'two:4180' })
  replicas.expireAndCompare()
  t.strictSame(levels, ['warn'])
})
