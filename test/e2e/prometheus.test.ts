// The alert rules, the scrape example and the dashboard in Debian's Prometheus: every panel's queries are evaluated
// after traffic and faults at a real gateway.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser } from '../helpers/browser.js'
import { freePorts, MAPPING, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { program, run } from '../helpers/programs.js'
import { originalHeaders } from '../helpers/targets.js'
import { databaseFaultProxy } from '../helpers/tcp-fault-proxy.js'
import { until } from '../helpers/until.js'
import { createSessionAdmin } from '../helpers/acts.js'

interface Panel {
  readonly title: string
  readonly targets: readonly { readonly expr: string }[]
}
interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

const PANELS = (JSON.parse(readFileSync('config/grafana-dashboard.json', 'utf8')) as { panels: Panel[] }).panels
const ALERTS = parse(readFileSync('config/alerts.yml', 'utf8')) as {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string, readonly expr: string }[] }[]
}
const TARGET = originalHeaders('https://elsewhere.test/there')

// proves: adv-alert-tests
t.test('the alert rules pass their own tests, and each rule has one', async (t) => {
  const promtool = program(t, 'promtool')
  if (promtool === undefined) return
  const { status, stdout, stderr } = spawnSync(promtool, ['test', 'rules', 'config/alerts.test.yml'], {
    encoding: 'utf8',
  })
  t.equal(status, 0, `${stdout}${stderr}`)
  const tried = (parse(readFileSync('config/alerts.test.yml', 'utf8')) as { tests: { name: string }[] }).tests
  for (const { alert } of ALERTS.groups.flatMap(({ rules }) => rules)) {
    for (const each of [alert, `${alert}, nothing is wrong`]) {
      t.equal(tried.filter(({ name }) => name === each).length, 1, each)
    }
  }
})

// proves: adv-management-in-compose
t.test('in compose Prometheus reaches the management port, which is closed from outside', async (t) => {
  type Service = { networks: string[], ports?: string[], volumes: string[], profiles?: string[] }
  const { services } = parse(readFileSync('compose.production.yml', 'utf8')) as { services: Record<string, Service> }
  const { gatehouse, prometheus } = services
  const scrape = parse(readFileSync('config/prometheus.yml', 'utf8')) as {
    readonly rule_files: string[]
    readonly scrape_configs: { readonly static_configs: { targets: string[] }[] }[]
  }
  t.strictSame(scrape.scrape_configs[0]?.static_configs[0]?.targets, ['gatehouse:4181'])
  t.strictSame(gatehouse?.ports, ['127.0.0.1:4180:4180'], 'the management port is not published')
  t.strictSame(prometheus?.networks, gatehouse?.networks)
  for (const port of prometheus?.ports ?? []) t.match(port, /^127\.0\.0\.1:/)
  for (const file of ['prometheus.yml', ...scrape.rule_files]) {
    t.ok(prometheus?.volumes.includes(`./config/${file}:/etc/prometheus/${file}:ro`), file)
  }
  t.match(readFileSync('Dockerfile', 'utf8'), /GATEHOUSE_MANAGEMENT_HOST=0\.0\.0\.0/)
  const guide = readFileSync('docs/deployment.md', 'utf8')
  t.match(guide, /management:\n +host: \$\{GATEHOUSE_MANAGEMENT_HOST:-127\.0\.0\.1\}/)
})

/** The shipped files, but for the target, the pace and where it listens. */
async function startPrometheus(
  t: Test,
  path: string,
  gateway: TestGateway,
): Promise<(query: string) => Promise<Sample[]>> {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-prometheus-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  cpSync('config/alerts.yml', join(home, 'alerts.yml'))
  const shipped = parse(readFileSync('config/prometheus.yml', 'utf8')) as Record<string, unknown>
  writeFileSync(
    join(home, 'prometheus.yml'),
    stringify({
      ...shipped,
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      scrape_configs: [{ job_name: 'gatehouse', static_configs: [{ targets: [new URL(gateway.management).host] }] }],
    }),
  )
  const [port] = await freePorts(1)
  await run(t, path, [
    `--config.file=${join(home, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(home, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ], { port: port ?? 0 })
  await until(async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok) // it listens before it is ready
  return async (query) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`)
    const { data, error } = await answer.json() as { data?: { result: Sample[] }, error?: string }
    if (data === undefined) throw new Error(`${error}: ${query}`)
    return data.result
  }
}

/**
 * Words of a panel's title, and a series that must have moved: label, value. Where there is none, any value will do.
 */
const MOVED: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'Answers to proxies': [['status', '200'], ['status', '401'], ['status', '403'], ['status', '503']],
  'Sign-ins: started': [['result', 'ok'], ['result', 'graph_forbidden']],
  'Requests to Entra ID': [['status', '200'], ['status', '403'], ['status', '429']],
  'Session lookups': [['source', 'memory'], ['source', 'database'], ['source', 'none'], ['source', 'grace']],
  'Pauses that Graph asked for': [['', ''], ['part', 'graph']],
  'Refused requests': [['code', 'rate_limited'], ['code', 'database_unavailable'], ['', '']],
  'Over a limit': [['', '']],
  'Answers of userinfo': [['status', '200'], ['status', '401']],
  'Revocations': [['action', 'session.revoke']],
  'Superusers': [['', '']],
  'Mapped local groups': [['', '']],
  'people, by result': [['result', 'unchanged']],
}

// proves: adv-dashboard
t.test('every panel shows the events of the test', async (t) => {
  const path = program(t, 'prometheus')
  if (path === undefined) return
  const door = databaseFaultProxy(t)
  const gateway = await startTestGateway(t, {
    groups: ['Network Engineers', 'NetBox Superusers', 'Circuit Manager'],
    app: { applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'] },
    config: {
      server: { rateLimit: 60 },
      sync: { interval: '1m' },
      session: { outageGrace: '10m' },
      access: { rules: [{ hosts: ['app.test'], allow: 'authenticated' }] },
      groupMapping: MAPPING.map((row) =>
        row.entraGroup === GROUP_IDS.networkEngineers ? { ...row, groups: ['Not Here'] } : row
      ),
    },
    throughProxy: door.throughProxy,
  })
  const query = await startPrometheus(t, path, gateway)
  t.ok(await until(async () => (await query('count_over_time(up{job="gatehouse"}[5m]) > 3')).length > 0), 'scraped')

  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  await gateway.signIn(PERSON_IDS.staff)
  const { browser: superuser } = await gateway.signIn(PERSON_IDS.superuser)
  const ask = (who = browser, headers: Record<string, string> = TARGET) =>
    who.ask(`${gateway.url}/oauth2/auth`, { headers })
  for (let each = 0; each < 5; each++) await ask()
  await ask(createBrowser())
  await ask(browser, originalHeaders('nonsense'))
  await browser.ask(`${gateway.url}/oauth2/userinfo`)
  await createBrowser().ask(`${gateway.url}/oauth2/userinfo`)
  gateway.entra.faults.add({ on: 'graph', times: 2, then: { kind: 'status', status: 403 } })
  await gateway.signIn(PERSON_IDS.nested)
  for (let each = 0; each < 70; each++) await createBrowser().ask(`${gateway.url}/oauth2/start`)
  const { database } = gateway.gateway
  await database.ask((db) => db.execute(sql`update entra_readings set read_at = read_at - interval '10 minutes'`))
  await gateway.gateway.reevaluation?.run()
  t.ok(await until(async () => (await query('max(gatehouse_superusers) == 1')).length > 0), 'superusers are counted')
  const admin = createSessionAdmin(database, gateway.config.session)
  const one = (await admin.list({})).rows.find(({ username }) => username.startsWith('sam'))
  await admin.revoke(one?.id ?? '', 'test')
  const revoked = 'max(gatehouse_revocations_total{action="session.revoke"}) == 1'
  t.ok(await until(async () => (await query(revoked)).length > 0), 'a revocation is counted')
  gateway.entra.faults.add({
    on: 'graph',
    times: Infinity,
    then: { kind: 'status', status: 429, headers: { 'retry-after': '600' } },
  })
  await gateway.gateway.reevaluation?.run()
  door.shut()
  t.ok(
    await until(async () => {
      await ask()
      const { status } = await ask(superuser)
      return status === 503 && (await query('gatehouse_session_lookups_total{source="grace"} > 0')).length > 0
    }),
    'an outage',
  )

  for (const { title, targets } of PANELS) {
    await t.test(title, async (t) => {
      const evaluate = async (): Promise<Sample[]> =>
        (await Promise.all(targets.map(({ expr }) => query(expr.replaceAll('$__rate_interval', '10m'))))).flat()
      const wanted = Object.entries(MOVED).find(([words]) => title.includes(words))?.[1] ?? []
      const shows = (samples: readonly Sample[], [label, value]: readonly [string, string]): boolean =>
        samples.some(({ metric, value: [, number] }) => (label === '' || metric[label] === value) && Number(number) > 0)
      if (title.startsWith('The credential')) {
        t.strictSame(await evaluate(), [], 'not known here')
        return
      }
      let samples: Sample[] = []
      await until(async () => {
        samples = await evaluate()
        return samples.length > 0 && wanted.every((each) => shows(samples, each))
      })
      t.ok(samples.length > 0, 'it is not empty')
      for (const each of wanted) t.ok(shows(samples, each), each.join(' '))
      for (const { metric, value: [, number] } of samples) {
        t.ok(Number(number) >= 0, `${JSON.stringify(metric)} ${number}`)
      }
    })
  }
  const firing = async () => (await query('ALERTS')).map(({ metric }) => metric.alertname)
  for (
    const alert of ['GatehouseGraphForbidden', 'GatehouseGroupMissing', 'GatehouseUnnamedHost', 'GatehouseAnswers503']
  ) {
    t.ok(await until(async () => (await firing()).includes(alert)), alert)
  }
})
