// Installs the NetBox of .ci/netbox.txt (PyPI) into the user's cache, with its static files and a database of its
// tables: NetBox's own migrations take minutes. It needs Python 3.12 or newer, redis-server, and a build of Gatehouse.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const path = (name) => fileURLToPath(new URL(name, import.meta.url))
const LIST = path('../.ci/netbox.txt')
const SEED = path('netbox-seed.py')
const COMPLETE = 'complete'

/** @returns the folder of the installation, whether it is there or not */
export function netboxFolder(env = process.env) {
  const key = createHash('sha256')
  for (const file of [LIST, SEED, path('install-netbox.mjs')]) key.update(readFileSync(file))
  const { optionalDependencies } = JSON.parse(readFileSync(path('../package.json'), 'utf8'))
  key.update(JSON.stringify(optionalDependencies)) // of the PostgreSQL whose files are kept
  const cache = env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return join(cache, 'gatehouse-ci', `netbox-${key.digest('hex').slice(0, 12)}`)
}

/** @returns whether the installation is whole */
export const isInstalled = (folder = netboxFolder()) => existsSync(join(folder, COMPLETE))

/** NetBox's configuration for its tests; what comes later in the file counts. */
export function configuration({ databaseUrl, redisPort }) {
  const { username, password, hostname, port } = new URL(databaseUrl)
  return `ALLOWED_HOSTS = ['netbox.example.com', '127.0.0.1']
DATABASES = {'default': {
    'ENGINE': 'django.db.backends.postgresql', 'NAME': 'netbox', 'USER': '${username}', 'PASSWORD': '${password}',
    'HOST': '${hostname}', 'PORT': ${port}, 'CONN_MAX_AGE': 300,
}}
REDIS = {
    'tasks': {'HOST': '127.0.0.1', 'PORT': ${redisPort}, 'DATABASE': 0},
    'caching': {'HOST': '127.0.0.1', 'PORT': ${redisPort}, 'DATABASE': 1},
}
SECRET_KEY = '${'secret-for-tests-'.repeat(4)}'
API_TOKEN_PEPPERS = {1: '${'pepper-for-tests-'.repeat(4)}'}
`
}

async function install() {
  const folder = netboxFolder()
  if (isInstalled(folder)) return
  console.log(`installing NetBox from PyPI into ${folder}`)
  rmSync(folder, { recursive: true, force: true }) // an installation that was interrupted
  mkdirSync(folder, { recursive: true })
  const { program, env } = python()
  run(program, ['-m', 'venv', join(folder, 'uv')], env)
  run(join(folder, 'uv/bin/pip'), ['install', '--quiet', '--disable-pip-version-check', 'uv'], env)
  run(program, ['-m', 'venv', join(folder, 'v')], env)
  const override = join(folder, 'override.txt') // the compiled psycopg would be built from source
  writeFileSync(override, 'psycopg[binary,pool]==3.3.6\n')
  const into = ['--python', join(folder, 'v/bin/python'), '--override', override]
  run(join(folder, 'uv/bin/uv'), ['pip', 'install', '--quiet', ...into, '-r', LIST], env)
  await makeDatabase(folder)
  writeFileSync(join(folder, COMPLETE), '')
}

async function makeDatabase(folder) {
  const { startEmbeddedPostgres } = await import('../dist/store/embedded.js')
  const { createClient } = await import('../dist/store/postgres-client.js')
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-netbox-'))
  chmodSync(home, 0o711) // started by root, PostgreSQL runs as another user
  const redisPort = await freePort()
  const options = ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '']
  const redis = spawn('redis-server', options, { stdio: 'ignore', cwd: home })
  const postgres = await startEmbeddedPostgres(join(home, 'database'), { tcp: true })
  try {
    await statement(createClient, postgres.url, 'create database netbox')
    const database = postgres.url.replace('/gatehouse?', '/netbox?')
    await statement(createClient, database, 'create extension ltree')
    await statement(createClient, database, "create collation natural_sort (provider=icu, locale='und-u-kn-true')")
    mkdirSync(join(home, 'root/conf'), { recursive: true })
    writeFileSync(join(home, 'root/conf/__init__.py'), '')
    writeFileSync(join(home, 'root/conf/configuration.py'), configuration({ databaseUrl: postgres.url, redisPort }))
    writeFileSync(join(home, 'no_migrations.py'), NO_MIGRATIONS)
    const netbox = join(folder, 'v/bin/netbox')
    const env = { NETBOX_ROOT: join(home, 'root') }
    const tables = { ...env, PYTHONPATH: home, DJANGO_SETTINGS_MODULE: 'no_migrations' }
    run(netbox, ['migrate', '--run-syncdb', '--verbosity', '0'], tables)
    const seeded = run(netbox, ['shell', '-c', readFileSync(SEED, 'utf8')], env)
    writeFileSync(join(folder, 'token'), /^TOKEN (\S+)$/m.exec(seeded)?.[1] ?? '')
    run(netbox, ['collectstatic', '--no-input', '--verbosity', '0'], env)
    cpSync(join(home, 'root/static'), join(folder, 'static'), { recursive: true })
  } finally {
    redis.kill()
    await postgres.stop()
  }
  run('cp', ['-a', join(home, 'database'), folder]) // owners too: root's server runs as another user
  rmSync(home, { recursive: true, force: true })
}

const NO_MIGRATIONS = `from netbox.settings import *


class NoMigrations:
    def __contains__(self, name):
        return True

    def __getitem__(self, name):
        return None


MIGRATION_MODULES = NoMigrations()
`

async function statement(createClient, connectionString, text) {
  const client = createClient({ connectionString })
  await client.connect()
  await client.query(text).finally(() => client.end())
}

/** Python 3.12 or newer: on the path, or one of pyenv's. */
function python() {
  const versions = spawnSync('pyenv', ['versions', '--bare'], { encoding: 'utf8' }).stdout?.split('\n') ?? []
  const candidates = ['python3.12', 'python3.13', 'python3'].map((program) => ({ program, env: {} }))
  for (const version of versions) candidates.push({ program: 'python3', env: { PYENV_VERSION: version.trim() } })
  const check = ['-c', 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))']
  const isNewEnough = ({ program, env }) => spawnSync(program, check, { env: { ...process.env, ...env } }).status === 0
  const found = candidates.find(isNewEnough)
  if (found) return found
  console.error('NetBox needs Python 3.12 or newer, with venv')
  process.exit(1)
}

function run(program, args, env = {}) {
  const options = { encoding: 'utf8', env: { ...process.env, ...env } }
  const { status, error, stdout, stderr } = spawnSync(program, args, options)
  if (status === 0) return stdout
  throw new Error(`${program} ${args.join(' ')}\n${error?.message ?? `${stdout}${stderr}`}`)
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await install()
