// `npm ci` and `npm run demo` as the README gives them, in copies of this checkout: below a folder that only root may
// enter, and for an ordinary user in a folder with spaces and an umlaut. Whatever ends the demo leaves nothing behind.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  chmodSync, chownSync, cpSync, existsSync, lchownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync,
  readlinkSync, realpathSync, rmSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { program, skip } from '../helpers/programs.js'
import { until } from '../helpers/until.js'

/** The CI machine may be slow; all that is waited for comes by itself. */
const DEADLINE_MS = 300_000
const ROOT = process.getuid?.() === 0
/** The user `nobody` of Debian. */
const NOBODY = 65_534
/** A uid that no user database has. */
const NO_ENTRY = 54_321
/** What would reach the programs of a copy from the test that starts them. */
const NOT_PASSED_ON = [
  'TEST_DATABASE_URL', 'NODE_OPTIONS', 'TAP', 'TAP_CHILD_ID', 'TAP_GREP', 'GATEHOUSE_TEST_REQUIRE_ALL', 'INIT_CWD',
]

interface Place {
  /** Everything of this place is below it, so that whatever refers to it is left over. */
  readonly base: string
  readonly checkout: string
  readonly temporary: string
  readonly uid: number | undefined
  readonly env: NodeJS.ProcessEnv
}

interface Started { readonly child: ChildProcess, readonly output: () => string, readonly code: Promise<number | null> }

function makePlace(t: Test, folder: string, uid: number | undefined): Place {
  const base = mkdtempSync(join(realpathSync(tmpdir()), 'two-'))
  t.teardown(() => {
    for (const { pid } of referringTo(base)) kill(pid, 'SIGKILL')
    spawnSync('chmod', ['-R', 'u+w', base])
    rmSync(base, { recursive: true, force: true })
  })
  chmodSync(base, 0o711) // PostgreSQL, run as another user by root, must get through to the temporary folder
  const [checkout, temporary, home] = [join(base, folder, 'gatehouse'), join(base, 't'), join(base, 'home')]
  for (const each of [checkout, temporary, home]) mkdirSync(each, { recursive: true })
  chmodSync(temporary, 0o1777)
  copyCheckout(checkout)
  const env: NodeJS.ProcessEnv = { ...process.env, TMPDIR: temporary, HOME: home, SHELL: '/bin/sh' }
  for (const name of Object.keys(env)) {
    if (NOT_PASSED_ON.includes(name) || name.startsWith('npm_')) Reflect.deleteProperty(env, name)
  }
  env.npm_config_update_notifier = 'false'
  if (uid === undefined) env.npm_config_cache = cacheFolder()
  else {
    if (existsSync(join(cacheFolder(), '_cacache'))) {
      cpSync(join(cacheFolder(), '_cacache'), join(home, '.npm', '_cacache'), { recursive: true })
    }
    giveTo(uid, base)
  }
  return { base, checkout, temporary, uid, env }
}

/** What Git has, as it stands in the working tree. */
function copyCheckout(to: string): void {
  const { stdout } = spawnSync('git', ['ls-files', '-z'], { encoding: 'utf8' })
  for (const name of stdout.split('\0')) {
    if (name === '' || !existsSync(name)) continue
    mkdirSync(join(to, dirname(name)), { recursive: true })
    cpSync(name, join(to, name))
  }
}

const cacheFolder = (): string => process.env.npm_config_cache ?? join(homedir(), '.npm')

function giveTo(uid: number, folder: string): void {
  chownSync(folder, uid, uid)
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) lchownSync(join(folder, name), uid, uid)
}

function start({ checkout, env, uid }: Place, command: readonly string[], more: NodeJS.ProcessEnv = {}): Started {
  const as = uid === undefined ? {} : { uid, gid: uid }
  const [file = '', ...args] = command
  const child = spawn(file, args, { cwd: checkout, env: { ...env, ...more }, ...as })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => { output += part.toString() })
  return { child, output: () => output, code: new Promise((resolve) => child.once('close', resolve)) }
}

async function succeeds(t: Test, place: Place, ...command: string[]): Promise<void> {
  const { output, code } = start(place, command)
  t.equal(await code, 0, `${command.join(' ')}\n${output().slice(-3000)}`)
}

/** Processes that refer to a folder by where they are, what they run, their arguments or their environment. */
function referringTo(folder: string): { pid: number, command: string }[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).flatMap((pid) => {
    const command = textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')
    const all = [command, textOf(`/proc/${pid}/environ`), linkOf(`/proc/${pid}/cwd`), linkOf(`/proc/${pid}/exe`)]
    return pid !== process.pid && all.some((each) => each.includes(folder)) ? [{ pid, command }] : []
  })
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function linkOf(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it has ended
  }
}

const NPM = ['npm', 'run', 'demo', '--', '--port', '0']
/** The same at a terminal, where a shell has started it. */
const AT_A_TERMINAL = ['script', '-q', '-e', '-c', `${NPM.join(' ')}; exit`, '/dev/null']
/** The same where there is no network but loopback. */
const OFFLINE = ['unshare', '-n', 'sh', '-c', `ip link set lo up && exec ${NPM.join(' ')}`]

/** What a browser is answered that opens the page, asked from where the demo runs: the status and where it is sent. */
function answerOf(url: string, pid: number): string {
  // Not fetch, which says that it is no navigation.
  const load = `require('node:http').get(${JSON.stringify(url)}, { headers: { accept: 'text/html' } }, ` +
    '({ statusCode, headers }) => console.log(statusCode, headers.location)).on("error", console.log)'
  const node = [process.execPath, '-e', load]
  const [file = '', ...args] = ROOT ? ['nsenter', '-n', '-t', String(pid), ...node] : node
  const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' })
  return `${stdout}${stderr}`.trim()
}

interface End { readonly name: string, readonly command: readonly string[], end(demo: Started, gateway: number): void }

const CTRL_C: End = {
  name: 'Ctrl-C', command: AT_A_TERMINAL, end: ({ child }) => { child.stdin?.write('\x03') },
}
const CLOSED_TERMINAL: End = {
  name: 'a closed terminal', command: AT_A_TERMINAL, end: ({ child }) => { child.kill('SIGKILL') },
}
const SIGTERM: End = { name: 'SIGTERM to npm', command: NPM, end: ({ child }) => { child.kill('SIGTERM') } }
const KILLED: End = {
  name: 'kill -9 of the gateway', command: NPM, end: (_, gateway) => { kill(gateway, 'SIGKILL') },
}

async function startsAndEnds(t: Test, place: Place, { command, end }: End, more?: NodeJS.ProcessEnv): Promise<void> {
  const demo = start(place, command, more)
  const ended = { done: false }
  demo.code.then(() => { ended.done = true }, () => {})
  const welcome = /Open\s+(http:\S+)[^]*Ctrl-C ends it/
  await until(() => ended.done || welcome.test(demo.output()), DEADLINE_MS)
  const url = welcome.exec(demo.output())?.[1]
  const gateway = referringTo(place.base).find((each) => /^\S*node dist\/cli\.js demo/.test(each.command))
  if (url === undefined || gateway === undefined) {
    t.fail(`the demo does not run:\n${demo.output()}`)
    return
  }
  t.match(answerOf(url, gateway.pid), /^302 http:\S+\/oauth2\/start\?/, 'the page leads to the sign-in')
  t.ok(readdirSync(place.temporary).length > 0)
  end(demo, gateway.pid)
  await demo.code
  await until(() => referringTo(place.base).length === 0 && readdirSync(place.temporary).length === 0, DEADLINE_MS)
  t.same(referringTo(place.base), [], 'no process is left')
  t.same(readdirSync(place.temporary), [], 'no folder is left')
}

t.test('below a folder that root alone may enter', async (t) => {
  if (!ROOT) return skip(t, 'it is not run by root')
  if (!program(t, 'git') || !program(t, 'script')) return
  const place = makePlace(t, 'closed', undefined)
  chmodSync(join(place.base, 'closed'), 0o700)
  await succeeds(t, place, 'npm', 'ci', '--prefer-offline', '--no-audit', '--no-fund')
  for (const end of [CTRL_C, CLOSED_TERMINAL, SIGTERM, KILLED]) {
    await t.test(`${end.name} ends the demo and leaves nothing`, (t) => startsAndEnds(t, place, end))
  }
  await t.test('without a network', async (t) => {
    if (spawnSync('unshare', ['-n', 'ip', 'link', 'set', 'lo', 'up']).status !== 0) {
      return t.comment('no network can be taken away here')
    }
    await startsAndEnds(t, place, { ...SIGTERM, command: OFFLINE }, { npm_config_offline: 'true' })
  })
})

t.test('for an ordinary user, with spaces and an umlaut in the path', async (t) => {
  if (!program(t, 'git') || !program(t, 'script')) return
  const place = makePlace(t, 'Projekte Ü x', ROOT ? NOBODY : undefined)
  await succeeds(t, place, 'npm', 'ci', '--prefer-offline', '--no-audit', '--no-fund')
  for (const end of [CTRL_C, KILLED]) {
    await t.test(`${end.name} ends the demo and leaves nothing`, (t) => startsAndEnds(t, place, end))
  }
  await t.test('the other commands of README.md', async (t) => {
    await succeeds(t, place, 'npm', 'run', 'build')
    await Promise.all([
      succeeds(t, place, 'npm', 'run', 'lint'),
      succeeds(t, place, 'npm', 'run', 'typecheck'),
    ])
    await succeeds(t, place, 'node', 'scripts/test.mjs', 'test/core/usernames.test.ts', 'test/store/names.test.ts')
  })
  await t.test('in a checkout that was made read-only after one build', async (t) => {
    spawnSync('chmod', ['-R', 'a-w', place.checkout])
    await succeeds(t, place, 'node', 'dist/cli.js', '--help')
    await startsAndEnds(t, place, SIGTERM)
  })
  await t.test('without HOME', async (t) => {
    const { HOME: _, ...env } = place.env
    await startsAndEnds(t, { ...place, env }, SIGTERM)
  })
  await t.test('a uid without an entry in the user database is told what to do', async (t) => {
    if (!ROOT) return t.comment('only root can become another user')
    const { code, output } = start({ ...place, uid: NO_ENTRY }, NPM)
    t.not(await code, 0)
    t.match(output(), /\ngatehouse: .* uid 54321, which has no entry in the user database\n {4}Start Gatehouse as a user /)
    t.notMatch(output(), /\n {4}at /, 'no stack')
    t.same(readdirSync(place.temporary), [])
  })
})
