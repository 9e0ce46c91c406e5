// The pages that people rarely see, in a real Chromium: what each of them says, where it leads on, and how it looks in
// the light, in the dark and on a phone. GATEHOUSE_SCREENSHOTS names a folder for pictures.
import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { pageOf, startPlace } from '../helpers/browser-place.js'
import { screenshot } from '../helpers/chromium.js'
import { connect } from '../helpers/sql.js'

const NAME = 'gatehouse_session'
const LOOKS = [
  { look: 'light', colorScheme: 'light', width: 1000 },
  { look: 'dark', colorScheme: 'dark', width: 1000 },
  { look: 'phone', colorScheme: 'light', width: 390 },
  { look: 'phone-dark', colorScheme: 'dark', width: 390 },
] as const

const forgetGateway = (context: BrowserContext): Promise<void> => context.clearCookies({ name: /^gatehouse/ })

/** What is on the screen: text of the page or of its frame. */
async function looksWell(t: Test, page: Page, name: string): Promise<string> {
  const shown = page.frames().at(-1) ?? page.mainFrame()
  for (const { look, colorScheme, width } of LOOKS) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width, height: 760 })
    const fits = await shown.evaluate('document.documentElement.scrollWidth <= window.innerWidth')
    t.ok(fits, `${look}: no scrolling sideways`)
    await screenshot(page, `page-${name}-${look}`)
  }
  t.ok(await shown.locator('.actions a, .actions button').count() > 0, 'it leads on')
  return await shown.locator('main').innerText()
}

t.test('rarely shown pages', async (t) => {
  const place = await startPlace(t)
  if (!place) return
  const { gateway, app, outside, elsewhere, portal, door } = place

  await t.test('an application that never gets the cookie', async (t) => {
    const page = await pageOf(place, PERSON_IDS.staff)
    await page.goto(`${outside}/deep?x=1`)
    t.match(await looksWell(t, page, 'sign-in-loop'), 'sign_in_loop')
    await page.context().close()
  })

  await t.test('two session cookies', async (t) => {
    const page = await pageOf(place, PERSON_IDS.staff)
    await page.context().addCookies([{ name: NAME, value: 'old', domain: '.wiki.apps.localhost', path: '/' }])
    await page.goto(`${portal}/board`)
    t.match(await looksWell(t, page, 'two-cookies'), 'session_cookie_doubled')
    await page.context().close()
  })

  for (const [name, path, person] of [['401', '/board', undefined], ['403', '/staff', PERSON_IDS.guest]] as const) {
    await t.test(`a ${name} in a frame`, async (t) => {
      const page = await pageOf(place, person)
      await page.goto(`${portal}${path}`)
      t.match(await looksWell(t, page, `frame-${name}`), name === '401' ? 'not_signed_in' : 'not_allowed')
      await page.context().close()
    })
  }

  await t.test('403', async (t) => {
    const page = await pageOf(place, PERSON_IDS.guest)
    await page.goto(`${app}/staff`)
    t.match(await looksWell(t, page, '403'), /wiki\.apps\.localhost, \/staff/)
    await page.click('text=Go to wiki.apps.localhost')
    await page.waitForURL(`${app}/`)
    await page.goBack()
    await page.click('text=See what is open to you')
    await page.waitForURL(`${gateway.url}/`)
    t.match(await looksWell(t, page, 'home'), 'Wiki of Contoso')
    await page.click('text=Wiki of Contoso')
    await page.waitForURL(`${app}/`)
    await page.context().close()
  })

  await t.test('the sign-in page, and those after a sign-out', async (t) => {
    const page = await pageOf(place)
    await page.goto(`${gateway.url}/oauth2/sign_in?${new URLSearchParams({ rd: `${app}/deep` })}`)
    t.match(await looksWell(t, page, 'sign-in'), 'to go on to Wiki of Contoso')
    await page.click('.actions a')
    await page.click(`[data-person="${PERSON_IDS.guest}"]`)
    await page.waitForURL(`${app}/deep`)
    const signOut = `${gateway.url}/oauth2/sign_out`
    await page.goto(signOut)
    await page.waitForURL(`${gateway.url}/oauth2/sign_in`)
    t.match(await looksWell(t, page, 'signed-out'), 'Your session here has ended')
    await page.goto(signOut)
    await page.waitForURL(`${gateway.url}/oauth2/sign_in`)
    t.match(await looksWell(t, page, 'signed-out-of-nothing'), 'There was no session of yours here')
    await page.context().close()
  })

  const consent = [
    ['given', 'admin_consent=True&tenant=x'],
    ['not-given', 'admin_consent=True&error=access_denied'],
  ] as const
  for (const [name, query] of consent) {
    await t.test(`consent ${name}`, async (t) => {
      const page = await pageOf(place)
      await page.goto(`${gateway.url}/oauth2/callback?${query}`)
      t.match(await looksWell(t, page, `consent-${name}`), name === 'given' ? 'was given' : 'was not given')
      await page.context().close()
    })
  }

  // proves: adv-page-front
  await t.test('404', async (t) => {
    const page = await pageOf(place, PERSON_IDS.staff)
    await page.goto(`${gateway.url}/no-such-page`)
    t.match(await looksWell(t, page, '404'), 'not_found')
    await page.click('text=Go to the front page')
    await page.waitForURL(`${gateway.url}/`)
    await page.context().close()
  })

  await t.test('too many requests', async (t) => {
    const page = await pageOf(place, PERSON_IDS.staff)
    for (let each = 0; each < 62; each++) await page.goto(`${gateway.url}/`)
    await page.goto(`${gateway.url}/`)
    t.match(await looksWell(t, page, '429'), 'rate_limited')
    await page.context().close()
  })

  await t.test('cookies that are blocked', async (t) => {
    const page = await pageOf(place)
    const rd = `${app}/deep?x=1`
    await page.goto(`${gateway.url}/oauth2/start?${new URLSearchParams({ rd, prompt: 'select_account' })}`)
    for (let each = 0; each < 2; each++) {
      await page.waitForSelector('[data-person]')
      await forgetGateway(page.context())
      await page.click(`[data-person="${PERSON_IDS.staff}"]`)
      await page.waitForLoadState()
    }
    t.match(await looksWell(t, page, 'cookies-blocked'), 'state_other_browser')
    await page.context().close()
  })

  await t.test('a prefetched page', async (t) => {
    const page = await pageOf(place, PERSON_IDS.staff)
    await page.setExtraHTTPHeaders({ 'Sec-Purpose': 'prefetch' })
    await page.goto(`${gateway.url}/oauth2/sign_out`)
    t.match(await looksWell(t, page, 'loaded-ahead'), 'loaded_ahead')
    await page.context().close()
  })

  await t.test('a long address that was dropped', async (t) => {
    const query = await connect(t, gateway.databaseUrl)
    const page = await pageOf(place)
    const rd = `${app}/deep?x=${'y'.repeat(2_000)}`
    await page.goto(`${gateway.url}/oauth2/start?${new URLSearchParams({ rd })}`)
    await query('delete from long_returns')
    await page.click(`[data-person="${PERSON_IDS.staff}"]`)
    await page.waitForSelector('[data-field=lost]')
    t.match(await looksWell(t, page, 'long-address'), 'too long')
    await page.click('.actions a')
    await page.waitForURL(`${app}/`)
    await page.context().close()
  })

  // proves: adv-page-stay
  await t.test('a sign-out requested by another site', async (t) => {
    const page = await pageOf(place, PERSON_IDS.staff)
    await page.goto(elsewhere)
    await page.click('a')
    await page.waitForURL(`${gateway.url}/oauth2/sign_out`)
    t.match(await looksWell(t, page, 'sign-out'), 'Sign out?')
    await page.click('text=Stay signed in')
    await page.waitForURL(`${gateway.url}/`)
    t.match(await page.locator('main').innerText(), 'sam.staff')
    await page.context().close()
  })

  await t.test('no database', async (t) => {
    const [page, inApp] = [await pageOf(place, PERSON_IDS.staff), await pageOf(place, PERSON_IDS.staff)]
    door.shut()
    await page.goto(`${gateway.url}/`)
    t.match(await looksWell(t, page, '503'), 'database_unavailable')
    await inApp.goto(`${app}/deep?x=1`)
    t.match(await looksWell(t, inApp, '503-application'), 'database_unavailable')
    door.open()
    await inApp.click('.actions a')
    await inApp.waitForURL(`${app}/deep?x=1`)
    await page.context().close()
    await inApp.context().close()
  })
})
