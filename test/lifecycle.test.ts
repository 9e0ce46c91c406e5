// The parts of a process: closed in the opposite order in which they were opened, whatever one of them does.
import t from 'tap'
import { createLifecycle } from '../src/lifecycle.js'

t.test('parts are closed in the opposite order; one that fails is named, and the others are closed', async (t) => {
  const closed: string[] = []
  const failures: unknown[] = []
  const lifecycle = createLifecycle({ error: (facts, text) => failures.push({ facts, text }) })
  const wrong = new Error('the socket is gone')
  lifecycle.own('database', async () => closed.push('database'))
  lifecycle.own('listener', () => {
    throw wrong
  })
  lifecycle.own('requests', () => closed.push('requests'))
  t.equal(lifecycle.draining(), false)
  await lifecycle.close()
  t.equal(lifecycle.draining(), true, 'a shutdown fails readiness')
  t.strictSame(closed, ['requests', 'database'])
  t.strictSame(failures, [{ facts: { err: wrong, step: 'listener' }, text: 'shutdown step failed' }])
  await lifecycle.close()
  t.strictSame(closed, ['requests', 'database'], 'closed once')
})

t.test('draining fails readiness and closes nothing', async (t) => {
  const lifecycle = createLifecycle({ error: () => t.fail('nothing fails') })
  lifecycle.own('database', () => t.fail('it is not closed'))
  lifecycle.drain()
  t.equal(lifecycle.draining(), true)
})
