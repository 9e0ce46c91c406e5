// The one live preview of the installation: few requests at a time, ended by Graph's first 429, by sign-ins that have
// to wait, by another process that has taken over, and with its own process.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { beginLivePreview, liveDuration, type LivePreviewPorts } from '../../src/admin/live-preview.js'
import type { AccountResult } from '../../src/core/account-source.js'
import { GatehouseError } from '../../src/core/errors.js'
import type { LivePreviewRenewal, LivePreviewStart } from '../../src/core/live-preview.js'
import { until } from '../helpers/until.js'

interface Scene {
  /** What Graph answers; by default, one group of each user. */
  readonly answer?: (oid: string, throttle: (waitMs?: number) => void) => Promise<AccountResult> | AccountResult
  readonly start?: LivePreviewStart
  readonly renewal?: () => LivePreviewRenewal
  readonly limits?: LivePreviewPorts['limits']
  readonly signInsHeldUntil?: () => number | undefined
}

const FREE: LivePreviewRenewal = { isHeld: true, signInsHeldUntil: null }
const enabled = (group: string): AccountResult => ({ kind: 'enabled', groupIds: [group], sessionsValidFrom: null })

function scene({ answer = (oid) => enabled(`group of ${oid}`), start = { kind: 'begun' }, ...rest }: Scene = {}) {
  const seen = { requests: 0, atOnce: 0, mostAtOnce: 0, waits: [] as (number | undefined)[], isClosed: false }
  const ports: LivePreviewPorts = {
    place: 'here',
    signInsHeldUntil: rest.signInsHeldUntil ?? (() => undefined),
    live: {
      begin: async () => start,
      renew: async () => (rest.renewal ?? (() => FREE))(),
      end: async (_run, waitMs) => {
        seen.waits.push(waitMs)
      },
    },
    openAccounts(stop, onThrottled) {
      const ended = new Promise<never>((_, reject) => {
        stop.addEventListener('abort', () => reject(new GatehouseError('graph_timeout')))
      })
      ended.catch(() => {})
      return {
        batchSize: 2,
        async read(oids) {
          seen.requests++
          seen.mostAtOnce = Math.max(seen.mostAtOnce, ++seen.atOnce)
          try {
            const found = Promise.all(oids.map(async (oid) => [oid, await answer(oid, onThrottled)] as const))
            return new Map(await Promise.race([found, ended]))
          } finally {
            seen.atOnce--
          }
        },
        close: async () => {
          seen.isClosed = true
        },
      }
    },
    limits: { renewMs: 20, mostMs: 5_000, ...rest.limits },
  }
  return { ports, seen, begin: () => beginLivePreview('admin:me', ports) }
}

const alive = setInterval(() => {}, 1_000) // Graph, which answers some of these tests never
t.teardown(() => clearInterval(alive))

const user = (n: number) => ({
  userId: `id-${n}`,
  username: `user-${n}`,
  oid: `oid-${n}`,
  readAt: '2020-01-01T00:00:00Z',
  entraGroupIds: ['a group of before'],
  groups: [],
  staff: false,
  superuser: false,
})

async function* pages(count: number, size = 10) {
  for (let first = 0; first < count; first += size) yield Array.from({ length: size }, (_, n) => user(first + n))
}

/** All of them, read. @throws what ended it */
async function read({ begin }: ReturnType<typeof scene>, count = 100) {
  const run = await begin()
  try {
    const all = []
    for await (const page of run.fresh(pages(count))) all.push(...page)
    return all
  } finally {
    await run.close()
  }
}

// proves: policy-live-few
t.test('groups are those of Graph, read at most two requests at a time', async (t) => {
  const slow = scene({
    answer: async (oid) => {
      await sleep(2)
      return oid === 'oid-7' ? { kind: 'disabled' } : enabled(oid)
    },
  })
  const all = await read(slow)
  t.equal(all.length, 100)
  t.strictSame(all[3]?.entraGroupIds, ['oid-3'])
  t.equal(all[7]?.entraGroupIds, undefined, 'an account that is disabled')
  t.not(all[3]?.readAt, '2020-01-01T00:00:00Z')
  t.match(slow.seen, { requests: 50, mostAtOnce: 2, isClosed: true, waits: [0] })
  t.equal(liveDuration(100_000), 2_500_000)
})

const throttledFor = (waitMs: number | undefined): NonNullable<Scene['answer']> => (oid, throttle) => {
  throttle(waitMs)
  return enabled(oid)
}

// proves: policy-live-429
t.test('the first 429 ends it, and until when Graph asked to wait is kept for the next one', async (t) => {
  const throttling = scene({
    answer: async (oid, throttle) => {
      if (oid === 'oid-11') throttle(90_000)
      await sleep(1)
      return enabled(oid)
    },
  })
  const error = await read(throttling).catch((thrown: unknown) => thrown)
  t.match(error, { code: 'graph_throttled', sentence: /wait until 20/, facts: { until: /Z$/ } })
  t.ok(throttling.seen.requests <= 7, `${throttling.seen.requests} requests`)
  t.match(throttling.seen, { waits: [90_000], isClosed: true })

  const silent = scene({ answer: throttledFor(undefined) })
  t.match(await read(silent).catch((thrown: unknown) => thrown), {
    code: 'graph_throttled',
    sentence: /did not say for how long/,
    facts: { until: /Z$/ },
  })
  t.strictSame(silent.seen.waits, [60_000], 'a minute')
  const hostile = scene({ answer: throttledFor(1e15) })
  await read(hostile).catch(() => {})
  t.strictSame(hostile.seen.waits, [3_600_000], 'an hour at most')
})

t.test('the next one can begin where the client could not be opened', async (t) => {
  const { ports, seen } = scene({})
  const openAccounts = (): never => {
    throw new Error('no certificate')
  }
  await t.rejects(beginLivePreview('admin:x', { ...ports, openAccounts }), { message: 'no certificate' })
  t.strictSame(seen.waits, [undefined], 'the lease is given back')
})

t.test('a user who cannot be read ends it, and so do Entra ID and Graph when they are down', async (t) => {
  const failing = scene({
    answer: (oid) => oid === 'oid-4' ? { kind: 'failed', error: new GatehouseError('graph_forbidden') } : enabled(oid),
  })
  await t.rejects(read(failing), { code: 'graph_forbidden' })
  const down = scene({
    answer: () => {
      throw new GatehouseError('entra_unavailable')
    },
  })
  await t.rejects(read(down), { code: 'entra_unavailable' })
  t.ok(down.seen.isClosed)
})

// proves: policy-live-after-sign-ins
t.test('it does not begin while sign-ins have to wait, and ends when they do', async (t) => {
  let heldUntil: number | undefined = Date.now() + 60_000
  const held = scene({
    signInsHeldUntil: () => heldUntil,
    answer: (oid) => {
      if (oid === 'oid-20') heldUntil = Date.now() + 60_000
      return enabled(oid)
    },
  })
  await t.rejects(read(held), { code: 'graph_throttled', sentence: /sign-ins to wait until/ })
  t.equal(held.seen.requests, 0)
  heldUntil = undefined
  await t.rejects(read(held), { code: 'graph_throttled' })
  t.ok(held.seen.requests < 20)
  t.strictSame(held.seen.waits, [0])
})

// proves: policy-live-sign-ins-elsewhere
t.test('it ends when the sign-ins of another replica have to wait', async (t) => {
  const elsewhere = scene({
    renewal: () => ({ isHeld: true, signInsHeldUntil: '2099-01-01T00:00:00Z' }),
    answer: () => new Promise(() => {}),
  })
  await t.rejects(read(elsewhere), { code: 'graph_throttled', facts: { until: '2099-01-01T00:00:00.000Z' } })
})

// proves: policy-live-taken-over
t.test('it ends when another process has taken over', async (t) => {
  const late = scene({
    renewal: () => ({ isHeld: false, signInsHeldUntil: null }),
    answer: () => new Promise(() => {}),
  })
  await t.rejects(read(late), { code: 'preview_interrupted' })
})

// proves: policy-live-lease
t.test('it ends before another one may begin where the database does not answer', async (t) => {
  const cutOff = scene({
    renewal: () => {
      throw new GatehouseError('database_unavailable')
    },
    limits: { leaseMs: 300 },
    answer: () => new Promise(() => {}),
  })
  await t.rejects(read(cutOff), { code: 'preview_interrupted' })
})

t.test('it ends at once when it is stopped, and when it takes too long', async (t) => {
  const hanging = scene({ answer: () => new Promise(() => {}) })
  const run = await hanging.begin()
  const ended = run.fresh(pages(10)).next()
  ended.catch(() => {})
  await until(() => hanging.seen.requests > 0)
  run.stop()
  await t.rejects(ended, { code: 'preview_interrupted' })
  await run.close()
  t.ok(hanging.seen.isClosed)
  await t.rejects(read(scene({ answer: () => new Promise(() => {}), limits: { mostMs: 50 } })), {
    code: 'graph_timeout',
  })
})

t.test('who runs another one is said', async (t) => {
  const holder = { actor: 'admin:1', actorName: 'ann', place: 'replica:1', startedAt: '2026-01-01T00:00:00.000Z' }
  const error = await read(scene({ start: { kind: 'busy', holder } })).catch((thrown: unknown) => thrown)
  t.match(error, { code: 'live_preview_busy', status: 409, sentence: /ann began it at 2026-01-01T.*replica:1/ })
  const paused: LivePreviewStart = { kind: 'paused', until: '2026-01-01T00:00:00.000Z', asked: 'preview' }
  await t.rejects(read(scene({ start: paused })), { code: 'graph_throttled', facts: { until: paused.until } })
})
