// The question "who may open this, and why": its answer is that of forward-auth, and input of any kind is answered.
import fc from 'fast-check'
import t from 'tap'
import { createAccessTestAdmin, type AccessTestInput } from '../../src/admin/access-test.js'
import { createPersonAccessAdmin } from '../../src/admin/person-access.js'
import { compileAccess, type AccessRule, type AccessRules, type Allow } from '../../src/core/access.js'
import { decide } from '../../src/core/authorization.js'
import { GatehouseError } from '../../src/core/errors.js'
import type { LocalGroup, PolicyInForce, PolicyUser } from '../../src/core/policy.js'
import type { SessionRecord } from '../../src/core/session.js'
import { networkTest } from '../../src/net/networks.js'

const STAFF_ONLY: Allow = { groups: [], permissions: [], staff: true, superuser: undefined }
const CIRCUITS: Allow = { groups: ['Circuits'], permissions: ['netbox.view'], staff: undefined, superuser: undefined }
const ENTRA_GROUP = '1a36bed9-3bdc-4970-ab66-faf9704e0af4'

const rule = (allow: Allow, parts: Partial<AccessRule> = {}): AccessRule => ({
  hosts: ['app.test'],
  networks: undefined,
  methods: undefined,
  paths: undefined,
  ...parts,
  allow,
})

const MAX: PolicyUser = {
  userId: '5f6d0b2c-7b0e-4b5e-9f43-7c7f1f2f0a01',
  username: 'max',
  email: 'max@corp.test',
  emailVerified: true,
  name: 'Max Müller',
  givenName: 'Max',
  familyName: 'Müller',
  oid: null,
  tid: null,
  groups: ['Circuits'],
  permissions: ['netbox.view'],
  isStaff: false,
  isSuperuser: false,
  isActive: true,
  held: [{ name: 'Circuits', permissions: ['netbox.view'], cause: [{ row: 1, entraGroup: ENTRA_GROUP }] }],
  staffCause: null,
  superuserCause: null,
  snapshot: { entraGroupIds: [ENTRA_GROUP], readAt: '2026-11-20T10:00:00Z' },
}

const policyWith = (access: AccessRules, more: Partial<PolicyInForce> = {}): PolicyInForce => ({
  access,
  groupMapping: [
    { entraGroup: ENTRA_GROUP, label: 'Circuit people', groups: ['Circuits', 'Gone'], staff: false, superuser: false },
  ],
  requireMappedGroup: false,
  headers: { families: ['x-auth-request', 'assertion'], extra: [], maxBytes: 8192 },
  applications: [],
  ...more,
})

function adminOf(policy: PolicyInForce, user: PolicyUser = MAX) {
  const groups: readonly LocalGroup[] = [{ name: 'Circuits', permissions: ['netbox.view'] }]
  const users = {
    find: async (name: string) => {
      if (name !== user.username) throw new GatehouseError('user_unknown')
      return user
    },
    byId: async () => user,
  }
  const localGroups = { named: async (names: readonly string[]) => groups.filter(({ name }) => names.includes(name)) }
  const ports = { policy: () => policy, users, localGroups, networkTest, scheme: 'https' as const }
  return { ...createAccessTestAdmin(ports), ...createPersonAccessAdmin(ports) }
}

const test = (rules: readonly AccessRule[], input: Partial<AccessTestInput>, user?: PolicyUser) =>
  adminOf(policyWith({ default: 'deny', rules }), user).test({ method: 'GET', url: 'https://app.test/', ...input })

t.test('the decision is that of forward-auth, and the interpretations add up to its grounds', async (t) => {
  const segments = ['admin', 'static', '..', '%2e%2e', 'a%2fb', ';x', 'ü', '%c0%af', '']
  const anyRule = fc.record({
    hosts: fc.constantFrom(['app.test'], ['*.test'], ['app.test:8443'], ['other.test', 'app.test:80']),
    networks: fc.constantFrom(undefined, ['10.0.0.0/8']),
    methods: fc.constantFrom(undefined, ['GET', 'HEAD'], ['POST']),
    paths: fc.constantFrom(undefined, ['/admin', '/admin/**'], ['/static/**'], ['/*/b']),
    allow: fc.constantFrom<Allow>('anyone', 'authenticated', 'deny', STAFF_ONLY, CIRCUITS),
  })
  const person = fc.constantFrom<PolicyUser | undefined>(
    undefined,
    MAX,
    { ...MAX, isStaff: true },
    {
      ...MAX,
      isSuperuser: true,
    },
    { ...MAX, isActive: false },
    { ...MAX, groups: [], permissions: [], held: [] },
  )
  const request = fc.record({
    path: fc.array(fc.constantFrom(...segments), { maxLength: 4 }).map((parts) => `/${parts.join('/')}`),
    method: fc.constantFrom('GET', 'POST', 'FOO'),
    address: fc.constantFrom(undefined, '10.1.2.3', '192.0.2.1', 'nonsense'),
    host: fc.constantFrom('app.test', 'app.test:8443', 'deep.app.test', 'nowhere.example'),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyRule, { maxLength: 6 }),
      fc.constantFrom<AccessRules['default']>('authenticated', 'deny'),
      person,
      request,
      async (rules, fallback, user, { path, method, address, host }) => {
        const access = { default: fallback, rules }
        const result = await adminOf(policyWith(access), user).test({
          url: `https://${host}${path}`,
          method,
          address,
          user: user && 'max',
        })
        const policy = compileAccess(access, networkTest)
        const session = user?.isActive ? user as unknown as SessionRecord : 'anonymous'
        const asked = { target: result.target, address: () => address }
        const answer = decide(policy, asked, session)
        const { decision } = result
        t.equal(decision.allow ? 'allowed' : decision.reason, answer.kind)
        if (answer.kind !== 'needs' && answer.grounds !== undefined) {
          t.equal(decision.grounds.path, answer.grounds.path)
        }
        const possible = new Set(result.interpretations.flatMap(({ rules: each }) => each.map(({ path: key }) => key)))
        t.strictSame([...possible].sort(), result.rules.map(({ path: each }) => each).sort())
        t.equal(result.rules.every(({ lets }) => lets), decision.allow)
        t.equal(result.headers !== undefined, decision.allow)
      },
    ),
    { numRuns: 200 },
  )
})

t.test('each interpretation of a path names its rule, and the strictest decides', async (t) => {
  const rules = [rule(STAFF_ONLY, { paths: ['/admin/**'] }), rule('authenticated')]
  const { decision, interpretations } = await test(rules, { user: 'max', url: 'https://app.test/static/..%2fadmin/x' })
  t.match(decision, { allow: false, reason: 'not_allowed', grounds: { path: 'access.rules[0]' } })
  const rulesOf = (path: string) => interpretations.find((each) => each.path === path)?.rules.map((each) => each.path)
  t.strictSame(rulesOf('/admin/x'), ['access.rules[0]'])
  t.strictSame(rulesOf('/static/..%2fadmin/x'), ['access.rules[1]'])
})

t.test('a path that programs decode differently is every path', async (t) => {
  const rules = [rule(STAFF_ONLY, { paths: ['/admin/**'] }), rule('authenticated')]
  const { interpretations } = await test(rules, { url: 'https://app.test/%c0%af' })
  const both = ['access.rules[0]', 'access.rules[1]'].map((path) => ({ path, name: null }))
  t.strictSame(interpretations, [{ path: undefined, port: undefined, rules: both }])
})

t.test('shadow rules are named with what they would have done, and decide nothing', async (t) => {
  const rules = [
    rule('deny', { name: 'Closed soon', paths: ['/admin/**'], enforce: false }),
    rule('anyone', { paths: ['/static/**'], enforce: false }),
    rule('authenticated', { enforce: false }),
    rule('authenticated'),
  ]
  const { decision, shadowRules } = await test(rules, { user: 'max', url: 'https://app.test/static/..%2fadmin/x' })
  t.match(decision, { allow: true, grounds: { path: 'access.rules[3]' } })
  t.strictSame(shadowRules, [
    { path: 'access.rules[0]', name: 'Closed soon', allows: 'superusers alone', would: 'not_allowed', differs: true },
    { path: 'access.rules[1]', name: null, allows: 'everybody', would: 'allowed', differs: false },
    { path: 'access.rules[2]', name: null, allows: 'everybody who is signed in', would: 'allowed', differs: false },
  ])
  const anonymous = await test(rules, { url: 'https://app.test/static/x' })
  t.equal(anonymous.decision.allow, false)
  t.match(anonymous.shadowRules.filter(({ differs }) => differs), [{ path: 'access.rules[1]', would: 'allowed' }])
})

t.test('a port that only some rules name is an interpretation of its own', async (t) => {
  const rules = [rule('deny', { hosts: ['app.test:8443'] }), rule('authenticated')]
  const { decision, withoutPort } = await test(rules, { user: 'max' })
  t.equal(decision.allow, true)
  t.equal(withoutPort.allow, false)
})

t.test('the reason names the local group, its Entra group by label, and the permission', async (t) => {
  const byGroup = await test([rule(CIRCUITS)], { user: 'max' })
  t.strictSame(byGroup.rules.map(({ because }) => because), [
    'max is a member of Circuits, because of Circuit people',
  ])
  const permission: Allow = { groups: [], permissions: ['netbox.view'], staff: undefined, superuser: undefined }
  const byPermission = await test([rule(permission)], { user: 'max' })
  t.match(byPermission.rules[0]?.because, 'max holds netbox.view, through Circuits, because of Circuit people')
})

t.test('given Entra groups count as a sign-in would make them count', async (t) => {
  const { user, decision, rules } = await test([rule(CIRCUITS)], { entraGroups: [ENTRA_GROUP.toUpperCase()] })
  t.strictSame(user?.groups, ['Circuits'], 'a local group that does not exist is skipped')
  t.equal(decision.allow, true)
  t.match(rules[0]?.because, 'because of Circuit people')
  t.equal((await test([rule(CIRCUITS)], { entraGroups: [] })).decision.allow, false, 'no group is somebody, not nobody')
})

t.test('the headers are those of the application; the assertion itself is not shown', async (t) => {
  const { headers } = await test([rule('authenticated')], { user: 'max' })
  if (headers === undefined || !('pairs' in headers)) return t.fail('no headers')
  const values = new Map(headers.pairs)
  t.equal(values.get('X-Auth-Request-User'), 'max')
  t.equal(values.get('X-Auth-Request-Groups'), 'Circuits')
  t.equal(values.has('X-Gatehouse-Assertion'), false)
  t.equal(headers.assertion, true)
  t.equal((await test([rule('deny')], { user: 'max' })).headers, undefined)
})

t.test('headers that are too large are a finding', async (t) => {
  const policy = policyWith({ default: 'authenticated', rules: [] }, {
    headers: { families: ['x-auth-request'], extra: [], maxBytes: 100 },
  })
  const { headers } = await adminOf(policy).test({ method: 'GET', url: 'https://app.test/', user: 'max' })
  t.match(headers, { tooLarge: { code: 'identity_too_large' } })
})

t.test('input that cannot be tested has a code and says what to write', async (t) => {
  const cases = [
    [{ url: '' }, 'target_malformed'],
    [{ url: 'app.test/x' }, 'target_malformed'],
    [{ url: 'https://app.test/a\u0000b' }, 'target_malformed'],
    [{ url: 'https://app.test/ x' }, 'target_malformed'],
    [{ url: 'javascript:alert(1)' }, 'target_malformed'],
    [{ method: 'G E T' }, 'target_malformed'],
    [{ method: '' }, 'target_malformed'],
    [{ user: 'nobody' }, 'user_unknown'],
    [{ entraGroups: ['Circuit people'] }, 'object_id_invalid'],
    [{ user: 'max', entraGroups: [ENTRA_GROUP] }, 'request_malformed'],
  ] as const
  for (const [input, code] of cases) {
    await t.rejects(test([rule('anyone')], input), { code }, JSON.stringify(input))
  }
})

t.test('what is unclear of the input is noted', async (t) => {
  const inside = [rule('anyone', { networks: ['10.0.0.0/8'] })]
  t.strictSame((await test(inside, {})).notes, ['address_needed'])
  t.strictSame((await test(inside, { address: '10.1.1.1' })).notes, [])
  t.strictSame((await test(inside, { address: '10.1.1' })).notes, [])
  t.strictSame((await test(inside, { address: 'here' })).notes, ['address_unreadable'])
  t.strictSame((await test([], { method: 'FOO' })).notes, ['method_unknown'])
})

t.test('an inactive user counts as nobody', async (t) => {
  const { user, inactive, decision } = await test([rule('authenticated')], { user: 'max' }, { ...MAX, isActive: false })
  t.equal(user, undefined)
  t.equal(inactive, true)
  t.match(decision, { allow: false, reason: 'not_signed_in' })
})

t.test('what a user may open: applications first, then hosts of rules, each with its rule', async (t) => {
  const access: AccessRules = {
    default: 'deny',
    rules: [
      rule(CIRCUITS, { hosts: ['netbox.test'] }),
      rule(STAFF_ONLY, { hosts: ['*.admin.test', 'wiki.test:8443'] }),
      rule('anyone', { hosts: ['inside.test'], networks: ['10.0.0.0/8'] }),
    ],
  }
  const applications = [{ host: 'wiki.test', name: 'Wiki', icon: undefined }]
  const admin = adminOf(policyWith(access, { applications }))
  const { rows = [], next } = await admin.access(MAX.userId, {}) ?? {}
  t.equal(next, undefined)
  t.strictSame(rows.map(({ host, application, decision, rules }) => [host, application, decision, rules[0]?.path]), [
    ['wiki.test', 'Wiki', 'refused', 'access.default'],
    ['*.admin.test', undefined, 'refused', 'access.rules[1]'],
    ['inside.test', undefined, 'depends', 'access.rules[2]'],
    ['netbox.test', undefined, 'allowed', 'access.rules[0]'],
    ['wiki.test:8443', undefined, 'refused', 'access.rules[1]'],
  ])
  const first = await admin.access(MAX.userId, { limit: 2 })
  const second = await admin.access(MAX.userId, { limit: 2, after: first?.next })
  t.strictSame(
    [...first?.rows ?? [], ...second?.rows ?? []].map(({ host }) => host),
    rows.slice(0, 4).map((r) => r.host),
  )
  const gone = adminOf(policyWith(access), { ...MAX, isActive: false })
  t.ok((await gone.access(MAX.userId, {}))?.rows.every(({ decision }) => ['sign_in', 'depends'].includes(decision)))
})
