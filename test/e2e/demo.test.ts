// `gatehouse demo` as a newcomer meets it: one URL, a real browser, six people, each with the right groups and flags.
import { execFile } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
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
  const demo = await run(t, process.execPath, ['dist/cli.js', 'demo', '--port', '0', '--json'], {
    ready: (output) => /"url": "/.test(output),
  })
  const { url, circuits, config } = JSON.parse(/\{[^}]+\}/.exec(demo.output())?.[0] ?? '{}') as Record<string, string>
  if (url === undefined || circuits === undefined || config === undefined) {
    throw new Error('the demo does not say where it is')
  }
  /** The log is written beside what the browser sees. */
  const said = async (line: RegExp): Promise<boolean> => {
    for (let waited = 0; waited < 300 && !line.test(demo.output()); waited++) await setTimeout(100)
    return line.test(demo.output())
  }

  t.notMatch(demo.output(), /WARN|ERROR|not found/, 'a newcomer reads no warning')
  const verified = await promisify(execFile)(process.execPath, ['dist/cli.js', 'audit', 'verify', '--config', config])
  t.match(verified.stdout, /newest verified seal: 1,/, 'the made-up history is sealed: the console warns of no old row')

  for (const [key, expected] of Object.entries(EXPECTED) as [PersonKey, typeof EXPECTED[PersonKey]][]) {
    await t.test(`${PEOPLE[key].displayName}: ${PEOPLE[key].note}`, async (t) => {
      const page = await newPage(browser)
      await signIn(page, `${url}some/page?x=1`, key)
      t.equal(page.url(), `${url}some/page?x=1`, 'back where they wanted to go')
      t.equal(await field(page, 'name'), PEOPLE[key].displayName)
      t.equal(await field(page, 'staff'), expected.staff)
      t.equal(await field(page, 'superuser'), expected.superuser)
      t.same(await page.locator('[data-field=groups] [data-group]').allInnerTexts(), expected.groups)
      t.equal(await field(page, 'cookies'), 'none', 'neither our cookies nor those of Entra ID reach the application')
      if (expected.groups.length > 0) {
        t.match(
          await page.locator('[data-field=why]').innerText(),
          /because of [\w ]+ of Contoso, since \d{4}-\d\d-\d\d/,
        )
      }
      await screenshot(page, `demo-${key}`)
      await page.click('[data-action=gateway]')
      t.equal(await page.locator('h1').innerText(), PEOPLE[key].displayName)
      t.match(await field(page, 'superuser'), expected.superuser === 'true' ? /^yes/ : /^no/)
      await screenshot(page, `home-${key}`)
      await page.context().close()
    })
  }

  await t.test('forged identity headers do not reach the application', async (t) => {
    const page = await newPage(browser)
    await signIn(page, url, 'nobody')
    await page.context().setExtraHTTPHeaders({
      'X-Auth-Request-User': 'forged',
      'X-Auth-Request-Groups': 'forged',
      'X-Auth-Request-Superuser': 'true',
      'Remote-User': 'forged',
      'Remote_Groups': 'forged',
      'X_Auth_Request_User': 'forged',
      'X-Gatehouse-Assertion': 'forged',
    })
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
    await page.waitForSelector('text=You are signed out')
    await screenshot(page, 'signed-out')
    await page.click('text=Sign in again')
    await page.waitForSelector('[data-person]') // Entra asks again who it is: nothing was left signed in
    await screenshot(page, 'after-sign-out')
    t.notOk((await page.context().cookies()).some((cookie) => cookie.name === 'gatehouse_session'))
    await page.click('[data-action=cancel]')
    t.equal(await page.locator('[data-field=code]').innerText(), 'login_cancelled')
    await screenshot(page, 'cancelled')
    await page.context().close()
  })

  await t.test('each area is open as its rule says, and a refusal links back', async (t) => {
    const places = { staff: `${url}staff/`, admin: `${url}admin/`, circuits }
    const open: Partial<Record<PersonKey, (keyof typeof places)[]>> = {
      superuser: ['staff', 'admin', 'circuits'],
      staff: ['staff'],
      many: ['circuits'],
      nobody: [],
    }
    for (const [key, expected] of Object.entries(open) as [PersonKey, (keyof typeof places)[]][]) {
      const page = await newPage(browser)
      await signIn(page, url, key)
      for (const [name, place] of Object.entries(places)) {
        const answer = await page.goto(place)
        const passes = expected.includes(name as keyof typeof places)
        t.equal(answer?.status(), passes ? 200 : 403, `${key}: ${name}`)
        if (!passes) await screenshot(page, `demo-403-${key}-${name}`)
      }
      await page.goto(`${url}staff/`)
      if (!expected.includes('staff')) {
        t.equal(await field(page, 'allows'), 'staff, superusers')
        t.match(await field(page, 'about'), '/staff or /staff/**')
        await page.click('text=See what is open to you')
        const links = await page.locator('[data-field=applications] a').all()
        const listed = await Promise.all(links.map((link) => link.getAttribute('href')))
        t.strictSame(listed, expected.includes('circuits') ? [url, circuits] : [url])
        await page.click('[data-field=applications] a')
        await page.waitForURL(url)
      }
      await page.context().close()
    }
  })

  await t.test('the terminal shows mappings and refusals with reasons, and a command that works', async (t) => {
    t.ok(
      await said(/Azure AD group mapping - user sam\.staff@\S+ 1 groups .* because of Network Engineers of Contoso\n/),
    )
    t.ok(
      await said(
        /403 for nobody\.noone@\S+ GET 127\.0\.0\.1:\d+\/staff\/ \(access\.rules\[0\]: open to staff, superusers\)\n/,
      ),
    )
    const asked = promisify(execFile)(process.execPath, ['dist/cli.js', 'users', 'list', '--why', '--config', config])
    t.match(
      (await asked).stdout,
      /sue\.super@contoso\.example\n +staff, because of NetBox Superusers of Contoso \(row 1\)/,
    )
  })

  await t.test('every page is readable in dark mode and on a phone, without a message in the console', async (t) => {
    const context = await browser.newContext({ colorScheme: 'dark', viewport: { width: 390, height: 700 } })
    const page = await context.newPage()
    const fits = async (name: string): Promise<void> => {
      t.ok(
        await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'),
        `${name} does not scroll sideways`,
      )
      await screenshot(page, `phone-dark-${name}`)
    }
    const complaints: string[] = []
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    await page.goto(url)
    await fits('picker')
    t.equal(
      await page.evaluate('getComputedStyle(document.body).backgroundColor'),
      'rgb(22, 22, 22)',
      'the picker is dark',
    )
    await signIn(page, url, 'superuser')
    await fits('application')
    await page.click('[data-action=gateway]')
    const gateway = new URL(page.url()).origin
    for (const [name, path] of [['home', '/'], ['sign-in', '/oauth2/sign_in']] as const) {
      await page.goto(`${gateway}${path}`)
      await fits(name)
      t.equal(
        await page.evaluate('getComputedStyle(document.body).backgroundColor'),
        'rgb(16, 21, 30)',
        `${name} is dark`,
      )
    }
    t.same(complaints, [])
    await page.goto(`${gateway}/no-such-page`)
    await fits('not-found')
    await page.goto(`${gateway}/`)
    await page.click('button')
    await page.waitForSelector('text=You are signed out')
    await fits('signed-out')
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
