// The compose files on a real Docker engine: from nothing to a person at the application, restarted, upgraded, and
// nothing left. The images of others are stand-ins (scripts/install-compose-images.mjs). Where the machine cannot start
// an engine it is skipped with the reason: the one suite that may be, also where nothing else may.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Dispatcher } from 'undici'
import { parse } from 'yaml'
import { COMPOSE_IMAGES } from '../../scripts/install-compose-images.mjs'
import { PEOPLE, PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, type Browser } from '../helpers/browser.js'
import { startEngine, type Engine, type Outcome } from '../helpers/compose.js'
import {
  APPLICATION_URL,
  CLIENT_SECRET,
  isUpgraded,
  prepareOperator,
  PRODUCTION_PORTS,
  readGuide,
  startAround,
} from '../helpers/compose-production.js'
import { pickPerson } from '../helpers/gateway.js'
import { until } from '../helpers/until.js'

const DEMO_URL = 'http://127.0.0.1:8080/'
const DEMO_PORTS = [8080, 8081, 8082, 8084]
const WAIT_MS = 600_000

t.test('every third-party image of the compose files and the Dockerfile has a replacement', async (t) => {
  const taken = ['docker-compose.yml', 'compose.production.yml'].flatMap((file) => {
    type Services = Record<string, { image: string, build?: unknown }>
    const { services } = parse(readFileSync(file, 'utf8')) as { services: Services }
    return Object.values(services).filter(({ build }) => !build).map(({ image }) => image)
  })
  const [, node = ''] = /^ARG NODE_IMAGE=docker\.io\/library\/(.+)$/m.exec(readFileSync('Dockerfile', 'utf8')) ?? []
  t.strictSame([...new Set([...taken, node])].sort(), Object.keys(COMPOSE_IMAGES).sort())
})

t.test('the compose files on an engine', async (t) => {
  const engine = await startEngine(t, [...new Set([...DEMO_PORTS, ...PRODUCTION_PORTS])])
  if (typeof engine === 'string') {
    t.plan(0, `The compose files were not run on an engine: ${engine.replace(/\s+/g, ' ')}`)
    return
  }
  await t.test('docker-compose.yml', (t) => demo(t, engine))
  await t.test('compose.production.yml', (t) => production(t, engine))
})

async function good(t: Test, title: string, result: Promise<Outcome>): Promise<string> {
  const { status, output } = await result
  if (!t.equal(status, 0, title)) t.comment(output.slice(-4000))
  return output.trim()
}

async function demo(t: Test, engine: Engine): Promise<void> {
  const { docker, compose, inside } = engine
  const before = await everything(engine)
  await good(t, 'up', compose('up', '--build', '--detach'))
  const containers = (await good(t, 'ps', compose('ps', '--quiet'))).split('\n')
  t.equal(containers.length, 5, 'five services')
  await becomesHealthy(t, 'every service becomes healthy', engine, containers, () => compose('logs', '--tail=30'))

  const browser = createBrowser({ dispatcher: engine.dispatcher() })
  await signsIn(t, browser, DEMO_URL)
  const gateway = await good(t, 'the gateway', compose('ps', '--quiet', 'demo-gatehouse'))
  t.equal(await good(t, 'its user', docker('exec', gateway, 'id', '-u')), '1000', 'the gateway does not run as root')
  const own = await docker('exec', gateway, 'sh', '-c', 'echo x >/app/dist/cli.js')
  t.not(own.status, 0, 'and may not change its own program')
  const listening = await good(t, 'listening', inside('sh', '-c', 'cat /proc/net/tcp /proc/net/tcp6'))
  const addresses = DEMO_PORTS.map((port) => addressesOf(listening, port))
  t.strictSame(addresses, DEMO_PORTS.map(() => ['0100007F']), 'published on 127.0.0.1 alone')

  await good(t, 'restart', compose('restart'))
  await becomesHealthy(t, 'healthy after a restart', engine, containers, () => compose('logs', '--tail=30'))
  await isStillSignedIn(t, browser, DEMO_URL)
  await good(t, 'stop', compose('stop'))
  await good(t, 'up again', compose('up', '--detach'))
  await becomesHealthy(t, 'healthy after it was stopped', engine, containers, () => compose('logs', '--tail=30'))
  await isStillSignedIn(t, browser, DEMO_URL)

  await good(t, 'down', compose('down', '--volumes'))
  t.strictSame(await everything(engine), before, 'no container, volume or network is left')
}

async function production(t: Test, engine: Engine): Promise<void> {
  const compose = (...args: string[]) => engine.compose('-f', 'compose.production.yml', ...args)
  const guide = readGuide()
  prepareOperator(engine, guide)
  const around = await startAround(engine)
  const before = await everything(engine)
  const dispatcher = engine.dispatcher(around.ca)
  const browser = createBrowser({ dispatcher })
  const idOf = async (service: string) => (await compose('ps', '--quiet', service)).output.trim()
  const healthy = async (title: string): Promise<void> => {
    const containers = [await idOf('postgres'), await idOf('gatehouse')]
    await becomesHealthy(t, title, engine, containers, () => compose('logs', '--tail=30'))
  }

  await good(t, 'the first start, as the guide has it', engine.shell(guide.firstStart))
  await healthy('both services become healthy')
  await signsIn(t, browser, APPLICATION_URL)
  await t.test('the container of the gateway', async (t) => isConfined(t, engine, await idOf('gatehouse')))

  await good(t, 'restart', compose('restart'))
  await healthy('healthy after a restart')
  await isStillSignedIn(t, browser, APPLICATION_URL)
  await t.test('the database stops', async (t) => databaseStops(t, engine, browser, dispatcher))
  await t.test('Prometheus, and a gateway that hangs', async (t) => monitoring(t, engine))

  const [gateway, postgres] = [await idOf('gatehouse'), await idOf('postgres')]
  await good(t, 'the upgrade, as the guide has it', engine.shell(guide.upgrade))
  await healthy('healthy after the upgrade')
  t.ok(await until(() => isUpgraded(engine)), 'the migration of the new version is applied')
  t.not(await idOf('gatehouse'), gateway, 'the container of the gateway is replaced')
  t.equal(await idOf('postgres'), postgres, 'the one of the database is not')
  await isStillSignedIn(t, browser, APPLICATION_URL)

  await good(t, 'the way back, as the guide has it', engine.shell(guide.goingBack))
  await healthy('healthy after going back')
  t.notOk(await isUpgraded(engine), 'the database is the one from before the upgrade')
  t.not((await browser.ask(APPLICATION_URL)).status, 200, 'sessions were ended')
  await signsIn(t, browser, APPLICATION_URL)

  await good(t, 'down', compose('--profile', 'monitoring', 'down', '--volumes'))
  t.strictSame(await everything(engine), before, 'no container, volume or network is left')
  await good(t, 'what stood around', around.stop())
}

/** Secrets are files that user 1000 reads, nothing else can be written, and no privilege is left. */
async function isConfined(t: Test, { docker, inside }: Engine, gateway: string): Promise<void> {
  const run = (script: string) => docker('exec', gateway, 'sh', '-c', script)
  t.equal(await good(t, 'its user', run('id -u')), '1000', 'it does not run as root')
  const inspected = await good(t, 'inspect', docker('inspect', gateway))
  t.notMatch(inspected, CLIENT_SECRET, 'the secret is not in the environment')
  t.equal(await good(t, 'the secret', run('cat /run/secrets/entra_client_secret')), CLIENT_SECRET, 'it is a file')
  for (const path of ['/app/dist/cli.js', '/app/new', '/etc/new', '/run/secrets/entra_client_secret']) {
    const { status, output } = await run(`echo x >${path}`)
    t.not(status, 0, `${path} cannot be written`)
    t.match(output, /Read-only file system|Permission denied|cannot create/)
  }
  await good(t, '/tmp can be', run('echo x >/tmp/new && rm /tmp/new'))
  const status = await good(t, 'its privileges', run('cat /proc/1/status'))
  t.match(status, /^CapEff:\t0{16}$/m, 'no capability')
  t.match(status, /^CapBnd:\t0{16}$/m, 'and none to gain')
  t.match(status, /^NoNewPrivs:\t1$/m)
  const listening = await good(t, 'listening', inside('sh', '-c', 'cat /proc/net/tcp /proc/net/tcp6'))
  t.strictSame(
    [4180, 4181, 5432].map((port) => addressesOf(listening, port)),
    [['0100007F'], [], []],
    'the gateway is published on 127.0.0.1, the management port and the database are not',
  )
}

async function databaseStops(t: Test, engine: Engine, browser: Browser, dispatcher: Dispatcher): Promise<void> {
  const compose = (...args: string[]) => engine.compose('-f', 'compose.production.yml', ...args)
  const postgres = (await compose('ps', '--quiet', 'postgres')).output.trim()
  const gateway = (await compose('ps', '--quiet', 'gatehouse')).output.trim()
  const management = async (path: string): Promise<string> => {
    const script = `fetch('http://127.0.0.1:4181/${path}').then(({ status }) => console.log(status))`
    return (await engine.docker('exec', gateway, 'node', '-e', script)).output.trim()
  }
  t.equal(await management('readyz'), '200')
  await good(t, 'stop', compose('stop', 'postgres'))
  t.equal(await healthOf(engine, postgres), 'unhealthy', 'the database is unhealthy')
  t.ok(await until(async () => await management('readyz') === '503'), 'the gateway is not ready')
  t.equal(await management('healthz'), '200', 'and alive: its own health check does not ask the database')
  const late = createBrowser({ dispatcher })
  const refused = await pickPerson(late, await late.follow(APPLICATION_URL), PERSON_IDS.staff)
  t.equal(refused.status, 503, 'nobody signs in meanwhile')
  await good(t, 'start', compose('start', 'postgres'))
  const healthyAgain = async () => await healthOf(engine, postgres) === 'healthy'
  t.ok(await until(healthyAgain, WAIT_MS), 'the database is healthy again')
  t.ok(await until(async () => await management('readyz') === '200', WAIT_MS), 'the gateway is ready again')
  t.equal(await healthOf(engine, gateway), 'healthy')
  await isStillSignedIn(t, browser, APPLICATION_URL)
}

/** The health check and the scrape go to the management port, which is reached inside the network alone. */
async function monitoring(t: Test, engine: Engine): Promise<void> {
  const compose = (...args: string[]) => engine.compose('-f', 'compose.production.yml', ...args)
  await good(t, 'up', compose('--profile', 'monitoring', 'up', '--detach'))
  const gateway = (await compose('ps', '--quiet', 'gatehouse')).output.trim()
  const browser = createBrowser({ dispatcher: engine.dispatcher() })
  const scraped = async (value: '0' | '1'): Promise<boolean> => {
    const query = encodeURIComponent(`up{job="gatehouse",instance="gatehouse:4181"} == ${value}`)
    const { status, text } = await browser.ask(`http://127.0.0.1:9090/api/v1/query?query=${query}`)
    return status === 200 && (JSON.parse(text) as { data: { result: unknown[] } }).data.result.length === 1
  }
  t.ok(await until(() => scraped('1').catch(() => false), WAIT_MS), 'Prometheus reaches the management port')
  const { text } = await browser.ask('http://127.0.0.1:9090/api/v1/rules')
  t.match(text, 'GatehouseAnswers503', 'and has read the alert rules')

  const pid = await good(t, 'its process', engine.docker('inspect', '--format', '{{.State.Pid}}', gateway))
  await good(t, 'it hangs', engine.signal('STOP', pid))
  t.ok(await until(async () => await healthOf(engine, gateway) === 'unhealthy', WAIT_MS), 'it becomes unhealthy')
  t.ok(await until(() => scraped('0'), WAIT_MS), 'and Prometheus sees that it is down')
  await good(t, 'it goes on', engine.signal('CONT', pid))
  t.ok(await until(async () => await healthOf(engine, gateway) === 'healthy', WAIT_MS), 'it becomes healthy again')
  t.ok(await until(() => scraped('1'), WAIT_MS), 'and is scraped again')
}

async function signsIn(t: Test, browser: Browser, url: string): Promise<void> {
  const answer = await pickPerson(browser, await browser.follow(url), PERSON_IDS.staff)
  t.match(answer, { status: 200, url }, 'the person signs in and is back at the application')
  t.match(answer.text, `data-field="name">${PEOPLE.staff.displayName}<`, 'which shows the person')
  t.match(answer.text, 'data-field="staff">true<')
}

async function isStillSignedIn(t: Test, browser: Browser, url: string): Promise<void> {
  const { trail, text } = await browser.follow(url)
  t.strictSame(trail, [url], 'the session is kept: nobody is sent to Entra ID')
  t.match(text, `data-field="name">${PEOPLE.staff.displayName}<`)
}

async function healthOf({ docker }: Engine, container: string): Promise<string> {
  return (await docker('inspect', '--format', '{{.State.Health.Status}}', container)).output.trim()
}

async function becomesHealthy(
  t: Test,
  title: string,
  engine: Engine,
  containers: readonly string[],
  logs: () => Promise<Outcome>,
): Promise<void> {
  const states = () => Promise.all(containers.map((container) => healthOf(engine, container)))
  if (t.ok(await until(async () => (await states()).every((state) => state === 'healthy'), WAIT_MS), title)) return
  const { output } = await engine.docker('inspect', '--format', '{{.Name}} {{json .State}}', ...containers)
  t.comment(output, (await logs()).output)
}

/** @param table /proc/net/tcp: state 0A listens */
function addressesOf(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const listening = [...table.matchAll(/^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A /gm)]
  return listening.filter(([, , found]) => found === hex).map(([, address = '']) => address)
}

async function everything({ docker }: Engine): Promise<string[]> {
  const lists = await Promise.all([
    docker('ps', '--all', '--quiet'),
    docker('volume', 'ls', '--quiet'),
    docker('network', 'ls', '--format', '{{.Name}}'),
  ])
  return lists.map(({ output }) => output.trim().split('\n').sort().join(' '))
}
