// Which local groups and flags a user's Entra groups grant. Rows are independent: no grant implies another one.

/** One row of `groupMapping`. */
export interface MappingRow {
  /** Object ID of the Entra group, in any case. */
  readonly entraGroup: string
  /** Shown instead of the Object ID. */
  readonly label?: string | undefined
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
}

/** Why something was granted: the row, counted from 1, and the Entra group of the row. */
export interface Cause {
  readonly row: number
  readonly entraGroup: string
}

export interface Grants {
  /** Local group name -> the causes that grant it, in the order of the rows. */
  readonly groups: ReadonlyMap<string, readonly Cause[]>
  readonly staff: readonly Cause[]
  readonly superuser: readonly Cause[]
}

export interface GroupMapping {
  evaluate(entraGroupIds: Iterable<string>): Grants
  /** The label of the group's row, or the Object ID where it has none. */
  nameOf(entraGroup: string): string
  /** The names of the Entra groups of these causes, without duplicates. */
  namesOf(causes: Iterable<Cause>): readonly string[]
}

/** The labels of the rows, by the Object ID in lower case. */
export function labelsOf(rows: readonly Pick<MappingRow, 'entraGroup' | 'label'>[]): ReadonlyMap<string, string> {
  return new Map(
    rows.flatMap(({ entraGroup, label }) => (label === undefined ? [] : [[entraGroup.toLowerCase(), label]])),
  )
}

/**
 * Names of local groups for people to read: as the file has them where they come out of a variable.
 * @param shown the same rows as people are shown them
 */
export function shownNames(
  rows: readonly Pick<MappingRow, 'groups'>[],
  shown: readonly Pick<MappingRow, 'groups'>[],
): (name: string) => string {
  const texts = new Map<string, string>()
  for (const [row, { groups }] of rows.entries()) {
    for (const [index, name] of groups.entries()) {
      const text = shown[row]?.groups[index] ?? name
      if (text === name || !texts.has(name)) texts.set(name, text)
    }
  }
  return (name) => texts.get(name) ?? name
}

export function createGroupMapping(rows: readonly MappingRow[]): GroupMapping {
  const compiled = rows.map((row, index) => ({
    ...row,
    cause: { row: index + 1, entraGroup: row.entraGroup.toLowerCase() }, // guard: ids-in-any-case
  }))
  const byEntraGroup = groupedByEntraGroup(compiled)
  const labels = labelsOf(rows)
  const nameOf = (entraGroup: string): string => labels.get(entraGroup.toLowerCase()) ?? entraGroup
  return {
    nameOf,
    namesOf: (causes) => [...new Set([...causes].map(({ entraGroup }) => nameOf(entraGroup)))],
    evaluate(entraGroupIds) {
      const held = new Set<string>()
      for (const id of entraGroupIds) held.add(id.toLowerCase())
      const hit = [...held].flatMap((id) => byEntraGroup.get(id) ?? []).sort((a, b) => a.cause.row - b.cause.row)
      const groups = new Map<string, Cause[]>()
      for (const { groups: names, cause } of hit) {
        // guard: causes-collected
        for (const name of new Set(names)) groups.set(name, [...groups.get(name) ?? [], cause])
      }
      return {
        groups,
        // guard: staff-granted, flags-independent, flags-add-up
        staff: hit.filter((row) => row.staff).map((row) => row.cause),
        superuser: hit.filter((row) => row.superuser).map((row) => row.cause), // guard: superuser-granted
      }
    },
  }
}

/** Most users are in few of ten thousand mapped groups. */
function groupedByEntraGroup<Row extends { readonly cause: Cause }>(
  rows: readonly Row[],
): ReadonlyMap<string, readonly Row[]> {
  const grouped = new Map<string, Row[]>()
  for (const row of rows) {
    const { entraGroup } = row.cause
    const same = grouped.get(entraGroup)
    if (same === undefined) grouped.set(entraGroup, [row])
    else same.push(row)
  }
  return grouped
}
