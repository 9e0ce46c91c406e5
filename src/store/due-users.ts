// Which users are due for re-evaluation: those of the configured tenant with an active session.
import {
  hasFailed,
  isMissing,
  isOverdue,
  isSignalDue,
  orderDueUsers,
  paceFor,
  pacesOf,
  type DueCandidate,
  type Paces,
  type UserCounts,
} from '../core/due-users.js'
import type { DueQuery, DueUsers } from '../core/reevaluation-store.js'
import { MAX_USERS, type ActiveUsersOptions } from './active-users.js'
import type { Database } from './database.js'
import { createReevaluationOrder, type ReevaluationOrder, type UserOrder } from './reevaluation-order.js'

/** More users than this are counted once a minute. */
const COUNTED_EACH_TIME = 20_000
const COUNT_KEPT_MS = 60_000
/** So many failed users are counted at most, so that an outage does not make each run read all of them. */
export const MAX_FAILED_COUNTED = 10_000

export function createDueUsers(database: Database, options: ActiveUsersOptions): DueUsers {
  const order = createReevaluationOrder(database, options)
  const count = createCount(() => order.count())
  return {
    async find(query) {
      if (!query.overdueOnly) await order.revise() // once in a run
      return await findDue(order, pacesOf(query, await count()), query)
    },
    async overview() {
      return { lagMs: await oldestSnapshot(order), failedUsers: await countFailed(order) }
    },
  }
}

async function findDue(order: ReevaluationOrder, paces: Paces, query: DueQuery) {
  const ofOneRun = Math.ceil(query.usersPerSecond * query.runEveryMs / 1_000)
  const most = Math.max(MAX_USERS, ofOneRun)
  const byTime: DueCandidate[] = []
  for (const privileged of [true, false]) byTime.push(...await dueBySnapshot(order, privileged, { paces, query, most }))
  byTime.push(...await take(order, { by: 'attempt' }, most, hasFailed))
  const signalled = query.overdueOnly
    ? [] // guard: sync-signals-limited
    : await take(order, { by: 'signal' }, ofOneRun, (user) => isSignalDue(user, paceFor(user, paces), query))
  return orderDueUsers({ byTime, signalled }, paces, query).slice(0, most)
}

interface Search {
  readonly paces: Paces
  readonly query: DueQuery
  readonly most: number
}

/** In the order of their snapshots, up to the first that is neither overdue nor in the share of this run. */
async function dueBySnapshot(
  order: ReevaluationOrder,
  privileged: boolean,
  { paces, query, most }: Search,
): Promise<readonly DueCandidate[]> {
  const pace = privileged ? paces.privileged : paces.others
  const found: DueCandidate[] = []
  for await (const user of order.users({ by: 'snapshot', privileged })) {
    if (!user.ours || hasFailed(user)) continue // failed users are read by their attempts
    if (found.length >= most || (found.length >= pace.share && !isOverdue(user, pace, query))) break
    found.push(user)
  }
  return found
}

async function take(
  order: ReevaluationOrder,
  by: UserOrder,
  most: number,
  wanted: (user: DueCandidate) => boolean,
): Promise<readonly DueCandidate[]> {
  const found: DueCandidate[] = []
  for await (const user of order.users(by)) {
    if (found.length >= most) break
    if (user.ours && wanted(user)) found.push(user)
  }
  return found
}

/** Of any tenant, in milliseconds; 0 without a user. */
async function oldestSnapshot(order: ReevaluationOrder): Promise<number> {
  const [first, second] = await Promise.all([true, false].map(async (privileged) => {
    const { value } = await order.users({ by: 'snapshot', privileged }).next()
    return value === undefined ? 0 : value.readAge
  }))
  return Math.max(first ?? 0, second ?? 0)
}

async function countFailed(order: ReevaluationOrder): Promise<number> {
  const failed = await take(order, { by: 'attempt' }, MAX_FAILED_COUNTED, (user) => hasFailed(user) && !isMissing(user))
  return failed.length
}

function createCount(count: () => Promise<UserCounts>): () => Promise<UserCounts> {
  let last: { readonly counts: UserCounts, readonly at: number } | undefined
  return async () => {
    // guard: sync-order-counted
    const kept = last !== undefined && last.counts.total > COUNTED_EACH_TIME &&
      performance.now() - last.at < COUNT_KEPT_MS
    if (last === undefined || !kept) last = { counts: await count(), at: performance.now() }
    return last.counts
  }
}
