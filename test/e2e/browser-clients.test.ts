// What a real Chromium does without a person's click: it restores tabs together, and it loads pages ahead of time.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { pageOf, startPlace } from '../helpers/browser-place.js'
import { startChromium } from '../helpers/chromium.js'
import { freePorts, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { startRelay } from '../helpers/relay.js'

/** Entra ID asks nothing more, and Gatehouse has forgotten the browser. */
async function knownAtEntra(page: Page, gateway: TestGateway): Promise<void> {
  await page.goto(`${gateway.url}/oauth2/start?prompt=select_account`)
  await page.click(`[data-person="${PERSON_IDS.staff}"]`)
  await page.waitForURL(`${gateway.url}/`)
  await page.context().clearCookies({ name: /^gatehouse/ })
}

/** Twenty tabs, each with an address of its own. */
async function endThere(t: Test, context: BrowserContext, gateway: TestGateway): Promise<void> {
  const tabs = await Promise.all(Array.from({ length: 20 }, () => context.newPage()))
  const ends = await Promise.all(tabs.map(async (tab, each) => {
    const rd = `${gateway.url}/oauth2/userinfo?tab=${each}`
    await tab.goto(`${gateway.url}/oauth2/start?${new URLSearchParams({ rd })}`)
    const text = await tab.locator('body').innerText()
    return tab.url() === rd && text.includes('sam.staff') ? 'there' : `${tab.url()}: ${text.slice(0, 200)}`
  }))
  t.strictSame(ends, Array.from({ length: 20 }, () => 'there'))
  for (const tab of tabs) await tab.close()
}

t.test('a real Chromium', async (t) => {
  const chromium = await startChromium(t)
  if (!chromium) return
  const gateway = await startTestGateway(t)
  const context = await chromium.newContext()
  const page = await context.newPage()
  const signedIn = async (): Promise<boolean> => {
    await page.goto(`${gateway.url}/oauth2/userinfo`)
    return (await page.locator('body').innerText()).includes('sam.staff')
  }

  await t.test('restores twenty tabs, each at its own address', async (t) => {
    await knownAtEntra(page, gateway)
    await endThere(t, context, gateway)
  })

  for (const kind of ['prefetch', 'prerender']) {
    await t.test(`a ${kind} of the sign-out address signs no user out`, async (t) => {
      const asked: string[] = []
      const ahead = { source: 'list', urls: [`${gateway.url}/oauth2/sign_out`], eagerness: 'immediate' }
      const rules = JSON.stringify({ [kind]: [ahead] })
      const server = createServer((request, response) => {
        asked.push(request.url ?? '')
        response.setHeader('content-type', 'text/html')
        response.end(`<!doctype html><script type="speculationrules">${rules}</script>x`)
      }).listen(0, '127.0.0.1')
      t.teardown(() => server.close())
      t.ok(await signedIn())
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      await page.waitForTimeout(2_500)
      t.ok(await signedIn(), 'still signed in')
    })
  }
})

// proves: adv-browser-slow-tabs
t.test('twenty restored tabs over a slow network', async (t) => {
  const chromium = await startChromium(t)
  if (!chromium) return
  for (const delay of [40, 300]) {
    await t.test(`of ${delay} ms each way all end where they were`, async (t) => {
      const [port = 0] = await freePorts(1)
      const { address } = await startRelay(t, `127.0.0.1:${port}`, delay)
      const publicUrl = `http://${address}`
      const gateway = await startTestGateway(t, {
        app: { redirectUris: [`${publicUrl}/oauth2/callback`] },
        config: { server: { publicUrl, port } },
      })
      const context = await chromium.newContext()
      await knownAtEntra(await context.newPage(), gateway)
      await endThere(t, context, gateway)
      await context.close()
    })
  }
})

t.test('a browser and an application', async (t) => {
  const place = await startPlace(t)
  if (!place) return
  const { app, portal } = place
  const signIn = async (page: Page): Promise<void> => page.click(`[data-person="${PERSON_IDS.staff}"]`)

  // proves: adv-browser-back
  await t.test('Back after a sign-in leads to the requested address', async (t) => {
    const page = await pageOf(place)
    await page.goto(`${app}/deep?x=1`)
    await signIn(page)
    await page.waitForURL(`${app}/deep?x=1`)
    await page.goBack()
    if (await page.locator('[data-person]').count() > 0) await signIn(page)
    await page.waitForURL(`${app}/deep?x=1`)
    t.equal(await page.locator('button').count(), 1, 'the page of the application')
    await page.context().close()
  })

  // proves: adv-browser-frame
  await t.test('a frame shows the page of a 401, whose link leaves the frame', async (t) => {
    const page = await pageOf(place)
    await page.goto(`${portal}/board`)
    const frame = page.frameLocator('iframe')
    t.equal(await frame.locator('[data-field=code]').innerText(), 'not_signed_in')
    await frame.locator('.actions a').click()
    await signIn(page)
    await page.waitForURL(`${app}/board`)
    await page.goto(`${portal}/board`)
    t.equal(await frame.locator('button').count(), 1, 'the frame shows the application')
    await page.context().close()
  })

  // proves: adv-browser-htmx
  await t.test('an htmx request without a session reloads the page, which signs in', async (t) => {
    const page = await pageOf(place, PERSON_IDS.staff)
    await page.goto(`${app}/list`)
    await page.context().clearCookies({ name: /^gatehouse/ })
    const loaded = page.waitForResponse(`${app}/list`)
    await page.click('button')
    t.equal((await loaded).status(), 302)
    await page.waitForLoadState()
    await page.waitForURL(`${app}/list`)
    await page.click('button')
    await page.waitForSelector('text=the part')
    await page.context().close()
  })

  // proves: adv-browser-narrowed
  await t.test('a cookie of a wider session.cookieDomain ends neither sign-ins nor sign-outs', async (t) => {
    const page = await pageOf(place, PERSON_IDS.staff)
    const ours = async () => (await page.context().cookies()).filter(({ name }) => name === 'gatehouse_session')
    const gateway = await place.gateway.restart({ session: { cookieDomain: '.auth.apps.localhost' } })
    await page.goto(`${gateway.url}/oauth2/start`)
    await page.waitForURL(`${gateway.url}/oauth2/sign_in`)
    t.equal((await ours()).length, 2)
    await page.click('.actions a')
    await page.waitForURL(`${gateway.url}/`)
    t.match(await page.locator('main').innerText(), 'sam.staff')
    t.strictSame((await ours()).map(({ domain }) => domain), ['.auth.apps.localhost'])
    const old = { name: 'gatehouse_session', value: 'old', domain: '.apps.localhost', path: '/' }
    await page.context().addCookies([old])
    await page.goto(`${gateway.url}/oauth2/sign_out`)
    t.strictSame(await ours(), [])
    await page.context().close()
  })
})
