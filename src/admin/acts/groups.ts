// Acts on local groups and their permissions. Members of a group have its permissions: one of the console is given only
// by administrators who hold it.
import type { Acting, ActTransaction } from '../../core/acts.js'
import { requireWithinOwnRights } from '../../core/ceiling.js'
import { GatehouseError } from '../../core/errors.js'
import type { GroupTarget } from '../../core/group-acts.js'
import { checkDefinition, checkGroupName, checkPermission, type GroupDefinition } from '../../core/group-definitions.js'
import { requireVersion } from '../../core/version-tag.js'
import { checkText } from '../text.js'
import { applyAll, type AppliedGroups } from './group-file.js'
import {
  changeRow,
  groupExists,
  groupVersion,
  isGranted,
  namedBy,
  requireUnnamed,
  type GroupPolicy,
  type NamedBy,
} from './group-policy.js'
import { perform, type ActContext } from './perform.js'

export interface GroupActs {
  /** @throws GatehouseError `group_exists`, `group_name_invalid`, and what every act throws (perform.ts) */
  add(group: Omit<GroupDefinition, 'permissions'>, acting: Acting): Promise<{ readonly added: string }>
  /**
   * Memberships and permissions stay with the group. A group whose permissions the administrator does not hold is not
   * given a name that the configuration grants.
   * @throws GatehouseError `group_unknown`, `group_exists`, `group_name_invalid`, `above_own_rights`
   */
  change(name: string, to: Partial<GroupDefinition>, acting: Acting): Promise<ChangedGroup>
  /**
   * Memberships and permissions go with it.
   * @param force also where a row of the mapping or an access rule names it
   * @throws GatehouseError `group_unknown`, `group_mapped`
   */
  remove(name: string, options: { readonly force: boolean }, acting: Acting): Promise<RemovedGroup>
  /** @throws GatehouseError `group_unknown`, `permission_invalid`, `above_own_rights` */
  grant(name: string, permission: string, acting: Acting): Promise<ChangedPermission>
  /** @throws GatehouseError `group_unknown` */
  revoke(name: string, permission: string, acting: Acting): Promise<ChangedPermission>
  /**
   * Adds what is missing and makes descriptions and permissions as described, all or nothing; other groups stay.
   * @throws GatehouseError `group_name_invalid`, `permission_invalid`, `above_own_rights`
   */
  apply(
    definitions: readonly GroupDefinition[],
    options: { readonly dryRun: boolean },
    acting: Acting,
  ): Promise<AppliedGroups>
}

export interface ChangedGroup extends NamedBy {
  /** As it is now. */
  readonly name: string
  /** False: it was so already. */
  readonly changed: boolean
}

export interface RemovedGroup {
  readonly removed: string
  /** Users that were in it. */
  readonly members: number
}

export interface ChangedPermission {
  readonly group: string
  readonly permission: string
  /** False: it was so already. */
  readonly changed: boolean
}

export interface GroupActsDeps {
  readonly transaction: ActTransaction
  /** Of the configuration in force. */
  readonly policy: () => GroupPolicy
}

const POLICY = { permission: 'gatehouse.policy', inTurn: true } as const

export function createGroupActs({ transaction, policy }: GroupActsDeps): GroupActs {
  return {
    async add({ name, description = '' }, acting) {
      checkGroupName(name, policy().separators)
      checkText(description)
      return await perform(transaction, acting, POLICY, async ({ unit, record }) => {
        if (await unit.groups.add(name, description) === undefined) throw groupExists(name)
        await record({ action: 'group.add', detail: { group: name } })
        return { added: name }
      })
    },
    async change(name, to, acting) {
      checkText(name, to.description)
      if (to.name !== undefined && to.name !== name) checkGroupName(to.name, policy().separators)
      return await perform(transaction, acting, POLICY, async (context) => await change(name, to, policy(), context))
    },
    async remove(name, { force }, acting) {
      checkText(name)
      return await perform(transaction, acting, POLICY, async (context) => await remove(name, force, policy(), context))
    },
    async grant(name, permission, acting) {
      checkText(name, permission)
      checkPermission(permission, name)
      return await perform(transaction, acting, POLICY, async (context) => await grant(name, permission, context))
    },
    async revoke(name, permission, acting) {
      checkText(name, permission)
      return await perform(transaction, acting, POLICY, async (context) => await revoke(name, permission, context))
    },
    async apply(definitions, { dryRun }, acting) {
      const { separators } = policy()
      definitions.forEach((definition) => checkDefinition(definition, separators))
      checkText(...definitions.map(({ description }) => description))
      return await perform(transaction, acting, POLICY, async (context) => {
        const changes = await applyAll(definitions, dryRun, context)
        return { dryRun, changes }
      })
    },
  }
}

async function change(
  name: string,
  { name: to = name, description }: Partial<GroupDefinition>,
  policy: GroupPolicy,
  context: ActContext,
): Promise<ChangedGroup> {
  const { unit, holder, record } = context
  const group = await targetOf(name, context)
  const isDescribed = description !== undefined && description !== group.description
  if (to !== name) {
    // The mapping gives the group, with its permissions, to the users who have the new name by it.
    const { permissions } = group
    if (isGranted(to, policy)) requireWithinOwnRights(holder, { permissions }) // guard: act-group-renamed-ceiling
    if (!await unit.groups.rename(group.id, to)) throw groupExists(to)
    await record({ action: 'group.rename', before: { name }, after: { name: to } })
  }
  if (isDescribed) {
    await unit.groups.describe(group.id, description)
    await record(changeRow('description', to, description))
  }
  return { name: to, changed: to !== name || isDescribed, ...namedBy(name, policy) }
}

async function remove(
  name: string,
  force: boolean,
  policy: GroupPolicy,
  context: ActContext,
): Promise<RemovedGroup> {
  const { id, description, permissions, members } = await targetOf(name, context)
  // On the page the name of the group is typed for this.
  if (force && context.acting.admin?.tokenId !== undefined) { // guard: act-group-forced-by-token
    throw new GatehouseError('not_by_token', { detail: 'force is not for API tokens' })
  }
  if (!force) requireUnnamed(name, namedBy(name, policy)) // guard: act-group-named
  await context.unit.groups.remove(id)
  const before = { name, description, permissions, members }
  await context.record({ action: 'group.remove', before, after: null })
  return { removed: name, members }
}

async function grant(name: string, permission: string, context: ActContext): Promise<ChangedPermission> {
  const { unit, holder, record } = context
  const group = await targetOf(name, context)
  requireWithinOwnRights(holder, { permissions: [permission] }) // guard: act-group-grant-ceiling
  const changed = await unit.groups.grant(group.id, permission)
  if (changed) await record(changeRow('permission granted', name, permission))
  return { group: name, permission, changed }
}

async function revoke(name: string, permission: string, context: ActContext): Promise<ChangedPermission> {
  const { id } = await targetOf(name, context)
  const changed = await context.unit.groups.revoke(id, permission)
  if (changed) await context.record(changeRow('permission revoked', name, permission))
  return { group: name, permission, changed }
}

/** The group, locked, as the administrator has seen it. @throws GatehouseError `group_unknown`, `version_stale` */
async function targetOf(name: string, { unit, acting }: ActContext): Promise<GroupTarget> {
  const group = await unit.groups.target(name)
  if (group === undefined) {
    const near = await unit.groups.similar(name)
    throw new GatehouseError('group_unknown', {
      detail: `there is no group ${name}`,
      remedy: near ? `Did you mean ${near}? Names are compared exactly.` : 'gatehouse groups list shows them.',
    })
  }
  requireVersion(acting.ifMatch, groupVersion(group))
  return group
}
