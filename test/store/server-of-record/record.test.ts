// Another server is elected while the history of the first one is compared, and what the checks mean for the use.
import t from 'tap'
import { GatehouseError } from '../../../src/core/errors.js'
import type { Probe } from '../../../src/store/server-of-record/probe.js'
import { createRecord } from '../../../src/store/server-of-record/record.js'

const probeOf = (host: string, timeline: string): Probe => ({
  url: `postgres://u@${host}/db`,
  identity: { systemId: '1', timeline, startedAt: timeline },
  writable: true,
})

const silent = (host: string): Probe => ({
  url: `postgres://u@${host}/db`,
  failure: new GatehouseError('database_unavailable', { facts: { reason: 'timeout' } }),
})

function openRecord() {
  const lines: string[] = []
  const log = (_facts: object, text: string): void => {
    lines.push(text)
  }
  const record = createRecord({
    hiddenOf: () => new Set(),
    poolUrl: undefined,
    toleranceMs: 5_000,
    log: { error: log, warn: log, info: log },
  })
  return { record, lines }
}

// proves: lost-other-server
t.test('the outcome of a comparison counts only for its own server', async (t) => {
  const { record } = openRecord()
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

// proves: lost-comparison-delayed
t.test('a comparison with a server that is not used any more delays no other one', async (t) => {
  const { record } = openRecord()
  record.take([probeOf('a', '00000001')], performance.now())
  const compared: { readonly host: string, readonly signal: AbortSignal, readonly end: () => void }[] = []
  record.reconcileWith(({ url }, signal) =>
    new Promise((end) => compared.push({ host: new URL(url).host, signal, end }))
  )
  record.take([probeOf('b', '00000002')], performance.now())
  void record.compareHistory()
  void record.compareHistory()
  t.strictSame(compared.map(({ host }) => host), ['b'], 'one at a time')
  record.take([silent('b'), probeOf('c', '00000003')], performance.now())
  t.equal(compared[0]?.signal.aborted, true, 'its connection is closed')
  const ended = record.compareHistory()
  t.strictSame(compared.map(({ host }) => host), ['b', 'c'])
  compared[1]?.end()
  await ended
  t.ok(record.usable())
  t.match(record.current(), { url: 'postgres://u@c/db' })
})

// proves: record-slow-probe
t.test('one slow check of the server that is used does not end its use while an old primary runs', async (t) => {
  const { record, lines } = openRecord()
  let changes = 0
  record.take([probeOf('a', '00000001'), probeOf('b', '00000002')], performance.now())
  record.onChange(() => changes++)
  record.take([probeOf('a', '00000001'), silent('b')], performance.now())
  t.ok(record.usable())
  t.match(record.current(), { url: 'postgres://u@b/db' })
  t.strictSame([changes, lines], [0, []])
  record.take([probeOf('a', '00000001'), silent('b')], performance.now() - 5_001)
  t.ok(record.usable(), 'counted from the first failure')
  record.take([probeOf('a', '00000001'), probeOf('b', '00000002')], performance.now())
  t.equal(record.failingSince(), undefined)
  record.take([probeOf('a', '00000003')], performance.now())
  t.match(record.current(), { url: 'postgres://u@a/db' }, 'a server with a higher timeline is used at once')
})

t.test('failures that alternate are logged once each, until the database is used again', async (t) => {
  const { record, lines } = openRecord()
  record.take([probeOf('a', '00000001')], performance.now())
  const split = [probeOf('a', '00000001'), {
    ...probeOf('b', '00000001'),
    identity: {
      systemId: '1',
      timeline: '00000001',
      startedAt: 'other',
    },
  }]
  const foreign = [{ ...probeOf('a', '00000001'), identity: { systemId: '2', timeline: '00000001', startedAt: 'x' } }]
  for (let each = 0; each < 3; each++) {
    record.take(split, performance.now())
    record.take(foreign, performance.now())
  }
  t.equal(lines.length, 2)
  record.take([probeOf('a', '00000001')], performance.now())
  t.equal(lines.at(-1), 'the database is used again')
  record.take(split, performance.now())
  t.equal(lines.length, 4)
})
