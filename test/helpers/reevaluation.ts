// A gateway that looks people up again, and what its tests do with it.
import type { Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import type { Browser } from './browser.js'
import { startTestGateway, type TestGateway, type TestGatewayOptions } from './gateway.js'
import { connect, type Query } from './sql.js'

const TARGET = { 'x-original-url': 'https://app.test/x', 'x-original-method': 'GET' }
const PERMISSIONS = ['User.Read.All', 'GroupMember.Read.All']
const SYNC = { interval: '1h', privilegedStaleness: '30d' }
export const HOUR = 3_600_000

export interface Scene {
  readonly gateway: TestGateway
  readonly query: Query
  readonly signIn: (person: keyof typeof PERSON_IDS) => Promise<Browser>
  readonly status: (browser: Browser) => Promise<number>
  readonly header: (browser: Browser, name: string) => Promise<string | null>
  /** Everybody was last read this long ago. */
  readonly age: (ms: number) => Promise<unknown>
  /** A whole turn that begins after this call. */
  readonly pass: () => Promise<void>
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
      query(`with a as (update entra_readings set read_at = read_at - interval '${ms} milliseconds')
      update entra_checks set tried_at = tried_at - interval '${ms} milliseconds', missing_since = missing_since -
        interval '${ms} milliseconds'`),
    async pass() {
      await gateway.gateway.reevaluation?.run() // one that is under way may have begun before
      await gateway.gateway.reevaluation?.run()
    },
    audit: () => query("select action, username, actor, detail from audit_events where actor = 'sync' order by id"),
    async metric(line) {
      const text = await (await fetch(`${gateway.management}/metrics`)).text()
      return Number(text.split('\n').find((each) => each.startsWith(line))?.slice(line.length) ?? 0)
    },
  }
}
