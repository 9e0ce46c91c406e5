// What was taken away within the last hour, in memory: where PostgreSQL has lost the latest part of its history, it is
// taken away again (store/lost-history/). A right that was given again meanwhile is no tombstone any more.
import { LISTED_KINDS, type Change } from './changes.js'

const ID = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'

interface Taking {
  /** Of a subject. */
  readonly form: RegExp
  /** The kind of change that gives it again. */
  readonly givenBy?: string
}

/** Kinds of changes (core/changes.ts) that take something away. */
export const TAKINGS = {
  'session.ended': { form: /^[0-9a-f]{64}$/ },
  'user.removed': { form: new RegExp(`^${ID}$`) },
  'user.deactivated': { form: new RegExp(`^${ID}$`), givenBy: 'user.activated' },
  'staff.lost': { form: new RegExp(`^${ID}$`), givenBy: 'staff.given' },
  'superuser.lost': { form: new RegExp(`^${ID}$`), givenBy: 'superuser.given' },
  'group.lost': { form: new RegExp(`^${ID}/${ID}$`), givenBy: 'group.given' },
  'group.removed': { form: new RegExp(`^${ID}$`) },
  'permission.lost': { form: new RegExp(`^${ID}/.{1,1000}$`, 's'), givenBy: 'permission.given' },
  'identity.lost': { form: new RegExp(`^${ID}/${ID}/${ID}$`), givenBy: 'identity.given' },
  'token.revoked': { form: /^tok_[\w-]{12}$/ },
  'key.withdrawn': { form: /^[\w-]{1,100}$/ },
  /** What was taken is the number: another version must not have it. */
  'policy.added': { form: /^\d{1,9}$/ },
} as const satisfies Readonly<Record<string, Taking>>

export type TakingKind = keyof typeof TAKINGS

/** Subjects by kind, in the order in which they were taken away. */
export type Taken = ReadonlyMap<TakingKind, readonly string[]>

export interface Tombstones {
  /** @param change as the outbox lists it, in its order */
  record(change: Change): void
  /** Changes were not received one by one: what they took away is not known. */
  gap(): void
  /** Whether everything is known that was taken away since this moment. @param since monotonic milliseconds */
  reachBackTo(since: number): boolean
  /** @param since monotonic milliseconds: what was taken away before is left out */
  taken(since: number): Taken
  readonly size: number
}

export interface TombstonesOptions {
  readonly keepMs?: number
  /** Number of subjects; the oldest are dropped first. */
  readonly capacity?: number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

const KEEP_MS = 3_600_000
const CAPACITY = 100_000

const GIVINGS = new Map(
  Object.entries<Taking>(TAKINGS).flatMap(([taking, { givenBy }]) =>
    givenBy === undefined ? [] : [[givenBy, taking] as const]
  ),
)

interface Tombstone {
  readonly kind: TakingKind
  readonly subject: string
  readonly at: number
}

export function createTombstones(
  { keepMs = KEEP_MS, capacity = CAPACITY, now = () => performance.now() }: TombstonesOptions = {},
): Tombstones {
  /** By kind and subject, the oldest first. */
  const tombstones = new Map<string, Tombstone>()
  let completeSince = now()
  const prune = (at: number): void => {
    for (const [key, each] of tombstones) {
      if (at - each.at <= keepMs && tombstones.size <= capacity) return
      tombstones.delete(key)
      completeSince = Math.max(completeSince, each.at) // guard: lost-reach
    }
  }
  /** What could have been given again meanwhile is not known to be taken away any more. */
  const forget = (at: number): void => {
    completeSince = at
    // guard: lost-given-unknown
    for (const [key, { kind }] of tombstones) if ('givenBy' in TAKINGS[kind]) tombstones.delete(key)
  }
  const add = (kind: TakingKind, subject: string, at: number): void => {
    if (typeof subject !== 'string' || !TAKINGS[kind].form.test(subject)) return forget(at) // no key of any row
    const key = `${kind} ${subject}`
    tombstones.delete(key) // to the end of the order
    tombstones.set(key, { kind, subject, at })
  }
  return {
    record({ kind, subjects }) {
      const at = now()
      const taking = GIVINGS.get(kind)
      for (const subject of taking === undefined ? [] : subjects) {
        tombstones.delete(`${taking} ${subject}`) // guard: lost-given-again
      }
      if (isTaking(kind)) { for (const subject of subjects) add(kind, subject, at) }
      if (!LISTED_KINDS.has(kind)) forget(at) // guard: lost-bulk
      prune(at)
    },
    gap: () => forget(now()), // guard: lost-gap
    reachBackTo: (since) => since >= completeSince,
    taken(since) {
      prune(now())
      return byKind(tombstones.values(), since)
    },
    get size() {
      return tombstones.size
    },
  }
}

function byKind(tombstones: Iterable<Tombstone>, since: number): Taken {
  const taken = new Map<TakingKind, string[]>()
  for (const { kind, subject, at } of tombstones) {
    if (at < since) continue
    const subjects = taken.get(kind) ?? []
    subjects.push(subject)
    taken.set(kind, subjects)
  }
  return taken
}

function isTaking(kind: string): kind is TakingKind {
  return Object.hasOwn(TAKINGS, kind)
}
