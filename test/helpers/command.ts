// Commands of `gatehouse` run within the test's own process, which takes a fraction of the time that a process of their
// own takes. Terminals, signals, exit codes of the process and broken pipes are tested with dist/cli.js.
import { runCommand } from '../../src/commands/program.js'

export interface CommandResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** @param env what the command sees beside the variables of the test */
export async function runInProcess(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  const written = { stdout: '', stderr: '' }
  const status = await runCommand(args, {
    stdout: {
      write: (text) => {
        written.stdout += text
      },
    },
    stderr: {
      write: (text) => {
        written.stderr += text
      },
    },
    env: { ...process.env, ...env },
  })
  return { status, ...written }
}
