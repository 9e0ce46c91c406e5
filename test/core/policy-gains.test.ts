// What a change of the policy gives: a table of changes, and properties over policies with what nobody knows.
import fc from 'fast-check'
import t from 'tap'
import { parse } from 'yaml'
import { POLICY_KEYS } from '../../src/config/policy-text.js'
import { requireMayDeploy, type Holdings } from '../../src/core/ceiling.js'
import { GatehouseError } from '../../src/core/errors.js'
import { gainsOfPolicy } from '../../src/core/policy-gains.js'

const [A, B] = ['a0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000002']
const NOTHING = { superusersAlone: [], groups: [] }

function gains(before: string, after: string) {
  return gainsOfPolicy(parse(before) ?? {}, parse(after) ?? {})
}

const rows = (...given: string[]): string => `groupMapping: [${given.map((row) => `{ ${row} }`).join(', ')}]`

/** What changes, from which policy, to which, what superusers alone deploy of it, and which groups it gives. */
const TABLE: readonly (readonly [string, string, string, readonly string[], readonly string[]])[] = [
  ['nothing', rows(`entraGroup: ${A}, staff: true`), rows(`entraGroup: ${A}, staff: true`), [], []],
  [
    'comments and the order of keys',
    'username: upn\nheaders: { maxBytes: 600, extra: [] }',
    'headers: { extra: [], maxBytes: 600 }\n# why\nusername: upn',
    [],
    [],
  ],
  ['a new row with a group', '', rows(`entraGroup: ${A}, groups: [X]`), [], ['X']],
  ['a group more in a row', rows(`entraGroup: ${A}, groups: [X]`), rows(`entraGroup: ${A}, groups: [X, Y]`), [], ['Y']],
  [
    'the same group of another Entra group',
    rows(`entraGroup: ${A}, groups: [X]`),
    rows(`entraGroup: ${A}, groups: [X]`, `entraGroup: ${B}, groups: [X]`),
    [],
    ['X'],
  ],
  [
    'a row in two',
    rows(`entraGroup: ${A}, groups: [X, Y], staff: true`),
    rows(`entraGroup: ${A}, groups: [Y], staff: true`, `entraGroup: ${A}, groups: [X]`),
    [],
    [],
  ],
  [
    'the case of an Entra group, and a label',
    rows(`entraGroup: ${A}, superuser: true`),
    rows(`entraGroup: ${A.toUpperCase()}, superuser: true, label: Admins`),
    [],
    [],
  ],
  ['staff', rows(`entraGroup: ${A}`), rows(`entraGroup: ${A}, staff: true`), ['staff by groupMapping'], []],
  ['staff of another Entra group', rows(`entraGroup: ${A}, staff: true`), rows(`entraGroup: ${B}, staff: true`), [
    'staff by groupMapping',
  ], []],
  ['staff taken', rows(`entraGroup: ${A}, staff: true`), rows(`entraGroup: ${A}`), [], []],
  ['superuser', '', rows(`entraGroup: ${A}, superuser: true`), ['superuser by groupMapping'], []],
  ['superuser taken', rows(`entraGroup: ${A}, superuser: true`), '', ['superuser taken by groupMapping'], []],
  ['a flag that is no boolean', '', rows(`entraGroup: ${A}, superuser: 1`), ['an unknown key of groupMapping'], []],
  ['a key that is not known', '', rows(`entraGroup: ${A}, owner: true`), ['an unknown key of groupMapping'], []],
  ['such a key taken', rows('appRole: Admin, staff: true'), '', ['an unknown key of groupMapping'], []],
  [
    'another row beside such a key',
    rows('appRole: Admin, staff: true'),
    rows('appRole: Admin, staff: true', `entraGroup: ${A}, groups: [X]`),
    [],
    ['X'],
  ],
  ['a mapping that is no list', '', `groupMapping: { entraGroup: ${A} }`, ['groupMapping'], []],
  ['default groups', 'defaultGroups: [X]', 'defaultGroups: [Y, X]', [], ['Y']],
  ['default groups that are no names', '', 'defaultGroups: [[X]]', ['defaultGroups'], []],
  [
    'what gives nothing here',
    '',
    'requireMappedGroup: true\nbranding: { name: X }\napplications: [{ host: a.test }]',
    [],
    [],
  ],
  [
    'access rules',
    'access: { default: deny }',
    'access: { default: deny, rules: [{ hosts: [a.test], allow: { groups: [X], staff: true } }] }',
    [],
    [],
  ],
  [
    'an access rule with a key that is not known',
    '',
    'access: { rules: [{ hosts: [a.test], allow: anyone, grant: superuser }] }',
    ['access'],
    [],
  ],
  ['access with a key that is not known', '', 'access: { default: deny, privileged: {} }', ['access'], []],
  [
    'access for whom is not known',
    '',
    'access: { rules: [{ hosts: [a.test], allow: { tokens: [X] } }] }',
    ['access'],
    [],
  ],
]

// proves: policy-gains-superuser, policy-gains-staff, policy-gains-demoted, policy-gains-unknown-row
t.test('what each change of the policy gives', async (t) => {
  for (const [what, before, after, superusersAlone, groups] of TABLE) {
    t.strictSame(gains(before, after), { superusersAlone, groups }, what)
  }
  t.strictSame(gainsOfPolicy([], {}).superusersAlone, ['the whole policy'])
  t.strictSame(gainsOfPolicy({}, new Map()).superusersAlone, ['the whole policy'])
})

// proves: policy-gains-unknown
t.test("every key of the policy is judged, and those that nobody knows are superusers'", async (t) => {
  const others = POLICY_KEYS.filter((key) =>
    !['groupMapping', 'requireMappedGroup', 'defaultGroups', 'access', 'applications', 'branding'].includes(key)
  )
  t.strictSame(others, [
    'username',
    'usernameUnverified',
    'reservedUsernames',
    'associateByEmail',
    'authAllowed',
    'pipeline',
    'headers',
  ])
  for (const key of [...others, 'somethingNew', 'constructor']) {
    t.strictSame(gains('', `${key}: [x]`), { superusersAlone: [key], groups: [] }, key)
    t.strictSame(gains(`${key}: [x]`, ''), { superusersAlone: [key], groups: [] }, key)
    t.strictSame(gains(`${key}: [x]`, `${key}: [x]`), NOTHING, key)
  }
  const harmless = new Set<string>(POLICY_KEYS)
  fc.assert(fc.property(fc.string(), fc.jsonValue(), fc.jsonValue(), (key, before, after) => {
    fc.pre(!harmless.has(key) && key !== '__proto__' && JSON.stringify(before) !== JSON.stringify(after))
    fc.pre(!Object.is(before, -0) && !Object.is(after, -0))
    const differs = gainsOfPolicy({ [key]: before }, { [key]: after })
    return JSON.stringify(sorted(before)) === JSON.stringify(sorted(after)) || differs.superusersAlone.includes(key)
  }))
})

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, each]) => [key, sorted(each)])
}

const NAME = fc.constantFrom('W', 'X', 'Y', 'Z')
const ROW = fc.record({
  entraGroup: fc.constantFrom(A, B, A.toUpperCase()),
  groups: fc.array(NAME, { maxLength: 3 }),
  staff: fc.boolean(),
  superuser: fc.boolean(),
})
const POLICY = fc.record({ groupMapping: fc.array(ROW, { maxLength: 4 }), defaultGroups: fc.array(NAME) })

/** What a member of this Entra group has by a policy. */
function heldIn(entraGroup: string, { groupMapping, defaultGroups }: {
  groupMapping: readonly {
    entraGroup: string
    groups: readonly string[]
    staff: boolean
    superuser: boolean
  }[]
  defaultGroups: readonly string[]
}) {
  const hit = groupMapping.filter((row) => row.entraGroup.toLowerCase() === entraGroup)
  return {
    groups: new Set([...hit.flatMap(({ groups }) => groups), ...defaultGroups]),
    staff: hit.some(({ staff }) => staff),
    superuser: hit.some(({ superuser }) => superuser),
  }
}

t.test('nobody gains a flag or a group that is not among the gains', async () => {
  fc.assert(fc.property(POLICY, POLICY, (before, after) => {
    const { superusersAlone, groups } = gainsOfPolicy(before, after)
    return [A, B].every((entraGroup) => {
      const [was, is] = [heldIn(entraGroup, before), heldIn(entraGroup, after)]
      if (is.staff && !was.staff && !superusersAlone.includes('staff by groupMapping')) return false
      if (is.superuser && !was.superuser && !superusersAlone.includes('superuser by groupMapping')) return false
      return [...is.groups].every((name) => was.groups.has(name) || groups.includes(name))
    })
  }))
})

// proves: policy-superusers-alone, policy-own-permissions
t.test('the ceiling: superusers alone, and permissions of the console that the administrator holds', async (t) => {
  const PERMISSIONS: Readonly<Record<string, readonly string[]>> = {
    Keys: ['gatehouse.keys'],
    Both: ['gatehouse.policy', 'gatehouse.keys'],
    Future: ['gatehouse.future'],
    Wiki: ['wiki.edit'],
  }
  const outcome = (holder: Holdings, superusersAlone: readonly string[], groups: readonly string[]) => {
    try {
      requireMayDeploy(holder, { superusersAlone, groups }, (group) => PERMISSIONS[group] ?? [])
      return 'deployed'
    } catch (error) {
      return error instanceof GatehouseError && error.code
    }
  }
  const pat = { isStaff: true, isSuperuser: false, permissions: ['gatehouse.policy'] }
  const sue = { isStaff: false, isSuperuser: true, permissions: [] }
  t.equal(outcome(pat, [], ['Wiki', 'None']), 'deployed')
  t.equal(outcome(pat, ['staff by groupMapping'], []), 'above_own_rights', 'also for staff')
  for (const group of ['Keys', 'Both', 'Future']) t.equal(outcome(pat, [], [group]), 'above_own_rights', group)
  t.equal(outcome({ ...pat, permissions: ['gatehouse.policy', 'gatehouse.keys'] }, [], ['Both']), 'deployed')
  t.equal(outcome(sue, ['pipeline'], ['Keys', 'Future']), 'deployed')
})
