// What `npm pack` puts into the package: the program and its documentation, and nothing that an operator has written
// beside them. The package is then installed into an empty prefix and run.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { request } from 'undici'
import { run, skip } from './helpers/programs.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const place = mkdtempSync(join(realpathSync(tmpdir()), 'gatehouse-package-'))
chmodSync(place, 0o755) // PostgreSQL does not run as root, and its programs are started from below
t.teardown(() => rmSync(place, { recursive: true, force: true, maxRetries: 5 }))

/** What people leave in a checkout that they run Gatehouse from. */
const LEFT_BEHIND = [
  '.env',
  'secrets/client_secret',
  'gatehouse.yaml',
  'config/gatehouse.yaml',
  'config/gatehouse.yaml.bak',
  'config/new.yaml',
  'config/groups.yaml',
  'config/.env',
  'config/data/postgres.password',
  'config/data/postgres/base/1/2600',
  'config/secrets/session_secret',
  'config/demo/private.yaml',
  'config/demo/data/postgres.password',
  'config/proxies/tls.key',
  'config/proxies/nginx/site.conf',
  'config/proxies/nginx/tls.key',
  'examples/my-step.mjs',
  'docs/tenant.yaml',
  'docs/client-secret.txt',
  'migrations/dump.backup',
  'migrations/meta/notes.txt',
  'dist/gatehouse.yaml',
  'dist/data/postgres.password',
] as const
const CANARY = 'left-behind-by-the-operator-of-this-checkout'

const checkout = join(place, 'checkout')
cpSync(root, checkout, {
  recursive: true,
  filter: (from) => !['node_modules', '.git', '.tap'].includes(basename(from)),
})
const tracked = ['config', 'migrations', 'examples'].flatMap(filesUnder)
  .filter((path) => spawnSync('git', ['check-ignore', '-q', path], { cwd: root }).status !== 0)
for (const path of LEFT_BEHIND) {
  mkdirSync(dirname(join(checkout, path)), { recursive: true })
  writeFileSync(join(checkout, path), CANARY)
}
const packed = spawnSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', place], {
  cwd: checkout,
  encoding: 'utf8',
})
interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}
const answer = JSON.parse(packed.stdout) as Packed[] | Readonly<Record<string, Packed>>
const [{ filename, files } = { filename: '', files: [] }] = Object.values(answer)
const tarball = join(place, filename)
const inside = new Set(files.map(({ path }) => path))

// proves: adv-packed-secrets
t.test('nothing that an operator left in a checkout is in the package', async (t) => {
  t.ok(inside.has('dist/cli.js'), 'the program is in it')
  for (const path of LEFT_BEHIND) t.notOk(inside.has(path), path)
  const content = spawnSync('tar', ['-xzOf', tarball], { maxBuffer: 2 ** 28 })
  t.equal(content.status, 0)
  t.ok(content.stdout.includes('#!/usr/bin/env node'), 'the content is read')
  t.notOk(content.stdout.includes(CANARY), 'no byte of them either')
})

t.test('what the repository ships in config, migrations and examples is in the package', async (t) => {
  t.ok(tracked.length > 25)
  for (const path of tracked) t.ok(inside.has(path), `${path}: name it in package.json, "files"`)
})

t.test('what README links is in the package', async (t) => {
  const links = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/\]\((?!https?:)([^)#\s]+)/g)]
    .map(([, target = '']) => target)
  t.ok(links.length > 20)
  for (const target of links) {
    t.ok(inside.has(target) || [...inside].some((path) => path.startsWith(`${target}/`)), target)
  }
})

t.test('the package installs into an empty prefix without an engine warning, and runs', async (t) => {
  const prefix = join(place, 'prefix')
  const installed = spawnSync('npm', [
    'install',
    '--global',
    '--prefix',
    prefix,
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    tarball,
  ], { cwd: place, encoding: 'utf8', env: { ...process.env, npm_config_loglevel: 'warn' } })
  if (/E(?:AI_AGAIN|NOTFOUND|CONNREFUSED|TIMEDOUT|NOTCACHED|NETUNREACH)/.test(installed.stderr)) {
    return skip(t, 'the package registry cannot be reached')
  }
  t.equal(installed.status, 0, installed.stderr)
  t.notMatch(installed.stderr, /EBADENGINE/)
  const gatehouse = join(prefix, 'bin', 'gatehouse')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  t.equal(spawnSync(gatehouse, ['--version'], { cwd: place, encoding: 'utf8' }).stdout.trim(), version)
  t.ok(existsSync(join(prefix, 'lib/node_modules/gatehouse/docs/deployment.md')))

  const demo = await run(t, gatehouse, ['demo', '--port', '0'], {
    cwd: place,
    ready: (output) => /^ +http:\/\/127\.0\.0\.1:\d+\//m.test(output),
  })
  const [, url = ''] = /^ +(http:\/\/127\.0\.0\.1:\d+\/)/m.exec(demo.output()) ?? []
  const page = await request(url, { headers: { accept: 'text/html' } })
  t.equal(page.statusCode, 302, 'the application sends a stranger to sign in')
  await demo.stop()
})

/** Below the repository: `config/demo/groups.yaml`. */
function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
}
