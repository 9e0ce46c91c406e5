// Runs test files, two at a time, against one throw-away PostgreSQL, says which of them run, and ends with the line
// `N passed, N failed[, N skipped]`. No file has a time limit: a slow computer takes longer, a test that hangs is
// named.
// Arguments: files or folders (otherwise every test/**/*.test.ts, except test/long), --grep=/title/, --jobs=2,
// --test-env=NAME=VALUE.
// GATEHOUSE_TEST_REQUIRE_ALL=1: a skipped suite is a failure, but for the one that needs a Docker engine.
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'
import { createChildrenClock, startTestFile } from './test-file.mjs'
import { compileFolders } from './typescript-hooks.mjs'

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url))
/** When a file that still runs is named: after so many seconds, then after twice as many, and so on. */
const NAMED_AFTER_S = 30
const SLOWEST = 10
/** Not every machine that runs the tests can start a Docker engine. */
const MAY_BE_SKIPPED = 'test/e2e/compose.test.ts'
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }

const { values: options, positionals } = readArguments()
const files = positionals.length > 0 ? positionals.flatMap(named) : usualTests()
const waiting = [...files]
const running = new Map()
const results = []
const began = Date.now()
const childrenClock = createChildrenClock()
let interrupted

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        'grep': { type: 'string', multiple: true, default: [] },
        'jobs': { type: 'string', default: '2' },
        'test-env': { type: 'string', multiple: true, default: [] },
      },
    })
  } catch (error) {
    console.error(error.message)
    process.exit(2)
  }
}

function testsBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(CHECKOUT, join(entry.parentPath, entry.name)))
    .sort()
}

/** Those of test/long take half an hour and more, and have commands of their own. */
function usualTests() {
  return testsBelow(join(CHECKOUT, 'test')).filter((name) => !name.startsWith(join('test', 'long')))
}

function named(name) {
  const path = resolve(name)
  const found = statSync(path, { throwIfNoEntry: false })
  if (found?.isDirectory()) return testsBelow(path)
  if (found?.isFile()) return [relative(CHECKOUT, path)]
  console.error(`There is no test file ${name}.`)
  process.exit(2)
}

const plural = (count, what) => `${count} ${what}${count === 1 ? '' : 's'}`
const lasted = (seconds) => seconds < 100 ? `${seconds.toFixed(1)} s` : `${(seconds / 60).toFixed(1)} min`
const counted = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
const sum = (list, name) => list.reduce((total, each) => total + each[name], 0)
const whereIn = ({ current }) => current() === '' ? '' : `, in "${current()}"`

/** @returns the variables of a test file's process, and what removes all that is made for it */
async function startPlace() {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-test-'))
  const { TEST_DATABASE_URL: given } = process.env
  const postgres = given ? undefined : await startEmbeddedPostgres(home, { tcp: true, throwAway: true })
  if (process.getuid?.() === 0) chmodSync(home, 0o711) // some programs of the tests run as other users
  const temporary = join(home, 'tmp') // so that what an interrupted test leaves behind goes as well
  mkdirSync(temporary)
  chmodSync(temporary, 0o1777)
  const env = {
    ...process.env,
    TEST_DATABASE_URL: given || postgres.url,
    TMPDIR: temporary,
    TAP_TIMEOUT: '0',
    ...(options.grep.length > 0 && { TAP_GREP: options.grep.join('\n') }),
  }
  for (const each of options['test-env']) {
    const [name, ...value] = each.split('=')
    env[name] = value.join('=')
  }
  const remove = async () => {
    await postgres?.stop()
    rmSync(home, { recursive: true, force: true })
  }
  return { env, remove }
}

const nextFile = () => interrupted === undefined ? waiting.shift() : undefined

async function worker(env) {
  for (let file = nextFile(); file !== undefined; file = nextFile()) {
    const test = startTestFile(file, env, childrenClock)
    running.set(file, test)
    const result = await test.done
    running.delete(file)
    results.push(result)
    const good = result.whole && result.failed === 0
    const unfinished = result.whole || interrupted === undefined ? '' : ', not finished'
    console.log(`${good ? 'ok' : 'not ok'} ${file}  ${counted(result)}${unfinished}  (${lasted(result.seconds)})`)
    for (const line of result.lines) console.log(`    ${line}`)
  }
}

function nameSlowOnes(next = new Map()) {
  for (const [file, test] of running) {
    const seconds = (Date.now() - test.began) / 1000
    const due = next.get(file) ?? NAMED_AFTER_S
    if (seconds < due) continue
    next.set(file, due * 2)
    console.log(`... ${file} runs for ${Math.round(seconds)} s: ${counted(test.counts)} so far${whereIn(test)}`)
  }
  return setTimeout(nameSlowOnes, 1000, next).unref()
}

function interrupt(signal) {
  if (interrupted !== undefined) return
  interrupted = signal
  console.log(`\n${signal} after ${lasted((Date.now() - began) / 1000)}. The tests are being ended.`)
  for (const test of running.values()) {
    console.log(`    ${test.file} ran${whereIn(test)}`)
    test.stop()
  }
}

function printTimes() {
  const folders = new Map()
  for (const each of results) folders.set(dirname(each.file), [...folders.get(dirname(each.file)) ?? [], each])
  const bySeconds = (left, right) => right.seconds - left.seconds
  const suites = [...folders].map(([name, list]) => (
    { name, seconds: sum(list, 'seconds'), cpu: sum(list, 'cpu'), count: list.length }
  ))
  console.log('\nMinutes of each suite:')
  for (const { name, seconds, cpu, count } of suites.sort(bySeconds)) {
    const minutes = (seconds / 60).toFixed(1).padStart(6)
    console.log(`${minutes}  ${name} (${plural(count, 'file')}${cpu > 0 ? `, ${cpu.toFixed(0)} s of CPU` : ''})`)
  }
  const server = childrenClock() // the throw-away PostgreSQL has ended since the last file
  if (server !== undefined) {
    console.log(`\nCPU: ${(sum(results, 'cpu') + server).toFixed(0)} s, ${server.toFixed(0)} s of them PostgreSQL.`)
  }
  console.log(`\nThe slowest files of ${lasted((Date.now() - began) / 1000)} in all:`)
  for (const { file, seconds } of results.toSorted(bySeconds).slice(0, SLOWEST)) {
    console.log(`${lasted(seconds).padStart(10)}  ${file}`)
  }
}

function summary() {
  const totals = { passed: sum(results, 'passed'), failed: sum(results, 'failed'), skipped: sum(results, 'skipped') }
  if (results.length > 1) printTimes()
  const broken = results.filter(({ whole, failed }) => !whole || failed > 0)
  const halfway = broken.filter(({ whole }) => !whole)
  const failing = broken.filter(({ failed }) => failed > 0)
  if (failing.length > 0) console.log(`\nFailed: ${failing.map(({ file }) => file).join(' ')}`)
  if (interrupted !== undefined) {
    const missing = files.filter((file) => !results.some((each) => each.file === file))
    if (halfway.length > 0) console.log(`\nNot finished: ${halfway.map(({ file }) => file).join(' ')}`)
    if (missing.length > 0) {
      console.log(`\nNot run, ${missing.length} of ${plural(files.length, 'file')}: ${missing.join(' ')}`)
    }
  }
  const required = results.filter(({ file }) => file !== MAY_BE_SKIPPED)
  const forbidden = process.env.GATEHOUSE_TEST_REQUIRE_ALL ? sum(required, 'skipped') : 0
  if (forbidden > 0) console.log(`\n${forbidden} skipped, and nothing may be skipped here.`)
  console.log(`\n${counted(totals)}`)
  if (interrupted !== undefined) return SIGNALS[interrupted]
  return broken.length > 0 || totals.passed === 0 || forbidden > 0 ? 1 : 0
}

for (const signal of Object.keys(SIGNALS)) process.on(signal, () => interrupt(signal))
if (positionals.length === 0) compileFolders(['src', 'test'].map((folder) => join(CHECKOUT, folder)))
const place = await startPlace()
nameSlowOnes()
try {
  await Promise.all(Array.from({ length: Math.max(1, Number(options.jobs)) }, () => worker(place.env)))
} finally {
  await place.remove()
}
process.exitCode = summary()
