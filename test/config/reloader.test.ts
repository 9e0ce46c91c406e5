// A running gateway's configuration: replaced whole by one that is right, kept whole where it is not.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { configHash } from '../../src/config/config-hash.js'
import type { Config } from '../../src/config/config.js'
import { createConfigReloader } from '../../src/config/reloader.js'
import { loadConfig } from '../../src/config/load.js'
import { STEPS } from '../../src/core/pipeline/index.js'
import { createCustomSteps } from '../../src/custom-steps/registry.js'

const ID = '11111111-2222-3333-4444-555555555555'
const CONFIG = `
server: { publicUrl: https://auth.corp.test }
entra: { tenantId: ${ID}, clientId: ${ID}, clientSecretFile: secret }
database: { url: "postgres://gatehouse@db/gatehouse" }
session: { secrets: ["${'q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'}"] }
keys: { encryptionSecrets: ["${'z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'}"] }
`
const PIPELINE = `pipeline: [${
  Object.keys(STEPS).flatMap((name) => name === 'get_username' ? ['./step.js', name] : [name]).join(', ')
}]\n`

function running(
  t: Test,
  files: Record<string, string>,
  env: Record<string, string> = {},
) {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-reloader-'))
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text)
  for (const [name, text] of Object.entries(files)) write(name, text)
  const load = () => loadConfig(join(directory, 'gatehouse.yaml'), { env })
  const steps = createCustomSteps({ log: { info: () => {} } })
  const reports: string[] = []
  const committed: Config[] = []
  const details: unknown[] = []
  const note = (kind: string) => (detail?: unknown): void => {
    reports.push(kind)
    details.push(detail)
  }
  const reloader = createConfigReloader({
    initial: load(),
    load,
    prepare: ({ customSteps }) => steps.prepare(customSteps),
    committed(next) {
      committed.push(next)
      steps.keep(next.customSteps)
    },
    report: {
      refused: note('refused'),
      applied: note('applied'),
      failed: note('failed'),
      unchanged: note('unchanged'),
      secretRotated: note('secretRotated'),
    },
  })
  t.teardown(async () => {
    reloader.close()
    await steps.close()
    rmSync(directory, { recursive: true })
  })
  return { reloader, reports, details, committed, write }
}

t.test('a client secret that rotates in its file is applied without a restart and is never logged', async (t) => {
  const { reloader, reports, details, write } = running(t, { 'gatehouse.yaml': CONFIG, secret: 'first~secret' })
  await reloader.reload()
  write('secret', 'second~secret')
  await reloader.reload()
  await reloader.reload()
  t.equal(reloader.current().entra.clientSecret, 'second~secret')
  t.strictSame(reports, ['unchanged', 'secretRotated', 'unchanged'])
  t.notMatch(JSON.stringify(details), /~secret/)
})

// proves: adv-reload-refused
t.test('an invalid file is refused as a whole, and the next valid one is applied', async (t) => {
  const { reloader, reports, write } = running(t, { 'gatehouse.yaml': CONFIG, secret: 'a~b' })
  const before = reloader.current()
  t.equal(reloader.state().refused, undefined)
  write('gatehouse.yaml', `${CONFIG}requireMappedGroup: true\ngroupMapping: [{ entraGroup: Admins }]\n`)
  await reloader.reload()
  t.equal(reloader.current(), before)
  const refused = reloader.state()
  t.match(refused.refused, { since: Date, reason: /gatehouse\.yaml:\d+:\d+: .*groupMapping/ })
  await reloader.reload()
  t.same(reloader.state().refused?.since, refused.refused?.since, 'since the first refusal in a row')
  t.equal(reloader.state().succeededAt, refused.succeededAt)
  write('gatehouse.yaml', `${CONFIG}requireMappedGroup: true\n`)
  await reloader.reload()
  t.equal(reloader.current().requireMappedGroup, true)
  t.equal(reloader.state().refused, undefined)
  t.ok(reloader.state().succeededAt >= refused.succeededAt)
  t.strictSame(reports, ['refused', 'refused', 'applied'])
})

t.test('a custom step that changes is reloaded; one that cannot be loaded refuses the file', async (t) => {
  const { reloader, reports, details, write } = running(t, {
    'gatehouse.yaml': CONFIG + PIPELINE,
    secret: 'a~b',
    'step.js': 'export default () => {}',
  })
  const [before] = reloader.current().customSteps
  write('step.js', 'export default () => undefined')
  await reloader.reload()
  const [after] = reloader.current().customSteps
  t.not(after?.sha256, before?.sha256)
  write('step.js', 'export default ( => {')
  write('gatehouse.yaml', `${CONFIG}${PIPELINE}requireMappedGroup: true\n`)
  await reloader.reload()
  t.strictSame(reloader.current().customSteps, [after])
  t.equal(reloader.current().requireMappedGroup, false, 'nothing of the file is taken')
  t.strictSame(reports, ['applied', 'failed'])
  t.match(details[1], { code: 'step_unusable' })
})

t.test('keys that a reload does not apply are reported as needing a restart', async (t) => {
  const { reloader, reports, details, write } = running(t, { 'gatehouse.yaml': CONFIG, secret: 'a~b' })
  write('gatehouse.yaml', CONFIG.replace('auth.corp.test', 'login.corp.test'))
  await reloader.reload()
  t.equal(reloader.current().server.publicUrl, 'https://auth.corp.test')
  t.strictSame(reports, ['applied'])
  t.match(details[0], { changes: [], needRestart: ['server.publicUrl'], hash: configHash(reloader.current()) })
})

t.test('the watched files are those that the current configuration names', async (t) => {
  const { reloader, write } = running(t, {
    'gatehouse.yaml': CONFIG,
    secret: 'a~b',
    'step.js': 'export default () => {}',
  })
  /** Written again and again: the first time may come before the file is watched. */
  const noticed = async (name: string, text: string, holds: () => boolean): Promise<void> => {
    for (let spaces = 0; !holds() && spaces < 200; spaces++) {
      write(name, text + ' '.repeat(name === 'secret' ? 0 : spaces % 2))
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    t.ok(holds(), name)
  }
  reloader.watch(20)
  await noticed('gatehouse.yaml', CONFIG + PIPELINE, () => reloader.current().customSteps.length === 1)
  const [before] = reloader.current().customSteps
  await noticed(
    'step.js',
    'export default () => undefined',
    () => reloader.current().customSteps[0]?.sha256 !== before?.sha256,
  )
  await noticed('secret', 'c~d', () => reloader.current().entra.clientSecret === 'c~d')
})

// proves: admin-policy-positions
t.test('lines that move are known at once, although nothing else has changed', async (t) => {
  const rules = 'access:\n  rules:\n    - { hosts: [netbox.corp.test], allow: authenticated }\n'
  const { reloader, reports, committed, write } = running(t, { 'gatehouse.yaml': CONFIG + rules, secret: 'a~b' })
  const lineOf = () => reloader.current().source?.positions.get('access.rules[0]')?.line ?? 0
  const before = lineOf()
  write('gatehouse.yaml', `# a comment\n${CONFIG}${rules}`)
  await reloader.reload()
  t.equal(lineOf(), before + 1)
  t.strictSame(reports, ['unchanged'])
  t.equal(committed.length, 1, 'and workers get it')
})

t.test('what changed is reported with the text of the file where a variable was used', async (t) => {
  const rules = (host: string, path: string) =>
    `access:\n  rules:\n    - { hosts: ["${host}"], paths: [${path}], allow: authenticated }\n`
  const env = { HOST: 'hunter2.corp.test' }
  // eslint-disable-next-line no-template-curly-in-string -- what the operator writes
  const [text, variable] = [CONFIG, '${HOST}']
  const first = { 'gatehouse.yaml': text + rules(variable, '/a'), secret: 'a~b' }
  const { reloader, reports, details, write } = running(t, first, env)
  write('gatehouse.yaml', text + rules(variable, '/b'))
  await reloader.reload()
  t.strictSame(reports, ['applied'])
  t.match(details[0], { changes: [{ before: { hosts: [variable] } }, { after: { hosts: [variable], paths: ['/b'] } }] })
  t.notMatch(JSON.stringify(details), 'hunter2')
})
