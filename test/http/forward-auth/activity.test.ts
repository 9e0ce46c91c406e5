// What the console shows of answers, sign-ins and hits of access rules: counted by a gateway that has `admin` in its
// configuration, on the fast path and by the route.
import t from 'tap'
import { ruleKeys } from '../../../src/core/activity.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { startTestGateway, type TestGateway } from '../../helpers/gateway.js'

const ACCESS = {
  default: 'deny',
  rules: [
    { hosts: ['app.test'], networks: ['203.0.113.0/24'], allow: 'anyone' },
    { hosts: ['app.test'], paths: ['/admin/**'], allow: { groups: ['Nobody'] } },
    { hosts: ['app.test'], allow: 'authenticated' },
    { hosts: ['open.test'], networks: ['203.0.113.0/24'], allow: 'anyone' },
    { hosts: ['open.test'], allow: 'anyone' },
    { hosts: ['closed.test'], allow: 'authenticated' },
  ],
}
const COUNTED = { access: ACCESS, admin: {}, log: { access: 'none' } }

const asks = (gateway: TestGateway) => async (url: string, options: Parameters<TestGateway['ask']>[1] = {}) => {
  const { headers, path = '/oauth2/auth', ...rest } = options as typeof options & { path?: string }
  const target = new URL(url)
  const { status } = await gateway.ask(path, {
    ...rest,
    headers: {
      'x-original-url': url,
      'x-original-method': 'GET',
      'x-forwarded-for': '198.51.100.1',
      'x-forwarded-proto': target.protocol.slice(0, -1),
      'x-forwarded-host': target.host,
      'x-forwarded-uri': target.pathname,
      'x-forwarded-method': 'GET',
      ...headers,
    },
  })
  return status
}

/** What was counted since the last call, as `kind key: count`; of rules the index. */
function counts({ gateway, config }: TestGateway): readonly string[] {
  const keys = ruleKeys(config.access.rules)
  return gateway.activity.counters.take()
    .map(({ kind, key, count }) =>
      `${kind} ${kind === 'rule' && keys.includes(key) ? keys.indexOf(key) : key}: ${count}`
    )
    .sort()
}

// proves: admin-activity-address
t.test('an answer counts for the rule that matches the address, also where every address may pass', async (t) => {
  const gateway = await startTestGateway(t, { config: COUNTED })
  const ask = asks(gateway)
  for (
    const [client, times] of [['203.0.113.7:4711', 2], ['198.51.100.1', 3], ['198.51.100.1, 203.0.113.7', 1]] as const
  ) {
    for (let time = 0; time < times; time++) {
      t.equal(await ask('https://open.test/', { headers: { 'x-forwarded-for': client } }), 200)
    }
  }
  t.strictSame(counts(gateway), ['answer allowed: 6', 'rule 3: 3', 'rule 4: 3'])
})

// proves: admin-activity-asked-twice, admin-activity-route-twice
t.test('an answer that the proxy asks for twice counts once', async (t) => {
  for (const access of ['none', 'all']) { // the fast path answers, or the route
    const gateway = await startTestGateway(t, { config: { ...COUNTED, log: { access } } })
    const ask = asks(gateway)
    const { browser } = await gateway.signIn(PERSON_IDS.guest)
    await ask('https://app.test/', { browser })
    counts(gateway)
    const asked = async (url: string, options = {}) => {
      const status = await ask(url, { ...options, path: '/oauth2/auth?refusals=unlogged' } as object)
      if (status !== 200) await ask(url, { ...options, path: '/oauth2/forward-auth' } as object)
      return status
    }
    t.equal(await asked('https://app.test/', { browser }), 200)
    t.equal(await asked('https://app.test/admin/', { browser }), 403)
    t.equal(await asked('https://app.test/'), 401)
    t.equal(await asked('https://closed.test/'), 401)
    t.equal(await asked('gopher://app.test/'), 403)
    t.strictSame(counts(gateway), [
      'answer allowed: 1',
      'answer not_allowed: 1',
      'answer not_signed_in: 2',
      'answer target_malformed: 1',
      'rule 1: 1',
      'rule 2: 2',
    ], access)
  }
})

t.test('sign-ins count by their result, and all of it is written and read', async (t) => {
  const gateway = await startTestGateway(t, { config: COUNTED })
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  await gateway.signIn(PERSON_IDS.guest)
  t.equal(await asks(gateway)('https://app.test/', { browser }), 200)
  await gateway.ask('/oauth2/callback?error=access_denied&state=x')
  const { reader, flush } = gateway.gateway.activity
  await flush()
  const read = async (kind: 'answer' | 'sign_in' | 'superusers') => {
    const { series } = await reader.series({ kind, bucket: 'hour', range: 2 * 3_600_000 })
    return series.map(({ key, total }) => [key, total])
  }
  t.strictSame(await read('sign_in'), [['completed', 2]])
  t.strictSame(await read('answer'), [['allowed', 1]])
  t.strictSame(await read('superusers'), [['staff', 1], ['superusers', 0]])
  t.match(await reader.ruleHits(), [{ key: ruleKeys(gateway.config.access.rules)[2], day: 1, week: 1, month: 1 }])
})

t.test('a rule that a reload moves keeps its hits', async (t) => {
  const gateway = await startTestGateway(t, { config: COUNTED })
  const ask = asks(gateway)
  t.equal(await ask('https://open.test/'), 200)
  gateway.reload({ ...COUNTED, access: { ...ACCESS, rules: ACCESS.rules.slice(4, 5) } })
  t.equal(await ask('https://open.test/'), 200)
  await gateway.gateway.activity.flush()
  t.match(await gateway.gateway.activity.reader.ruleHits(), [
    { key: ruleKeys(gateway.config.access.rules)[4], day: 2 },
  ])
})

t.test('without `admin` nothing is counted', async (t) => {
  const gateway = await startTestGateway(t, { config: { access: ACCESS } })
  t.equal(await asks(gateway)('https://open.test/'), 200)
  await gateway.signIn(PERSON_IDS.staff)
  t.strictSame(counts(gateway), [])
})
