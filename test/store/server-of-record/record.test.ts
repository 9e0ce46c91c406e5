// Another server is elected while the history of the first one is compared.
import t from 'tap'
import type { Probe } from '../../../src/store/server-of-record/probe.js'
import { createRecord } from '../../../src/store/server-of-record/record.js'

const probeOf = (host: string, timeline: string): Probe => ({
  url: `postgres://u@${host}/db`,
  identity: { systemId: '1', timeline, startedAt: timeline },
  writable: true,
})

// proves: lost-other-server
t.test('the outcome of a comparison counts only for its own server', async (t) => {
  const record = createRecord({
    hiddenOf: () => new Set(),
    poolUrl: undefined,
    toleranceMs: 5_000,
    log: { error: () => {}, warn: () => {}, info: () => {} },
  })
  record.take([probeOf('a', '00000001')], performance.now())
  const compared: (() => void)[] = []
  record.reconcileWith(() => new Promise((resolve) => compared.push(resolve)))
  t.ok(record.usable(), 'the first server')
  record.take([probeOf('b', '00000002')], performance.now())
  const first = record.compareHistory()
  t.notOk(record.usable())
  t.throws(() => record.elected(), /latest part of its history is not known yet/)
  record.take([probeOf('c', '00000003')], performance.now())
  compared[0]?.()
  await first
  t.notOk(record.usable(), 'that was the history of another server')
  const second = record.compareHistory()
  compared[1]?.()
  await second
  t.ok(record.usable())
  t.match(record.current(), { url: 'postgres://u@c/db' })
})
