// Notices to oneself, and which of them came back. Notices come in the order of their commits: all that was told before
// one of these was sent has been heard when it is.

export interface Beats {
  /** @returns the number of one that is sent now */
  next(): number
  /** @returns false where it belongs to connections that were given up */
  heard(number: number): boolean
  /** When the last one that came back was sent, by the monotonic clock. */
  heardAt(): number
  /** Waits for the next one. @returns false where it never came back */
  nextHeard(): Promise<boolean>
  /** What was sent does not come back. */
  giveUp(): void
}

export function createBeats(): Beats {
  const sent: { readonly number: number, readonly at: number }[] = []
  let waiting: { readonly number: number, readonly done: (heard: boolean) => void }[] = []
  let last = 0
  let heardAt = -Infinity
  return {
    next() {
      sent.push({ number: ++last, at: performance.now() })
      return last
    },
    heard(number) {
      if (number < (sent[0]?.number ?? Infinity)) return false
      while (sent[0] !== undefined && sent[0].number <= number) heardAt = sent.shift()?.at ?? heardAt
      for (const each of waiting) if (each.number <= number) each.done(true)
      waiting = waiting.filter((each) => each.number > number)
      return true
    },
    heardAt: () => heardAt,
    nextHeard: () =>
      new Promise((done) => {
        waiting.push({ number: last + 1, done })
      }),
    giveUp() {
      sent.length = 0
      for (const { done } of waiting.splice(0)) done(false)
    },
  }
}
