// What pages remember: a read that takes long delays no page, and nothing old is shown for long.
import t from 'tap'
import { remembered } from '../../src/core/bounded.js'

function scene() {
  const world = { now: 0, elapsed: 0, reads: 0, takes: 0, fails: false }
  const pending: (() => void)[] = []
  const read = async (): Promise<number> => {
    world.elapsed += world.takes
    const value = ++world.reads
    await new Promise<void>((resolve) => pending.push(resolve))
    if (world.fails) throw new Error('unreachable')
    return value
  }
  const value = remembered(read, 10_000, () => world.now, () => world.elapsed)
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return {
    world,
    /** undefined: it waits for the read. */
    async now() {
      const answer = value().then((each) => each.value, (error: unknown) => String(error))
      await settled()
      return await Promise.race([answer, settled().then(() => undefined)])
    },
    async finish() {
      for (const end of pending.splice(0)) end()
      await settled()
    },
  }
}

// proves: admin-remembered-slow, admin-remembered-oldest
t.test('what took long to read is returned while it is read again, for a minute', async (t) => {
  const { world, now, finish } = scene()
  world.takes = 101
  t.equal(await now(), undefined, 'nothing is known yet')
  await finish()
  t.equal(await now(), 1)
  world.now = 10_000
  t.equal(await now(), 1, 'read again meanwhile')
  t.equal(await now(), 1)
  t.equal(world.reads, 2, 'once')
  await finish()
  t.equal(await now(), 2)
  world.now = 20_000
  world.fails = true
  t.equal(await now(), 2)
  await finish()
  world.now = 69_999
  t.equal(await now(), 2, 'a failure leaves what is known')
  await finish()
  world.now = 70_000
  t.equal(await now(), undefined, 'a minute old')
  world.fails = false
  await finish()
})

t.test('what is read quickly is read anew', async (t) => {
  const { world, now, finish } = scene()
  world.takes = 100
  t.equal(await now(), undefined)
  await finish()
  world.now = 9_999
  t.equal(await now(), 1)
  world.now = 10_000
  t.equal(await now(), undefined)
  await finish()
  t.equal(await now(), 2)
})
