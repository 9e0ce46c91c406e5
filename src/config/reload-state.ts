// What came of the last reload of the configuration, for /readyz and the metrics.
import { ConfigError } from './problem.js'

export interface ReloadState {
  /** When a file was last put in force, or found to say what is in force. */
  readonly succeededAt: Date
  /** The file as it is now is not in force: since when, and why. */
  readonly refused: { readonly since: Date, readonly reason: string } | undefined
}

export interface ReloadRecord {
  state(): ReloadState
  succeeded(): void
  failed(error: unknown): void
}

const MOST_CHARACTERS = 300

/** @param now the time; the file that the process started with was put in force when this is made */
export function createReloadRecord(now: () => Date = () => new Date()): ReloadRecord {
  let state: ReloadState = { succeededAt: now(), refused: undefined }
  return {
    state: () => state,
    succeeded() {
      state = { succeededAt: now(), refused: undefined }
    },
    failed(error) {
      state = { ...state, refused: { since: state.refused?.since ?? now(), reason: reasonOf(error) } }
    },
  }
}

/** Of a process that never reloads. */
export function neverReloaded(): () => ReloadState {
  return createReloadRecord().state
}

function reasonOf(error: unknown): string {
  if (error instanceof ConfigError) {
    const [first] = error.problems
    const more = error.problems.length - 1
    if (first === undefined) return 'the file is not valid'
    const place = `${first.file}:${first.line}:${first.column}: ${first.message}`
    return `${place.slice(0, MOST_CHARACTERS)}${more > 0 ? ` (and ${more} more)` : ''}`
  }
  return (error instanceof Error ? error.message : 'the file could not be loaded').slice(0, MOST_CHARACTERS)
}
