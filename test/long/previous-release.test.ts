// A rolling upgrade: the previous release runs on the schema of this one, beside it. What ends at one ends at the
// other within a second, and a session of either is known to both; users sign in at either. `npm run test:previous`
// runs it.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, formOf, type Browser } from '../helpers/browser.js'
import { baseConfig, freePorts, startTestGateway } from '../helpers/gateway.js'
import { buildPreviousRelease } from '../helpers/previous-release.js'
import { connect } from '../helpers/sql.js'
import { TARGET } from '../helpers/targets.js'
import { createSessionAdmin, createUserAdmin } from '../helpers/acts.js'

const TAG = 'v0.2.0'
const ROUNDS = 20
const BOUND_MS = 1_000
const TIMEOUTS = { idleTimeoutMs: 28_800_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }

t.test(`${TAG} beside this release, on one database`, async (t) => {
  const previous = buildPreviousRelease(t, TAG)
  if (previous === undefined) return
  const gateway = await startTestGateway(t, { config: { session: { maxPerUser: 1_000 } } })
  const [port = 0, management = 0] = await freePorts(2)
  const { entra, databaseUrl, url: publicUrl } = gateway
  const old = `http://127.0.0.1:${port}`
  const running = await previous.serve(baseConfig({ publicUrl, port, management, entra, databaseUrl }), management)
  while (!await fetch(`http://127.0.0.1:${management}/readyz`).then(({ ok }) => ok, () => false)) await sleep(50)

  const both = [publicUrl, old]
  const statuses = (cookie: string): Promise<readonly number[]> =>
    Promise.all(
      both.map(async (url) =>
        (await createBrowser().ask(`${url}/oauth2/auth`, { headers: { ...TARGET, cookie } })).status
      ),
    )
  const signIn = async (): Promise<{ browser: Browser, cookie: string }> => {
    const { browser } = await gateway.signIn(PERSON_IDS.guest)
    return { browser, cookie: browser.cookieHeader(publicUrl) }
  }
  const query = await connect(t, databaseUrl)
  const sessions = createSessionAdmin(gateway.gateway.database, TIMEOUTS)
  const users = createUserAdmin(gateway.gateway.database)
  const userId = async (): Promise<string> =>
    (await query<{ id: string }>('select user_id as id from identities where oid = $1', [PERSON_IDS.guest]))[0]?.id ??
      ''

  const endings: Readonly<Record<string, (browser: Browser, cookie: string) => Promise<unknown>>> = {
    'sign-out at this release': (browser) => browser.ask(`${publicUrl}/oauth2/sign_out`, { method: 'POST', form: {} }),
    'sign-out at the previous release': (_browser, cookie) =>
      createBrowser().ask(`${old}/oauth2/sign_out`, { headers: { cookie } }),
    'a command of this release': () => sessions.revokeAll({}, 'cli:test'),
    'a row deleted by hand': () => query('delete from sessions'),
    'users deactivate': async () => {
      await users.setActive(await userId(), false, 'cli:test')
      await users.setActive(await userId(), true, 'cli:test')
    },
  }
  for (const [name, end] of Object.entries(endings)) {
    await t.test(name, async (t) => {
      const times: number[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const { browser, cookie } = await signIn()
        while ((await statuses(cookie)).some((status) => status !== 200)) await sleep(5) // and cached by both
        await end(browser, cookie)
        const ended = performance.now()
        while ((await statuses(cookie)).some((status) => status !== 401) && performance.now() - ended < 5_000);
        times.push(performance.now() - ended)
      }
      times.sort((one, other) => one - other)
      t.comment(
        `refused by both after ${times[ROUNDS / 2]?.toFixed(0)} ms (p50), ${times.at(-1)?.toFixed(0)} ms (longest)`,
      )
      t.ok((times.at(-1) ?? Infinity) < BOUND_MS, 'within a second')
    })
  }

  /** Entra ID leads back to the address that both have; the load balancer gives the request to the previous release. */
  const signInAtPrevious = async (
    personId: string,
  ): Promise<{ browser: Browser, cookie: string, location?: string }> => {
    const browser = createBrowser()
    const { action, fields } = formOf(await browser.follow(`${old}/oauth2/start`))
    const back = await browser.ask(action, { method: 'POST', form: { ...fields, person: personId } })
    const { location } = await browser.ask((back.location ?? '').replace(publicUrl, old))
    return { browser, cookie: browser.cookieHeader(publicUrl), ...(location === undefined ? {} : { location }) }
  }
  const newest = async () => {
    const [row] = await query(`select is_staff as "isStaff", detail->>'session' as session, s.id_hash is not
      null as "isActive" from audit_events a join users u on u.id = a.user_id left join sessions s on s.public_id =
      detail->>'session' where action = 'login' order by a.id desc limit 1`)
    return row
  }
  const revocations: Readonly<Record<string, (browser: Browser) => Promise<unknown>>> = {
    'sign-out at this release': (browser) => browser.ask(`${publicUrl}/oauth2/sign_out`, { method: 'POST', form: {} }),
    'a command of this release': async () => sessions.revoke(String((await newest())?.['session']), 'cli:test'),
    'users deactivate of this release': async () => {
      const [person] = await query<{ id: string }>('select user_id as id from identities where oid = $1', [
        PERSON_IDS.staff,
      ])
      t.equal(await users.setActive(person?.id ?? '', false, 'cli:test'), 1)
    },
  }
  for (const [name, end] of Object.entries(revocations)) {
    await t.test(`a user signs in at the previous release, on the new schema: ${name}`, async (t) => {
      const { browser, cookie, location } = await signInAtPrevious(PERSON_IDS.staff)
      t.ok(location?.startsWith(publicUrl), 'it leads back')
      t.match(await newest(), { isStaff: true, session: /^ses_/, isActive: true }, 'with its row of the audit')
      t.strictSame(await statuses(cookie), [200, 200], 'this release accepts its session')
      const { headers } = await createBrowser().ask(`${publicUrl}/oauth2/auth`, { headers: { ...TARGET, cookie } })
      t.match(headers.get('x-gatehouse-groups') ?? headers.get('x-auth-request-groups'), /\w/, 'with the groups')
      await end(browser)
      const ended = performance.now()
      while ((await statuses(cookie)).some((status) => status !== 401) && performance.now() - ended < 5_000);
      t.ok(performance.now() - ended < BOUND_MS, 'and its end reaches both within a second')
    })
  }

  await t.test('the previous release goes on alone, after a rollback', async (t) => {
    const { browser, cookie } = await signIn()
    t.strictSame(await statuses(cookie), [200, 200])
    await gateway.close()
    const status = async (): Promise<number> =>
      (await createBrowser().ask(`${old}/oauth2/auth`, { headers: { ...TARGET, cookie } })).status
    t.equal(await status(), 200, 'warm')
    await query('delete from sessions')
    const ended = performance.now()
    while (await status() !== 401 && performance.now() - ended < 5_000);
    t.ok(performance.now() - ended < BOUND_MS, 'a session that ended is refused')
    t.ok(browser)
  })
  t.notMatch(running.output(), /"level":"(error|fatal)"/)
})
