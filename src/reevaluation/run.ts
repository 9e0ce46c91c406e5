// One turn of the replica that asks: everybody whose turn it is, many at once, until nobody is left, Graph is silent,
// the lock is somebody else's, or the time is over.
import type { SyncPerson } from '../core/reevaluation.js'
import type { SyncDeps } from './ports.js'
import { ask, type Course } from './batch.js'

export interface Turn {
  readonly everyMs: number
  /** Time or the process is over: no further question is asked. */
  readonly over: () => boolean
  /** Kept between turns. */
  readonly alone: Set<string>
}

export interface Asked extends Pick<Course, 'read' | 'silent' | 'failures'> {
  /** The lock is not ours any longer. */
  readonly lost: boolean
}

const FEWEST_AT_ONCE = 4
const MOST_AT_ONCE = 16
const HELD_FOR_MS = 1_000

/** @throws where the database or the lock cannot be asked; nothing that was begun goes on then */
export async function askEverybody(deps: SyncDeps, { everyMs, over, alone }: Turn): Promise<Asked> {
  const { source, store, pace, report } = deps
  const course: Course = { read: 0, vain: 0, silent: false, broken: undefined, failures: new Map(), alone }
  const asked = new Set<string>()
  const lock = watchLock(deps)
  const staleMs = [pace.privilegedStalenessMs, pace.maxStalenessMs ?? []].flat()
  const ended = (): boolean => course.silent || course.broken !== undefined || lock.lost() || over()
  const work = async (queue: (readonly SyncPerson[])[], questions: number): Promise<void> => {
    try {
      for (; questions > 0 && !ended() && await lock.held(); questions--) {
        const people = queue.shift()
        if (!people) return
        queue.unshift(...(await ask(deps, course, people)).map((person) => [person]))
      }
    } catch (error) {
      course.broken ??= { error }
    }
  }
  try {
    while (!ended()) {
      // two turns to spare
      const due = await store.due({ spanMs: pace.intervalMs - 2 * everyMs, everyMs, staleMs, late: asked.size > 0 })
      const people = due.filter(({ userId }) => !asked.has(userId))
      if (people.length === 0) break
      const queue = questionsAbout(people, alone, source.batch)
      if (asked.size === 0) await work(queue, 1) // in case Graph is silent
      for (const { userId } of people) asked.add(userId)
      const workers = Math.min(MOST_AT_ONCE, Math.max(FEWEST_AT_ONCE, Math.ceil(queue.length / FEWEST_AT_ONCE)))
      await Promise.all(Array.from({ length: workers }, () => work(queue, Infinity)))
    }
  } finally {
    for (const { people } of course.failures.values()) report.counted('failed', people)
  }
  if (course.broken) throw course.broken.error
  return { read: course.read, silent: course.silent, failures: course.failures, lost: lock.lost() }
}

/** A turn may take long enough for the lock to be lost; asked again before a question, once a second at most. */
function watchLock(
  { leadership, clock = () => performance.now() }: SyncDeps,
): { readonly held: () => Promise<boolean>, readonly lost: () => boolean } {
  let lost = false
  let askedAt = clock()
  let asking: Promise<void> | undefined
  return {
    async held() {
      if (clock() - askedAt >= HELD_FOR_MS) {
        askedAt = clock()
        asking = leadership.held().then((mine) => {
          lost ||= !mine
        })
      }
      await asking
      return !lost
    },
    lost: () => lost,
  }
}

function questionsAbout(
  people: readonly SyncPerson[],
  alone: ReadonlySet<string>,
  size: number,
): (readonly SyncPerson[])[] {
  const together = people.filter(({ userId }) => !alone.has(userId))
  const batches = Array.from(
    { length: Math.ceil(together.length / size) },
    (_, index) => together.slice(index * size, (index + 1) * size),
  )
  return [...batches, ...people.filter(({ userId }) => alone.has(userId)).map((person) => [person])]
}
