// The password file of libpq (PostgreSQL 18, section 32.16): lines of host:port:database:user:password. It is read for
// each connection, so that a password may be replaced while Gatehouse runs.
import { readFile, stat } from 'node:fs/promises'
import { isSocket, type DatabaseAddress } from '../core/database-address.js'

/** The directories that PostgreSQL and its packages are built with: for them the file says `localhost`. */
const DEFAULT_SOCKET_DIRECTORIES: readonly string[] = ['/tmp', '/run/postgresql', '/var/run/postgresql']
/** Read, write or execute for the group or for others. */
const FOR_OTHERS = 0o077

/** @returns undefined where there is no file, none that is private, or no line for this server */
export async function passwordFromFile(address: DatabaseAddress): Promise<string | undefined> {
  const { passFile, host, port, database, user } = address
  if (passFile === undefined) return undefined
  const about = await stat(passFile).catch(() => undefined)
  if (about?.isFile() !== true || (about.mode & FOR_OTHERS) !== 0) return undefined // guard: record-password-file
  const text = await readFile(passFile, 'utf8').catch(() => '')
  const hosts = isSocket(host) && DEFAULT_SOCKET_DIRECTORIES.includes(host) ? [host, 'localhost'] : [host]
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    const [inHost, inPort, inDatabase, inUser, password = ''] = fieldsOf(line)
    if (password === '') continue
    const matches = hosts.some((each) => isFor(inHost, each)) && isFor(inPort, port) && isFor(inDatabase, database) &&
      isFor(inUser, user)
    if (matches) return password
  }
  return undefined
}

/** `\:` and `\\` stand for the characters themselves. */
function fieldsOf(line: string): readonly string[] {
  return [...line.matchAll(/((?:\\.|[^:\\]|\\$)*)(?::|$)/g)].map(([, field = '']) => field.replace(/\\(.)/g, '$1'))
}

function isFor(field: string | undefined, value: string): boolean {
  return field === '*' || field === value
}
