// One user with the reason of every right, what the mapping grants beside that, sessions and the latest audit rows.
import { createGroupMapping, labelsOf, shownNames, type Cause, type MappingRow } from '../core/mapping.js'
import type { PersonView } from '../core/people.js'
import { rightText, type Review, type RightKind } from '../core/reviews.js'
import type { SessionView } from '../core/sessions-list.js'

/** A row of the mapping and its Entra group. */
export interface RightReason {
  /** Counted from 1; of the mapping in force where `inForce`, else of the mapping that granted the right. */
  readonly row: number
  readonly entraGroup: string
  readonly label: string | null
  /** Whether the mapping in force has a row that grants this right to this Entra group. */
  readonly inForce: boolean
}

export interface Right {
  readonly kind: RightKind
  /** Of the local group; of a flag the same as `kind`. */
  readonly name: string
  /** Of the local group. */
  readonly permissions: readonly string[]
  readonly reasons: readonly RightReason[]
  readonly since: string | null
  /** When it ends; null: it has no end of its own. */
  readonly until: string | null
  readonly byHand: boolean
  /** Assigned by hand to a user with an Entra identity: the next sign-in or re-evaluation takes it away. */
  readonly endsAtNextSignIn: boolean
}

export interface RightNotHeld {
  readonly kind: Right['kind']
  readonly name: string
  /** The local group does not exist. */
  readonly missing: boolean
  readonly reasons: readonly RightReason[]
}

export interface PersonEvent {
  readonly at: string
  readonly action: string
  readonly actor: string
  readonly correlationId: string | null
  readonly detail: Readonly<Record<string, unknown>>
}

/** The fields of `users show --json`, and more. */
export interface PersonDetails extends PersonView {
  readonly rights: readonly (Right & { readonly review: Review | null })[]
  /** What the last snapshot grants under the mapping in force, but the user does not hold. */
  readonly notHeld: readonly RightNotHeld[]
  /** The latest ones. */
  readonly sessions: readonly SessionView[]
  readonly audit: readonly PersonEvent[]
}

/** As reviews name it. */
export function textOfRight({ kind, name }: Pick<Right, 'kind' | 'name'>): string {
  return rightText({ kind, group: kind === 'group' ? name : null })
}

export interface RightsFacts {
  readonly person: PersonView
  readonly mapping: readonly MappingRow[]
  /** The same for people to read. */
  readonly shown?: readonly MappingRow[]
  /** Of the last snapshot; undefined where there is none. */
  readonly entraGroupIds: readonly string[] | undefined
  /** Local groups and their permissions: of the user and of the mapping. */
  readonly groups: ReadonlyMap<string, readonly string[]>
}

export function rightsHeld({ person, mapping, groups }: RightsFacts): readonly Right[] {
  const reasonsOf = createReasons(mapping)
  const right = (
    kind: Right['kind'],
    name: string,
    { cause, since, until = null }: Pick<Right, 'since'> & { cause: readonly Cause[] | null, until?: string | null },
  ): Right => ({
    kind,
    name,
    permissions: kind === 'group' ? groups.get(name) ?? [] : [],
    reasons: reasonsOf(kind, name, cause ?? []),
    since,
    until,
    byHand: cause === null,
    endsAtNextSignIn: cause === null && person.identities.length > 0,
  })
  return [
    ...person.isSuperuser
      ? [right('superuser', 'superuser', { cause: person.superuserCause, since: person.superuserSince })]
      : [],
    ...person.isStaff ? [right('staff', 'staff', { cause: person.staffCause, since: person.staffSince })] : [],
    ...person.groups.map((group) => right('group', group.name, group)),
  ]
}

export function rightsNotHeld(
  { person, mapping, shown = mapping, entraGroupIds = [], groups }: RightsFacts,
): readonly RightNotHeld[] {
  const reasonsOf = createReasons(mapping)
  const textOf = shownNames(mapping, shown)
  const granted = createGroupMapping(mapping).evaluate(entraGroupIds)
  const held = new Set(person.groups.map(({ name }) => name))
  const flag = (kind: 'superuser' | 'staff', holds: boolean, causes: readonly Cause[]): RightNotHeld[] =>
    holds || causes.length === 0 ? [] : [{ kind, name: kind, missing: false, reasons: reasonsOf(kind, kind, causes) }]
  return [
    ...flag('superuser', person.isSuperuser, granted.superuser),
    ...flag('staff', person.isStaff, granted.staff),
    ...[...granted.groups].filter(([name]) => !held.has(name)).map(([name, causes]): RightNotHeld => ({
      kind: 'group',
      name: groups.has(name) ? name : textOf(name),
      missing: !groups.has(name),
      reasons: reasonsOf('group', name, causes),
    })),
  ]
}

/** Rows may have moved since the right was granted: a reason names the row of the mapping in force if there is one. */
export function createReasons(mapping: readonly MappingRow[]) {
  const labels = labelsOf(mapping)
  const grants = (row: MappingRow, kind: Right['kind'], name: string): boolean =>
    kind === 'group' ? row.groups.includes(name) : row[kind]
  return (kind: Right['kind'], name: string, causes: readonly Cause[]): readonly RightReason[] => {
    const reasons = causes.map(({ row, entraGroup }): RightReason => {
      const isSame = (each: MappingRow | undefined): boolean =>
        each !== undefined && each.entraGroup.toLowerCase() === entraGroup && grants(each, kind, name)
      const now = isSame(mapping[row - 1]) ? row : mapping.findIndex(isSame) + 1
      return { row: now === 0 ? row : now, entraGroup, label: labels.get(entraGroup) ?? null, inForce: now > 0 }
    })
    // Two former rows may be one row now.
    const key = ({ row, entraGroup, inForce }: RightReason): string => `${row} ${entraGroup} ${inForce}`
    return [...new Map(reasons.map((reason) => [key(reason), reason])).values()]
  }
}
