// The server of record on real servers: which host of a list is used, what is refused, and what a server does not show.
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { newAdminSessionId } from '../../../src/core/admin-session.js'
import { GatehouseError } from '../../../src/core/errors.js'
import { newSessionId } from '../../../src/core/session.js'
import { createAdminSessionStore } from '../../../src/store/admin-sessions.js'
import { createAdminTokenStore } from '../../../src/store/admin-tokens.js'
import { openDatabase, type Database } from '../../../src/store/database.js'
import { createSigningKeyStore } from '../../../src/store/keys.js'
import { createPolicyDeploymentStore } from '../../../src/store/policy-deployments.js'
import { createPolicyVersionStore } from '../../../src/store/policy-versions.js'
import { serverState, withClient } from '../../../src/store/postgres-server-state.js'
import type { CurrentServer } from '../../../src/store/server-of-record/record.js'
import {
  chooseServer,
  openServerOfRecord,
  type DatabaseServer,
  type ServerOfRecord,
} from '../../../src/store/server-of-record/server-of-record.js'
import { createSessionStore } from '../../../src/store/sessions.js'
import { freePorts, startTestGateway } from '../../helpers/gateway.js'
import { freshDatabase } from '../../helpers/postgres.js'
import { startRelay } from '../../helpers/relay.js'
import { connect } from '../../helpers/sql.js'
import { startStreamingPair, type PairServer } from '../../helpers/streaming-pair.js'
import { until } from '../../helpers/until.js'
import { createSessionAdmin } from '../../helpers/acts.js'

type Line = Record<string, unknown>

async function open(t: Test, url: string, intervalMs = 5_000): Promise<{ server: ServerOfRecord, log: Line[] }> {
  const log: Line[] = []
  const line = (facts: object, msg: string): void => {
    log.push({ ...facts, msg })
  }
  const server = await openServerOfRecord({ url, log: { error: line, warn: line, info: line }, intervalMs })
  t.teardown(() => server.close())
  return { server, log }
}

const listOf = (...addresses: readonly string[]): string => `postgres://app@${addresses.join(',')}/gatehouse`
const portOf = (server: ServerOfRecord): string | null => new URL(server.current().url).searchParams.get('port')
const portIn = ({ address }: PairServer): string => address.split(':')[1] ?? ''

const TIMEOUTS = { idleTimeoutMs: 28_800_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }

/** Why no server may be used; undefined: one is used. */
function refusalOf(server: ServerOfRecord): unknown {
  try {
    server.current()
    return undefined
  } catch (error) {
    return error instanceof GatehouseError ? error.facts.reason : error
  }
}

/** Accepts connections and never answers. */
async function silentHost(t: Test): Promise<string> {
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

t.test('a list of hosts', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair

  await t.test('the primary is used, also where the standby comes first', async (t) => {
    const { server } = await open(t, listOf(b.address, a.address))
    t.equal(portOf(server), portIn(a))
    t.match(server.hosts(), [{ host: b.address, state: 'read-only' }, { host: a.address, state: 'current' }])
    t.match(server.hosts()[1]?.identity, { systemId: /^\d+$/, timeline: '00000001', startedAt: /^\d{16}$/ })
    t.strictSame(server.hosts()[1]?.hidden, [], 'an ordinary role reads all of it')
  })

  await t.test('a host that accepts connections and never answers is down', async (t) => {
    const { server } = await open(t, listOf(await silentHost(t), a.address))
    t.equal(portOf(server), portIn(a))
    t.match(server.hosts()[0], { state: 'unreachable', failure: { facts: { reason: 'timeout' } } })
  })

  await t.test('a wrong port is down, and only wrong ports are an error that names each', async (t) => {
    const [closed = 0, other = 0] = await freePorts(2)
    const { server } = await open(t, listOf(`127.0.0.1:${closed}`, a.address))
    t.equal(portOf(server), portIn(a))
    await t.rejects(open(t, listOf(`127.0.0.1:${closed}`, `127.0.0.1:${other}`)), {
      code: 'database_unavailable',
      message: new RegExp(`No server of database.url answers: .*:${closed} .*:${other} `),
    })
  })

  await t.test('hosts that are all read-only are an error', async (t) => {
    await t.rejects(open(t, listOf(b.address)), { code: 'database_unavailable', facts: { reason: 'read_only' } })
    const [closed = 0] = await freePorts(1)
    await t.rejects(open(t, listOf(b.address, `127.0.0.1:${closed}`)), {
      code: 'database_unavailable',
      facts: { reason: 'read_only' },
    })
  })

  await t.test('a server of another cluster in the list is refused', async (t) => {
    const other = new URL(await freshDatabase(t))
    const { hostname, port, pathname } = other
    const admin = await connect(t, a.adminUrl)
    await admin(`create role ${other.username} login superuser`)
    await admin(`create database "${pathname.slice(1)}"`)
    const url = `postgres://${other.username}:${other.password}@${hostname}:${port},${a.address}${pathname}`
    await t.rejects(open(t, url), {
      code: 'database_unavailable',
      message: /different clusters: .* of cluster \d+, .* of cluster \d+/,
      facts: { reason: 'other_cluster' },
    })

    const relay = await startRelay(t, `${hostname}:${port}`)
    relay.freeze()
    const later = `postgres://${other.username}:${other.password}@${a.address},${relay.address}${pathname}`
    const { server, log } = await open(t, later, 1_000)
    t.equal(portOf(server), portIn(a), 'while it does not answer')
    relay.thaw()
    t.ok(await until(() => refusalOf(server) === 'other_cluster', 10_000), 'once it answers, none is used')
    await sleep(2_000)
    t.strictSame(log.map(({ msg, reason }) => ({ msg, reason })), [{
      msg: 'no server of the database may be used: sessions are not answered',
      reason: 'other_cluster',
    }], 'said once')
    await relay.stop()
    t.ok(await until(() => refusalOf(server) === undefined, 10_000), 'the first one is used again without it')
    t.equal(log.at(-1)?.msg, 'the database is used again')
  })

  await t.test('what doctor reads of a primary with a standby, as an ordinary role', async (t) => {
    const admin = await connect(t, a.adminUrl)
    const state = () => withClient(a.url, 'test', (client) => serverState(client, a.url))
    t.match(await state(), {
      standbys: 1,
      synchronousStandbyNames: '',
      synchronousCommit: 'on',
      seesTransactions: false,
    })
    await admin("alter system set synchronous_standby_names = 'ANY 1 (*)'")
    await admin('select pg_reload_conf()')
    t.ok(await until(async () => (await state()).synchronousStandbyNames === 'ANY 1 (*)', 10_000))
    await admin('alter system reset synchronous_standby_names')
    await admin('select pg_reload_conf()')
    await admin('grant pg_read_all_stats to app')
    t.match(await state(), { standbys: 1, seesTransactions: true })
  })

  // proves: record-connection-verified, record-command-direct
  await t.test('what a connection to the former primary returns is refused', async (t) => {
    const { server, log } = await open(t, listOf(a.address, b.address), 1_000)
    const database = openDatabase({ server, poolSize: 2 })
    t.teardown(() => database.close())
    const read = (): Promise<unknown> => database.ask((db) => db.execute('select 1'))
    await read()
    const before = server.current()
    b.promote()
    t.ok(await until(() => portOf(server) === portIn(b), 10_000), 'the new primary is used')
    await read()
    t.match(log, [{ msg: /^another server is the primary now/, host: b.address, timeline: '00000002' }])
    t.match(server.hosts(), [{ host: a.address, state: 'accepts writes' }, { host: b.address, state: 'current' }])
    const former = openDatabase({
      server: { ...server, ...always({ ...server.current(), poolUrl: before.poolUrl }) },
      poolSize: 1,
    })
    t.teardown(() => former.close())
    await t.rejects(former.ask((db) => db.execute('select 1')), { code: 'database_unavailable' }, 'a new connection')
    await t.rejects(
      former.transaction((tx) => tx.execute('select 1')),
      { code: 'database_unavailable' },
      'a transaction',
    )

    const behindPooler = await chooseServer({ url: a.url, directUrl: listOf(a.address, b.address) })
    t.match(behindPooler.current(), { url: new RegExp(portIn(b)), poolUrl: a.url })
    const misled = openDatabase({ server: behindPooler, poolSize: 1 })
    t.teardown(() => misled.close())
    await t.rejects(
      createSessionAdmin(misled, TIMEOUTS).revokeAll({}, 'test'),
      { code: 'database_unavailable' },
      'a command',
    )
  })
})

// proves: record-pool-left
t.test('what began before another server was elected is no answer', async (t) => {
  const url = await freshDatabase(t)
  const { server } = await open(t, url)
  let current = server.current()
  const listeners: (() => void)[] = []
  const moving: DatabaseServer = {
    ...always(current),
    current: () => current,
    suspect: () => {},
    onChange: (listener) => {
      listeners.push(listener)
    },
  }
  const database = openDatabase({ server: moving, poolSize: 1 })
  t.teardown(() => database.close())
  const work = database.ask(async (db) => {
    const { rowCount } = await db.execute('select 1')
    current = { ...current }
    return rowCount
  })
  await t.rejects(work, { code: 'database_unavailable', message: /not the server of record any more/ })
})

// proves: record-transaction-verified
t.test('a transaction is refused where its connection leads to another server meanwhile', async (t) => {
  const { server } = await open(t, await freshDatabase(t))
  const current: { -readonly [Key in keyof CurrentServer]: CurrentServer[Key] } = { ...server.current() }
  const database = openDatabase({ server: { ...server, ...always(current) }, poolSize: 1 })
  t.teardown(() => database.close())
  const write = (): Promise<unknown> => database.transaction((tx) => tx.execute('select 1'))
  await write()
  current.key = '00000002/1' // as behind a pooler, which moved the connection
  await t.rejects(write(), { code: 'database_unavailable', facts: { reason: 'superseded' } })
})

// proves: record-stall
t.test('after the process stood still, what arrived meanwhile counts before any time limit', async (t) => {
  const { server } = await open(t, await freshDatabase(t))
  const database = openDatabase({ server, poolSize: 1 })
  t.teardown(() => database.close())
  const read = async (): Promise<unknown> => (await database.ask((db) => db.execute('select 1 as one'))).rows
  await read()
  server.heartbeatSent()
  for (const until = performance.now() + 5_500; performance.now() < until;) Math.random() // nothing else runs
  const confirmation = setTimeout(() => server.heartbeatConfirmed(), 50)
  t.teardown(() => clearTimeout(confirmation))
  t.strictSame(await read(), [{ one: 1 }])
  server.heartbeatSent()
  await sleep(5_500)
  await t.rejects(read(), { code: 'database_unavailable', facts: { reason: 'unconfirmed' } }, 'without a stall')
})

// proves: record-row-verified, record-session-verified, record-admin-session-verified, record-token-verified
// proves: record-policy-verified, record-policy-text-verified, record-keys-verified
t.test('sessions, tokens, policy and keys, or that there are none, count only from the server of record', async (t) => {
  const gateway = await startTestGateway(t)
  const { server } = await open(t, gateway.databaseUrl)
  const database = openDatabase({ server, poolSize: 1 })
  t.teardown(() => database.close())
  const asked: unknown[] = []
  const watched: Database = {
    ...database,
    identitySql: database.identitySql,
    confirm(key) {
      asked.push(key)
      throw new GatehouseError('database_unavailable')
    },
  }
  const { session } = gateway.config
  const finds: Readonly<Record<string, () => Promise<unknown>>> = {
    'a session': () => createSessionStore(watched, session).find(newSessionId()),
    'a session of the console': () => createAdminSessionStore(watched, session).find(newAdminSessionId()),
    'an API token': () => createAdminTokenStore(watched).find(Buffer.alloc(32)),
    'the policy in force': () => createPolicyDeploymentStore(watched).inForce(),
    'the text of a version': () => createPolicyVersionStore(watched).get(1),
    'the signing keys': () => createSigningKeyStore(watched, ['another secret']).load(),
  }
  for (const [name, find] of Object.entries(finds)) {
    await t.rejects(find(), { code: 'database_unavailable' }, name)
    t.strictSame(asked.splice(0), [server.current().key], name)
  }
})

const always = (current: ReturnType<ServerOfRecord['current']>) => ({
  current: () => current,
  confirmed: () => current,
})

// proves: record-hidden-parts
t.test('a server that does not show a part of its identity is used by the rest', async (t) => {
  const url = await freshDatabase(t)
  const query = await connect(t, url)
  const { pathname } = new URL(url)
  await query(`drop role if exists "r${pathname.slice(1)}"`)
  await query(`create role "r${pathname.slice(1)}" login password 'p'`)
  t.teardown(() => query(`drop role "r${pathname.slice(1)}"`))
  const ordinary = new URL(url)
  ordinary.username = `r${pathname.slice(1)}`
  ordinary.password = 'p'
  const shown = await open(t, ordinary.href)
  t.match(shown.server.hosts()[0], { hidden: [], identity: { systemId: /^\d+$/, timeline: /^0000000\d$/ } })
  await query('revoke execute on function pg_control_system() from public')
  await query('revoke execute on function pg_walfile_name(pg_lsn) from public')
  const { server } = await open(t, ordinary.href)
  t.match(server.hosts()[0], {
    hidden: ['systemId', 'timeline'],
    identity: { systemId: undefined, timeline: undefined },
  })
  const database = openDatabase({ server, poolSize: 1 })
  const { rows: [row] } = await database.ask((db) =>
    db.execute<{ server: string }>(`select ${database.identitySql} as server`)
  )
  t.doesNotThrow(() => database.confirm(row?.server))
  t.throws(() => database.confirm('/1'), { code: 'database_unavailable' })
  t.throws(() => database.confirm(undefined), { code: 'database_unavailable' }, 'no row is no answer either')
  await database.close()
  t.match(await withClient(url, 'test', async () => 'open'), 'open')
})
