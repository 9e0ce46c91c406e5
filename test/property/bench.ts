// One gateway, one simulator and one database under a whole property, and what a property asks of them: people, logins
// without pages, another mapping, the rows, and what an application behind the proxy would be told.
import assert from 'node:assert/strict'
import { randomInt, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import pg from 'pg'
import type { Test } from 'tap'
import { Agent } from 'undici'
import { DEMO_TENANT_ID } from '../../src/demo/people.js'
import { createBrowser, type Answer, type Browser } from '../helpers/browser.js'
import { freePorts, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { LOCAL_NAMES, type Change } from './arbitraries.js'
import { openGraphDoor, type GraphDoor } from './graph-door.js'
import { entraGroupsOf, verdict, type Rights, type Row, type Tenant, type Verdict } from './oracle.js'

/** What the database holds of somebody, in the oracle's words. */
export interface Stored extends Rights {
  readonly username: string
  /** All that exist, the person's or not. */
  readonly localGroups: readonly string[]
  readonly causes: Verdict['causes']
  readonly reading: readonly string[]
  readonly users: number
  readonly identities: number
  readonly sessions: number
  /** Audit rows. */
  readonly logins: number
}

export interface Bench {
  readonly gateway: TestGateway
  readonly door: GraphDoor
  /** `name` begins the UPN and with it the username; characters that a username may not have earn it a random end. */
  addPerson(name?: string): string
  newBrowser(): Browser
  useMapping(rows: readonly Row[]): void
  useLocalGroups(names: readonly string[]): Promise<void>
  /** Signs somebody in as far as the way back to the gateway. */
  toCallback(browser: Browser, person: string): Promise<string>
  signIn(browser: Browser, person: string): Promise<Answer>
  stored(person: string): Promise<Stored | undefined>
  /** What an administrator does by hand, in the database. */
  byHand(person: string, change: Change): Promise<void>
  /** Everything a failed login must not touch, times included. */
  dump(): Promise<unknown>
  /** The person's own rows in those tables; sessions, which every login makes anew, aside. */
  rowsWithoutTimes(person: string): Promise<unknown>
  query(statement: string, values?: unknown[]): Promise<pg.QueryResult>
}

const PATIENT = { entra: { loginBudget: '60s' }, log: { level: 'info' } } // a slow machine is not a failure

export async function openBench(t: Test): Promise<Bench> {
  const [graphPort = 0] = await freePorts(1)
  const door = await openGraphDoor(t, graphPort)
  const first = await startTestGateway(t, { seed: () => {}, groups: LOCAL_NAMES, entra: { graphPort, graphPublicUrl: door.url }, config: PATIENT })
  const pool = new pg.Pool({ connectionString: first.databaseUrl, max: 2 })
  pool.on('error', () => {})
  t.teardown(() => pool.end())
  // Thousands of commits: waiting for the disk after each would be most of the time. Counts for connections made from now on.
  await pool.query(`alter database ${new URL(first.databaseUrl).pathname.slice(1)} set synchronous_commit = off`)
  const dispatcher = new Agent({ keepAliveTimeout: 100 })
  t.teardown(() => dispatcher.destroy())
  return benchOver(await first.restart(), { door, pool, dispatcher })
}

/** The same bench in front of a gateway that was started anew. */
export async function restarted(bench: Bench, config: Record<string, unknown>): Promise<Bench> {
  return { ...bench, gateway: await bench.gateway.restart(config) }
}

function benchOver(gateway: TestGateway, { door, pool, dispatcher }: { door: GraphDoor, pool: pg.Pool, dispatcher: Agent }): Bench {
  const { directory } = gateway.entra
  const query: Bench['query'] = (statement, values) => pool.query(statement, values)
  return {
    gateway,
    door,
    query,
    addPerson(name = 'p') {
      const id = randomUUID()
      const upn = `${name}${id.slice(0, 8)}@contoso.example`
      return directory.addUser({ id, displayName: upn, userPrincipalName: upn, mail: upn, accountEnabled: true, userType: 'Member', edov: true, signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z' }).id
    },
    newBrowser: () => createBrowser({ dispatcher }),
    useMapping(rows) {
      const config = gateway.config as { groupMapping: readonly Row[] } // read anew at each login
      config.groupMapping = rows
    },
    async useLocalGroups(names) {
      await query('with gone as (delete from groups where name <> all($1::text[])) insert into groups (name) select unnest($1::text[]) on conflict do nothing', [names])
    },
    toCallback,
    signIn: async (browser, person) => browser.ask(await toCallback(browser, person), { headers: { accept: 'application/json' } }),
    async stored(person) {
      const { rows: [row] } = await query(STORED, [person])
      return row && storedOf(row)
    },
    async byHand(person, change) {
      if (change.do === 'assign') await query('insert into user_groups (user_id, group_id) select i.user_id, g.id from identities i, groups g where i.oid = $1 and g.name = $2 on conflict do nothing', [person, change.name])
      if (change.do === 'unassign') await query('delete from user_groups where user_id = (select user_id from identities where oid = $1) and group_id = (select id from groups where name = $2)', [person, change.name])
      if (change.do === 'create') await query('insert into groups (name) values ($1) on conflict do nothing', [change.name])
      if (change.do === 'drop') await query('delete from groups where name = $1', [change.name])
      if (change.do === 'flag') await query(`update users set is_${change.flag} = $2 where id = (select user_id from identities where oid = $1)`, [person, change.value])
    },
    async dump() {
      const { rows: [row] } = await query(DUMP)
      return row
    },
    async rowsWithoutTimes(person) {
      const { rows: [row] } = await query(ROWS, [person])
      return row
    },
  }

  async function toCallback(browser: Browser, person: string): Promise<string> {
    const start = await browser.ask(`${gateway.url}/oauth2/start`)
    const { origin, searchParams } = new URL(start.location ?? '')
    const back = await browser.ask(`${origin}/${DEMO_TENANT_ID}/login`, { method: 'POST', form: { ...Object.fromEntries(searchParams), person } })
    return back.location ?? assert.fail(`the simulated Entra answered ${back.status}`)
  }
}

const TABLES = ['users', 'identities', 'user_groups', 'entra_readings', 'sessions', 'spent_flows'] as const
const DUMP = `select ${TABLES.map((table) => `(select jsonb_agg(x order by x::text) from ${table} x) as ${table}`).join(', ')},
  (select jsonb_agg(x order by x.id) from audit_events x where action = 'login') as logins`

const ROWS = `select to_jsonb(u) - 'last_login_at' - 'staff_since' - 'superuser_since' as person, to_jsonb(i) as identity, to_jsonb(r) - 'read_at' as reading,
  (select jsonb_agg(to_jsonb(ug) - 'since' order by ug.group_id) from user_groups ug where ug.user_id = u.id) as groups
  from identities i join users u on u.id = i.user_id join entra_readings r on r.user_id = u.id where i.oid = $1`

const STORED = `select u.username, (select array_agg(name) from groups) as local_groups, u.is_staff, u.is_superuser, u.staff_cause, u.superuser_cause,
  (select coalesce(jsonb_agg(jsonb_build_object('name', g.name, 'cause', ug.cause)), '[]') from user_groups ug join groups g on g.id = ug.group_id where ug.user_id = u.id) as groups,
  (select group_ids::text[] from entra_readings where user_id = u.id) as reading,
  (select count(*)::int from users same where same.email = u.email) as users,
  (select count(*)::int from identities where oid = $1 or user_id = u.id) as identities,
  (select count(*)::int from sessions where user_id = u.id) as sessions,
  (select count(*)::int from audit_events where user_id = u.id and action = 'login') as logins
  from identities i join users u on u.id = i.user_id where i.oid = $1`

interface CauseJson { readonly row: number }

function storedOf(row: Record<string, unknown>): Stored {
  const groups = row.groups as { name: string, cause: CauseJson[] | null }[]
  const numbers = (causes: unknown) => (causes as CauseJson[] | null ?? []).map((cause) => cause.row)
  return {
    username: String(row.username),
    localGroups: row.local_groups as string[] | null ?? [],
    groups: groups.map(({ name }) => name).sort(),
    staff: row.is_staff === true,
    superuser: row.is_superuser === true,
    causes: { groups: Object.fromEntries(groups.map(({ name, cause }) => [name, numbers(cause)])), staff: numbers(row.staff_cause), superuser: numbers(row.superuser_cause) },
    reading: [...row.reading as string[] | null ?? []].sort(),
    users: Number(row.users),
    identities: Number(row.identities),
    sessions: Number(row.sessions),
    logins: Number(row.logins),
  }
}

/** What an application is told about whoever uses this browser; undefined where nobody is signed in. */
export async function told({ gateway }: Bench, browser: Browser): Promise<(Rights & { user: string | null }) | undefined> {
  const answer = await gateway.ask('/oauth2/auth', { browser, headers: { 'x-original-url': 'http://127.0.0.1:9999/x', 'x-original-method': 'GET' } })
  if (answer.status === 401) return undefined
  assert.equal(answer.status, 200)
  const list = answer.headers.get('x-auth-request-groups') ?? assert.fail('no X-Auth-Request-Groups')
  assert.match(list, /^[\x20-\x7e]*$/)
  assert.equal(answer.headers.get('remote-groups'), list)
  return {
    user: answer.headers.get('x-auth-request-user'),
    groups: list === '' ? [] : list.split(',').map(decodeURIComponent).sort(),
    staff: answer.headers.get('x-auth-request-staff') === 'true',
    superuser: answer.headers.get('x-auth-request-superuser') === 'true',
  }
}

/** Rights after a login, in the database and at the door, against the oracle's. */
export async function assertRights(bench: Bench, person: string, expected: { reading: readonly string[], rows: readonly Row[], browser: Browser, others?: readonly Browser[] }): Promise<Stored & { due: Verdict }> {
  const found = await bench.stored(person) ?? assert.fail('the person is not in the database')
  const due = verdict(expected.reading, expected.rows, found.localGroups)
  const { groups, staff, superuser, causes, reading } = found
  assert.deepEqual({ groups, staff, superuser, causes, reading }, { groups: due.groups, staff: due.staff, superuser: due.superuser, causes: due.causes, reading: expected.reading })
  assert.deepEqual({ users: found.users, identities: found.identities }, { users: 1, identities: 1 })
  const answer = { user: found.username, groups: due.groups, staff: due.staff, superuser: due.superuser }
  assert.deepEqual(await told(bench, expected.browser), answer)
  for (const other of expected.others ?? []) await eventually(async () => assert.deepEqual(await told(bench, other), answer))
  return { ...found, due }
}

export function readingOf(person: string, tenant: Tenant): string[] {
  return entraGroupsOf(person, tenant)
}

/** Log lines of logins since a mark: the one about each login, and the names that no local group bears. */
export function loginLines({ gateway }: Bench, since: number): { summaries: Record<string, unknown>[], missing: string[] } {
  const lines = gateway.log.slice(since).filter(({ msg }) => String(msg).includes('Azure AD group mapping'))
  const names = lines.map(({ msg }) => /group not found locally: (.*)$/su.exec(String(msg))?.[1])
  return { summaries: lines.filter((_, index) => names[index] === undefined), missing: names.filter((name) => name !== undefined).sort() }
}

/** An older session follows within the bounds of the contract, not at the very same instant. */
async function eventually(check: () => Promise<void>): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      return await check()
    } catch {
      await sleep(50)
    }
  }
  await check()
}

export const SEED = process.env.FC_SEED === undefined ? randomInt(2 ** 31) : Number(process.env.FC_SEED)

/** Runs a property; a failure shows the seed, the path and the smallest example that 300 more runs find. */
export async function holds<T>(t: Test, arbitrary: fc.Arbitrary<T>, numRuns: number, check: (value: T) => Promise<void>): Promise<void> {
  t.comment(`${numRuns} runs, FC_SEED=${SEED}`)
  let triesLeft: number | undefined
  const bounded = async (value: T): Promise<void> => {
    if (triesLeft !== undefined) fc.pre(triesLeft-- > 0)
    try {
      await check(value)
    } catch (error) {
      triesLeft ??= 300
      throw error
    }
  }
  await fc.assert(fc.asyncProperty(arbitrary, bounded), { numRuns, seed: SEED })
  t.pass(`held ${numRuns} times`)
}
