// Three deaths of workers within a minute, of whichever workers, end the whole: a defect that recurs immediately is for
// the supervisor of the service and for its operator.

const MOST = 3
const WITHIN_MS = 60_000

export interface Deaths {
  /** @returns whether there were too many within a minute */
  record(): boolean
}

/** @param now monotonic milliseconds */
export function createDeaths(now: () => number = () => performance.now()): Deaths {
  let recent: number[] = []
  return {
    record() {
      const at = now()
      recent = [...recent.filter((each) => at - each < WITHIN_MS), at]
      return recent.length >= MOST // guard: workers-three-deaths
    },
  }
}
