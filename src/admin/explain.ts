// A dry run of a sign-in: which rows of the mapping the Entra groups of a user hit, what comes of it, and what would
// change; from the last snapshot, or from Graph at this moment. Changes nothing.
import { groupsRead, rowsNotHit, type GroupRead, type RowNotHit } from '../core/entra-groups.js'
import { GatehouseError } from '../core/errors.js'
import {
  changeOfRights,
  rightsFrom,
  rowsHit,
  type MappedRights,
  type RightsChange,
  type RowHit,
} from '../core/explain.js'
import { isObjectId } from '../core/identity.js'
import { createGroupMapping, shownNames } from '../core/mapping.js'
import type { LocalGroups, PolicyInForce, PolicyUser, PolicyUsers } from '../core/policy.js'
import type { LiveRead, ReadLive } from './live-reads.js'
import { existingGroups } from './local-groups.js'
import { objectIdInvalid } from './text.js'

/** What a sign-in with these Entra groups would give. */
export interface Outcome extends MappedRights {
  readonly rows: readonly RowHit[]
  /** Local groups that rows name and that do not exist. */
  readonly missing: readonly string[]
  /** The sign-in would be refused: nothing is granted, and requireMappedGroup is set. */
  readonly refused: boolean
}

export interface Explanation extends Outcome {
  /** Undefined: has not signed in here yet. */
  readonly user: PolicyUser | undefined
  /** Read from Graph for this answer. */
  readonly live: boolean
  /** Of the snapshot, ISO 8601. */
  readonly readAt: string
  readonly entraGroups: number
  /** Of them, those through nesting alone; undefined: known only of live reads. */
  readonly nestedOnly: number | undefined
  readonly change: RightsChange
  /** Groups with a row first. */
  readonly memberships: readonly GroupRead[]
  readonly rowsNotHit: readonly RowNotHit[]
}

export interface ExplainAdmin {
  /**
   * A user who has signed in here, by id; undefined: there is none.
   * @throws `snapshot_missing`; live: `graph_*`, `entra_*`, `person_not_found`, `rate_limited`
   */
  explain(id: string, options: { readonly live: boolean }): Promise<Explanation | undefined>
  /** Anybody whom Entra ID knows, read live. @param user username, UPN, e-mail address or id */
  explainLive(user: string): Promise<Explanation>
  /** @throws `object_id_invalid` */
  explainGroups(entraGroupIds: readonly string[]): Promise<Outcome>
}

export interface ExplainPorts {
  readonly policy: () => Pick<PolicyInForce, 'groupMapping' | 'requireMappedGroup'>
  /** The same for people to read. */
  readonly shown?: (() => Pick<PolicyInForce, 'groupMapping'>) | undefined
  readonly users: PolicyUsers
  readonly localGroups: LocalGroups
  readonly readLive: ReadLive
  readonly now?: () => Date
}

export function createExplainAdmin(ports: ExplainPorts): ExplainAdmin {
  const { policy, users, readLive, now = () => new Date() } = ports
  const fromGraph = async (asked: string, user: PolicyUser | undefined): Promise<Explanation> => {
    const read = await readLive(user?.oid ?? asked, policy().groupMapping)
    const known = user ?? await found(users, read.oid) // a name that they do not have here
    return await explanation(ports, known, { live: read, readAt: now().toISOString(), ids: read.memberships })
  }
  return {
    async explain(id, { live }) {
      const user = await users.byId(id)
      if (user === undefined) return undefined
      if (live) return await fromGraph(user.username, user)
      const { snapshot } = user
      if (snapshot === undefined) throw new GatehouseError('snapshot_missing', { remedy: 'Read them from Graph now.' })
      const { readAt, entraGroupIds: ids } = snapshot
      return await explanation(ports, user, { live: undefined, readAt, ids })
    },
    explainLive: async (asked) => await fromGraph(asked, await found(users, asked)),
    async explainGroups(ids) {
      const wrong = ids.filter((id) => !isObjectId(id))
      if (wrong.length > 0) throw objectIdInvalid(wrong)
      return await outcomeOf(ports, ids)
    },
  }
}

/** Entra ID may know users who have not signed in yet. */
async function found(users: PolicyUsers, user: string): Promise<PolicyUser | undefined> {
  try {
    return await users.find(user)
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'user_unknown') return undefined
    throw error
  }
}

async function outcomeOf(
  { policy, shown = policy, localGroups }: ExplainPorts,
  ids: readonly string[],
  direct?: ReadonlySet<string>,
): Promise<Outcome> {
  const { groupMapping, requireMappedGroup } = policy()
  const mapping = createGroupMapping(groupMapping)
  const named = [...mapping.evaluate(ids).groups.keys()]
  const existing = await existingGroups(localGroups, named)
  const { missing, ...rights } = rightsFrom(mapping, ids, (name) => existing.has(name))
  const asShown = shown().groupMapping
  const nothing = rights.groups.length === 0 && !rights.staff && !rights.superuser
  return {
    ...rights,
    missing: missing.map(shownNames(groupMapping, asShown)),
    rows: rowsHit(groupMapping, ids, direct).map((hit) => ({ ...hit, groups: asShown[hit.row - 1]?.groups ?? [] })),
    refused: requireMappedGroup && nothing,
  }
}

async function explanation(
  ports: ExplainPorts,
  user: PolicyUser | undefined,
  { live, readAt, ids }: {
    readonly live: LiveRead | undefined
    readonly readAt: string
    readonly ids: readonly string[]
  },
): Promise<Explanation> {
  const { groupMapping } = ports.policy()
  const outcome = await outcomeOf(ports, ids, live?.direct)
  return {
    ...outcome,
    user,
    live: live !== undefined,
    readAt,
    entraGroups: ids.length,
    nestedOnly: live && ids.filter((id) => !live.direct.has(id)).length,
    change: changeOfRights(rightsOf(user), outcome),
    memberships: groupsRead(groupMapping, ids, live?.direct).map((group) => withName(group, live)),
    rowsNotHit: rowsNotHit(groupMapping, ids, ports.shown?.().groupMapping),
  }
}

function rightsOf(user: PolicyUser | undefined): MappedRights {
  if (user === undefined) return { groups: [], staff: false, superuser: false }
  return { groups: user.groups, staff: user.isStaff, superuser: user.isSuperuser }
}

function withName(group: GroupRead, live: LiveRead | undefined): GroupRead {
  const name = live?.names.get(group.entraGroup)
  return name === undefined ? group : { ...group, name }
}
