// As whom the embedded server runs, and where that user reaches its programs. PostgreSQL refuses to run as root:
// started by root it runs as an existing unprivileged user, who may be unable to enter the folder of a checkout.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  type Stats,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { GatehouseError } from '../core/errors.js'

export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}
export interface Programs {
  readonly initdb: string
  readonly postgres: string
}

const UNPRIVILEGED = ['postgres', 'nobody']
const TEMPORARY = ['/tmp', '/var/tmp', '/var/lib', '/opt']
const ENTER = 0o1
const READ_AND_RUN = 0o5
/** Of the packages' folder, what a server does not need. */
const NOT_NEEDED = /\.a$|^pkgconfig$|^pg_ctl$/

/**
 * @param cluster the owner of one that exists runs it
 * @returns undefined: as this process's own user
 * @throws `database_unavailable`
 */
export function serverAccount(cluster?: string): Account | undefined {
  if (process.getuid?.() !== 0) return ownAccount()
  const owner = cluster === undefined ? undefined : statSync(cluster, { throwIfNoEntry: false })
  if (owner !== undefined && owner.uid !== 0) return { name: `uid ${owner.uid}`, uid: owner.uid, gid: owner.gid }
  for (const name of UNPRIVILEGED) {
    const id = (which: string): number => Number(spawnSync('id', [which, name], { encoding: 'utf8' }).stdout || NaN)
    const [uid, gid] = [id('-u'), id('-g')]
    if (uid > 0 && gid >= 0) return { name, uid, gid }
  }
  throw new GatehouseError('database_unavailable', {
    detail: `PostgreSQL does not run as root, and there is neither a user ${UNPRIVILEGED.join(' nor ')}`,
    remedy: 'Start Gatehouse as an ordinary user, or make one for the server: useradd --system postgres',
  })
}

/** PostgreSQL asks for its user's name. */
function ownAccount(): undefined {
  try {
    userInfo()
  } catch (cause) {
    const [uid, gid] = [process.getuid?.(), process.getgid?.()]
    const entry = `gatehouse:x:${uid}:${gid}::/:/bin/sh`
    throw new GatehouseError('database_unavailable', {
      cause,
      detail: `the embedded PostgreSQL cannot run as uid ${uid}, which has no entry in the user database`,
      remedy: `Start Gatehouse as a user that has one, or add it as root: echo "${entry}" >> /etc/passwd`,
    })
  }
}

/** Every folder above lets the user through, and the file or folder itself grants the permissions in `wanted`. */
export function reaches(account: Account | undefined, path: string, wanted = ENTER): boolean {
  if (account === undefined) return true
  let needed = wanted
  for (let each = realpathSync(path);; each = dirname(each)) {
    if ((permissionBits(statSync(each), account) & needed) !== needed) return false
    if (each === dirname(each)) return true
    needed = ENTER
  }
}

/** Permissions of the owner, the group or others, whichever applies to the account, in the lowest three bits. */
function permissionBits({ uid, gid, mode }: Stats, account: Account): number {
  if (uid === account.uid) return mode >> 6
  return gid === account.gid ? mode >> 3 : mode
}

/** A new folder of the temporary directory, or of the first directory like it that the server's user reaches. */
export function temporaryFolder(account: Account | undefined, prefix: string): string {
  const parents = [tmpdir(), ...TEMPORARY].filter(exists)
  const parent = parents.find((each) => reaches(account, each)) ?? tmpdir()
  return mkdtempSync(join(parent, prefix))
}

export interface PlacedPrograms extends Programs {
  /** A copy, to be removed with the server. */
  readonly copy?: string
}

/**
 * The programs as they are, or a copy that the user reaches: in the temporary directory, or where programs of that may
 * not be run, in the next directory like it.
 * @throws `database_unavailable`
 */
export function placePrograms(programs: Programs, account: Account | undefined): PlacedPrograms {
  if (account === undefined || runs(programs, account)) return programs // guard: adv-embedded-programs-copied
  const parents = [...new Set([tmpdir(), ...TEMPORARY])]
  for (const parent of parents) {
    if (!exists(parent) || !reaches(account, parent)) continue
    const copy = mkdtempSync(join(parent, 'gatehouse-postgres-'))
    copyTree(dirname(dirname(programs.postgres)), copy)
    const copied = { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres') }
    if (runs(copied, account)) return { ...copied, copy }
    rmSync(copy, { recursive: true, force: true })
  }
  throw new GatehouseError('database_unavailable', {
    detail: `started by root, PostgreSQL runs as ${account.name}, who can run its programs nowhere in ` +
      parents.join(', '),
    remedy: 'Let TMPDIR name a folder that everybody may enter and that programs may be run in, ' +
      'or start Gatehouse as an ordinary user.',
  })
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}

function runs({ postgres }: Programs, { uid, gid }: Account): boolean {
  return reaches({ name: '', uid, gid }, postgres, READ_AND_RUN) &&
    spawnSync(postgres, ['--version'], { uid, gid, cwd: '/', stdio: 'ignore' }).status === 0
}

/** Readable by everybody, whatever the umask was of the one who installed them. */
function copyTree(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  chmodSync(to, 0o755)
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (NOT_NEEDED.test(entry.name)) continue
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) copyTree(source, target)
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target)
    else {
      copyFileSync(source, target, constants.COPYFILE_FICLONE)
      chmodSync(target, 0o755)
    }
  }
}
