// The test runner itself: what it counts, what it says when it is interrupted, and that nothing is left then.
import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../helpers/until.js'

const DEADLINE_MS = 60_000

const [PASSES, FAILS, WAITS, EXITS] = ['runner-passes', 'failing-on-purpose', 'runner-waits', 'runner-exits']
  .map((name) => `test/fixtures/${name}.ts`) as [string, string, string, string]

interface Runner {
  readonly process: ChildProcess
  readonly output: () => string
  readonly code: Promise<number | null>
}

function start(t: Test, args: readonly string[], more: Record<string, string> = {}): Runner {
  const env: Record<string, string | undefined> = { ...process.env, ...more }
  for (const name of ['TEST_DATABASE_URL', 'TAP_GREP', 'GATEHOUSE_TEST_REQUIRE_ALL']) {
    if (more[name] === undefined) delete env[name]
  }
  const child = spawn(process.execPath, ['scripts/test.mjs', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  }
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  t.teardown(async () => {
    child.kill('SIGTERM')
    await code
  })
  return { process: child, output: () => output, code }
}

const lastLine = (output: string): string | undefined => output.trimEnd().split('\n').at(-1)

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

t.test('results are counted, each file has a line, and the minutes of each suite are printed', async (t) => {
  const runner = start(t, [PASSES, FAILS])
  t.equal(await runner.code, 1)
  t.match(runner.output(), `ok ${PASSES}  2 passed, 0 failed, 1 skipped`)
  t.match(runner.output(), `not ok ${FAILS}  0 passed, 1 failed`)
  t.match(
    runner.output(),
    /fileName: test\/fixtures\/failing-on-purpose\.ts\n +lineNumber: 4\n/,
    'the place in the source',
  )
  t.match(runner.output(), /\nMinutes of each suite:\n +\d+\.\d {2}test\/fixtures \(2 files, \d+ s of CPU\)\n/)
  t.equal(lastLine(runner.output()), '2 passed, 1 failed, 1 skipped')
})

t.test('one title can be run alone', async (t) => {
  const runner = start(t, [PASSES, '--grep=/^first$/'])
  t.equal(await runner.code, 0)
  t.match(lastLine(runner.output()), /^2 passed, 0 failed, 1 skipped$/)
})

t.test('if skipping is not allowed, a skipped test is a failure', async (t) => {
  const runner = start(t, [PASSES], { GATEHOUSE_TEST_REQUIRE_ALL: '1' })
  t.equal(await runner.code, 1)
})

t.test('if skipping is not allowed, the suite that needs a Docker engine may still be skipped', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'runner-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  chmodSync(home, 0o711) // started by root, PostgreSQL runs as another user
  const runner = start(t, ['test/e2e/compose.test.ts'], {
    GATEHOUSE_TEST_REQUIRE_ALL: '1',
    XDG_CACHE_HOME: home, // where no images are
  })
  t.equal(await runner.code, 0)
  t.match(runner.output(), 'The compose files were not run on an engine: the images are not there')
  t.match(lastLine(runner.output()), /^\d+ passed, 0 failed, 1 skipped$/)
})

t.test('a file that exits before its tests end is a failure', async (t) => {
  const runner = start(t, [EXITS])
  t.equal(await runner.code, 1)
  t.match(runner.output(), `${EXITS} ended with exit code 0 before its tests did`)
  t.match(lastLine(runner.output()), /, 1 failed$/)
})

t.test('a missing file and an unknown option are wrong usage', async (t) => {
  t.equal(await start(t, ['test/none.test.ts']).code, 2)
  t.equal(await start(t, ['--no-such-option', PASSES]).code, 2)
})

for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
  t.test(`${signal} ends the tests, says what was not run and leaves nothing`, async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'runner-'))
    t.teardown(() => rmSync(home, { recursive: true, force: true }))
    chmodSync(home, 0o711) // started by root, PostgreSQL runs as another user
    const notes = join(home, 'notes')
    const runner = start(t, ['--jobs=1', PASSES, WAITS, FAILS], { TMPDIR: home, RUNNER_NOTES: notes })
    t.ok(
      await until(() => existsSync(notes) && readFileSync(notes, 'utf8').endsWith('}'), DEADLINE_MS),
      runner.output(),
    )
    const left = JSON.parse(readFileSync(notes, 'utf8')) as { home: string, pid: number }
    t.ok(existsSync(left.home) && runs(left.pid))
    runner.process.kill(signal)
    t.equal(await runner.code, code)
    t.match(runner.output(), `${signal} after `)
    t.match(runner.output(), `${WAITS} ran, in "the one that hangs"`)
    t.match(runner.output(), new RegExp(`\nNot finished: ${WAITS}\n`))
    t.match(runner.output(), new RegExp(`\nNot run, 1 of 3 files: ${FAILS}\n`))
    t.match(lastLine(runner.output()), /^\d passed, \d failed, 1 skipped$/, 'of those that ran')
    t.notMatch(lastLine(runner.output()), /^0 passed/)
    t.ok(await until(() => !runs(left.pid), DEADLINE_MS), 'the program that a test had started')
    t.ok(
      await until(() => readdirSync(home).every((name) => name === 'notes'), DEADLINE_MS),
      readdirSync(home).join(' '),
    )
  })
}
