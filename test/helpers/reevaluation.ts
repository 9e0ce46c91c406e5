// A gateway with re-evaluation, and what tests of the re-evaluation need of it.
import type { Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import type { Browser } from './browser.js'
import { startTestGateway, type TestGateway, type TestGatewayOptions } from './gateway.js'
import { connect, type Query } from './sql.js'
import { TARGET } from './targets.js'

const PERMISSIONS = ['User.Read.All', 'GroupMember.Read.All']
const SYNC = { interval: '1h', privilegedStaleness: '30d' }
export const HOUR = 3_600_000

export interface Scene {
  readonly gateway: TestGateway
  readonly query: Query
  readonly signIn: (person: keyof typeof PERSON_IDS) => Promise<Browser>
  readonly status: (browser: Browser) => Promise<number>
  readonly header: (browser: Browser, name: string) => Promise<string | null>
  /** Makes the snapshots and the failed attempts of all users so much older. */
  readonly age: (ms: number) => Promise<unknown>
  /** The same of the failed attempts and of missing accounts alone. */
  readonly ageAttempts: (ms: number) => Promise<unknown>
  /** A whole run that begins after this call. */
  readonly run: () => Promise<void>
  /** The field `sync` of /readyz. */
  readonly readiness: () => Promise<string | undefined>
  readonly audit: () => Promise<
    readonly { action: string, username: string, actor: string, detail: Record<string, unknown> }[]
  >
  readonly metric: (line: string) => Promise<number>
}

export async function scene(t: Test, { config, ...options }: TestGatewayOptions = {}): Promise<Scene> {
  const gateway = await startTestGateway(t, {
    ...options,
    app: { applicationPermissions: PERMISSIONS, ...options.app },
    config: { sync: SYNC, ...config },
  })
  const query = await connect(t, gateway.databaseUrl)
  const check = (browser: Browser) => gateway.ask('/oauth2/auth', { browser, headers: TARGET })
  return {
    gateway,
    query,
    signIn: async (person) => {
      const { browser } = await gateway.signIn(PERSON_IDS[person])
      if ((await check(browser)).status !== 200) throw new Error('not signed in')
      return browser
    },
    status: async (browser) => (await check(browser)).status,
    header: async (browser, name) => (await check(browser)).headers.get(name),
    age: (ms) =>
      query(`with snapshots as (update entra_readings set read_at = read_at - interval '${ms} milliseconds')
      ${olderAttempts(ms)}`),
    ageAttempts: (ms) => query(olderAttempts(ms)),
    async run() {
      await gateway.gateway.reevaluation?.run() // a run in progress may have begun before this call
      await gateway.gateway.reevaluation?.run()
    },
    async readiness() {
      const answer = await (await fetch(`${gateway.management}/readyz`)).json() as { parts: { sync?: string } }
      return answer.parts.sync
    },
    audit: () => query("select action, username, actor, detail from audit_events where actor = 'sync' order by id"),
    async metric(line) {
      const text = await (await fetch(`${gateway.management}/metrics`)).text()
      return Number(text.split('\n').find((each) => each.startsWith(line))?.slice(line.length) ?? 0)
    },
  }
}

function olderAttempts(ms: number): string {
  return `update entra_checks set tried_at = tried_at - interval '${ms} milliseconds',
    missing_since = missing_since - interval '${ms} milliseconds'`
}
