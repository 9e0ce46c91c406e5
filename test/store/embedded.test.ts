// The embedded server and its password: only the server of this cluster is spoken to, and none is given the password.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startEmbeddedPostgres } from '../../src/store/embedded.js'
import { openDatabase } from '../../src/store/database.js'
import { serverAt } from '../../src/store/server-of-record/server-of-record.js'
import { migrate } from '../../src/store/migrate.js'
import { createDedicatedConnection } from '../../src/store/dedicated-connection.js'
import { createClient } from '../../src/store/postgres-client.js'

const CLEAR = 3
const MD5 = 5
const NOTHING = 0

function temporary(t: Test, name = 'gatehouse-embedded-'): string {
  const home = mkdtempSync(join(tmpdir(), name))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  return home
}

/** Somebody else's program on a port: asks for the password as it likes, and believes whatever comes. */
async function impostor(t: Test, asks: number): Promise<{ readonly port: number, readonly heard: () => string }> {
  let heard = ''
  const message = (type: string, ...numbers: number[]): Buffer => {
    const body = Buffer.alloc(4 + 4 * numbers.length)
    body.writeInt32BE(body.length)
    for (const [index, number] of numbers.entries()) body.writeInt32BE(number, 4 + 4 * index)
    return Buffer.concat([Buffer.from(type), body])
  }
  const welcome = Buffer.concat([message('R', NOTHING), Buffer.from('Z\0\0\0\x05I')])
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {})
    socket.setTimeout(5_000, () => socket.destroy()) // so that a client that trusts it fails the test and ends
    socket.once('data', () => {
      socket.on('data', (data) => {
        heard += data.toString('latin1')
        socket.write(welcome)
      })
      socket.write(asks === NOTHING ? welcome : message('R', asks, ...(asks === MD5 ? [7] : [])))
    })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  return { port: (server.address() as AddressInfo).port, heard: () => heard }
}

async function ask(url: string, statement: string): Promise<string> {
  const client = createClient({ connectionString: url })
  await client.connect()
  const { rows: [row] } = await client.query<Record<string, unknown>>(statement)
  await client.end()
  return String(Object.values(row ?? {})[0])
}

// proves: adv-embedded-stale
t.test('a program on the port of a server that died is not taken for it, and hears nothing', async (t) => {
  const home = temporary(t)
  const pidFile = join(home, 'postgres', 'postmaster.pid')
  const first = await startEmbeddedPostgres(home)
  await ask(first.url, 'create table kept as select 1 as one')
  const [pid = ''] = readFileSync(pidFile, 'utf8').split('\n')
  process.kill(Number(pid), 'SIGKILL')
  await sleep(1_000)
  const { port, heard } = await impostor(t, CLEAR)
  const numbers = { 'the number of nobody': pid, 'the number of another program': String(process.pid) }
  for (const [name, number] of Object.entries(numbers)) {
    // As a server that listened on a port leaves it.
    writeFileSync(pidFile, `${number}\n${join(home, 'postgres')}\n1700000000\n${port}\n\n127.0.0.1\n`)
    if (number === String(process.pid)) {
      const outcome = await startEmbeddedPostgres(home).then(async ({ stop }) => {
        await stop()
        return 'its own'
      }, (error: unknown) => (error as { code: string }).code)
      t.match(outcome, /^(its own|database_unavailable)$/, `${name}: PostgreSQL itself decides whether it may start`)
    } else {
      const again = await startEmbeddedPostgres(home)
      t.equal(await ask(again.url, 'select one from kept'), '1', `${name}: its own server, on its own data`)
      await again.stop()
    }
    t.equal(heard(), '', name)
  }
})

// proves: adv-embedded-clear, adv-embedded-md5, adv-embedded-proof
t.test('no server gets the password in clear or as MD5, or is trusted without SCRAM proof', async (t) => {
  for (const [name, asks] of [['clear', CLEAR], ['MD5', MD5], ['nothing', NOTHING]] as const) {
    const { port, heard } = await impostor(t, asks)
    const url =
      `postgres://gatehouse:the-password@127.0.0.1:${port}/gatehouse?require_auth=scram-sha-256&sslmode=disable`
    const database = openDatabase({ server: url, poolSize: 1, timeoutMs: 2_000 })
    const own = createDedicatedConnection({
      server: serverAt(url).current(),
      name: 'test',
      timeoutMs: 2_000,
      onLost: () => {},
    })
    await t.rejects(createClient({ connectionString: url }).connect(), /SCRAM-SHA-256 is required/, name)
    await t.rejects(database.ask((db) => db.execute('select 1')), `${name}: the pool`)
    await t.rejects(own.connect(), `${name}: a connection of its own`)
    await t.rejects(migrate(url), { code: 'database_unavailable' }, `${name}: migrations`)
    await database.close()
    t.notMatch(heard(), /the-password|md5/, name)
    t.notMatch(heard(), /select|begin/, `${name}: no statement either`)
  }
})

// proves: adv-embedded-socket
t.test('the server listens in a directory of its owner alone, and on no port', async (t) => {
  const home = temporary(t)
  const server = await startEmbeddedPostgres(home)
  t.teardown(() => server.stop())
  t.equal(await ask(server.url, 'show listen_addresses'), '')
  const directory = new URL(server.url).searchParams.get('host') ?? ''
  t.equal(directory, join(home, 'postgres'))
  t.equal(statSync(directory).mode & 0o077, 0, 'nobody else may enter')
  t.equal(statSync(join(directory, '.s.PGSQL.5432')).mode & 0o077, 0)
  const again = await startEmbeddedPostgres(home)
  t.equal(again.url, server.url, 'a second gateway finds it')
  await again.stop()
  t.equal(await ask(server.url, 'select 1'), '1', 'and does not end it')
})

t.test('where the path is too long for a socket, a short private directory holds it', async (t) => {
  const parent = temporary(t)
  chmodSync(parent, 0o711) // started by root the server runs as somebody else, who must get through
  const home = join(parent, 'x'.repeat(60), 'y'.repeat(60))
  mkdirSync(home, { recursive: true })
  const server = await startEmbeddedPostgres(home)
  const directory = new URL(server.url).searchParams.get('host') ?? ''
  t.ok(directory.length < 80, directory)
  t.equal(statSync(directory).mode & 0o077, 0)
  t.equal(await ask(server.url, 'select 1'), '1')
  const again = await startEmbeddedPostgres(home)
  t.equal(again.url, server.url, 'a second gateway finds it')
  await again.stop()
  await server.stop()
  t.throws(() => statSync(directory), { code: 'ENOENT' }, 'and it goes with the server')
})
