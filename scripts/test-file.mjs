// Runs one test file in a process group of its own, and reads the TAP that it prints: what passed, which test runs.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const TYPESCRIPT = new URL('./typescript.mjs', import.meta.url).href
const CHECKOUT = fileURLToPath(new URL('..', import.meta.url))
/** From the signal to the end of what does not obey. */
const GRACE_MS = 10_000
/** After the test's own process: programs that it started and that are ending. */
const LEFTOVER_MS = 5_000
const POLL_MS = 50

const RESULT = /^( *)(not )?ok \d+(?: - (.*?))?(?: # (SKIP|TODO)\b.*)?(?: # time=\S+)?$/
const TOTAL = /^# \{ (total: \d+[^}]*) \}$/

/** Each failure with its diagnosis, comments and skips; not the thousands of `ok`. */
function isWorthReading(line) {
  return !/^\s*$|^\s*ok (?!.*# SKIP)|^\s*1\.\.\d+( |$)|^\s*# (Subtest: |time=|\{ total: )|^TAP version/.test(line)
}

/** Counts results as they come; tap's own count at the end of the file takes their place. */
function createReader() {
  const lines = []
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const titles = []
  const state = { finished: false, planned: -1, inDiagnosis: undefined }

  function result([, indent, not, , directive]) {
    const depth = indent.length / 4
    titles.length = Math.min(titles.length, depth)
    const ofSubtest = state.planned === depth + 1
    state.planned = -1
    if (ofSubtest && directive !== 'SKIP') return // its own results were counted
    if (directive === 'SKIP') counts.skipped++
    else if (directive !== 'TODO') counts[not ? 'failed' : 'passed']++
  }

  function read(line) {
    if (state.inDiagnosis !== undefined) { // a program's own words may look like results
      if (line.trimEnd() === `${state.inDiagnosis}...`) state.inDiagnosis = undefined
      lines.push(line)
      return
    }
    if (/^ +---$/.test(line)) state.inDiagnosis = /^ +/.exec(line)[0]
    if (isWorthReading(line)) lines.push(line)
    const [, indent, title] = /^( *)# Subtest: (.*)$/.exec(line) ?? []
    if (title !== undefined) {
      titles.length = indent.length / 4
      titles.push(title)
    }
    const [, planIndent] = /^( *)1\.\.\d+( |$)/.exec(line) ?? []
    if (planIndent !== undefined) state.planned = planIndent.length / 4
    const found = RESULT.exec(line)
    if (found) result(found)
    const [, total] = TOTAL.exec(line) ?? []
    if (total !== undefined) finish(total)
  }

  function finish(total) {
    const count = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(total)?.[1] ?? 0)
    Object.assign(counts, { passed: count('pass'), failed: count('fail'), skipped: count('skip') })
    state.finished = true
  }

  return { read, lines, counts, current: () => titles.join(' > '), finished: () => state.finished }
}

function eachLine(stream, use) {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()
    lines.forEach(use)
  })
  return () => {
    if (rest !== '') use(rest)
    rest = ''
  }
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false // nobody is left in it
  }
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function groupIsGone(pid, ms) {
  for (const deadline = Date.now() + ms; Date.now() < deadline; await sleep(POLL_MS)) {
    if (!signalGroup(pid, 0)) return true
  }
  return !signalGroup(pid, 0)
}

/**
 * Seconds of CPU of the processes that ended since it was asked last, with all that they waited for; undefined where
 * there is no /proc (proc_pid_stat(5): cutime and cstime, in hundredths of a second).
 */
export function createChildrenClock() {
  const total = () => {
    const stat = existsSync('/proc/self/stat') ? readFileSync('/proc/self/stat', 'utf8') : ''
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[13]) + Number(fields[14])) / 100
  }
  let before = total()
  return () => {
    const now = total()
    const since = now - before
    before = now
    return Number.isNaN(since) ? undefined : since
  }
}

/** Ends a process that leads its group, with all that it started: by SIGTERM, and what does not obey by SIGKILL. */
export async function endGroup(pid) {
  signalGroup(pid, 'SIGTERM')
  if (!await groupIsGone(pid, GRACE_MS)) signalGroup(pid, 'SIGKILL')
}

/**
 * @param childrenClock asked as the file's process ends, so that the difference is its CPU time
 * @returns a file that runs; `done` resolves and never rejects
 */
export function startTestFile(file, env, childrenClock = () => undefined) {
  const began = Date.now()
  const reader = createReader()
  const args = [`--import=${TYPESCRIPT}`, '--enable-source-maps', file]
  const child = spawn(process.execPath, args, {
    cwd: CHECKOUT,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const errors = []
  const flushes = [eachLine(child.stdout, reader.read), eachLine(child.stderr, (line) => errors.push(line))]
  const state = { stopped: false }

  async function result() {
    const closed = new Promise((resolve) => child.once('close', resolve))
    const exit = await new Promise((resolve) => {
      child.once('error', (error) => resolve({ code: null, signal: error.message }))
      child.once('exit', (code, signal) => resolve({ code, signal, cpu: childrenClock() }))
    })
    const clean = state.stopped || child.pid === undefined || await groupIsGone(child.pid, LEFTOVER_MS)
    if (child.pid !== undefined && !clean) signalGroup(child.pid, 'SIGKILL')
    await Promise.race([closed, sleep(LEFTOVER_MS)]) // a program in another group may hold the pipes
    flushes.forEach((flush) => flush())
    return { ...verdict(exit, clean), seconds: (Date.now() - began) / 1000, cpu: exit.cpu ?? 0 }
  }

  function verdict({ code, signal }, clean) {
    const notes = clean ? [] : ['# programs that the file started still ran, and were ended']
    const whole = reader.finished() && code !== null
    if (!whole && !state.stopped) {
      notes.push(`not ok - ${file} ended ${signal ? `by ${signal}` : `with exit code ${code}`} before its tests did`)
    }
    const { passed, failed, skipped } = reader.counts
    const unexplained = failed === 0 && !state.stopped && (!whole || code !== 0 || passed + skipped === 0)
    if (unexplained && whole && passed + skipped === 0) notes.push(`not ok - ${file} has no test`)
    return {
      file,
      whole: whole && !state.stopped,
      lines: [...reader.lines, ...errors, ...notes],
      passed,
      skipped,
      failed: failed + (unexplained ? 1 : 0),
    }
  }

  return {
    file,
    began,
    current: reader.current,
    counts: reader.counts,
    done: result(),
    /** Ends it with all that it started. */
    async stop() {
      state.stopped = true
      if (child.pid !== undefined) await endGroup(child.pid)
    },
  }
}
