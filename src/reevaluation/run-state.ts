// The state of one run. Its workers share it, and change it by these methods alone.
import type { EntraUser } from '../core/account-source.js'
import type { GatehouseError } from '../core/errors.js'

/** The users that failed with one error code. */
export interface FailedUsers {
  readonly error: GatehouseError
  users: number
  /** Of the first failure. */
  readonly correlationId: string
}

export interface RunState {
  /** Ids of users that get a batch of their own: a batch with them and others failed. Kept between runs. */
  readonly isolatedUsers: ReadonlySet<string>
  isolate(users: readonly EntraUser[]): void
  rejoin(user: EntraUser): void
  batchAnswered(): void
  batchFailed(): void
  /** Failed batches in a row. */
  consecutiveFailures(): number
  /** No further batch can succeed in this run. */
  graphFailed(): void
  graphUnavailable(): boolean
  userProcessed(): void
  processed(): number
  usersFailed(error: GatehouseError, users: number, correlationId: string): void
  /** By error code. */
  readonly failures: ReadonlyMap<string, FailedUsers>
  /** The database failed, or the lock could not be checked. */
  abort(error: unknown): void
  aborted(): boolean
  /** @throws the error with which the run was aborted, if it was */
  throwIfAborted(): void
}

export function createRunState(isolatedUsers: Set<string>): RunState {
  const failures = new Map<string, FailedUsers>()
  let consecutiveFailures = 0
  let graphUnavailable = false
  let processed = 0
  let fatal: { readonly error: unknown } | undefined
  return {
    isolatedUsers,
    isolate(users) {
      for (const { userId } of users) isolatedUsers.add(userId)
    },
    rejoin({ userId }) {
      isolatedUsers.delete(userId)
    },
    batchAnswered() {
      consecutiveFailures = 0
    },
    batchFailed() {
      consecutiveFailures++
    },
    consecutiveFailures: () => consecutiveFailures,
    graphFailed() {
      graphUnavailable = true
    },
    graphUnavailable: () => graphUnavailable,
    userProcessed() {
      processed++
    },
    processed: () => processed,
    usersFailed(error, users, correlationId) {
      const same = failures.get(error.code)
      if (same) same.users += users
      else failures.set(error.code, { error, users, correlationId })
    },
    failures,
    abort(error) {
      fatal ??= { error }
    },
    aborted: () => fatal !== undefined,
    throwIfAborted() {
      if (fatal) throw fatal.error
    },
  }
}
