// NetBox's own pages behind Gatehouse in a real Chromium, as an administrator, an engineer and a read-only person see
// them, behind nginx's site.conf.template with TLS, HTTP/2 and two hosts of one domain.
// GATEHOUSE_SCREENSHOTS names a folder for pictures.
import t from 'tap'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { screenshot, startChromium } from '../helpers/chromium.js'
import { startNetBoxSite } from '../helpers/netbox-site.js'

t.setTimeout(1_200_000)

const PEOPLE = [
  { name: 'administrator', person: PERSON_IDS.nobody, group: GROUP_IDS.netboxAdmins, seesUsers: true, adds: true },
  { name: 'engineer', person: PERSON_IDS.staff, group: GROUP_IDS.networkEngineers, seesUsers: false, adds: true },
  { name: 'read-only', person: PERSON_IDS.guest, group: GROUP_IDS.readOnly, seesUsers: false, adds: false },
] as const
const ADD_SITE = 'a[href^="/dcim/sites/add/"]'
const ROWS = 'table.object-list tbody tr'

t.test('the pages of NetBox', async (t) => {
  const chromium = await startChromium(t, ['--host-resolver-rules=MAP *.example.com 127.0.0.1'])
  const scene = chromium && await startNetBoxSite(t, { tls: true })
  if (!chromium || !scene) return
  const { app, auth, site } = scene

  const signIn = async (person: string) => {
    const page = await (await chromium.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1400, height: 900 } }))
      .newPage()
    page.setDefaultTimeout(60_000)
    const faults: string[] = []
    page.on('pageerror', (error) => faults.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text())
    })
    page.on('response', (answer) => {
      if (answer.status() >= 400) faults.push(`${answer.status()} ${answer.url()}`)
    })
    await page.goto(`${app}/`)
    await page.click(`[data-person="${person}"]`)
    await page.waitForURL(`${app}/`)
    return { page, faults }
  }

  for (const { name, person, group, seesUsers, adds } of PEOPLE) {
    await t.test(`${name}: menu, list and form are what the person may do`, async (t) => {
      site.entra.directory.addMember(group, person)
      const { page, faults } = await signIn(person)
      await page.waitForLoadState('networkidle')
      t.equal(await page.locator('nav a[href="/users/users/"], aside a[href="/users/users/"]').count() > 0, seesUsers)
      const font = await page.evaluate('getComputedStyle(document.body).fontFamily')
      t.match(font, /sans-serif/, 'styles are loaded and count')
      await screenshot(page, `netbox-${name}-home`)
      t.equal((await page.goto(`${app}/dcim/sites/`))?.status(), 200)
      t.equal(await page.locator(ADD_SITE).count() > 0, adds, 'the menu and the list offer a new site')
      await screenshot(page, `netbox-${name}-sites`)
      t.strictSame(faults, [], 'no script, style or picture is missing')
      t.equal((await page.goto(`${app}/dcim/sites/add/`))?.status(), adds ? 200 : 403)
      await screenshot(page, `netbox-${name}-add`)
      t.equal((await page.goto(`${app}/users/users/`))?.status(), seesUsers ? 200 : 403)
      if (adds) {
        await page.goto(`${app}/dcim/sites/add/`)
        await page.fill('input[name=name]', `New site of ${name}`)
        await page.press('input[name=name]', 'Tab')
        await page.waitForFunction('document.querySelector("input[name=slug]").value !== ""')
        await page.click('button[name=_create]')
        await page.waitForURL(/\/dcim\/sites\/[0-9]+\/$/)
        t.match(await page.locator('main, .page-body').first().innerText(), `New site of ${name}`)
        await screenshot(page, `netbox-${name}-site`)
      }
      await page.context().close()
    })
  }

  await t.test("NetBox detects TLS at the proxy, and its pages set no cookie for Gatehouse's host", async (t) => {
    const { page } = await signIn(PERSON_IDS.staff)
    const { text } = await page.evaluate<{ text: string }>(
      'fetch("/api/", { headers: { accept: "application/json" } }).then(async (answer) => ({ text: await ' +
        'answer.text() }))',
    )
    t.match(JSON.parse(text), { dcim: `${app}/api/dcim/` })
    const cookies = await page.context().cookies()
    const place = (part: string) =>
      cookies.filter(({ name }) => name.includes(part))
        .map(({ name, domain, secure }) => ({ name, domain, secure }))
    t.strictSame(place('gatehouse_session'), [{
      name: '__Secure-gatehouse_session',
      domain: '.example.com',
      secure: true,
    }])
    t.match(place('sessionid'), [{ domain: new URL(app).hostname }])
    await page.goto(`${app}/logout/`)
    t.equal(new URL(page.url()).origin, auth)
    t.strictSame((await page.context().cookies()).filter(({ name }) => name.includes('gatehouse_session')), [])
    await page.context().close()
  })

  await t.test('a list is filtered within its page, which is loaded anew once the session is over', async (t) => {
    const { page } = await signIn(PERSON_IDS.guest)
    const session = async () =>
      (await page.context().cookies()).find(({ name }) => name.includes('gatehouse_session'))?.value
    const loadedWith = (count: string) => page.waitForFunction(`document.querySelectorAll('${ROWS}').length ${count}`)
    await page.goto(`${app}/dcim/sites/`)
    await page.evaluate('globalThis.samePage = true')
    const search = page.locator('#quicksearch')
    await search.pressSequentially('Site 42')
    await loadedWith('=== 1')
    t.match(await page.locator(ROWS).first().innerText(), 'Site 42')
    t.equal(await page.evaluate('globalThis.samePage'), true)
    const before = await session()
    t.ok(before)
    await page.context().clearCookies({ name: /gatehouse_session/ })
    await search.press('Backspace')
    await page.waitForFunction('globalThis.samePage === undefined')
    await page.waitForURL((url) => url.pathname === '/dcim/sites/')
    await loadedWith('> 1')
    const after = await session()
    t.ok(after)
    t.not(after, before, 'signed in again, without a question')
    t.match(await page.locator('body').innerText(), 'gus.guest@fabrikam.example')
    await screenshot(page, 'netbox-session-over')
    await page.context().close()
  })
})
