// Gateways on one database that fails over, with and without outageGrace, under recorded sign-ins, checks and endings.
// GATEHOUSE_TEST_RELEASE names another release, by its tag, that the scenes run on instead of this one.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { startTestGateway, type TestGateway } from './gateway.js'
import { judge, longestGap, notRecovered, seconds, signInGap, type JudgeOptions, type Verdict } from './load-verdict.js'
import { previousReleaseGateways } from './previous-gateway.js'
import {
  commandAt,
  startRecordedLoad,
  type EndSession,
  type LoadedGateway,
  type RecordedLoad,
} from './recorded-load.js'
import { connect } from './sql.js'
import type { PairServer, StreamingPair } from './streaming-pair.js'
import { until } from './until.js'

export interface SceneGateway extends LoadedGateway {
  readonly gateway: Pick<TestGateway, 'url' | 'management' | 'signIn' | 'log'>
}

export interface Scene {
  readonly gateways: readonly SceneGateway[]
  readonly load: RecordedLoad
  /** Some of the active sessions end by commands on this server now. */
  end(on: PairServer): Promise<void>
}

interface SceneOptions {
  /** Session outage grace of each gateway, in seconds. */
  readonly graces?: readonly number[]
  readonly config?: Readonly<Record<string, unknown>>
}

/** The releases differ in how a gateway is started, and in how a command ends a session. */
export interface SceneRelease {
  start(t: Test, databaseUrl: string, config: Readonly<Record<string, unknown>>): Promise<SceneGateway['gateway']>
  commandAt(url: string): EndSession
  /** The address that it gets in place of a list of hosts. */
  listOf(t: Test, pair: StreamingPair, url: string): Promise<string>
}

const THIS_RELEASE: SceneRelease = {
  start: (t, databaseUrl, config) => startTestGateway(t, { databaseUrl, config }),
  commandAt,
  listOf: async (_t, _pair, url) => url,
}

const PACE = { checkMs: 50, signInMs: 1_000, active: 6 }
/** How many sessions of these end by commands on the new primary. */
const ENDED = 3
const RECOVERY_MS = 30_000
/** Longer than the bound of an ended session, so that endings after the recovery count too. */
const AFTER_MS = 7_500
/** Heartbeats are sent each second: of what was lost before the last one no heartbeat need be missing. */
const HEARTBEATS_MS = 2_000

/** @param urlOf the address of the database, of a list of hosts or of one address */
export async function startScene(
  t: Test,
  pair: StreamingPair,
  database: { readonly list: readonly PairServer[] } | { readonly address: string },
  { graces = [0, 60], config = {} }: SceneOptions = {},
): Promise<Scene> {
  const tag = process.env.GATEHOUSE_TEST_RELEASE
  const release = tag === undefined ? THIS_RELEASE : previousReleaseGateways(tag)
  const url = 'list' in database
    ? await release.listOf(t, pair, listOf(database.list))
    : `postgres://app@${database.address}/gatehouse`
  const gateways: SceneGateway[] = []
  for (const grace of graces) {
    const session = { outageGrace: `${grace}s`, maxPerUser: 1_000 }
    const gateway = await release.start(t, url, { ...config, session, log: { level: 'warn' } })
    gateways.push({ name: `outageGrace ${grace}s`, graceMs: grace * 1_000, gateway })
  }
  const load = startRecordedLoad(gateways, { address: release.commandAt(url) }, PACE)
  t.teardown(() => load.stop())
  await until(() => load.sessions.length > PACE.active && load.sessions.some(({ ending }) => ending !== undefined))
  await caughtUp(t, pair.a)
  return {
    gateways,
    load,
    async end(on) {
      const count = await load.end(`command on ${on.name}`, release.commandAt(on.url), ENDED)
      t.equal(count, ENDED, `sessions ended on ${on.name}`)
    },
  }
}

function listOf(servers: readonly PairServer[]): string {
  return `postgres://app@${servers.map(({ address }) => address).join(',')}/gatehouse?target_session_attrs=read-write`
}

/** The standby has replayed what the primary has committed. */
export async function caughtUp(t: Test, primary: PairServer): Promise<void> {
  const query = await connect(t, primary.adminUrl)
  const [at] = await query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
  await until(async () => {
    const [row] = await query<{ done: boolean }>(
      'select coalesce(bool_and(replay_lsn >= $1::pg_lsn), false) as done from pg_stat_replication',
      [at?.lsn],
    )
    return row?.done === true
  })
}

interface Expected extends Omit<JudgeOptions, 'left'> {
  /** The server of record, after everything. */
  readonly primary: PairServer
  /** `none`: everything acknowledged is kept; `said`: what is lost is said. */
  readonly losses: 'none' | 'said'
}

export interface Outcome {
  readonly verdict: Verdict
  /** How long no active session was answered, and how long no one signed in, by gateway, in milliseconds. */
  readonly answers: readonly number[]
  readonly signIns: readonly number[]
}

/** Waits for the recovery, records a little longer, stops and judges. */
export async function judged(t: Test, { gateways, load }: Scene, expected: Expected): Promise<Outcome> {
  const { from, losses, primary } = expected
  t.strictSame(await notRecovered(load, gateways, RECOVERY_MS), [], 'every gateway answers and signs in again')
  await sleep(AFTER_MS)
  await load.stop()
  const left = leftAt(gateways, load, from)
  const verdict = await judge(load, gateways, await connect(t, primary.adminUrl), { ...expected, left })
  const { wrong, refused, lost, counts, inGrace, late } = verdict
  const since = { signIns: acknowledgedSince(load.signIns, from), endings: endingsSince(load, from) }
  t.ok(since.signIns > 5 && since.endings > 5, 'sign-ins and endings are acknowledged after the fault')
  for (const [name, answers] of Object.entries({ 'wrong 200': wrong, 'wrong 401': refused })) {
    t.equal(answers.length, 0, `no ${name}`, { diagnostic: answers.length > 0, first: answers.slice(0, 3) })
  }
  t.strictSame(lost.wrong, [], 'what ended before a loss is ended again')
  const acts = [...lost.signIns, ...lost.endings]
  if (losses === 'none') t.strictSame(acts, [], 'nothing acknowledged is lost')
  else if (lost.earliest !== undefined && lost.earliest < left - HEARTBEATS_MS) {
    t.ok(gateways.some(({ gateway: { log } }) => saidLosses(log).length > 0), 'the loss is said')
  }
  t.comment(
    `${counts.checks} checks, ${counts.signIns} sign-ins, ${counts.endings} endings (since the fault: ` +
      `${since.signIns}, ${since.endings}); wrong 200: ${wrong.length}, wrong 401: ${refused.length}; in grace: ` +
      `${inGrace}, late: ${late}; lost: ${lost.signIns.length} sign-ins, ${lost.endings.length} endings`,
  )
  const gaps = (gap: typeof longestGap): readonly number[] =>
    gateways.filter(({ graceMs }) => graceMs === 0).map(({ name }) => gap(load, name, from))
  const outcome = { verdict, answers: gaps(longestGap), signIns: gaps(signInGap) }
  t.comment(`without grace: no answer for ${list(outcome.answers)} s, no sign-in for ${list(outcome.signIns)} s`)
  return outcome
}

const list = (times: readonly number[]): string => times.map(seconds).join(', ')

const acknowledgedSince = (acts: RecordedLoad['signIns'], from: number): number =>
  acts.filter(({ acknowledged = 0 }) => acknowledged > from).length

const endingsSince = ({ sessions }: RecordedLoad, from: number): number =>
  sessions.filter(({ ending }) => (ending?.acknowledged ?? 0) > from).length

type Log = TestGateway['log']

export function changesOf(log: Log): Log {
  return log.filter(({ msg }) => String(msg).startsWith('another server is the primary now'))
}

export function saidLosses(log: Log): Log {
  return log.filter(({ msg }) => String(msg).startsWith('the database has lost'))
}

/** Monotonic, as the times of the load. */
export function timeOf({ time }: Log[number]): number {
  return Date.parse(String(time)) - performance.timeOrigin
}

/** When the last of the replicas got its last answer from a server that another one replaced; the fault: none did. */
function leftAt(gateways: readonly SceneGateway[], { reaches }: RecordedLoad, from: number): number {
  const times = gateways.flatMap(({ name, gateway: { log } }) => {
    const change = changesOf(log).map(timeOf).find((at) => at >= from) ?? 0
    return reaches.get(name)?.findLast(({ reached, begin }) => reached && begin < change)?.begin ?? []
  })
  return Math.max(from, ...times)
}
