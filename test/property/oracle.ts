// What a login must make of a person's groups, written from the contract and from nothing in src: a second opinion is
// one only where it does not share the code. Slow and plain on purpose.

export type Kind = 'group' | 'unifiedGroup' | 'directoryRole' | 'administrativeUnit'

export interface Edge {
  readonly member: string
  readonly container: string
}

/** A tenant: what there is besides people, and who is directly in what. */
export interface Tenant {
  readonly kinds: ReadonlyMap<string, Kind>
  readonly edges: readonly Edge[]
}

export interface Row {
  readonly entraGroup: string
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
}

export interface Rights {
  /** Sorted, like every list here. */
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
}

export interface Verdict extends Rights {
  /** Row numbers, counted from 1, that grant each group and each flag. */
  readonly causes: {
    readonly groups: Readonly<Record<string, readonly number[]>>
    readonly staff: readonly number[]
    readonly superuser: readonly number[]
  }
  /** Mapped names that no local group bears. */
  readonly missing: readonly string[]
}

/** Every group somebody is in, directly or through other groups; no role and no administrative unit. */
export function entraGroupsOf(person: string, { kinds, edges }: Tenant): string[] {
  const inside = new Set([person])
  for (let grown = true; grown;) {
    grown = false
    for (const { member, container } of edges) {
      if (!inside.has(member) || inside.has(container)) continue
      inside.add(container)
      grown = true
    }
  }
  return [...inside].filter((id) => kinds.get(id) === 'group' || kinds.get(id) === 'unifiedGroup').sort()
}

/** The rights that a mapping gives to somebody in these Entra groups, where these local groups exist. */
export function verdict(entraGroups: readonly string[], rows: readonly Row[], localGroups: readonly string[]): Verdict {
  const hits = rows.map((row, index) => ({ ...row, number: index + 1 })).filter((row) =>
    entraGroups.some((id) => sameId(id, row.entraGroup))
  )
  const named = [...new Set(hits.flatMap((row) => row.groups))].sort()
  const groups = named.filter((name) => localGroups.includes(name))
  const numbers = (grants: (row: Row) => boolean) => hits.filter(grants).map((row) => row.number)
  return {
    groups,
    staff: hits.some((row) => row.staff),
    superuser: hits.some((row) => row.superuser),
    causes: {
      groups: Object.fromEntries(groups.map((name) => [name, numbers((row) => row.groups.includes(name))])),
      staff: numbers((row) => row.staff),
      superuser: numbers((row) => row.superuser),
    },
    missing: named.filter((name) => !localGroups.includes(name)),
  }
}

/** Object IDs are hexadecimal numbers: capitals do not tell them apart. */
function sameId(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}
