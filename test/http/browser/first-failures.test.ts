// What an operator's alerts go by: each series is there from the start, at 0, so that increase() sees the first
// failure, and what happens once is counted once.
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { signsOf } from '../../../src/docs/error-reference.js'
import { LOGIN_FAILURES, FAILURES, type ErrorCode } from '../../../src/core/errors.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { REVOCATIONS } from '../../../src/store/record-counts.js'
import { createBrowser } from '../../helpers/browser.js'
import { startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { seriesOf } from '../../helpers/metrics.js'
import { program } from '../../helpers/programs.js'
import { originalHeaders } from '../../helpers/targets.js'
import { databaseFaultProxy } from '../../helpers/tcp-fault-proxy.js'
import { until } from '../../helpers/until.js'
import { createSessionAdmin, createUserAdmin } from '../../helpers/acts.js'

const APP = { applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'] }
const TARGET = originalHeaders('https://app.test/there')

// proves: adv-series-from-zero, adv-misnamed-gauges
t.test('each series whose labels are known begins at 0', async (t) => {
  const gateway = await startTestGateway(t, { app: APP, config: { sync: {} } })
  const atStart = await seriesOf(gateway)
  const zero = (series: string) => t.equal(atStart.get(series), 0, series)
  for (const result of ['ok', ...LOGIN_FAILURES]) zero(`gatehouse_login_duration_seconds_count{result="${result}"}`)
  for (const code of Object.keys(FAILURES)) zero(`gatehouse_requests_refused_total{code="${code}"}`)
  for (const part of ['entra', 'graph']) {
    zero(`gatehouse_upstream_throttled_total{part="${part}"}`)
    for (const status of [0, 401, 403, 429, 503]) {
      zero(`gatehouse_upstream_duration_seconds_count{part="${part}",status="${status}"}`)
    }
  }
  for (const endpoint of ['auth', 'forward-auth', 'ext-authz/*']) {
    for (const status of [200, 401, 403, 500, 503]) {
      const labels = `endpoint="/oauth2/${endpoint}",status="${status}"`
      zero(`gatehouse_forward_auth_duration_seconds_count{${labels}}`)
    }
  }
  for (const source of ['memory', 'database', 'none', 'grace']) {
    zero(`gatehouse_session_lookups_total{source="${source}"}`)
  }
  for (const result of ['disabled', 'failed', 'stale_session']) zero(`gatehouse_sync_people_total{result="${result}"}`)
  for (const action of REVOCATIONS) zero(`gatehouse_revocations_total{action="${action}"}`)
  for (const status of [200, 401, 429, 503]) zero(`gatehouse_userinfo_total{status="${status}"}`)
  for (
    const series of [
      'gatehouse_logins_started_total',
      'gatehouse_mapping_groups_missing_total',
      'gatehouse_access_unnamed_host_total',
      'gatehouse_graph_throttled_until_seconds',
      'gatehouse_superusers',
      'gatehouse_database_waiting',
    ]
  ) zero(series)
  t.notOk([...atStart.keys()].some((name) => name.startsWith('gatehouse_entra_credential')), 'not known, not shown')

  const promtool = program(t, 'promtool')
  const text = await (await fetch(`${gateway.management}/metrics`)).text()
  if (promtool === undefined) return
  const { status, stderr } = spawnSync(promtool, ['check', 'metrics'], { input: text, encoding: 'utf8' })
  t.strictSame({ status, stderr }, { status: 0, stderr: '' }, 'promtool check metrics')
})

/** Until the series stands at this: counts of the database are read every 15 seconds. */
const stands = (gateway: TestGateway, series: string, value: number): Promise<boolean> =>
  until(async () => (await seriesOf(gateway)).get(series) === value)

t.test('each code has a place where an operator sees it, and a series of that name if it is a metric', async (t) => {
  const gateway = await startTestGateway(t, { config: { sync: {} } })
  const series = await seriesOf(gateway)
  const { parts } = JSON.parse(await (await fetch(`${gateway.management}/readyz`)).text()) as { parts: object }
  for (const code of Object.keys(FAILURES) as ErrorCode[]) {
    const signs = signsOf(code)
    t.ok(signs.length > 0, code)
    for (const sign of signs) {
      const [kind = '', part = ''] = sign.split(' ')
      if (kind === 'login') t.ok(series.has(`gatehouse_login_duration_seconds_count{result="${code}"}`), code)
      else if (kind === 'refused') t.ok(series.has(`gatehouse_requests_refused_total{code="${code}"}`), code)
      else if (kind === 'readyz') t.ok(part in parts, `${code}: ${part}`)
      else t.ok(kind === 'command' || kind === 'start', `${code}: ${kind}`)
    }
  }
})

t.test('what an operator asks about is counted', async (t) => {
  const gateway = await startTestGateway(t, { app: APP })
  const value = async (series: string) => (await seriesOf(gateway)).get(series)
  const refused = (code: string) => value(`gatehouse_requests_refused_total{code="${code}"}`)
  const line = (code: string) => gateway.log.filter((each) => each.code === code).at(-1)

  // proves: adv-cookies-lost
  await t.test('callbacks that cannot be completed, each with a remedy in the log', async (t) => {
    await gateway.ask('/oauth2/callback?code=abc')
    await gateway.ask('/oauth2/callback?code=abc&state=forged')
    t.strictSame(
      { state_missing: await refused('state_missing'), state_invalid: await refused('state_invalid') },
      { state_missing: 1, state_invalid: 1 },
    )
    for (const code of ['state_missing', 'state_invalid']) t.type(line(code)?.remedy, 'string', code)
    const browser = createBrowser()
    const { cookies } = browser
    const first = await browser.ask(`${gateway.url}/oauth2/start`)
    const state = (location: string | undefined) => new URL(location ?? '').searchParams.get('state') ?? ''
    cookies.clear() // as a browser that blocks cookies
    const second = await browser.ask(`${gateway.url}/oauth2/callback?code=a&state=${state(first.location)}`)
    cookies.clear()
    const third = await browser.ask(`${gateway.url}/oauth2/callback?code=a&state=${state(second.location)}`)
    t.match(third.text, 'state_other_browser')
    t.ok((await refused('state_other_browser') ?? 0) >= 2)
    t.match(line('state_other_browser'), { level: 'warn', remedy: /Set-Cookie/, host: String })
  })
  // proves: adv-revocations-counted
  await t.test('starts, userinfo, superusers and revocations by any actor', async (t) => {
    const before = await value('gatehouse_logins_started_total') ?? 0
    const { browser } = await gateway.signIn(PERSON_IDS.superuser)
    const { browser: another } = await gateway.signIn(PERSON_IDS.staff)
    t.equal(await value('gatehouse_logins_started_total'), before + 2)
    await gateway.ask('/oauth2/userinfo', { browser })
    await gateway.ask('/oauth2/userinfo')
    t.equal(await value('gatehouse_userinfo_total{status="200"}'), 1)
    t.equal(await value('gatehouse_userinfo_total{status="401"}'), 1)
    t.ok(await stands(gateway, 'gatehouse_superusers', 1))
    await gateway.ask('/oauth2/auth', { browser: another, headers: TARGET })
    const { config, gateway: { database } } = gateway
    await createSessionAdmin(database, config.session).revokeAll({}, 'test')
    t.ok(await stands(gateway, 'gatehouse_revocations_total{action="session.revoke"}', 2), 'one for each person')
    const users = await database.ask((db) => db.query.users.findMany())
    const superuser = users.find(({ isSuperuser }) => isSuperuser)
    await createUserAdmin(database).setActive(superuser?.id ?? '', false, 'test')
    t.ok(await stands(gateway, 'gatehouse_superusers', 0))
    t.ok(await stands(gateway, 'gatehouse_revocations_total{action="user.deactivate"}', 1))
    t.equal(await value('gatehouse_revocations_total{action="session.revoke"}'), 2, 'counted once')
    const connections = await Promise.all(
      ['busy', 'idle'].map((state) => value(`gatehouse_database_connections{state="${state}"}`)),
    )
    t.ok((connections[0] ?? 0) + (connections[1] ?? 0) >= 1, connections.join())
  })
  await t.test('requests over a limit', async (t) => {
    const strict = await gateway.restart({ server: { rateLimit: 2 } })
    for (let each = 0; each < 5; each++) await strict.ask('/oauth2/start')
    const series = await seriesOf(strict)
    t.ok((series.get('gatehouse_requests_refused_total{code="rate_limited"}') ?? 0) >= 2)
  })
})

// proves: adv-grace-counted
t.test('without a database: answers in grace are counted as such, what got no answer is not counted', async (t) => {
  const door = databaseFaultProxy(t)
  const gateway = await startTestGateway(t, {
    config: { session: { outageGrace: '10m' } },
    throughProxy: door.throughProxy,
  })
  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  const { browser: staff } = await gateway.signIn(PERSON_IDS.staff)
  await gateway.ask('/oauth2/auth', { browser, headers: TARGET })
  const from = async (source: string) =>
    (await seriesOf(gateway)).get(`gatehouse_session_lookups_total{source="${source}"}`)
  const before = await from('database')
  door.shut()
  const asked = async (who: typeof browser) => (await who.ask(`${gateway.url}/oauth2/auth`, { headers: TARGET })).status
  const until = Date.now() + 30_000
  while (Date.now() < until && await from('grace') === 0) {
    await asked(browser)
    await sleep(100)
  }
  t.ok((await from('grace') ?? 0) > 0)
  t.equal(await asked(staff), 503, 'no grace for staff')
  t.equal(await from('database'), before, 'nothing of this was answered by the database')
  const line = gateway.log.find(({ code, msg }) => code === 'database_unavailable' && msg === 'forward-auth refused')
  t.match(line, { host: 'app.test', path: '/there', status: 503 })
})

// proves: adv-proxy-status
t.test('a question that cannot be read is logged with the status that the proxy got', async (t) => {
  const gateway = await startTestGateway(t)
  const ask = (path: string, headers: Record<string, string>) => gateway.ask(path, { headers })
  const answers = [
    await ask('/oauth2/auth', originalHeaders('nonsense')),
    await ask('/oauth2/forward-auth', {
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'a b',
      'x-forwarded-uri': '/',
      'x-forwarded-method': 'GET',
    }),
  ]
  const logged = gateway.log.filter(({ code }) => code === 'target_malformed').map(({ status }) => status)
  t.strictSame(logged, answers.map(({ status }) => status))
  t.equal(answers[0]?.status, 403)
})
