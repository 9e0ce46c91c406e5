// Which replica notifies the others.
import t from 'tap'
import { createLiveReplicas } from '../../src/store/change-feed/notifier.js'

const row = (replica: string, heartbeats: number, listens = true) => ({
  replica,
  heartbeats,
  listens,
  name: `${replica}:4180`,
  config: 'a'.repeat(64),
})

// proves: outbox-notifier-polls
t.test('the notifier has the lowest name of the replicas that are alive and listen', async (t) => {
  const world = { now: 0 }
  const live = createLiveReplicas('m', () => world.now)
  t.ok(live.isNotifier(true), 'alone')
  t.ok(live.isNotifier(false), 'also where notifications do not reach it: replicas of 0.2 may listen')
  t.strictSame(live.update([row('a', 5), row('m', 1), row('z', 9)]), [], 'whether they are alive is not known yet')
  t.ok(live.isNotifier(true))
  world.now = 1_000
  t.strictSame(live.update([row('a', 6), row('m', 2), row('z', 9)]).map(({ replica }) => replica), ['a'])
  t.notOk(live.isNotifier(true), 'a is alive')
  t.notOk(live.isNotifier(false), 'a is alive and listens')
  world.now = 4_000
  live.update([row('a', 6), row('m', 3), row('z', 10)])
  t.notOk(live.isNotifier(true), 'silent for three seconds')
  world.now = 4_001
  t.ok(live.isNotifier(true), 'and longer')
  live.update([row('a', 7, false), row('z', 11)])
  t.ok(live.isNotifier(true), 'a does not listen, z has a higher name')
  t.notOk(live.isNotifier(false), 'z listens')
  t.notOk(live.isSweeper(), 'a sweeps, whether it listens or not')
  live.update([row('a', 8), row('z', 12)])
  t.notOk(live.isNotifier(true))
  live.update([row('z', 13)])
  t.ok(live.isNotifier(true), 'a has gone, and its row with it')
  t.ok(live.isSweeper())
  live.update([row('z', 14, false)])
  t.ok(live.isNotifier(false), 'none listens, and z has a higher name')
  live.update([row('a', 1, false), row('z', 15, false)])
  live.update([row('a', 2, false), row('z', 16, false)])
  t.notOk(live.isNotifier(false), 'a has a lower one')
})
