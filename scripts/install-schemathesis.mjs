// Installs schemathesis with the packages of .ci/schemathesis.txt (PyPI) for test/e2e/api-fuzz.test.ts: a virtual
// environment in the user's cache whose name is derived from that file. Prints nothing where it is there already.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const LIST = fileURLToPath(new URL('../.ci/schemathesis.txt', import.meta.url))
const COMPLETE = 'complete'

/** @returns the folder of the virtual environment, whether it is there or not */
export function schemathesisFolder(env = process.env) {
  const cache = env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const key = createHash('sha256').update(readFileSync(LIST)).digest('hex').slice(0, 12)
  return join(cache, 'gatehouse-ci', `schemathesis-${key}`)
}

/** @returns whether the installation is whole */
export const isInstalled = (folder = schemathesisFolder()) => existsSync(join(folder, COMPLETE))

function install() {
  const folder = schemathesisFolder()
  if (isInstalled(folder)) return
  console.log(`installing schemathesis from PyPI into ${folder}`)
  rmSync(folder, { recursive: true, force: true }) // an installation that was interrupted
  mkdirSync(dirname(folder), { recursive: true })
  run('python3', ['-m', 'venv', folder])
  run(join(folder, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:', '-r', LIST])
  writeFileSync(join(folder, COMPLETE), '')
}

function run(program, args) {
  const { status, error, stderr } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' })
  if (status === 0) return
  console.error(`${program} ${args.join(' ')}\n${error?.message ?? stderr}`)
  process.exit(1)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) install()
