// Which local groups and flags a person's Entra groups grant. Rows are independent: nothing implies anything.

/** One row of `groupMapping`. */
export interface MappingRow {
  /** Object ID of the Entra group, in any case. */
  readonly entraGroup: string
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
}

/** Why something was granted: the row (counted from 1, as a person counts) and the Entra group it names. */
export interface Cause { readonly row: number, readonly entraGroup: string }

export interface Grants {
  /** Local group name -> the causes that grant it, in the order of the rows. */
  readonly groups: ReadonlyMap<string, readonly Cause[]>
  readonly staff: readonly Cause[]
  readonly superuser: readonly Cause[]
}

export interface GroupMapping {
  evaluate(entraGroupIds: Iterable<string>): Grants
}

export function createGroupMapping(rows: readonly MappingRow[]): GroupMapping {
  const compiled = rows.map((row, index) => ({ ...row, cause: { row: index + 1, entraGroup: row.entraGroup.toLowerCase() } }))
  return {
    evaluate(entraGroupIds) {
      const held = new Set<string>()
      for (const id of entraGroupIds) held.add(id.toLowerCase())
      const hit = compiled.filter((row) => held.has(row.cause.entraGroup))
      const groups = new Map<string, Cause[]>()
      for (const { groups: names, cause } of hit) {
        for (const name of new Set(names)) groups.set(name, [...groups.get(name) ?? [], cause])
      }
      return {
        groups,
        staff: hit.filter((row) => row.staff).map((row) => row.cause),
        superuser: hit.filter((row) => row.superuser).map((row) => row.cause),
      }
    },
  }
}
