// Takes each guard of test/guards.json away in a copy of the project and runs the test that should notice. A guard whose
// test still passes proves nothing. Not part of `npm test`: it takes minutes. Arguments: names of guards (default: all).
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'

const copy = mkdtempSync(join(tmpdir(), 'gatehouse-guards-'))
for (const name of ['src', 'test', 'config', 'docs', 'migrations', 'package.json', 'tsconfig.json', 'tsconfig.build.json', '.taprc', 'README.md']) cpSync(name, join(copy, name), { recursive: true })
symlinkSync(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'))
const home = mkdtempSync(join(tmpdir(), 'gatehouse-guards-'))
const postgres = await startEmbeddedPostgres(home)
const run = (...args) => spawnSync(process.execPath, args, { cwd: copy, env: { ...process.env, TEST_DATABASE_URL: postgres.url }, encoding: 'utf8' })
const build = () => run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json')

const guards = JSON.parse(readFileSync('test/guards.json', 'utf8'))
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(guards)
const survivors = []
for (const name of names) {
  const { file, find, replace, test } = guards[name]
  const source = readFileSync(join(copy, file), 'utf8')
  const usesBuild = readFileSync(join(copy, test), 'utf8').includes('dist/')
  const started = Date.now()
  writeFileSync(join(copy, file), source.replace(find, () => replace))
  if (usesBuild) build()
  const { status, stdout } = run('node_modules/tap/dist/esm/run.mjs', '--reporter=tap', '--timeout=150', test)
  writeFileSync(join(copy, file), source)
  const failures = (stdout.match(/^ +not ok/gm) ?? []).length
  if (status === 0 || failures === 0) survivors.push(name)
  console.log(`${status === 0 ? 'SURVIVED' : failures === 0 ? 'BROKEN' : 'caught'}\t${name}\t${file}\t${test}\t${failures} failed, ${Math.round((Date.now() - started) / 1000)} s`)
}
await postgres.stop()
for (const directory of [copy, home]) rmSync(directory, { recursive: true, force: true })
console.log(`\n${names.length} guards, ${names.length - survivors.length} caught${survivors.length > 0 ? `, not: ${survivors.join(', ')}` : ''}`)
process.exitCode = survivors.length > 0 ? 1 : 0
