// Connections to a real PostgreSQL with and without TLS: what each sslmode of libpq's takes and refuses.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { isAddressFault, isSocket, readDatabaseAddress, type DatabaseAddress } from '../../src/core/database-address.js'
import { GatehouseError } from '../../src/core/errors.js'
import { createServerIdentity } from '../../src/demo/entra/certificates.js'
import { openDatabase } from '../../src/store/database.js'
import { withAuthority } from '../../src/store/database-url.js'
import { startEmbeddedPostgres } from '../../src/store/embedded.js'
import { serversOf } from '../../src/store/postgres-client.js'
import { withClient } from '../../src/store/postgres-server-state.js'
import { openServerOfRecord, SILENT } from '../../src/store/server-of-record/server-of-record.js'
import { startStrictPostgres } from '../helpers/strict-postgres.js'

type Outcome = string

/** `plain`, `tls` with what was verified, or the reason of a refusal. */
async function outcome(url: string): Promise<Outcome> {
  return await withClient(url, 'test', async (client, link) => {
    const { rows: [row] } = await client.query<{ ssl: boolean }>(
      'select ssl from pg_stat_ssl where pid = pg_backend_pid()',
    )
    if (row?.ssl !== link.encrypted) return 'the two sides differ'
    return link.encrypted ? `tls, ${link.verified} verified` : 'plain'
  }).catch((error: unknown) => error instanceof GatehouseError ? String(error.facts.reason) : String(error))
}

t.test('every sslmode, as libpq means it', async (t) => {
  const server = await startStrictPostgres(t, ['localhost', '127.0.0.2'])
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-authority-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  const strangers = join(home, 'strangers.pem')
  writeFileSync(strangers, createServerIdentity(['localhost']).caPem)
  await server.run(
    "create role person login password 'right-password'",
    "create role plain login password 'right-password'",
  )
  await server.admit(
    'hostssl all person 127.0.0.1/32 scram-sha-256',
    'host all person 127.0.0.1/32 reject',
    'hostnossl all plain 127.0.0.1/32 scram-sha-256',
    'host all plain 127.0.0.1/32 reject',
  )
  const at = (query: string, user?: string) =>
    server.urlOf({ host: '127.0.0.1', query, ...(user === undefined ? {} : { user }) })
  const own = `sslrootcert=${encodeURIComponent(server.caFile)}`
  const other = `sslrootcert=${encodeURIComponent(strangers)}`

  // proves: adv-database-verified, adv-database-name
  await t.test('a server with TLS', async (t) => {
    const expected: Record<string, Outcome> = {
      '': 'tls, nothing verified',
      'sslmode=disable': 'plain',
      'sslmode=allow': 'plain',
      'sslmode=prefer': 'tls, nothing verified',
      [`sslmode=prefer&${other}`]: 'tls, nothing verified',
      'sslmode=require': 'tls, nothing verified',
      'sslmode=no-verify': 'tls, nothing verified',
      'sslmode=require&sslnegotiation=direct': 'tls, nothing verified',
      [`sslmode=require&${own}`]: 'tls, authority verified',
      [`sslmode=require&${other}`]: 'certificate',
      [`sslmode=verify-ca&${own}`]: 'tls, authority verified',
      [`sslmode=verify-ca&${other}`]: 'certificate',
      'sslmode=verify-ca': 'certificate',
      [`sslmode=verify-full&${own}`]: 'certificate_name',
      'sslmode=verify-full': 'certificate',
      'sslrootcert=system': 'certificate',
      'sslmode=verify-full&sslrootcert=/nowhere': 'certificate_file',
      'sslmode=require&uselibpqcompat=true': 'tls, nothing verified',
    }
    for (const [query, wanted] of Object.entries(expected)) t.equal(await outcome(at(query)), wanted, query)
    const named = server.urlOf({ host: 'localhost', query: `sslmode=verify-full&${own}` })
    t.equal(await outcome(named), 'tls, name verified')
  })

  // proves: adv-database-ca-file
  await t.test('database.caFile: verify-full where nothing else is said', async (t) => {
    const named = server.urlOf({ host: 'localhost' })
    t.equal(await outcome(withAuthority(named, server.caFile)), 'tls, name verified')
    t.equal(await outcome(withAuthority(at(''), server.caFile)), 'certificate_name')
    t.equal(await outcome(withAuthority(named, strangers)), 'certificate')
    t.equal(await outcome(withAuthority(at('sslmode=require'), server.caFile)), 'tls, authority verified')
    t.equal(withAuthority(named, undefined), named)
  })

  await t.test('a server that accepts one authentication method alone', async (t) => {
    t.equal(await outcome(at('sslmode=allow', 'person')), 'tls, nothing verified')
    t.equal(await outcome(at('sslmode=disable', 'person')), 'access')
    t.equal(await outcome(at('', 'plain')), 'plain')
    t.equal(await outcome(at('sslmode=require', 'plain')), 'access')
    t.equal(
      await outcome(server.urlOf({ host: '127.0.0.1', user: 'person', password: 'wrong', query: 'sslmode=allow' })),
      'password',
    )
  })

  await t.test('the pool and its transactions', async (t) => {
    const database = openDatabase({
      server: server.urlOf({ host: 'localhost', query: `sslmode=verify-full&${own}` }),
      poolSize: 3,
    })
    const big = 'x'.repeat(300_000)
    const answers = await Promise.all(
      Array.from(
        { length: 9 },
        () =>
          database.transaction(async (tx) =>
            (await tx.execute<{ size: number }>(`select length('${big}') as size`)).rows[0]?.size
          ),
      ),
    )
    t.strictSame(answers, Array.from({ length: 9 }, () => big.length))
    await database.close()
  })

  await t.test('a list of two hosts, over TLS', async (t) => {
    const { port } = new URL(server.url)
    const { href } = new URL(server.urlOf({ user: 'person', host: 'localhost', query: `sslmode=verify-full&${own}` }))
    const list = (...hosts: readonly string[]) =>
      href.replace(`localhost:${port}`, hosts.map((host) => `${host}:${port}`).join(','))
    const record = await openServerOfRecord({ url: list('127.0.0.1', 'localhost'), log: SILENT })
    t.teardown(() => record.close())
    t.match(record.hosts(), [{ failure: { facts: { reason: 'certificate_name' } } }, { state: 'current' }])
    t.equal(await outcome(record.current().url), 'tls, name verified')
    const database = openDatabase({ server: record, poolSize: 2 })
    const { rows } = await database.ask((db) =>
      db.execute('select s.ssl, current_user::text as name from pg_stat_ssl s where s.pid = pg_backend_pid()')
    )
    t.strictSame(rows, [{ ssl: true, name: 'person' }])
    await database.close()
    await t.rejects(
      openServerOfRecord({ url: list('127.0.0.1', '127.0.0.3'), log: SILENT, intervalMs: 500 }),
      { code: 'database_unavailable' },
      'no host has a certificate for its name',
    )
  })

  // proves: record-password-file
  await t.test("libpq's password file, for each host of a list", async (t) => {
    const { port, pathname } = new URL(server.url)
    const file = join(home, 'pass word')
    const address = `postgres://person@127.0.0.1:1,localhost:${port}${pathname}?${own}&passfile=${
      encodeURIComponent(file)
    }`
    const write = (mode: number, ...lines: readonly string[]) => {
      writeFileSync(file, lines.join('\n'))
      chmodSync(file, mode)
    }
    const second = serversOf(address)[1] ?? ''
    write(
      0o600,
      '# localhost:*:*:*:wrong',
      '127.0.0.1:*:*:*:wrong',
      'localhost:1:*:*:wrong',
      `localhost:${port}:*:person:right-password`,
    )
    t.match(await outcome(second), /^tls/)
    const record = await openServerOfRecord({ url: address, log: SILENT })
    t.match(record.hosts(), [{ state: 'unreachable' }, { state: 'current' }])
    record.close()
    write(0o640, '*:*:*:*:right-password')
    t.equal(await outcome(second), 'password', 'others may read it')
    write(0o600, '*:*:*:*:wrong', '*:*:*:*:right-password')
    t.equal(await outcome(second), 'password', 'the first line that fits')
    write(0o600)
    t.equal(await outcome(second), 'password', 'it has none')
    t.equal(await outcome(second.replace(/passfile=[^&]+/, 'passfile=/nowhere')), 'password')
    await server.run("create role colon login password 'p:w\\d'")
    await server.admit('hostssl all all 127.0.0.1/32 scram-sha-256')
    write(0o600, 'localhost:*:*:colon:p\\:w\\\\d')
    t.match(await outcome(second.replace('person', 'colon')), /^tls/, 'escaped')
    const without = second.replace(/&passfile=[^&]+/, '')
    write(0o600, '*:*:*:*:right-password')
    process.env.PGPASSFILE = file
    t.teardown(() => delete process.env.PGPASSFILE)
    t.match(await outcome(without), /^tls/, 'PGPASSFILE')
  })

  await t.test('a Unix socket, alone and in a list, with a password file', async (t) => {
    const place = mkdtempSync(join(tmpdir(), 'gatehouse-socket-'))
    const { url, stop } = await startEmbeddedPostgres(place)
    t.teardown(async () => {
      await stop()
      rmSync(place, { recursive: true, force: true })
    })
    const { host, port, user, database } = readDatabaseAddress(url) as DatabaseAddress
    t.ok(isSocket(host), host)
    const file = join(home, 'sockets')
    writeFileSync(file, `${host}:${port}:*:${user}:${decodeURIComponent(new URL(url).password)}\n`, { mode: 0o600 })
    const passfile = `passfile=${encodeURIComponent(file)}`
    const directory = encodeURIComponent(host)
    for (
      const address of [
        `postgres://${user}@${directory}:${port}/${database}?${passfile}`,
        `postgres:///${database}?user=${user}&host=${directory}&port=${port}&${passfile}`,
        `postgres://${user}@127.0.0.1:1,${directory}:${port}/${database}?sslmode=verify-full&${passfile}`,
      ]
    ) {
      const record = await openServerOfRecord({ url: address, log: SILENT })
      t.match(record.hosts().at(-1), { state: 'current' }, address)
      t.equal(await outcome(record.current().url), 'plain', 'a socket has no TLS')
      record.close()
    }
  })

  // proves: adv-database-no-downgrade
  await t.test('a server without TLS', async (t) => {
    await server.run("alter system set ssl = 'off'", 'select pg_reload_conf()')
    t.equal(await outcome(at('')), 'plain')
    t.equal(await outcome(at('sslmode=prefer')), 'plain')
    t.equal(await outcome(at('sslmode=allow')), 'plain')
    t.equal(await outcome(at('sslmode=require')), 'tls_refused')
    t.equal(await outcome(at(`sslmode=verify-full&${own}`)), 'tls_refused')
  })
})

// proves: adv-database-stuffed
t.test("what came in clear with the server's yes to TLS is never taken for its word", async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.write('SR\0\0\0\b\0\0\0\0'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  t.equal(await outcome(`postgres://u:p@127.0.0.1:${port}/x?sslmode=require&connect_timeout=5`), 'other_server')
})

// proves: adv-address-torn
t.test('no part of an address that cannot be read is repeated', async (t) => {
  const addresses = [
    'postgres://gatehouse:p@ss/w0rd-of-mine@db/gatehouse',
    'postgres://gatehouse:p@ss/w0rd-of-mine#rd@db/gatehouse',
    'postgres://gatehouse:w0rd-of-mine#rd@db/gatehouse',
    'postgres://gatehouse:w0rd-of-mine/rd@db/gatehouse',
    'postgres://gatehouse:w0rd-of-mine?rd@db/gatehouse',
    'postgres://gatehouse:12/w0rd-of-mine@db/gatehouse',
    'postgres://gatehouse:p@1/w0rd-of-mine?a=b@db/gatehouse',
    'postgres://gatehouse:12?w0rd-of-mine=1@db/gatehouse',
    'postgres://gatehouse:w0rd-of-mine%@db/gatehouse',
    'postgres://gatehouse:w0rd-of-mine%E4@db/gatehouse',
    'postgres://gatehouse:w0rd-of-mine',
    'postgres://gatehouse:p@ss#w0rd-of-mine',
  ]
  for (const address of addresses) {
    const read = readDatabaseAddress(address)
    if (!isAddressFault(read)) return t.fail(`${address} is read as ${read.host}`)
    t.match(read.remedy, /percent-encode/, address)
    t.notMatch(JSON.stringify(read), /w0rd|mine|gatehouse:p/, address)
  }
  const right: Record<string, { host: string, user?: string, database?: string }> = {
    'postgres://gatehouse:p%40ss%2Fw%23rd@db:5433/gatehouse': { host: 'db', user: 'gatehouse', database: 'gatehouse' },
    'postgres://u:p@ss@db/x': { host: 'db', user: 'u' }, // as the driver has always read it
    'postgresql://u@/x?host=%2Fvar%2Frun%2Fpostgresql': { host: '/var/run/postgresql', database: 'x' },
    'postgres:///x?host=/run/pg&user=a@b': { host: '/run/pg', user: 'a@b' },
    'postgres://u@[::1]:5432/x': { host: '::1' },
  }
  for (const [address, wanted] of Object.entries(right)) t.match(readDatabaseAddress(address), wanted, address)
  for (const query of ['sslmode=verify-fulll', 'sslmode=require&sslrootcert=system', 'sslnegotiation=direct']) {
    t.ok(isAddressFault(readDatabaseAddress(`postgres://u:w0rd@db/x?${query}`)), query)
  }
})
