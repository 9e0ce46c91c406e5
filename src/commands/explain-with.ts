// `gatehouse explain --with`, `gatehouse policy preview`: gains and losses of all users under another configuration,
// from their last snapshots or from Graph. Reads in batches, so that memory does not grow with the number of users.
// Changes nothing.
import { createChangeRanking, type ChangeRanking, type UserChange } from '../core/change-ranking.js'
import { changeOfRights, rightsFrom } from '../core/explain.js'
import { createGroupMapping } from '../core/mapping.js'
import type { PreviewedRequests } from '../core/policy-preview.js'
import type { Config } from '../config/config.js'
import { countSnapshots, snapshotsOfActiveUsers, type UserSnapshot } from '../store/membership-snapshots.js'
import { EXIT, print, printTable, readConfig, withDatabase, type CommonOptions } from './context.js'
import { openLiveMemberships, type LiveMemberships } from './live-memberships.js'
import { createProgress } from './progress.js'
import { jsonOutput, pagesOf, printPages } from './row-output.js'
import { printRequests } from './sampled-requests.js'

/** Users whose groups are read from Graph between two database pages. */
const LIVE_BATCH = 200
/** In a table for people; programs get all of them. */
const MAX_LISTED = 1_000

interface Preview {
  readonly users: number
  /** Of them, those whose account is disabled or deleted: they cannot sign in. */
  readonly unavailable: number
  readonly oldest: string | undefined
  readonly ranking: ChangeRanking
}

/** @param names of the local groups that exist @param requests those that would be decided otherwise; null: unknown */
export async function explainWith(
  next: Config,
  names: ReadonlySet<string>,
  options: CommonOptions & { readonly live?: boolean },
  requests?: () => Promise<PreviewedRequests | null>,
): Promise<number> {
  const live = options.live ? openLiveMemberships(readConfig(options).config) : undefined
  const ranking = createChangeRanking(options.json ? Infinity : MAX_LISTED)
  try {
    const preview = await previewOf(next, names, { options, live, ranking })
    const sampled = await requests?.()
    if (options.json) await printAll(preview, { live: options.live ?? false, sampled })
    else {
      printGravest(preview, options.live ?? false)
      if (sampled !== undefined) printRequests(sampled)
    }
  } finally {
    await live?.close()
  }
  return EXIT.ok
}

async function previewOf(
  { groupMapping }: Config,
  names: ReadonlySet<string>,
  { options, live, ranking }: {
    readonly options: CommonOptions
    readonly live: LiveMemberships | undefined
    readonly ranking: ChangeRanking
  },
): Promise<Preview> {
  const mapping = createGroupMapping(groupMapping)
  const mapped = live === undefined ? groupMapping.map(({ entraGroup }) => entraGroup) : []
  let users = 0
  let unavailable = 0
  let oldest: string | undefined
  const add = (snapshot: UserSnapshot, readAt: string, ids: readonly string[] | undefined): void => {
    users++
    if (oldest === undefined || snapshot.readAt < oldest) oldest = snapshot.readAt
    if (ids === undefined) {
      unavailable++
      return
    }
    const change = changeOfRights(snapshot, rightsFrom(mapping, ids, (name) => names.has(name)))
    ranking.add({ username: snapshot.username, readAt, change })
  }
  await withDatabase(options, async ({ database }) => {
    const progress = createProgress('users read', () => countSnapshots(database))
    try {
      // From Graph few at a time: progress is then shown every few seconds.
      for await (const batch of snapshotsOfActiveUsers(database, mapped, live && LIVE_BATCH)) {
        const read = await live?.read(batch.map(({ oid }) => oid))
        for (const snapshot of batch) {
          add(snapshot, read ? 'now' : snapshot.readAt, read ? read.get(snapshot.oid) : snapshot.entraGroupIds)
          await progress.at(users)
        }
      }
    } finally {
      progress.end()
    }
  })
  return { users, unavailable, oldest, ranking }
}

/** The text of one object, written piece by piece. */
async function printAll(
  { users, unavailable, oldest, ranking }: Preview,
  { live, sampled }: { readonly live: boolean, readonly sampled: PreviewedRequests | null | undefined },
): Promise<void> {
  const source = { live, ...(live ? { unavailable } : {}), oldestReading: live ? null : oldest ?? null }
  const requests = sampled === undefined ? {} : { sampled }
  const facts = { people: users, changed: ranking.changed, ...source, ...requests }
  await printPages(pagesOf(ranking.gravest()), jsonOutput<UserChange>(facts, 'changes'))
}

function printGravest({ users, unavailable, oldest, ranking }: Preview, live: boolean): void {
  const source = live
    ? 'read from Graph now'
    : `from each person's last reading${oldest === undefined ? '' : `, the oldest of ${oldest.slice(0, 19)}`}`
  const sign = (flag: -1 | 0 | 1) => ({ [-1]: 'loses', 0: '', 1: 'GAINS' })[flag]
  printTable(
    ['USER', 'SUPERUSER', 'STAFF', 'GAINS', 'LOSES', 'READ'],
    ranking.gravest().map(({ username, readAt, change }) => [
      username,
      sign(change.superuser),
      sign(change.staff),
      change.gained.join(', '),
      change.lost.join(', '),
      readAt.slice(0, 19),
    ]),
    'No user would gain or lose anything.',
  )
  if (ranking.changed > MAX_LISTED) printCounts(ranking)
  print(`${ranking.changed} of ${users} people would change (${source}). Nothing was changed.`)
  if (unavailable > 0) print(`${unavailable} of them cannot sign in: the account is disabled or deleted in Entra ID.`)
}

/** Too many to look at one by one: what they come to. */
function printCounts(ranking: ChangeRanking): void {
  print(`These are the ${MAX_LISTED} gravest changes; --json prints all of them. All together:`)
  printTable(
    ['RIGHT', 'GAIN IT', 'LOSE IT'],
    ranking.counts().map(({ right, gain, lose }) => [right, String(gain), String(lose)]),
    '',
  )
}
