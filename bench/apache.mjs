// nginx with Gatehouse against Apache with mod_auth_openidc: the same small static file, people who signed in through
// the simulated Entra ID, cookies drawn at random, wrk in short alternating runs on the same cores. Requests a second
// as a ratio, and the CPU time of all processes that answer. Prints; judges nothing. PEOPLE, SECONDS and ROUNDS make it
// shorter.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDirectory } from '../dist/demo/directory.js'
import { startEntra } from '../dist/demo/entra/server.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS, seedDemoDirectory } from '../dist/demo/people.js'
import { logIn } from './browser.mjs'
import { cpuOfAll, installed, processesOf } from './programs.mjs'
import { freePort, median, openStage, say, startGateway, wrk } from './stage.mjs'
import { APACHE_MODULE, addSite, startApache, startNginx } from './web-servers.mjs'

const PEOPLE = Number(process.env.PEOPLE ?? 200)
const SECONDS = Number(process.env.SECONDS ?? 2)
const ROUNDS = Number(process.env.ROUNDS ?? 9)
const SECRET = 'bench~secret'
const GROUP = 'Circuit Manager'
// Apache closes a connection after its hundredth answer, which wrk takes for a broken one where the end comes alone
const BROKEN = 0.05
const CASES = [
  ['anybody who is signed in (Require valid-user)', '/pages/index.html'],
  ['members of one of their groups (Require claim groups:...)', '/members/index.html'],
]

const [nginx, apache] = ['nginx', 'apache2'].map(installed)
const missing = [
  nginx ? [] : 'nginx',
  apache ? [] : 'apache2',
  existsSync(APACHE_MODULE) ? [] : 'libapache2-mod-auth-openidc',
].flat()
if (missing.length > 0) {
  say(`nginx with Gatehouse against Apache with mod_auth_openidc: skipped, not installed: ${missing.join(', ')}`)
} else await compare()

async function compare() {
  const stage = await openStage()
  const ports = { app: await freePort(), auth: await freePort(), apache: await freePort() }
  const entra = await startEntra({ directory: people(), app: registration(ports) })
  try {
    const gateway = await startGateway(stage, {
      rules: 0,
      publicUrl: `http://127.0.0.1:${ports.auth}`,
      config: gatewayConfig(entra, ports),
    })
    await stage.query('insert into groups (name) values ($1)', [GROUP]) // a mapping makes no groups
    const { root, bytes } = addSite(stage)
    const rivals = [
      {
        name: 'nginx and Gatehouse',
        url: `http://127.0.0.1:${ports.app}`,
        children: [gateway.child, await startNginx(stage, { program: nginx, root, ports, gatewayPort: gateway.port })],
      },
      {
        name: 'Apache and mod_auth_openidc',
        url: `http://127.0.0.1:${ports.apache}`,
        children: [await startApache(stage, { program: apache, root, port: ports.apache, entra, secret: SECRET })],
      },
    ]
    for (const [index, rival] of rivals.entries()) {
      rival.cookies = await logEverybodyIn(stage, entra, rival, `cookies-${index}`)
    }
    say(
      `a file of ${bytes} bytes over http, ${PEOPLE} people signed in at each; both write an access log; ` +
        'nginx with one worker, one process of Gatehouse; Apache as Debian ships it (mpm_event), ' +
        `${processesOf(rivals[1].children[0])} processes`,
    )
    for (const [name, path] of CASES) report(name, await alternately(stage, rivals, path))
  } finally {
    await entra.close()
    await stage.close()
  }
}

async function alternately(stage, rivals, path) {
  const runs = rivals.map(() => [])
  for (let round = -1; round < ROUNDS; round++) {
    for (const [index, { url, cookies, children }] of rivals.entries()) {
      const before = cpuOfAll(children)
      const run = await wrk(stage, { url, script: drawing(cookies, path), seconds: SECONDS, broken: BROKEN })
      if (run.refused > 0) throw new Error(`${rivals[index].name} refused ${run.refused} requests`)
      // the first round warms
      if (round >= 0) runs[index].push({ ...run, cpu: (cpuOfAll(children) - before) * 1e6 / run.requests })
    }
  }
  return runs
}

/** Each round is a ratio of its own, since other programs may be in the way of a round. */
function report(name, [ours, theirs]) {
  const ratio = (key) => median(ours.map((run, round) => run[key] / theirs[round][key])).toFixed(2)
  const middle = (key, digits) =>
    `${median(ours.map((run) => run[key])).toFixed(digits)} against ${
      median(theirs.map((run) => run[key])).toFixed(digits)
    }`
  say(
    `${name}: nginx and Gatehouse ${ratio('rate')} times the requests a second of Apache and mod_auth_openidc, ${
      ratio('cpu')
    } times the CPU time of a request; ${middle('rate', 0)} a second, ${middle('cpu', 0)} microseconds of CPU, p50 ${
      middle('p50', 2)
    } ms, p99 ${middle('p99', 1)} ms`,
  )
}

function drawing(cookiesFile, path) {
  return `local cookies = {}
for line in io.lines(${JSON.stringify(cookiesFile)}) do cookies[#cookies + 1] = line end
math.randomseed(os.time())
request = function()
  return wrk.format("GET", "${path}?x=" .. math.random(1000), { ["Cookie"] = cookies[math.random(#cookies)],
    ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", ["Accept"] = "text/html" })
end`
}

async function logEverybodyIn(stage, entra, { url }, name) {
  const cookies = []
  for (let number = 0; number < PEOPLE; number++) {
    cookies.push(await logIn(`${url}/pages/index.html`, entra.url, personId(number)))
  }
  const file = join(stage.home, name)
  writeFileSync(file, cookies.join('\n'))
  return file
}

function personId(number) {
  return `f1000000-0000-4000-8000-${String(number).padStart(12, '0')}`
}

function people() {
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  for (let number = 0; number < PEOPLE; number++) {
    const id = personId(number)
    directory.addUser({
      id,
      displayName: `Person ${number}`,
      userPrincipalName: `person${number}@contoso.example`,
      accountEnabled: true,
      userType: 'Member',
      signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z',
    })
    directory.addMember(GROUP_IDS.circuitManagers, id)
  }
  return directory
}

function registration({ auth, apache: port }) {
  return {
    clientId: DEMO_CLIENT_ID,
    redirectUris: [
      `http://127.0.0.1:${auth}/oauth2/callback`,
      `http://127.0.0.1:${auth}/oauth2/sign_in`,
      `http://127.0.0.1:${port}/redirect_uri`,
    ],
    secrets: [{ id: 'f0000000-0000-4000-8000-000000000001', value: SECRET }],
    applicationPermissions: [],
    delegatedPermissions: ['User.Read'],
    optionalClaims: ['email', 'sid'],
    groupMembershipClaims: 'SecurityGroup',
  }
}

function gatewayConfig(entra, { app }) {
  return {
    entra: {
      tenantId: DEMO_TENANT_ID,
      clientId: DEMO_CLIENT_ID,
      clientSecret: SECRET,
      authorityHost: entra.url,
      graphUrl: entra.graphUrl,
      allowHttp: true,
    },
    groupMapping: [{ entraGroup: GROUP_IDS.circuitManagers, groups: [GROUP] }],
    access: {
      default: 'authenticated',
      rules: [{ hosts: [`127.0.0.1:${app}`], paths: ['/members/**'], allow: { groups: [GROUP] } }],
    },
  }
}
