// Takes each guard of test/guards/*.json away, one at a time and in a copy of the working tree, and runs the one test
// that must fail then. What can go unnoticed is a survivor: write a better test. Takes a while; build first (npm run
// build).
// Arguments: names of guards, otherwise all.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const LEFT_OUT = ['node_modules', '.git', '.tap', 'dist', 'data', 'coverage']
const MINUTES = 5

const wanted = process.argv.slice(2)
const folder = join(root, 'test/guards')
const all = readdirSync(folder).flatMap((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')))
const guards = wanted.length === 0 ? all : all.filter(({ name }) => wanted.includes(name))
const unknown = wanted.filter((name) => !all.some((guard) => guard.name === name))
if (unknown.length > 0) throw new Error(`no such guard: ${unknown.join(', ')}`)

const homes = ['tree', 'postgres'].map((name) => mkdtempSync(join(tmpdir(), `gatehouse-guards-${name}-`)))
const [copy, data] = homes
cpSync(root, copy, { recursive: true, filter: (path) => !LEFT_OUT.includes(basename(path)) })
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
const postgres = process.env.TEST_DATABASE_URL ? undefined : await startEmbeddedPostgres(data, { tcp: true })
const env = { ...process.env, TEST_DATABASE_URL: process.env.TEST_DATABASE_URL ?? postgres.url }

let running
let stopped = false
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    stopped = true
    running?.kill('SIGTERM')
  })
}

const began = Date.now()
const healthy = new Map()
let caught = 0
try {
  for (const guard of guards) {
    const from = Date.now()
    const result = await judge(guard)
    if (stopped) break
    if (result === 'caught') caught++
    console.log(
      `${result.padEnd(12)} ${String(Math.round((Date.now() - from) / 1000)).padStart(4)} s  ${
        guard.name.padEnd(32)
      } ${guard.file}`,
    )
  }
} finally {
  await postgres?.stop()
  for (const home of homes) rmSync(home, { recursive: true, force: true })
}
console.log(
  `\n${guards.length} guards, ${caught} caught, ${guards.length - caught} not, ${
    Math.round((Date.now() - began) / 1000)
  } s`,
)
process.exitCode = caught === guards.length ? 0 : 1

/** `caught`, or why not. */
async function judge(guard) {
  const { file, find, replace } = guard
  const path = join(copy, file)
  const text = readFileSync(path, 'utf8')
  const [before, after, ...more] = text.split(find)
  if (after === undefined || more.length > 0) return 'not once'
  const changed = `${before}${replace}${after}`
  if (file.endsWith('.ts') && !isTypeScript(changed, file)) return 'no program'
  const key = [guard.test, ...guard.titles].join(' › ')
  if (!healthy.has(key)) healthy.set(key, await runTest(guard))
  if (healthy.get(key) !== 'ok') return 'fails anyway'
  writeFileSync(path, changed)
  const outcome = await runTest(guard)
  writeFileSync(path, text)
  return { 'ok': 'SURVIVED', 'not ok': 'caught' }[outcome] ?? outcome
}

function isTypeScript(text, fileName) {
  return ts.transpileModule(text, { fileName, reportDiagnostics: true }).diagnostics.length === 0
}

/** What became of the named test itself: `ok`, `not ok`, or that it never came to it. */
async function runTest({ test, titles }) {
  // Programs that a test starts are built ones. Types may be wrong in what is changed: it is written all the same.
  if (readFileSync(join(copy, test), 'utf8').includes('dist/')) {
    spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { cwd: copy })
  }
  const patterns = titles.map((title) => `/^${title.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}$/`)
  running = spawn(process.execPath, ['--import=./scripts/typescript.mjs', '--enable-source-maps', test], {
    cwd: copy,
    env: { ...env, TAP_GREP: patterns.join('\n'), TAP_TIMEOUT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: MINUTES * 60_000,
    killSignal: 'SIGTERM',
  })
  let output = ''
  running.stdout.on('data', (chunk) => {
    output += chunk
  })
  await new Promise((resolve) => running.once('close', resolve))
  const depth = '    '.repeat(titles.length - 1)
  const line = output.split('\n').find((each) =>
    new RegExp(`^${depth}(not )?ok \\d+ - `).test(each) &&
    each.replace(/^ *(not )?ok \d+ - /, '').replace(/ # .*$/, '').replaceAll('\\#', '#').replaceAll('\\\\', '\\') ===
      titles.at(-1)
  )
  return line === undefined || / # SKIP/.test(line) ? 'did not run' : /^ *not ok/.test(line) ? 'not ok' : 'ok'
}
