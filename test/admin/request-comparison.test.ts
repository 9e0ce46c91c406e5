// Which sampled requests another policy would decide otherwise: by the decisions of `access test`.
import t from 'tap'
import { createAccessTestAdmin } from '../../src/admin/access-test.js'
import { createRequestComparison } from '../../src/admin/request-comparison.js'
import { decisionWord, type AccessRule, type SessionRights } from '../../src/core/access.js'
import { ruleKeys } from '../../src/core/activity.js'
import type { SampledUser } from '../../src/core/policy-preview.js'
import type { CountedRequest } from '../../src/core/request-sample.js'
import { networkTest } from '../../src/net/networks.js'
import { requestTo } from '../helpers/counted-request.js'

const ENTRA = '00000000-0000-4000-8000-000000000001'

const rule = (change: Partial<AccessRule>): AccessRule => ({
  hosts: ['app.test'],
  networks: undefined,
  methods: undefined,
  paths: undefined,
  allow: 'authenticated',
  ...change,
})
const ofGroup = (...groups: string[]) => ({ groups, permissions: [], staff: undefined, superuser: undefined })
const ofPermission = (word: string) => ({ groups: [], permissions: [word], staff: undefined, superuser: undefined })

function policy(rules: readonly AccessRule[], byDefault: 'authenticated' | 'deny' = 'deny') {
  const access = { default: byDefault, rules }
  return { access, shownAccess: access }
}

const user = (change: Partial<SampledUser> = {}): SampledUser => ({
  username: 'ann',
  groups: [],
  permissions: [],
  isStaff: false,
  isSuperuser: false,
  entraGroupIds: [],
  ...change,
})

const request = (path: string, change: Partial<CountedRequest> = {}): CountedRequest =>
  requestTo(path, { userId: 'u1', ...change })

interface Scene {
  readonly now: readonly AccessRule[]
  readonly then: readonly AccessRule[]
  readonly groups?: readonly string[]
}

function scene({ now, then, groups = [] }: Scene) {
  const mapping = [{ entraGroup: ENTRA, groups, staff: false, superuser: false }]
  return createRequestComparison({
    now: policy(now),
    then: { ...policy(then), groupMapping: mapping },
    localGroups: groups.map((name) => ({ name, permissions: [`${name.toLowerCase()}.view`] })),
    networkTest,
    scheme: 'https',
  })
}

t.test('a request that a rule decides otherwise is listed with both rules, what is let in first', (t) => {
  const comparison = scene({
    now: [rule({ paths: ['/a'], allow: 'anyone', name: 'Open' }), rule({})],
    then: [rule({ paths: ['/b'], allow: 'anyone' }), rule({ paths: ['/c'], allow: 'deny' }), rule({})],
  })
  comparison.add(request('/c', { count: 9 }), user())
  comparison.add(request('/a', { userId: null, count: 5 }), undefined)
  comparison.add(request('/b', { userId: null }), undefined)
  comparison.add(request('/'), user())
  const open = { decision: 'allowed', rule: { path: 'access.rules[0]', name: 'Open' } }
  t.match(comparison.result(), {
    compared: 4,
    differing: 3,
    undecided: 0,
    requests: [
      { path: '/b', userId: null, username: null, now: { decision: 'sign_in' }, then: { decision: 'allowed' } },
      { path: '/c', username: 'ann', count: 9, then: { decision: 'refused', rule: { path: 'access.rules[1]' } } },
      { path: '/a', count: 5, now: open, then: { decision: 'sign_in', rule: { path: 'access.rules[2]', name: null } } },
    ],
  })
  t.end()
})

t.test('then, a user has the rights that the other mapping gives; one without a snapshot keeps them', (t) => {
  const rules = [rule({ paths: ['/a'], allow: ofGroup('A') }), rule({ paths: ['/b'], allow: ofPermission('b.view') })]
  const comparison = scene({ now: rules, then: rules, groups: ['B'] })
  const ann = user({ groups: ['A'], permissions: ['a.view'], entraGroupIds: [ENTRA] })
  const byHand = user({ groups: ['A'], entraGroupIds: null })
  comparison.add(request('/a'), ann)
  comparison.add(request('/b'), ann)
  comparison.add(request('/a'), byHand)
  t.match(comparison.result(), {
    compared: 3,
    differing: 2,
    requests: [
      { path: '/b', now: { decision: 'refused' }, then: { decision: 'allowed' } },
      { path: '/a', now: { decision: 'allowed' }, then: { decision: 'refused' } },
    ],
  })
  t.end()
})

t.test('the address of the client is not kept: a decision that depends on it is said to', (t) => {
  const inside = rule({ networks: ['10.0.0.0/8'], allow: 'anyone' })
  const comparison = scene({ now: [inside, rule({})], then: [{ ...inside, paths: ['/x'] }, inside, rule({})] })
  comparison.add(request('/', { userId: null }), undefined)
  comparison.add(request('/'), user())
  t.match(comparison.result(), { compared: 2, differing: 0, undecided: 1 })
  const without = scene({ now: [inside], then: [rule({})] })
  without.add(request('/', { userId: null }), undefined)
  t.match(without.result().requests, [{
    now: { decision: 'depends', rule: { path: 'access.rules[0]' } },
    then: { decision: 'sign_in' },
  }])
  t.end()
})

t.test('a path that was cut is judged by the rules for what is below it, and says who decided', (t) => {
  const rules = [rule({ paths: ['/a/b/c/d'], allow: 'deny' }), rule({ paths: ['/a/b/c/*'] }), rule({ allow: 'deny' })]
  const [special] = ruleKeys(rules)
  const comparison = scene({ now: rules, then: [rule({ allow: 'deny' })] })
  comparison.add(request('/a/b/c', { isCut: true, rule: special ?? '' }), user())
  comparison.add(request('/a/b/c'), user())
  t.match(comparison.result(), {
    differing: 1,
    requests: [{ isCut: true, now: { rule: { path: 'access.rules[1]' } }, decidedBy: { path: 'access.rules[0]' } }],
  })
  t.end()
})

t.test('the list is bounded, its totals are not', (t) => {
  const comparison = scene({ now: [rule({})], then: [rule({ allow: 'deny' })] })
  for (let n = 0; n < 1_000; n++) comparison.add(request(`/${n}`, { count: n }), user())
  const { differing, requests } = comparison.result()
  t.equal(differing, 1_000)
  t.equal(requests.length, 200)
  t.equal(requests[0]?.count, 999)
  t.end()
})

t.test('the decisions are those of access test', async (t) => {
  const rules = [
    rule({ paths: ['/static/**'], allow: 'anyone' }),
    rule({ paths: ['/admin', '/admin/**'], allow: { ...ofGroup(), staff: true } }),
    rule({ methods: ['GET', 'HEAD'], allow: ofPermission('netbox.view') }),
    rule({ hosts: ['*.test'], allow: ofGroup('Engineers', 'A') }),
    rule({ hosts: ['app.test:8443'], allow: 'deny' }),
  ]
  const other = [...rules].reverse()
  const testOf = (those: readonly AccessRule[]) =>
    createAccessTestAdmin({
      policy: () =>
        ({ ...policy(those), groupMapping: [], headers: { families: [], maxBytes: 8192, extra: [] } }) as never,
      users: { find: () => Promise.reject(new Error('not asked')) },
      localGroups: { named: async () => [] },
      networkTest,
    })
  const [now, then] = [testOf(rules), testOf(other)]
  const people: readonly (SampledUser | undefined)[] = [
    undefined,
    user({ entraGroupIds: null }),
    user({ entraGroupIds: null, groups: ['A'] }),
    user({ entraGroupIds: null, permissions: ['netbox.view'] }),
    user({ entraGroupIds: null, isStaff: true }),
    user({ entraGroupIds: null, isSuperuser: true }),
  ]
  const paths = ['/', '/static/x', '/static/..%2fadmin', '/admin', '/admin/', '/a//b', '/a;b', '/%C3%A9', '/a%5cb']
  let differing = 0
  for (const person of people) {
    for (const host of ['app.test', 'app.test:8443', 'b.test', 'other.example']) {
      for (const method of ['GET', 'POST', 'ODD']) {
        for (const path of paths) {
          const comparison = scene({ now: rules, then: other })
          comparison.add(request(path, { host, method, userId: person === undefined ? null : 'u1' }), person)
          const url = `https://${host}${path}`
          const rights: { rights?: SessionRights } = person === undefined ? {} : { rights: person }
          const [one, two] = [await now.test({ method, url, ...rights }), await then.test({ method, url, ...rights })]
          const words = [decisionWord(one.decision), decisionWord(two.decision)]
          const [listed] = comparison.result().requests
          const name = `${person?.username ?? 'nobody'} ${method} ${url}`
          if (words[0] === words[1]) t.equal(listed, undefined, name)
          else {
            differing++
            t.strictSame([listed?.now.decision, listed?.then.decision], words, name)
            t.strictSame([listed?.now.rule.path, listed?.then.rule.path], [
              one.decision.grounds.path,
              two.decision.grounds.path,
            ], name)
          }
        }
      }
    }
  }
  t.ok(differing > 50)
})
