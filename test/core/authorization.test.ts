// The decision about a forward-auth request: the same for the same facts, and undecided only for a fact that was not
// given.
import fc from 'fast-check'
import t from 'tap'
import { compileAccess, type AccessRule } from '../../src/core/access.js'
import { decide, type AuthorizationRequest, type KnownSession } from '../../src/core/authorization.js'
import type { SessionRecord } from '../../src/core/session.js'
import { parseTargetUrl } from '../../src/core/target.js'
import { networkTest } from '../../src/net/networks.js'

const RULE = { networks: undefined, methods: undefined, paths: undefined }
const USER = { groups: [], permissions: [], isStaff: false, isSuperuser: false } as unknown as SessionRecord
const STAFF = { ...USER, isStaff: true }
const SUPERUSER = { ...USER, isSuperuser: true }
const NETWORK = ['10.9.0.0/16']
const STAFF_ONLY = { groups: [], permissions: [], staff: true, superuser: undefined } as const

const compile = (...rules: AccessRule[]) => compileAccess({ default: 'authenticated', rules }, networkTest)
const target = (host = 'app.test', path = '/') => parseTargetUrl(`https://${host}${path}`, 'GET')
const from = (address: string | undefined): AuthorizationRequest['address'] => () => address

const OPEN = { ...RULE, hosts: ['open.test'], allow: 'anyone' } as const
const STAFF_HOST = { ...RULE, hosts: ['staff.test'], allow: STAFF_ONLY } as const
const OPEN_INSIDE = { ...RULE, hosts: ['net.test'], networks: NETWORK, allow: 'anyone' } as const
const policy = compile(OPEN, STAFF_HOST, OPEN_INSIDE)

t.test('facts that were not given are asked for, one after the other', async (t) => {
  const address = from('192.0.2.1')
  t.strictSame(decide(policy, { target: undefined, address }, USER), { kind: 'needs', what: 'target' })
  t.strictSame(decide(policy, { target: undefined, address }, 'not_looked_up'), { kind: 'needs', what: 'target' })
  t.strictSame(decide(policy, { target: target(), address }, 'not_looked_up'), { kind: 'needs', what: 'session' })
  const unaddressed = { target: target('net.test'), address: undefined }
  t.strictSame(decide(policy, unaddressed, 'anonymous'), { kind: 'needs', what: 'address' })
  t.match(decide(policy, unaddressed, USER), { kind: 'allowed' }, 'a user may pass from every address')
})

t.test('without rules no target is needed', async (t) => {
  const withoutRules = compile()
  const request = { target: undefined, address: undefined }
  t.match(decide(withoutRules, request, USER), { kind: 'allowed', session: USER, grounds: { path: 'access.default' } })
  t.match(decide(withoutRules, request, 'anonymous'), { kind: 'not_signed_in', grounds: { path: 'access.default' } })
  t.strictSame(decide(withoutRules, request, 'not_looked_up'), { kind: 'needs', what: 'session' })
})

t.test('every combination of host and session has one decision', async (t) => {
  const decisionAt = (host: string, known: KnownSession, address: string | undefined = '192.0.2.1') =>
    decide(policy, { target: target(host), address: from(address) }, known)
  const inside = '10.9.1.1'
  const openRule = { path: 'access.rules[0]', allow: 'anyone' } as const
  const staffRule = { path: 'access.rules[1]', allow: STAFF_ONLY } as const
  const insideRule = { path: 'access.rules[2]', allow: 'anyone' } as const
  t.match(decisionAt('open.test', 'anonymous'), { kind: 'allowed', session: undefined, grounds: openRule })
  t.match(decisionAt('open.test', USER), { kind: 'allowed', session: USER, grounds: openRule })
  t.match(decisionAt('staff.test', USER), { kind: 'not_allowed', session: USER, grounds: staffRule })
  t.match(decisionAt('staff.test', STAFF), { kind: 'allowed', session: STAFF, grounds: staffRule })
  t.match(decisionAt('staff.test', SUPERUSER), { kind: 'allowed', session: SUPERUSER })
  t.match(decisionAt('net.test', 'anonymous', inside), { kind: 'allowed', session: undefined, grounds: insideRule })
  t.match(decisionAt('net.test', 'anonymous'), { kind: 'not_signed_in', grounds: { path: 'access.default' } })
  t.match(decisionAt('net.test', 'anonymous', undefined), { kind: 'not_signed_in' }, 'an unknown address opens nothing')
  t.match(decisionAt('elsewhere.test', USER), { kind: 'allowed', grounds: { hostUnnamed: true } })
  t.strictSame(
    decisionAt('staff.test', 'anonymous'),
    { kind: 'not_signed_in', grounds: undefined },
    'the rules of a host that never lets an anonymous request pass are not evaluated',
  )
})

t.test('a decision without the address holds for every address', async (t) => {
  const allow = fc.constantFrom('anyone', 'authenticated', 'deny', STAFF_ONLY)
  const rule = fc.record({
    hosts: fc.constantFrom(['app.test'], ['*.test'], ['other.test']),
    networks: fc.constantFrom(undefined, NETWORK, ['192.0.2.0/24']),
    methods: fc.constant(undefined),
    paths: fc.constantFrom(undefined, ['/a/**'], ['/']),
    allow,
  })
  const known = fc.constantFrom<KnownSession>('anonymous', USER, STAFF, SUPERUSER)
  const addresses = ['10.9.3.4', '192.0.2.7', '203.0.113.5', undefined]
  const decided = { undecided: 0, decided: 0 }
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 4 }), known, fc.constantFrom('/', '/a/b'), (rules, session, path) => {
      const compiled = compile(...rules as AccessRule[])
      const request = { target: target('app.test', path) }
      const without = decide(compiled, { ...request, address: undefined }, session)
      const withAddress = addresses.map((address) => decide(compiled, { ...request, address: from(address) }, session))
      if (withAddress.some(({ kind }) => kind === 'needs')) return false
      decided[without.kind === 'needs' ? 'undecided' : 'decided']++
      return without.kind === 'needs' || withAddress.every(({ kind }) => kind === without.kind)
    }),
    { numRuns: 2_000 },
  )
  t.ok(decided.undecided > 0 && decided.decided > 0, 'both cases were met')
})
