// Three PostgreSQL with Patroni, etcd and HAProxy fail in turn under recorded load, with and without synchronous_mode.
// Six gateways: by HAProxy with and without shutdown-sessions, and by the list of hosts, each with and without grace.
// It takes half an hour, so `npm run test:patroni` runs it alone.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import {
  judge,
  longestGap,
  medianAndLongest,
  notRecovered,
  seconds,
  signInGap,
  type Verdict,
} from '../helpers/load-verdict.js'
import { startPatroniCluster, type PatroniCluster } from '../helpers/patroni.js'
import { commandAt, startRecordedLoad, type LoadedGateway, type RecordedLoad } from '../helpers/recorded-load.js'
import { connect } from '../helpers/sql.js'

const GRACES = { '0s': 0, '60s': 60_000 }
/** Before a fault, and how long the load goes on once everything is well again. */
const BEFORE_MS = 8_000
const AFTER_MS = 10_000
/** How long a former primary and its successor run beside each other: HAProxy needs half of it to find the new one. */
const BESIDE_MS = 25_000
/** How long the way of the gateways is cut. */
const CUT_MS = 15_000
/** Longer than Patroni's ttl. */
const LONGER_THAN_TTL_MS = 30_000

interface PatroniGateway extends LoadedGateway {
  readonly gateway: TestGateway
}

/** Makes the fault, and repairs what would not repair itself. */
type Fault = (cluster: PatroniCluster) => Promise<void>

const FAULTS: Readonly<Record<string, Fault>> = {
  'PostgreSQL of the primary is killed': async (cluster) => {
    ;(await cluster.primary()).killPostgres()
    await sleep(2_000)
    await cluster.primary()
  },
  'the primary and its Patroni are killed': async (cluster) => {
    const old = await cluster.primary()
    old.killPatroni()
    old.killPostgres()
    await cluster.primary(old)
    await sleep(BESIDE_MS)
    old.startPatroni()
  },
  'the primary and its Patroni are frozen, and thawed after the promotion': async (cluster) => {
    const old = await cluster.primary()
    old.freeze()
    await cluster.primary(old)
    await sleep(BESIDE_MS)
    old.thaw()
  },
  'Patroni of the primary is killed, and PostgreSQL runs on': async (cluster) => {
    const old = await cluster.primary()
    old.killPatroni()
    await cluster.primary(old)
    await sleep(BESIDE_MS)
    old.startPatroni()
  },
  'the primary is cut off from its standbys': async (cluster) => {
    const { peers } = await cluster.primary()
    peers.shut()
    await sleep(LONGER_THAN_TTL_MS)
    peers.open()
  },
  'the primary is cut off from etcd': async (cluster) => {
    const { etcd } = await cluster.primary()
    etcd.shut()
    await sleep(LONGER_THAN_TTL_MS)
    etcd.open()
  },
  'the primary is cut off from etcd and its standbys': async (cluster) => {
    const { etcd, peers } = await cluster.primary()
    for (const way of [etcd, peers]) way.freeze()
    await sleep(LONGER_THAN_TTL_MS)
    for (const way of [etcd, peers]) way.open()
  },
  'the gateways are cut off from the primary': async (cluster) => {
    const { gateways } = await cluster.primary()
    gateways.shut()
    await sleep(CUT_MS)
    gateways.open()
  },
  'what the gateways send to the primary is dropped': async (cluster) => {
    const { gateways } = await cluster.primary()
    gateways.freeze()
    await sleep(CUT_MS)
    gateways.open()
  },
  'a switchover': (cluster) => cluster.switchover(),
  'etcd is down for longer than the ttl': async (cluster) => {
    cluster.etcd.stop()
    await sleep(LONGER_THAN_TTL_MS)
    await cluster.etcd.start()
  },
  'etcd is down for longer than the ttl, with failsafe_mode': async (cluster) => {
    await cluster.configure({ failsafe_mode: true })
    await sleep(15_000)
    cluster.etcd.stop()
    await sleep(LONGER_THAN_TTL_MS)
    await cluster.etcd.start()
    await cluster.configure({ failsafe_mode: false })
  },
}

async function startGateways(t: Test, cluster: PatroniCluster): Promise<readonly PatroniGateway[]> {
  const addresses = { list: cluster.listUrl, closing: cluster.closingUrl, leaving: cluster.leavingUrl }
  const gateways: PatroniGateway[] = []
  for (const [address, databaseUrl] of Object.entries(addresses)) {
    for (const [outageGrace, graceMs] of Object.entries(GRACES)) {
      const config = { session: { outageGrace, maxPerUser: 1_000 }, log: { level: 'warn' } }
      const gateway = await startTestGateway(t, { databaseUrl, config })
      gateways.push({ name: `${address} ${outageGrace}`, graceMs, gateway })
    }
  }
  return gateways
}

/** @returns the names of the gateways whose log and metric have said since then that acknowledged changes are lost */
async function reportingLoss(gateways: readonly PatroniGateway[], since: number): Promise<readonly string[]> {
  const reports = await Promise.all(gateways.map(async ({ name, gateway: { log, management } }) => {
    const logged = log.some(({ time, msg }) =>
      Date.parse(String(time)) >= since && String(msg).startsWith('the database has lost')
    )
    const metrics = await (await fetch(`${management}/metrics`)).text()
    const at = Number(/^gatehouse_database_history_lost_timestamp_seconds (\S+)$/m.exec(metrics)?.[1] ?? 0) * 1_000
    return logged && at >= since - 1_000 ? name : []
  }))
  return reports.flat()
}

interface Outcome {
  readonly name: string
  readonly load: RecordedLoad
  /** The monotonic time of the fault. */
  readonly from: number
  readonly verdict: Verdict
}

/** A row of the table of docs/testing.md. */
function row({ name, load, from, verdict }: Outcome, gateways: readonly LoadedGateway[]): readonly string[] {
  const gaps = (gap: typeof longestGap, grace: number): string =>
    gateways.filter(({ graceMs }) => graceMs === grace).map((each) => seconds(gap(load, each.name, from))).join(', ')
  const { counts, inGrace, late, lost, wrong, refused } = verdict
  return [
    name,
    gaps(longestGap, GRACES['0s']),
    gaps(longestGap, GRACES['60s']),
    gaps(signInGap, GRACES['0s']),
    `${counts.checks}, ${counts.signIns}, ${counts.endings}`,
    `${wrong.length}, ${refused.length}`,
    `${inGrace}, ${late}`,
    `${lost.signIns.length}, ${lost.endings.length}; ${lost.wrong.length}, ${lost.refused}`,
  ]
}

const HEAD = [
  'fault',
  'without grace',
  'grace of 60 s',
  'sign-ins',
  'checks, sign-ins, endings',
  'wrong 200, wrong 401',
  '200 in grace, late 401',
  'lost sign-ins, lost endings; 200 and 401 of those',
]

/** How long no active session was answered, over all faults and the gateways without grace. */
function recovery(outcomes: readonly Outcome[], gateways: readonly LoadedGateway[]): string {
  const gaps = outcomes.flatMap(({ load, from }) =>
    gateways.filter(({ graceMs }) => graceMs === 0).map(({ name }) => longestGap(load, name, from))
  )
  return `recovery: ${medianAndLongest(gaps)}`
}

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

function printLogs(t: Test, gateways: readonly PatroniGateway[], since: number): void {
  for (const { name, gateway } of gateways) {
    for (
      const { time, msg, detail, reason, host } of gateway.log.filter(({ time }) => Date.parse(String(time)) >= since)
    ) {
      t.comment(name, seconds(Date.parse(String(time)) - since), msg, reason, host, detail)
    }
  }
}

for (const synchronous of [true, false]) {
  t.test(`synchronous_mode ${synchronous ? 'on' : 'off'}`, async (t) => {
    const cluster = await startPatroniCluster(t, { synchronous })
    if (cluster === undefined) return
    const gateways = await startGateways(t, cluster)
    const commands = { list: commandAt(cluster.listUrl), HAProxy: commandAt(cluster.leavingUrl) }
    const outcomes: Outcome[] = []
    for (const [name, fault] of Object.entries(FAULTS)) {
      await t.test(name, async (t) => {
        await cluster.healthy()
        const load = startRecordedLoad(gateways, commands)
        t.teardown(() => load.stop()) // otherwise it would go on where a failure ends this early
        await sleep(BEFORE_MS)
        const [from, wall] = [performance.now(), Date.now()]
        await fault(cluster)
        t.strictSame(await notRecovered(load, gateways), [], 'every gateway answers and signs in again')
        await cluster.healthy()
        await sleep(AFTER_MS)
        await load.stop()
        const query = await connect(t, (await cluster.primary()).adminUrl)
        const verdict = await judge(load, gateways, query, { from })
        outcomes.push({ name, load, from, verdict })
        const { checks, endings: ended } = verdict.counts
        t.ok(checks > 1_000 && ended > 10, `${checks} checks, ${ended} endings`)
        t.strictSame(verdict.wrong, [], 'no wrong 200')
        t.strictSame(verdict.refused, [], 'no 401 for an acknowledged sign-in')
        const { signIns, endings } = verdict.lost
        t.strictSame(verdict.lost.wrong, [], 'no wrong 200 for a session whose ending is lost')
        if (synchronous) t.strictSame([...signIns, ...endings], [], 'nothing acknowledged is lost')
        else {
          for (const each of [...signIns, ...endings]) t.comment(`lost: ${each}`)
          const reporting = await reportingLoss(gateways, wall)
          t.comment(`reported as lost by: ${reporting.join(', ') || 'none'}`)
          t.ok(signIns.length + endings.length === 0 || reporting.length > 0, 'a gateway has reported the loss')
        }
        if (!t.passing()) printLogs(t, gateways, wall)
      })
    }
    const rows = outcomes.map((outcome) => row(outcome, gateways))
    for (const cells of [HEAD, HEAD.map(() => '---'), ...rows]) t.comment(line(cells))
    t.comment(recovery(outcomes, gateways))
  })
}
