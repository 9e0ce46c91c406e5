// Random tenants, mapping tables and changes. Everything points by number, and numbers wrap around, so that whatever
// fast-check makes smaller still means something.
import fc from 'fast-check'
import type { FaultEntry } from '../../src/demo/entra/faults.js'
import type { Kind } from './oracle.js'

/** Local groups with names that headers, SQL and careless comparisons trip over. */
export const LOCAL_NAMES = [
  'Circuit Manager',
  'circuit manager',
  'Circuit  Manager',
  '100% Netz',
  'a%2Cb',
  'Zürich',
  '网络 管理',
  'R&D "blue" <x>;=\\',
  '🛠 Werkstatt',
  "O'Brien; --",
]

export interface RowWish {
  /** An object of the tenant, one that was never in it, or (somebody copied the wrong id) the person's own. */
  readonly of: 'object' | 'unknown' | 'person'
  readonly object: number
  readonly writing: 'lower' | 'upper' | 'mixed'
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
}

export interface TenantWish {
  readonly kinds: readonly Kind[]
  /** Groups that nobody maps, joined before all others: now and then more than a real page holds. */
  readonly padding: number
  /** Memberships on one page. */
  readonly pageSize: number
  readonly joins: readonly number[]
  /** Container, member. */
  readonly nests: readonly (readonly [number, number])[]
}

export type Change =
  | { readonly do: 'join' | 'leave' | 'delete', readonly object: number }
  | { readonly do: 'nest' | 'unnest', readonly container: number, readonly member: number }
  | { readonly do: 'assign' | 'unassign' | 'create' | 'drop', readonly name: string }
  | { readonly do: 'flag', readonly flag: 'staff' | 'superuser', readonly value: boolean }

const kind = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Kind>('group') },
  { weight: 1, arbitrary: fc.constantFrom<Kind>('unifiedGroup', 'directoryRole', 'administrativeUnit') },
)
const object = fc.nat({ max: 11 })
const name = fc.constantFrom(...LOCAL_NAMES)

const nesting = {
  kinds: fc.array(kind, { minLength: 1, maxLength: 12, size: 'max' }),
  joins: fc.array(object, { maxLength: 5, size: 'max' }),
  nests: fc.array(fc.tuple(object, object), { maxLength: 20, size: 'max' }),
} as const
const small = fc.record<TenantWish>({
  ...nesting,
  padding: fc.constant(0),
  pageSize: fc.constantFrom(1, 1, 2, 2, 3, 999),
})
const large = fc.record<TenantWish>({
  ...nesting,
  padding: fc.integer({ min: 990, max: 1005 }),
  pageSize: fc.constant(999),
})
export const tenant = fc.oneof({ weight: 80, arbitrary: small }, { weight: 1, arbitrary: large })

const row = fc.record<RowWish>({
  of: fc.oneof({ weight: 8, arbitrary: fc.constant('object' as const) }, {
    weight: 1,
    arbitrary: fc.constantFrom('unknown' as const, 'person' as const),
  }),
  object,
  writing: fc.constantFrom('lower', 'upper', 'mixed'),
  groups: fc.uniqueArray(name, { maxLength: 3 }),
  staff: fc.boolean(),
  superuser: fc.boolean(),
})
export const rows = fc.array(row, { maxLength: 8, size: 'max' })

export const localGroups = fc.subarray(LOCAL_NAMES, { minLength: 4 })

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ do: fc.constantFrom('join' as const, 'leave' as const, 'delete' as const), object }),
  fc.record({ do: fc.constantFrom('nest' as const, 'unnest' as const), container: object, member: object }),
  fc.record({ do: fc.constantFrom('assign' as const, 'unassign' as const, 'create' as const, 'drop' as const), name }),
  fc.record({
    do: fc.constant('flag' as const),
    flag: fc.constantFrom('staff' as const, 'superuser' as const),
    value: fc.boolean(),
  }),
)
export const changes = fc.array(change, { maxLength: 10, size: 'max' })

/** What Graph does on a bad day and a login survives without a wait. */
const hiccup = fc.record<FaultEntry>({
  on: fc.constant('graph'),
  page: fc.integer({ min: 1, max: 3 }),
  then: fc.constantFrom({ kind: 'throttle', status: 503, retryAfter: '0' }, {
    kind: 'throttle',
    status: 429,
    retryAfter: '0',
  }, { kind: 'emptyPage' }),
})
const expiry = fc.constant<FaultEntry>({ on: 'graph', then: { kind: 'expiredPageToken' } })
export const hiccups = fc.array(fc.oneof(hiccup, expiry), { maxLength: 2 })
