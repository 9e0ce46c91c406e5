// How long `explain --with` takes for 10,000 people with 200 Entra groups each, against 500 mapping rows. Prints;
// judges nothing.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { stringify } from 'yaml'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'
import { migrate } from '../dist/store/migrate.js'

const PEOPLE = 10_000
const GROUPS = 200
const ROWS = 500

const home = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
const postgres = await startEmbeddedPostgres(home, { tcp: true })
try {
  await migrate(postgres.url)
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  const id = (number) => `'aaaaaaaa-0000-4000-8000-' || lpad(to_hex(${number}), 12, '0')`
  await client.query(
    `insert into users (username, username_key) select 'user' || n, 'user' || n from generate_series(1, ${PEOPLE}) n`,
  )
  await client.query(
    "insert into identities (tid, oid, user_id) select '8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f', id, id from users",
  )
  await client.query(
    `insert into entra_readings (user_id, group_ids, read_at) select u.id, array(select (${
      id('((length(u.username) * 7919 + g * 31 + substr(u.username, 5)::int) % 5000)')
    })::uuid from generate_series(1, ${GROUPS}) g), now() from users u`,
  )
  await client.query(`insert into groups (name) select 'Local ' || n from generate_series(1, ${ROWS}) n`)
  await client.end()
  const rows = (shift) =>
    Array.from(
      { length: ROWS },
      (_, index) => ({
        entraGroup: `aaaaaaaa-0000-4000-8000-${(index * 7).toString(16).padStart(12, '0')}`,
        groups: [`Local ${(index + shift) % ROWS + 1}`],
        staff: index % 100 === shift,
      }),
    )
  const write = (name, groupMapping) => {
    writeFileSync(
      join(home, name),
      stringify({
        server: { publicUrl: 'http://127.0.0.1:4180' },
        entra: {
          tenantId: '8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f',
          clientId: 'b14a7505-96e9-4927-91e8-0601d0fc9caa',
          clientSecret: 'x',
        },
        database: { url: postgres.url },
        session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
        keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
        groupMapping,
      }),
    )
    return join(home, name)
  }
  const began = performance.now()
  const { peak, output } = await run([
    'explain',
    '--with',
    write('next.yaml', rows(1)),
    '--config',
    write('now.yaml', rows(0)),
  ])
  console.log(
    `explain --with, ${PEOPLE} people, ${ROWS} rows   ${
      ((performance.now() - began) / 1000).toFixed(1)
    } s, peak resident memory ${peak} MB`,
  )
  console.log(`                                          ${output.trim().split('\n').at(-1)}`)
} finally {
  await postgres.stop()
  rmSync(home, { recursive: true, force: true })
}

async function run(args) {
  const child = spawn(process.execPath, ['dist/cli.js', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  let peak = 0
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  const timer = setInterval(() => {
    try {
      peak = Math.max(
        peak,
        Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024),
      )
    } catch {} // it has ended
  }, 20)
  await new Promise((resolve) => child.once('exit', resolve))
  clearInterval(timer)
  return { peak, output: output.slice(-2_000) }
}
