// What the gateway samples of forward-auth: on the fast path and by the route, each request once.
import t from 'tap'
import { ruleKeys } from '../../../src/core/activity.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { connect } from '../../helpers/sql.js'

const ACCESS = {
  default: 'deny',
  rules: [
    { hosts: ['app.test'], paths: ['/admin/**'], allow: { groups: ['Nobody'] } },
    { hosts: ['app.test'], allow: 'authenticated' },
    { hosts: ['open.test'], allow: 'anyone' },
  ],
}

async function asked(gateway: TestGateway, url: string, options: Parameters<TestGateway['ask']>[1] = {}) {
  const { status } = await gateway.ask('/oauth2/auth?refusals=unlogged', {
    ...options,
    headers: { 'x-original-url': url, 'x-original-method': 'GET' },
  })
  if (status === 200) return status
  const target = new URL(url)
  const forwarded = {
    'x-forwarded-proto': 'https',
    'x-forwarded-host': target.host,
    'x-forwarded-uri': `${target.pathname}${target.search}`,
    'x-forwarded-method': 'GET',
  }
  return (await gateway.ask('/oauth2/forward-auth', { ...options, headers: forwarded })).status
}

for (const access of ['none', 'all']) { // the fast path answers, or the route
  t.test(`every answer is sampled once, with its rule and no query (log.access: ${access})`, async (t) => {
    const gateway = await startTestGateway(t, { config: { access: ACCESS, admin: {}, log: { access } } })
    const query = await connect(t, gateway.databaseUrl)
    const { browser } = await gateway.signIn(PERSON_IDS.guest)
    t.equal(await asked(gateway, 'https://app.test/a/b/c/d?secret=1', { browser }), 200)
    t.equal(await asked(gateway, 'https://app.test/a/b/c/e?secret=2', { browser }), 200)
    t.equal(await asked(gateway, 'https://app.test/admin/x', { browser }), 403)
    t.equal(await asked(gateway, 'https://app.test/z?secret=3'), 302)
    t.equal(await asked(gateway, 'https://open.test/'), 200)
    t.equal(await asked(gateway, 'https://other.test/', { browser }), 403)
    await gateway.gateway.sampling.flush()
    const rows = await query<{ name: string | null, rule: string }>(
      `select u.username is not null as known, s.host || s.path as at, s.is_cut as cut, s.method, s.rule, s.count
      from sampled_requests s left join users u on u.id = s.user_id order by 2`,
    )
    const keys = ruleKeys(gateway.config.access.rules)
    t.strictSame(rows, [
      { known: true, at: 'app.test/a/b/c', cut: true, method: 'GET', rule: keys[1], count: 2 },
      { known: true, at: 'app.test/admin/x', cut: false, method: 'GET', rule: keys[0], count: 1 },
      { known: false, at: 'app.test/z', cut: false, method: 'GET', rule: '', count: 1 },
      { known: false, at: 'open.test/', cut: false, method: 'GET', rule: keys[2], count: 1 },
      { known: true, at: 'other.test/', cut: false, method: 'GET', rule: 'default', count: 1 },
    ])
    t.notMatch(JSON.stringify(await query('select * from sampled_requests')), /secret|127\.0\.0/)
  })
}

t.test('access.sample: 0 samples nothing, and neither does an installation without the console', async (t) => {
  for (const config of [{ access: { ...ACCESS, sample: 0 }, admin: {} }, { access: ACCESS }]) {
    const gateway = await startTestGateway(t, { config })
    const query = await connect(t, gateway.databaseUrl)
    t.equal(await asked(gateway, 'https://open.test/'), 200)
    await gateway.gateway.sampling.flush()
    t.strictSame(await query('select * from sampled_requests'), [])
  }
})
