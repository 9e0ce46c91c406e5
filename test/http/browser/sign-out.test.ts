// Sign-out as browsers ask for it: whatever its parameters are it ends the session, and nothing but a person's own step
// does.
import t from 'tap'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { errorCode } from '../../helpers/assertions.js'
import { createBrowser, formOf, type Browser } from '../../helpers/browser.js'
import { startTestGateway } from '../../helpers/gateway.js'
import { connect } from '../../helpers/sql.js'

const AT_ENTRA = encodeURIComponent('https://login.microsoftonline.com/common/oauth2/logout')

t.test('signing out', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const sessions = async (): Promise<number> =>
    (await query<{ n: number }>('select count(*)::int as n from sessions'))[0]?.n ?? -1
  const signedIn = async (): Promise<Browser> => (await gateway.signIn(PERSON_IDS.staff)).browser
  const ended = async (browser: Browser): Promise<boolean> =>
    (await sessions()) === 0 && !browser.cookies.get('127.0.0.1')?.has('gatehouse_session')

  // proves: adv-sign-out-first
  await t.test('ends the session whatever its parameters are', async (t) => {
    const queries: [string, number][] = [
      [`?rd=${AT_ENTRA}`, 303],
      ['?foo=1', 303],
      ['?redirect=/&rd=', 303],
      ['?rd=//evil.test', 303],
      ['?rd=javascript:alert(1)', 303],
      [`?rd=/${'x'.repeat(9_000)}`, 303],
      ['?rd=%', 303],
      ['?rd=/&rd=/', 400],
      ['?foo=1&foo=2', 303],
    ]
    for (const [query, status] of queries) {
      const browser = await signedIn()
      const answer = await browser.ask(`${gateway.url}/oauth2/sign_out${query}`)
      t.equal(answer.status, status, query.slice(0, 60))
      t.ok(await ended(browser), query.slice(0, 60))
    }
    const browser = await signedIn()
    const broken = { 'content-type': 'application/json', 'content-length': '0' }
    await browser.ask(`${gateway.url}/oauth2/sign_out`, { method: 'POST', headers: broken })
    t.ok(await ended(browser), 'a body that cannot be read')
  })

  // proves: adv-sign-out-refused-rd
  await t.test('rd that is not allowed is dropped and logged', async (t) => {
    const browser = await signedIn()
    const there = await browser.ask(`${gateway.url}/oauth2/sign_out?rd=${AT_ENTRA}`)
    const back = await browser.follow(there.location ?? '')
    t.equal(back.trail.at(-1), `${gateway.url}/oauth2/sign_in`)
    t.match(back.text, /You are signed out/)
    t.match(
      gateway.log.find(({ msg }) => String(msg).startsWith('rd of a sign-out is refused')),
      {
        level: 'warn',
        rd: 'https://login.microsoftonline.com/common/oauth2/logout',
        remedy: /redirectDomains/,
      },
    )
  })

  // proves: adv-page-no-session
  await t.test('the page afterwards does not claim that a session ended where there was none', async (t) => {
    const leaving = async (browser = createBrowser()) => {
      const there = await browser.ask(`${gateway.url}/oauth2/sign_out`)
      return (await browser.follow(there.location ?? '')).text
    }
    t.match(await leaving(await signedIn()), /Your session here has ended, and Microsoft was asked to end its own\./)
    const nobody = await leaving()
    t.match(nobody, /You were not signed in/)
    t.match(nobody, /There was no session of yours here to end/)
  })

  await t.test('the question of a sign-out that another page began leaves a refused rd out too', async (t) => {
    const asked = await (
      await signedIn()
    ).ask(`${gateway.url}/oauth2/sign_out?rd=${AT_ENTRA}`, { headers: { 'sec-fetch-site': 'cross-site' } })
    t.equal(asked.status, 200)
    t.strictSame(formOf(asked).fields, {})
    t.equal(await sessions(), 1)
    await query('delete from sessions')
  })

  // proves: adv-sign-out-retry
  await t.test('"Try again" of a failed sign-out is the sign-out, not a sign-in', async (t) => {
    const answer = await (await signedIn()).ask(`${gateway.url}/oauth2/sign_out?rd=/&rd=/`)
    t.match(answer.text, `href="${gateway.url}/oauth2/sign_out"`)
  })
})

t.test('what a browser loads ahead of time', async (t) => {
  const gateway = await startTestGateway(t)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const speculations = [
    { 'sec-purpose': 'prefetch' },
    { 'sec-purpose': 'prefetch;prerender' },
    { 'sec-purpose': 'prefetch;anonymous-client-ip' },
    { purpose: 'prefetch' },
    { 'x-moz': 'prefetch' },
    { 'x-purpose': 'preview' },
  ]

  // proves: adv-prefetch-sign-out
  await t.test('ends no session, from wherever it comes', async (t) => {
    for (const headers of speculations) {
      for (const site of ['none', 'same-site', 'same-origin', 'cross-site']) {
        const answer = await gateway.ask('/oauth2/sign_out', {
          browser,
          headers: { ...headers, 'sec-fetch-site': site } as Record<string, string>,
        })
        t.strictSame(
          { status: answer.status, code: errorCode(answer) },
          { status: 503, code: 'loaded_ahead' },
          `${JSON.stringify(headers)} ${site}`,
        )
        t.strictSame(answer.headers.getSetCookie(), [])
      }
    }
    t.equal((await gateway.ask('/oauth2/userinfo', { browser })).status, 200)
  })

  // proves: adv-prefetch-sign-in
  await t.test('begins no sign-in and completes none', async (t) => {
    const page = await browser.follow(`${gateway.url}/oauth2/start?prompt=select_account`)
    const { action, fields } = formOf(page)
    const callback = await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.guest } })
    for (const headers of speculations as Record<string, string>[]) {
      t.equal((await gateway.ask('/oauth2/start', { browser, headers })).status, 503)
      t.equal((await browser.ask(callback.location ?? '', { headers })).status, 503)
    }
    t.equal((await browser.ask(callback.location ?? '')).status, 302, "the person's own visit does")
  })

  await t.test('is not an error of the operator', async (t) => {
    t.notOk(gateway.log.some(({ code, level }) => code === 'loaded_ahead' && level === 'error'))
  })
})
