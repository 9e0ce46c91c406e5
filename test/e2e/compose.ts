// The compose files on a real Docker engine: from nothing to a person at the application, stopped and started, and nothing left.
// The images of others are stand-ins (scripts/install-compose-images.mjs). Where the machine has no engine to offer, a
// comment says so: this is the one suite that may then not run, also where nothing else may be skipped.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { COMPOSE_IMAGES } from '../../scripts/install-compose-images.mjs'
import { PEOPLE, PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser } from '../helpers/browser.js'
import { startEngine, type Engine } from '../helpers/compose.js'
import { pickPerson } from '../helpers/gateway.js'
import { until } from '../helpers/until.js'

const APPLICATION = 'http://127.0.0.1:8080/'
const PORTS = [8080, 8081, 8082, 8084]
const WAIT_MS = 600_000

t.test('there is a stand-in for each image that both compose files and the Dockerfile take from others', async (t) => {
  type Service = { image: string, build?: unknown, profiles?: string[] }
  const taken = ['docker-compose.yml', 'compose.production.yml'].flatMap((file) => {
    const { services } = parse(readFileSync(file, 'utf8')) as { services: Record<string, Service> }
    return Object.values(services).filter(({ build, profiles }) => !build && !profiles).map(({ image }) => image)
  })
  const [, node = ''] = /^ARG NODE_IMAGE=docker\.io\/library\/(.+)$/m.exec(readFileSync('Dockerfile', 'utf8')) ?? []
  t.strictSame([...new Set([...taken, node])].sort(), Object.keys(COMPOSE_IMAGES).sort())
})

t.test('the compose files on an engine', async (t) => {
  const engine = await startEngine(t, PORTS)
  if (typeof engine === 'string') {
    t.comment(`The compose files were not run on an engine: ${engine}`)
    return
  }
  await t.test('docker-compose.yml', (t) => demo(t, engine))
})

async function demo(t: Test, engine: Engine): Promise<void> {
  const { docker, compose, inside } = engine
  const good = async (title: string, result: ReturnType<Engine['docker']>): Promise<string> => {
    const { status, output } = await result
    if (!t.equal(status, 0, title)) t.comment(output.slice(-4000))
    return output.trim()
  }
  const before = await everything(engine)
  await good('up', compose('up', '--build', '--detach'))
  const containers = (await good('ps', compose('ps', '--quiet'))).split('\n')
  t.equal(containers.length, 5, 'five services')
  const healthy = async (): Promise<boolean> => {
    const states = await docker('inspect', '--format', '{{.State.Health.Status}}', ...containers)
    return states.output.trim().split('\n').every((state) => state === 'healthy')
  }
  if (!t.ok(await until(healthy, WAIT_MS), 'every service becomes healthy')) {
    t.comment((await compose('ps')).output, (await compose('logs', '--tail=30')).output)
  }

  const browser = createBrowser({ dispatcher: engine.dispatcher })
  const signedIn = await pickPerson(browser, await browser.follow(APPLICATION), PERSON_IDS.staff)
  t.match(signedIn, { status: 200, url: APPLICATION }, 'the person signs in and is back at the application')
  t.match(signedIn.text, `data-field="name">${PEOPLE.staff.displayName}<`, 'who sees the person')
  t.match(signedIn.text, 'data-field="staff">true<')

  const gateway = await good('the gateway', compose('ps', '--quiet', 'demo-gatehouse'))
  t.equal(await good('its user', docker('exec', gateway, 'id', '-u')), '1000', 'the gateway does not run as root')
  const own = await docker('exec', gateway, 'sh', '-c', 'echo x >/app/dist/cli.js')
  t.not(own.status, 0, 'and may not change its own program')

  const listening = await good('listening', inside('sh', '-c', 'cat /proc/net/tcp /proc/net/tcp6'))
  const addresses = PORTS.map((port) => addressesOf(listening, port))
  t.strictSame(addresses, PORTS.map(() => ['0100007F']), 'published on 127.0.0.1 alone')

  await good('stop', compose('stop'))
  await good('up again', compose('up', '--detach'))
  t.ok(await until(healthy, WAIT_MS), 'healthy after it was stopped and started')
  const after = await browser.follow(APPLICATION)
  t.strictSame(after.trail, [APPLICATION], 'the session is kept: nobody is sent to Entra ID')
  t.match(after.text, `data-field="name">${PEOPLE.staff.displayName}<`)

  await good('down', compose('down', '--volumes'))
  t.strictSame(await everything(engine), before, 'no container, volume or network is left')
}

/** @param table /proc/net/tcp: state 0A listens */
function addressesOf(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  return [...table.matchAll(/^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A /gm)].filter(([, , found]) => found === hex).map(([, address = '']) => address)
}

async function everything({ docker }: Engine): Promise<string[]> {
  const lists = await Promise.all([
    docker('ps', '--all', '--quiet'), docker('volume', 'ls', '--quiet'), docker('network', 'ls', '--format', '{{.Name}}'),
  ])
  return lists.map(({ output }) => output.trim().split('\n').sort().join(' '))
}
