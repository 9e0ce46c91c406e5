// For how many users "within one interval" holds under Graph's limits: what a re-evaluation costs, what follows for
// each size of tenant, and runs against a simulated Graph that throttles as Microsoft documents it, at a fraction of
// the limit and with as small a fraction of the users. Prints; judges nothing.
// SCALE is that fraction, INTERVAL the interval of the runs in seconds, ACTIVE the users of the last part.
import { setTimeout as sleep } from 'node:timers/promises'
import { USERS_PER_SECOND } from '../dist/core/reevaluation.js'
import { createGroupMapping } from '../dist/core/mapping.js'
import { createDirectory } from '../dist/demo/directory.js'
import { createRegistration } from '../dist/demo/entra/registration.js'
import { startEntra } from '../dist/demo/entra/server.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID } from '../dist/demo/people.js'
import { createAccountSource } from '../dist/entra/accounts.js'
import { createBackgroundGraph } from '../dist/entra/background-graph.js'
import { createChangeSource } from '../dist/entra/change-source.js'
import { entraEndpoints } from '../dist/entra/clouds.js'
import { createClientCredential } from '../dist/entra/credentials.js'
import { createHttpClient } from '../dist/entra/http-client.js'
import { createReevaluationSchedule } from '../dist/reevaluation/scheduler.js'
import { createSignalStore } from '../dist/store/change-signals.js'
import { openDatabase } from '../dist/store/database.js'
import { createDueUsers } from '../dist/store/due-users.js'
import { createReevaluationWriter } from '../dist/store/reevaluation-writer.js'
import { createStalenessExpiry } from '../dist/store/staleness-expiry.js'
import { median, openStage, say } from './stage.mjs'

const SCALE = Number(process.env.SCALE ?? 20)
const INTERVAL_S = Number(process.env.INTERVAL ?? 60)
const ACTIVE = (process.env.ACTIVE ?? '100000,500000').split(',').map(Number)
const CHANGES = 20
const PRIVILEGED_EVERY = 50
/** Resource units in ten seconds for an application in a tenant. */
const LIMITS = { 'S (under 50 users)': 3_500, 'M (50 to 500 users)': 5_000, 'L (more than 500 users)': 8_000 }
const DEFAULT = { intervalS: 300, runEveryS: 15, privilegedStalenessS: 3_600, maxStalenessS: 86_400 }
const SECRET = 'bench~secret'
const MAPPED = 'e1000000-0000-4000-8000-000000000001'
const STAFF = 'e1000000-0000-4000-8000-000000000003'
const NESTED = 'e1000000-0000-4000-8000-000000000002'
const OPTIONS = {
  tenantId: DEMO_TENANT_ID,
  idleTimeoutMs: 8 * 3_600_000,
  absoluteTimeoutMs: 48 * 3_600_000,
  privilegedTimeoutMs: undefined,
}
const oid = (n) => `e0000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
const number = (value) => Math.floor(value).toLocaleString('en')

const unitsPerUser = await costs()
limits(unitsPerUser)
await throttledRuns()
await dueQueries()

/** One re-evaluation of everyone without a limit. @returns resource units for each user */
async function costs() {
  const users = 2_000
  const place = await openPlace(users, {}, 3_000)
  try {
    const schedule = place.schedule({ intervalS: 300, deltas: false })
    const began = performance.now()
    await schedule.run()
    const seconds = (performance.now() - began) / 1_000
    const units = place.entra.resourceUnits() / users
    await schedule.close()
    say(
      `a user costs ${units.toFixed(2)} resource units; ${(users / seconds).toFixed(0)} users a second with ` +
        'PostgreSQL and the simulated Graph on this machine',
    )
    const withDeltas = place.schedule({ intervalS: 300, deltas: true })
    for (let round = 0; round < 4; round++) await withDeltas.run()
    place.entra.requests.splice(0)
    await withDeltas.run()
    await withDeltas.close()
    const deltas = place.entra.requests.filter(({ path }) => path.endsWith('/delta')).length
    say(`a round of delta queries takes ${deltas} requests of one unit: accounts, mapped groups, groups inside them`)
    return units
  } finally {
    await place.close()
  }
}

function limits(units) {
  const cycleS = DEFAULT.intervalS - 2 * DEFAULT.runEveryS
  for (const [size, limit] of Object.entries(LIMITS)) {
    say(
      `tenant ${size}: ${number(limit)} units in 10 s, so ${number(limit / 10 / units * DEFAULT.intervalS)} users ` +
        'in 5 minutes if nothing else used the limit',
    )
  }
  say(
    `Gatehouse reads ${USERS_PER_SECOND} users a second at most (${USERS_PER_SECOND * units * 10} units in 10 s): ` +
      `everyone within 5 minutes up to ${number(USERS_PER_SECOND * cycleS)} users, without deltas`,
  )
  const [priv, max] = [DEFAULT.privilegedStalenessS, DEFAULT.maxStalenessS].map((s) => s - 2 * DEFAULT.intervalS)
  say(
    `the floor holds up to ${number(USERS_PER_SECOND * max)} users within 24 h, of which ` +
      `${number(USERS_PER_SECOND / 2 * priv)} staff and superusers within 1 h`,
  )
  for (const users of [100_000, 200_000, 500_000, 1_000_000]) {
    say(`  ${number(users)} users: a cycle of ${(users / USERS_PER_SECOND / 60).toFixed(1)} minutes`)
  }
  say(
    `signals: ${number(USERS_PER_SECOND * DEFAULT.runEveryS)} users a run, ` +
      `${number(USERS_PER_SECOND * DEFAULT.intervalS / 2)} changed users in 5 minutes (each is read twice)`,
  )
}

/** The documented limit of L, the rate of Gatehouse and the users, all divided by SCALE. */
async function throttledRuns() {
  const limit = LIMITS['L (more than 500 users)'] / SCALE
  const rate = USERS_PER_SECOND / SCALE
  const fits = Math.floor(rate * INTERVAL_S * 0.9)
  say(
    `runs at 1/${SCALE}: ${limit} units in 10 s, ${rate} users a second, an interval of ${INTERVAL_S} s: ` +
      `${fits} users fit (${number(fits * SCALE)} at full scale for this interval)`,
  )
  for (const [factor, deltas] of [[1, false], [4, false], [4, true]]) {
    const users = fits * factor
    const result = await throttledRun({ users, limit, rate, deltas })
    say(
      `  ${users} users ${deltas ? 'with' : 'without'} deltas: oldest snapshot ${result.lag.toFixed(0)} s ` +
        `(staff and superusers ${result.privilegedLag.toFixed(0)} s); of ${CHANGES} accounts that were disabled ` +
        `${result.within} lost their sessions within ${INTERVAL_S} s, the median after ${result.median} and the last ` +
        `after ${result.last}; ${result.throttled} requests were throttled, ${result.load} % of the limit in use`,
    )
  }
}

async function throttledRun({ users, limit, rate, deltas }) {
  const place = await openPlace(users, { throttling: { resourceUnits: limit } })
  const schedule = place.schedule({ intervalS: INTERVAL_S, deltas, usersPerSecond: rate })
  try {
    schedule.start()
    await sleep(INTERVAL_S * 1_000) // every user was due once, and the deltas are followed
    const [began, units] = [performance.now(), place.entra.resourceUnits()]
    const changed = Array.from({ length: CHANGES }, (_, n) => ({
      n: Math.floor(users / CHANGES * n) + 1,
      at: INTERVAL_S * 1_000 * n / CHANGES,
    }))
    const lags = []
    const ended = await place.disabled(changed, 3 * INTERVAL_S * 1_000, async () => lags.push(await place.lags()))
    const load = (place.entra.resourceUnits() - units) / ((performance.now() - began) / 10_000) / limit
    const shown = (seconds) => seconds === Infinity ? `more than ${INTERVAL_S * 2} s` : `${seconds.toFixed(0)} s`
    return {
      lag: Math.max(...lags.map(({ all }) => all)),
      privilegedLag: Math.max(...lags.map(({ privileged }) => privileged)),
      within: ended.filter((seconds) => seconds <= INTERVAL_S).length,
      median: shown(median(ended)),
      last: shown(ended.at(-1)),
      throttled: place.entra.requests.filter(({ status }) => status === 429).length,
      load: (load * 100).toFixed(0),
    }
  } finally {
    await schedule.close()
    await place.close()
  }
}

/** The query that finds who is due, with very many users. */
async function dueQueries() {
  const stage = await openStage()
  const database = openDatabase({ server: stage.url, poolSize: 4, timeoutMs: 120_000 })
  try {
    const dueUsers = createDueUsers(database, OPTIONS)
    let users = 0
    for (const active of ACTIVE) {
      await addUsers(stage, active, users, 3_600)
      users = active
      await stage.query('analyze')
      const times = []
      for (let each = 0; each < 5; each++) {
        const began = performance.now()
        await dueUsers.find({
          cycleMs: 270_000,
          usersPerSecond: USERS_PER_SECOND,
          floor: { privilegedMs: 3_000_000, othersMs: 85_800_000 },
          runEveryMs: 15_000,
          stalenessLimitsMs: [3_600_000, 86_400_000],
          overdueOnly: false,
        })
        times.push(performance.now() - began)
      }
      say(
        `the query for the users that are due, with ${number(active)} active users: ${
          (median(times) / 1_000).toFixed(2)
        } s`,
      )
    }
  } finally {
    await database.close()
    await stage.close()
  }
}

/** A database and a simulated Graph with the same users, all of them in a nested group. */
async function openPlace(users, options, withinS = 60) {
  const directory = createDirectory(DEMO_TENANT_ID)
  directory.addObject({ id: MAPPED, type: 'group', displayName: 'Mapped', securityEnabled: true })
  directory.addObject({ id: NESTED, type: 'group', displayName: 'Nested', securityEnabled: true })
  directory.addObject({ id: STAFF, type: 'group', displayName: 'Staff', securityEnabled: true })
  for (let n = 1; n <= users; n++) addAccount(directory, n)
  directory.addMember(MAPPED, NESTED)
  const app = createRegistration({ redirectUris: ['http://127.0.0.1:1/oauth2/callback'], secret: SECRET })
  const permissions = ['User.Read.All', 'GroupMember.Read.All']
  const entra = await startEntra({ directory, app: { ...app, applicationPermissions: permissions }, ...options })
  const stage = await openStage()
  await addUsers(stage, users, 0, withinS)
  const database = openDatabase({ server: stage.url, poolSize: 10 })
  const http = createHttpClient()
  return {
    entra,
    stage,
    schedule: (settings) => openSchedule({ entra, database, http }, settings),
    /**
     * Disables accounts, each at its time, and watches for so long.
     * @returns in how many seconds each lost its session, in order
     */
    async disabled(changes, patienceMs, watch) {
      const began = performance.now()
      const pending = new Map()
      const ended = []
      for (let last = began; performance.now() - began < patienceMs;) {
        for (const { n, at } of changes) {
          const account = directory.users.get(oid(n))
          if (!account.accountEnabled || performance.now() - began < at) continue
          account.accountEnabled = false
          pending.set(n, performance.now())
        }
        const alive = new Set(
          (await stage.query('select public_id from sessions where public_id = any($1)', [
            [...pending.keys()].map((n) => `ses_${n}`),
          ])).map(({ public_id: id }) => id),
        )
        for (const [n, since] of pending) {
          if (alive.has(`ses_${n}`)) continue
          ended.push((performance.now() - since) / 1_000)
          pending.delete(n)
        }
        if (performance.now() - last > 2_000) {
          last = performance.now()
          await watch()
        }
        await sleep(250)
      }
      return [...ended.sort((a, b) => a - b), ...Array(changes.length - ended.length).fill(Infinity)]
    },
    async lags() {
      const [row] = await stage.query(
        `select extract(epoch from now() - min(read_at))::float8 as all,
          extract(epoch from now() - min(read_at) filter (where is_staff))::float8 as privileged
        from users u join entra_readings r on r.user_id = u.id
        where exists (select 1 from sessions s where s.user_id = u.id)`,
      )
      return row
    },
    async close() {
      await database.close()
      await http.close()
      await stage.close()
      await entra.close()
    },
  }
}

function addAccount(directory, n) {
  directory.addUser({
    id: oid(n),
    displayName: `User ${n}`,
    userPrincipalName: `user${n}@contoso.example`,
    accountEnabled: true,
    userType: 'Member',
    signInSessionsValidFromDateTime: '2020-01-01T00:00:00Z',
  })
  directory.addMember(NESTED, oid(n))
  if (n % PRIVILEGED_EVERY === 0) directory.addMember(STAFF, oid(n))
}

/** Each with a session and a snapshot of the last `withinS` seconds; one of PRIVILEGED_EVERY is staff. */
async function addUsers({ query }, users, from, withinS) {
  await query(
    `with given as (select gen_random_uuid() as id, n from generate_series($2::int + 1, $1::int) n),
    u as (insert into users (id, username, username_key, is_staff)
      select id, 'user' || n, 'user' || n, n % $3::int = 0 from given),
    i as (insert into identities (tid, oid, user_id)
      select $4::uuid, ('e0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, id from given),
    s as (insert into sessions (id_hash, public_id, user_id)
      select decode(md5(n::text), 'hex'), 'ses_' || n, id from given)
    insert into entra_readings (user_id, group_ids, read_at)
      select id, array[$5, $6]::uuid[], now() - (random() + $8::float8) * $7::float8 * interval '1 s' from given`,
    [users, from, PRIVILEGED_EVERY, DEMO_TENANT_ID, MAPPED, NESTED, withinS, withinS > 60 ? 0.2 : 0],
  )
}

function openSchedule({ entra, database, http }, { intervalS, deltas, usersPerSecond }) {
  const endpoints = entraEndpoints({
    tenantId: DEMO_TENANT_ID,
    cloud: 'global',
    authorityHost: entra.url,
    graphUrl: entra.graphUrl,
  })
  const credential = createClientCredential(
    () => ({ clientSecret: SECRET, certificate: undefined, federatedTokenFile: undefined }),
    { clientId: DEMO_CLIENT_ID, tokenEndpoint: endpoints.token },
  )
  const connection = { http, endpoints, clientId: DEMO_CLIENT_ID, credential }
  const background = createBackgroundGraph(connection)
  const nothing = () => {}
  const report = Object.fromEntries(
    ['changed', 'sessionsEnded', 'signInGrantsLost', 'privilegesExpired', 'recovered', 'counted', 'groupMissing']
      .map((name) => [name, nothing]),
  )
  const problem = (what) => (...details) => say(`  ${what}: ${details.map((each) => each?.message ?? each).join(' ')}`)
  const mapping = createGroupMapping([{ entraGroup: STAFF, groups: [], staff: true, superuser: false }])
  return createReevaluationSchedule({
    source: createAccountSource({ ...connection, securityGroupsOnly: false, budgetMs: 30_000 }, background),
    dueUsers: createDueUsers(database, OPTIONS),
    writer: createReevaluationWriter(database),
    expiry: createStalenessExpiry(database, OPTIONS),
    leadership: { held: async () => true, release: async () => {} },
    pace: { intervalMs: intervalS * 1_000, privilegedStalenessMs: 3_600_000, maxStalenessMs: 86_400_000 },
    mapping: () => ({ settings: { mapping }, requireMappedGroup: false }),
    lookups: { groupIds: async () => new Map() },
    report: { ...report, usersFailed: problem('users failed'), runFailed: problem('run failed') },
    ...usersPerSecond === undefined ? {} : { usersPerSecond },
    ...deltas
      ? {
        changes: {
          source: createChangeSource({ background, tenantId: DEMO_TENANT_ID, clientId: DEMO_CLIENT_ID }),
          store: createSignalStore(database, OPTIONS),
          mapped: () => [MAPPED, STAFF],
          report: {
            signalled: nothing,
            deltaFailed: problem('delta failed'),
            deltaRecovered: nothing,
            deltaRestarted: nothing,
            groupsNotFollowed: nothing,
          },
        },
      }
      : {},
  })
}
