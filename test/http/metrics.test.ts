// What Prometheus is told: numbers about everything, names of nobody; on the management port alone.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser } from '../helpers/browser.js'
import { startTestGateway } from '../helpers/gateway.js'
import { seriesOf } from '../helpers/metrics.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'
import { until } from '../helpers/until.js'

t.test('metrics', async (t) => {
  const gateway = await startTestGateway(t, {
    groups: ['Network Engineers'],
    app: { applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'] },
    config: { sync: {} },
  })
  const read = async () => {
    const answer = await fetch(`${gateway.management}/metrics`)
    t.equal(answer.status, 200)
    t.match(answer.headers.get('content-type'), /^text\/plain/)
    return await answer.text()
  }
  const value = (text: string, series: string) =>
    Number(text.split('\n').find((line) => line.startsWith(`${series} `))?.split(' ').at(-1))
  const target = { 'x-original-url': 'https://secret-host.test/secret-path', 'x-original-method': 'GET' }

  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  await gateway.signIn(PERSON_IDS.guest)
  for (let each = 0; each < 5; each++) await gateway.ask('/oauth2/auth', { browser, headers: target })
  for (let each = 0; each < 3; each++) await gateway.ask('/oauth2/auth', { browser: createBrowser(), headers: target })
  await gateway.ask('/oauth2/auth', { browser, headers: { 'x-original-url': 'nonsense' } })
  gateway.entra.faults.add({
    on: 'graph',
    times: 2,
    then: {
      kind: 'status',
      status: 403,
      body: { error: { code: 'Authorization_RequestDenied', message: 'no', innerError: {} } },
    },
  })
  await gateway.signIn(PERSON_IDS.nested)

  const text = await read()
  t.equal(value(text, 'gatehouse_forward_auth_duration_seconds_count{endpoint="/oauth2/auth",status="200"}'), 5)
  t.equal(value(text, 'gatehouse_forward_auth_duration_seconds_count{endpoint="/oauth2/auth",status="401"}'), 3)
  t.equal(value(text, 'gatehouse_forward_auth_duration_seconds_count{endpoint="/oauth2/auth",status="403"}'), 1)
  const buckets = [
    ...text.matchAll(
      /^gatehouse_forward_auth_duration_seconds_bucket\{endpoint="\/oauth2\/auth",status="200",le="([^"]+)"\} (\d+)$/gm,
    ),
  ].map(([, , count]) => Number(count))
  t.equal(buckets.at(-1), 5, 'the last bucket holds all')
  t.strictSame(buckets, [...buckets].sort((a, b) => a - b), 'each holds those before it')
  t.ok(value(text, 'gatehouse_forward_auth_duration_seconds_sum{endpoint="/oauth2/auth",status="200"}') > 0)
  t.equal(value(text, 'gatehouse_login_duration_seconds_count{result="ok"}'), 2)
  t.equal(value(text, 'gatehouse_login_duration_seconds_count{result="graph_forbidden"}'), 1)
  t.equal(value(text, 'gatehouse_session_lookups_total{source="database"}'), 1)
  t.equal(value(text, 'gatehouse_session_lookups_total{source="memory"}'), 4)
  t.equal(value(text, 'gatehouse_session_lookups_total{source="none"}'), 3)
  t.equal(value(text, 'gatehouse_cached_sessions'), 1)
  t.equal(value(text, 'gatehouse_change_listener_up'), 1)
  t.equal(value(text, 'gatehouse_mapping_groups_missing_total'), 1, 'Read Only, which is not there')
  t.ok(value(text, 'gatehouse_sync_lag_seconds') >= 0)
  t.ok([0, 1].includes(value(text, 'gatehouse_sync_here')))
  t.ok(value(text, 'gatehouse_upstream_duration_seconds_count{part="graph",status="403"}') >= 1)
  t.ok(value(text, 'gatehouse_upstream_duration_seconds_count{part="entra",status="200"}') >= 2)
  t.equal(value(await read(), 'gatehouse_session_lookups_total{source="memory"}'), 4, 'asked twice, counted once')
  for (
    const name of [
      'sam.staff',
      'gus.guest',
      'contoso',
      'Network Engineers',
      'Read Only',
      'secret-host',
      'secret-path',
      PERSON_IDS.staff,
    ]
  ) t.notOk(text.includes(name), `nothing about ${name}`)
  t.equal((await gateway.ask('/metrics')).status, 404, 'not on the public port')

  const documented = readFileSync('docs/metrics.md', 'utf8')
  const dashboard = readFileSync('config/grafana-dashboard.json', 'utf8')
  const ours = [...new Set([...text.matchAll(/^# TYPE (gatehouse_\w+) /gm)].map(([, name = '']) => name))].filter((
    name,
  ) => !/^gatehouse_(process|nodejs)_/.test(name))
  for (const name of ours) t.ok(documented.includes(`\`${name}\``), `docs/metrics.md: ${name}`)
  for (const [, name = ''] of dashboard.matchAll(/(gatehouse_\w+?)(?:_bucket|_count|_sum)?[{[)\s"]/g)) {
    t.ok(text.includes(name), `dashboard: ${name}`)
  }
  const ready = await (await fetch(`${gateway.management}/readyz`)).json()
  t.match(ready, { parts: { database: 'ok', changes: 'connected' } })
})

t.test('the age of the oldest transaction', async (t) => {
  const databaseUrl = await freshDatabase(t)
  const query = await connect(t, databaseUrl)
  await query('begin')
  await query('select pg_current_xact_id()')
  const began = performance.now()
  const gateway = await startTestGateway(t, { databaseUrl })
  const age = async () => (await seriesOf(gateway)).get('gatehouse_database_oldest_transaction_seconds') ?? Number.NaN
  const atLeast = (seconds: number) => until(async () => await age() >= seconds, 40_000)
  t.ok(await atLeast((performance.now() - began) / 1_000), 'it is counted, and read again')
  const before = await age()
  await query('rollback')
  t.ok(await until(async () => await age() < before, 60_000), 'once it has ended the metric falls')
})
