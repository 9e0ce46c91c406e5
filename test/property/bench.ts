// One gateway, one simulator and one database under a whole property, and what a property asks of them: people, logins
// without pages, another mapping, the rows, and what an application behind the proxy would be told.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Test } from 'tap'
import { Agent } from 'undici'
import { DEMO_TENANT_ID } from '../../src/demo/people.js'
import { createBrowser, type Answer, type Browser } from '../helpers/browser.js'
import { freePorts, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { LOCAL_NAMES, type Change } from './arbitraries.js'
import { openGraphDoor, type GraphDoor } from './graph-fault-proxy.js'
import { entraGroupsOf, verdict, type Rights, type Row, type Tenant, type Verdict } from './oracle.js'
import { DUMP, ROWS, STORED, storedOf, type Stored } from './stored.js'

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
  const first = await startTestGateway(t, {
    seed: () => {},
    groups: LOCAL_NAMES,
    entra: { graphPort, graphPublicUrl: door.url },
    config: PATIENT,
  })
  const pool = new pg.Pool({ connectionString: first.databaseUrl, max: 2 })
  pool.on('error', () => {})
  t.teardown(() => pool.end())
  // Thousands of commits: waiting for the disk after each would be most of the time. Counts for connections made from
  // now on.
  await pool.query(`alter database ${new URL(first.databaseUrl).pathname.slice(1)} set synchronous_commit = off`)
  const dispatcher = new Agent({ keepAliveTimeout: 100 })
  t.teardown(() => dispatcher.destroy())
  return benchOver(await first.restart(), { door, pool, dispatcher })
}

/** The same bench in front of a gateway that was started anew. */
export async function restarted(bench: Bench, config: Record<string, unknown>): Promise<Bench> {
  return { ...bench, gateway: await bench.gateway.restart(config) }
}

function benchOver(
  gateway: TestGateway,
  { door, pool, dispatcher }: { door: GraphDoor, pool: pg.Pool, dispatcher: Agent },
): Bench {
  const { directory } = gateway.entra
  const query: Bench['query'] = (statement, values) => pool.query(statement, values)
  return {
    gateway,
    door,
    query,
    addPerson(name = 'p') {
      const id = randomUUID()
      const upn = `${name}${id.slice(0, 8)}@contoso.example`
      return directory.addUser({
        id,
        displayName: upn,
        userPrincipalName: upn,
        mail: upn,
        accountEnabled: true,
        userType: 'Member',
        edov: true,
        signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z',
      }).id
    },
    newBrowser: () => createBrowser({ dispatcher }),
    useMapping(rows) {
      const config = gateway.config as { groupMapping: readonly Row[] } // read anew at each login
      config.groupMapping = rows
    },
    async useLocalGroups(names) {
      await query(
        'with gone as (delete from groups where name <> all($1::text[])) insert into groups (name) select ' +
          'unnest($1::text[]) on conflict do nothing',
        [names],
      )
    },
    toCallback,
    signIn: async (browser, person) =>
      browser.ask(await toCallback(browser, person), { headers: { accept: 'application/json' } }),
    async stored(person) {
      const { rows: [row] } = await query(STORED, [person])
      return row && storedOf(row)
    },
    async byHand(person, change) {
      if (change.do === 'assign') {
        await query(
          'insert into user_groups (user_id, group_id) select i.user_id, g.id from identities i, groups g where ' +
            'i.oid = $1 and g.name = $2 on conflict do nothing',
          [person, change.name],
        )
      }
      if (change.do === 'unassign') {
        await query(
          'delete from user_groups where user_id = (select user_id from identities where oid = $1) and group_id = ' +
            '(select id from groups where name = $2)',
          [person, change.name],
        )
      }
      if (change.do === 'create') {
        await query('insert into groups (name) values ($1) on conflict do nothing', [change.name])
      }
      if (change.do === 'drop') await query('delete from groups where name = $1', [change.name])
      if (change.do === 'flag') {
        await query(
          `update users set is_${change.flag} = $2 where id = (select user_id from identities where oid = $1)`,
          [person, change.value],
        )
      }
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
    const back = await browser.ask(`${origin}/${DEMO_TENANT_ID}/login`, {
      method: 'POST',
      form: { ...Object.fromEntries(searchParams), person },
    })
    return back.location ?? assert.fail(`the simulated Entra answered ${back.status}`)
  }
}

/** What an application is told about whoever uses this browser; undefined where nobody is signed in. */
export async function told(
  { gateway }: Bench,
  browser: Browser,
): Promise<(Rights & { user: string | null }) | undefined> {
  const answer = await gateway.ask('/oauth2/auth', {
    browser,
    headers: { 'x-original-url': 'http://127.0.0.1:9999/x', 'x-original-method': 'GET' },
  })
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
export async function assertRights(
  bench: Bench,
  person: string,
  expected: { reading: readonly string[], rows: readonly Row[], browser: Browser, others?: readonly Browser[] },
): Promise<Stored & { due: Verdict }> {
  const found = await bench.stored(person) ?? assert.fail('the person is not in the database')
  const due = verdict(expected.reading, expected.rows, found.localGroups)
  const { groups, staff, superuser, causes, reading } = found
  assert.deepEqual({ groups, staff, superuser, causes, reading }, {
    groups: due.groups,
    staff: due.staff,
    superuser: due.superuser,
    causes: due.causes,
    reading: expected.reading,
  })
  assert.deepEqual({ users: found.users, identities: found.identities }, { users: 1, identities: 1 })
  const answer = { user: found.username, groups: due.groups, staff: due.staff, superuser: due.superuser }
  assert.deepEqual(await told(bench, expected.browser), answer)
  for (const other of expected.others ?? []) {
    await eventually(async () => assert.deepEqual(await told(bench, other), answer))
  }
  return { ...found, due }
}

export function readingOf(person: string, tenant: Tenant): string[] {
  return entraGroupsOf(person, tenant)
}

/** Log lines of logins since a mark: the one about each login, and the names that no local group bears. */
export function loginLines(
  { gateway }: Bench,
  since: number,
): { summaries: Record<string, unknown>[], missing: string[] } {
  const lines = gateway.log.slice(since).filter(({ msg }) => String(msg).includes('Azure AD group mapping'))
  const names = lines.map(({ msg }) => /group not found locally: (.*)$/su.exec(String(msg))?.[1])
  return {
    summaries: lines.filter((_, index) => names[index] === undefined),
    missing: names.filter((name) => name !== undefined).sort(),
  }
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
