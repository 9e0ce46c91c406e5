// What doctor says of the database.
import t from 'tap'
import type { Finding } from '../../src/checks/finding.js'
import { databaseFits, type DatabaseInspection } from '../../src/checks/database.js'
import { GatehouseError } from '../../src/core/errors.js'
import { migrate, readMigrationState } from '../../src/store/migrate.js'
import { oldestAbove } from '../../src/store/postgres-server-state.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const SEEN: DatabaseInspection = {
  timeMs: Date.now(),
  version: '18.0',
  pending: [],
  local: false,
  hosts: [],
  standbys: 0,
  synchronousStandbyNames: '',
  synchronousCommit: 'on',
  readOnly: undefined,
  noRights: undefined,
  oldTransaction: null,
  seesTransactions: true,
  searchesParts: true,
  pooled: false,
  tryEngine: async () => {},
  notificationsArrive: async () => true,
  link: { encrypted: false, protocol: undefined, verified: 'nothing' },
}

async function linkFinding(seen: Partial<DatabaseInspection>) {
  const findings = await databaseFits({ inspect: async () => ({ ...SEEN, ...seen }) })()
  return findings.find(({ code }) => code.startsWith('database_link'))
}

t.test('a plain link is warned of where it leaves this machine', async (t) => {
  const warned = await linkFinding({})
  t.match(warned, { state: 'warn', code: 'database_link_plain', remedy: /sslmode=verify-full/ })
  t.match(await linkFinding({ local: true }), { state: 'ok', code: 'database_link' })
})

t.test('for an encrypted connection it reports what was verified', async (t) => {
  for (
    const [verified, message] of [
      ['nothing', /TLSv1\.3\); the server's certificate is not verified/],
      ['authority', /except its name/],
      ['name', /is verified$/],
    ] as const
  ) {
    const found = await linkFinding({ link: { encrypted: true, protocol: 'TLSv1.3', verified } })
    t.match(found, { state: 'ok', message }, verified)
  }
})

const HOST = { identity: { timeline: '0000000B' }, hidden: [], failure: undefined } as const
const findings = async (seen: Partial<DatabaseInspection>): Promise<Readonly<Record<string, Finding>>> =>
  Object.fromEntries(
    (await databaseFits({ inspect: async () => ({ ...SEEN, ...seen }) })()).map((finding) => [finding.code, finding]),
  )

t.test('the search without pg_trgm is reported, with the remedy', async (t) => {
  t.match(await findings({}), { database_search: { state: 'ok' } })
  t.match(await findings({ searchesParts: false }), {
    database_search: { state: 'skipped', message: /beginnings/, remedy: /CREATE EXTENSION pg_trgm/ },
  })
  t.notOk('database_search' in await findings({ searchesParts: false, pending: ['0039_user_names'] }))

  const url = await freshDatabase(t)
  t.equal((await readMigrationState(url)).searchesParts, false)
  await migrate(url)
  t.equal((await readMigrationState(url)).searchesParts, true)
})

t.test('each host of a list is reported, and a second one that accepts writes is warned of', async (t) => {
  const found = await findings({
    hosts: [
      { ...HOST, host: 'a:5432', state: 'current' },
      { ...HOST, host: 'b:5432', state: 'accepts writes', identity: { timeline: '0000000A' } },
      { ...HOST, host: 'c:5432', state: 'read-only', identity: { timeline: undefined } },
      {
        ...HOST,
        host: 'd:5432',
        state: 'unreachable',
        identity: undefined,
        failure: new GatehouseError('database_unavailable', {
          detail: 'Nothing listens at d:5432.',
          remedy: 'Start it.',
        }),
      },
    ],
  })
  t.match(found, {
    database_hosts: {
      state: 'ok',
      message:
        'a:5432 is the server that is used on timeline 11, b:5432 accepts writes and is not used on timeline 10, ' +
        'c:5432 is read-only, d:5432 does not answer',
    },
    database_second_primary: { state: 'warn', message: /^b:5432 / },
    database_host_down: { state: 'warn', message: /Nothing listens at d:5432/, remedy: 'Start it.' },
  })
  t.notOk('database_hosts' in await findings({ hosts: [{ ...HOST, host: 'a:5432', state: 'current' }] }), 'one host')
})

t.test('what a server does not show is named with what is weaker for it', async (t) => {
  const found = await findings({
    hosts: [{ ...HOST, host: 'a:5432', state: 'current', hidden: ['timeline', 'systemId'] }],
  })
  t.match(found, {
    database_timeline_hidden: { state: 'warn', remedy: /pg_walfile_name/ },
    database_system_hidden: { state: 'warn', remedy: /pg_control_system/ },
  })
})

t.test('asynchronous replication is warned of where there is a standby', async (t) => {
  t.match(await findings({ standbys: 1 }), {
    database_asynchronous: { state: 'warn', remedy: /Patroni.*CloudNativePG/ },
  })
  t.match(await findings({ standbys: 1, synchronousStandbyNames: 'ANY 1 (*)' }), {
    database_synchronous: { state: 'ok', message: /ANY 1 \(\*\)/ },
  })
  for (const weak of ['off', 'local', 'remote_write']) {
    const found = await findings({ standbys: 1, synchronousStandbyNames: '*', synchronousCommit: weak })
    t.match(found['database_synchronous']?.message, `synchronous_commit is ${weak}, and Gatehouse sets it to on`)
  }
  for (const strong of ['on', 'remote_apply']) {
    const found = await findings({ standbys: 1, synchronousStandbyNames: '*', synchronousCommit: strong })
    t.notMatch(found['database_synchronous']?.message, 'synchronous_commit')
  }
  t.match(await findings({ standbys: 0, synchronousStandbyNames: '*' }), {
    database_standby_missing: { state: 'warn', message: /changes wait/, remedy: /synchronous_mode_strict/ },
  })
  t.notOk('database_asynchronous' in await findings({}), 'none without a standby')
})

t.test('a pooler that passes no notification is warned of', async (t) => {
  t.match(await findings({ pooled: true }), {
    database_pooled: { state: 'warn', remedy: /directUrl/ },
  })
  t.notOk('database_pooled' in await findings({}))
  t.match(await findings({ notificationsArrive: async () => false }), {
    database_polled: { state: 'warn', remedy: /database\.directUrl/ },
  })
  t.notOk('database_polled' in await findings({}))
})

t.test('a transaction that stays open is named', async (t) => {
  const oldTransaction = { seconds: 3_660, who: 'process 17 (report) in the database sales' }
  t.match(await findings({ oldTransaction }), {
    database_old_transaction: { state: 'warn', message: /for 61 minutes: process 17 \(report\)/, remedy: /terminate/ },
  })
  t.notOk('database_old_transaction' in await findings({}))
})

// proves: doctor-old-transaction
t.test('the oldest transaction is named above ten minutes, and not before', async (t) => {
  const url = await freshDatabase(t)
  const query = await connect(t, url)
  const named = async (...seconds: readonly number[]) => {
    const rows = seconds.map((each) => `(${each}::float8, 'process ${each}')`).join()
    const oldest = await query<{ found: object | null }>(
      `select (${oldestAbove(`select * from (values ${rows}) t (seconds, who)`)}) as found`,
    )
    return oldest[0]?.found
  }
  t.equal(await named(599.999, 600), null)
  t.strictSame(await named(600.001, 3, 599), { seconds: 600.001, who: 'process 600.001' })
  t.strictSame(await named(700, 6_000), { seconds: 6_000, who: 'process 6000' }, 'the oldest')

  // a view before pg_catalog takes the place of PostgreSQL's, because no transaction is ten minutes old in a test
  await query(`create schema aged; create table aged.minutes (n int); insert into aged.minutes values (9);
    create view aged.pg_stat_activity as select 0 as pid, clock_timestamp() - n * interval '1 minute' as xact_start,
      '1'::xid as backend_xid, null::xid as backend_xmin, 'report' as application_name, 'r' as usename,
        'sales' as datname
    from aged.minutes`)
  await query(`alter database ${new URL(url).pathname.slice(1)} set search_path = public, aged, pg_catalog`)
  t.equal((await readMigrationState(url)).oldTransaction, null, 'nine minutes')
  await query('update aged.minutes set n = 11')
  t.match((await readMigrationState(url)).oldTransaction, { who: 'process 0 (report) in the database sales' })
})
