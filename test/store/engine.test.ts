// Engines that speak PostgreSQL's protocol and lack a part that Gatehouse relies on. A real PostgreSQL stands in for
// them: a schema before pg_catalog replaces its functions, and settings keep triggers from firing.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { DEMO_TENANT_ID } from '../../src/demo/people.js'
import { tryEngine } from '../../src/store/engine.js'
import { migrate } from '../../src/store/migrate.js'
import { openServerOfRecord, SILENT } from '../../src/store/server-of-record/server-of-record.js'
import { runInProcess } from '../helpers/command.js'
import { startPgbouncer } from '../helpers/pgbouncer.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

/** @param body in PL/pgSQL, in place of that of PostgreSQL's function */
async function withFunction(t: Test, signature: string, returns: string, body: string): Promise<string> {
  const url = await freshDatabase(t)
  const query = await connect(t, url)
  await query('create schema fake')
  await query(`create function fake.${signature} returns ${returns} language plpgsql as $$begin ${body}; end$$`)
  await query(`alter database ${nameOf(url)} set search_path = fake, pg_catalog, public`)
  return url
}

const withLock = (t: Test, body: string): Promise<string> =>
  withFunction(t, 'pg_try_advisory_xact_lock(bigint)', 'boolean', body)

async function withoutTriggers(t: Test): Promise<string> {
  const url = await freshDatabase(t)
  await (await connect(t, url))(`alter database ${nameOf(url)} set session_replication_role = replica`)
  return url
}

const nameOf = (url: string): string => new URL(url).pathname.slice(1)

const LOCKS = `select count(*)::int as held from pg_locks where locktype = 'advisory' and database = (select oid from
  pg_database where datname = current_database())`
const RELATIONS = "select relname from pg_class where relname like 'gatehouse_trial%'"

t.test('PostgreSQL passes, and nothing is left of the trial', async (t) => {
  const url = await freshDatabase(t)
  await Promise.all(Array.from({ length: 8 }, () => tryEngine(url)))
  const query = await connect(t, url)
  t.strictSame({ locks: await query(LOCKS), relations: await query(RELATIONS) }, {
    locks: [{ held: 0 }],
    relations: [],
  })
})

t.test('behind a pooler in transaction mode too', async (t) => {
  const pool = await startPgbouncer(t, 'transaction')
  if (pool === undefined) return
  for (let times = 0; times < 3; times++) await tryEngine(pool.pooled)
  t.strictSame(await (await connect(t, pool.direct))(LOCKS), [{ held: 0 }])
})

t.test('a pooler without a second connection is waited for, and not for long', async (t) => {
  const pool = await startPgbouncer(t, 'transaction', { default_pool_size: 1 })
  if (pool === undefined) return
  await t.rejects(tryEngine(pool.pooled), { code: 'database_unavailable', facts: { reason: 'timeout' } })
})

// proves: record-engine-one-server
t.test('connections that lead to different servers are tried again, and then refused', async (t) => {
  const url = await withLock(t, 'return true')
  const query = await connect(t, url)
  const startedAt = (time: string): Promise<unknown> =>
    query(`create or replace function fake.pg_postmaster_start_time() returns timestamptz language sql as
      $$select ${time}$$`)
  await startedAt('clock_timestamp()')
  await t.rejects(tryEngine(url), { code: 'database_unavailable', facts: { reason: 'split' } })
  await query('drop function fake.pg_try_advisory_xact_lock')
  const trial = tryEngine(url)
  await sleep(500)
  await startedAt("'2026-01-01'::timestamptz")
  await t.resolves(trial, 'a proxy that finds the primary meanwhile')
})

t.test('an engine that does not identify its server is refused at the first check', async (t) => {
  const url = await withFunction(
    t,
    'pg_postmaster_start_time()',
    'timestamptz',
    "raise exception using errcode = '0A000'",
  )
  await t.rejects(openServerOfRecord({ url, log: SILENT }), {
    code: 'database_engine_unsupported',
    facts: { reason: 'identity' },
  })
})

// proves: record-engine-locks
t.test('an engine whose locks exclude no one is refused', async (t) => {
  const url = await withLock(t, 'return true')
  await t.rejects(tryEngine(url), {
    code: 'database_engine_unsupported',
    message: /two connections obtained the same one/,
    facts: { reason: 'advisory_locks' },
  })
})

t.test('an engine that has no locks is refused', async (t) => {
  const refused = { code: 'database_engine_unsupported', facts: { reason: 'advisory_locks' } }
  await t.rejects(tryEngine(await withLock(t, 'return false')), refused)
  for (const state of ['0A000', '42883', 'P0001', 'XXUUU']) {
    const url = await withLock(t, `raise exception 'unimplemented' using errcode = '${state}'`)
    await t.rejects(tryEngine(url), { ...refused, message: /unimplemented/ }, state)
  }
  const busy = await withLock(t, "raise exception 'the server is shutting down' using errcode = '57P01'")
  await t.rejects(tryEngine(busy), { code: 'database_unavailable' }, 'a failure of another kind')
})

// proves: record-engine-triggers
t.test('an engine whose triggers do not fire is refused', async (t) => {
  await t.rejects(tryEngine(await withoutTriggers(t)), {
    code: 'database_engine_unsupported',
    facts: { reason: 'triggers' },
  })
})

t.test('an engine without triggers is refused', async (t) => {
  const url = await freshDatabase(t)
  const query = await connect(t, url)
  await query(`create function refuse() returns event_trigger language plpgsql as
    $$begin raise exception 'unimplemented' using errcode = '0A000'; end$$`)
  await query(
    "create event trigger refuse on ddl_command_start when tag in ('CREATE TRIGGER') execute function refuse()",
  )
  await t.rejects(tryEngine(url), { code: 'database_engine_unsupported', facts: { reason: 'triggers' } })
})

t.test('the trial takes no more rights than Gatehouse has', async (t) => {
  const url = await freshDatabase(t)
  const query = await connect(t, url)
  const role = nameOf(url)
  await query(`create role ${role} login password 'a-password'`)
  t.teardown(async () => {
    await query(`drop owned by ${role}`)
    await query(`drop role ${role}`)
  })
  await query(`revoke all on database ${role} from public`)
  await query(`grant connect on database ${role} to ${role}`)
  await query('revoke create on schema public from public')
  const ordinary = new URL(url)
  Object.assign(ordinary, { username: role, password: 'a-password' })
  const passes = async (what: string): Promise<void> => {
    await t.resolves(tryEngine(ordinary.href), what)
    await query(`alter database ${role} set session_replication_role = replica`)
    await t.rejects(
      tryEngine(ordinary.href),
      { code: 'database_engine_unsupported', facts: { reason: 'triggers' } },
      what,
    )
    await query(`alter database ${role} reset session_replication_role`)
  }
  await t.resolves(
    tryEngine(ordinary.href),
    'neither temporary tables nor a schema: the tables are those of another role',
  )
  await query(`grant create, usage on schema public to ${role}`)
  await passes('tables in the schema of the migrations')
  await query(`revoke create on schema public from ${role}`)
  await query(`grant temporary on database ${role} to ${role}`)
  await passes('temporary tables alone')
  t.strictSame(await query(RELATIONS), [])
  await query('revoke usage on language plpgsql from public')
  await t.resolves(tryEngine(ordinary.href), 'without PL/pgSQL')
})

t.test('serve and migrate refuse the engine, and doctor reports it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-engine-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'gatehouse.yaml')
  const url = await withLock(t, 'return true')
  writeFileSync(
    file,
    stringify({
      server: { publicUrl: 'http://127.0.0.1:4180', port: 0, management: { port: 0 } },
      log: { level: 'silent' },
      entra: {
        tenantId: DEMO_TENANT_ID,
        clientId: DEMO_TENANT_ID,
        clientSecret: 'a~secret',
        authorityHost: 'http://127.0.0.1:1',
        graphUrl: 'http://127.0.0.1:1',
        allowHttp: true,
        loginBudget: '1s',
      },
      database: { url },
      session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
      keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
    }),
  )
  for (const command of ['migrate', 'serve']) {
    const { status, stdout, stderr } = await runInProcess([command, '--config', file])
    t.equal(status, 1, command)
    t.match(
      stdout + stderr,
      /has no working advisory locks: two connections obtained the same one\.\n {4}Use PostgreSQL/,
    )
  }
  const query = await connect(t, url)
  t.strictSame(await query("select from pg_tables where tablename = 'sessions'"), [], 'before anything is written')
  await (await connect(t, url))(`alter database ${nameOf(url)} reset search_path`)
  await migrate(url)
  const findings = async () => {
    const { stdout } = await runInProcess(['doctor', '--config', file, '--json'])
    const { results } = JSON.parse(stdout) as { results: { check: string, state: string, code: string }[] }
    return results.filter(({ code }) => code.startsWith('database_engine')).map(({ check, state, code }) => (
      { check, state, code }
    ))
  }
  t.strictSame(await findings(), [{ check: 'database', state: 'ok', code: 'database_engine' }])
  await (await connect(t, url))(`alter database ${nameOf(url)} set search_path = fake, pg_catalog, public`)
  t.strictSame(await findings(), [{ check: 'database', state: 'fail', code: 'database_engine_unsupported' }])
})
