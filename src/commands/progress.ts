// A line on standard error that says how far a long command is, where a person watches: on a terminal alone.
import { commandProcess } from './command-process.js'
import { terminalOf } from './terminal.js'

export interface Progress {
  /** @param done how many of the total */
  at(done: number): Promise<void>
  /** Takes the line away, so that what is printed next begins on a line of its own. */
  end(): void
}

const FIRST_MS = 1_000
const EVERY_MS = 200
const START_OF_LINE = '\r\u001b[K'

/**
 * @param what `users read`
 * @param total about how many there are; called when the first line is due
 */
export function createProgress(
  what: string,
  total: () => Promise<number>,
  now: () => number = () => performance.now(),
): Progress {
  const { stderr, env } = commandProcess()
  const shown = terminalOf(stderr).width !== undefined && env.TERM !== 'dumb'
  let due = now() + FIRST_MS
  let all: number | undefined
  return {
    async at(done) {
      if (!shown || now() < due) return
      all ??= await total()
      due = now() + EVERY_MS
      stderr.write(`${START_OF_LINE}${done} of about ${Math.max(all, done)} ${what}`)
    },
    end() {
      if (all !== undefined) stderr.write(START_OF_LINE)
    },
  }
}
