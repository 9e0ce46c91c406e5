// admin.acrs: a step-up asks for an authentication context of Conditional Access. What an ID token says about one
// counts where this flow asked for it, and nowhere else.
import { sql } from 'drizzle-orm'
import t, { type Test } from 'tap'
import { newAdminSessionId } from '../../../src/core/admin-session.js'
import { sessionIdHash } from '../../../src/core/session.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { createAdminSessionStore } from '../../../src/store/admin-sessions.js'
import { refreshOf, signInToConsole } from '../../helpers/admin.js'
import type { Browser } from '../../helpers/browser.js'
import { startTestGateway, type TestGateway } from '../../helpers/gateway.js'

const STEP_UP = '/admin/step-up?rd=%2Fadmin%2Fpeople'
const PROGRAM = { 'accept': 'application/json', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }

interface Context extends Record<string, unknown> {
  readonly acrs: string | null
}

async function start(t: Test, acrs: string | null = 'c1') {
  const gateway = await startTestGateway(t, { config: { admin: acrs === null ? {} : { acrs } } })
  const { database } = gateway.gateway
  const rows = async <Row extends Record<string, unknown>>(statement: ReturnType<typeof sql>): Promise<Row[]> =>
    (await database.ask((db) => db.execute(statement))).rows as Row[]
  return { gateway, rows, contexts: () => rows<Context>(sql`select acrs from admin_sessions`) }
}

/** The next ID token says this about authentication contexts, whatever was asked for. */
function tokenSays(gateway: TestGateway, acrs: unknown): void {
  gateway.entra.faults.add({
    on: 'token',
    then: {
      kind: 'mutateClaims',
      change: (claims) => {
        if (acrs === undefined) delete claims.acrs
        else claims.acrs = acrs
      },
    },
  })
}

/** What the authorization request of this sign-in asked for. */
function claimsAsked({ trail }: { readonly trail: readonly string[] }): string | null {
  const authorize = trail.find((url) => url.includes('/oauth2/v2.0/authorize'))
  return new URL(authorize ?? '').searchParams.get('claims')
}

async function rotate(gateway: TestGateway, browser: Browser): Promise<{ status: number, code: unknown }> {
  const me = JSON.parse((await gateway.ask('/admin/api/v1/me', { browser, headers: PROGRAM })).text) as {
    csrfToken: string
  }
  const answer = await fetch(`${gateway.url}/admin/api/v1/keys/rotate`, {
    method: 'POST',
    headers: {
      ...PROGRAM,
      'cookie': browser.cookieHeader(gateway.url),
      'sec-fetch-site': 'same-origin',
      'content-type': 'application/json',
      'x-csrf-token': me.csrfToken,
    },
    body: '{}',
  })
  return { status: answer.status, code: (await answer.json() as { code?: unknown }).code }
}

// proves: admin-acrs-sealed, admin-acrs-asked
t.test('the sign-in to the console asks for no context, and none that its token has is believed', async (t) => {
  const { gateway, rows, contexts } = await start(t)
  tokenSays(gateway, ['c1'])
  const page = await signInToConsole(gateway, PERSON_IDS.superuser)
  const { browser } = page
  t.same(await contexts(), [{ acrs: null }])
  t.same(await rotate(gateway, browser), { status: 403, code: 'step_up_required' }, 'although it is fresh')

  const sent = await browser.follow(`${gateway.url}${STEP_UP}`)
  t.equal(new URL(sent.url).searchParams.get('prompt'), 'login')
  t.strictSame(JSON.parse(claimsAsked(sent) ?? ''), { id_token: { acrs: { essential: true, value: 'c1' } } })
  const { answer } = await signInToConsole(gateway, PERSON_IDS.superuser, { browser, path: STEP_UP })
  t.equal(refreshOf(answer), `${gateway.url}/admin/people`)
  t.same(await contexts(), [{ acrs: 'c1' }])
  t.same(await rotate(gateway, browser), { status: 200, code: undefined })
  t.strictSame(
    await rows(sql`select detail->>'acrs' as acrs from audit_events where action = 'login' order by id`),
    [{ acrs: null }, { acrs: 'c1' }],
    'the record says which sign-in had it',
  )
})

t.test('without admin.acrs a step-up asks for none and keeps none', async (t) => {
  const { gateway, contexts } = await start(t, null)
  const { browser } = await signInToConsole(gateway, PERSON_IDS.superuser)
  t.equal(claimsAsked(await browser.follow(`${gateway.url}${STEP_UP}`)), null)
  tokenSays(gateway, ['c1'])
  await signInToConsole(gateway, PERSON_IDS.superuser, { browser, path: STEP_UP })
  t.same(await contexts(), [{ acrs: null }])
  t.equal((await rotate(gateway, browser)).status, 200)
})

// proves: admin-acrs-missing
t.test('a step-up whose token does not have the context changes nothing', async (t) => {
  const { gateway, rows, contexts } = await start(t)
  const { browser } = await signInToConsole(gateway, PERSON_IDS.superuser)
  const state = async () => ({
    admin: await rows(sql`select encode(id_hash, 'hex'), authenticated_at, acrs from admin_sessions`),
    sessions: await rows(sql`select encode(id_hash, 'hex'), authenticated_at from sessions`),
    logins: await rows(sql`select count(*) from audit_events where action = 'login'`),
  })
  const before = await state()
  for (const acrs of [undefined, null, [], ['c2'], ['c10'], 'c10', [['c1']], ['C1'], { c1: true }, 'c1 c2', [1]]) {
    tokenSays(gateway, acrs)
    const { answer } = await signInToConsole(gateway, PERSON_IDS.superuser, { browser, path: STEP_UP })
    t.equal(answer.status, 403, JSON.stringify(acrs))
    t.match(answer.text, 'data-field="code">step_up_unmet<')
    t.match(answer.text, 'a sign-in without the authentication context c1')
    t.same(await state(), before)
  }
  t.match(gateway.log.find(({ code }) => code === 'step_up_unmet'), { remedy: /optional claim acrs/ })
  for (const acrs of [['c1'], ['c2', 'c1'], 'c1']) {
    tokenSays(gateway, acrs)
    await signInToConsole(gateway, PERSON_IDS.superuser, { browser, path: STEP_UP })
    t.same(await contexts(), [{ acrs: 'c1' }], `${JSON.stringify(acrs)} has it`)
    await rows(sql`update admin_sessions set acrs = null`)
  }
})

t.test('an admin session with another context steps up again', async (t) => {
  const { gateway, rows, contexts } = await start(t)
  const { browser } = await signInToConsole(gateway, PERSON_IDS.superuser)
  await rows(sql`update admin_sessions set acrs = 'c2'`)
  t.same(await rotate(gateway, browser), { status: 403, code: 'step_up_required' })
  await signInToConsole(gateway, PERSON_IDS.superuser, { browser, path: STEP_UP })
  t.same(await contexts(), [{ acrs: 'c1' }])
  await rows(sql`update admin_sessions set authenticated_at = now() - interval '11 minutes'`)
  t.same(await rotate(gateway, browser), { status: 403, code: 'step_up_required' }, 'the context alone is not enough')
})

// proves: admin-acrs-renewed
t.test('a sign-in without a context takes the former one away from the admin session that it renews', async (t) => {
  const { gateway, rows, contexts } = await start(t)
  await gateway.signIn(PERSON_IDS.superuser)
  const [session] = await rows<{ id: string }>(
    sql`update sessions set authenticated_at = now() returning public_id as id`,
  )
  const sessionId = session?.id ?? ''
  const store = createAdminSessionStore(gateway.gateway.database, gateway.config.session)
  const [first, second] = [newAdminSessionId(), newAdminSessionId()]
  await store.begin({ id: first, sessionId, replaces: undefined, acrs: 'c1' })
  t.match(await store.find(first), { acrs: 'c1' })
  await store.begin({ id: second, sessionId, replaces: sessionIdHash(first) })
  t.match(await store.find(second), { acrs: null })
  t.same(await contexts(), [{ acrs: null }])
})
