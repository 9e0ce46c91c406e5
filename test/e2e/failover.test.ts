// A primary and a streaming standby fail over in every way that leaves one of them in doubt, under recorded checks.
// The recorded answers are judged afterwards: no 200 that began more than six seconds after the acknowledged ending of
// its session, and no 401 for a session that was not ended, except where history was lost and said.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { openDatabase } from '../../src/store/database.js'
import { recordChecks, type Recording } from '../helpers/failover-history.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { connect, endConnections } from '../helpers/sql.js'
import {
  makeSynchronous,
  startServiceAddress,
  startStreamingPair,
  type PairServer,
  type StreamingPair,
} from '../helpers/streaming-pair.js'
import { TARGET } from '../helpers/targets.js'
import { until } from '../helpers/until.js'
import { createSessionAdmin, createUserAdmin } from '../helpers/acts.js'

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

/** Gateways with and without outageGrace on one database, each with a session to be ended and one to be kept. */
async function startScene(t: Test, pair: StreamingPair, databaseUrl: string, graces = GRACES): Promise<Scene> {
  const gateways: TestGateway[] = []
  for (const outageGrace of graces) {
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
      const count = await admin.revokeAll({ userId: await userIdOf(t, on, PERSON_IDS.guest) }, 'test')
      await database.close()
      t.equal(count, gateways.length, 'sessions ended')
      for (const recording of recordings) recording.ended('ended')
    },
    async judge(forMs) {
      await sleep(forMs)
      for (const [index, recording] of recordings.entries()) {
        await recording.stop()
        const name = `outageGrace ${graces[index]}`
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

t.test('the change feed moves with the service address, and the pool stays behind', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const service = await startServiceAddress(t, a)
  const scene = await startScene(t, pair, `postgres://app@${service.address}/gatehouse`)
  b.promote()
  service.moveTo(b)
  const onA = await connect(t, a.adminUrl)
  await endConnections(onA, "application_name in ('gatehouse listener', 'gatehouse heartbeat', 'gatehouse changes')")
  await scene.revoke(b)
  await scene.judge(12_000)
})

t.test('both hosts of the list accept writes: the higher timeline counts', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const scene = await startScene(t, pair, listOf(a, b))
  const promoted = performance.now()
  b.promote()
  await scene.revoke(b)
  await scene.judge(12_000)
  recoveries(t, scene, promoted)
  for (const gateway of scene.gateways) {
    t.strictSame((await partsOf(gateway)).databaseHosts, { [a.address]: 'accepts writes', [b.address]: 'current' })
  }
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

/** From now on it receives nothing from the primary. */
async function disconnectStandby(t: Test, standby: PairServer): Promise<void> {
  const query = await connect(t, standby.adminUrl)
  await query("alter system set primary_conninfo = ''")
  await query('select pg_reload_conf()')
  await until(async () => (await query('select 1 from pg_stat_wal_receiver')).length === 0)
}

async function deactivate(t: Test, on: PairServer, oid: string): Promise<void> {
  const database = openDatabase({ server: on.url, poolSize: 1 })
  t.equal(await createUserAdmin(database).setActive(await userIdOf(t, on, oid), false, 'test'), 1, 'sessions ended')
  await database.close()
}

async function userIdOf(t: Test, on: PairServer, oid: string): Promise<string> {
  const query = await connect(t, on.adminUrl)
  const [person] = await query<{ user_id: string }>('select user_id from identities where oid = $1', [oid])
  return person?.user_id ?? ''
}

async function partsOf({ management }: TestGateway): Promise<{ history?: string, databaseHosts?: object }> {
  return ((await (await fetch(`${management}/readyz`)).json()) as { parts: object }).parts
}

const lossOf = async (gateway: TestGateway): Promise<unknown> => (await partsOf(gateway)).history

// proves: lost-compared-first
t.test('an asynchronous standby is behind when the primary dies', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const scene = await startScene(t, pair, listOf(a, b))
  const [first] = scene.gateways as [TestGateway]
  await first.signIn(PERSON_IDS.nested)
  await caughtUp(t, a)
  await disconnectStandby(t, b)
  const { browser: lost } = await first.signIn(PERSON_IDS.staff)
  await scene.revoke(a)
  await deactivate(t, a, PERSON_IDS.nested)
  await sleep(2_000)
  a.stop('immediate')
  b.promote()
  const promoted = performance.now()
  await scene.judge(8_000)
  recoveries(t, scene, promoted)
  for (const { checks } of scene.recordings) {
    const later = checks.filter(({ session, status, begin }) =>
      session === 'ended' && status === 200 && begin > promoted
    )
    t.strictSame(later, [], 'the session that was ended is not answered once')
  }
  const query = await connect(t, b.adminUrl)
  t.strictSame(
    await query('select is_active from users u join identities i on i.user_id = u.id where i.oid = $1', [
      PERSON_IDS.nested,
    ]),
    [{ is_active: false }],
  )
  t.equal((await first.ask('/oauth2/auth', { browser: lost, headers: TARGET })).status, 401, 'a sign-in is lost')
  for (const gateway of scene.gateways) {
    const said = gateway.log.filter(({ msg }) => String(msg).startsWith('the database has lost'))
    t.match(said, [{ level: 'error', heartbeatsLost: Number, remedy: /audit/ }], 'the log says it once')
    t.match(await lossOf(gateway), /^lost at \d{4}-/)
    const metrics = await (await fetch(`${gateway.management}/metrics`)).text()
    t.match(metrics, /^gatehouse_database_history_lost_timestamp_seconds 1\d{9}/m)
  }
  const audit = await query<{ detail: { takenAgain: Record<string, number> } }>(
    "select detail from audit_events where action = 'history.lost' order by id",
  )
  // the session of the person ends with the deactivation
  t.strictSame(audit[0]?.detail.takenAgain, { 'session.ended': 2, 'user.deactivated': 1 })
})

t.test('with onLostHistory: endSessions all sessions end after a loss', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const config = { database: { onLostHistory: 'endSessions' } }
  const gateway = await startTestGateway(t, { databaseUrl: listOf(a, b), config })
  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  await caughtUp(t, a)
  await disconnectStandby(t, b)
  await sleep(2_000)
  a.stop('immediate')
  b.promote()
  await until(async () => (await gateway.ask('/oauth2/auth', { browser, headers: TARGET })).status === 401)
  t.match(await lossOf(gateway), /all sessions ended$/)
  const { browser: next } = await gateway.signIn(PERSON_IDS.guest)
  t.equal((await gateway.ask('/oauth2/auth', { browser: next, headers: TARGET })).status, 200)
})

// proves: record-heartbeat-confirmed
t.test('only the old primary can be reached, and it has lost its synchronous standby', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  await makeSynchronous(t, a)
  const scene = await startScene(t, pair, a.url, ['0s', '60s', '10s'])
  b.promote()
  await scene.revoke(b)
  await sleep(25_000)
  for (const recording of scene.recordings) await recording.stop()
  const [strict, lenient, short] = scene.recordings
  t.strictSame(strict?.wrong(BOUND_MS), [], 'outageGrace 0s: no wrong 200')
  t.equal(strict?.checks.at(-1)?.status, 503, 'no row of the old primary counts')
  t.equal(lenient?.checks.findLast(({ session }) => session === 'kept')?.status, 200, 'outageGrace 60s')
  t.strictSame(short?.wrong(10_000 + BOUND_MS), [], 'outageGrace 10s: no wrong 200 after it')
  t.ok(short?.wrong(BOUND_MS).length, 'and until then the session goes on, because its end is not known')
  t.equal(short?.checks.findLast(({ session }) => session === 'kept')?.status, 503, 'the grace is over')
  for (const { log } of scene.gateways) {
    const said = log.filter(({ msg, reason }) => reason === 'unconfirmed' && String(msg).startsWith('no server'))
    t.equal(said.length, 1, 'the log says it once')
  }
})
