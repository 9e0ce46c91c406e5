// scripts/build.mjs, in a small checkout of its own: what is in dist while it runs, after it failed, where nothing may
// be written, and when two run at once.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'

const COPIED = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build.mjs']
const ROOT = process.getuid?.() === 0
/** Root may write everywhere: as root a read-only checkout is that of this user. */
const NOBODY = ROOT ? { uid: 65_534, gid: 65_534 } : {}
const PROGRAM = `
import { word } from './word.js'
console.log(word)
if (process.argv[2] === 'wait') {
  await new Promise((resolve) => process.stdin.once('data', resolve))
  const { later } = await import('./later.js')
  console.log(later)
  process.exit(0)
}
`

interface Ended {
  readonly code: number | null
  readonly output: string
}

/** A checkout whose program prints one word at once, and another one that it loads when it is told to. */
function checkout(t: Test): string {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'gatehouse-build-'))
  t.teardown(() => {
    spawnSync('chmod', ['-R', 'u+w', folder])
    rmSync(folder, { recursive: true, force: true })
  })
  chmodSync(folder, 0o755)
  for (const name of ['src', 'scripts']) mkdirSync(join(folder, name))
  for (const name of COPIED) copyFileSync(name, join(folder, name))
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'src/cli.ts'), PROGRAM)
  change(folder, 'first')
  return folder
}

function change(folder: string, word: string): void {
  writeFileSync(join(folder, 'src/word.ts'), `export const word: string = '${word}'\n`)
  writeFileSync(join(folder, 'src/later.ts'), `export const later: string = 'later ${word}'\n`)
}

function start(folder: string, script: string, args: readonly string[] = [], as: typeof NOBODY = {}): ChildProcess {
  return spawn(process.execPath, [join(folder, script), ...args], { cwd: folder, ...as })
}

function end(child: ChildProcess): Promise<Ended> {
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (part: Buffer) => {
      output += part.toString()
    })
  }
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })))
}

const build = (folder: string, as: typeof NOBODY = {}): Promise<Ended> =>
  end(start(folder, 'scripts/build.mjs', [], as))
const command = (folder: string): Promise<Ended> => end(start(folder, 'dist/cli.js'))
const unfinished = (folder: string): string[] => readdirSync(folder).filter((name) => name.startsWith('dist.'))

// proves: adv-build-swapped
t.test('a command that starts or runs during a rebuild succeeds', async (t) => {
  const folder = checkout(t)
  t.equal((await build(folder)).code, 0)
  t.same(await command(folder), { code: 0, output: 'first\n' })
  const running = start(folder, 'dist/cli.js', ['wait'])
  t.teardown(() => {
    running.kill('SIGKILL')
  })
  const ended = end(running)
  await new Promise((resolve) => running.stdout?.once('data', resolve))
  change(folder, 'second')
  const state = { done: false }
  const rebuilt = build(folder).then((result) => {
    state.done = true
    return result
  })
  const seen = new Set<string>()
  while (!state.done) {
    const { code, output } = await command(folder)
    seen.add(`${code} ${output}`)
  }
  t.equal((await rebuilt).code, 0)
  t.ok(seen.has('0 first\n'), 'the earlier build is used meanwhile')
  t.same([...seen].filter((each) => each !== '0 first\n' && each !== '0 second\n'), [])
  running.stdin?.write('\n')
  t.same(await ended, { code: 0, output: 'first\nlater second\n' }, 'one that has run since loads the rest')
  t.same(await command(folder), { code: 0, output: 'second\n' })
  t.same(unfinished(folder), [])
})

t.test('a build that fails keeps the earlier output, and the next build replaces it', async (t) => {
  const folder = checkout(t)
  t.equal((await build(folder)).code, 0)
  writeFileSync(join(folder, 'src/word.ts'), "export const word: number = 'broken'\n")
  const failed = await build(folder)
  t.not(failed.code, 0)
  t.match(failed.output, /src\/word\.ts.*TS2322/)
  t.same(await command(folder), { code: 0, output: 'first\n' })
  t.same(unfinished(folder), [])
  t.not((await build(folder)).code, 0, 'it is not taken for built')
  change(folder, 'mended')
  t.equal((await build(folder)).code, 0)
  t.same(await command(folder), { code: 0, output: 'mended\n' })
})

t.test('files without a source are removed from the build, and an unchanged source is not built again', async (t) => {
  const folder = checkout(t)
  writeFileSync(join(folder, 'src/old.ts'), 'export const old = 1\n')
  t.match(await build(folder), { code: 0, output: 'building...' })
  t.ok(readdirSync(join(folder, 'dist')).includes('old.js'))
  t.same(await build(folder), { code: 0, output: '' })
  rmSync(join(folder, 'src/old.ts'))
  t.equal((await build(folder)).code, 0)
  t.notOk(readdirSync(join(folder, 'dist')).includes('old.js'))
})

t.test('a read-only checkout uses its build, and prints a remedy if the source has changed', async (t) => {
  const folder = checkout(t)
  t.equal((await build(folder)).code, 0)
  spawnSync('chmod', ['-R', 'a-w', folder])
  t.same(await build(folder, NOBODY), { code: 0, output: '' })
  spawnSync('chmod', ['-R', 'u+w', folder])
  change(folder, 'second')
  spawnSync('chmod', ['-R', 'a-w', folder])
  const refused = await build(folder, NOBODY)
  t.equal(refused.code, 1)
  t.match(refused.output, /is read-only and has no build of its source\.\n +Run npm run build once as a user who may/)
  t.same(await command(folder), { code: 0, output: 'first\n' })
})

t.test('two builds at the same time both succeed', async (t) => {
  const folder = checkout(t)
  for (const word of ['first', 'second']) {
    change(folder, word)
    const both = await Promise.all([build(folder), build(folder)])
    t.same(both.map(({ code }) => code), [0, 0], both.map(({ output }) => output).join('\n'))
    t.same(await command(folder), { code: 0, output: `${word}\n` })
    t.same(unfinished(folder), [])
  }
})
