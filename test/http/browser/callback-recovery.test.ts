// Callbacks that this browser cannot complete: nobody is stranded, and nobody is signed in as somebody else.
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { createFlowSealer, FLOW_LIFETIME_MS } from '../../../src/core/login-flow.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { errorCode } from '../../helpers/assertions.js'
import { createBrowser, formOf, type Answer, type Browser } from '../../helpers/browser.js'
import { pickPerson, SESSION_SECRET, startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { connect } from '../../helpers/sql.js'

const RD = 'http://127.0.0.1:9/deep?x=1&y=2'
const retry = (answer: Answer): string =>
  (/class="button" href="([^"]+)"/.exec(answer.text)?.[1] ?? '').replaceAll('&#38;', '&')
const jar = (browser: Browser): Map<string, string> => browser.cookies.get('127.0.0.1') ?? new Map()
const ownCookies = (browser: Browser): string[] =>
  [...jar(browser).keys()].filter((name) => name.startsWith('gatehouse_login_'))

/** A callback address that would complete a sign-in of this browser. */
async function ready(
  gateway: TestGateway,
  browser: Browser,
  person: string = PERSON_IDS.staff,
  query = `?rd=${encodeURIComponent(RD)}`,
): Promise<string> {
  let answer = await browser.ask(`${gateway.url}/oauth2/start${query}`)
  if (answer.location?.startsWith(gateway.entra.url)) answer = await browser.ask(answer.location)
  if (answer.location !== undefined) return answer.location
  const { action, fields } = formOf(answer)
  return (await browser.ask(action, { method: 'POST', form: { ...fields, person } })).location ?? ''
}

t.test('a state of another browser', async (t) => {
  const gateway = await startTestGateway(t)
  const redeemed = (): number => gateway.entra.requests.filter((request) => request.path.endsWith('/token')).length
  const toEntra = (t: Test, answer: Answer): void => {
    t.equal(answer.status, 302)
    t.equal(new URL(answer.location ?? '').origin, gateway.entra.url)
    t.notOk(
      answer.headers
        .getSetCookie()
        .some((line) => line.startsWith('gatehouse_session=') && !line.includes('Max-Age=0')),
      'no session',
    )
  }

  // proves: adv-stray-binding, adv-stray-restarted
  await t.test('begins anew by itself, with its rd, and the code is thrown away', async (t) => {
    const tokens = redeemed()
    const link = await ready(gateway, createBrowser(), PERSON_IDS.guest)
    for (const withAnotherBinding of [false, true]) {
      const other = createBrowser()
      if (withAnotherBinding) await other.ask(`${gateway.url}/oauth2/start`)
      const answer = await other.ask(link)
      toEntra(t, answer)
      t.equal(redeemed(), tokens + (withAnotherBinding ? 1 : 0))
      const done = await pickPerson(other, await other.ask(answer.location ?? ''), PERSON_IDS.staff).catch(
        () => undefined,
      )
      t.equal(done, undefined, 'it ends at an address that nobody answers at')
      t.equal(
        (await gateway.ask('/oauth2/auth', { browser: other })).headers.get('remote-user'),
        'sam.staff@contoso.example',
        'who signs in, not who began',
      )
      t.strictSame(ownCookies(other), [], 'the cookie of its own is gone')
    }
  })

  // proves: adv-stray-once
  await t.test('once: where cookies are blocked it is a page, with rd kept', async (t) => {
    const first = await createBrowser().ask(await ready(gateway, createBrowser()))
    toEntra(t, first)
    const atEntra = createBrowser()
    const { action, fields } = formOf(await atEntra.ask(first.location ?? ''))
    const second = await createBrowser().ask(
      (await atEntra.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.staff } })).location ?? '',
    )
    t.strictSame({ status: second.status, code: errorCode(second) }, { status: 400, code: 'state_other_browser' })
    t.equal(new URL(retry(second)).searchParams.get('rd'), RD)
    t.equal(new URL(retry(second)).pathname, '/oauth2/start')
  })

  // proves: adv-stray-own-cookie
  await t.test('what begins anew does so whatever other tabs do with the shared cookie', async (t) => {
    const browser = createBrowser()
    const answer = await browser.ask(await ready(gateway, createBrowser()))
    const callback = await browser.ask(answer.location ?? '')
    const { action, fields } = formOf(callback)
    jar(browser).set('gatehouse_login', randomBytes(32).toString('base64url'))
    const back = await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.staff } })
    t.equal((await browser.ask(back.location ?? '')).location, RD)
  })

  // proves: adv-stray-few-cookies
  await t.test('however many begin anew, the cookies stay few', async (t) => {
    const browser = createBrowser()
    const link = await ready(gateway, createBrowser())
    for (let each = 0; each < 30; each++) toEntra(t, await browser.ask(link))
    t.ok(ownCookies(browser).length <= 20, `${ownCookies(browser).length} cookies`)
    t.ok(browser.cookieHeader(gateway.url).length < 2_500)
  })

  // proves: adv-stray-session
  await t.test('with a session it goes straight to its rd, and the session stays', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    const session = jar(browser).get('gatehouse_session')
    const asked = gateway.entra.requests.length
    const link = await ready(gateway, createBrowser(), PERSON_IDS.guest)
    const before = gateway.entra.requests.length
    t.ok(before > asked)
    const answer = await browser.ask(link)
    t.strictSame({ status: answer.status, location: answer.location }, { status: 302, location: RD })
    t.equal(gateway.entra.requests.length, before, 'Entra ID is not asked')
    t.equal(jar(browser).get('gatehouse_session'), session)
    t.equal((await gateway.ask('/oauth2/auth', { browser })).headers.get('remote-user'), 'sam.staff@contoso.example')
  })

  await t.test('for a user who asked for another account, the account choice is shown again', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    const answer = await browser.ask(await ready(gateway, createBrowser(), PERSON_IDS.guest, '?prompt=select_account'))
    toEntra(t, answer)
    t.equal(new URL(answer.location ?? '').searchParams.get('prompt'), 'select_account')
  })
})

t.test('a state of more than ten minutes ago', async (t) => {
  const gateway = await startTestGateway(t)
  const flows = createFlowSealer([SESSION_SECRET], () => Date.now() - FLOW_LIFETIME_MS - 60_000)
  const old = (rd: string, binding: string): string =>
    `${gateway.url}/oauth2/callback?code=x&state=${flows.begin({ returnTo: rd }, binding).state}`

  // proves: adv-expired-restarted
  await t.test('begins anew with its rd', async (t) => {
    const browser = createBrowser()
    await browser.ask(`${gateway.url}/oauth2/start`)
    const answer = await browser.ask(old(RD, jar(browser).get('gatehouse_login') ?? ''))
    t.equal(answer.status, 302)
    const { action, fields } = formOf(await browser.ask(answer.location ?? ''))
    const back = await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.staff } })
    t.equal((await browser.ask(back.location ?? '')).location, RD)
  })

  await t.test('with a session it leads straight there', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    const answer = await browser.ask(old(RD, jar(browser).get('gatehouse_login') ?? ''))
    t.strictSame({ status: answer.status, location: answer.location }, { status: 302, location: RD })
    t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 200)
  })

  // proves: adv-expired-allowed
  await t.test('leads nowhere that is not allowed any more', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    t.equal(
      (await browser.ask(old('https://gone.example.test/', randomBytes(32).toString('base64url')))).location,
      `${gateway.url}/`,
    )
  })
})

t.test('a sign-in that was completed', async (t) => {
  const gateway = await startTestGateway(t)
  const browser = createBrowser()
  const callback = await ready(gateway, browser)
  t.equal((await browser.ask(callback)).location, RD)

  // proves: adv-spent-back
  await t.test('Back leads to its rd again, with the session that is there', async (t) => {
    const session = jar(browser).get('gatehouse_session')
    const answer = await browser.ask(callback)
    t.strictSame({ status: answer.status, location: answer.location }, { status: 302, location: RD })
    t.equal(jar(browser).get('gatehouse_session'), session)
    t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 200)
  })

  await t.test('without a session it is refused, with rd kept', async (t) => {
    await browser.ask(`${gateway.url}/oauth2/sign_out`)
    const answer = await browser.ask(callback)
    t.strictSame({ status: answer.status, code: errorCode(answer) }, { status: 400, code: 'state_replayed' })
    t.equal(retry(answer), `${gateway.url}/oauth2/start?${new URLSearchParams({ rd: RD })}`)
  })
})

t.test('tabs that sign in together', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const sessions = async (): Promise<number> =>
    (await query<{ n: number }>('select count(*)::int as n from sessions'))[0]?.n ?? -1

  // proves: adv-siblings
  await t.test('share the session that the first of them made', async (t) => {
    const browser = createBrowser()
    const [first, second] = [await ready(gateway, browser), await ready(gateway, browser)]
    await browser.ask(first)
    const session = jar(browser).get('gatehouse_session')
    t.equal((await browser.ask(second)).location, RD)
    t.equal(jar(browser).get('gatehouse_session'), session)
    t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 200)
    t.equal(await sessions(), 1)
    const audit = await query<{ session: string }>(
      "select detail->>'session' as session from audit_events where action = 'login'",
    )
    t.equal(new Set(audit.map((row) => row.session)).size, 1, 'the record names the session that stands')
  })

  // proves: adv-sibling-sid
  await t.test('and the session of Entra ID that came last ends it', async (t) => {
    await query('delete from sessions')
    const browser = createBrowser()
    const [first, second] = [await ready(gateway, browser), await ready(gateway, browser)]
    await browser.ask(first)
    const [row] = await query<{ sid: string }>('select entra_sid as sid from sessions')
    await query("update sessions set entra_sid = 'a-session-of-before'")
    await browser.ask(second)
    t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 200)
    await gateway.ask(`/oauth2/frontchannel-logout?sid=${row?.sid ?? ''}`)
    t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 401)
  })

  // proves: adv-siblings-person
  await t.test('as another user: the session is replaced', async (t) => {
    await query('delete from sessions')
    const browser = createBrowser()
    const [first, second] = [
      await ready(gateway, browser),
      await ready(gateway, browser, PERSON_IDS.guest, '?prompt=select_account'),
    ]
    await browser.ask(first)
    const session = browser.cookieHeader(gateway.url)
    await browser.ask(second)
    t.equal((await gateway.ask('/oauth2/auth', { browser })).headers.get('remote-user'), 'gus.guest@fabrikam.example')
    t.equal((await gateway.ask('/oauth2/auth', { headers: { cookie: session } })).status, 401)
  })

  // proves: adv-siblings-fixation
  await t.test(
    'a sign-in that began with a session makes a new one and ends it, for the same person too',
    async (t) => {
      const { browser } = await gateway.signIn(PERSON_IDS.staff)
      const before = browser.cookieHeader(gateway.url)
      const session = jar(browser).get('gatehouse_session')
      await browser.ask(await ready(gateway, browser))
      t.not(jar(browser).get('gatehouse_session'), session)
      t.equal((await gateway.ask('/oauth2/auth', { headers: { cookie: before } })).status, 401)
    },
  )
})
