/** One run at a time; a call during a run gets the result of one more after it, as all other calls during this run. */
export function oneAtATime(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const begin = (): Promise<void> => {
    running = run().finally(() => {
      running = undefined
    })
    return running
  }
  return () => {
    if (next !== undefined) return next // also between two runs
    if (running === undefined) return begin()
    next = running.catch(() => {}).then(() => {
      next = undefined
      return begin()
    })
    return next
  }
}
