// `gatehouse demo` as a newcomer meets it: one URL, a real browser, six people, each with the right groups and flags.
import type { Browser, Page } from 'playwright-core'
import t from 'tap'
import { PEOPLE, type PersonKey } from '../../src/demo/people.js'
import { screenshot, startChromium } from '../helpers/chromium.js'
import { run } from '../helpers/programs.js'

const EXPECTED: Readonly<Record<PersonKey, { groups: string[], staff: string, superuser: string }>> = {
  staff: { groups: ['Network Engineers'], staff: 'true', superuser: 'false' },
  superuser: { groups: ['NetBox Superusers'], staff: 'true', superuser: 'true' },
  nested: { groups: ['Network Engineers'], staff: 'true', superuser: 'false' },
  many: { groups: ['Circuit Manager'], staff: 'false', superuser: 'false' },
  guest: { groups: ['Read Only'], staff: 'false', superuser: 'false' },
  nobody: { groups: [], staff: 'false', superuser: 'false' },
}

t.test('the demo in a browser', async (t) => {
  const browser = await startChromium(t)
  if (!browser) return
  const demo = await run(t, process.execPath, ['dist/cli.js', 'demo', '--port', '0', '--json'], { ready: (output) => /"url": "/.test(output) })
  const [, url = ''] = /"url": "([^"]+)"/.exec(demo.output()) ?? []

  t.notMatch(demo.output(), /WARN|ERROR|not found/, 'a newcomer reads no warning')

  for (const [key, expected] of Object.entries(EXPECTED) as [PersonKey, typeof EXPECTED[PersonKey]][]) {
    await t.test(`${PEOPLE[key].displayName}: ${PEOPLE[key].note}`, async (t) => {
      const page = await newPage(browser)
      await signIn(page, `${url}some/page?x=1`, key)
      t.equal(page.url(), `${url}some/page?x=1`, 'back where they wanted to go')
      t.equal(await field(page, 'name'), PEOPLE[key].displayName)
      t.equal(await field(page, 'staff'), expected.staff)
      t.equal(await field(page, 'superuser'), expected.superuser)
      t.same(await page.locator('[data-field=groups] [data-group]').allInnerTexts(), expected.groups)
      t.equal(await field(page, 'cookies') === 'none' || !(await field(page, 'cookies')).includes('gatehouse'), true, 'our cookies stay with the proxy')
      if (expected.groups.length > 0) t.match(await page.locator('[data-field=why]').innerText(), /because of Entra group [0-9a-f-]{36}, since \d{4}-\d\d-\d\d/)
      await screenshot(page, `demo-${key}`)
      await page.click('[data-action=gateway]')
      t.equal(await page.locator('h1').innerText(), PEOPLE[key].displayName)
      t.match(await field(page, 'superuser'), expected.superuser === 'true' ? /^yes/ : /^no/)
      await screenshot(page, `home-${key}`)
      await page.context().close()
    })
  }

  await t.test('identity headers that a client forges do not arrive', async (t) => {
    const page = await newPage(browser)
    await signIn(page, url, 'nobody')
    await page.context().setExtraHTTPHeaders({ 'X-Auth-Request-User': 'forged', 'X-Auth-Request-Groups': 'forged', 'X-Auth-Request-Superuser': 'true', 'Remote-User': 'forged', 'Remote_Groups': 'forged', 'X_Auth_Request_User': 'forged', 'X-Gatehouse-Assertion': 'forged' })
    await page.goto(url)
    t.equal(await field(page, 'user'), PEOPLE.nobody.userPrincipalName)
    t.equal(await field(page, 'superuser'), 'false')
    t.notMatch(await page.content(), /forged/)
    await page.context().close()
  })

  await t.test('signing out ends the session, here and at Entra', async (t) => {
    const page = await newPage(browser)
    await signIn(page, url, 'staff')
    await page.click('[data-action=sign-out]')
    await page.waitForSelector('[data-person]') // Entra asks again who it is: nothing was left signed in
    await screenshot(page, 'after-sign-out')
    t.notOk((await page.context().cookies()).some((cookie) => cookie.name === 'gatehouse_session'))
    await page.click('[data-action=cancel]')
    t.equal(await page.locator('[data-field=code]').innerText(), 'login_cancelled')
    await screenshot(page, 'cancelled')
    await page.context().close()
  })

  await t.test('every page reads well in the dark and on a phone, and the browser has no complaint', async (t) => {
    const context = await browser.newContext({ colorScheme: 'dark', viewport: { width: 375, height: 700 } })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()) })
    await signIn(page, url, 'superuser')
    await page.click('[data-action=gateway]')
    const gateway = new URL(page.url()).origin
    for (const [name, path] of [['home', '/'], ['sign-in', '/oauth2/sign_in']] as const) {
      await page.goto(`${gateway}${path}`)
      t.ok(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), `${name} does not scroll sideways`)
      t.equal(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(16, 21, 30)', `${name} is dark`)
      await screenshot(page, `phone-dark-${name}`)
    }
    t.same(complaints, [])
    await page.goto(`${gateway}/no-such-page`)
    await screenshot(page, 'phone-dark-not-found')
    await page.goto(`${gateway}/`)
    await page.click('button')
    await page.waitForSelector('text=You are signed out')
    await screenshot(page, 'phone-dark-signed-out')
    await context.close()
  })
})

async function newPage(browser: Browser): Promise<Page> {
  return await (await browser.newContext()).newPage()
}

async function signIn(page: Page, url: string, key: PersonKey): Promise<void> {
  await page.goto(url)
  await page.click(`[data-person="${PEOPLE[key].id}"]`)
  await page.waitForLoadState()
}

async function field(page: Page, name: string): Promise<string> {
  return (await page.locator(`[data-field=${name}]`).first().innerText()).trim()
}
