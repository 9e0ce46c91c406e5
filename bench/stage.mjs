// What the benchmarks of the auth endpoint stand on: a PostgreSQL of their own with people and sessions, the gateway as
// a process, and wrk with cookies drawn at random.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Signer } from '@fastify/cookie'
import pg from 'pg'
import { stringify } from 'yaml'
import { newPublicSessionId, sessionIdHash } from '../dist/core/session.js'
import { migrate } from '../dist/store/migrate.js'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'

export const SECRET = 'bench-session-secret-0123456789abcdef'
const GROUPS_OF_ONE = 10

export const median = (numbers) => quantile(numbers, 0.5)
export const quantile = (numbers, part) =>
  [...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * part))] ?? Number.NaN
export const say = (text) => process.stdout.write(`${text}\n`)

export async function freePort() {
  return await new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** A folder and a PostgreSQL that go with the process. */
export async function openStage() {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  const postgres = await startEmbeddedPostgres(home, { tcp: true })
  await migrate(postgres.url)
  const running = []
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  const stage = {
    home,
    url: postgres.url,
    query: async (...args) => (await client.query(...args)).rows,
    track(child) {
      running.push(child)
      return child
    },
    async close() {
      for (const child of running) await stop(child)
      await client.end().catch(() => {})
      await postgres.stop()
      rmSync(home, { recursive: true, force: true })
    },
  }
  return stage
}

export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await ended
  clearTimeout(timer)
}

/** People in ten groups each, and one session each. @returns their cookies' values */
export async function addSessions({ query }, count) {
  const signer = new Signer(SECRET)
  const cookies = []
  await query(
    "insert into groups (name) select 'Group number ' || n from generate_series(1, 50) n on conflict do nothing",
  )
  await query('create sequence if not exists people')
  for (let from = 0; from < count; from += 10_000) {
    const size = Math.min(10_000, count - from)
    const ids = Array.from({ length: size }, () => randomBytes(32).toString('base64url'))
    await query(
      `with made as (
        insert into users (username, username_key, email, email_verified, name, is_staff)
        select n, n, n, true, 'Person with a Name', false from (select 'first.lastname' || nextval('people') ||
          '@contoso.example' as n from generate_series(1, $1)) x returning id),
      numbered as (select id, row_number() over () as n from made),
      linked as (insert into identities (tid, oid, user_id) select '8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f',
        gen_random_uuid(), id from made),
      member as (insert into user_groups (user_id, group_id) select m.id, g.id from numbered m join lateral (select id,
        row_number() over (order by name) as k from groups) g on (g.k + m.n) % 5 = 0 and g.k <= 50)
      insert into sessions (id_hash, public_id, user_id) select h.hash, h.public_id, m.id from numbered m join
        unnest($2::bytea[], $3::text[]) with ordinality as h(hash, public_id, n) on h.n = m.n`,
      [size, ids.map(sessionIdHash), ids.map(() => newPublicSessionId())],
    )
    cookies.push(...ids.map((id) => encodeURIComponent(signer.sign(id))))
  }
  const [{ groups }] = await query(
    'select count(*)::int / greatest(count(distinct user_id), 1)::int as groups from user_groups',
  )
  if (groups !== GROUPS_OF_ONE) throw new Error(`${groups} groups each`)
  return cookies
}

/** `rules` of them; the last one matches what wrk asks for. */
export function accessRules(rules) {
  if (rules === 0) return { default: 'authenticated' }
  return {
    default: 'deny',
    rules: [
      ...Array.from(
        { length: rules - 1 },
        (_, n) => ({ hosts: ['wiki.bench.test'], paths: [`/area-${n}/**`], allow: { staff: true } }),
      ),
      { hosts: ['wiki.bench.test'], paths: ['/pages/**'], methods: ['GET'], allow: 'authenticated' },
    ],
  }
}

/**
 * The gateway as a process; `publicUrl` where it is not its own address. @returns its address, its process and what it
 * costs
 */
export async function startGateway(
  stage,
  { rules = 50, server = {}, config = {}, flags = [], name = 'gateway', publicUrl } = {},
) {
  const [port, management] = [await freePort(), await freePort()]
  const file = join(stage.home, `${name}.yaml`)
  writeFileSync(
    file,
    stringify({
      server: {
        publicUrl: publicUrl ?? `http://127.0.0.1:${port}`,
        host: '127.0.0.1',
        port,
        management: { port: management },
        redirectDomains: ['127.0.0.1:*'],
        rateLimit: 100_000,
        ...server,
      },
      entra: {
        tenantId: '8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f',
        clientId: 'b14a7505-96e9-4927-91e8-0601d0fc9caa',
        clientSecret: 'x~yz',
        authorityHost: 'http://127.0.0.1:9',
        graphUrl: 'http://127.0.0.1:9',
        allowHttp: true,
      },
      database: { url: stage.url, poolSize: 10 },
      session: { secrets: [SECRET], maxPerUser: 10_000 }, // the load signs few people in, often
      keys: { encryptionSecrets: ['bench-encryption-secret-0123456789ab'] },
      groupMapping: [{ entraGroup: '11111111-2222-3333-4444-555555555555', superuser: true }],
      access: accessRules(rules),
      ...config,
    }),
  )
  const child = stage.track(
    spawn(process.execPath, [...flags, 'dist/cli.js', 'serve', '--config', file], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    }),
  )
  child.stdout.resume()
  await answering(management, '/readyz')
  await sleep(300)
  return { url: `http://127.0.0.1:${port}`, port, management, child, file }
}

export async function answering(port, path = '/') {
  for (let each = 0; each < 600; each++) {
    const ok = await fetch(`http://127.0.0.1:${port}${path}`).then(({ status }) => status < 500, () => false)
    if (ok) return
    await sleep(50)
  }
  throw new Error(`nothing answers on port ${port}`)
}

/** CPU time of a process so far, in seconds. */
export function cpuOf({ pid }) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

export function residentMB({ pid }) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
}

/**
 * wrk with a script that says what each request is. @returns requests a second, latencies in ms, CPU microseconds a
 * request
 * @throws where connections broke, more than `broken` of one for each request
 */
export async function wrk(
  stage,
  { url, script, seconds, connections = Number(process.env.CONNECTIONS ?? 32), child, name = 'wrk', broken = 0 },
) {
  const file = join(stage.home, `${name}.lua`)
  writeFileSync(
    file,
    `${script}
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %.3f %.3f %d\\n", summary.requests, summary.duration, summary.errors.connect
    + summary.errors.read + summary.errors.write + summary.errors.timeout, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, summary.errors.status))
end`,
  )
  const before = child === undefined ? 0 : cpuOf(child)
  const running = stage.track(
    spawn('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', file, url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  )
  let output = ''
  running.stdout.on('data', (chunk) => {
    output += chunk
  })
  await new Promise((resolve) => running.once('close', resolve))
  const [, requests, duration, errors, p50, p99, refused] =
    (/RESULT (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)/.exec(output) ?? []).map(Number)
  if (requests === undefined || errors > requests * broken) throw new Error(`wrk: ${output}`)
  return {
    requests,
    rate: requests / (duration / 1e6),
    p50,
    p99,
    refused,
    cpu: child === undefined ? Number.NaN : (cpuOf(child) - before) * 1e6 / requests,
  }
}

/** A wrk script that draws a cookie and a path at random for each request. */
export function drawing(cookiesFile, { path, method = 'GET', host = 'wiki.bench.test', more = '' }) {
  return `local cookies = {}
for line in io.lines(${JSON.stringify(cookiesFile)}) do cookies[#cookies + 1] = line end
math.randomseed(os.time())
request = function()
  local cookie = cookies[math.random(#cookies)]
  local url = "https://${host}${path}" .. math.random(1000000) .. "/page?x=" .. math.random(1000)
  return wrk.format("GET", "/oauth2/auth", { ["Host"] = "127.0.0.1", ["Cookie"] = "theme=dark; gatehouse_session=" ..
    cookie .. "; lang=en", ["X-Original-URL"] = url, ["X-Original-Method"] = "${method}", ["X-Forwarded-For"] =
    "203.0.113.7", ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", ["Accept"] =
    "text/html"${more} })
end`
}

/** A child that answers messages one at a time. @throws where it answers with an error */
export async function tell(child, message) {
  child.send(message)
  const [answer] = await once(child, 'message')
  if (answer.error !== undefined && answer.checks === undefined) throw new Error(answer.error)
  return answer
}

/** A yardstick of bare.mjs that gives this answer. */
export async function startBare(stage, kind, answer, { cookies = '', path = '/oauth2/auth' } = {}) {
  const file = join(stage.home, `answer-${kind}-${answer.status}.json`)
  writeFileSync(file, JSON.stringify(answer))
  const port = await freePort()
  const child = stage.track(
    spawn(process.execPath, ['bench/bare.mjs', kind, String(port), file, cookies, path], { stdio: 'inherit' }),
  )
  await answering(port)
  return { url: `http://127.0.0.1:${port}`, child }
}

/** Status and headers of one answer, but for those that every connection has. */
export async function answerTo(url, headers) {
  return await new Promise((resolve, reject) => {
    request(url, { headers, agent: false }, (response) => {
      response.resume()
      response.on('end', () => {
        const kept = []
        for (let index = 0; index < response.rawHeaders.length; index += 2) {
          if (!['date', 'connection', 'keep-alive'].includes(response.rawHeaders[index].toLowerCase())) {
            kept.push(response.rawHeaders[index], response.rawHeaders[index + 1])
          }
        }
        resolve({ status: response.statusCode, headers: kept })
      })
    }).on('error', reject).end()
  })
}

/** Each cookie once, so that the gateway has its session in memory. */
export async function warm(url, cookies, path = '/pages/1') {
  const agent = new Agent({ keepAlive: true, maxSockets: 24 })
  let next = 0
  await Promise.all(Array.from({ length: 24 }, async () => {
    while (next < cookies.length) {
      const cookie = cookies[next++]
      const status = await new Promise((resolve, reject) => {
        request(`${url}/oauth2/auth`, {
          agent,
          headers: {
            'cookie': `gatehouse_session=${cookie}`,
            'x-original-url': `https://wiki.bench.test${path}`,
            'x-original-method': 'GET',
          },
        }, (response) => {
          response.resume()
          response.on('end', () => resolve(response.statusCode))
        }).on('error', reject).end()
      })
      if (status !== 200) throw new Error(`warming: ${status}`)
    }
  }))
  agent.destroy()
}

/** One series of /metrics. */
export async function metric({ management }, series) {
  const text = await (await fetch(`http://127.0.0.1:${management}/metrics`)).text()
  return Number(text.split('\n').find((line) => line.startsWith(`${series} `))?.split(' ').at(-1) ?? 0)
}
