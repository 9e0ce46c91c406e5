// A gateway of an earlier release, as a process with a simulated Entra ID beside it, for scenes that show what this
// release has changed.
import pg from 'pg'
import root from 'tap'
import { createDirectory } from '../../src/demo/directory.js'
import { startEntra } from '../../src/demo/entra/server.js'
import { DEMO_TENANT_ID, seedDemoDirectory } from '../../src/demo/people.js'
import { addressOf } from '../../src/store/postgres-client.js'
import { chooseServer } from '../../src/store/server-of-record/server-of-record.js'
import { createBrowser } from './browser.js'
import type { SceneRelease } from './failover-scene.js'
import { baseConfig, freePorts, merge, pickPerson, registration } from './gateway.js'
import { buildPreviousRelease, type PreviousRelease } from './previous-release.js'
import { startServiceAddress } from './streaming-pair.js'

let built: PreviousRelease | undefined

/** @throws where the tag is not there */
export function previousReleaseGateways(tag: string): SceneRelease {
  built ??= buildPreviousRelease(root, tag)
  const release = built
  if (release === undefined) throw new Error(`there is no release ${tag}`)
  return {
    async start(t, databaseUrl, config) {
      const [port = 0, management = 0] = await freePorts(2)
      const publicUrl = `http://127.0.0.1:${port}`
      const directory = createDirectory(DEMO_TENANT_ID)
      seedDemoDirectory(directory)
      const entra = await startEntra({ directory, app: registration(publicUrl) })
      t.teardown(() => entra.close())
      const base = baseConfig({ publicUrl, port, management, entra, databaseUrl })
      const running = await release.serve(merge(base, config), management)
      return {
        url: publicUrl,
        management: `http://127.0.0.1:${management}`,
        get log() {
          return running.output().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
        },
        async signIn(personId, { browser = createBrowser() } = {}) {
          const page = await browser.follow(`${publicUrl}/oauth2/start`)
          return { browser, answer: await pickPerson(browser, page, personId) }
        },
      }
    },
    // As its own command does it: its tables are those of its own migrations.
    commandAt: (url) => async (publicId) => {
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => {})
      await client.connect()
      const { rowCount } = await client.query(
        `with ended as (delete from sessions where public_id = $1 returning user_id)
        insert into audit_events (action, actor, user_id, detail)
          select 'session.revoke', 'test', user_id, jsonb_build_object('session', $1::text) from ended returning id`,
        [publicId],
      ).finally(() => {
        client.end().catch(() => {})
      })
      if (rowCount === 0) throw new Error(`there is no session ${publicId}`)
    },
    // It takes one host: a relay leads new connections to the newest primary, as a virtual address does.
    async listOf(t, pair, url) {
      const service = await startServiceAddress(t, pair.a)
      const follow = async (): Promise<void> => {
        const newest = await chooseServer({ url }).catch(() => undefined)
        const port = newest && addressOf(newest.current().url).port
        const server = Object.values(pair).find(({ address }) => address.endsWith(`:${port}`))
        if (server !== undefined) service.moveTo(server)
      }
      const following = setInterval(() => {
        follow().catch(() => {})
      }, 1_000)
      t.teardown(() => clearInterval(following))
      return `postgres://app@${service.address}/gatehouse`
    },
  }
}
