// Runs every test against one throw-away PostgreSQL and ends with the line `N passed, N failed[, N skipped]`.
// Arguments are handed to tap. GATEHOUSE_TEST_REQUIRE_ALL=1: a skipped suite is a failure.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'

const home = mkdtempSync(join(tmpdir(), 'gatehouse-test-'))
const given = process.env.TEST_DATABASE_URL
const postgres = given ? undefined : await startEmbeddedPostgres(home, { tcp: true })
const env = { ...process.env, TEST_DATABASE_URL: given ?? postgres.url }

const tap = spawn(process.execPath, ['node_modules/tap/dist/esm/run.mjs', '--reporter=tap', ...process.argv.slice(2)], { env, stdio: ['ignore', 'pipe', 'inherit'] })
let output = ''
let rest = ''
tap.stdout.on('data', (chunk) => {
  rest += chunk
  const lines = rest.split('\n')
  rest = lines.pop()
  for (const line of lines) if (isWorthReading(line)) console.log(line)
  output = (output + chunk).slice(-20_000)
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => tap.kill(signal))
const code = await new Promise((resolve) => tap.once('exit', (exit) => resolve(exit ?? 1)))
await postgres?.stop()
rmSync(home, { recursive: true, force: true })

// Each file's result, every failure with its diagnosis, comments and skips; not the thousands of `ok`.
function isWorthReading(line) {
  return !/^\s*$|^\s+ok (?!.*# SKIP)|^\s*1\.\.\d+$|^\s*# (Subtest|time=)|^TAP version/.test(line)
}

const count = (name) => Number(new RegExp(`# \\{[^}]*\\b${name}: (\\d+)`).exec(output)?.[1] ?? 0)
const [passed, failed, skipped] = [count('pass'), count('fail'), count('skip')]
const forbidden = process.env.GATEHOUSE_TEST_REQUIRE_ALL && skipped > 0
if (forbidden) console.log(`${skipped} skipped, and nothing may be skipped here.`)
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = code !== 0 || failed > 0 || passed === 0 || forbidden ? 1 : 0
