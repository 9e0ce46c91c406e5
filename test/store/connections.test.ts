// Connections to a real PostgreSQL with and without TLS: what each sslmode of libpq's takes and refuses.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { isAddressFault, readDatabaseAddress } from '../../src/core/database-address.js'
import { GatehouseError } from '../../src/core/errors.js'
import { createServerIdentity } from '../../src/demo/entra/certificates.js'
import { openDatabase } from '../../src/store/database.js'
import { withAuthority } from '../../src/store/database-url.js'
import { withClient } from '../../src/store/postgres-server-state.js'
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
