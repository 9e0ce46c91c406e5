// `gatehouse explain --with`, `gatehouse policy preview`: gains and losses of all users under another configuration,
// from their last snapshots or from Graph. Reads in batches, so that memory does not grow with the number of users.
// Changes nothing.
import { hostname } from 'node:os'
import type { LiveRun } from '../admin/policy-preview.js'
import { createChangeRanking, type ChangeRanking, type UserChange } from '../core/change-ranking.js'
import { changeOfRights, isChange, rightsFrom } from '../core/explain.js'
import { createGroupMapping } from '../core/mapping.js'
import type { PreviewedRequests, PreviewedSnapshot } from '../core/policy-preview.js'
import type { Config } from '../config/config.js'
import type { Database } from '../store/database.js'
import { countSnapshots, snapshotsOfActiveUsers } from '../store/membership-snapshots.js'
import { cliActor, EXIT, print, printTable, withDatabase, type CommonOptions } from './context.js'
import { createProgress } from './progress.js'
import { jsonOutput, printPages } from './row-output.js'
import { printRequests } from './sampled-requests.js'

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
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
  const { live = false } = options
  const tally: Tally = { users: 0, unavailable: 0, changed: 0, oldest: undefined }
  if (options.json) {
    const sampled = await requests?.()
    const output = jsonOutput<UserChange>({ list: 'changes', facts: () => factsOf(tally, live, sampled) })
    await withChanges(next, names, { options, tally }, (pages) => printPages(pages, output))
    return EXIT.ok
  }
  const ranking = createChangeRanking(MAX_LISTED)
  await withChanges(next, names, { options, tally }, async (pages) => {
    for await (const page of pages) for (const change of page) ranking.add(change)
  })
  printGravest(tally, ranking, live)
  const sampled = await requests?.()
  if (sampled !== undefined) printRequests(sampled)
  return EXIT.ok
}

interface Reading {
  readonly options: CommonOptions & { readonly live?: boolean }
  readonly tally: Tally
}

/** @param work reads pages of users whose rights would change, in the order of their ids */
async function withChanges(
  next: Config,
  names: ReadonlySet<string>,
  reading: Reading,
  work: (pages: AsyncIterable<readonly UserChange[]>) => Promise<void>,
): Promise<void> {
  const { options } = reading
  await withDatabase(options, async ({ database, file: { entra } }) => {
    const live = options.live ? await beginLive(database, entra) : undefined
    const stop = live && (() => live.stop())
    if (stop) { for (const signal of STOP_SIGNALS) process.once(signal, stop) }
    const progress = createProgress('users read', () => countSnapshots(database))
    const mapped = next.groupMapping.map(({ entraGroup }) => entraGroup)
    const snapshots = live?.snapshots() ?? snapshotsOfActiveUsers(database, mapped)
    try {
      await work(changesOf(next, names, { ...reading, snapshots, progress }))
    } finally {
      progress.end()
      await live?.close()
      if (stop) { for (const signal of STOP_SIGNALS) process.off(signal, stop) }
    }
  })
}

/** The one of the installation. @throws GatehouseError `live_preview_busy`, `graph_throttled` */
async function beginLive(database: Database, entra: Config['entra']): Promise<LiveRun> {
  const [{ openLivePreview }, { createEntraClient }] = await Promise.all([
    import('../live-previews.js'),
    import('../entra/client.js'),
  ])
  return await openLivePreview(cliActor(), {
    database,
    openClient: () => createEntraClient(() => entra),
    securityGroupsOnly: entra.securityGroupsOnly,
    place: hostname(),
    signInsHeldUntil: () => undefined, // of this process: those of replicas are in the database
  })
}

async function* changesOf(
  { groupMapping }: Config,
  names: ReadonlySet<string>,
  { options: { live = false }, tally, snapshots, progress }: Reading & {
    readonly snapshots: AsyncIterable<readonly PreviewedSnapshot[]>
    readonly progress: ReturnType<typeof createProgress>
  },
): AsyncGenerator<readonly UserChange[]> {
  const mapping = createGroupMapping(groupMapping)
  for await (const batch of snapshots) {
    const changes: UserChange[] = []
    for (const snapshot of batch) {
      const { entraGroupIds: ids } = snapshot
      count(tally, snapshot)
      await progress.at(tally.users)
      if (ids === undefined) continue
      const change = changeOfRights(snapshot, rightsFrom(mapping, ids, (name) => names.has(name)))
      const readAt = live ? 'now' : snapshot.readAt
      if (isChange(change)) changes.push({ username: snapshot.username, readAt, change })
    }
    tally.changed += changes.length
    yield changes
  }
}

function count(tally: Tally, { readAt, entraGroupIds }: PreviewedSnapshot): void {
  tally.users++
  if (entraGroupIds === undefined) tally.unavailable++
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
