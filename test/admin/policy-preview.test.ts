// Previews of drafts of the policy: one at a time, of what is there now, and what their hash is about.
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { requirePreview } from '../../src/admin/kept-previews.js'
import { createPolicyPreviewAdmin } from '../../src/admin/policy-preview.js'
import type { AccessRules } from '../../src/core/access.js'
import { GatehouseError } from '../../src/core/errors.js'
import { throttledUntil } from '../../src/core/live-preview.js'
import type { KeptPreview, PreviewedSnapshot } from '../../src/core/policy-preview.js'
import { until } from '../helpers/until.js'
import { requestTo } from '../helpers/counted-request.js'

const GROUP = '00000000-0000-4000-8000-000000000001'

function user(n: number, entraGroupIds: readonly string[] = []): PreviewedSnapshot {
  const username = `user-${String(n).padStart(6, '0')}`
  return {
    userId: `id-${n}`,
    username,
    readAt: new Date(n).toISOString(),
    entraGroupIds,
    groups: [],
    staff: false,
    superuser: false,
  }
}

interface Scene {
  /** By the name of the draft. */
  readonly texts: Record<string, string>
  readonly users?: AsyncIterable<readonly PreviewedSnapshot[]>
  /** As Graph has them. */
  readonly fresh?: AsyncIterable<readonly PreviewedSnapshot[]>
  /** Of requests without a session; undefined: none are sampled. */
  readonly paths?: readonly string[]
}

const keyOf = (draft: string, live: boolean) => live ? `${draft} live` : draft

function scene({ texts, users = batches([[]]), fresh, paths }: Scene) {
  const kept = new Map<string, { run: string } & { -readonly [Key in keyof KeptPreview]: KeptPreview[Key] }>()
  const of = (run: string) => [...kept.values()].find((each) => each.run === run)
  const failures: unknown[] = []
  const liveRuns: string[] = []
  let busyBy: string | undefined
  let policyHash = 'in force'
  const admin = createPolicyPreviewAdmin({
    drafts: {
      get: async (id) => ({ text: texts[id] }) as never,
      judge: async (text) => ({
        problems: [],
        warnings: [],
        policy: text === 'unusable'
          ? undefined
          : {
            hash: text,
            access: { default: 'deny', rules: [] },
            shownAccess: { default: 'deny', rules: [] },
            groupMapping: [{ entraGroup: GROUP, groups: [text, 'Missing'], staff: false, superuser: text === 'root' }],
          },
      }),
    },
    previews: {
      byDraft: async (draft) => [false, true].flatMap((live) => kept.get(keyOf(draft, live)) ?? []),
      async begin(draft, run, { total, live, ...key }) {
        kept.set(keyOf(draft, live), {
          live,
          until: null,
          run,
          state: 'running',
          done: 0,
          total,
          startedAt: '',
          code: null,
          ...key,
          result: null,
          ageMs: 0,
        })
        return true
      },
      async progress(run, done) {
        return Object.assign(of(run) ?? {}, { done }) === of(run)
      },
      async end(run, done, end) {
        const state = 'result' in end ? 'done' : 'failed'
        Object.assign(of(run) ?? {}, { state, done, ageMs: 0, ...end })
      },
    },
    policyHash: () => policyHash,
    localGroups: {
      named: async (names) => names.filter((name) => name !== 'Missing').map((name) => ({ name, permissions: [] })),
    },
    snapshots: () => users,
    countSnapshots: async () => 7,
    async beginLive(actor) {
      if (busyBy !== undefined) throw new GatehouseError('live_preview_busy', { detail: busyBy })
      liveRuns.push(actor)
      busyBy = actor
      return {
        snapshots: () => fresh ?? batches([[]]),
        stop: () => {},
        close: async () => {
          busyBy = undefined
        },
      }
    },
    sampled: () =>
      paths && {
        inForce: { access: OPEN, shownAccess: OPEN },
        read: () => batches([paths.map((path) => ({ ...requestTo(path), user: null }))]),
        networkTest: () => () => undefined,
        scheme: 'https',
      },
    failed: (error) => failures.push(error),
  })
  const done = async (draft: string) => {
    await admin.start(draft)
    await until(async () => (await admin.ofDraft(draft)).stored?.state !== 'running')
    return (await admin.ofDraft(draft)).stored
  }
  return { admin, kept, failures, done, liveRuns, reload: (hash: string) => (policyHash = hash) }
}

const OPEN: AccessRules = {
  default: 'deny',
  rules: [{ hosts: ['app.test'], networks: undefined, methods: undefined, paths: undefined, allow: 'anyone' }],
}

async function* batches<Row>(all: readonly (readonly Row[])[]) {
  for (const batch of all) {
    await turn()
    yield batch
  }
}

/** One batch, and the next one when it is let. */
function halting() {
  let go = () => {}
  const open = new Promise<void>((resolve) => {
    go = resolve
  })
  async function* users() {
    yield [user(1)]
    await open
    yield [user(2)]
  }
  return { users: users(), go }
}

// proves: policy-preview-once
t.test('one at a time: a second one is refused, and the same one is answered with its progress', async (t) => {
  const { users, go } = halting()
  const { admin } = scene({ texts: { a: 'A', b: 'B' }, users })
  t.match(await admin.start('a'), { state: 'running', total: 7, result: null })
  t.match(await admin.start('a'), { state: 'running' })
  await t.rejects(admin.start('b'), { code: 'rate_limited' })
  go()
  t.ok(await until(async () => (await admin.ofDraft('a')).stored?.state === 'done'))
  t.match(await admin.last('a'), { done: 2, result: { users: 2, changed: 0 } })
  t.match(await admin.start('b'), { state: /running|done/ })
})

// proves: policy-preview-of-now
t.test('a preview of another text, or beside another policy, is none', async (t) => {
  const texts = { a: 'A' }
  const { admin, done, reload } = scene({ texts })
  t.match(await done('a'), { state: 'done', draftHash: 'A', policyHash: 'in force' })
  texts.a = 'B'
  t.equal(await admin.last('a'), undefined)
  texts.a = 'A'
  t.match(await admin.last('a'), { state: 'done' })
  reload('another')
  t.equal(await admin.last('a'), undefined)
  texts.a = 'unusable'
  t.equal(await admin.last('a'), undefined)
  await t.rejects(admin.start('a'), { code: 'policy_draft_unusable' })
})

// proves: policy-preview-hash
t.test('the hash is over every change, also those that are not listed', async (t) => {
  const users = (last: readonly string[]) =>
    batches([
      Array.from({ length: 999 }, (_, n) => user(n, [GROUP])),
      [user(999, last)],
    ])
  const all = await scene({ texts: { a: 'A' }, users: users([GROUP]) }).done('a')
  const same = await scene({ texts: { a: 'A' }, users: users([GROUP]) }).done('a')
  const fewer = await scene({ texts: { a: 'A' }, users: users([]) }).done('a')
  t.match(all?.result, { users: 1000, changed: 1000, gains: 1000, losses: 0, changes: { length: 200 } })
  t.equal(all?.result?.hash, same?.result?.hash)
  t.strictSame(all?.result?.changes, fewer?.result?.changes)
  t.not(all?.result?.hash, fewer?.result?.hash)
  t.strictSame(all?.result?.counts, [{ right: 'A', gain: 1000, lose: 0 }])
})

t.test('new superusers come first', async (t) => {
  const users = batches([[user(1), { ...user(2), groups: ['X'] }, user(3, [GROUP])]])
  const preview = await scene({ texts: { a: 'root' }, users }).done('a')
  t.match(preview?.result, {
    newSuperusers: 1,
    gains: 1,
    losses: 1,
    changes: [{ userId: 'id-3', superuser: 1 }, { userId: 'id-2', lost: ['X'] }],
    oldestReading: new Date(1).toISOString(),
    newestReading: new Date(3).toISOString(),
  })
})

t.test('one that fails, is interrupted or lost says so, and is started again', async (t) => {
  async function* failing() {
    yield [user(1)]
    throw new GatehouseError('database_unavailable')
  }
  const broken = scene({ texts: { a: 'A' }, users: failing() })
  t.match(await broken.done('a'), { state: 'failed', code: 'database_unavailable', result: null })
  t.equal(broken.failures.length, 1)
  t.match(await broken.admin.start('a'), { state: /running|done/ })

  const { users, go } = halting()
  const closing = scene({ texts: { a: 'A' }, users })
  await closing.admin.start('a')
  const closed = closing.admin.close()
  go()
  await closed
  t.match((await closing.admin.ofDraft('a')).stored, { state: 'failed', code: 'preview_interrupted' })
  await t.rejects(closing.admin.start('a'), { code: 'rate_limited' })

  const lost = scene({ texts: { a: 'A' }, users: halting().users })
  await lost.admin.start('a')
  Object.assign(lost.kept.get('a') ?? {}, { ageMs: 61_000 })
  t.match((await lost.admin.ofDraft('a')).stored, { state: 'failed', code: 'preview_interrupted' })
})

t.test('requests that would be decided otherwise are listed, and the hash does not depend on them', async (t) => {
  const paths = Array.from({ length: 30 }, (_, n) => `/${n}`)
  const sampled = await scene({ texts: { a: 'A' }, paths }).done('a')
  const none = await scene({ texts: { a: 'A' } }).done('a')
  t.match(sampled?.result?.sampled, {
    compared: 30,
    differing: 30,
    requests: [{ path: '/0', userId: null, now: { decision: 'allowed' }, then: { decision: 'sign_in' } }],
  })
  t.equal(none?.result?.sampled, null, 'none are sampled')
  t.equal(sampled?.result?.hash, none?.result?.hash)
})

const ACTOR = { actor: 'admin:me' }

/** Ends with this error. */
async function* broken(error: GatehouseError) {
  yield [user(1, [GROUP])]
  await turn()
  throw error
}

// proves: policy-preview-last
t.test('a live preview is beside the other one, and the one that was finished last counts', async (t) => {
  const [users, fresh] = [batches([[user(1)]]), batches([[user(1, [GROUP]), { ...user(2), entraGroupIds: undefined }]])]
  const { admin, done, kept } = scene({ texts: { a: 'A' }, users, fresh })
  const stored = await done('a')
  t.match(stored, { live: false, result: { live: false, changed: 0, unavailable: 0 } })
  t.match(await admin.start('a', ACTOR), { live: true })
  t.ok(await until(async () => (await admin.ofDraft('a')).live?.state === 'done'))
  t.match(await admin.ofDraft('a'), {
    stored: { state: 'done' },
    live: { result: { live: true, users: 2, unavailable: 1, gains: 1, losses: 0 } },
  })
  Object.assign(kept.get('a') ?? {}, { ageMs: 1_000 })
  t.match(await admin.last('a'), { live: true })
  const seen = [...kept.values()]
  const key = { draftHash: 'A', policyHash: 'in force' }
  const hashes = seen.map(({ result }) => result?.hash ?? '')
  t.equal(new Set(hashes).size, 2)
  t.match(requirePreview(seen, key, hashes[1] ?? ''), { live: true })
  t.throws(() => requirePreview(seen, key, hashes[0] ?? ''), { code: 'policy_preview_stale' })
  Object.assign(kept.get('a live') ?? {}, { ageMs: 2_000 })
  t.match(await admin.last('a'), { live: false })
})

t.test('with the same changes a live preview has the same hash', async (t) => {
  const [users, fresh] = [batches([[user(1, [GROUP])]]), batches([[user(1, [GROUP])]])]
  const { admin, done } = scene({ texts: { a: 'A' }, users, fresh })
  const stored = await done('a')
  await admin.start('a', ACTOR)
  t.ok(await until(async () => (await admin.ofDraft('a')).live?.state === 'done'))
  t.equal((await admin.ofDraft('a')).live?.result?.hash, stored?.result?.hash)
})

// proves: policy-live-no-retry
t.test('a live preview that has failed keeps nothing, leaves the other one, and does not begin again', async (t) => {
  const error = new GatehouseError('graph_unavailable')
  const { admin, done, kept, liveRuns } = scene({ texts: { a: 'A' }, fresh: broken(error) })
  await done('a')
  await admin.start('a', ACTOR)
  t.ok(await until(async () => (await admin.ofDraft('a')).live?.state === 'failed'))
  t.match(await admin.ofDraft('a'), { stored: { state: 'done' }, live: { code: 'graph_unavailable', result: null } })
  t.match(await admin.last('a'), { live: false, state: 'done' })
  t.match(await admin.start('a', ACTOR), { state: 'failed' }, 'who asks again and again sees it')
  t.equal(liveRuns.length, 1)
  Object.assign(kept.get('a live') ?? {}, { ageMs: 61_000 })
  await admin.start('a', ACTOR)
  t.equal(liveRuns.length, 2)
})

t.test('while Graph has asked to wait, no other one is begun', async (t) => {
  const waiting = new Date(Date.now() + 600_000).toISOString()
  const { admin, kept, liveRuns } = scene({
    texts: { a: 'A' },
    fresh: broken(throttledUntil(waiting, 'Graph asked to wait.')),
  })
  await admin.start('a', ACTOR)
  t.ok(await until(async () => (await admin.ofDraft('a')).live?.state === 'failed'))
  t.match((await admin.ofDraft('a')).live, { code: 'graph_throttled', until: waiting })
  Object.assign(kept.get('a live') ?? {}, { ageMs: 120_000 })
  t.match(await admin.start('a', ACTOR), { state: 'failed', until: waiting })
  t.equal(liveRuns.length, 1)
})

t.test('a long live preview holds up no other preview', async (t) => {
  const { users: fresh, go } = halting()
  const { admin, done } = scene({ texts: { a: 'A', b: 'B' }, fresh })
  await admin.start('a', ACTOR)
  t.match(await done('b'), { state: 'done' })
  await t.rejects(admin.start('b', ACTOR), { code: 'live_preview_busy' })
  go()
  t.ok(await until(async () => (await admin.ofDraft('a')).live?.state === 'done'))
})
