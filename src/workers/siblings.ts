// A worker's part of what the workers of a machine have in common: it asks the primary process to count, and passes on
// which log lines it has written.
import { GatehouseError } from '../core/errors.js'
import type { Count, Place, Siblings, Topic } from '../core/siblings.js'
import type { ToPrimary, ToWorker } from './messages.js'
import { createQuestions } from './questions.js'

/** A request waits so long for its count; then it is refused. */
const COUNT_MS = 5_000
/** A second: more lines than that cannot be written either (log.budget). */
const MAX_ANNOUNCEMENTS = 1_000

export interface WorkerSiblings {
  readonly siblings: Siblings
  receive(message: Extract<ToWorker, { kind: 'counted' | 'announced' }>): void
  /** The primary process is gone: nothing is counted any more, and every request with a limit is refused. */
  close(): void
}

export function createWorkerSiblings(place: Place, send: (message: ToPrimary) => void): WorkerSiblings {
  const counts = createQuestions<Count>(notCounted, COUNT_MS)
  const listeners = new Map<Topic, ((key: string) => void)[]>()
  const announcements = { second: 0, sent: 0 }
  const mayAnnounce = (): boolean => {
    const second = Math.floor(performance.now() / 1000)
    if (second !== announcements.second) Object.assign(announcements, { second, sent: 0 })
    return announcements.sent++ < MAX_ANNOUNCEMENTS
  }
  return {
    siblings: {
      ...place,
      increment: (counter, key, windowMs) => counts.ask((id) => send({ kind: 'count', id, counter, key, windowMs })),
      announcements: (topic) => ({
        announce(key) {
          if (mayAnnounce()) send({ kind: 'announce', topic, key })
        },
        onAnnounced(listener) {
          listeners.set(topic, [...listeners.get(topic) ?? [], listener])
        },
      }),
    },
    receive(message) {
      if (message.kind === 'counted') counts.answer(message.id, message.count)
      else for (const listener of listeners.get(message.topic) ?? []) listener(message.key)
    },
    close: counts.close,
  }
}

function notCounted(reason: string): GatehouseError {
  return new GatehouseError('internal', { detail: `the primary process, which counts requests, ${reason}` })
}
