// The result of the last reload of the configuration, for /readyz and the metrics.
import type { Meter } from '../core/meter.js'
import { ConfigError } from './problem.js'

export interface ReloadState {
  /** When a file was last applied, or found equal to the configuration in force. */
  readonly succeededAt: Date
  /** The file is refused: since when, and why. Undefined if the file is in force. */
  readonly refused: { readonly since: Date, readonly reason: string } | undefined
}

export interface ReloadRecord {
  state(): ReloadState
  succeeded(): void
  failed(error: unknown): void
}

const MAX_REASON_LENGTH = 300

/** The record begins with a success now: the process started with a valid file. */
export function createReloadRecord(now: () => Date = () => new Date()): ReloadRecord {
  const success = (): ReloadState => ({ succeededAt: now(), refused: undefined })
  let state = success()
  return {
    state: () => state,
    succeeded() {
      state = success()
    },
    failed(error) {
      state = { ...state, refused: { since: state.refused?.since ?? now(), reason: reasonOf(error) } }
    },
  }
}

/** For the metrics. */
export function registerReloads({ meter }: { readonly meter: Pick<Meter, 'gauge'> }, state: () => ReloadState): void {
  meter.gauge('configReloadSuccess', () => state().refused ? 0 : 1)
  meter.gauge('configReloadSuccessTimestamp', () => state().succeededAt.getTime() / 1000)
}

/** The state of a process that never reloads. */
export function neverReloaded(): () => ReloadState {
  return createReloadRecord().state
}

function reasonOf(error: unknown): string {
  if (error instanceof ConfigError) {
    const [first] = error.problems
    const more = error.problems.length - 1
    if (first === undefined) return 'the file is not valid'
    const place = `${first.file}:${first.line}:${first.column}: ${first.message}`
    return `${place.slice(0, MAX_REASON_LENGTH)}${more > 0 ? ` (and ${more} more)` : ''}`
  }
  return (error instanceof Error ? error.message : 'the file could not be loaded').slice(0, MAX_REASON_LENGTH)
}
