// `gatehouse explain --with`, `gatehouse policy preview`: gains and losses of all users under another configuration,
// from their last snapshots or from Graph. Reads in batches, so that memory does not grow with the number of users.
// Changes nothing.
import { createChangeRanking, type ChangeRanking, type UserChange } from '../core/change-ranking.js'
import { changeOfRights, isChange, rightsFrom } from '../core/explain.js'
import { createGroupMapping } from '../core/mapping.js'
import type { PreviewedRequests } from '../core/policy-preview.js'
import type { Config } from '../config/config.js'
import type { Database } from '../store/database.js'
import { countSnapshots, snapshotsOfActiveUsers, type UserSnapshot } from '../store/membership-snapshots.js'
import { EXIT, print, printTable, readConfig, withDatabase, type CommonOptions } from './context.js'
import { openLiveMemberships, type LiveMemberships } from './live-memberships.js'
import { createProgress } from './progress.js'
import { jsonOutput, printPages } from './row-output.js'
import { printRequests } from './sampled-requests.js'

/** Users whose groups are read from Graph between two database pages. */
const LIVE_BATCH = 200
/** In a table for people; programs get all of them, as they are found. */
const MAX_LISTED = 1_000

/** Of the users that were read so far. */
interface Tally {
  users: number
  /** Of them, those whose account is disabled or deleted: they cannot sign in. */
  unavailable: number
  changed: number
  oldest: string | undefined
}

/** @param names of the local groups that exist @param requests those that would be decided otherwise; null: unknown */
export async function explainWith(
  next: Config,
  names: ReadonlySet<string>,
  options: CommonOptions & { readonly live?: boolean },
  requests?: () => Promise<PreviewedRequests | null>,
): Promise<number> {
  const live = options.live ? openLiveMemberships(readConfig(options).config) : undefined
  const tally: Tally = { users: 0, unavailable: 0, changed: 0, oldest: undefined }
  try {
    if (options.json) {
      const sampled = await requests?.()
      const facts = () => factsOf(tally, live !== undefined, sampled)
      const output = jsonOutput<UserChange>({ list: 'changes', facts })
      await withChanges(next, names, { options, live, tally }, (pages) => printPages(pages, output))
    } else {
      const ranking = createChangeRanking(MAX_LISTED)
      await withChanges(next, names, { options, live, tally }, async (pages) => {
        for await (const page of pages) for (const change of page) ranking.add(change)
      })
      printGravest(tally, ranking, live !== undefined)
      const sampled = await requests?.()
      if (sampled !== undefined) printRequests(sampled)
    }
  } finally {
    await live?.close()
  }
  return EXIT.ok
}

interface Reading {
  readonly options: CommonOptions
  readonly live: LiveMemberships | undefined
  readonly tally: Tally
}

/** @param work reads pages of users whose rights would change, in the order of their ids */
async function withChanges(
  next: Config,
  names: ReadonlySet<string>,
  reading: Reading,
  work: (pages: AsyncIterable<readonly UserChange[]>) => Promise<void>,
): Promise<void> {
  await withDatabase(reading.options, async ({ database }) => {
    const progress = createProgress('users read', () => countSnapshots(database))
    try {
      await work(changesOf(next, names, { ...reading, database, progress }))
    } finally {
      progress.end()
    }
  })
}

async function* changesOf(
  { groupMapping }: Config,
  names: ReadonlySet<string>,
  { live, tally, database, progress }: Reading & {
    readonly database: Database
    readonly progress: ReturnType<typeof createProgress>
  },
): AsyncGenerator<readonly UserChange[]> {
  const mapping = createGroupMapping(groupMapping)
  const mapped = live === undefined ? groupMapping.map(({ entraGroup }) => entraGroup) : []
  // From Graph few at a time: progress is then shown every few seconds.
  for await (const batch of snapshotsOfActiveUsers(database, mapped, live && LIVE_BATCH)) {
    const read = await live?.read(batch.map(({ oid }) => oid))
    const changes: UserChange[] = []
    for (const snapshot of batch) {
      const ids = read ? read.get(snapshot.oid) : snapshot.entraGroupIds
      count(tally, snapshot, ids !== undefined)
      await progress.at(tally.users)
      if (ids === undefined) continue
      const change = changeOfRights(snapshot, rightsFrom(mapping, ids, (name) => names.has(name)))
      const readAt = read ? 'now' : snapshot.readAt
      if (isChange(change)) changes.push({ username: snapshot.username, readAt, change })
    }
    tally.changed += changes.length
    yield changes
  }
}

function count(tally: Tally, { readAt }: UserSnapshot, isAvailable: boolean): void {
  tally.users++
  if (!isAvailable) tally.unavailable++
  if (tally.oldest === undefined || readAt < tally.oldest) tally.oldest = readAt
}

function factsOf(
  { users, changed, unavailable, oldest }: Tally,
  live: boolean,
  sampled: PreviewedRequests | null | undefined,
): Readonly<Record<string, unknown>> {
  const source = { live, ...(live ? { unavailable } : {}), oldestReading: live ? null : oldest ?? null }
  return { people: users, changed, ...source, ...(sampled === undefined ? {} : { sampled }) }
}

function printGravest({ users, unavailable, oldest }: Tally, ranking: ChangeRanking, live: boolean): void {
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
