// Live previews of a draft, in the API and the console, on replicas and beside the command: one in the installation,
// ended by Graph's first 429, never counted as an answer to sign-ins.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import type { PreviewResult } from '../../../src/core/policy-preview.js'
import { GROUP_IDS, PERSON_IDS } from '../../../src/demo/people.js'
import { giveAdminSession } from '../../helpers/admin.js'
import type { Browser } from '../../helpers/browser.js'
import { runInProcess } from '../../helpers/command.js'
import { commandConfig, MAPPING, startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { connect, dump, type Query } from '../../helpers/sql.js'
import { until } from '../../helpers/until.js'
import { deployScene, post } from './deploy-scene.js'
import { startAdminScene, type ApiAnswer } from './helper.js'

interface Preview {
  readonly state: string
  readonly code: string | null
  readonly until: string | null
  readonly live: boolean
  readonly done: number
  readonly result: PreviewResult | null
}

const BATCH = /\/\$batch/
const HANG = { on: 'graph', path: BATCH, times: Infinity, then: { kind: 'hang' } } as const

/** Sue's draft takes the flag superuser away from everybody. */
async function liveScene(t: Test) {
  const admin = await startAdminScene(t, { groupMapping: MAPPING })
  const { gateway, clients: { sue } } = admin
  const { entra } = gateway
  entra.app.applicationPermissions = ['User.Read.All', 'GroupMember.Read.All']
  const query = await connect(t, gateway.databaseUrl)
  const begin = async (text = stringify({ groupMapping: MAPPING.map((row) => ({ ...row, superuser: false })) })) => {
    const { json } = await post(sue, '/policy/drafts', { text })
    return `/policy/drafts/${String(json?.['id'])}/preview`
  }
  const path = await begin()
  const ask = async (body: object = { live: true }, at = path) => await post(sue, at, body)
  const ended = async (body: object = { live: true }, at = path) => {
    let answer: ApiAnswer | undefined
    await until(async () => (answer = await ask(body, at)).json?.['state'] !== 'running')
    return answer?.json as Preview | undefined
  }
  const batches = () => entra.requests.filter((request) => BATCH.test(request.path)).length
  return { ...admin, entra, query, begin, path, ask, ended, batches }
}

/** Another replica of the same installation. */
async function replicaBeside(t: Test, gateway: TestGateway): Promise<TestGateway> {
  return await startTestGateway(t, {
    databaseUrl: gateway.databaseUrl,
    config: {
      admin: {},
      groupMapping: MAPPING,
      server: { publicUrl: gateway.url },
      entra: { authorityHost: gateway.entra.url, graphUrl: gateway.entra.graphUrl },
    },
  })
}

/** The page of a draft's preview, and the form on it that asks Graph. */
function pageOf(gateway: TestGateway, browser: Browser, path: string, port = gateway.config.server.port) {
  const url = `http://127.0.0.1:${port}/admin${path.replace('/policy', '')}`
  return {
    async get(): Promise<string> {
      return (await browser.ask(url)).text
    },
    async send(): Promise<{ status: number, text: string }> {
      const [, csrf = ''] = /name="_csrf" value="([^"]+)"/.exec((await browser.ask(url)).text) ?? []
      const headers = { origin: gateway.url, 'sec-fetch-site': 'same-origin' }
      return await browser.ask(url, { method: 'POST', form: { _csrf: csrf, of: 'live' }, headers })
    },
  }
}

const readings = (query: Query) => query('select * from entra_readings order by user_id')

t.test('a live preview is by the groups that Graph has now, and stores none of them', async (t) => {
  const { entra, query, ended, ask } = await liveScene(t)
  const before = await readings(query)
  const stored = await ended({})
  t.match(stored, { state: 'done', live: false, result: { live: false, unavailable: 0, losses: 1 } })
  entra.directory.removeMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
  const guest = entra.directory.users.get(PERSON_IDS.guest)
  if (guest) guest.accountEnabled = false
  const began = new Date().toISOString()
  const live = await ended()
  t.match(live, { state: 'done', live: true, code: null, result: { live: true, unavailable: 1 } })
  t.ok((live?.result?.oldestReading ?? '') >= began)
  t.ok(live?.result?.changes.some(({ lost }) => lost.includes('NetBox Superusers')))
  t.match((await ask({})).json, { live: false, result: { hash: stored?.result?.hash } }, 'the other one is kept')
  t.strictSame(await readings(query), before)
  t.strictSame(await query('select * from live_preview'), [])
  t.match(await ask({ live: 'yes' }), { status: 400, json: { code: 'request_malformed' } })
  const low = entra.requests.filter(({ path }) => BATCH.test(path))
  t.ok(low.length > 0 && low.every(({ headers }) => headers['x-ms-throttle-priority'] === 'low'))
})

t.test('a deploy takes the hash of a live preview as that of the other one', async (t) => {
  const { gateway, sue, begin, deploy } = await deployScene(t)
  gateway.entra.app.applicationPermissions = ['User.Read.All', 'GroupMember.Read.All']
  const draft = await begin(({ groupMapping, ...policy }) => ({
    ...policy,
    groupMapping: (groupMapping as object[]).map((row) => ({ ...row, staff: false })),
  }))
  gateway.entra.directory.removeMember(GROUP_IDS.networkEngineers, PERSON_IDS.staff)
  const isDone = async () => (await post(sue, `${draft.path}/preview`, { live: true })).json?.['state'] === 'done'
  t.ok(await until(isDone))
  const { json } = await post(sue, `${draft.path}/preview`, { live: true })
  const { hash } = json?.['result'] as PreviewResult
  t.not(hash, draft.body['preview'])
  t.match(await deploy(draft), { status: 409, json: { code: 'policy_preview_stale' } }, 'the one before')
  t.match(await deploy(draft, { preview: hash }), { status: 200 })
})

// proves: policy-live-one, policy-preview-wanted
t.test('one runs in the installation: replicas, console and command say who runs it', async (t) => {
  const scene = await liveScene(t)
  const { gateway, entra, query, begin, path, ask, ended } = scene
  const other = await begin('requireMappedGroup: true\n')
  const beside = await replicaBeside(t, gateway)
  const { browser } = await giveAdminSession(gateway, PERSON_IDS.superuser)
  entra.faults.add(HANG)
  t.match(await ask(), { status: 200, json: { state: 'running', live: true } })
  t.match(await ask(), { status: 200, json: { state: 'running' } }, 'the same one')
  const busy = { code: 'live_preview_busy', detail: /sue\.super@contoso\.example began it at 20\d\d-.*:\d+/ }
  t.match(await ask({ live: true }, other), { status: 409, json: busy })
  t.match(await ended({}, other), { state: 'done', live: false }, 'others are made meanwhile')

  const page = pageOf(gateway, browser, other, beside.config.server.port)
  const refused = await page.send()
  t.equal(refused.status, 409)
  t.match(refused.text, /Another live preview runs: sue\.super@contoso\.example began it/)
  t.match(await pageOf(gateway, browser, path).get(), /Users read from Graph/)

  const directory = t.testdir({
    'gatehouse.yaml': stringify({ ...commandConfig(gateway), groupMapping: MAPPING }),
    'policy.yaml': 'groupMapping: []\n',
  })
  const command = () =>
    runInProcess([
      'policy',
      'preview',
      join(directory, 'policy.yaml'),
      '--live',
      '--config',
      join(directory, 'gatehouse.yaml'),
    ])
  const before = await dump(query)
  t.match(await command(), {
    status: 1,
    stderr: /Another live preview runs: sue\.super.*\n.*try again when it has ended/,
  })
  t.equal(await dump(query), before)

  entra.faults.clear()
  const closed = performance.now()
  await query("update policy_drafts set text = '# another' where text like '%superuser: false%'")
  t.ok(await until(async () => (await query('select 1 from live_preview')).length === 0))
  t.ok(performance.now() - closed < 20_000, 'a preview of a text that is not there any more ends')
  t.match(await command(), { status: 0, stdout: /read from Graph now/ })
})

// proves: policy-live-own-client
t.test('the first 429 ends it, and is no answer to sign-ins', async (t) => {
  const { gateway, entra, begin, ask, ended, batches, query } = await liveScene(t)
  await ended({})
  await gateway.signIn(PERSON_IDS.staff)
  const metric = async (name: string) => {
    const text = await (await fetch(`${gateway.management}/metrics`)).text()
    return text.split('\n').find((line) => line.startsWith(name))
  }
  const graph = async () =>
    (await (await fetch(`${gateway.management}/readyz`)).json() as { parts: { graph: { state: string } } }).parts.graph
  const answers = await metric('gatehouse_upstream_duration_seconds_count{part="graph",status="200"}')
  t.ok(answers)
  const none = 'gatehouse_upstream_throttled_total{part="graph"} 0'
  t.equal(await metric('gatehouse_upstream_throttled_total{part="graph"}'), none)
  const before = batches()
  entra.faults.add({ on: 'graph', path: BATCH, times: Infinity, then: { kind: 'throttle', retryAfter: '120' } })
  const failed = await ended()
  t.match(failed, { state: 'failed', code: 'graph_throttled', until: /Z$/, result: null })
  t.equal(batches() - before, 1, 'it is not repeated')
  const waits = Date.parse(failed?.until ?? '') - Date.now()
  t.ok(waits > 60_000 && waits <= 120_000)

  const asked = Date.now()
  t.equal((await gateway.signIn(PERSON_IDS.nested)).answer.status, 200)
  t.ok(entra.requests.some(({ at, path }) => at >= asked && path.includes('/transitiveMemberOf')), 'straight to Graph')
  t.match(await graph(), { state: 'ok' })
  t.equal(await metric('gatehouse_upstream_throttled_total{part="graph"}'), none)
  t.equal(await metric('gatehouse_graph_throttled_until_seconds'), 'gatehouse_graph_throttled_until_seconds 0')

  const sent = batches()
  t.match(await ask(), { status: 200, json: { state: 'failed', until: failed?.until } })
  await query("update live_preview set renewed_at = now() - interval '1 minute'") // longer than a lease
  const other = await begin('requireMappedGroup: true\n')
  t.match(await ask({ live: true }, other), {
    status: 503,
    json: { code: 'graph_throttled', detail: /preview before/ },
  })
  t.equal(batches(), sent, 'Graph is left alone for as long')
  t.match((await ask({})).json, { state: 'done', live: false }, 'the other preview is kept')
  const { browser } = await giveAdminSession(gateway, PERSON_IDS.superuser)
  const page = pageOf(gateway, browser, other.replace(/drf_\w+/, (id) => id))
  t.match(await page.send(), { status: 503, text: /asked a live preview before to wait/ })
  await query("update live_preview set until = now() - interval '1 second'")
  entra.faults.clear()
  t.match(await ended({ live: true }, other), { state: 'done' })
})

t.test('a response of a batch that is 429 ends it too', async (t) => {
  const { entra, ended, batches } = await liveScene(t)
  const before = batches()
  entra.faults.add({ on: 'graph', path: /transitiveMemberOf/, then: { kind: 'throttle', retryAfter: '30' } })
  t.match(await ended(), { state: 'failed', code: 'graph_throttled', until: /Z$/ })
  t.equal(batches() - before, 1)
})

t.test('it gives way to sign-ins that have to wait, on any replica', async (t) => {
  const { gateway, entra, query, ask, ended } = await liveScene(t)
  const beside = await replicaBeside(t, gateway)
  entra.faults.add(HANG)
  t.match(await ask(), { json: { state: 'running' } })
  const throttle = { kind: 'throttle', retryAfter: '60' } as const
  entra.faults.add({ on: 'graph', path: /^\/v1\.0\/users\/[^/]+\/transitiveMemberOf/, times: Infinity, then: throttle })
  const isHeld = async () => (await query('select 1 from replicas where throttled_until > now()')).length > 0
  const browser = await beside.signIn(PERSON_IDS.staff)
  t.not(browser.answer.status, 200)
  t.ok(await until(isHeld))
  t.match(await ended(), { state: 'failed', code: 'graph_throttled' })
  await query("update policy_previews set written_at = now() - interval '2 minutes', until = null")
  t.match(await ask(), { status: 503, json: { code: 'graph_throttled', detail: /sign-ins to wait until/ } })
})

t.test('Entra ID or Graph that is down ends it with the reason, and the page has the remedy', async (t) => {
  const { gateway, entra, query, path, ask, ended } = await liveScene(t)
  const { browser } = await giveAdminSession(gateway, PERSON_IDS.superuser)
  await ended({})
  const before = await readings(query)
  entra.faults.add({ on: 'token', times: Infinity, then: { kind: 'reset' } })
  t.match(await ended(), { state: 'failed', code: 'entra_unavailable', until: null })
  const page = pageOf(gateway, browser, path)
  t.match(
    await page.get(),
    /fresh readings has failed: Microsoft Entra ID is not available[\s\S]*Doctor[\s\S]*Lose a right/,
  )
  entra.faults.clear()
  await query("update policy_previews set written_at = now() - interval '2 minutes' where live")
  entra.faults.add({ on: 'graph', path: BATCH, times: Infinity, then: { kind: 'reset' } })
  t.match(await ended(), { state: 'failed', code: 'graph_unavailable' })
  t.strictSame(await readings(query), before)
  t.match((await ask({})).json, { state: 'done', live: false })
})

t.test('a replica that is to end lets it go at once', async (t) => {
  const { gateway, entra, query, ask } = await liveScene(t)
  entra.faults.add(HANG)
  t.match(await ask(), { json: { state: 'running' } })
  t.ok(await until(() => entra.requests.some((request) => BATCH.test(request.path))))
  const began = performance.now()
  await gateway.close()
  t.ok(performance.now() - began < 5_000, `${Math.round(performance.now() - began)} ms`)
  t.strictSame(await query('select * from live_preview'), [])
  t.match(await query('select state, code from policy_previews where live'), [{ code: 'preview_interrupted' }])
})

t.test('a process that is killed lets it go within its lease', async (t) => {
  const { gateway, entra, query, ask, ended } = await liveScene(t)
  const directory = t.testdir({ 'policy.yaml': 'groupMapping: []\n' })
  const config = join(directory, 'gatehouse.yaml')
  writeFileSync(config, stringify({ ...commandConfig(gateway), groupMapping: MAPPING }))
  entra.faults.add(HANG)
  const args = ['dist/cli.js', 'policy', 'preview', join(directory, 'policy.yaml'), '--live', '--config', config]
  const command = spawn(process.execPath, args, { stdio: 'ignore' })
  t.ok(await until(() => entra.requests.some((request) => BATCH.test(request.path))))
  t.match(await ask(), { status: 409, json: { detail: /cli:\S+ began it/ } })
  command.kill('SIGKILL')
  await once(command, 'exit')
  entra.faults.clear()
  t.match(await ask(), { status: 409 }, 'nobody knows yet')
  const killed = performance.now()
  t.ok(await until(async () => (await ask()).status === 200))
  t.ok(performance.now() - killed < 20_000, `${Math.round(performance.now() - killed)} ms`)
  t.match(await ended(), { state: 'done' })
  t.strictSame(await query('select * from live_preview'), [])
})
