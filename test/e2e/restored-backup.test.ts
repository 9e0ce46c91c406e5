// The data directory of the database is replaced by an earlier backup while two replicas run. They notice it, and take
// away again what had been taken away since the backup; where they do not know what that was, all sessions end.
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, type Browser } from '../helpers/browser.js'
import { runInProcess } from '../helpers/command.js'
import { commandConfig, MAPPING, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { seriesOf } from '../helpers/metrics.js'
import { connect, type Query } from '../helpers/sql.js'
import { startStreamingPair, type PairServer } from '../helpers/streaming-pair.js'
import { TARGET } from '../helpers/targets.js'
import { until } from '../helpers/until.js'

const LOST = 'gatehouse_database_history_lost_timestamp_seconds'
const CONFIG = { policy: { source: 'database' }, groupMapping: undefined, session: { outageGrace: '0s' } }
/** Heartbeats are sent each second; what no heartbeat follows is not noticed as a loss. */
const HEARTBEATS_MS = 2_500

interface Scene {
  readonly replicas: readonly [TestGateway, TestGateway]
  readonly server: PairServer
  /** Puts the backup in place, with replicas that run. */
  restore(backup: () => void): Promise<void>
  run(...args: readonly string[]): Promise<string>
  deploy(path: string): Promise<void>
  /** On the server as it is now. */
  query(): Promise<Query>
}

async function startScene(t: Test, server: PairServer): Promise<Scene> {
  const first = await startTestGateway(t, { databaseUrl: server.url, config: CONFIG })
  const second = await startTestGateway(t, { databaseUrl: server.url, config: CONFIG })
  const replicas = [first, second] as const
  const files = t.testdir({ 'gatehouse.yaml': stringify({ ...commandConfig(first), policy: { source: 'database' } }) })
  const run: Scene['run'] = async (...args) => {
    const { status, stdout, stderr } = await runInProcess([...args, '--config', `${files}/gatehouse.yaml`])
    t.equal(status, 0, args.join(' '), { diagnostic: status !== 0, stderr })
    return stdout
  }
  return {
    replicas,
    server,
    async restore(backup) {
      await sleep(HEARTBEATS_MS)
      server.stop('fast')
      backup()
      server.start()
    },
    run,
    async deploy(path) {
      const rules = [{ hosts: ['app.test'], paths: [path], allow: 'anyone' }]
      const policy = { groupMapping: MAPPING, access: { default: 'authenticated', rules } }
      writeFileSync(`${files}/policy.yaml`, stringify(policy))
      await run('policy', 'deploy', `${files}/policy.yaml`, '--message', path)
      t.ok(await until(() => isOpen(replicas, path), 10_000), `${path} is in force on both`)
    },
    query: () => connect(t, server.adminUrl),
  }
}

async function statuses(replicas: Scene['replicas'], headers: Readonly<Record<string, string>>) {
  return await Promise.all(
    replicas.map(async ({ url }) =>
      (await createBrowser().ask(`${url}/oauth2/auth`, { headers: { ...TARGET, ...headers } })).status
    ),
  )
}

async function isOpen(replicas: Scene['replicas'], path: string): Promise<boolean> {
  return (await statuses(replicas, { 'x-original-url': `https://app.test${path}` })).every((status) => status === 200)
}

/** What both replicas answer for this session. */
async function both({ replicas }: Scene, cookie: string): Promise<readonly number[]> {
  return await statuses(replicas, { cookie })
}

async function signIn({ url, signIn }: TestGateway, personId: string): Promise<{ browser: Browser, cookie: string }> {
  const { browser } = await signIn(personId)
  return { browser, cookie: browser.cookieHeader(url) }
}

/** Waits until both replicas have noticed a loss, and asserts that log, /readyz and metric say it. */
async function noticed(t: Test, { replicas }: Scene, since: number): Promise<readonly Record<string, unknown>[]> {
  const losses = ({ log }: TestGateway) =>
    log.filter(({ msg, time }) => Date.parse(String(time)) >= since && String(msg).startsWith('the database has lost'))
  t.ok(await until(() => replicas.every((replica) => losses(replica).length > 0), 30_000), 'both notice it')
  for (const replica of replicas) {
    const { parts } = (await (await fetch(`${replica.management}/readyz`)).json()) as { parts: { history: string } }
    t.match(losses(replica), [{ level: 'error', heartbeatsLost: Number, remedy: /audit/ }], 'the log says it once')
    t.match(parts.history, /^lost at \d{4}-/)
    t.ok(((await seriesOf(replica)).get(LOST) ?? 0) * 1_000 >= since - 1_000, LOST)
  }
  return replicas.flatMap(losses)
}

t.test('a backup that was made under the same replicas: what was taken away is taken away again', async (t) => {
  const server = (await startStreamingPair(t))?.a
  if (server === undefined) return
  const scene = await startScene(t, server)
  const [first, second] = scene.replicas
  await scene.deploy('/before')
  const kept = await signIn(first, PERSON_IDS.many)
  const ended = await signIn(first, PERSON_IDS.guest)
  const away = await signIn(second, PERSON_IDS.nested)
  for (const { cookie } of [kept, ended, away]) t.strictSame(await both(scene, cookie), [200, 200])
  await sleep(HEARTBEATS_MS)
  const backup = server.backup()

  await ended.browser.ask(`${first.url}/oauth2/sign_out`, { method: 'POST', form: {} })
  await scene.run('users', 'deactivate', await usernameOf(scene, PERSON_IDS.nested))
  await scene.deploy('/after')
  const later = await signIn(second, PERSON_IDS.staff)
  t.strictSame(await both(scene, later.cookie), [200, 200])
  const since = Date.now()
  await scene.restore(backup)

  const losses = await noticed(t, scene, since)
  t.ok(losses.some(({ takenAgain }) => Number((takenAgain as Record<string, number>)['session.ended']) >= 1))
  t.ok(losses.every(({ sessionsEnded }) => sessionsEnded === undefined), 'it is known what was taken away')
  const answered = async (): Promise<boolean> => (await both(scene, kept.cookie)).every((status) => status === 200)
  t.ok(await until(answered, 10_000), 'a session from before the backup goes on')
  t.strictSame(await both(scene, ended.cookie), [401, 401], 'the ended one is ended again')
  t.strictSame(await both(scene, away.cookie), [401, 401], 'the deactivated user stays without a session')
  t.strictSame(await both(scene, later.cookie), [401, 401], 'a sign-in since the backup is lost')
  const query = await scene.query()
  t.match(
    await query('select is_active from users u join identities i on i.user_id = u.id where i.oid = $1', [
      PERSON_IDS.nested,
    ]),
    [{ is_active: false }],
  )
  t.match(await query("select detail from audit_events where action = 'history.lost' order by id limit 1"), [
    { detail: { takenAgain: { 'user.deactivated': 1 } } },
  ])

  t.ok(await until(() => isOpen(scene.replicas, '/after'), 10_000), 'the lost version of the policy is in force again')
  t.notOk(await isOpen(scene.replicas, '/before'))
  const numbers = async (): Promise<readonly number[]> =>
    (await query<{ number: number }>('select number from policy_versions order by number desc')).map(({ number }) =>
      number
    )
  // Until it is added again, the replicas go on by the one that they run.
  t.ok(await until(async () => (await numbers()).length > 1, 10_000))
  t.strictSame(await numbers(), [3, 1], 'under a number above the lost one')
  await scene.deploy('/next')

  await kept.browser.ask(`${first.url}/oauth2/sign_out`, { method: 'POST', form: {} })
  const gone = async (): Promise<boolean> => (await both(scene, kept.cookie)).every((status) => status === 401)
  t.ok(await until(gone, 2_000), 'both replicas receive what ends after the restore')
})

async function usernameOf(scene: Scene, oid: string): Promise<string> {
  const [person] = await (await scene.query())<{ username: string }>(
    'select username from users u join identities i on i.user_id = u.id where i.oid = $1',
    [oid],
  )
  return person?.username ?? ''
}

t.test('a backup that is older than the replicas: all sessions end', async (t) => {
  const server = (await startStreamingPair(t))?.a
  if (server === undefined) return
  const earlier = await startTestGateway(t, { databaseUrl: server.url, config: CONFIG })
  await earlier.close()
  const backup = server.backup()
  const scene = await startScene(t, server)
  const [first, second] = scene.replicas
  await scene.deploy('/a')
  const { cookie } = await signIn(first, PERSON_IDS.guest)
  t.strictSame(await both(scene, cookie), [200, 200])
  const since = Date.now()
  await scene.restore(backup)
  const losses = await noticed(t, scene, since)
  t.equal(losses.filter(({ sessionsEnded }) => sessionsEnded !== undefined).length, 1, 'one replica ends all sessions')
  t.strictSame(await both(scene, cookie), [401, 401], 'what was in memory is over too')
  t.ok(await until(() => isOpen(scene.replicas, '/a'), 10_000), 'the policy stays in force')
  const next = await signIn(second, PERSON_IDS.guest)
  t.ok(await until(async () => (await both(scene, next.cookie)).every((status) => status === 200)), 'a new sign-in')
})
