// `gatehouse explain --with`: gains and losses of all users under another configuration, from their last snapshots or
// from Graph. Reads in batches, so that any number of users fits in memory. Changes nothing.
import { createChangeRanking, type ChangeRanking, type UserChange } from '../core/change-ranking.js'
import { changeOfRights, rightsFrom } from '../core/explain.js'
import { createGroupMapping } from '../core/mapping.js'
import type { Config } from '../config/config.js'
import { loadConfig } from '../config/load.js'
import { countSnapshots, snapshotsOfActiveUsers } from '../store/membership-snapshots.js'
import { openAppDirectory } from './app-directory.js'
import { commandProcess } from './command-process.js'
import { EXIT, print, printTable, readConfig, withDatabase, type CommonOptions } from './context.js'
import { createProgress } from './progress.js'
import { jsonOutput, pagesOf, printPages } from './row-output.js'

/** In a table for people; programs get all of them. */
const MAX_LISTED = 1_000

interface Preview {
  readonly users: number
  readonly oldest: string | undefined
  readonly ranking: ChangeRanking
}

export async function explainWith(
  file: string,
  names: ReadonlySet<string>,
  options: CommonOptions & { readonly live?: boolean },
): Promise<number> {
  const next = loadConfig(file, { env: commandProcess().env }).config
  const directory = options.live ? openAppDirectory(readConfig(options).config) : undefined
  const ranking = createChangeRanking(options.json ? Infinity : MAX_LISTED)
  try {
    const preview = await previewOf(next, names, { options, directory, ranking })
    if (options.json) await printAll(preview, options.live ?? false)
    else printGravest(preview, options.live ?? false)
  } finally {
    await directory?.close()
  }
  return EXIT.ok
}

async function previewOf(
  { groupMapping }: Config,
  names: ReadonlySet<string>,
  { options, directory, ranking }: {
    readonly options: CommonOptions
    readonly directory: ReturnType<typeof openAppDirectory> | undefined
    readonly ranking: ChangeRanking
  },
): Promise<Preview> {
  const mapping = createGroupMapping(groupMapping)
  const mapped = directory === undefined ? groupMapping.map(({ entraGroup }) => entraGroup) : []
  let users = 0
  let oldest: string | undefined
  await withDatabase(options, async ({ database }) => {
    const progress = createProgress('users read', () => countSnapshots(database))
    try {
      for await (const batch of snapshotsOfActiveUsers(database, mapped)) {
        for (const snapshot of batch) {
          users++
          if (oldest === undefined || snapshot.readAt < oldest) oldest = snapshot.readAt
          const ids = await directory?.memberships(snapshot.oid) ?? snapshot.entraGroupIds
          const change = changeOfRights(snapshot, rightsFrom(mapping, ids, (name) => names.has(name)))
          ranking.add({ username: snapshot.username, readAt: directory ? 'now' : snapshot.readAt, change })
          await progress.at(users)
        }
      }
    } finally {
      progress.end()
    }
  })
  return { users, oldest, ranking }
}

/** The text of one object, written piece by piece. */
async function printAll({ users, oldest, ranking }: Preview, live: boolean): Promise<void> {
  const facts = { people: users, changed: ranking.changed, live, oldestReading: live ? null : oldest ?? null }
  await printPages(pagesOf(ranking.gravest()), jsonOutput<UserChange>(facts, 'changes'))
}

function printGravest({ users, oldest, ranking }: Preview, live: boolean): void {
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
