// A reload with several workers: the next configuration is in force in all of them or in none, also in one that comes
// back. The built program (dist/cli.js) runs.
import { createServer } from 'node:http'
import t, { type Test } from 'tap'
import { STEPS } from '../../src/core/pipeline/index.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import { kill } from '../helpers/leftovers.js'
import { until } from '../helpers/until.js'
import { serveWorkers, type ServedWorkers } from '../helpers/workers.js'

const PIPELINE = Object.keys(STEPS).flatMap((name) => name === 'get_username' ? ['./step.js', name] : [name])
const DENIED = { default: 'deny', rules: [{ hosts: ['wiki.corp.test'], paths: ['/page'], allow: { staff: true } }] }

const statuses = async (served: ServedWorkers, ...args: Parameters<ServedWorkers['ask']>) =>
  new Set(await Promise.all(Array.from({ length: 30 }, () => served.ask(...args))))

/** Both are known to one another, with the same configuration. */
const alike = (served: ServedWorkers): Promise<boolean> =>
  until(async () => {
    const { replicas } = (await served.health()).parts as { replicas?: { same: number, different: object[] } }
    return replicas?.same === 2 && replicas.different.length === 0
  })

const count = (served: ServedWorkers, text: string): number =>
  served.lines().filter(({ msg }) => String(msg).includes(text)).length

/** A custom step asks here while it is loaded: whether that succeeds, for `two` so many times. */
async function startSwitch(t: Test) {
  const left = { two: 0 }
  const server = createServer(({ url }, response) => {
    response.writeHead(url === '/one' || left.two-- > 0 ? 200 : 500).end()
  }).listen(0, '127.0.0.1')
  t.teardown(() => {
    server.close()
  })
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const source = (name: string) => `
    const { status } = await fetch('http://127.0.0.1:${port}/${name}')
    if (status !== 200) throw new Error('${name} is switched off')
    export default () => ({ details: { name: '${name}' } })`
  return { left, source }
}

// proves: workers-config-in-force
t.test('a reload is in force in all workers, and in one that comes back', async (t) => {
  const served = await serveWorkers(t)
  const browser = await served.signIn(PERSON_IDS.guest)
  t.strictSame(await statuses(served, browser), new Set([200]))
  served.reload({ access: DENIED })
  t.ok(await served.logged('configuration reloaded'))
  t.strictSame(await statuses(served, browser), new Set([403]))
  const [victim = NaN] = await served.pids()
  kill(victim, 'SIGKILL')
  t.ok(await served.logged('a worker was ended by SIGKILL'))
  t.ok(await served.ready())
  t.strictSame(await statuses(served, browser), new Set([403]), 'also in the one that came back')
  t.equal(count(served, 'configuration reloaded'), 1, 'one line for all')
  t.ok(await alike(served))
})

// proves: workers-reload-all-or-none, workers-read-no-file
t.test('what one worker cannot prepare is refused by all', async (t) => {
  const { left, source } = await startSwitch(t)
  const served = await serveWorkers(t, { config: { pipeline: PIPELINE }, files: { 'step.js': source('one') } })
  const browser = await served.signIn(PERSON_IDS.guest)
  left.two = 1
  served.write('step.js', source('two'))
  served.reload({ access: DENIED })
  t.ok(await served.logged('could not be reloaded; the one before stays in force'))
  const refused = served.lines().filter(({ msg }) => String(msg).includes('could not be reloaded'))
  t.match(refused[0], { level: 'error', code: 'step_unusable', detail: /two is switched off/ })
  t.notOk(refused.some(({ worker }) => worker !== undefined), 'the primary process says so')
  t.strictSame(await statuses(served, browser), new Set([200]), 'the one before is in force in both')
  t.match((await served.health()).parts, { config: /^refused since .*switched off/ })
  t.ok(await alike(served))
  t.match(await served.metrics(), /^gatehouse_config_reload_success 0$/m)

  t.type(await served.signIn(PERSON_IDS.staff), 'object', 'sign-ins use the step before, whose file has changed')
  const [victim = NaN] = await served.pids()
  kill(victim, 'SIGKILL')
  t.ok(await served.logged('a worker was ended by SIGKILL'))
  t.ok(await served.ready(), 'one comes back')
  t.strictSame(await statuses(served, browser), new Set([200]), 'with the configuration in force, not with the file')
  t.ok(await alike(served))
  for (let each = 0; each < 6; each++) await served.signIn(PERSON_IDS.staff)

  left.two = Infinity
  served.primary.kill('SIGHUP')
  t.ok(await served.logged('configuration reloaded'), 'a repetition succeeds')
  t.strictSame(await statuses(served, browser), new Set([403]))
})

t.test('a worker that dies during a reload refuses it', async (t) => {
  const hang = createServer(() => {}).listen(0, '127.0.0.1')
  t.teardown(() => {
    hang.closeAllConnections()
    hang.close()
  })
  await new Promise((resolve) => hang.once('listening', resolve))
  const address = hang.address()
  const port = typeof address === 'object' ? address?.port : 0
  const served = await serveWorkers(t, {
    config: { pipeline: PIPELINE },
    files: { 'step.js': 'export default () => {}' },
  })
  const browser = await served.signIn(PERSON_IDS.guest)
  const asked = new Promise((resolve) => hang.once('request', resolve))
  served.write('step.js', `await fetch('http://127.0.0.1:${port}/'); export default () => {}`)
  served.reload({ access: DENIED })
  await asked
  const [victim = NaN] = await served.pids()
  kill(victim, 'SIGKILL')
  t.ok(await served.logged('could not be reloaded; the one before stays in force'))
  t.ok(await served.ready())
  t.strictSame(await statuses(served, browser), new Set([200]))
  t.ok(await alike(served))
})
