// What logins cost the gateway: its own share of a callback (all of it, less the time spent waiting for Entra ID and
// Graph) for
// 1 and for 11,000 groups, logins a second, and resident memory over many logins. Prints; judges nothing.
// LOGINS=1000 makes it shorter (default 10000).
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { createDirectory } from '../dist/demo/directory.js'
import { startEntra } from '../dist/demo/entra/server.js'
import { signInAs } from '../dist/demo/entra/sign-in-as.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS, PERSON_IDS, seedDemoDirectory } from '../dist/demo/people.js'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'
import { freePort } from './stage.mjs'

const GROUPS = 11_000
const PEOPLE = 200
const AT_ONCE = 8
const LOGINS = Number(process.env.LOGINS ?? 10_000)

const home = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
const [port, management] = await Promise.all([freePort(), freePort()])
const publicUrl = `http://127.0.0.1:${port}`
const postgres = await startEmbeddedPostgres(home, { tcp: true })
const people = Array.from(
  { length: PEOPLE },
  (_, number) => `f1000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
)
const entra = await startEntra({ directory: bigDirectory(), app: registration() })
writeFileSync(
  join(home, 'gatehouse.yaml'),
  stringify({
    server: { publicUrl, host: '127.0.0.1', port, management: { port: management }, rateLimit: 100_000 },
    entra: {
      tenantId: DEMO_TENANT_ID,
      clientId: DEMO_CLIENT_ID,
      clientSecret: 'bench-secret',
      authorityHost: entra.url,
      graphUrl: entra.graphUrl,
      allowHttp: true,
    },
    database: { url: postgres.url },
    session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
    keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
    groupMapping: [{ entraGroup: GROUP_IDS.circuitManagers, groups: ['Circuit Manager'] }],
  }),
)
const gateway = spawn(process.execPath, [
  '--expose-gc',
  '--import',
  new URL('measure.mjs', import.meta.url).href,
  'dist/cli.js',
  'serve',
  '--config',
  join(home, 'gatehouse.yaml'),
], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
try {
  await listening(port)
  for (let each = 0; each < 20; each++) await login(people[each])
  for (let each = 0; each < 5; each++) await login(PERSON_IDS.many)
  await ask('shares')
  report('1 group', 500, await shareOf(500, (each) => people[each % PEOPLE]))
  report('11,000 groups', 50, await shareOf(50, () => PERSON_IDS.many))
  await manyLogins()
} finally {
  gateway.kill('SIGTERM')
  await once(gateway, 'exit')
  await entra.close()
  await postgres.stop()
  rmSync(home, { recursive: true, force: true })
}

/** One login after the other, so that waiting can be told from working. */
async function shareOf(count, who) {
  const before = (await ask('shares')).asked
  for (let each = 0; each < count; each++) await login(who(each))
  const { shares, asked } = await ask('shares')
  return {
    own: shares.map(({ total, waited }) => total - waited).sort((a, b) => a - b),
    total: shares.map(({ total }) => total).sort((a, b) => a - b),
    requests: (asked - before) / count,
  }
}

function report(name, count, { own, total, requests }) {
  const at = (list, share) => list[Math.min(list.length - 1, Math.floor(list.length * share))].toFixed(1)
  console.log(
    `${name}, ${count} logins one by one: own share p50 ${at(own, 0.5)} ms, p99 ${
      at(own, 0.99)
    } ms; the whole callback p50 ${at(total, 0.5)} ms, p99 ${
      at(total, 0.99)
    } ms; ${requests} requests to Entra ID and Graph each`,
  )
}

async function manyLogins() {
  const memory = {}
  const began = performance.now()
  let done = 0
  let begun = 0
  const worker = async () => {
    while (begun < LOGINS) {
      await login(people[begun++ % PEOPLE])
      done++
      if (done === LOGINS / 2 || done === LOGINS) memory[done] = await ask('memory')
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  const seconds = (performance.now() - began) / 1000
  const [half, whole] = [memory[LOGINS / 2], memory[LOGINS]]
  const megabytes = (bytes) => (bytes / 1024 / 1024).toFixed(1)
  console.log(
    `${LOGINS} logins, ${AT_ONCE} at once: ${
      (LOGINS / seconds).toFixed(0)
    } a second (the simulated Entra ID, PostgreSQL and the browsers on the same cores)`,
  )
  console.log(
    `memory after a collection: resident ${megabytes(half.rss)} MB at half, ${megabytes(whole.rss)} MB at the end (${
      ((whole.rss / half.rss - 1) * 100).toFixed(1)
    } %); heap ${megabytes(half.heap)} and ${megabytes(whole.heap)} MB`,
  )
}

async function ask(question) {
  gateway.send(question)
  const [answer] = await once(gateway, 'message')
  return answer
}

async function login(person) {
  const start = await fetch(`${publicUrl}/oauth2/start`, { redirect: 'manual' })
  const cookie = start.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ')
  const { location } = await signInAs(start.headers.get('location'), person)
  const answer = await fetch(location, { redirect: 'manual', headers: { cookie } })
  const text = await answer.text()
  if (answer.status !== 302 || answer.headers.get('location')?.startsWith(entra.url)) {
    throw new Error(`the callback answered ${answer.status}: ${text}`)
  }
}

function bigDirectory() {
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  for (const [number, id] of people.entries()) {
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
  for (let number = directory.transitiveMemberOf(PERSON_IDS.many).length; number < GROUPS; number++) {
    const id = `e0000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`
    directory.addObject({ id, type: 'group', displayName: `Group ${number}`, securityEnabled: true })
    directory.addMember(id, PERSON_IDS.many)
  }
  return directory
}

function registration() {
  return {
    clientId: DEMO_CLIENT_ID,
    redirectUris: [`${publicUrl}/oauth2/callback`, `${publicUrl}/oauth2/sign_in`],
    secrets: [{ id: 'f0000000-0000-4000-8000-000000000001', value: 'bench-secret' }],
    applicationPermissions: [],
    delegatedPermissions: ['User.Read'],
    optionalClaims: ['email', 'sid'],
  }
}

async function listening(wanted) {
  for (let each = 0; each < 200; each++) {
    if (await fetch(`http://127.0.0.1:${wanted}/oauth2/auth`).then(() => true, () => false)) return
    await sleep(50)
  }
  throw new Error('the gateway did not start')
}
