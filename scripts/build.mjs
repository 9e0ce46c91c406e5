// Compiles src to dist, where dist does not have this source's build already. The compiler writes to a folder beside
// it; then each changed file takes its old one's place at once: a command that starts meanwhile finds every file.
// Where the checkout is read-only, the build it has is used.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(CHECKOUT, 'dist')
/** In dist: what it was built of. */
const STAMP = '.built-from'
const CONFIGURATION = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build.mjs']

const filesBelow = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()

function contentOf(file) {
  try {
    return readFileSync(file)
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Names and contents of all that a build depends on. */
function fingerprint() {
  const hash = createHash('sha256')
  const sources = filesBelow(join(CHECKOUT, 'src')).map((name) => join('src', name))
  for (const name of [...CONFIGURATION, ...sources]) {
    hash.update(`${name}\0`).update(contentOf(join(CHECKOUT, name)) ?? '').update('\0')
  }
  return hash.digest('hex')
}

function mayWrite() {
  try {
    accessSync(CHECKOUT, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** @returns the compiler's exit code */
function compile(target) {
  const tsc = join(CHECKOUT, 'node_modules/typescript/bin/tsc')
  const args = [tsc, '-p', 'tsconfig.build.json', '--outDir', target]
  const compiler = spawn(process.execPath, args, { cwd: CHECKOUT, stdio: 'inherit' })
  const stop = (signal) => compiler.kill(signal)
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.once(signal, stop)
  return new Promise((resolve) => compiler.once('close', (code) => resolve(code ?? 1)))
}

function swapIn(built) {
  const names = filesBelow(built)
  for (const name of names) {
    const place = join(DIST, name)
    if (contentOf(place)?.equals(readFileSync(join(built, name)))) continue
    mkdirSync(dirname(place), { recursive: true })
    renameSync(join(built, name), place)
  }
  const current = new Set([...names, STAMP])
  for (const name of filesBelow(DIST)) if (!current.has(name)) rmSync(join(DIST, name))
}

async function build() {
  const source = fingerprint()
  if (contentOf(join(DIST, STAMP))?.toString() === source && contentOf(join(DIST, 'cli.js'))) return 0
  if (!mayWrite()) {
    process.stderr.write(
      `gatehouse: ${CHECKOUT} is read-only and has no build of its source.\n` +
        '    Run npm run build once as a user who may write there.\n',
    )
    return 1
  }
  process.stderr.write('building...\n')
  const built = join(CHECKOUT, `dist.${process.pid}`)
  try {
    const code = await compile(built)
    if (code !== 0) return code
    swapIn(built)
    writeFileSync(join(DIST, STAMP), source)
    return 0
  } finally {
    rmSync(built, { recursive: true, force: true })
  }
}

process.exitCode = await build()
