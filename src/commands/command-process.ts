// What a command uses of the process that it runs in: where it writes, and the environment variables. Several commands
// can run in one process, each with its own.
import { AsyncLocalStorage } from 'node:async_hooks'

export interface OutputStream {
  readonly isTTY?: boolean
  /** Of a terminal. */
  readonly columns?: number
  /** Of a stream: what was written waits for the reader. */
  readonly writableNeedDrain?: boolean
  write(text: string): unknown
  on?(event: 'drain' | 'error', listener: () => void): unknown
  off?(event: 'drain' | 'error', listener: () => void): unknown
}

export interface CommandProcess {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly env: NodeJS.ProcessEnv
}

const current = new AsyncLocalStorage<CommandProcess>()

/** Of the command that calls this; outside of commands the process itself. */
export function commandProcess(): CommandProcess {
  return current.getStore() ?? process
}

export function withCommandProcess<T>(io: CommandProcess, work: () => Promise<T>): Promise<T> {
  return current.run(io, work)
}
