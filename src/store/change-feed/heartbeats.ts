// Tracks self-addressed NOTIFY heartbeats and which have been received. Notifications arrive in the order of their
// commits: once a heartbeat is received, so is every notification that was committed before it was sent.

export interface Heartbeats {
  /** @returns the number of the heartbeat that is sent now */
  next(): number
  /** @returns false for a heartbeat of a dropped connection */
  received(number: number): boolean
  /** When the last received heartbeat was sent, by the monotonic clock. */
  lastReceivedAt(): number
  /** Waits for the next heartbeat. @returns false where the connection is dropped first */
  nextReceived(): Promise<boolean>
  /** Discards the heartbeats under way: their connection was dropped. */
  discard(): void
}

export function createHeartbeats(): Heartbeats {
  const sent: { readonly number: number, readonly at: number }[] = []
  let waiting: { readonly number: number, readonly done: (received: boolean) => void }[] = []
  let last = 0
  let lastReceivedAt = -Infinity
  return {
    next() {
      sent.push({ number: ++last, at: performance.now() })
      return last
    },
    received(number) {
      if (number < (sent[0]?.number ?? Infinity)) return false
      while (sent[0] !== undefined && sent[0].number <= number) lastReceivedAt = sent.shift()?.at ?? lastReceivedAt
      for (const each of waiting) if (each.number <= number) each.done(true)
      waiting = waiting.filter((each) => each.number > number)
      return true
    },
    lastReceivedAt: () => lastReceivedAt,
    nextReceived: () =>
      new Promise((done) => {
        waiting.push({ number: last + 1, done })
      }),
    discard() {
      sent.length = 0
      for (const { done } of waiting.splice(0)) done(false)
    },
  }
}
