// How long `policy apply` takes for 100,000 people with a session and 200 Entra groups each, against 1,000 mapping
// rows: where one in fifty loses a group and one in fifty gains one, where nothing changes, and where the reasons do.
// Prints; judges nothing. PEOPLE and ROWS change the numbers.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { createPolicyApplyAdmin } from '../dist/admin/policy-apply.js'
import { appliedPolicy } from '../dist/policy-applications.js'
import { openDatabase } from '../dist/store/database.js'
import { startEmbeddedPostgres } from '../dist/store/embedded.js'
import { createLoginStore } from '../dist/store/login-store.js'
import { migrate } from '../dist/store/migrate.js'
import { createPolicyApplications } from '../dist/store/policy-applications.js'

const PEOPLE = Number(process.env.PEOPLE ?? 100_000)
const ROWS = Number(process.env.ROWS ?? 1_000)
const GROUPS = 200
const TENANT = '8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f'
const HOUR = 3_600_000
const OPTIONS = {
  ...{ tenantId: TENANT, idleTimeoutMs: 8 * HOUR, absoluteTimeoutMs: 48 * HOUR, privilegedTimeoutMs: undefined },
  ...{ maxStalenessMs: 24 * HOUR, maxPerUser: 10 },
}

const entraGroup = (number) => `aaaaaaaa-0000-4000-8000-${number.toString(16).padStart(12, '0')}`
const row = (number, groups) => ({ entraGroup: entraGroup(number), groups, staff: false, superuser: false })

const home = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
const postgres = await startEmbeddedPostgres(home, { tcp: true })
try {
  await migrate(postgres.url)
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  await seed(client)
  const mapping = Array.from({ length: ROWS }, (_, index) => row(index, [`Local ${index}`]))
  const [lost, gained] = [mapping.length - 1, mapping.length - 2]
  await run(client, 'the first mapping (everybody gains)', mapping)
  await run(client, 'nothing changes', mapping)
  await run(client, 'a group less for some, a group more for some', [
    ...mapping.filter((_, index) => index !== lost && index !== gained),
    row(gained, [`Local ${gained}`, 'Another']),
  ])
  await run(client, 'every row moves by one: reasons change, no rights', [row(999_999, ['Local 1']), ...mapping])
  await client.end()
} finally {
  await postgres.stop()
  rmSync(home, { recursive: true, force: true })
}

async function seed(client) {
  await client.query(
    `insert into users (username, username_key) select 'user' || n, 'user' || n from generate_series(1, ${PEOPLE}) n`,
  )
  await client.query(`insert into identities (tid, oid, user_id) select '${TENANT}', id, id from users`)
  await client.query(
    `insert into entra_readings (user_id, group_ids, read_at) select u.id, array(select ('aaaaaaaa-0000-4000-8000-' ||
      lpad(to_hex((g * 31 + substr(u.username, 5)::int * 13) % ${ROWS * 10}), 12, '0'))::uuid
      from generate_series(1, ${GROUPS}) g), now() from users u`,
  )
  await client.query(
    'insert into sessions (id_hash, public_id, user_id) select sha256(username::bytea), username, id from users',
  )
  await client.query(`insert into groups (name) select 'Local ' || n from generate_series(0, ${ROWS - 1}) n`)
  await client.query("insert into groups (name) values ('Another')")
  await client.query('vacuum (analyze)')
}

async function run(client, what, groupMapping) {
  await client.query('vacuum (analyze)') // as autovacuum does
  const { rows: [{ number }] } = await client.query(`insert into policy_versions
    (number, source, text, hash, schema, release, author)
    select coalesce(max(number), 0) + 1, 'database', '{}', 'x', 1, '0', 'bench' from policy_versions returning number`)
  const database = openDatabase({ server: postgres.url, poolSize: 8 })
  const policy = appliedPolicy({ groupMapping, requireMappedGroup: false })
  const admin = createPolicyApplyAdmin({
    applications: createPolicyApplications(database, OPTIONS),
    policyOf: async () => policy,
    lookups: createLoginStore(database, OPTIONS),
    failed: (_, error) => console.error(error),
  })
  globalThis.gc?.()
  const [startedAt, cpu, before] = [performance.now(), process.cpuUsage(), process.memoryUsage().heapUsed]
  let [passAt, most] = [0, 0]
  await admin.begin({ actor: 'cli:bench', admin: undefined })
  const done = await admin.finish(number, ({ pass }) => {
    most = Math.max(most, process.memoryUsage().heapUsed - before)
    if (pass === 'rest' && passAt === 0) passAt = performance.now()
  })
  const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`
  const { user, system } = process.cpuUsage(cpu)
  console.log(
    `${what}: ${done.done} people, ${done.gains} gain, ${done.losses} lose, ${done.failed} failed; losses after ` +
      `${seconds(passAt - startedAt)}, all after ${seconds(performance.now() - startedAt)}, of them ` +
      `${seconds((user + system) / 1000)} CPU here; heap at most ${(most / 1e6).toFixed(0)} MB more`,
  )
  await database.close()
}
