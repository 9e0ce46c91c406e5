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
      for (const [id, config] of Object.entries(others)) replicas.receive(id, `${config} ${id}:4180`)
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
      '',
      'x',
      B,
      `${B} `,
      `${B} a b`,
      `${B} "; drop`,
      `${B} ${'x'.repeat(101)}`,
      `${B.slice(1)} two`,
      `${B.toUpperCase()} two`,
      `${B} two\n`,
    ]
  ) replicas.receive('two', said)
  replicas.receive('x'.repeat(41), `${B} two`)
  t.match(replicas.state(), { same: 1, different: { length: 0 } })
  for (let each = 0; each < 5_000; each++) replicas.receive(`id${each}`, `${B} two`)
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
