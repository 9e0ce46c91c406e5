// Refused acts are recorded: at most one row a second for each administrator, with the number of those left out since
// the row before.
import type { RefusedAct } from '../../core/acts.js'

export type RecordRefusal = (refused: RefusedAct) => Promise<void>

/** Administrators whose refusals are counted; of the one counted longest ago the number is lost. */
const MOST_ACTORS = 1_000

/** @param write one row a second for each actor; false: there is one of this second */
export function createRefusals(write: (refused: RefusedAct) => Promise<boolean>): RecordRefusal {
  const leftOut = new Map<string, number>()
  return async ({ actor, correlationId, detail }) => {
    const count = leftOut.get(actor) ?? 0
    leftOut.delete(actor)
    const isWritten = await write({
      actor,
      correlationId,
      detail: count === 0 ? detail : { ...detail, leftOut: count },
    })
    if (isWritten) return
    leftOut.set(actor, (leftOut.get(actor) ?? 0) + count + 1)
    const [first] = leftOut.keys()
    if (leftOut.size > MOST_ACTORS && first !== undefined) leftOut.delete(first)
  }
}
