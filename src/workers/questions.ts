// Questions over a channel: each has an id, and its answer comes within a time or not at all.

export interface Questions<Answer> {
  /** @param send sends the question with this id. Rejects without an answer in time, and after `close`. */
  ask(send: (id: number) => void): Promise<Answer>
  /** An unknown id is ignored: its time is over. */
  answer(id: number, answer: Answer): void
  /** The questions that were asked are not waited for any more. */
  drop(reason: string): void
  /** Nothing will be answered any more. */
  close(): void
}

interface Pending<Answer> {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** @param gone the error of a question that has no answer @param timeoutMs how long the other process may take */
export function createQuestions<Answer>(gone: (reason: string) => Error, timeoutMs: number): Questions<Answer> {
  const pending = new Map<number, Pending<Answer>>()
  let last = 0
  let closed = false
  const end = (id: number): Pending<Answer> | undefined => {
    const question = pending.get(id)
    pending.delete(id)
    clearTimeout(question?.timer)
    return question
  }
  const drop = (reason: string): void => {
    for (const id of [...pending.keys()]) end(id)?.reject(gone(reason))
  }
  return {
    ask: (send) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(gone('has ended'))
        const id = ++last
        const timer = setTimeout(() => end(id)?.reject(gone(`has not answered within ${timeoutMs} ms`)), timeoutMs)
        pending.set(id, { resolve, reject, timer })
        send(id)
      }),
    answer: (id, answer) => end(id)?.resolve(answer),
    drop,
    close() {
      closed = true
      drop('has ended')
    },
  }
}
