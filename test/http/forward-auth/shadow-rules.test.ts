// Shadow rules and names of rules at the auth endpoints: the answers stay what they are, and what would have differed
// is counted and logged.
import t from 'tap'
import { ruleKeys } from '../../../src/core/activity.js'
import type { ShadowDecision, ShadowRules } from '../../../src/core/shadow-rules.js'
import { parseTargetUrl } from '../../../src/core/target.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { createShadowObserver } from '../../../src/http/forward-auth/shadow-observer.js'
import { startTestGateway, type TestGateway } from '../../helpers/gateway.js'

const SHADOWS = [
  { name: 'Admin pages for operators', hosts: ['app.test'], paths: ['/admin/**'], allow: 'deny', enforce: false },
  { hosts: ['closed.test'], allow: 'anyone', enforce: false },
  { hosts: ['lonely.test'], allow: 'deny', enforce: false },
]
const ENFORCED = [
  { name: 'Nobody yet', hosts: ['closed.test'], allow: { groups: ['Nobody'] } },
  { hosts: ['app.test'], allow: 'authenticated' },
  { hosts: ['open.test'], allow: 'anyone' },
]
const withRules = (rules: readonly unknown[], access = 'denied') => ({
  access: { default: 'deny', rules },
  admin: {},
  log: { access },
})

const REQUESTS = [
  ['GET', 'https://app.test/'],
  ['GET', 'https://app.test/admin/x'],
  ['GET', 'https://app.test/static/..%2fadmin/x'],
  ['POST', 'https://closed.test/'],
  ['GET', 'https://lonely.test/'],
  ['GET', 'https://open.test/%ff'],
  ['GET', 'https://nowhere.test/'],
] as const

/** All that a proxy gets, without what is another one each time. */
async function answersOf(gateway: TestGateway, browser: Awaited<ReturnType<TestGateway['signIn']>>['browser']) {
  const answers: unknown[] = []
  for (const [method, url] of REQUESTS) {
    for (const path of ['/oauth2/auth', '/oauth2/forward-auth']) {
      for (const signedIn of [true, false]) {
        const { protocol, host, pathname } = new URL(url)
        const { status, headers, text: body } = await gateway.ask(path, {
          ...(signedIn ? { browser } : {}),
          headers: {
            'x-original-url': url,
            'x-original-method': method,
            'x-forwarded-for': '198.51.100.1',
            'x-forwarded-proto': protocol.slice(0, -1),
            'x-forwarded-host': host,
            'x-forwarded-uri': pathname,
            'x-forwarded-method': method,
            'accept': 'application/json',
          },
        })
        const text = body.replace(/"correlation_id":"[^"]*"/, '').replace(/access\.rules\[\d+\]/g, 'a rule')
        const known = [...headers].filter(([name]) => name !== 'date')
          .map(([name, value]) => [name, name === 'x-gatehouse-assertion' ? value !== '' : value])
        answers.push([method, url, path, signedIn, status, known, text])
      }
    }
  }
  return answers
}

t.test('answers and home page are those of the same policy without its shadow rules', async (t) => {
  const applications = ['app.test', 'closed.test', 'lonely.test'].map((host) => ({ host, name: host }))
  for (const access of ['denied', 'all']) { // the fast path answers, or the route
    const gateway = await startTestGateway(t, { config: { ...withRules(ENFORCED, access), applications } })
    const { browser } = await gateway.signIn(PERSON_IDS.guest)
    const [expected, home] = [await answersOf(gateway, browser), (await gateway.ask('/', { browser })).text]
    gateway.reload({ ...withRules([...SHADOWS, ...ENFORCED], access), applications })
    t.strictSame(await answersOf(gateway, browser), expected, access)
    const offered = (page: string) => [...page.matchAll(/https?:\/\/[\w.]+\.test/g)].map(([address]) => address)
    t.strictSame(offered((await gateway.ask('/', { browser })).text), offered(home))
    t.ok(offered(home).length > 0)
  }
})

const asks = (gateway: TestGateway) => async (url: string, options: Parameters<TestGateway['ask']>[1] = {}) => {
  const headers = { 'x-original-url': url, 'x-original-method': 'GET', 'x-forwarded-for': '198.51.100.1' }
  return await gateway.ask('/oauth2/auth', { ...options, headers })
}
const shadowLines = ({ log }: TestGateway) => log.filter(({ msg }) => String(msg).startsWith('shadow rule'))

t.test('what a shadow rule would have changed is counted each time and logged once for each person', async (t) => {
  const rules = [...SHADOWS, ...ENFORCED]
  for (const access of ['denied', 'all']) {
    const gateway = await startTestGateway(t, { config: withRules(rules, access) })
    const ask = asks(gateway)
    const { browser } = await gateway.signIn(PERSON_IDS.guest)
    const other = (await gateway.signIn(PERSON_IDS.staff)).browser
    gateway.gateway.activity.counters.take()
    for (let time = 0; time < 3; time++) {
      t.equal((await ask('https://app.test/admin/x', { browser })).status, 200)
      t.equal((await ask('https://closed.test/', { browser })).status, 403)
      t.equal((await ask('https://closed.test/')).status, 401)
    }
    t.equal((await ask('https://app.test/admin/x', { browser: other })).status, 200)
    const keys = ruleKeys(gateway.config.access.rules)
    const counts = gateway.gateway.activity.counters.take().filter(({ kind }) => kind !== 'answer')
    t.strictSame(counts.map(({ kind, key, count }) => `${kind} ${keys.indexOf(key)}: ${count}`).sort(), [
      'rule 0: 4',
      'rule 1: 6',
      'rule 3: 3',
      'rule 4: 4',
      'shadow_let_in 1: 6',
      'shadow_refused 0: 4',
    ], access)
    const lines = shadowLines(gateway)
    t.equal(lines.length, 3, 'two people, and those without a session as one')
    t.match(lines[0], {
      msg: 'shadow rule Admin pages for operators would have refused a request that was let in',
      rule: 'Admin pages for operators',
      allows: 'superusers alone',
      host: 'app.test',
      path: '/admin/x',
      method: 'GET',
    })
    t.match(lines[1], { rule: 'access.rules[1]', username: undefined })
  }
  const silent = await startTestGateway(t, { config: withRules(rules, 'none') })
  await asks(silent)('https://closed.test/')
  t.strictSame(shadowLines(silent), [])
})

t.test('a refusal and the log name the rule', async (t) => {
  const gateway = await startTestGateway(t, { config: withRules(ENFORCED) })
  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  const headers = {
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'closed.test',
    'x-forwarded-uri': '/',
    'x-forwarded-method': 'GET',
    'x-forwarded-for': '198.51.100.1',
  }
  const json = await gateway.ask('/oauth2/forward-auth', {
    browser,
    headers: { ...headers, accept: 'application/json' },
  })
  t.match(JSON.parse(json.text), { rule: 'Nobody yet', allows: 'members of Nobody, superusers' })
  const page = await gateway.ask('/oauth2/forward-auth', { browser, headers: { ...headers, accept: 'text/html' } })
  t.match(page.text, /data-field="rule">Nobody yet</)
  t.match(gateway.log.filter(({ msg }) => msg === 'access denied'), [{ rule: 'Nobody yet' }, { rule: 'Nobody yet' }])
})

const NO_ONE = { groups: [], permissions: [], staff: undefined, superuser: undefined }
const DIFFERS: ShadowDecision = {
  rule: {
    path: 'access.rules[0]',
    allow: { ...NO_ONE, groups: ['a secret'] },
    allows: 'as shown',
    description: 'app.test',
  },
  kind: 'not_allowed',
  decides: true,
}
const session = (userId: string) => ({ userId, username: userId }) as never
const requestOf = (userId: string) => ({
  target: parseTargetUrl('https://app.test/', 'GET'),
  address: () => undefined,
  session: session(userId),
})

// proves: policy-shadow-log-once, policy-shadow-log-bounded
t.test('lines are bounded: one for each person and minute, of a thousand people', async (t) => {
  let time = 0
  const lines: unknown[] = []
  const observer = createShadowObserver({
    shadows: () => ({ judge: () => [], count: () => [DIFFERS, DIFFERS] }),
    log: { info: (facts: unknown) => lines.push(facts), error: () => {} } as never,
    now: () => time,
  })
  for (let person = 0; person < 1_500; person++) observer.observe(requestOf(`user-${person}`), true)
  t.equal(lines.length, 1_000)
  t.match(lines[0], { username: 'user-0', allows: 'as shown', rules: ['access.rules[0]', 'access.rules[0]'] })
  time = 59_999
  for (let person = 0; person < 1_500; person++) observer.observe(requestOf(`user-${person}`), true)
  t.equal(lines.length, 1_000)
  time = 60_001
  observer.observe(requestOf('user-1499'), true)
  t.match(lines.slice(1_000), [{ username: 'user-1499' }])
})

// proves: policy-shadow-never-fails
t.test('a failure of the judgement does not reach the answer', async (t) => {
  const errors: unknown[] = []
  const failing: ShadowRules = {
    judge: () => [],
    count: () => {
      throw new Error('broken')
    },
  }
  const observer = createShadowObserver({
    shadows: () => failing,
    log: { info: () => {}, error: (facts: unknown) => errors.push(facts) } as never,
    now: () => 0,
  })
  for (let time = 0; time < 3; time++) observer.observe(requestOf('max'), true)
  t.equal(errors.length, 1)
})
