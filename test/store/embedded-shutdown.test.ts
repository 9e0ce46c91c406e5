// How the embedded server ends: with the last process that uses it, however that one ends, and with its own words where
// it ends or cannot start by itself.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import type { GatehouseError } from '../../src/core/errors.js'
import { createServerLog, serverFailure } from '../../src/store/embedded-failure.js'
import { startEmbeddedPostgres, type EmbeddedOptions } from '../../src/store/embedded.js'
import { createClient } from '../../src/store/postgres-client.js'
import { until } from '../helpers/until.js'

const EMBEDDED = pathToFileURL('dist/store/embedded.js').href

function temporary(t: Test): string {
  const home = mkdtempSync(join(realpathSync(tmpdir()), 'gatehouse-ends-'))
  chmodSync(home, 0o711) // started by root the server runs as somebody else, who must get through
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  return home
}

interface User {
  readonly process: ChildProcess
  readonly url: string
}

/** A process of its own that uses the server until it is ended. */
async function user(t: Test, home: string, options: EmbeddedOptions = {}): Promise<User> {
  const program = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(EMBEDDED)})
    const { url, stop } = await startEmbeddedPostgres(${JSON.stringify(home)}, ${JSON.stringify(options)})
    console.log(url)
    process.on('SIGTERM', () => stop().then(() => process.exit(0)))
    setInterval(() => {}, 60_000)`
  const args = ['--input-type=module', '-e', program]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => {
    child.kill('SIGKILL')
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  await until(() => output.includes('\n') || child.exitCode !== null)
  if (!output.includes('\n')) throw new Error('the server did not come up')
  return { process: child, url: output.trim() }
}

async function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve))
}

function serverOf(home: string): number {
  return Number(readFileSync(join(home, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0])
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function answers(url: string): Promise<boolean> {
  const client = createClient({ connectionString: url })
  client.on('error', () => {})
  return await client.connect().then(async () => {
    await client.end()
    return true
  }, () => false)
}

async function takesAlong(t: Test, signal: NodeJS.Signals): Promise<void> {
  const home = temporary(t)
  const only = await user(t, home, { throwAway: true })
  const server = serverOf(home)
  t.ok(runs(server))
  only.process.kill(signal)
  t.ok(await until(() => !runs(server)), 'the server ended')
  t.ok(await until(() => !existsSync(home)), 'the folder is gone')
}

// proves: adv-embedded-ends
t.test('a process that is killed takes its server and its folder along', (t) => takesAlong(t, 'SIGKILL'))
t.test('so does one whose terminal is closed', (t) => takesAlong(t, 'SIGHUP'))
t.test('so does a process that stops on a signal', (t) => takesAlong(t, 'SIGTERM'))

// proves: adv-embedded-shared
t.test('a server goes on for those who use it, whoever started it, and ends with the last', async (t) => {
  const home = temporary(t)
  const first = await user(t, home)
  const server = serverOf(home)
  const [second, third] = [await user(t, home), await user(t, home)]
  t.same({ second: second.url, third: third.url }, { second: first.url, third: first.url })
  first.process.kill('SIGKILL')
  await gone(first.process)
  t.ok(await answers(second.url), 'after kill -9 of the one who started it')
  second.process.kill('SIGTERM')
  await gone(second.process)
  t.ok(await answers(third.url), 'and after the end of another')
  t.equal(serverOf(home), server, 'it is the same')
  third.process.kill('SIGKILL')
  t.ok(await until(() => !runs(server)), 'nobody is left')
  t.ok(existsSync(join(home, 'postgres', 'PG_VERSION')), 'the data stays')
})

t.test('its starter does not wait for those who go on', async (t) => {
  const home = temporary(t)
  const first = await user(t, home)
  const second = await user(t, home)
  first.process.kill('SIGTERM')
  await gone(first.process)
  t.equal(first.process.exitCode, 0)
  t.ok(await answers(second.url))
})

t.test('a server whose keeper was killed is taken over and ended', async (t) => {
  const home = temporary(t)
  const first = await user(t, home)
  const server = serverOf(home)
  const keepers = spawnSync('sh', [
    '-c',
    'for each in /proc/[0-9]*; do tr "\\0" "\\n" <"$each/cmdline" 2>/dev/null |' +
    ' grep -qxF -- "$1" && grep -q "^sh$" "$each/comm" && basename "$each"; done; true',
    'sh',
    join(home, 'server.held'),
  ])
  const keeper = keepers.stdout.toString().trim().split('\n').map(Number)
    .find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('gatehouse-keeper'))
  t.ok(keeper)
  process.kill(keeper ?? 0, 'SIGKILL')
  first.process.kill('SIGKILL')
  await gone(first.process)
  t.ok(runs(server), 'nobody ends it now')
  const second = await user(t, home)
  t.equal(serverOf(home), server)
  second.process.kill('SIGKILL')
  t.ok(await until(() => !runs(server)))
})

t.test('two that start at the same moment use one server', async (t) => {
  const home = temporary(t)
  const [first, second] = await Promise.all([user(t, home), user(t, home)])
  t.equal(first.url, second.url)
  t.ok(await answers(first.url))
})

/** The password of the cluster, opened by a process of its own, which is slow after each look for a file. */
async function slowlyOpened(home: string): Promise<string> {
  const program = `
    import fs from 'node:fs'
    import { syncBuiltinESMExports } from 'node:module'
    const { existsSync } = fs
    fs.existsSync = (path) => {
      const found = existsSync(path)
      for (const end = Date.now() + 3_000; !found && Date.now() < end;);
      return found
    }
    syncBuiltinESMExports()
    const { openCluster } = await import(${JSON.stringify(pathToFileURL('dist/store/embedded-cluster.js').href)})
    process.stdout.write(openCluster(${JSON.stringify(home)}).password)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  await new Promise((resolve) => child.once('close', resolve))
  return Buffer.concat(chunks).toString()
}

// proves: embedded-password-once
t.test('processes that start at the same moment use one password', async (t) => {
  const home = temporary(t)
  const passwords = await Promise.all(Array.from({ length: 3 }, () => slowlyOpened(home)))
  t.match(passwords[0], /^[\w-]{32}$/)
  t.equal(new Set(passwords).size, 1)
  t.same(readdirSync(home).sort(), ['postgres', 'postgres.password'], 'no other file is left')
})

async function failure(home: string): Promise<GatehouseError> {
  return await startEmbeddedPostgres(home).then(async ({ stop }) => {
    await stop()
    throw new Error('it started')
  }, (error: unknown) => error as GatehouseError)
}

t.test('what keeps it from starting is shown in its own words, with the remedy that fits', async (t) => {
  const home = temporary(t)
  const data = join(home, 'postgres')
  await startEmbeddedPostgres(home).then(async ({ stop }) => {
    await stop()
  })
  const settings = join(data, 'postgresql.conf')
  const [good, version] = [readFileSync(settings, 'utf8'), readFileSync(join(data, 'PG_VERSION'), 'utf8')]

  writeFileSync(join(data, 'PG_VERSION'), '12\n')
  const old = await failure(home)
  t.equal(old.code, 'database_unavailable')
  t.match(old.message, /FATAL: {2}database files are incompatible with server/)
  t.match(old.remedy, /another major version/)
  writeFileSync(join(data, 'PG_VERSION'), version)

  writeFileSync(settings, `${good}\nno_such_setting = 1\n`)
  t.match((await failure(home)).message, /FATAL: {2}configuration file .* contains errors/)
  writeFileSync(settings, good)

  chmodSync(data, 0o755)
  const open = await failure(home)
  t.match(open.message, /FATAL: {2}data directory .* has invalid permissions/)
  t.match(open.remedy, /0700/)
  chmodSync(data, 0o700)

  await startEmbeddedPostgres(home).then(async ({ stop }) => {
    await stop()
  })
  t.pass('and then it starts')
})

t.test('each cause that the server names has its remedy', async (t) => {
  const causes: [line: string, remedy: RegExp][] = [
    ['FATAL:  could not create any TCP/IP sockets', /Another program has the address/],
    ['FATAL:  could not create any Unix-domain sockets', /Another program has the address/],
    ['FATAL:  could not create shared memory segment: No space left on device', /Make room|shared memory/],
    ['FATAL:  could not resize shared memory segment "/PostgreSQL.1" to 1 bytes: Cannot allocate', /shared memory/],
    ['FATAL:  lock file "postmaster.pid" already exists', /Another server uses \/data\/postgres/],
    ['FATAL:  database locale is incompatible with operating system', /locale-gen/],
    ['initdb: error: invalid locale settings; check LANG and LC_* environment variables', /locale-gen/],
    ['initdb: error: could not change permissions of directory: Operation not permitted', /mode 0700/],
    ['FATAL:  could not open file "PG_VERSION": Permission denied', /mode 0700/],
    ['FATAL:  could not create lock file "postmaster.pid": Read-only file system', /can be written to/],
    ['initdb: error: could not look up effective user ID 54321: user does not exist', /entry in the user database/],
  ]
  for (const [line, remedy] of causes) {
    const log = createServerLog()
    log.add(`2026-01-01 LOG:  starting\n${line}\n2026-01-01 LOG:  database system is shut down\n`)
    const said = serverFailure('did not start', '/data/postgres', log, new Error(line))
    t.match(said.remedy, remedy, line)
    if (/FATAL|error:/.test(line)) t.ok(said.message.endsWith(line), `${line}: the server's own line`)
  }
  const before = new Error("EINVAL: invalid argument, chown '/data/postgres'") // before the server wrote anything
  t.match(serverFailure('did not start', '/data/postgres', createServerLog(), before).remedy, /user namespace/)
})

// proves: adv-embedded-cause
t.test('a disk without room is named, also to the one who starts again', async (t) => {
  const log = createServerLog()
  log.add('2026-01-01 FATAL:  could not write lock file "postmaster.pid": No space left on device\n')
  log.add('2026-01-01 LOG:  database system is shut down\n')
  const said = serverFailure('did not start', '/data/postgres', log)
  t.match(said.message, /: FATAL: {2}could not write lock file "postmaster\.pid": No space left on device$/)
  t.match(said.remedy, /Make room on the disk that holds \/data\/postgres/)
  const home = temporary(t)
  const disk = join(home, 'disk')
  mkdirSync(disk)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=20m,mode=0711', 'tmpfs', disk]).status === 0
  if (!mounted) return t.comment('no file system can be mounted here: the line alone is tried')
  t.teardown(() => {
    spawnSync('umount', ['-l', disk])
  })
  for (const attempt of ['first', 'second']) {
    const full = await failure(join(disk, 'data'))
    t.match(full.message, /No space left on device/, attempt)
    t.match(full.remedy, /Make room/, attempt)
  }
})

t.test('a server that dies later reports the cause', async (t) => {
  const home = temporary(t)
  let failed: GatehouseError | undefined
  const server = await startEmbeddedPostgres(home, {
    onEnd: (failure) => {
      failed = failure
    },
  })
  process.kill(serverOf(home), 'SIGKILL')
  t.ok(await until(() => failed !== undefined))
  t.match(failed?.message, /embedded PostgreSQL ended: /)
  await server.stop()
  t.notOk(existsSync(join(home, 'server.held')) && await answers(server.url))
})
