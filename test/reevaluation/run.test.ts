// How the turns of a re-evaluation go: who is asked, what one failure costs the others, who leads, and what is said of
// it.
import t from 'tap'
import type { Standing } from '../../src/core/reevaluation.js'
import { ENABLED, error, PACE, syncScene } from '../helpers/reevaluation-scene.js'

const standings = (oids: readonly string[], unlike: (oid: string) => Standing | undefined = () => undefined) =>
  new Map(oids.map((oid) => [oid, unlike(oid) ?? ENABLED]))

t.test('a turn goes on until nobody is due, with more questions at once where many are', async (t) => {
  const few = await syncScene(t, { people: 60 })
  await few.pass()
  t.strictSame([few.applied.size, few.questions.length, few.atOnce()], [60, 6, 4])
  t.equal(few.questions[0]?.length, 10, 'ten at a time')

  const many = await syncScene(t, { people: 5_000 })
  await many.pass()
  t.strictSame([many.applied.size, many.questions.length, many.atOnce()], [5_000, 500, 16])
  t.strictSame([many.counts.get('unchanged'), many.failed, many.sync.state()], [5_000, [], {
    here: true,
    failing: undefined,
    lagMs: 7_000,
  }])
})

t.test('a turn does not last for ever', async (t) => {
  let minutes = 0
  const scene = await syncScene(t, {
    people: 1_000,
    read: async (oids) => {
      await scene.later(minutes)
      return standings(oids)
    },
  })
  minutes = 0.2
  await scene.pass()
  t.ok(
    scene.questions.length > 1 && scene.questions.length < 50,
    `${scene.questions.length} questions of twelve seconds, sixteen at once`,
  )
  t.equal(scene.expired.length, 1)
  minutes = 0
  await scene.pass()
  t.equal(scene.applied.size, 1_000)
})

t.test('one person that cannot be written fails alone', async (t) => {
  const scene = await syncScene(t, {
    people: 45,
    store: {
      async apply({ userId }) {
        if (userId === 'user-3') throw error('database_unavailable')
        if (userId === 'user-17') throw new TypeError('x')
        return undefined
      },
    },
  })
  await scene.pass()
  t.strictSame([scene.counts.get('unchanged'), scene.counts.get('failed'), [...scene.failed].sort()], [43, 2, [
    'user-17',
    'user-3',
  ]])
  t.equal(scene.expired.length, 1)
  t.match(scene.told, [{ what: 'failing' }, { what: 'failing' }])
})

t.test('where the database itself is gone the turn ends, with everything in it, and says so once', async (t) => {
  let gone = true
  const scene = await syncScene(t, {
    people: 400,
    store: {
      async apply() {
        if (gone) throw error('database_unavailable')
        return undefined
      },
      async failed() {
        if (gone) throw error('database_unavailable')
      },
      async expire() {
        if (gone) throw error('database_unavailable')
        return { privileges: [], sessions: [] }
      },
    },
  })
  await scene.pass()
  const asked = scene.questions.length
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(scene.questions.length, asked, 'nobody goes on asking')
  t.equal(asked, 1)
  t.equal(scene.sync.state().failing, 'database_unavailable')
  await scene.pass()
  t.strictSame(scene.told, [{ what: 'broken', code: 'database_unavailable' }])
  gone = false
  await scene.pass()
  t.strictSame(scene.told.slice(1), [{ what: 'recovered' }])
})

t.test('whoever cannot be answered about fails alone', async (t) => {
  const bad = 'oid-4'
  const always = await syncScene(t, {
    people: 30,
    read: async (oids) => {
      if (oids.includes(bad)) throw error('graph_timeout')
      return standings(oids)
    },
    store: { due: async () => always.people },
  })
  for (const questions of [3 + 10, 3 + 1]) {
    const before = always.questions.length
    await always.pass()
    t.equal(always.questions.length - before, questions, 'together once, and never again')
  }
  for (const code of ['graph_unauthorized', 'graph_timeout', 'graph_malformed', 'graph_request_refused'] as const) {
    const scene = await syncScene(t, {
      people: 30,
      read: async (oids) => {
        if (oids.includes(bad)) throw error(code)
        return standings(oids)
      },
    })
    await scene.pass()
    t.strictSame([scene.applied.size, scene.failed, scene.counts.get('failed')], [29, ['user-4'], 1], code)
    t.strictSame(scene.told, [{ what: 'failing', code, people: 1 }], code)
    const before = scene.questions.length
    for (let turn = 0; turn < 3; turn++) await scene.pass()
    t.strictSame(scene.questions.slice(before), [[bad], [bad], [bad]], `${code}: alone from then on`)
  }
})

t.test('an outage ends the turn after one question, and the next one begins with others', async (t) => {
  for (const code of ['graph_unavailable', 'graph_throttled', 'entra_unavailable', 'entra_secret_expired'] as const) {
    const scene = await syncScene(t, {
      people: 100,
      read: async () => {
        throw error(code)
      },
      store: {
        async failed(who) {
          scene.failed.push(...who.map(({ userId }) => userId))
        },
      },
    })
    await scene.pass()
    t.strictSame([scene.questions.length, scene.failed.length], [1, 10], code)
    t.strictSame(scene.told, [{ what: 'failing', code, people: 10 }], code)
  }
})

t.test('a Graph that refuses everything is not asked about everybody', async (t) => {
  const scene = await syncScene(t, {
    people: 2_000,
    read: async () => {
      throw error('graph_forbidden')
    },
  })
  await scene.pass()
  t.ok(scene.questions.length < 60, `${scene.questions.length} questions`)
  t.ok(scene.failed.length >= 10)
})

t.test("it is over when somebody was heard of and nobody's last question was in vain", async (t) => {
  let [failing, due] = [true, true]
  const scene = await syncScene(t, {
    people: 3,
    read: async (oids) =>
      standings(
        oids,
        (oid) => failing && oid !== 'oid-2' ? { kind: 'failed', error: error('graph_forbidden') } : undefined,
      ),
    store: {
      due: async () => due ? scene.people : [],
      overview: async () => ({ lagMs: 0, unanswered: failing ? 2 : 0 }),
    },
  })
  await scene.pass()
  t.equal(scene.sync.state().failing, 'graph_forbidden')
  due = false
  await scene.pass()
  t.equal(scene.sync.state().failing, 'graph_forbidden', 'not because nobody was due')
  due = true
  await scene.pass()
  t.strictSame(scene.told, [{ what: 'failing', code: 'graph_forbidden', people: 2 }], 'said once')
  failing = false
  await scene.pass()
  t.strictSame([scene.told.slice(1), scene.sync.state().failing], [[{ what: 'recovered' }], undefined])
})

t.test('what was said is forgotten with the lock', async (t) => {
  let here = true
  const scene = await syncScene(t, {
    read: async () => {
      throw error('graph_unavailable')
    },
    leadership: { held: async () => here },
  })
  await scene.pass()
  here = false
  await scene.pass()
  t.strictSame(scene.sync.state(), { here: false, failing: undefined, lagMs: 7_000 })
  here = true
  await scene.pass()
  t.strictSame(
    scene.told.map(({ what }) => what),
    ['failing', 'failing'],
    'nothing is over: somebody else leads; and an outage of the next time is said',
  )
})

t.test('a lock that cannot be asked is said once, and what is too old is taken all the same', async (t) => {
  let broken = true
  const scene = await syncScene(t, {
    leadership: {
      async held() {
        if (broken) throw error('sync_lock_unavailable')
        return false
      },
    },
  })
  await scene.pass()
  await scene.pass()
  t.strictSame([scene.questions, scene.told, scene.expired.length], [[], [{
    what: 'broken',
    code: 'sync_lock_unavailable',
  }], 2])
  t.strictSame(scene.sync.state(), { here: false, failing: 'sync_lock_unavailable', lagMs: 7_000 })
  broken = false
  await scene.pass()
  t.strictSame([scene.told.slice(1), scene.sync.state().failing], [[{ what: 'recovered' }], undefined])
})

t.test('the oldest reading ages while the database is away', async (t) => {
  let away = false
  const overview = async () => {
    if (away) throw error('database_unavailable')
    return { lagMs: 7_000, unanswered: 0 }
  }
  const scene = await syncScene(t, { store: { overview } })
  await scene.pass()
  away = true
  for (const lagMs of [37_000, 67_000]) {
    await scene.pass(0.5)
    t.equal(scene.sync.state().lagMs, lagMs)
  }
  away = false
  await scene.pass()
  t.equal(scene.sync.state().lagMs, 7_000)
})

t.test('a lock that is lost in the middle of a turn ends it', async (t) => {
  let held = 0
  const scene = await syncScene(t, {
    people: 1_000,
    leadership: { held: async () => ++held === 1 },
    read: async (oids) => {
      await scene.later(1 / 30)
      return standings(oids)
    },
  })
  await scene.pass()
  t.strictSame([scene.questions.length, scene.sync.state().here, scene.expired.length], [1, false, 1])
})

t.test('who hears of nobody for three turns lets another one try, for two', async (t) => {
  let silent = true
  let held = 0
  const scene = await syncScene(t, {
    people: 3,
    read: async (oids) => {
      if (silent) throw error('graph_unavailable')
      return standings(oids)
    },
    leadership: {
      async held() {
        held++
        return true
      },
    },
  })
  for (const releases of [0, 0, 1]) {
    await scene.pass()
    t.equal(scene.releases(), releases)
  }
  t.match(scene.sync.state(), { here: false, failing: 'graph_unavailable' })
  const questions = scene.questions.length
  await scene.pass()
  await scene.pass()
  t.strictSame([held, scene.questions.length], [3, questions])
  silent = false
  await scene.pass()
  t.strictSame(
    [held, scene.sync.state()],
    [4, { here: true, failing: undefined, lagMs: 7_000 }],
    'alone it takes it again',
  )
  t.strictSame(scene.told.map(({ what }) => what), ['failing', 'recovered'])
})

t.test('nothing is taken from anybody in the first minute', async (t) => {
  const scene = await syncScene(t, {
    graceMs: 60_000,
    read: async () => {
      throw error('graph_unavailable')
    },
  })
  await scene.pass(0.9)
  t.strictSame(scene.expired, [])
  await scene.pass(0.2)
  t.strictSame(
    scene.expired,
    [{ privilegedMs: PACE.privilegedStalenessMs, maxMs: PACE.maxStalenessMs, unaskedMs: 0 }],
    'then, while Graph is silent, from all whose time is over',
  )
  const standby = await syncScene(t, { graceMs: 60_000, leadership: { held: async () => false } })
  await standby.pass(1.1)
  t.equal(
    standby.expired.at(-1)?.unaskedMs,
    undefined,
    'where another one asks, from those who were asked about in vain',
  )
  await standby.pass(10)
  t.equal(standby.expired.at(-1)?.unaskedMs, 600_000, 'and after two intervals from those whom nobody asks about')
  const quick = await syncScene(t, { graceMs: 60_000, pace: { ...PACE, intervalMs: 10_000 } })
  await quick.pass(0.2)
  t.equal(quick.expired.length, 1, 'an interval, where that is less')
})

t.test('how many sessions ended is said as it is', async (t) => {
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
  const scene = await syncScene(t, {
    store: {
      apply: async () => change,
      expire: async () => ({
        privileges: [],
        sessions: scene.people.map((person) => ({ ...person, sessions: ['ses_3', 'ses_4', 'ses_5'] })),
      }),
    },
  })
  await scene.pass()
  t.strictSame(scene.told, [{ what: 'refused', sessions: 2 }, { what: 'stale_session', sessions: 3 }])
})

t.test('a mapped group that is removed meanwhile is looked for again', async (t) => {
  let removed = 1
  const scene = await syncScene(t, { store: { apply: async () => removed-- > 0 ? 'outdated' : undefined } })
  await scene.pass()
  t.strictSame([scene.counts.get('unchanged'), scene.counts.get('failed')], [1, undefined])
})
