// A dry run of the mapping: which row each Entra group hits, and what would change for a user. Pure; changes nothing.
import type { GroupMapping, Grants, MappingRow } from './mapping.js'

export interface MappedRights {
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
}

export interface RowHit {
  /** Counted from 1. */
  readonly row: number
  readonly entraGroup: string
  readonly label?: string | undefined
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
  /** The membership comes from nesting alone; undefined where that was not asked. */
  readonly nestedOnly?: boolean | undefined
}

export interface RightsChange {
  readonly gained: readonly string[]
  readonly lost: readonly string[]
  /** 1 gained, -1 lost, 0 unchanged. */
  readonly staff: -1 | 0 | 1
  readonly superuser: -1 | 0 | 1
}

/** @param direct ids of the groups that hold the person directly; undefined where unknown */
export function rowsHit(
  rows: readonly MappingRow[],
  entraGroupIds: Iterable<string>,
  direct?: ReadonlySet<string>,
): RowHit[] {
  const held = new Set([...entraGroupIds].map((id) => id.toLowerCase()))
  return rows.flatMap((row, index) => {
    const id = row.entraGroup.toLowerCase()
    return held.has(id) ? [{ row: index + 1, ...row, entraGroup: id, nestedOnly: direct && !direct.has(id) }] : []
  })
}

/** What a login would make of these Entra groups. @param exists whether a local group of this name exists */
export function rightsFrom(
  mapping: GroupMapping,
  entraGroupIds: Iterable<string>,
  exists: (name: string) => boolean,
): MappedRights & { readonly missing: readonly string[] } {
  const { groups, staff, superuser }: Grants = mapping.evaluate(entraGroupIds)
  const names = [...groups.keys()].sort()
  return {
    groups: names.filter(exists),
    missing: names.filter((name) => !exists(name)),
    staff: staff.length > 0,
    superuser: superuser.length > 0,
  }
}

export function changeOfRights(before: MappedRights, after: MappedRights): RightsChange {
  const flag = (old: boolean, now: boolean) => Number(now) - Number(old) as -1 | 0 | 1
  return {
    gained: after.groups.filter((name) => !before.groups.includes(name)),
    lost: before.groups.filter((name) => !after.groups.includes(name)),
    staff: flag(before.staff, after.staff),
    superuser: flag(before.superuser, after.superuser),
  }
}

export function isChange({ gained, lost, staff, superuser }: RightsChange): boolean {
  return gained.length > 0 || lost.length > 0 || staff !== 0 || superuser !== 0
}

/** What a reviewer must see first: new superusers, then new staff, then other gains, then losses. */
export function byGravity(a: RightsChange, b: RightsChange): number {
  return weight(b) - weight(a)
}

function weight({ superuser, staff, gained, lost }: RightsChange): number {
  return Math.max(superuser, 0) * 8 + Math.max(staff, 0) * 4 + (gained.length > 0 ? 2 : 0) +
    (lost.length > 0 || superuser < 0 || staff < 0 ? 1 : 0)
}
