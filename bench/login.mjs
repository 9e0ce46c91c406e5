// What a login of a person in 11,000 groups costs the gateway: Graph requests, and peak resident memory of a process of
// its own over 20 logins after a warm-up. Prints; judges nothing.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { createDirectory } from '../dist/demo/directory.js'
import { startEntra } from '../dist/demo/entra/server.js'
import { signInAs } from '../dist/demo/entra/sign-in-as.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS, PERSON_IDS, seedDemoDirectory } from '../dist/demo/people.js'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'

const GROUPS = 11_000
const WARM_UP = 10
const LOGINS = 20

const home = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
const [port, management] = await Promise.all([freePort(), freePort()])
const publicUrl = `http://127.0.0.1:${port}`
const postgres = await startEmbeddedPostgres(home)
const entra = await startEntra({ directory: bigDirectory(), app: registration() })
writeFileSync(join(home, 'gatehouse.yaml'), stringify({
  server: { publicUrl, host: '127.0.0.1', port, management: { port: management }, rateLimit: 100_000 },
  entra: { tenantId: DEMO_TENANT_ID, clientId: DEMO_CLIENT_ID, clientSecret: 'bench-secret', authorityHost: entra.url, graphUrl: entra.graphUrl, allowHttp: true },
  database: { url: postgres.url },
  session: { secrets: ['s'.repeat(40)] },
  keys: { encryptionSecrets: ['e'.repeat(40)] },
  groupMapping: [{ entraGroup: GROUP_IDS.circuitManagers, groups: ['Circuit Manager'] }],
}))
const gateway = spawn(process.execPath, ['dist/cli.js', 'serve', '--config', join(home, 'gatehouse.yaml')], { stdio: ['ignore', 'ignore', 'inherit'] })
try {
  await listening(port)
  for (let each = 0; each < WARM_UP; each++) await login()
  const before = memory()
  const times = []
  const requests = entra.requests.filter((request) => request.server === 'graph').length
  for (let each = 0; each < LOGINS; each++) times.push(await login())
  const after = memory()
  const perLogin = (entra.requests.filter((request) => request.server === 'graph').length - requests) / LOGINS
  times.sort((a, b) => a - b)
  console.log(`groups of the person            ${GROUPS}`)
  console.log(`Graph requests a login          ${perLogin}`)
  console.log(`callback, median of ${LOGINS}          ${times[LOGINS / 2].toFixed(0)} ms (simulated Entra ID and PostgreSQL on the same cores)`)
  console.log(`peak resident memory            ${before.peak} MB after ${WARM_UP} logins, ${after.peak} MB after ${LOGINS} more: ${after.peak - before.peak} MB`)
  console.log(`resident memory                 ${before.now} MB, then ${after.now} MB`)
} finally {
  gateway.kill('SIGTERM')
  await new Promise((resolve) => gateway.once('exit', resolve))
  await entra.close()
  await postgres.stop()
  rmSync(home, { recursive: true, force: true })
}

async function login() {
  const start = await fetch(`${publicUrl}/oauth2/start`, { redirect: 'manual' })
  const cookie = start.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ')
  const { location } = await signInAs(start.headers.get('location'), PERSON_IDS.many)
  const began = performance.now()
  const answer = await fetch(location, { redirect: 'manual', headers: { cookie } })
  if (answer.status !== 302) throw new Error(`the callback answered ${answer.status}: ${await answer.text()}`)
  return performance.now() - began
}

function memory() {
  const status = readFileSync(`/proc/${gateway.pid}/status`, 'utf8')
  const megabytes = (name) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) / 1024)
  return { peak: megabytes('VmHWM'), now: megabytes('VmRSS') }
}

function bigDirectory() {
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  for (let number = directory.transitiveMemberOf(PERSON_IDS.many).length; number < GROUPS; number++) {
    const id = `e0000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`
    directory.addObject({ id, type: 'group', displayName: `Group ${number}`, securityEnabled: true })
    directory.addMember(id, PERSON_IDS.many)
  }
  return directory
}

function registration() {
  return { clientId: DEMO_CLIENT_ID, redirectUris: [`${publicUrl}/oauth2/callback`, `${publicUrl}/oauth2/sign_in`], secrets: [{ id: 'f0000000-0000-4000-8000-000000000001', value: 'bench-secret' }], applicationPermissions: [], delegatedPermissions: ['User.Read'], optionalClaims: ['email', 'sid'] }
}

async function listening(wanted) {
  for (let each = 0; each < 200; each++) {
    if (await fetch(`http://127.0.0.1:${wanted}/oauth2/auth`).then(() => true, () => false)) return
    await sleep(50)
  }
  throw new Error('the gateway did not start')
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = probe.address()
      probe.close(() => resolve(free))
    })
  })
}
