// A primary and a streaming standby fail over in every way that leaves one of them in doubt, under recorded checks.
// The recorded answers are judged afterwards: no 200 that began more than six seconds after the acknowledged ending of
// its session, and no 401 for a session that was not ended.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { openDatabase } from '../../src/store/database.js'
import { createSessionAdmin } from '../../src/store/session-admin.js'
import { recordChecks, type Recording } from '../helpers/failover-history.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { connect } from '../helpers/sql.js'
import {
  makeSynchronous,
  startServiceAddress,
  startStreamingPair,
  type PairServer,
  type StreamingPair,
} from '../helpers/streaming-pair.js'
import { until } from '../helpers/until.js'

const BOUND_MS = 6_000
const GRACES = ['0s', '60s']
const TIMEOUTS = { idleTimeoutMs: 28_800_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }

interface Scene {
  readonly gateways: readonly TestGateway[]
  readonly recordings: readonly Recording[]
  /** Ends the sessions of the person that signed in as `ended`, on this server. */
  revoke(on: PairServer): Promise<void>
  /** Records for so long, then stops and judges. */
  judge(forMs: number): Promise<void>
}

/** Two gateways, with and without outageGrace, on one database, each with a session to be ended and one to be kept. */
async function startScene(t: Test, pair: StreamingPair, databaseUrl: string): Promise<Scene> {
  const gateways: TestGateway[] = []
  for (const outageGrace of GRACES) {
    gateways.push(await startTestGateway(t, { databaseUrl, config: { session: { outageGrace } } }))
  }
  const recordings: Recording[] = []
  for (const gateway of gateways) {
    const { browser: ended } = await gateway.signIn(PERSON_IDS.guest)
    const { browser: kept } = await gateway.signIn(PERSON_IDS.many)
    recordings.push(recordChecks(gateway.url, { ended, kept }))
  }
  await caughtUp(t, pair.a)
  await sleep(500)
  return {
    gateways,
    recordings,
    async revoke(on) {
      const database = openDatabase({ server: on.url, poolSize: 1 })
      const admin = createSessionAdmin(database, TIMEOUTS)
      const query = await connect(t, on.adminUrl)
      const [person] = await query<{ user_id: string }>('select user_id from identities where oid = $1', [
        PERSON_IDS.guest,
      ])
      const count = await admin.revokeAll({ userId: person?.user_id }, 'test')
      await database.close()
      t.equal(count, gateways.length, 'sessions ended')
      for (const recording of recordings) recording.ended('ended')
    },
    async judge(forMs) {
      await sleep(forMs)
      for (const [index, recording] of recordings.entries()) {
        await recording.stop()
        const name = `outageGrace ${GRACES[index]}`
        t.ok(recording.checks.length > 100, `${name}: ${recording.checks.length} checks`)
        t.strictSame(recording.wrong(BOUND_MS), [], `${name}: no wrong 200`)
        t.strictSame(recording.lost(), [], `${name}: no session is lost`)
        t.equal(recording.checks.findLast(({ session }) => session === 'ended')?.status, 401, `${name}: ended`)
        t.equal(recording.checks.findLast(({ session }) => session === 'kept')?.status, 200, `${name}: kept`)
      }
    },
  }
}

/** The standby has replayed what the primary has committed. */
async function caughtUp(t: Test, primary: PairServer): Promise<void> {
  const query = await connect(t, primary.adminUrl)
  await until(async () => {
    const [row] = await query<{ done: boolean }>(
      'select coalesce(bool_and(replay_lsn >= pg_current_wal_lsn()), false) as done from pg_stat_replication',
    )
    return row?.done === true
  })
}

const listOf = (...servers: readonly PairServer[]): string =>
  `postgres://app@${servers.map(({ address }) => address).join(',')}/gatehouse?target_session_attrs=read-write`

function recoveries(t: Test, { recordings }: Scene, since: number): void {
  const found = recordings.map((recording) => recording.recovery('kept', since))
  t.ok(found.every((each) => each !== undefined), 'both answer again')
  t.comment(`kept session answered again after ${found.join(' and ')} ms`)
}

const changes = ({ log }: TestGateway): readonly unknown[] =>
  log.filter(({ msg }) => String(msg).startsWith('another server is the primary now'))

t.test('the old primary stays alive, and the service address moves', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const service = await startServiceAddress(t, a)
  const scene = await startScene(t, pair, `postgres://app@${service.address}/gatehouse`)
  b.promote()
  service.moveTo(b)
  const moved = performance.now()
  await scene.revoke(b)
  await scene.judge(12_000)
  recoveries(t, scene, moved)
  for (const gateway of scene.gateways) t.equal(changes(gateway).length, 1, 'the log says it once')
})

t.test('the LISTEN connection moves with the service address, and the pool stays behind', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const service = await startServiceAddress(t, a)
  const scene = await startScene(t, pair, `postgres://app@${service.address}/gatehouse`)
  b.promote()
  service.moveTo(b)
  const onA = await connect(t, a.adminUrl)
  await onA(`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name in ('gatehouse listener', 'gatehouse heartbeat')`)
  await scene.revoke(b)
  await scene.judge(12_000)
})

t.test('both hosts of the list accept writes: the higher timeline counts', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const scene = await startScene(t, pair, listOf(a, b))
  b.promote()
  await scene.revoke(b)
  await scene.judge(12_000)
})

t.test('a switchover under load', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const scene = await startScene(t, pair, listOf(b, a))
  const began = performance.now()
  a.stop('fast')
  b.promote()
  a.rejoin()
  await scene.revoke(b)
  await scene.judge(10_000)
  recoveries(t, scene, began)
})

t.test('a frozen primary is thawed after the promotion', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const scene = await startScene(t, pair, listOf(a, b))
  const began = performance.now()
  a.freeze()
  b.promote()
  await scene.revoke(b)
  await sleep(8_000)
  a.thaw()
  await scene.judge(8_000)
  recoveries(t, scene, began)
})

t.test('both hosts are down and come back', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const scene = await startScene(t, pair, listOf(a, b))
  await scene.revoke(a)
  await sleep(2_000)
  b.stop('fast')
  a.stop('fast')
  await sleep(8_000)
  const [none, some] = scene.recordings.map(({ checks }) =>
    checks.findLast(({ session }) => session === 'kept')?.status
  )
  t.strictSame({ none, some }, { none: 503, some: 200 }, 'outageGrace alone answers')
  const back = performance.now()
  a.start()
  await scene.judge(8_000)
  recoveries(t, scene, back)
})

// proves: record-heartbeat-confirmed
t.test('only the old primary can be reached, and it has lost its synchronous standby', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  await makeSynchronous(t, a)
  const scene = await startScene(t, pair, a.url)
  b.promote()
  await scene.revoke(b)
  await sleep(12_000)
  for (const recording of scene.recordings) await recording.stop()
  const [strict, lenient] = scene.recordings
  t.strictSame(strict?.wrong(BOUND_MS), [], 'outageGrace 0s: no wrong 200')
  t.equal(strict?.checks.at(-1)?.status, 503, 'no row of the old primary counts')
  t.equal(lenient?.checks.findLast(({ session }) => session === 'kept')?.status, 200, 'outageGrace 60s')
  for (const { log } of scene.gateways) {
    const said = log.filter(({ msg, reason }) => reason === 'unconfirmed' && String(msg).startsWith('no server'))
    t.equal(said.length, 1, 'the log says it once')
  }
})
