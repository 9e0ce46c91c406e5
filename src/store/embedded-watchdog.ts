// Stops the embedded server when its last user process ends, for whatever reason: a shell that reads a named pipe.
// Every process that uses the server holds the pipe open for writing. The kernel closes it with the process, also after
// kill -9; after the last one the shell stops the server and removes temporary folders.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { closeSync, constants, linkSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Arguments: cluster, the two named pipes, folders to remove. Lines of the pipe are process ids of the server or of
 * initdb; only one that works in the cluster is signalled, since ids are used again. `none`: it ended by itself.
 * Signals of a terminal or of a service manager are for the processes that use the server.
 */
const SCRIPT = `
trap '' HUP INT TERM
cluster=$1 held=$2 shared=$3 pid=
shift 3
hold() { while read -r line; do pid=$line; done; }
works_here() {
  [ -n "$1" ] && kill -0 "$1" 2>/dev/null || return 1
  if [ -d /proc/self ]; then [ "$(readlink "/proc/$1/cwd")" = "$cluster" ]
  else ps -o args= -p "$1" | grep -qF -- "$cluster"; fi
}
running() {
  found=
  [ "$pid" != none ] || return 1
  for each in "$pid" "$(sed -n 1p "$cluster/postmaster.pid" 2>/dev/null)"; do
    if works_here "$each"; then found="$found $each"; fi
  done
  [ -n "$found" ]
}
hold
rm -f "$held" "$shared"
hold
for signal in INT QUIT KILL; do
  if running; then kill -$signal $found 2>/dev/null; fi
  tries=0
  while running && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
done
tries=0
until rm -rf -- "$@" 2>/dev/null || [ $tries -ge 50 ]; do sleep 0.2; tries=$((tries + 1)); done
`

export interface Keeper {
  /** Stops this process at the end, in place of the one before: the server, or initdb. */
  watch(pid: number): void
  /** Stops using the server; the last process waits until it has ended. */
  leave(): Promise<void>
  /** The server ended by itself: a later server in the same cluster is not stopped. */
  release(): void
}

export interface Claim {
  /** @param cluster its real path @param remove folders that go with the server */
  keep(cluster: string, remove: readonly string[]): Keeper
  /** Gives the claim back: nothing was started. */
  giveUp(): void
}

const heldPipe = (home: string): string => join(home, 'server.held')
/** Open for reading by the processes that joined: the process that started the server sees whether there are any. */
const sharedPipe = (home: string): string => join(home, 'server.shared')

/** One of several processes may start the server of this folder. @returns undefined for the others */
export function claimServer(home: string): Claim | undefined {
  const [held, shared] = [heldPipe(home), sharedPipe(home)]
  const [newHeld, newShared] = [`${held}.${process.pid}`, `${shared}.${process.pid}`]
  for (const pipe of [newHeld, newShared]) rmSync(pipe, { force: true })
  const made = spawnSync('mkfifo', ['-m', '600', newHeld, newShared], { encoding: 'utf8' })
  if (made.status !== 0) throw made.error ?? new Error(made.stderr.trim())
  const end = openSync(newHeld, constants.O_RDONLY | constants.O_NONBLOCK)
  const holding = openSync(newHeld, constants.O_WRONLY | constants.O_NONBLOCK)
  const claimed = linked(newHeld, held)
  rmSync(newHeld)
  if (!claimed) {
    for (const pipe of [end, holding]) closeSync(pipe)
    rmSync(newShared)
    return undefined
  }
  renameSync(newShared, shared)
  return {
    keep: (cluster, remove) => keep({ end, holding, held, shared, cluster, remove }),
    giveUp() {
      for (const pipe of [end, holding]) closeSync(pipe)
      for (const pipe of [held, shared]) rmSync(pipe, { force: true })
    },
  }
}

/** A pipe without a reader was left behind by a shell that was killed, and is removed. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (opened(to, constants.O_WRONLY) === undefined) rmSync(to, { force: true })
    return false
  }
}

interface Pipes {
  readonly end: number
  readonly holding: number
  readonly held: string
  readonly shared: string
}

function keep({ end, holding, held, shared, cluster, remove }: Pipes & {
  readonly cluster: string
  readonly remove: readonly string[]
}): Keeper {
  const args = ['-c', SCRIPT, 'gatehouse-keeper', cluster, held, shared, ...remove]
  const shell = spawn('/bin/sh', args, { cwd: '/', detached: true, stdio: [end, 'ignore', 'ignore'] })
  closeSync(end)
  shell.unref()
  const over = ended(shell)
  const state = { left: false }
  const letGo = (): void => {
    if (!state.left) closeSync(holding)
    state.left = true
  }
  return {
    watch: (pid) => {
      writeSync(holding, `${pid}\n`)
    },
    release() {
      if (!state.left) writeSync(holding, 'none\n')
      letGo()
    },
    async leave() {
      letGo()
      if (opened(shared, constants.O_WRONLY) !== undefined) return
      shell.ref()
      await over
    },
  }
}

/** @returns undefined where no process uses the server of this folder, or where it is being stopped */
export function joinKeeper(home: string): Pick<Keeper, 'leave'> | undefined {
  const reading = tryOpen(sharedPipe(home), constants.O_RDONLY)
  if (reading === undefined) return undefined
  const holding = tryOpen(heldPipe(home), constants.O_WRONLY) // guard: adv-embedded-shared
  if (holding === undefined) {
    closeSync(reading)
    return undefined
  }
  return {
    leave: async () => {
      for (const pipe of [holding, reading]) closeSync(pipe)
    },
  }
}

function opened(path: string, how: number): true | undefined {
  const pipe = tryOpen(path, how)
  if (pipe === undefined) return undefined
  closeSync(pipe)
  return true
}

function tryOpen(path: string, how: number): number | undefined {
  try {
    return openSync(path, how | constants.O_NONBLOCK)
  } catch (error) {
    // ENXIO: the pipe has no reader.
    if (['ENOENT', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

async function ended(shell: ChildProcess): Promise<void> {
  await new Promise<void>((resolve) => {
    shell.once('exit', () => resolve())
    shell.once('error', () => resolve())
  })
}
