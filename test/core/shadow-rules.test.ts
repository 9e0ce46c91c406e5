// Shadow rules: whatever they are, the policy decides as if they were not there; and what each one is said to do is
// what it does once it is enforced.
import fc from 'fast-check'
import t from 'tap'
import {
  compileAccess,
  describeRule,
  type AccessRule,
  type AccessRules,
  type AllowAnyOf,
  type SessionRights,
} from '../../src/core/access.js'
import { countedKeys, ruleKeys } from '../../src/core/activity.js'
import { createActivityCounters } from '../../src/core/activity-counters.js'
import { compileShadowRules } from '../../src/core/shadow-rules.js'
import { parseTargetUrl, type Target } from '../../src/core/target.js'
import { networkTest } from '../../src/net/networks.js'

const HOSTS = ['app.test', 'b.app.test', 'other.test']
const members = (...groups: string[]): AllowAnyOf => ({
  groups,
  permissions: [],
  staff: undefined,
  superuser: undefined,
})
const anyRule: fc.Arbitrary<AccessRule> = fc.record({
  name: fc.option(fc.constantFrom('one', 'two'), { nil: undefined }),
  hosts: fc.uniqueArray(
    fc.tuple(fc.constantFrom('', '*.'), fc.constantFrom(...HOSTS), fc.constantFrom('', ':8443')).map((parts) =>
      parts.join('')
    ),
    { minLength: 1, maxLength: 2 },
  ),
  networks: fc.option(fc.constant(['10.0.0.0/8']), { nil: undefined }),
  methods: fc.option(fc.subarray(['GET', 'POST'], { minLength: 1 }), { nil: undefined }),
  paths: fc.option(
    fc.subarray(['/', '/admin', '/admin/**', '/a/*', '/**'], { minLength: 1, maxLength: 2 }),
    { nil: undefined },
  ),
  allow: fc.constantFrom<AccessRule['allow']>('anyone', 'authenticated', 'deny', members('A'), members('B')),
  enforce: fc.constantFrom(undefined, true, false, false),
})
const anyPolicy: fc.Arbitrary<AccessRules> = fc.record({
  default: fc.constantFrom<AccessRules['default']>('authenticated', 'deny'),
  rules: fc.array(anyRule, { maxLength: 6 }),
})
const PATHS = ['/', '/admin', '/admin/x', '/a/b', '/x/..%2fadmin', '/%ff', '/a//b', '/static/..;/admin/x', '/a%5cb']
const anyRequest = fc.record({
  host: fc.constantFrom(...HOSTS, 'unnamed.test'),
  named: fc.constantFrom('', ':8443', ':443'),
  port: fc.constantFrom(undefined, '443', '8443'),
  path: fc.constantFrom(...PATHS),
  method: fc.constantFrom('GET', 'POST', 'DELETE', 'WHATEVER'),
  address: fc.constantFrom('10.1.1.1', '192.0.2.1', undefined, 'not read' as const, 'not read' as const),
  session: fc.constantFrom<SessionRights | undefined>(
    undefined,
    { groups: [], permissions: [], isStaff: false, isSuperuser: false },
    { groups: ['A'], permissions: [], isStaff: false, isSuperuser: false },
    { groups: [], permissions: [], isStaff: true, isSuperuser: true },
  ),
})
const RUNS = { numRuns: 3_000 }

function requestOf(
  { host, named, port, path, method, address }: typeof anyRequest extends fc.Arbitrary<infer Request> ? Request
    : never,
) {
  const parsed = parseTargetUrl(`https://${host}${named}${path}`, method)
  const target: Target = { ...parsed, port: named === '' ? port : parsed.namedPort }
  return { target, address: address === 'not read' ? undefined : () => address }
}

/** The keys of an answer are those of the rules' places, which a policy without shadow rules does not have. */
function comparable(decision: object, keys: readonly string[]): unknown {
  return JSON.parse(
    JSON.stringify(decision).replace(/access\.rules\[(\d+)\]/g, (_, index: string) => keys[Number(index)] ?? ''),
  )
}

const enforcedOf = ({ default: fallback, rules }: AccessRules): AccessRules => ({
  default: fallback,
  rules: rules.filter(({ enforce }) => enforce !== false),
})

// proves: policy-shadow-out
t.test('a policy with shadow rules decides as the policy without them does, in every respect', async (t) => {
  const seen = { shadows: 0, undecided: 0, several: 0 }
  fc.assert(
    fc.property(anyPolicy, anyRequest, (access, asked) => {
      const { session } = asked
      const request = requestOf(asked)
      const places = access.rules.map((_, index) => `#${index}`)
      const own = places.filter((_, index) => access.rules[index]?.enforce !== false)
      const [all, without] = [access, enforcedOf(access)].map((rules) => compileAccess(rules, networkTest))
      if (all === undefined || without === undefined) return
      const [decision, expected] = [all.decide(request, session), without.decide(request, session)]
      t.strictSame(comparable(decision, places), comparable(expected, own))
      t.strictSame(comparable([...all.grounds(request)], places), comparable([...without.grounds(request)], own))
      t.strictSame(
        comparable([...all.interpretations(request)], places),
        comparable([...without.interpretations(request)], own),
      )
      t.equal(all.ignoresTarget, without.ignoresTarget)
      t.equal(all.mayLetAnyoneIn(request.target.hostname), without.mayLetAnyoneIn(request.target.hostname))
      if (own.length < places.length) seen.shadows++
      if (decision.allow === undefined) seen.undecided++
      if (all.grounds(request).length > 1) seen.several++
    }),
    RUNS,
  )
  for (const [what, times] of Object.entries(seen)) t.ok(times > 5, `${what}: ${times}`)
})

t.test('a shadow rule is said to do what it does once it alone is enforced', async (t) => {
  const seen = { judged: 0, decides: 0, changes: 0 }
  fc.assert(
    fc.property(anyPolicy, anyRequest, (access, asked) => {
      const { target, address } = requestOf({ ...asked, address: asked.address ?? 'unreadable' as '10.1.1.1' })
      if (address === undefined) return
      const request = { target, address, session: asked.session }
      const shadows = compileShadowRules(access, { networkTest })
      t.equal(shadows === undefined, access.rules.every(({ enforce }) => enforce !== false))
      for (const { rule: { path }, kind, decides } of shadows?.judge(request) ?? []) {
        const rules = access.rules.map((rule, index) =>
          `access.rules[${index}]` === path ? { ...rule, enforce: true } : rule
        )
        const expected = compileAccess({ ...access, rules }, networkTest).decide(request, request.session)
        t.equal(kind, expected.allow ? 'allowed' : expected.reason)
        t.equal(decides, expected.grounds.path === path)
        seen.judged++
        if (decides) seen.decides++
        if (expected.allow !== compileAccess(access, networkTest).decide(request, request.session).allow) seen.changes++
      }
    }),
    RUNS,
  )
  for (const [what, times] of Object.entries(seen)) t.ok(times > 5, `${what}: ${times}`)
})

const rule = (parts: Partial<AccessRule>): AccessRule => ({
  hosts: ['app.test'],
  networks: undefined,
  methods: undefined,
  paths: undefined,
  allow: 'authenticated',
  ...parts,
})
const ANNA = { groups: ['A'], permissions: [], isStaff: false, isSuperuser: false }
const ROOT = { ...ANNA, isSuperuser: true }
const at = (path: string, session: SessionRights | undefined, host = 'app.test') => ({
  target: parseTargetUrl(`https://${host}${path}`, 'GET'),
  address: () => '192.0.2.1',
  session,
})

function counting(rules: readonly AccessRule[], now?: () => number) {
  const counters = createActivityCounters()
  const shadows = compileShadowRules({ default: 'deny', rules }, {
    networkTest,
    counters: counters.rules(countedKeys(rules)),
    ...(now === undefined ? {} : { now }),
  })
  if (shadows === undefined) throw new Error('there is a shadow rule')
  const keys = ruleKeys(rules)
  return {
    shadows,
    taken: () => counters.take().map(({ kind, key, count }) => `${kind} ${keys.indexOf(key)}: ${count}`),
  }
}

t.test('what it would have decided is counted, and what it would have changed', async (t) => {
  const { shadows, taken } = counting([
    rule({ name: 'closing', paths: ['/admin/**'], allow: members('B'), enforce: false }),
    rule({ paths: ['/open'], allow: 'anyone', enforce: false }),
    rule({}),
  ])
  t.match(shadows.count(at('/admin/x', ANNA), true), [{ rule: { name: 'closing' }, kind: 'not_allowed' }])
  t.strictSame(shadows.count(at('/admin/x', ROOT), true), [], 'superusers pass it')
  t.strictSame(shadows.count(at('/', ANNA), true), [])
  t.match(shadows.count(at('/open', undefined), false), [{ rule: { path: 'access.rules[1]' }, kind: 'allowed' }])
  t.strictSame(shadows.count(at('/admin/x', ANNA, 'other.test'), true), [], 'it is about no other host')
  t.strictSame(taken(), ['rule 0: 2', 'shadow_refused 0: 1', 'rule 1: 1', 'shadow_let_in 1: 1'])
  t.strictSame(taken(), [])
})

// proves: policy-shadow-closed-host
t.test('a request without a session is not judged where no rule could let it in', async (t) => {
  const { shadows, taken } = counting([rule({ allow: 'authenticated', enforce: false }), rule({ allow: 'deny' })])
  t.strictSame(shadows.count(at('/', undefined), false), [])
  t.strictSame(taken(), [])
  shadows.count(at('/', ANNA), false)
  t.strictSame(taken(), ['rule 0: 1', 'shadow_let_in 0: 1'])
})

// proves: policy-shadow-budget
t.test('what is not judged within the time for one request is left out', async (t) => {
  const times = [0, 1, 2.5]
  const shadowRules = [1, 2, 3].map(() => rule({ allow: 'deny', enforce: false }))
  const { shadows } = counting(shadowRules, () => times.shift() ?? 3)
  t.equal(shadows.count(at('/', ANNA), true).length, 1)
})

t.test('a shadow rule has a key of its own; its name is no part of it', async (t) => {
  const [enforced, explicit, shadow, named] = ruleKeys([rule({}), rule({ enforce: true }), rule({ enforce: false })])
    .concat(ruleKeys([rule({ enforce: false, name: 'any' })]))
  t.equal(explicit, `${enforced}-2`)
  t.not(shadow, enforced)
  t.equal(named, shadow)
  t.equal(describeRule(rule({ name: 'any' })), 'app.test')
})
