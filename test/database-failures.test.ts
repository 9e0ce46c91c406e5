// Every way a database can be wrong, on a real server: what check, doctor, migrate and serve print, and that each goes
// on with what it has to say besides. This run makes the table of docs/testing.md and compares (GATEHOUSE_WRITE_DOCS=1
// writes it).
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { createServerIdentity } from '../src/demo/entra/certificates.js'
import { DEMO_TENANT_ID } from '../src/demo/people.js'
import { migrate } from '../src/store/migrate.js'
import { runInProcess } from './helpers/command.js'
import { startStrictPostgres, type StrictPostgres } from './helpers/strict-postgres.js'

const PAGE = 'docs/testing.md'
const SECRETS = /right-password|wrong-password|for-tests|q7Wd|z4Ge/
type Command = 'check' | 'doctor' | 'migrate' | 'serve'

interface Run {
  readonly status: number
  readonly out: string
  readonly err: string
}

async function run(command: Command, config: string, json = false): Promise<Run> {
  const { status, stdout, stderr } = await runInProcess([command, '--config', config, ...json ? ['--json'] : []])
  return { status, out: stdout, err: stderr }
}

async function listening(t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** A server that says it is of another version: the real one, with two of its words replaced. */
async function olderServer(t: Test, to: string, replace: (text: string) => string): Promise<number> {
  return await listening(
    t,
    createServer((client) => {
      const server = connect(Number(new URL(to).port), '127.0.0.1')
      client.on('error', () => {}).on('close', () => server.destroy()).pipe(server)
      server.on('error', () => {}).on('close', () => client.destroy())
      server.on('data', (chunk) => client.write(Buffer.from(replace(chunk.toString('latin1')), 'latin1')))
    }),
  )
}

/** The statements of a remedy, by a superuser in that database. */
async function asSuperuser(url: string, database: string, remedy: string): Promise<void> {
  const there = new URL(url)
  there.pathname = `/${database}`
  const client = new pg.Client({ connectionString: there.href })
  await client.connect()
  await client.query(remedy.replace(/^[^:]*: /, ''))
  await client.end()
}

/** Until the server takes no more of them. */
async function takeAllConnections(t: Test, url: string): Promise<void> {
  const clients: pg.Client[] = []
  t.teardown(async () => {
    await Promise.all(clients.map((client) => client.end()))
  })
  for (;;) {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    const full = await client.connect().then(() => false, () => true)
    if (full) return
    clients.push(client)
  }
}

async function prepare(server: StrictPostgres): Promise<void> {
  const roles = ['person', 'outsider', 'tenant', 'reader', 'crowd', 'guest', 'stranger']
  await server.run(
    ...roles.map((role) => `create role ${role} login password 'right-password'`),
    'create database own owner person',
    'create database theirs',
    'create database half',
    'grant create on database half to tenant',
    'create database standby owner reader',
    'alter role reader set default_transaction_read_only = on',
    'alter role crowd connection limit 0',
    'create role locked login password null',
  )
  await server.admit('host all outsider all reject')
}

process.setMaxListeners(100) // serve ends with its process, which has gone on here

// proves: adv-database-goes-on, adv-database-grant
t.test('every command prints a failure of the database in one line with its remedy', async (t) => {
  const server = await startStrictPostgres(t, ['localhost'])
  await prepare(server)
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-failures-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const config = join(directory, 'gatehouse.yaml')
  const at = (wish: Parameters<StrictPostgres['urlOf']>[0]) =>
    server.urlOf({ host: '127.0.0.1', user: 'person', database: 'own', ...wish })
  const { version, number } = await versionOf(server.url)
  const old = await olderServer(
    t,
    server.url,
    (text) => text.replace(number, '120021').replace(version, '12.2'.padEnd(version.length, '1')),
  )
  const silent = await listening(t, createServer((socket) => socket.on('error', () => {})))
  const web = await listening(
    t,
    createServer((socket) => {
      socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    }),
  )
  const places: [string, string][] = []
  const another = join(directory, 'another-ca.pem')
  writeFileSync(another, createServerIdentity(['localhost']).caPem)
  places.push([directory, '/etc/gatehouse'])
  const secrets = {
    session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
    keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
  }
  const rows: string[][] = []

  /** @param reason in the findings of check and doctor */
  const failing = async (
    name: string,
    reason: string,
    url: string,
    checkIs: 'note' | 'warning' = 'note',
  ): Promise<string> => {
    const { host } = new URL(url)
    places.push([host, host.replace(/:\d+$/, ':5432')])
    writeFileSync(
      config,
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
        ...secrets,
        groupMapping: [{ entraGroup: DEMO_TENANT_ID, groups: ['Somebody'] }],
      }),
    )
    const runs = {
      check: await run('check', config),
      doctor: await run('doctor', config),
      migrate: await run('migrate', config),
      serve: await run('serve', config),
    }
    const [, says = '', remedy = ''] = /^gatehouse: (.+)\n {4}(.+)\n$/.exec(runs.migrate.err) ?? []
    t.ok(says && remedy, `${name}: ${runs.migrate.err}`)
    for (const [command, { status, out, err }] of Object.entries(runs)) {
      t.equal(status, command === 'check' ? 0 : 1, `${name}: ${command} ends as documented`)
      t.equal((out + err).split(says).length, 2, `${name}: ${command} says the cause once`)
      t.equal((out + err).split(remedy).length, 2, `${name}: ${command} says the remedy once`)
      t.notMatch(out + err, SECRETS, `${name}: ${command} prints no secret`)
      t.notMatch(out + err, /\n\s+at |Warning:/, `${name}: ${command} prints no stack and no warning of Node's`)
    }
    t.match(runs.check.out, new RegExp(`^${checkIs}: `, 'm'), name)
    t.match(runs.check.out, /entra\.authorityHost is http[^]*is usable, with \d warnings/, `${name}: check goes on`)
    t.match(runs.doctor.out, /^FAIL {2}Entra ID[^]*^FAIL {2}database[^]*\d ok, /m, `${name}: doctor goes on`)
    t.match(runs.doctor.out, /^- {5}groups +not checked because of the database$/m, name)
    const [checked, visited] = [
      JSON.parse((await run('check', config, true)).out),
      JSON.parse((await run('doctor', config, true)).out),
    ] as [Found, Found]
    t.equal(
      [...checked.warnings ?? [], ...checked.skipped ?? []].some((found) =>
        found.reason === reason || found.message === says
      ),
      true,
      `${name}: check --json`,
    )
    t.equal(visited.results?.some((found) => found.reason === reason), true, `${name}: doctor --json`)
    rows.push([name, `${checkIs}, 0`, 'FAIL, 1', '1', '1', usual(says, places), usual(remedy, places)])
    return remedy
  }
  const mended = async (name: string, database: string, remedy: string): Promise<void> => {
    await asSuperuser(server.url, database, remedy)
    t.equal((await run('migrate', config)).status, 0, `${name}: the statement mends it`)
    t.match((await run('migrate', config)).out, /up to date/, name)
  }

  await failing('wrong password', 'password', at({ password: 'wrong-password' }))
  await failing('no password in the address', 'password', at({ password: '' }))
  await failing('pg_hba.conf lets nobody in', 'access', at({ user: 'outsider' }))
  await failing('no such database', 'missing', at({ database: 'nowhere' }))
  await failing(
    'certificate of an unknown authority',
    'certificate',
    at({ host: 'localhost', query: 'sslmode=verify-full' }),
  )
  await failing(
    'certificate of another authority',
    'certificate',
    at({ host: 'localhost', query: `sslmode=verify-full&sslrootcert=${encodeURIComponent(another)}` }),
  )
  await failing(
    'certificate for another name',
    'certificate_name',
    at({ query: `sslmode=verify-full&sslrootcert=${encodeURIComponent(server.caFile)}` }),
  )
  const grants = await failing(
    'no right to make tables',
    'rights',
    at({ user: 'tenant', database: 'theirs' }),
    'warning',
  )
  await mended('no right to make tables', 'theirs', grants)
  await mended(
    'no right on the schema alone',
    'half',
    await failing('no right on the schema alone', 'rights', at({ user: 'tenant', database: 'half' }), 'warning'),
  )
  await migrate(at({}))
  const owners = await failing('tables of another role', 'rights', at({ user: 'stranger' }))
  await mended('tables of another role', 'own', owners.replace('that role', 'person').replace(/;.*/, ';'))
  const writable = await failing(
    'read-only server',
    'read_only',
    at({ user: 'reader', database: 'standby' }),
    'warning',
  )
  await mended('read-only server', 'standby', writable.replace(/^.*if not/, 'if not'))
  await failing('too many connections of the role', 'connections', at({ user: 'crowd' }))
  await failing('unsupported version', 'version', at({ port: old, query: 'sslmode=disable' }))
  await failing('refused connection', 'refused', at({ port: 1 }))
  await failing('name that is not resolved', 'name', at({ host: 'host..name', port: 5432 }))
  await failing('no answer', 'timeout', at({ port: silent, query: 'connect_timeout=1' }))
  await failing('another program on the port', 'other_server', at({ port: web }))
  await server.run("alter system set ssl = 'off'", 'select pg_reload_conf()')
  await failing('TLS refused by the server', 'tls_refused', at({ query: 'sslmode=require' }))
  await takeAllConnections(t, at({ user: 'guest', database: 'postgres' }))
  await failing('too many connections of the server', 'connections', at({}))

  await t.test('docs/testing.md has the table', async (t) => {
    const page = readFileSync(PAGE, 'utf8')
    const [before = '', after = ''] = [
      page.split('<!-- database failures -->')[0],
      page.split('<!-- end of database failures -->')[1],
    ]
    const head = ['failure', '`check`', '`doctor`', '`migrate`', '`serve`', 'the line', 'what mends it']
    const table = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
    const whole = `${before}<!-- database failures -->\n\n${table}\n\n<!-- end of database failures -->${after}`
    if (process.env.GATEHOUSE_WRITE_DOCS) writeFileSync(PAGE, whole)
    t.equal(page, whole, 'GATEHOUSE_WRITE_DOCS=1 node scripts/test.mjs test/database-failures.test.ts')
  })
})

interface Found {
  readonly warnings?: readonly { reason?: string, message: string }[]
  readonly skipped?: readonly { reason?: string, message: string }[]
  readonly results?: readonly { reason?: string, message: string }[]
}

async function versionOf(url: string): Promise<{ version: string, number: string }> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows: [row] } = await client.query<{ version: string, number: string }>(
    "select current_setting('server_version') as version, current_setting('server_version_num') as number",
  )
  await client.end()
  return row ?? { version: '', number: '' }
}

/** As it reads anywhere: the ports of this run and its folders are nobody else's. */
function usual(text: string, places: readonly (readonly [string, string])[]): string {
  const named = places.reduce((whole, [here, there]) => whole.replaceAll(here, there), text)
  return named.replaceAll('host..name', 'no-such-host.example').replace('EAI_AGAIN', 'ENOTFOUND').replaceAll('|', '\\|')
}
