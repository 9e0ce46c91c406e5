// `gatehouse explain`: a dry run. For one person or for given Entra groups: which mapping row each hits and what comes
// of it; with --with: explain-with.ts. Changes nothing.
import { asWritten } from '../config/as-written.js'
import { createExplainAdmin, type ExplainAdmin, type Explanation } from '../admin/explain.js'
import { loadConfig } from '../config/load.js'
import { createLiveReader, type ReadLive } from '../admin/live-reads.js'
import { isChange, type MappedRights, type RightsChange, type RowHit } from '../core/explain.js'
import { createGroupsList } from '../store/groups-list.js'
import { openAppDirectory } from '../app-directory.js'
import { printGroupsRead } from './entra-groups.js'
import { commandProcess } from './command-process.js'
import {
  EXIT,
  print,
  printJson,
  printTable,
  readConfig,
  readConfigInForce,
  withDatabase,
  type CommonOptions,
} from './context.js'
import { explainWith } from './explain-with.js'
import { policyPorts } from './policy-ports.js'

export interface ExplainOptions extends CommonOptions {
  readonly entraGroups?: string
  readonly with?: string
  readonly live?: boolean
}

export async function explain(user: string | undefined, options: ExplainOptions): Promise<number> {
  const asked = [user, options.entraGroups, options.with].filter((each) => each !== undefined).length
  if (asked !== 1 || (options.live && options.with === undefined)) {
    commandProcess().stderr.write(
      'gatehouse: choose one of: explain USER, explain --entra-groups ID,ID, explain --with NEW.yaml [--live]\n',
    )
    return EXIT.usage
  }
  if (options.with !== undefined) {
    const { config } = loadConfig(options.with, { env: commandProcess().env })
    return await explainWith(config, await localGroups(options), options)
  }
  if (options.entraGroups !== undefined) {
    return await explainGroups(options.entraGroups.split(',').map((id) => id.trim()), options)
  }
  return await explainUser(user ?? '', options)
}

async function explainGroups(ids: readonly string[], options: ExplainOptions): Promise<number> {
  const admin = await explainAdmin(options, async () => {
    throw new Error('the Entra groups are given')
  })
  const { rows, refused: _, ...rights } = await admin.explainGroups(ids)
  if (options.json) printJson({ rows, ...rights })
  else printOutcome(rows, rights)
  return EXIT.ok
}

async function explainUser(user: string, options: ExplainOptions): Promise<number> {
  const directory = openAppDirectory(readConfig(options).config)
  try {
    const admin = await explainAdmin(options, createLiveReader(directory))
    const explained = await admin.explainLive(user)
    if (options.json) printExplanationJson(user, explained)
    else printExplanation(user, explained)
  } finally {
    await directory.close()
  }
  return EXIT.ok
}

async function explainAdmin(options: ExplainOptions, readLive: ReadLive): Promise<ExplainAdmin> {
  const { config } = await readConfigInForce(options)
  const written = asWritten(config)
  return createExplainAdmin({ policy: () => config, shown: () => written, ...policyPorts(options), readLive })
}

function printExplanationJson(asked: string, explained: Explanation): void {
  const { user, entraGroups, rows, groups, missing, staff, superuser, change, memberships, rowsNotHit } = explained
  printJson({
    user: user?.username ?? asked,
    signedInBefore: user !== undefined,
    entraGroups,
    rows,
    groups,
    missing,
    staff,
    superuser,
    change,
    memberships,
    rowsNotHit,
  })
}

function printExplanation(asked: string, explained: Explanation): void {
  const { user, entraGroups, nestedOnly = 0, rows, memberships, rowsNotHit, change } = explained
  print(
    `${user?.username ?? asked}: ${entraGroups} Entra groups, ${nestedOnly} of them through nesting alone${
      user === undefined ? '; has not signed in here yet' : ''
    }`,
  )
  printOutcome(rows, explained)
  printGroupsRead(memberships, rowsNotHit)
  print(isChange(change) ? `A login now would change: ${describe(change)}` : 'A login now would change nothing.')
}

function printOutcome(hits: readonly RowHit[], outcome: MappedRights & { readonly missing: readonly string[] }): void {
  printTable(
    ['ROW', 'ENTRA GROUP', 'VIA', 'GRANTS'],
    hits.map((
      hit,
    ) => [
      String(hit.row),
      hit.label ?? hit.entraGroup,
      membershipKind(hit),
      [...hit.groups, ...(hit.staff ? ['staff'] : []), ...(hit.superuser ? ['superuser'] : [])].join(', '),
    ]),
    'No row of the mapping is hit.',
  )
  print(
    `Groups: ${outcome.groups.join(', ') || 'none'}; staff ${outcome.staff ? 'yes' : 'no'}; superuser ${
      outcome.superuser ? 'yes' : 'no'
    }`,
  )
  for (const name of outcome.missing) {
    print(`Azure AD group mapping - group not found locally: ${name} (gatehouse groups add ${JSON.stringify(name)})`)
  }
}

/** Empty for groups that were given on the command line. */
function membershipKind({ nestedOnly }: RowHit): string {
  if (nestedOnly === undefined) return ''
  return nestedOnly ? 'nesting' : 'direct'
}

function describe({ gained, lost, staff, superuser }: RightsChange): string {
  const flag = (name: string, change: -1 | 0 | 1) => change === 0 ? [] : [`${change === 1 ? '+' : '-'}${name}`]
  return [
    ...flag('superuser', superuser),
    ...flag('staff', staff),
    ...gained.map((name) => `+${name}`),
    ...lost.map((name) => `-${name}`),
  ].join(' ')
}

export async function localGroups(options: CommonOptions): Promise<ReadonlySet<string>> {
  return new Set(
    (await withDatabase(options, ({ database }) => createGroupsList(database).all())).map((group) => group.name),
  )
}
