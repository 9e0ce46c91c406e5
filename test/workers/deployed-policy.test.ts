// Several workers with the policy in the database: each tries a version, and all of them run it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { PERSON_IDS } from '../../src/demo/people.js'
import { runInProcess } from '../helpers/command.js'
import { ENCRYPTION_SECRET, MAPPING, SESSION_SECRET } from '../helpers/gateway.js'
import { until } from '../helpers/until.js'
import { serveWorkers } from '../helpers/workers.js'

const DATABASE = { policy: { source: 'database' }, groupMapping: undefined }
const POLICY = { groupMapping: MAPPING, access: { default: 'authenticated' } }

t.test('a deploy is in force in all workers, in one that comes back, and after a reload of the file', async (t) => {
  const served = await serveWorkers(t, { config: DATABASE, unready: true })
  t.ok(await until(async () => (await served.health().catch(() => undefined))?.parts.workers['2']?.state === 'ready'))
  const directory = t.testdir({
    'gatehouse.yaml': stringify({
      server: { publicUrl: served.url },
      entra: {
        tenantId: 'b0000000-0000-4000-8000-000000000001',
        clientId: 'b0000000-0000-4000-8000-000000000002',
        clientSecret: 'not used by these commands',
      },
      database: { url: served.databaseUrl },
      session: { secrets: [SESSION_SECRET] },
      keys: { encryptionSecrets: [ENCRYPTION_SECRET] },
      policy: DATABASE.policy,
    }),
  })
  const deploy = async (policy: object) => {
    writeFileSync(join(directory, 'policy.yaml'), stringify(policy))
    const args = ['policy', 'deploy', join(directory, 'policy.yaml'), '--message', 'x', '--json']
    const done = await runInProcess([...args, '--config', join(directory, 'gatehouse.yaml')])
    t.equal(done.status, 0, done.stderr)
    return JSON.parse(done.stdout) as { number: number, replicas: string[] }
  }
  const statuses = async (...args: Parameters<typeof served.ask>) =>
    new Set(await Promise.all(Array.from({ length: 30 }, () => served.ask(...args))))
  const all = async (status: number, ...args: Parameters<typeof served.ask>) =>
    await until(async () => [...await statuses(...args)].join(' ') === String(status))

  t.equal((await served.health()).status, 503, 'no policy')
  t.strictSame(await statuses(), new Set([503]))
  const { replicas } = await deploy(POLICY)
  t.match(replicas.map((name) => name.slice(-2)), ['-1', '-2'], 'both have tried it')
  t.ok(await all(401), 'both answer')
  t.equal((await served.health()).status, 200)
  const browser = await served.signIn(PERSON_IDS.staff)
  t.ok(await all(200, browser))

  const rules = [{ hosts: ['app.test'], paths: ['/admin'], allow: { superuser: true } }]
  await deploy({ ...POLICY, access: { default: 'authenticated', rules } })
  const target = { 'x-original-url': 'https://app.test/admin', 'x-original-method': 'GET' }
  t.ok(await all(403, browser, target))
  const [victim = NaN] = await served.pids()
  process.kill(victim, 'SIGKILL')
  t.ok(await until(async () => (await served.pids()).every((pid) => pid !== victim)))
  t.ok(await served.ready())
  t.strictSame(await statuses(browser, target), new Set([403]), 'also in the one that comes back')

  served.reload({ ...DATABASE, entra: { clientSecret: 'another client secret' } })
  t.ok(await served.logged('the client secret was read again and is in force'))
  t.strictSame(await statuses(browser, target), new Set([403]), 'a reload of the file leaves the policy')
  served.reload({ ...DATABASE, groupMapping: MAPPING })
  t.ok(await served.logged('the changed configuration is refused whole; the one before stays in force'))
  t.strictSame(await statuses(browser, target), new Set([403]))
})
