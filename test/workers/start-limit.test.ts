// The time that a worker has until it is ready. Real processes with a program of this test in place of the worker's.
import cluster from 'node:cluster'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { VERSION } from '../../src/version.js'
import type { ConfigInForce } from '../../src/workers/config-in-force.js'
import { createHandOver } from '../../src/workers/hand-over.js'
import { createSlot, type Slot } from '../../src/workers/slot.js'

const HANGS = 'setInterval(() => {}, 1_000)'
const STARTS = `
process.on('message', ({ kind }) => {
  if (kind === 'start') process.send({ kind: 'ready', port: 1 })
  if (kind === 'stop') process.exit()
})
process.send({ kind: 'loaded', version: ${JSON.stringify(VERSION)} })`
const START_MS = 2_000

/** @returns resolves when it is ready, and with the error where it is not */
function started(t: Test, number: number, source: string) {
  const exec = join(t.testdir({ 'program.cjs': source }), 'program.cjs')
  cluster.setupPrimary({ exec, serialization: 'advanced', stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const { promise, resolve } = createPromise<Error | undefined>()
  const events = {
    onReady: () => resolve(undefined),
    onFirstFailure: (_slot: Slot, error: Error) => resolve(error),
    onAsked: () => {},
    onLine: () => {},
    onSilent: () => {},
    onHung: () => {},
    onWaiting: () => {},
    onDeath: () => false,
  }
  const handOver = createHandOver({} as ConfigInForce)
  const slot = createSlot({ number, count: 2 }, handOver, events, START_MS)
  t.teardown(() => slot.state().pid === undefined ? undefined : slot.stop(1))
  slot.start()
  return { slot, result: promise }
}

function createPromise<T>() {
  let settle: (value: T) => void = () => {}
  const promise = new Promise<T>((resolve) => {
    settle = resolve
  })
  return { promise, resolve: (value: T) => settle(value) }
}

// proves: workers-start-limit, workers-start-limit-ends
t.test(
  'a worker that hangs while it starts is killed, and one that was ready in time is not',
  { timeout: 60_000 },
  async (t) => {
    const ready = started(t, 1, STARTS)
    t.equal(await ready.result, undefined)
    const { pid } = ready.slot.state()
    const hung = started(t, 2, HANGS)
    t.match(await hung.result, { message: /^worker 2 has not started within/ })
    t.match(hung.slot.state(), { state: 'dead', reason: 'was ended by SIGKILL', pid: undefined })
    t.match(ready.slot.state(), { state: 'ready', pid }, 'its limit began earlier')
  },
)
