// The data directory of the embedded server: who owns it, and the superuser's password beside it.
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { GatehouseError } from '../core/errors.js'
import { reaches, serverAccount, type Account } from './embedded-account.js'
import { createServerLog, serverFailure } from './embedded-failure.js'

export interface Cluster {
  readonly home: string
  readonly data: string
  readonly account: Account | undefined
  readonly password: string
  readonly passwordFile: string
}

export function openCluster(dataDir: string): Cluster {
  const wanted = resolve(dataDir)
  const data = join(wanted, 'postgres')
  const account = serverAccount(data)
  try {
    mkdirSync(wanted, { recursive: true })
    chmodSync(wanted, account === undefined ? 0o700 : 0o711) // the server's user must get through
    mkdirSync(data, { recursive: true, mode: 0o700 })
    if (account !== undefined) chownSync(data, account.uid, account.gid)
  } catch (cause) {
    throw serverFailure('did not start', data, createServerLog(), cause)
  }
  const home = realpathSync(wanted)
  if (!reaches(account, home)) {
    throw new GatehouseError('database_unavailable', {
      detail: `started by root, the embedded PostgreSQL runs as ${account?.name}, who may not enter ${home}`,
      remedy: 'Give a database.dataDir that everybody may pass through, like /var/lib/gatehouse, ' +
        'or start Gatehouse as an ordinary user.',
    })
  }
  const passwordFile = join(home, 'postgres.password')
  return { home, data: join(home, 'postgres'), account, password: readOrMakePassword(passwordFile), passwordFile }
}

/** Whether initdb made a cluster in this directory; a look makes none. */
export function hasCluster(dataDir: string): boolean {
  return existsSync(join(dataDir, 'postgres', 'PG_VERSION'))
}

/** The password for the moment of initdb, in a file of the server's user alone. */
export function lentPassword({ home, password }: Cluster, { uid, gid }: Account): string {
  const file = join(home, 'postgres.password.lent')
  rmSync(file, { force: true })
  writeFileSync(file, password, { mode: 0o600, flag: 'wx' })
  chownSync(file, uid, gid)
  return file
}

/** Of several processes that start at the same moment one makes the password, and all of them read that one. */
function readOrMakePassword(file: string): string {
  if (!existsSync(file)) {
    const own = `${file}.${randomBytes(6).toString('hex')}`
    writeFileSync(own, randomBytes(24).toString('base64url'), { mode: 0o600, flag: 'wx' })
    linkUnlessPresent(own, file) // guard: embedded-password-once
    rmSync(own)
  }
  return readFileSync(file, 'utf8').trim()
}

function linkUnlessPresent(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
