// An administrator gives only what they hold: the rule against an oracle, for all holders and all results.
import fc from 'fast-check'
import t from 'tap'
import { ADMIN_PERMISSIONS, adminPermissions } from '../../src/core/admin-permissions.js'
import {
  HOLDS_EVERYTHING,
  requireMayActUpon,
  requirePermission,
  requireSuperuser,
  requireSuperuserLeft,
  requireWithinOwnRights,
  type Gain,
  type Holdings,
} from '../../src/core/ceiling.js'
import { GatehouseError, type ErrorCode } from '../../src/core/errors.js'
import { holds } from '../property/holds.js'

const WORDS = [...Object.keys(ADMIN_PERMISSIONS), 'gatehouse.later', 'netbox.view', 'gatehouses.read']
const permissions = fc.subarray(WORDS)
const holder: fc.Arbitrary<Holdings> = fc.record({ isStaff: fc.boolean(), isSuperuser: fc.boolean(), permissions })
const gain: fc.Arbitrary<Gain> = fc.record({
  staff: fc.boolean(),
  superuser: fc.boolean(),
  breakGlass: fc.boolean(),
  permissions,
})

function refusal(check: () => void): ErrorCode | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    if (error instanceof GatehouseError) return error.code
    throw error
  }
}

/** What a user with this result could do in the console, and as a flag. */
function powersOf(
  { staff = false, superuser = false, breakGlass = false, permissions = [] }: Gain,
): ReadonlySet<string> {
  const isSuperuser = superuser || breakGlass
  const words = adminPermissions({ isStaff: staff, isSuperuser, permissions })
  const unknown = permissions.filter((word) => word.startsWith('gatehouse.'))
  return new Set([...words, ...unknown, ...staff ? ['staff'] : [], ...isSuperuser ? ['superuser'] : []])
}

// proves: act-ceiling
t.test('a result that the holder does not hold is refused, and no other', async (t) => {
  await holds(t, fc.tuple(holder, gain), 2_000, async ([holder, gain]) => {
    const held = powersOf({ staff: holder.isStaff, superuser: holder.isSuperuser, permissions: holder.permissions })
    const known = [...held].filter((word) => word !== 'gatehouse.later')
    const isAbove = !holder.isSuperuser && [...powersOf(gain)].some((power) => !known.includes(power))
    const expected = isAbove ? 'above_own_rights' : undefined
    const was = refusal(() => requireWithinOwnRights(holder, gain))
    if (was !== expected) throw new Error(`${String(was)} and not ${String(expected)}`)
  })
})

// proves: act-upon-superusers, act-superusers-alone, act-last-superuser
t.test('superusers alone act upon superusers and users with break-glass', async (t) => {
  const gus: Holdings = { isStaff: true, isSuperuser: false, permissions: ['gatehouse.sessions', 'gatehouse.people'] }
  const plain = { isSuperuser: false, isBreakGlass: false }
  for (const target of [{ ...plain, isSuperuser: true }, { ...plain, isBreakGlass: true }]) {
    t.equal(refusal(() => requireMayActUpon(gus, target)), 'above_own_rights')
    t.equal(refusal(() => requireMayActUpon(HOLDS_EVERYTHING, target)), undefined)
  }
  t.equal(refusal(() => requireMayActUpon(gus, plain)), undefined)
  t.equal(refusal(() => requireSuperuser(gus)), 'above_own_rights')
  t.equal(refusal(() => requireSuperuser(HOLDS_EVERYTHING)), undefined)
  t.equal(refusal(() => requirePermission(gus, 'gatehouse.keys')), 'not_allowed')
  t.equal(refusal(() => requirePermission(gus, 'gatehouse.read')), undefined)
  t.equal(refusal(() => requireSuperuserLeft(0)), 'last_superuser')
  t.equal(refusal(() => requireSuperuserLeft(1)), undefined)
})
