// Local groups for the console, its API and the commands, with what grants them and what they are used for.
import { describeAllow, describeRule, isEnforced, type AccessRule } from '../core/access.js'
import { ADMIN_PERMISSIONS, isAdminPermission } from '../core/admin-permissions.js'
import { GatehouseError } from '../core/errors.js'
import type { GroupsList, GroupView } from '../core/groups.js'
import type { MappingRow } from '../core/mapping.js'
import { PAGE_ROWS, pageOf, type Page, type PageRequest } from '../core/page.js'
import type { MemberView, PeopleCursor, PeopleStore } from '../core/people.js'
import { checkText } from './text.js'

export interface GroupsRequest extends PageRequest<string> {
  readonly q?: string | undefined
  /** Groups without members. */
  readonly empty?: boolean | undefined
  /** Groups without permissions that no access rule names. */
  readonly unused?: boolean | undefined
  /** Names that the mapping or a rule uses, of groups that do not exist. */
  readonly missing?: boolean | undefined
}

/** The fields of `groups list --json`, and more. */
export interface GroupSummary extends GroupView {
  /** False for a name that the mapping or a rule uses although there is no such group. */
  readonly exists: boolean
  /** The mapping rows that grant it, counted from 1. */
  readonly rows: readonly number[]
  /** The access rules that name it or one of its permissions, such as `access.rules[2]`. */
  readonly rules: readonly string[]
  readonly isEmpty: boolean
  readonly isUnused: boolean
}

export interface GroupDetails extends GroupSummary {
  readonly permissionDetails: readonly PermissionUse[]
  readonly rowDetails: readonly { readonly row: number, readonly entraGroup: string, readonly label: string | null }[]
  readonly ruleDetails: readonly RuleUse[]
}

export interface PermissionUse {
  readonly permission: string
  /** What it allows in the console; null for permissions of applications. */
  readonly meaning: string | null
}

export interface RuleUse {
  /** Its key in the configuration, such as `access.rules[2]`. */
  readonly rule: string
  /** What people read in its place. */
  readonly name: string | null
  /** False: a shadow rule. */
  readonly enforced: boolean
  /** The requests that it matches, in words. */
  readonly description: string
  /** Which users it allows, in words. */
  readonly allows: string
  /** The permission of the group that it names; null where it names the group. */
  readonly permission: string | null
}

export interface GroupsAdmin {
  list(request: GroupsRequest): Promise<Page<GroupSummary, string>>
  /** Of one moment, for the file of groups (groups-file.ts). */
  all(): Promise<readonly GroupView[]>
  /** @throws `group_unknown` for a name that nothing uses */
  get(name: string): Promise<GroupDetails>
  /** In the order of usernames; none where there is no such group. */
  members(name: string, page: PageRequest<PeopleCursor>): Promise<Page<MemberView, PeopleCursor>>
}

/** Where the configuration names local groups. */
export interface NamingPolicy {
  readonly mapping: readonly MappingRow[]
  readonly rules: readonly AccessRule[]
}

export interface GroupsPorts {
  readonly groups: GroupsList
  readonly people: Pick<PeopleStore, 'members'>
  /** The policy in force. */
  readonly policy: () => NamingPolicy
  /** The same for people to read. */
  readonly shown?: (() => NamingPolicy) | undefined
}

export function createGroupsAdmin({ groups, people, policy, shown = policy }: GroupsPorts): GroupsAdmin {
  return {
    async list({ missing, ...request }) {
      checkText(request.q)
      const uses = usesOf(policy(), shown())
      if (missing) return await missingPage(groups, uses, request)
      const { unused, ...filter } = request
      const unusedExcept = unused ? [...uses.inRules] : undefined
      const { rows, next } = await groups.list({ ...filter, unusedExcept })
      return { rows: rows.map((group) => summaryOf(group, uses, true)), next }
    },
    all: () => groups.all(),
    async members(name, page) {
      checkText(name)
      return await people.members({ ...page, group: name })
    },
    async get(name) {
      checkText(name)
      const uses = usesOf(policy(), shown())
      const group = await groups.byName(name)
      const used = uses.names.get(name)
      if (group === undefined && used === undefined) throw groupUnknown()
      const exists = group !== undefined
      const summary = { ...summaryOf(group ?? noGroup(used ?? name), uses, exists), name }
      return {
        ...summary,
        permissionDetails: summary.permissions.map((permission) => ({ permission, meaning: meaningOf(permission) })),
        rowDetails: uses.rowsOf(exists ? name : used ?? name),
        ruleDetails: uses.rulesOf({ ...summary, name: exists ? name : used ?? name }),
      }
    },
  }
}

function groupUnknown(): GatehouseError {
  return new GatehouseError('group_unknown', { detail: 'there is no such group, and no row and no rule names it' })
}

function noGroup(name: string): GroupView {
  return { name, description: '', permissions: [], members: 0 }
}

function meaningOf(permission: string): string | null {
  return isAdminPermission(permission) ? ADMIN_PERMISSIONS[permission] : null
}

type Uses = ReturnType<typeof usesOf>

/** Where the mapping and the access rules name local groups and permissions. */
function usesOf({ mapping, rules }: NamingPolicy, shown: NamingPolicy) {
  const conditional = rules.flatMap((rule, index) => {
    const as = shown.rules[index] ?? rule
    return typeof rule.allow === 'string' ? [] : [{ as, path: `access.rules[${index}]`, allow: rule.allow }]
  })
  const inRules = new Set(conditional.flatMap(({ allow }) => allow.groups))
  return {
    inRules,
    names: namesFor(mapping, rules, shown),
    rowsOf: (name: string): GroupDetails['rowDetails'] =>
      mapping.flatMap(({ groups }, index) => {
        const { entraGroup = '', label = null } = shown.mapping[index] ?? {}
        return groups.includes(name) ? [{ row: index + 1, entraGroup, label }] : []
      }),
    rulesOf: ({ name, permissions }: Pick<GroupView, 'name' | 'permissions'>): readonly RuleUse[] =>
      conditional.flatMap(({ as, path, allow }) => {
        const use = {
          rule: path,
          name: as.name ?? null,
          enforced: isEnforced(as),
          description: describeRule(as),
          allows: describeAllow(as.allow),
        }
        const named = allow.permissions.filter((permission) => permissions.includes(permission))
        return [
          ...allow.groups.includes(name) ? [{ ...use, permission: null }] : [],
          ...named.map((permission) => ({ ...use, permission })),
        ]
      }),
  }
}

/** The names in use, by their text for people to read: a name that comes out of a variable is found by that alone. */
function namesFor(
  mapping: NamingPolicy['mapping'],
  rules: NamingPolicy['rules'],
  shown: NamingPolicy,
): ReadonlyMap<string, string> {
  const allowed = ({ allow }: AccessRule): readonly string[] => typeof allow === 'string' ? [] : allow.groups
  const lists = [
    ...mapping.map(({ groups }, index) => ({ groups, as: shown.mapping[index]?.groups ?? groups })),
    ...rules.map((rule, index) => ({ groups: allowed(rule), as: allowed(shown.rules[index] ?? rule) })),
  ]
  return new Map(lists.flatMap(({ groups, as }) => groups.map((name, index) => [as[index] ?? name, name] as const)))
}

function summaryOf(group: GroupView, uses: Uses, exists: boolean): GroupSummary {
  const rules = [...new Set(uses.rulesOf(group).map(({ rule }) => rule))]
  return {
    ...group,
    exists,
    rows: uses.rowsOf(group.name).map(({ row }) => row),
    rules,
    isEmpty: group.members === 0,
    isUnused: group.permissions.length === 0 && !uses.inRules.has(group.name),
  }
}

/** Of the configuration, which has few names: sorted in memory. */
async function missingPage(
  groups: GroupsList,
  uses: Uses,
  { q = '', after, limit = PAGE_ROWS }: GroupsRequest,
): Promise<Page<GroupSummary, string>> {
  const existing = await groups.named([...uses.names.values()])
  const missing = [...uses.names].filter(([name, used]) =>
    !existing.has(used) && name.toLowerCase().includes(q.toLowerCase())
  ).filter(([name]) => after === undefined || name > after).sort(([a], [b]) => a < b ? -1 : 1)
  const { rows, next } = pageOf(missing, limit, ([name]) => name)
  return { rows: rows.map(([name, used]) => ({ ...summaryOf(noGroup(used), uses, false), name })), next }
}
