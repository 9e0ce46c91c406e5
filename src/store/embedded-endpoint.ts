// Where the embedded server listens, and whether a running server belongs to this cluster. A Unix socket in a directory
// that other users cannot enter cannot be taken over; TCP on loopback is for platforms without Unix sockets.
import { chmodSync, chownSync, lstatSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { temporaryFolder, type Account } from './embedded-account.js'

/** Of the socket's path: sun_path of Linux has 108 bytes with its end, that of macOS 104. */
const LONGEST = 103
export const SOCKET_PORT = 5432

export type Place = { readonly socketDirectory: string } | { readonly port: number }

/** @param cluster the data directory, which is its owner's alone */
export function socketDirectory(cluster: string, account: Account | undefined): string {
  if (Buffer.byteLength(socketPath(cluster)) <= LONGEST) return cluster
  const short = temporaryFolder(account, 'gatehouse-')
  if (account !== undefined) chownSync(short, account.uid, account.gid)
  chmodSync(short, 0o700)
  return short
}

export function urlOf(place: Place, password: string): string {
  const address = 'port' in place ? `127.0.0.1:${place.port}` : `localhost:${SOCKET_PORT}`
  const host = 'port' in place ? '' : `&host=${encodeURIComponent(place.socketDirectory)}`
  return `postgres://gatehouse:${password}@${address}/gatehouse?require_auth=scram-sha-256${host}`
}

/** @returns where the server of this cluster takes connections; undefined where none runs */
export async function runningPlace(cluster: string): Promise<Place | undefined> {
  const [pid = '', , , port = '', directory = ''] = linesOf(join(cluster, 'postmaster.pid'))
  if (!isServerOf(Number(pid), cluster)) return undefined // guard: adv-embedded-stale
  const place = directory === '' ? { port: Number(port) } : { socketDirectory: directory }
  if (directory !== '' && !isPrivate(directory, cluster)) return undefined
  return await answers(place) ? place : undefined
}

/** Process ID, from postmaster.pid. */
export function serverPid(cluster: string): number {
  return Number(linesOf(join(cluster, 'postmaster.pid'))[0])
}

/** The server still runs, and is shutting down. */
export function isStopping(cluster: string): boolean {
  return linesOf(join(cluster, 'postmaster.pid'))[7]?.trim() === 'stopping' && isServerOf(serverPid(cluster), cluster)
}

/** A process with this number runs, and its working directory is the cluster: a postmaster's always is. */
function isServerOf(pid: number, cluster: string): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(cluster)
  } catch (error) {
    // Without /proc the process ID alone shows that it runs; SCRAM verifies that it is this cluster's server.
    return process.platform !== 'linux' && (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

function isPrivate(directory: string, cluster: string): boolean {
  const { uid, mode } = lstatSync(directory)
  return uid === statSync(cluster).uid && (mode & 0o077) === 0
}

async function answers(place: Place): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = 'port' in place ? connect(place.port, '127.0.0.1') : connect(socketPath(place.socketDirectory))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function socketPath(directory: string): string {
  return join(directory, `.s.PGSQL.${SOCKET_PORT}`)
}

function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\n')
  } catch {
    return []
  }
}
