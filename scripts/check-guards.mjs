// Applies each mutation guard (scripts/guards.mjs), one at a time and in a copy of the working tree, and runs the one
// test that must fail then. A guard whose test still passes has survived: write a better test. Takes a while; build
// first (npm run build).
// Arguments: names of guards, files or folders that are changed (src/core); otherwise all.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'
import { mutate, readGuards } from './guards.mjs'
import { endGroup } from './test-file.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const LEFT_OUT = ['node_modules', '.git', '.tap', 'dist', 'data', 'coverage']
const MINUTES = 5
const PIPE_MS = 5_000

const wanted = process.argv.slice(2).map((argument) => argument.replace(/\/$/, ''))
const { guards: all, problems } = readGuards(root)
if (problems.length > 0) throw new Error(problems.join('\n'))
const isMeantBy = (argument) => ({ name, file }) =>
  argument === name || argument === file || file.startsWith(`${argument}/`)
const guards = wanted.length === 0
  ? [...all.values()]
  : [...new Set(wanted.flatMap((argument) => [...all.values()].filter(isMeantBy(argument))))]
const unknown = wanted.filter((argument) => !guards.some(isMeantBy(argument)))
if (unknown.length > 0) throw new Error(`no such guard, nor a file that has one: ${unknown.join(', ')}`)

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
    if (running !== undefined) void endGroup(running.pid)
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
  const path = join(copy, guard.file)
  const text = readFileSync(path, 'utf8')
  const changed = mutate(guard, text)
  if (changed === undefined) return 'not found'
  if (guard.file.endsWith('.ts') && !isTypeScript(changed, guard.file)) return 'no program'
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

/** What became of the named test itself: `ok`, `not ok`, or that it did not run. */
async function runTest({ test, titles }) {
  // Programs that a test starts are built ones. Types may be wrong in what is changed: it is written all the same.
  if (readFileSync(join(copy, test), 'utf8').includes('dist/')) {
    spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { cwd: copy })
  }
  const patterns = titles.map(patternOf)
  running = spawn(process.execPath, ['--import=./scripts/typescript.mjs', '--enable-source-maps', test], {
    cwd: copy,
    env: { ...env, TAP_GREP: patterns.map((pattern) => `/${pattern}/`).join('\n'), TAP_TIMEOUT: '0' },
    detached: true, // the leader of a process group: programs that the test starts end with it
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let output = ''
  running.stdout.on('data', (chunk) => {
    output += chunk
  })
  const { pid } = running
  const closed = new Promise((resolve) => running.once('close', resolve))
  const late = setTimeout(endGroup, MINUTES * 60_000, pid)
  await new Promise((resolve) => running.once('exit', resolve))
  clearTimeout(late)
  await endGroup(pid)
  await Promise.race([closed, sleep(PIPE_MS)]) // a program in another group may hold the pipe
  return outcomeOf(output, '    '.repeat(titles.length - 1), new RegExp(patterns.at(-1)))
}

/** A computed title, as `a ${status} is kept`, stands for each one that it makes. */
function patternOf(title) {
  const parts = title.split(/\$\{[^}]*\}/).map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return `^${parts.join('.*')}$`
}

/** Of the results at that depth with such a title, `not ok` where one of them is. */
function outcomeOf(output, depth, title) {
  const results = output.split('\n').filter((line) => {
    const [, indent, text = ''] = /^( *)(?:not )?ok \d+ - (.*?)(?: # .*)?$/.exec(line) ?? []
    return indent === depth && title.test(text.replaceAll('\\#', '#').replaceAll('\\\\', '\\'))
  }).filter((line) => !/ # SKIP/.test(line))
  if (results.length === 0) return 'did not run'
  return results.some((line) => /^ *not ok/.test(line)) ? 'not ok' : 'ok'
}
