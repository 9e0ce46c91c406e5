// The load beside a measurement, in a process of its own: the simulated Entra ID, so many checks and so many logins a
// second over all replicas; where `signedIn` is said, people sign out again once so many others came after them. Told
// by messages what to do; says what came of it.
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDirectory } from '../dist/demo/directory.js'
import { startEntra } from '../dist/demo/entra/server.js'
import { signInAs } from '../dist/demo/entra/sign-in-as.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, seedDemoDirectory } from '../dist/demo/people.js'

const PEOPLE = Array.from({ length: 200 }, (_, number) => `f1000000-0000-4000-8000-${String(number).padStart(12, '0')}`)
const agent = new Agent({ keepAlive: true, maxSockets: 64 })

let entra
let load

process.on('message', async (message) => {
  try {
    process.send(await answer(message))
  } catch (error) {
    process.send({ error: String(error) })
  }
})
process.once('disconnect', () => process.exit(0))

async function answer({ kind, ...more }) {
  if (kind === 'entra') {
    entra = await startEntra({ directory: people(), app: registration(more) })
    return { url: entra.url, graphUrl: entra.graphUrl }
  }
  if (kind === 'start') {
    load = startLoad(more)
    return {}
  }
  return await load.stop()
}

/** Whoever signed in longest ago signs out, so that `signedIn` of them remain. */
function signingOut(signedIn, publicUrl) {
  const cookies = []
  return async (url, cookie) => {
    cookies.push(cookie)
    if (cookies.length <= signedIn) return
    const { status } = await ask(`${url}/oauth2/sign_out`, {
      'host': new URL(publicUrl).host,
      'cookie': cookies.shift(),
      'sec-fetch-site': 'same-origin',
    }, 'POST')
    if (status !== 303) throw new Error(`a sign-out was answered ${status}`)
  }
}

function startLoad({ urls, publicUrl, cookies, checks, logins, signedIn }) {
  const leave = signedIn === undefined ? async () => {} : signingOut(signedIn, publicUrl)
  const done = { checks: 0, logins: 0, failed: 0, error: undefined }
  const state = { running: true }
  const began = performance.now()
  const underWay = new Set()
  const every = async (aSecond, kind, one) => {
    for (let begun = 0; state.running; await sleep(10)) {
      while (begun < (performance.now() - began) * aSecond / 1000) {
        const promise = one(begun++).then(() => {
          done[kind]++
        }, (error) => {
          done.failed++
          done.error ??= String(error)
        }).finally(() => underWay.delete(promise))
        underWay.add(promise)
      }
    }
  }
  const loops = Promise.all([
    every(checks, 'checks', async (number) => {
      const { status } = await ask(`${urls[number % urls.length]}/oauth2/auth`, {
        'cookie': `gatehouse_session=${cookies[number % cookies.length]}`,
        'x-original-url': 'https://wiki.bench.test/',
        'x-original-method': 'GET',
      })
      if (status !== 200) throw new Error(`a check was answered ${status}`)
    }),
    every(logins, 'logins', async (number) => {
      const url = urls[number % urls.length]
      await leave(url, await login(url, publicUrl, PEOPLE[number % PEOPLE.length]))
    }),
  ])
  return {
    async stop() {
      state.running = false
      await loops
      const seconds = (performance.now() - began) / 1000
      await Promise.all(underWay)
      return { ...done, seconds }
    },
  }
}

/** At this replica, as if a proxy had passed it on. @returns the session's cookie */
async function login(url, publicUrl, person) {
  const host = new URL(publicUrl).host
  const start = await ask(`${url}/oauth2/start`, { host })
  const cookie = (start.headers['set-cookie'] ?? []).map((line) => line.split(';')[0]).join('; ')
  const { location = '' } = await signInAs(start.headers.location, person)
  const answer = await ask(location.replace(publicUrl, url), { host, cookie, accept: 'application/json' })
  if (answer.status !== 302 || answer.headers.location?.startsWith(entra.url)) {
    throw new Error(`a callback was answered ${answer.status} ${answer.text}`)
  }
  return (answer.headers['set-cookie'] ?? []).map((line) => line.split(';')[0]).find((pair) =>
    pair.includes('session=')
  )
}

function ask(url, headers, method = 'GET') {
  return new Promise((resolve, reject) => {
    request(url, { agent, headers, method }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
      }).on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }))
    }).on('error', reject).end()
  })
}

function people() {
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  for (const [number, id] of PEOPLE.entries()) {
    directory.addUser({
      id,
      displayName: `Person ${number}`,
      userPrincipalName: `person${number}@contoso.example`,
      accountEnabled: true,
      userType: 'Member',
      signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z',
    })
  }
  return directory
}

function registration({ publicUrl, secret }) {
  return {
    clientId: DEMO_CLIENT_ID,
    redirectUris: [`${publicUrl}/oauth2/callback`, `${publicUrl}/oauth2/sign_in`],
    secrets: [{ id: 'f0000000-0000-4000-8000-000000000001', value: secret }],
    applicationPermissions: [],
    delegatedPermissions: ['User.Read'],
    optionalClaims: ['email', 'sid'],
  }
}
