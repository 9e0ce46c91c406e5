// `npm ci` and `npm run demo` as the README gives them, in copies of this checkout: for an ordinary user in a folder
// with spaces and an umlaut, and below a folder that only root may enter. Whatever ends the demo leaves nothing behind.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { kill, referringTo } from '../helpers/leftovers.js'
import { program, skip } from '../helpers/programs.js'
import { until } from '../helpers/until.js'

/** For what ends only if something is wrong: a slow machine does not come near it. */
const LEFTOVERS_MS = 300_000
const ROOT = process.getuid?.() === 0
/** The user `nobody` of Debian. */
const NOBODY = 65_534
/** A uid that no user database has. */
const NO_ENTRY = 54_321
/** Variables that belong to the test that starts the programs, or to its user. */
const NOT_PASSED_ON = /^(TEST_DATABASE_URL|NODE_OPTIONS|TAP|TAP_.*|GATEHOUSE_.*|INIT_CWD|npm_(?!config_).*)$/
const OF_THE_USER = /^npm_config_(cache|userconfig|prefix|local_prefix|init_module)$/
/** npm says it where it needs a package that it does not have. */
const NO_REGISTRY = /\b(ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|E?TIMEDOUT)\b/

interface Place {
  /** Everything of this place is below it, so that whatever refers to it is left over. */
  readonly base: string
  readonly checkout: string
  readonly temporary: string
  readonly home: string
  readonly uid: number | undefined
  readonly env: NodeJS.ProcessEnv
}

interface Started {
  readonly child: ChildProcess
  readonly output: () => string
  readonly code: Promise<number | null>
}

/** @returns undefined where the test is skipped */
function makePlace(t: Test, folder: string, uid: number | undefined): Place | undefined {
  if (process.platform !== 'linux') return skip(t, 'processes are looked up in /proc, which only Linux has')
  const base = mkdtempSync(join(realpathSync(tmpdir()), 'two-'))
  t.teardown(() => {
    for (const { pid } of referringTo(base)) kill(pid, 'SIGKILL')
    spawnSync('chmod', ['-R', 'u+w', base])
    rmSync(base, { recursive: true, force: true, maxRetries: 10 })
  })
  chmodSync(base, 0o711) // PostgreSQL, run as another user by root, must get through to the temporary folder
  const [checkout, temporary, home] = [join(base, folder, 'gatehouse'), join(base, 't'), join(base, 'home')]
  for (const each of [checkout, temporary, home]) mkdirSync(each, { recursive: true })
  chmodSync(temporary, 0o1777)
  for (const name of checkoutFiles()) {
    mkdirSync(join(checkout, dirname(name)), { recursive: true })
    cpSync(name, join(checkout, name))
  }
  const env: NodeJS.ProcessEnv = { ...process.env, TMPDIR: temporary, HOME: home, SHELL: '/bin/sh' }
  for (const name of Object.keys(env)) {
    if (NOT_PASSED_ON.test(name) || OF_THE_USER.test(name)) Reflect.deleteProperty(env, name)
  }
  env.npm_config_update_notifier = 'false'
  return { base, checkout, temporary, home, uid, env }
}

/**
 * What Git has or would take, as it stands in the working tree; the checkout may be another user's. Without Git (an
 * unpacked archive) everything but what is installed or built.
 */
function checkoutFiles(): string[] {
  const { status, stdout } = spawnSync('git', [
    '-c',
    'safe.directory=*',
    'ls-files',
    '--cached',
    '--others',
    '--exclude-standard',
    '-z',
  ], { encoding: 'utf8' })
  if (status === 0) return stdout.split('\0').filter((name) => name !== '' && existsSync(name))
  const entries = readdirSync('.').filter((name) => !/^(?:node_modules|dist.*|\.git|\.tap)$/.test(name))
  return entries.flatMap((name) =>
    statSync(name).isDirectory()
      ? readdirSync(name, { recursive: true, encoding: 'utf8' }).map((each) => join(name, each))
      : [name]
  ).filter((name) => statSync(name).isFile())
}

const npmSetting = (name: string): string =>
  spawnSync('npm', ['config', 'get', name], { encoding: 'utf8' }).stdout.trim()

/** The user's own cache and registry: after `npm ci` in this checkout, all packages are in the cache. */
function lendCache({ home }: Place): void {
  const cache = join(npmSetting('cache'), '_cacache')
  if (existsSync(cache)) cpSync(cache, join(home, '.npm', '_cacache'), { recursive: true })
  writeFileSync(join(home, '.npmrc'), `registry=${npmSetting('registry')}\n`)
}

/** As the user of this test has installed and built them. */
function copyPackages({ checkout }: Place): void {
  for (const name of ['node_modules', 'dist']) {
    spawnSync('cp', ['-a', realpathSync(name), join(checkout, name)], { stdio: 'inherit' })
  }
}

function giveTo(uid: number, folder: string): void {
  chownSync(folder, uid, uid)
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    lchownSync(join(folder, name), uid, uid)
  }
}

function start({ checkout, env, uid }: Place, command: readonly string[], more: NodeJS.ProcessEnv = {}): Started {
  const as = uid === undefined ? {} : { uid, gid: uid }
  const [file = '', ...args] = command
  const child = spawn(file, args, { cwd: checkout, env: { ...env, ...more }, ...as })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part: Buffer) => {
      output += part.toString()
    })
  }
  return { child, output: () => output, code: new Promise((resolve) => child.once('close', resolve)) }
}

async function succeeds(t: Test, place: Place, ...command: string[]): Promise<void> {
  const { output, code } = start(place, command)
  t.equal(await code, 0, `${command.join(' ')}\n${output().slice(-3000)}`)
}

/** `npm ci`; where the cache lacks packages and the registry cannot be reached, what this checkout has is used. */
async function install(t: Test, place: Place): Promise<void> {
  lendCache(place)
  if (place.uid !== undefined) giveTo(place.uid, place.base)
  await t.test('npm ci', async (t) => {
    const { output, code } = start(place, ['npm', 'ci', '--prefer-offline', '--no-audit', '--no-fund'])
    const failed = await code !== 0
    if (failed && NO_REGISTRY.test(output())) {
      return skip(t, 'the npm cache lacks packages, and the registry cannot be reached')
    }
    t.notOk(failed, output().slice(-3000))
  })
  rmSync(join(place.home, '.npm', '_cacache'), { recursive: true, force: true })
  if (existsSync(join(place.checkout, 'node_modules', 'typescript'))) return
  rmSync(join(place.checkout, 'node_modules'), { recursive: true, force: true })
  copyPackages(place)
  if (place.uid !== undefined) giveTo(place.uid, place.base)
}

const NPM = ['npm', 'run', 'demo', '--', '--port', '0']
/** The same at a terminal, where a shell has started it. */
const AT_A_TERMINAL = ['script', '-q', '-e', '-c', `${NPM.join(' ')}; exit`, '/dev/null']

interface End {
  readonly name: string
  readonly command: readonly string[]
  /** It runs in a network namespace of its own. */
  readonly apart?: boolean
  end(demo: Started, gateway: number): void
}

const CTRL_C: End = {
  name: 'Ctrl-C',
  command: AT_A_TERMINAL,
  end: ({ child }) => {
    child.stdin?.write('\x03')
  },
}
const CLOSED_TERMINAL: End = {
  name: 'a closed terminal',
  command: AT_A_TERMINAL,
  end: ({ child }) => {
    child.kill('SIGKILL')
  },
}
const SIGTERM: End = {
  name: 'SIGTERM to npm',
  command: NPM,
  end: ({ child }) => {
    child.kill('SIGTERM')
  },
}
const KILLED: End = {
  name: 'kill -9 of the gateway',
  command: NPM,
  end: (_, gateway) => {
    kill(gateway, 'SIGKILL')
  },
}

/** What a browser is answered that opens the page, asked from where the demo runs: the status and where it is sent. */
function answerOf(url: string, namespaceOf: number | undefined): string {
  // Not fetch, which says that it is no navigation.
  const load = `require('node:http').get(${JSON.stringify(url)}, { headers: { accept: 'text/html' } }, ` +
    '({ statusCode, headers }) => console.log(statusCode, headers.location)).on("error", console.log)'
  const node = [process.execPath, '-e', load]
  const [file = '', ...args] = namespaceOf === undefined ? node : ['nsenter', '-n', '-t', String(namespaceOf), ...node]
  const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' })
  return `${stdout}${stderr}`.trim()
}

async function startsAndEnds(
  t: Test,
  place: Place,
  { command, apart = false, end }: End,
  more?: NodeJS.ProcessEnv,
): Promise<void> {
  if (command[0] === 'script' && !program(t, 'script')) return
  const demo = start(place, command, more)
  const ended = { done: false }
  demo.code.then(() => {
    ended.done = true
  }, () => {})
  const welcome = /Open\s+(http:\S+)[^]*Ctrl-C ends it/
  await until(() => ended.done || welcome.test(demo.output()), Infinity)
  const url = welcome.exec(demo.output())?.[1]
  const gateway = referringTo(place.base).find((each) => /^\S*node dist\/cli\.js demo/.test(each.command))
  if (url === undefined || gateway === undefined) {
    t.fail(`the demo does not run:\n${demo.output()}`)
    return
  }
  t.match(answerOf(url, apart ? gateway.pid : undefined), /^302 http:\S+\/oauth2\/start\?/, 'it leads to the sign-in')
  t.ok(readdirSync(place.temporary).length > 0)
  end(demo, gateway.pid)
  await demo.code
  const isGone = (): boolean => referringTo(place.base).length === 0 && readdirSync(place.temporary).length === 0
  await until(isGone, LEFTOVERS_MS)
  t.same(referringTo(place.base), [], 'no process is left')
  t.same(readdirSync(place.temporary), [], 'no folder is left')
}

/** Where no namespace can be made, the connections of Node itself fail, which npm, build and gateway are. */
async function withoutNetwork(t: Test, place: Place): Promise<void> {
  const more = { npm_config_offline: 'true' }
  if (spawnSync('unshare', ['-n', 'ip', 'link', 'set', 'lo', 'up']).status === 0) {
    const command = ['unshare', '-n', 'sh', '-c', `ip link set lo up && exec ${NPM.join(' ')}`]
    return await startsAndEnds(t, place, { ...SIGTERM, command, apart: true }, more)
  }
  const preload = pathToFileURL('test/fixtures/no-network.mjs').href
  await startsAndEnds(t, place, SIGTERM, { ...more, NODE_OPTIONS: `--import=${preload}` })
}

t.test('for an ordinary user, with spaces and an umlaut in the path', async (t) => {
  const place = makePlace(t, 'Projekte Ü x', ROOT ? NOBODY : undefined)
  if (place === undefined) return
  await install(t, place)
  for (const end of [CTRL_C, KILLED]) {
    await t.test(`${end.name} ends the demo and leaves nothing`, (t) => startsAndEnds(t, place, end))
  }
  await t.test('build, lint and tests', async (t) => {
    await succeeds(t, place, 'npm', 'run', 'build')
    // The configuration finds its files: in the checkout of this test `npm test` looks at all of them.
    await succeeds(t, place, 'node_modules/.bin/eslint', 'scripts', 'test/core/usernames.test.ts')
    await succeeds(t, place, 'node', 'scripts/test.mjs', 'test/core/usernames.test.ts', 'test/store/usernames.test.ts')
  })
  await t.test('without HOME', async (t) => {
    const { HOME: _, ...env } = place.env
    await startsAndEnds(t, { ...place, env }, SIGTERM)
  })
  await t.test('in a checkout that was made read-only after one build', async (t) => {
    spawnSync('chmod', ['-R', 'a-w', place.checkout])
    await startsAndEnds(t, place, SIGTERM)
  })
})

t.test('below a folder that only root may enter', async (t) => {
  if (!ROOT) return skip(t, 'it is not run by root')
  const place = makePlace(t, 'closed', undefined)
  if (place === undefined) return
  chmodSync(join(place.base, 'closed'), 0o700)
  copyPackages(place)
  for (const end of [CTRL_C, CLOSED_TERMINAL, KILLED]) {
    await t.test(`${end.name} ends the demo and leaves nothing`, (t) => startsAndEnds(t, place, end))
  }
  await t.test('SIGTERM to npm ends the demo, and it needs no network', (t) => withoutNetwork(t, place))
  await t.test('a uid without an entry in the user database gets a remedy', async (t) => {
    chmodSync(join(place.base, 'closed'), 0o755)
    const { code, output } = start({ ...place, uid: NO_ENTRY }, NPM)
    t.not(await code, 0)
    t.match(
      output(),
      /\ngatehouse: .* uid 54321, which has no entry in the user database\n {4}Start Gatehouse as a user /,
    )
    t.notMatch(output(), /\n {4}at /, 'no stack')
    t.same(readdirSync(place.temporary), [])
  })
})
