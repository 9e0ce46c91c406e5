// Explains missing rights: the Entra groups in a user's snapshot, and the rows of the mapping that match none of them.
import type { MappingRow } from './mapping.js'

type Row = MappingRow & { readonly label?: string | undefined }

export interface GroupRead {
  readonly entraGroup: string
  /** From the configuration. */
  readonly label?: string
  /** From Entra ID, where it was requested and may be read. */
  readonly name?: string
  /** Rows with this group, counted from 1. */
  readonly rows: readonly number[]
  /** The membership comes from nesting alone; absent where that was not requested. */
  readonly nestedOnly?: boolean
}

export interface RowNotHit {
  readonly row: number
  readonly entraGroup: string
  readonly label?: string
}

/**
 * @param direct ids of the groups that hold the person directly; undefined where unknown
 * @returns the groups with a row first
 */
export function groupsRead(rows: readonly Row[], ids: Iterable<string>, direct?: ReadonlySet<string>): GroupRead[] {
  const read = [...new Set([...ids].map((id) => id.toLowerCase()))].map((entraGroup) => {
    const named = rows.flatMap((row, index) => row.entraGroup.toLowerCase() === entraGroup ? [{ row, index }] : [])
    const label = named.find(({ row }) => row.label !== undefined)?.row.label
    return {
      entraGroup,
      ...(label === undefined ? {} : { label }),
      rows: named.map(({ index }) => index + 1),
      ...(direct === undefined ? {} : { nestedOnly: !direct.has(entraGroup) }),
    }
  })
  return read.sort((a, b) =>
    Math.sign(b.rows.length) - Math.sign(a.rows.length) ||
    a.entraGroup.localeCompare(b.entraGroup)
  )
}

/** @param shown the same rows as people are shown them */
export function rowsNotHit(rows: readonly Row[], ids: Iterable<string>, shown: readonly Row[] = rows): RowNotHit[] {
  const held = new Set([...ids].map((id) => id.toLowerCase()))
  return rows.flatMap(({ entraGroup, label }, index) => {
    const id = entraGroup.toLowerCase()
    if (held.has(id)) return [] // guard: adv-groups-read
    const text = shown[index]?.entraGroup ?? id
    return [{ row: index + 1, entraGroup: text, ...(label === undefined ? {} : { label }) }]
  })
}
