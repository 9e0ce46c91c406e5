// Calls of a custom step that have no result yet, each with a time limit.

export interface PendingCalls {
  /**
   * @param send sends the call with this id
   * @returns the result; rejects with what `reject` is given, or with `timedOut()` after the time limit
   */
  start(send: (id: number) => void): Promise<unknown>
  /** Unknown ids are ignored: the call has timed out, or the step wrote the message itself. */
  resolve(id: number, result: unknown): void
  reject(id: number, error: Error): void
  rejectAll(error: () => Error): void
  isEmpty(): boolean
}

interface PendingCall {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

export interface PendingCallsOptions {
  readonly timeoutMs: number
  readonly timedOut: () => Error
  /** A call has ended, in whatever way. */
  readonly ended: () => void
}

export function createPendingCalls({ timeoutMs, timedOut, ended }: PendingCallsOptions): PendingCalls {
  const pending = new Map<number, PendingCall>()
  let count = 0
  const end = (id: number, finish: (call: PendingCall) => void): void => {
    const call = pending.get(id)
    if (!call) return
    pending.delete(id)
    clearTimeout(call.timer)
    finish(call)
    ended()
  }
  const reject = (id: number, error: Error): void => end(id, (call) => call.reject(error))
  return {
    start(send) {
      const id = count++
      return new Promise((resolve, rejectCall) => {
        const timer = setTimeout(() => reject(id, timedOut()), timeoutMs)
        pending.set(id, { resolve, reject: rejectCall, timer })
        send(id)
      })
    },
    resolve: (id, result) => end(id, (call) => call.resolve(result)),
    reject,
    rejectAll(error) {
      for (const id of [...pending.keys()]) reject(id, error())
    },
    isEmpty: () => pending.size === 0,
  }
}
