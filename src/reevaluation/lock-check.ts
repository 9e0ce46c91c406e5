// Whether this replica still holds the leader's lock: a run may take long enough to lose it.
import type { ReevaluationDeps } from '../core/reevaluation.js'

export interface LockCheck {
  /** Checks the lock at most once in LOCK_CHECK_INTERVAL_MS. @throws where the state of the lock is unknown */
  held(): Promise<boolean>
  lost(): boolean
}

const LOCK_CHECK_INTERVAL_MS = 1_000

export function createLockCheck(
  { leadership, clock = () => performance.now() }: Pick<ReevaluationDeps, 'leadership' | 'clock'>,
): LockCheck {
  let lost = false
  let checkedAt = clock()
  let checking: Promise<void> | undefined
  return {
    async held() {
      if (clock() - checkedAt >= LOCK_CHECK_INTERVAL_MS) {
        checkedAt = clock()
        checking = leadership.held().then((held) => {
          lost ||= !held // guard: sync-still-held
        })
      }
      await checking
      return !lost
    },
    lost: () => lost,
  }
}
