// The rules of which users are due for re-evaluation, and in which order. src/store/due-users.ts reads them.
import type { EntraUser } from './account-source.js'
import type { DueQuery } from './reevaluation-store.js'

/** Two answers "no such account" this far apart: a single one may come from a replica of Graph that lags. */
export const MISSING_FOR_MS = 60_000 // guard: sync-missing-minute

/**
 * A signal is answered by a read that began so much later, besides the read immediately after it: the part of Graph
 * that lists memberships may know a change later than the part that reports it ("Processing delays" in "Use delta
 * query to track changes in Microsoft Graph data").
 */
export const SETTLED_AFTER_MS = 60_000

/** A user with an active session. Ages are milliseconds on the database's clock; null: it never happened. */
export interface DueCandidate extends EntraUser {
  /** Staff or superuser. */
  readonly privileged: boolean
  /** Age of the snapshot. */
  readonly readAge: number
  /** Since the last attempt without a snapshot. */
  readonly triedAge: number | null
  /** Since Graph first found no account. */
  readonly missingAge: number | null
  /** Since a delta query last named the user. */
  readonly signalAge: number | null
}

/** How many users are re-evaluated. */
export interface UserCounts {
  readonly privileged: number
  readonly total: number
}

/** What holds for staff and superusers, or for the others. */
export interface Pace {
  /** Each of them is re-evaluated once in this time. */
  readonly cycleMs: number
  readonly floorMs: number
  /**
   * How many of them each run takes, those with the oldest attempts. Example: with 180 users, a cycle of 270 s and a
   * run every 15 s these are 15 / 270 * 180 = 10, so that the requests to Graph are spread over the cycle.
   */
  readonly share: number
}

export interface Paces {
  readonly privileged: Pace
  readonly others: Pace
}

/** Staff and superusers may use half of the requests for a cycle of their own. */
export function pacesOf(query: DueQuery, { privileged, total }: UserCounts): Paces {
  const { cycleMs, usersPerSecond, floor, runEveryMs, overdueOnly } = query
  const pace = (floorMs: number, users: number, perSecond: number, peers: number): Pace => {
    // guard: sync-floor-kept, sync-cycle-stretched, sync-spread
    const cycle = Math.min(floorMs, Math.max(cycleMs, users * 1_000 / perSecond))
    return { cycleMs: cycle, floorMs, share: overdueOnly ? 0 : Math.floor(runEveryMs * peers / cycle) }
  }
  return {
    privileged: pace(floor.privilegedMs, privileged, usersPerSecond / 2, privileged),
    others: pace(floor.othersMs, total, usersPerSecond, total - privileged),
  }
}

export const paceFor = ({ privileged }: DueCandidate, paces: Paces): Pace =>
  privileged ? paces.privileged : paces.others

/** The last attempt was later than the snapshot. */
export function hasFailed({ readAge, triedAge }: DueCandidate): boolean {
  return triedAge !== null && triedAge < readAge
}

export function isMissing({ readAge, missingAge }: DueCandidate): boolean {
  return missingAge !== null && missingAge < readAge
}

/** Since the last attempt, successful or not. */
function lastAge({ readAge, triedAge }: DueCandidate): number {
  return Math.min(readAge, triedAge ?? Infinity)
}

/** The last attempt was longer ago than the delay, or the user has the last chance before something expires. */
export function isOverdue(user: DueCandidate, pace: Pace, query: DueQuery): boolean {
  return isLate(user, pace) || lastAge(user) > delayMs(user, pace, query.runEveryMs) || hasLastChance(user, query)
}

const isLate = (user: DueCandidate, { floorMs }: Pace): boolean => lastAge(user) > floorMs

/**
 * The time between two attempts for one user. After a failure it equals the time for which the user had been due by
 * then, so it doubles with each further failure. Example with a cycle of 270 s and a run every 15 s: 15 s, 15 s, 30 s,
 * 60 s, 120 s, 240 s, 270 s, 270 s. After a failure before the user was due by time it equals the time since the
 * signal, and ends at the latest where the user is due by time.
 */
function delayMs(user: DueCandidate, { cycleMs }: Pace, runEveryMs: number): number {
  if (isMissing(user)) return Math.min(cycleMs, MISSING_FOR_MS)
  const { readAge, triedAge, signalAge } = user
  if (triedAge === null || !hasFailed(user)) return cycleMs // guard: sync-again-soon
  const triedAfterMs = readAge - triedAge
  const early = triedAfterMs < cycleMs // because of a signal
  const afterSignalMs = signalAge === null ? 0 : signalAge - triedAge
  const dueForMs = early ? afterSignalMs : triedAfterMs - cycleMs
  const mostMs = early ? cycleMs - triedAfterMs : cycleMs
  // guard: sync-signal-again
  return Math.max(Math.min(runEveryMs, cycleMs), Math.min(mostMs, dueForMs))
}

/** The snapshot has become older than a limit of staleness, and the last attempt was before that. */
function hasLastChance({ readAge, triedAge }: DueCandidate, { stalenessLimitsMs }: DueQuery): boolean {
  // guard: sync-last-chance
  return triedAge !== null && stalenessLimitsMs.some((limitMs) => readAge > limitMs && triedAge > readAge - limitMs)
}

/**
 * A delta query has named the user, who was not read since, or only so soon after it that Graph may not have known the
 * change. A failed attempt is repeated after its delay.
 */
export function isSignalDue(user: DueCandidate, pace: Pace, { runEveryMs }: DueQuery): boolean {
  const { signalAge, readAge } = user
  if (signalAge === null) return false
  const settledAge = signalAge - SETTLED_AFTER_MS
  if (readAge <= settledAge) return false
  const last = lastAge(user)
  // guard: sync-signal-answered, sync-signal-settled
  return last > signalAge || (last > settledAge && settledAge >= 0) ||
    (hasFailed(user) && last > delayMs(user, pace, runEveryMs))
}

export interface FoundUsers {
  /** At least the users of each class that are overdue or in its share. */
  readonly byTime: readonly DueCandidate[]
  /** Users whose signal is due. */
  readonly signalled: readonly DueCandidate[]
}

/**
 * The due users in their order. By time: those beyond the floor, staff and superusers, the others; users with a signal
 * take turns with them, so that whatever delta queries name, no user comes later than at twice the place without them.
 *
 * The order of users with equal times is random: otherwise one user for whom Graph fails would always be in a batch
 * with the same nine others, and fail it each time.
 */
export function orderDueUsers(found: FoundUsers, paces: Paces, query: DueQuery): readonly EntraUser[] {
  const inShare = new Set([true, false].flatMap((privileged) => {
    const peers = byLastAttempt(found.byTime.filter((user) => user.privileged === privileged))
    const [first] = peers
    return first === undefined ? [] : peers.slice(0, paceFor(first, paces).share)
  }))
  const timed = byLastAttempt(found.byTime)
    .filter((user) => inShare.has(user) || isOverdue(user, paceFor(user, paces), query))
  const rank = (user: DueCandidate): number => {
    if (isLate(user, paceFor(user, paces))) return 0 // guard: sync-floor-first
    return user.privileged ? 1 : 2
  }
  const ranks = [0, 1, 2].flatMap((wanted) => timed.filter((user) => rank(user) === wanted))
  return takeTurns(byLastAttempt(found.signalled), ranks)
}

function byLastAttempt(users: readonly DueCandidate[]): readonly DueCandidate[] {
  return users.map((user) => ({ user, last: lastAge(user), random: Math.random() }))
    .sort((a, b) => a.last === b.last ? a.random - b.random : b.last - a.last)
    .map(({ user }) => user)
}

/** First, third, fifth of one list and second, fourth, sixth of the other; a user of both has the better place. */
function takeTurns(first: readonly DueCandidate[], second: readonly DueCandidate[]): readonly EntraUser[] {
  const places = new Map<string, EntraUser>()
  // guard: sync-signals-first, sync-turns
  for (let turn = 0; turn < Math.max(first.length, second.length); turn++) {
    for (const user of [first[turn], second[turn]]) {
      if (user !== undefined && !places.has(user.userId)) {
        places.set(user.userId, { userId: user.userId, username: user.username, oid: user.oid })
      }
    }
  }
  return [...places.values()]
}
