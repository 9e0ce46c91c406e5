// The checks of `doctor` in the console and its API: who may run them, how often they run, and that their results are
// those of the command.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { createDoctorAdmin } from '../../../src/admin/doctor.js'
import type { AdminUseCases } from '../../../src/admin/use-cases.js'
import type { DiagnosisResult } from '../../../src/core/diagnosis.js'
import { ENDPOINTS } from '../../../src/http/admin/api/endpoints.js'
import { runInProcess } from '../../helpers/command.js'
import { CLIENT_SECRET, ENCRYPTION_SECRET, MAPPING, SESSION_SECRET } from '../../helpers/gateway.js'
import { startFrame } from './frame.js'
import { startAdminScene } from './helper.js'

const POLICY = 'gatehouse.policy'
const HOSTILE = `'"><script>alert(1)</script>\u202e${'x'.repeat(240)}`
const PAGE = '/admin/system/doctor'
const FORM = {
  headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' },
  body: '_csrf=token',
}
const API = { headers: { 'x-csrf-token': 'token', 'content-type': 'application/json' }, body: '{}' }

const ok: DiagnosisResult = { check: 'Graph', state: 'ok', code: 'graph_reachable', message: 'Graph answers' }

// proves: admin-doctor-once
t.test('runs at the same time are one', async (t) => {
  let runs = 0
  let end: (results: readonly DiagnosisResult[]) => void = () => {}
  const look = () => {
    runs++
    return new Promise<readonly DiagnosisResult[]>((resolve) => (end = resolve))
  }
  const doctor = createDoctorAdmin({ parts: [{ check: 'Graph', look }] })
  t.equal(doctor.last(), undefined)
  const both = [doctor.run(), doctor.run()]
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(runs, 1)
  end([ok])
  const [one] = await Promise.all(both)
  t.match(one, { healthy: true, results: [ok] })
  t.equal(doctor.last(), one)
})

// proves: admin-doctor-kept
t.test('a result is kept for ten seconds after the end of its run', async (t) => {
  let at = 0
  let runs = 0
  const look = async () => {
    runs++
    return [ok]
  }
  const doctor = createDoctorAdmin({ parts: [{ check: 'Graph', look }], now: () => at })
  await doctor.run()
  at = 9_999
  await doctor.run()
  t.equal(runs, 1)
  at = 10_000
  await doctor.run()
  t.equal(runs, 2)
})

t.test('what gives no result, or fails itself, is a failure of its part alone', async (t) => {
  const doctor = createDoctorAdmin({
    limitMs: 50,
    parts: [
      { check: 'Entra ID', look: () => new Promise(() => {}) },
      { check: 'Graph', look: async () => [ok] },
      { check: 'steps', look: () => Promise.reject(new Error('canary')) },
    ],
  })
  const { healthy, results } = await doctor.run()
  t.notOk(healthy)
  t.strictSame(results.map(({ check, state, code }) => `${check} ${state} ${code}`), [
    'Entra ID fail time_limit',
    'Graph ok graph_reachable',
    'steps fail internal',
  ])
})

// proves: admin-page-form
t.test('the page shows results, and runs the checks for its own form alone', async (t) => {
  let runs = 0
  const hostile: DiagnosisResult = { ...ok, state: 'fail', message: HOSTILE, remedy: HOSTILE }
  const look = async () => {
    runs++
    return [ok, hostile]
  }
  const doctor = createDoctorAdmin({ parts: [{ check: 'Graph', look }] })
  const ask = await startFrame(t, ENDPOINTS, { doctor } as unknown as AdminUseCases)

  t.match((await ask(PAGE, POLICY)).text, 'has not run the checks')
  for (const body of ['', '_csrf=other', '_csrf=token&_csrf=token']) {
    const refused = await ask(PAGE, POLICY, { ...FORM, body })
    t.equal(refused.status, 403, body)
    t.match(refused.text, 'data-field="code">form_refused<', body)
  }
  t.equal((await ask(PAGE, 'gatehouse.read', FORM)).status, 403)
  t.equal((await ask('/admin/api/v1/doctor', 'gatehouse.read', API)).json.code, 'not_allowed')
  t.equal((await ask('/admin/api/v1/doctor', POLICY, { ...API, headers: {} })).json.code, 'form_refused')
  t.equal(runs, 0, 'nothing has run yet')

  const { status, text } = await ask(PAGE, POLICY, FORM)
  t.equal(status, 200)
  t.equal(runs, 1)
  t.match(text, '1 failed')
  t.match(text, 'Graph answers')
  t.notMatch(text, '<script>alert')
  t.match((await ask(PAGE, POLICY)).text, '1 failed', 'the last result is shown without a run')
  t.equal(runs, 1)
})

t.test('the results are those of the command, and show no secret', { timeout: 120_000 }, async (t) => {
  const { gateway, clients: { sue, sam } } = await startAdminScene(t, { groupMapping: MAPPING })
  const { url, config, databaseUrl, entra } = gateway
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-doctor-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'gatehouse.yaml')
  writeFileSync(
    file,
    stringify({
      server: { publicUrl: url },
      entra: {
        tenantId: config.entra.tenantId,
        clientId: config.entra.clientId,
        clientSecret: CLIENT_SECRET,
        authorityHost: entra.url,
        graphUrl: entra.graphUrl,
        allowHttp: true,
      },
      database: { url: databaseUrl },
      session: { secrets: [SESSION_SECRET] },
      keys: { encryptionSecrets: [ENCRYPTION_SECRET] },
      groupMapping: MAPPING,
    }),
  )
  const command = JSON.parse((await runInProcess(['doctor', '--config', file, '--json'])).stdout) as Result
  const request = {
    method: 'POST',
    headers: { 'sec-fetch-site': 'same-origin', 'x-csrf-token': sue.csrfToken },
  }
  const answer = await sue.ask('/doctor', request)
  t.equal(answer.status, 200)
  const console_ = answer.json as unknown as Result
  const compared = ({ results }: Result) =>
    results.filter(({ check }) => check !== 'configuration').map((result) =>
      JSON.parse(JSON.stringify(result)) as object
    )
      .map((result) => Object.fromEntries(Object.entries(result).filter(([, value]) => value !== null)))
  t.ok(compared(command).length > 8)
  t.strictSame(compared(console_), compared(command))
  t.equal(console_.healthy, command.healthy)

  t.match((await sue.browser.ask(`${url}/admin/system`)).text, 'id="run-doctor"')
  t.notMatch((await sam.browser.ask(`${url}/admin/system`)).text, 'id="run-doctor"')
  entra.app.secrets = [{ id: 'f0000000-0000-4000-8000-000000000002', value: 'replaced' }]
  const page = await sue.browser.ask(`${url}${PAGE}`, { method: 'POST', form: { _csrf: sue.csrfToken } })
  t.equal(page.status, 200)
  const { password } = new URL(databaseUrl)
  for (const secret of [CLIENT_SECRET, SESSION_SECRET, ENCRYPTION_SECRET, ...password === '' ? [] : [password]]) {
    t.notOk(page.text.includes(secret) || answer.text.includes(secret))
  }
})

interface Result {
  readonly healthy: boolean
  readonly results: readonly DiagnosisResult[]
}
