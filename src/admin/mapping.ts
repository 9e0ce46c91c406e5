// The mapping in force with what comes of it: how many users are in the Entra group of each row, rows without
// users, local groups that do not exist or are granted twice, and large Entra groups that no row names.
import { memoizeByConfig } from '../core/memoize-by-config.js'
import { shownNames, type MappingRow } from '../core/mapping.js'
import type { EntraGroupCounts, FilePosition, LargestGroups, LocalGroups, PolicyInForce } from '../core/policy.js'
import { createCounted, type Counted } from './counted.js'
import { existingGroups } from './local-groups.js'
import { nextPage } from './positions.js'

export type MappingFilter = 'unused' | 'missing' | 'twice'
export const MAPPING_FILTERS: readonly MappingFilter[] = ['unused', 'missing', 'twice']

export interface MappingQuery {
  /** Rows after this one, counted from 1. */
  readonly after?: number | undefined
  readonly limit?: number | undefined
  /** A part of the label, the object ID or a local group; case does not count. */
  readonly q?: string | undefined
  /** Rows without users, that name a missing local group, or that grant what another row grants too. */
  readonly only?: MappingFilter | undefined
}

export interface MappingRowView {
  /** Counted from 1. */
  readonly row: number
  /** Object ID; the text of the file where it contains a variable. */
  readonly entraGroup: string
  readonly label: string | null
  readonly groups: readonly { readonly name: string, readonly exists: boolean, readonly otherRows: readonly number[] }[]
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  /** Active users in the Entra group by their last snapshots; null: being counted. */
  readonly users: number | null
  /** Undefined where the file's positions are not known. */
  readonly position: FilePosition | undefined
}

export interface MappingPage {
  readonly rows: readonly MappingRowView[]
  /** For `after`; undefined: this is the last page. */
  readonly next: number | undefined
  /** When the users were counted; undefined: they are being counted, and `unused` finds nothing yet. */
  readonly countedAt: Date | undefined
}

export interface MappingOverview {
  readonly rows: number
  /** Undefined: being counted. */
  readonly unused: number | undefined
  /** Local groups that rows name and that do not exist, in the order of the rows. */
  readonly missing: readonly string[]
  /** Local groups that several rows grant. */
  readonly twice: readonly string[]
}

export interface MappingAdmin {
  rows(query: MappingQuery): Promise<MappingPage>
  overview(): Promise<MappingOverview>
  /** The largest Entra groups that no row names; undefined: being counted. */
  unmapped(): Promise<Counted<LargestGroups> | undefined>
}

export interface MappingAdminPorts {
  readonly policy: () => Pick<PolicyInForce, 'groupMapping'>
  /** The same for people to read. */
  readonly shown?: (() => Pick<PolicyInForce, 'groupMapping'>) | undefined
  readonly localGroups: LocalGroups
  readonly counts: EntraGroupCounts
  readonly positionOf?: ((path: string) => FilePosition | undefined) | undefined
  /** How long a page waits for the first count (milliseconds). */
  readonly waitMs?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** Of a page. */
export const ROWS = 50
export const UNMAPPED_SHOWN = 20
const COUNTED_AGAIN_MS = 60_000
const UNMAPPED_AGAIN_MS = 5 * 60_000

export function createMappingAdmin(ports: MappingAdminPorts): MappingAdmin {
  const { policy, shown = policy, localGroups, counts, positionOf, waitMs = 100, now = Date.now } = ports
  const inForce = memoizeByConfig(policy, ({ groupMapping }) => {
    const ids = [...new Set(groupMapping.map(({ entraGroup }) => entraGroup.toLowerCase()))]
    const asShown = shown().groupMapping
    return {
      rows: indexedRows(groupMapping, asShown),
      nameOf: shownNames(groupMapping, asShown),
      names: [...new Set(groupMapping.flatMap(({ groups }) => groups))],
      rowsOf: rowsByGroup(groupMapping),
      users: createCounted({ count: () => counts.usersIn(ids), maxAgeMs: COUNTED_AGAIN_MS, waitMs, now }),
      unmapped: createCounted({
        count: () => counts.largestBeside(ids, UNMAPPED_SHOWN),
        maxAgeMs: UNMAPPED_AGAIN_MS,
        waitMs,
        now,
      }),
    }
  })
  const existing = (names: readonly string[]) => existingGroups(localGroups, names)
  return {
    async rows({ after = 0, limit = ROWS, q, only }) {
      const { rows, names, rowsOf, users } = inForce()
      const counted = await users()
      const known = only === 'missing' ? await existing(names) : undefined
      const { page, next } = nextPage(
        rows.slice(after),
        limit,
        ({ number }) => number,
        (row) => contains(row, q) && meets(row, only, { known, counted: counted?.value, rowsOf }),
      )
      const exists = known ?? await existing(page.flatMap(({ row }) => row.groups))
      const view = (each: IndexedRow) => viewOf(each, { exists, rowsOf, users: counted?.value, positionOf })
      return { rows: page.map(view), next, countedAt: counted?.at }
    },
    async overview() {
      const { rows, names, nameOf, rowsOf, users } = inForce()
      const counted = await users()
      const exists = await existing(names)
      return {
        rows: rows.length,
        unused: counted && rows.filter(({ id }) => !counted.value.has(id)).length,
        missing: names.filter((name) => !exists.has(name)).map(nameOf),
        twice: [...rowsOf].filter(([, numbers]) => numbers.length > 1).map(([name]) => nameOf(name)),
      }
    },
    unmapped: () => inForce().unmapped(),
  }
}

interface IndexedRow {
  /** Counted from 1. */
  readonly number: number
  readonly row: MappingRow
  /** The row for people to read. */
  readonly shown: MappingRow
  readonly id: string
  /** In lower case. */
  readonly text: string
}

function indexedRows(rows: readonly MappingRow[], shown: readonly MappingRow[]): readonly IndexedRow[] {
  return rows.map((row, index) => indexedRow(row, shown[index] ?? row, index))
}

function indexedRow(row: MappingRow, shown: MappingRow, index: number): IndexedRow {
  const id = row.entraGroup.toLowerCase()
  const text = [shown.entraGroup, shown.label ?? '', ...shown.groups].join('\n').toLowerCase()
  return { number: index + 1, row, shown, id, text }
}

function rowsByGroup(rows: readonly MappingRow[]): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, number[]>()
  for (const [index, { groups }] of rows.entries()) {
    for (const name of new Set(groups)) {
      const numbers = found.get(name)
      if (numbers === undefined) found.set(name, [index + 1])
      else numbers.push(index + 1)
    }
  }
  return found
}

function contains({ text }: IndexedRow, q: string | undefined): boolean {
  return q === undefined || text.includes(q.trim().toLowerCase())
}

interface Facts {
  readonly known: ReadonlySet<string> | undefined
  readonly counted: ReadonlyMap<string, number> | undefined
  readonly rowsOf: ReadonlyMap<string, readonly number[]>
}

function meets({ row, id }: IndexedRow, only: MappingFilter | undefined, { known, counted, rowsOf }: Facts): boolean {
  if (only === undefined) return true
  if (only === 'unused') return counted !== undefined && !counted.has(id)
  if (only === 'missing') return row.groups.some((name) => known?.has(name) === false)
  return row.groups.some((name) => (rowsOf.get(name)?.length ?? 0) > 1)
}

/** Others that are listed for one local group. */
const OTHERS_LISTED = 5

function viewOf(
  { number, row, shown, id }: IndexedRow,
  { exists, rowsOf, users, positionOf }: {
    readonly exists: ReadonlySet<string>
    readonly rowsOf: ReadonlyMap<string, readonly number[]>
    readonly users: ReadonlyMap<string, number> | undefined
    readonly positionOf: MappingAdminPorts['positionOf']
  },
): MappingRowView {
  return {
    row: number,
    entraGroup: shown.entraGroup,
    label: shown.label ?? null,
    groups: row.groups.map((name, index) => ({
      name: shown.groups[index] ?? name,
      exists: exists.has(name),
      otherRows: (rowsOf.get(name) ?? []).filter((other) => other !== number).slice(0, OTHERS_LISTED),
    })),
    isStaff: row.staff,
    isSuperuser: row.superuser,
    users: users === undefined ? null : users.get(id) ?? 0,
    position: positionOf?.(`groupMapping[${number - 1}]`),
  }
}
