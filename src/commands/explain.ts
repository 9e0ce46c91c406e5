// `gatehouse explain`: a dry run. For one person or for given Entra groups: which mapping row each hits and what comes
// of it; with --with: explain-with.ts. Changes nothing.
import type { Config } from '../config/config.js'
import { groupsRead, rowsNotHit, type GroupRead } from '../core/entra-groups.js'
import { GatehouseError } from '../core/errors.js'
import {
  changeOfRights,
  isChange,
  rightsFrom,
  rowsHit,
  type MappedRights,
  type RightsChange,
  type RowHit,
} from '../core/explain.js'
import { isObjectId } from '../core/identity.js'
import { createGroupMapping } from '../core/mapping.js'
import { createGroupStore } from '../store/groups.js'
import type { PersonView } from '../core/people.js'
import { openAppDirectory } from './app-directory.js'
import { printGroupsRead, withNames } from './entra-groups.js'
import { commandProcess } from './command-process.js'
import { EXIT, print, printJson, printTable, readConfig, withDatabase, type CommonOptions } from './context.js'
import { explainWith } from './explain-with.js'

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
  if (options.with !== undefined) return await explainWith(options.with, await localGroups(options), options)
  if (options.entraGroups !== undefined) {
    return await explainGroups(options.entraGroups.split(',').map((id) => id.trim()), options)
  }
  return await explainUser(user ?? '', options)
}

async function explainGroups(ids: readonly string[], options: ExplainOptions): Promise<number> {
  const wrong = ids.filter((id) => !isObjectId(id))
  if (wrong.length > 0) {
    throw new GatehouseError('object_id_invalid', {
      detail: `${wrong.join(', ')} ${wrong.length === 1 ? 'is' : 'are'} no Object ID`,
      remedy: 'Use the Object ID of the Entra group, not its name: 8-4-4-4-12 hexadecimal digits.',
    })
  }
  const { config } = readConfig(options)
  const names = await localGroups(options)
  const outcome = rightsFrom(createGroupMapping(config.groupMapping), ids, (name) => names.has(name))
  const hits = rowsHit(config.groupMapping, ids)
  if (options.json) printJson({ rows: hits, ...outcome })
  else printOutcome(hits, outcome)
  return EXIT.ok
}

async function explainUser(user: string, options: ExplainOptions): Promise<number> {
  const { config } = readConfig(options)
  const find = (name: string) =>
    withDatabase(options, ({ people }) => people.find(name)).catch((error: unknown) => {
      // not signed in yet: Entra may know them
      if (error instanceof GatehouseError && error.code === 'user_unknown') return undefined
      throw error
    })
  const known = await find(user)
  const { oid, memberships, direct, read } = await readLive(config, known?.identities[0]?.oid ?? user)
  const person = known ?? await find(oid) // asked for by a name that they do not have here
  const names = await localGroups(options)
  const outcome = rightsFrom(createGroupMapping(config.groupMapping), memberships, (name) => names.has(name))
  const hits = rowsHit(config.groupMapping, memberships, direct)
  const notHit = rowsNotHit(config.groupMapping, memberships)
  const change = changeOfRights(
    person === undefined ? { groups: [], staff: false, superuser: false } : rightsOfPerson(person),
    outcome,
  )
  if (options.json) {
    printJson({
      user: person?.username ?? user,
      signedInBefore: person !== undefined,
      entraGroups: memberships.length,
      rows: hits,
      ...outcome,
      change,
      memberships: read,
      rowsNotHit: notHit,
    })
  } else {
    print(
      `${person?.username ?? user}: ${memberships.length} Entra groups, ${
        memberships.filter((id) => !direct.has(id)).length
      } of them through nesting alone${person === undefined ? '; has not signed in here yet' : ''}`,
    )
    printOutcome(hits, outcome)
    printGroupsRead(read, notHit)
    print(isChange(change) ? `A login now would change: ${describe(change)}` : 'A login now would change nothing.')
  }
  return EXIT.ok
}

interface LiveReading {
  readonly oid: string
  readonly memberships: readonly string[]
  readonly direct: ReadonlySet<string>
  readonly read: readonly GroupRead[]
}

async function readLive(config: Config, user: string): Promise<LiveReading> {
  const directory = openAppDirectory(config)
  try {
    const oid = isObjectId(user) ? user : await directory.objectId(user)
    const memberships = await directory.memberships(oid)
    const direct = new Set(await directory.directMemberships(oid))
    const read = await withNames(groupsRead(config.groupMapping, memberships, direct), directory)
    return { oid, memberships, direct, read }
  } finally {
    await directory.close()
  }
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

async function localGroups(options: CommonOptions): Promise<ReadonlySet<string>> {
  return new Set(
    (await withDatabase(options, ({ database }) => createGroupStore(database).list())).map((group) => group.name),
  )
}

function rightsOfPerson(person: PersonView): MappedRights {
  return { groups: person.groups.map((group) => group.name), staff: person.isStaff, superuser: person.isSuperuser }
}
