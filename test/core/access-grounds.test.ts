// What decides about a request: the rules that `access test` and the refusal page name, in words, and when the
// client's address is needed.
import t from 'tap'
import {
  compileAccess,
  describeAllow,
  describeRule,
  type AccessRule,
  type AccessRules,
  type Allow,
  type AllowAnyOf,
} from '../../src/core/access.js'
import { parseTargetUrl } from '../../src/core/target.js'
import { networkTest } from '../../src/net/networks.js'

const anyOf = (parts: Partial<AllowAnyOf>): AllowAnyOf => ({
  groups: [],
  permissions: [],
  staff: undefined,
  superuser: undefined,
  ...parts,
})
const rule = (allow: Allow, parts: Partial<AccessRule> = {}): AccessRule => ({
  hosts: ['app.test'],
  networks: undefined,
  methods: undefined,
  paths: undefined,
  ...parts,
  allow,
})
const compile = (rules: readonly AccessRule[], fallback: AccessRules['default'] = 'authenticated') =>
  compileAccess({ default: fallback, rules }, networkTest)
const target = (path: string, method: string | undefined = 'GET') => parseTargetUrl(`https://app.test${path}`, method)
const NO_ADDRESS = undefined
const UNREADABLE = () => undefined
const PERSON = { groups: [], permissions: [], isStaff: false, isSuperuser: false }

t.test('the users that a rule allows, in words', async (t) => {
  const table: readonly { readonly allow: Allow, readonly words: string }[] = [
    { allow: 'anyone', words: 'everybody' },
    { allow: 'authenticated', words: 'everybody who is signed in' },
    { allow: 'deny', words: 'superusers alone' },
    { allow: anyOf({}), words: 'superusers' },
    { allow: anyOf({ superuser: true }), words: 'superusers' },
    { allow: anyOf({ staff: true }), words: 'staff, superusers' },
    { allow: anyOf({ groups: ['A'] }), words: 'members of A, superusers' },
    { allow: anyOf({ permissions: ['x.view', 'x.edit'] }), words: 'holders of x.view or x.edit, superusers' },
    { allow: anyOf({ groups: ['A', 'B'], staff: true }), words: 'members of A or B, staff, superusers' },
  ]
  for (const { allow, words } of table) t.equal(describeAllow(allow), words)
})

t.test('the requests that a rule matches, in words: five names of a kind, then the number of the others', async (t) => {
  const names = (count: number) => ['a', 'b', 'c', 'd', 'e', 'f', 'g'].slice(0, count)
  const described = (parts: Partial<AccessRule>) => describeRule(rule('deny', parts))
  t.equal(described({ hosts: names(5) }), 'a or b or c or d or e')
  t.equal(described({ hosts: names(6) }), 'a or b or c or d or e or 1 more')
  t.equal(described({ hosts: names(1), methods: names(6) }), 'a or b or c or d or e or 1 more of a')
  t.equal(described({ hosts: names(1), paths: names(7) }), 'a, a or b or c or d or e or 2 more')
})

t.test('the grounds of a decision are the key of the configuration, what it allows, and the requests', async (t) => {
  const withoutRules = compile([], 'deny').grounds({ target: target('/'), address: NO_ADDRESS })
  t.strictSame(withoutRules, [
    {
      path: 'access.default',
      allow: 'deny',
      allows: 'superusers alone',
      description: 'every request: there are no rules',
    },
  ])
  const policy = compile([rule('deny', { methods: ['GET'], paths: ['/admin'] })])
  const groundsOf = (path: string, method?: string) =>
    policy.grounds({ target: target(path, method), address: NO_ADDRESS })
  t.strictSame(groundsOf('/admin'), [
    { path: 'access.rules[0]', allow: 'deny', allows: 'superusers alone', description: 'GET of app.test, /admin' },
  ])
  t.strictSame(groundsOf('/'), [
    {
      path: 'access.default',
      allow: 'authenticated',
      allows: 'everybody who is signed in',
      description: 'requests that no rule matches',
    },
  ])
  t.strictSame(groundsOf('/', 'GETT'), [
    {
      path: 'access.rules',
      allow: 'deny',
      allows: 'superusers alone',
      description: 'methods that are not registered for HTTP',
    },
  ])
  const elsewhere = policy.grounds({ target: parseTargetUrl('https://b.test/', 'GET'), address: NO_ADDRESS })
  t.strictSame(elsewhere, [{
    path: 'access.default',
    allow: 'authenticated',
    allows: 'everybody who is signed in',
    description: 'requests that no rule matches',
    hostUnnamed: true,
  }])
})

t.test('a request without a method is denied where a rule of the host names methods', async (t) => {
  const named = compile([rule('anyone', { methods: ['GET'] }), rule('anyone')])
  const withoutMethod = { target: parseTargetUrl('https://app.test/', undefined), address: UNREADABLE }
  t.match(named.decide(withoutMethod, PERSON), {
    allow: false,
    reason: 'not_allowed',
    grounds: { path: 'access.rules', allow: 'deny' },
  })
  t.match(compile([rule('anyone')]).decide(withoutMethod, undefined), { allow: true })
})

t.test('the address is needed only where a rule with networks may decide otherwise', async (t) => {
  const policy = compile([
    rule(anyOf({ staff: true }), { paths: ['/admin/**'] }),
    rule('anyone', { networks: ['10.0.0.0/8'], paths: ['/api/**'] }),
  ])
  const decide = (path: string, address: (() => string | undefined) | undefined) =>
    policy.decide({ target: target(path), address }, undefined)
  t.strictSame(decide('/api/x', NO_ADDRESS), { allow: undefined, needs: 'address' })
  t.match(decide('/api/x', () => '10.1.1.1'), { allow: true, grounds: { path: 'access.rules[1]' } })
  t.match(decide('/api/x', () => '192.0.2.1'), { allow: false, grounds: { path: 'access.default' } })
  t.match(decide('/api/x', UNREADABLE), { allow: false, grounds: { path: 'access.default' } })
  t.match(decide('/admin/x', NO_ADDRESS), { allow: false, grounds: { path: 'access.rules[0]' } })

  const keys = (path: string, address: (() => string | undefined) | undefined) =>
    policy.grounds({ target: target(path), address }).map((each) => ({
      path: each.path,
      dependsOnAddress: each.dependsOnAddress,
    }))
  const found = (path: string, dependsOnAddress?: true) => ({ path, dependsOnAddress })
  const unknowable = '/api/%ff'
  t.strictSame(
    keys(unknowable, NO_ADDRESS),
    [found('access.rules[0]'), found('access.rules[1]', true), found('access.default')],
    'the rule without networks does not depend on the address, even if its path is unknowable',
  )
  t.strictSame(
    keys(unknowable, UNREADABLE),
    [found('access.rules[0]'), found('access.rules[1]'), found('access.default')],
    'an address that was read is not needed again',
  )
  const withoutNetworks = compile([rule(anyOf({ staff: true }), { paths: ['/admin/**'] }), rule('anyone')])
  t.match(
    withoutNetworks.decide({ target: target(unknowable), address: NO_ADDRESS }, undefined),
    { allow: false, reason: 'not_signed_in', grounds: { path: 'access.rules[0]' } },
  )
})
