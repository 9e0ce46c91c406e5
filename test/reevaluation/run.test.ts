// Runs of the re-evaluation: which users are in them, how failures are contained, which replica leads, and what is
// reported.
import t from 'tap'
import type { AccountResult } from '../../src/core/account-source.js'
import { ENABLED, error, PACE, reevaluationScene } from '../helpers/reevaluation-scene.js'

const resultsOf = (
  oids: readonly string[],
  exception: (oid: string) => AccountResult | undefined = () => undefined,
) => new Map(oids.map((oid) => [oid, exception(oid) ?? ENABLED]))

// proves: sync-until-no-user-is-due, sync-at-once
t.test('a run continues until no user is due, with more requests at the same time for more users', async (t) => {
  const few = await reevaluationScene(t, { users: 60 })
  await few.run()
  t.strictSame(
    { applied: few.applied.size, requests: few.requests.length, concurrency: few.maxConcurrency() },
    { applied: 60, requests: 6, concurrency: 4 },
  )
  t.equal(few.requests[0]?.length, 10, 'ten users in a batch')

  const many = await reevaluationScene(t, { users: 5_000 })
  await many.run()
  t.strictSame(
    { applied: many.applied.size, requests: many.requests.length, concurrency: many.maxConcurrency() },
    { applied: 5_000, requests: 500, concurrency: 16 },
  )
  t.strictSame(
    { unchanged: many.counts.get('unchanged'), failed: many.failed, state: many.schedule.state() },
    { unchanged: 5_000, failed: [], state: { leader: true, failing: undefined, lagMs: 7_000 } },
  )
})

// proves: sync-run-ends
t.test('a run ends after a minute, and the next one continues', async (t) => {
  let minutes = 0
  const scene = await reevaluationScene(t, {
    users: 1_000,
    read: async (oids) => {
      scene.advance(minutes)
      return resultsOf(oids)
    },
  })
  minutes = 0.2
  await scene.run()
  t.ok(
    scene.requests.length > 1 && scene.requests.length < 50,
    `${scene.requests.length} requests of twelve seconds each, sixteen at the same time`,
  )
  t.equal(scene.expired.length, 1)
  minutes = 0
  await scene.run()
  t.equal(scene.applied.size, 1_000)
})

// proves: sync-fails-alone
t.test('a user whose result cannot be stored fails without the others', async (t) => {
  const scene = await reevaluationScene(t, {
    users: 45,
    writer: {
      async apply({ userId }) {
        if (userId === 'user-3') throw error('database_unavailable')
        if (userId === 'user-17') throw new TypeError('x')
        return undefined
      },
    },
  })
  await scene.run()
  t.strictSame(
    { unchanged: scene.counts.get('unchanged'), failed: scene.counts.get('failed'), users: [...scene.failed].sort() },
    { unchanged: 43, failed: 2, users: ['user-17', 'user-3'] },
  )
  t.equal(scene.expired.length, 1)
  t.match(scene.reports, [{ event: 'users failed' }, { event: 'users failed' }])
})

// proves: sync-no-zombies
t.test('a run stops when the database fails, with all its workers, and reports it once', async (t) => {
  let down = true
  const scene = await reevaluationScene(t, {
    users: 400,
    writer: {
      async apply() {
        if (down) throw error('database_unavailable')
        return undefined
      },
      async failed() {
        if (down) throw error('database_unavailable')
      },
    },
    expiry: {
      async expire() {
        if (down) throw error('database_unavailable')
        return { privileges: [], sessions: [] }
      },
    },
  })
  await scene.run()
  const requests = scene.requests.length
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(scene.requests.length, requests, 'no worker continues')
  t.equal(requests, 1)
  t.equal(scene.schedule.state().failing, 'database_unavailable')
  await scene.run()
  t.strictSame(scene.reports, [{ event: 'run failed', code: 'database_unavailable' }])
  down = false
  await scene.run()
  t.strictSame(scene.reports.slice(1), [{ event: 'recovered' }])
})

// proves: sync-one-by-one, sync-alone
t.test('a user for whom Graph fails is isolated from the others', async (t) => {
  const bad = 'oid-4'
  const always = await reevaluationScene(t, {
    users: 30,
    read: async (oids) => {
      if (oids.includes(bad)) throw error('graph_timeout')
      return resultsOf(oids)
    },
    dueUsers: { find: async () => always.users },
  })
  for (const requests of [3 + 10, 3 + 1]) {
    const before = always.requests.length
    await always.run()
    t.equal(always.requests.length - before, requests, 'in a batch with others once, and never again')
  }
  for (const code of ['graph_unauthorized', 'graph_timeout', 'graph_malformed', 'graph_request_refused'] as const) {
    const scene = await reevaluationScene(t, {
      users: 30,
      read: async (oids) => {
        if (oids.includes(bad)) throw error(code)
        return resultsOf(oids)
      },
    })
    await scene.run()
    t.strictSame(
      { applied: scene.applied.size, users: scene.failed, failed: scene.counts.get('failed') },
      { applied: 29, users: ['user-4'], failed: 1 },
      code,
    )
    t.strictSame(scene.reports, [{ event: 'users failed', code, users: 1 }], code)
    const before = scene.requests.length
    for (let run = 0; run < 3; run++) await scene.run()
    t.strictSame(scene.requests.slice(before), [[bad], [bad], [bad]], `${code}: in a batch of its own from then on`)
  }
})

// proves: sync-silence-marked, sync-first-question
t.test('an outage ends the run after one request, whose users count as failed', async (t) => {
  for (const code of ['graph_unavailable', 'graph_throttled', 'entra_unavailable', 'entra_secret_expired'] as const) {
    const scene = await reevaluationScene(t, {
      users: 100,
      read: async () => {
        throw error(code)
      },
      writer: {
        async failed(users) {
          scene.failed.push(...users.map(({ userId }) => userId))
        },
      },
    })
    await scene.run()
    t.strictSame(
      { requests: scene.requests.length, failed: scene.failed.length },
      { requests: 1, failed: 10 },
      code,
    )
    t.strictSame(scene.reports, [{ event: 'users failed', code, users: 10 }], code)
  }
})

// proves: sync-refused-altogether
t.test('a run ends early when Graph refuses every request', async (t) => {
  const scene = await reevaluationScene(t, {
    users: 2_000,
    read: async () => {
      throw error('graph_forbidden')
    },
  })
  await scene.run()
  t.ok(scene.requests.length < 60, `${scene.requests.length} requests`)
  t.ok(scene.failed.length >= 10)
})

// proves: sync-recovery-after-result
t.test('reports recovery after one success and no outstanding failure', async (t) => {
  let [failing, due] = [true, true]
  const scene = await reevaluationScene(t, {
    users: 3,
    read: async (oids) =>
      resultsOf(
        oids,
        (oid) => failing && oid !== 'oid-2' ? { kind: 'failed', error: error('graph_forbidden') } : undefined,
      ),
    dueUsers: {
      find: async () => due ? scene.users : [],
      overview: async () => ({ lagMs: 0, failedUsers: failing ? 2 : 0 }),
    },
  })
  await scene.run()
  t.equal(scene.schedule.state().failing, 'graph_forbidden')
  due = false
  await scene.run()
  t.equal(scene.schedule.state().failing, 'graph_forbidden', 'a run without due users is no recovery')
  due = true
  await scene.run()
  t.strictSame(scene.reports, [{ event: 'users failed', code: 'graph_forbidden', users: 2 }], 'reported once')
  failing = false
  await scene.run()
  t.strictSame(
    { reports: scene.reports.slice(1), failing: scene.schedule.state().failing },
    { reports: [{ event: 'recovered' }], failing: undefined },
  )
})

// proves: sync-forgotten-with-the-lock
t.test('reported failures are forgotten when another replica leads', async (t) => {
  let leader = true
  const scene = await reevaluationScene(t, {
    read: async () => {
      throw error('graph_unavailable')
    },
    leadership: { held: async () => leader },
  })
  await scene.run()
  leader = false
  await scene.run()
  t.strictSame(scene.schedule.state(), { leader: false, failing: undefined, lagMs: 7_000 })
  leader = true
  await scene.run()
  t.strictSame(
    scene.reports.map(({ event }) => event),
    ['users failed', 'users failed'],
    'without a recovery, and a later outage is reported again',
  )
})

t.test('a lock that cannot be checked is reported once, and stale privileges expire nevertheless', async (t) => {
  let broken = true
  const scene = await reevaluationScene(t, {
    leadership: {
      async held() {
        if (broken) throw error('sync_lock_unavailable')
        return false
      },
    },
  })
  await scene.run()
  await scene.run()
  t.strictSame(
    { requests: scene.requests, reports: scene.reports, expired: scene.expired.length },
    { requests: [], reports: [{ event: 'run failed', code: 'sync_lock_unavailable' }], expired: 2 },
  )
  t.strictSame(scene.schedule.state(), { leader: false, failing: 'sync_lock_unavailable', lagMs: 7_000 })
  broken = false
  await scene.run()
  t.strictSame(
    { reports: scene.reports.slice(1), failing: scene.schedule.state().failing },
    { reports: [{ event: 'recovered' }], failing: undefined },
  )
})

// proves: adv-lag-ages
t.test('the lag grows while the database is unavailable', async (t) => {
  let down = false
  const overview = async () => {
    if (down) throw error('database_unavailable')
    return { lagMs: 7_000, failedUsers: 0 }
  }
  const scene = await reevaluationScene(t, { dueUsers: { overview } })
  await scene.run()
  down = true
  for (const lagMs of [37_000, 67_000]) {
    await scene.run(0.5)
    t.equal(scene.schedule.state().lagMs, lagMs)
  }
  down = false
  await scene.run()
  t.equal(scene.schedule.state().lagMs, 7_000)
})

// proves: sync-still-held
t.test('a run ends when the lock is lost', async (t) => {
  let checks = 0
  const scene = await reevaluationScene(t, {
    users: 1_000,
    leadership: { held: async () => ++checks === 1 },
    read: async (oids) => {
      scene.advance(1 / 30)
      return resultsOf(oids)
    },
  })
  await scene.run()
  t.strictSame(
    { requests: scene.requests.length, leader: scene.schedule.state().leader, expired: scene.expired.length },
    { requests: 1, leader: false, expired: 1 },
  )
})

t.test('yields leadership for two runs after three failed ones', async (t) => {
  let outage = true
  let checks = 0
  const scene = await reevaluationScene(t, {
    users: 3,
    read: async (oids) => {
      if (outage) throw error('graph_unavailable')
      return resultsOf(oids)
    },
    leadership: {
      async held() {
        checks++
        return true
      },
    },
  })
  for (const releases of [0, 0, 1]) {
    await scene.run()
    t.equal(scene.releases(), releases)
  }
  t.match(scene.schedule.state(), { leader: false, failing: 'graph_unavailable' })
  const requests = scene.requests.length
  await scene.run()
  await scene.run()
  t.strictSame({ checks, requests: scene.requests.length }, { checks: 3, requests })
  outage = false
  await scene.run()
  t.strictSame(
    { checks, state: scene.schedule.state() },
    { checks: 4, state: { leader: true, failing: undefined, lagMs: 7_000 } },
    'without another replica it leads again',
  )
  t.strictSame(scene.reports.map(({ event }) => event), ['users failed', 'recovered'])
})

// proves: sync-first-minute, sync-grace-after-start, sync-silence-is-for-all
t.test('nothing expires in the first minute of the process', async (t) => {
  const scene = await reevaluationScene(t, {
    graceMs: 60_000,
    read: async () => {
      throw error('graph_unavailable')
    },
  })
  await scene.run(0.9)
  t.strictSame(scene.expired, [])
  await scene.run(0.2)
  t.strictSame(
    scene.expired,
    [{ privilegedMs: PACE.privilegedStalenessMs, maxMs: PACE.maxStalenessMs, unattemptedMs: 0 }],
    'then, while Graph is unavailable, without an attempt for each user',
  )
  const follower = await reevaluationScene(t, { graceMs: 60_000, leadership: { held: async () => false } })
  await follower.run(1.1)
  t.equal(
    follower.expired.at(-1)?.unattemptedMs,
    undefined,
    'where another replica leads, only after a failed attempt',
  )
  await follower.run(10)
  t.equal(follower.expired.at(-1)?.unattemptedMs, 600_000, 'and after two intervals without an attempt')
  const short = await reevaluationScene(t, { graceMs: 60_000, pace: { ...PACE, intervalMs: 10_000 } })
  await short.run(0.2)
  t.equal(short.expired.length, 1, 'an interval, where that is shorter')
})

// proves: sync-real-counts
t.test('reports the number of ended sessions', async (t) => {
  const change = {
    groups: [],
    groupsAdded: [],
    groupsRemoved: [],
    staff: false,
    superuser: false,
    flagsChanged: false,
    superseded: false,
    lostSinceSignIn: [],
    revoked: [],
    refused: ['ses_1', 'ses_2'],
  }
  const scene = await reevaluationScene(t, {
    writer: { apply: async () => change },
    expiry: {
      expire: async () => ({
        privileges: [],
        sessions: scene.users.map((user) => ({ ...user, sessions: ['ses_3', 'ses_4', 'ses_5'] })),
      }),
    },
  })
  await scene.run()
  t.strictSame(scene.reports, [
    { event: 'sessions ended', reason: 'refused', sessions: 2 },
    { event: 'sessions ended', reason: 'stale_session', sessions: 3 },
  ])
})

// proves: sync-retried-before-expiry
t.test('the mapping is applied again when a local group was removed meanwhile', async (t) => {
  let removed = 1
  const scene = await reevaluationScene(t, { writer: { apply: async () => removed-- > 0 ? 'outdated' : undefined } })
  await scene.run()
  t.strictSame(
    { unchanged: scene.counts.get('unchanged'), failed: scene.counts.get('failed') },
    { unchanged: 1, failed: undefined },
  )
})

// proves: policy-plan-caught-up-sync
t.test('the policy in force is read before the mapping is applied again', async (t) => {
  let isCaughtUp = false
  const scene = await reevaluationScene(t, {
    async catchUp() {
      isCaughtUp = true
    },
    writer: { apply: async () => isCaughtUp ? undefined : 'outdated' },
  })
  await scene.run()
  t.equal(scene.counts.get('unchanged'), 1)
})
