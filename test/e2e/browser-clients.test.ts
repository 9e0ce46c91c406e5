// What a real Chromium does without a person's click: it restores tabs together, and it loads pages ahead of time.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { startChromium } from '../helpers/chromium.js'
import { startTestGateway } from '../helpers/gateway.js'
import { stopPostgres } from '../helpers/postgres.js'

t.teardown(stopPostgres)
t.setTimeout(180_000)

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

  await t.test('restores twenty tabs, which all end where they were', async (t) => {
    await page.goto(`${gateway.url}/oauth2/start?prompt=select_account`)
    await page.click(`[data-person="${PERSON_IDS.staff}"]`)
    await page.waitForURL(`${gateway.url}/`)
    for (const { name } of await context.cookies(gateway.url)) {
      if (name.startsWith('gatehouse')) await context.clearCookies({ name })
    }
    const tabs = await Promise.all(Array.from({ length: 20 }, () => context.newPage()))
    const ends = await Promise.all(tabs.map(async (tab, each) => {
      const rd = `${gateway.url}/oauth2/userinfo?tab=${each}`
      await tab.goto(`${gateway.url}/oauth2/start?${new URLSearchParams({ rd })}`)
      const text = await tab.locator('body').innerText()
      return tab.url() === rd && text.includes('sam.staff') ? 'there' : `${tab.url()}: ${text.slice(0, 200)}`
    }))
    t.strictSame(ends, Array.from({ length: 20 }, () => 'there'))
    for (const tab of tabs) await tab.close()
  })

  for (const kind of ['prefetch', 'prerender']) {
    await t.test(`a ${kind} of the sign-out address signs nobody out`, async (t) => {
      const asked: string[] = []
      const rules = JSON.stringify({ [kind]: [{ source: 'list', urls: [`${gateway.url}/oauth2/sign_out`], eagerness: 'immediate' }] })
      const server = createServer((request, response) => {
        asked.push(request.url ?? '')
        response.setHeader('content-type', 'text/html').end(`<!doctype html><script type="speculationrules">${rules}</script>x`)
      }).listen(0, '127.0.0.1')
      t.teardown(() => server.close())
      t.ok(await signedIn())
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      await page.waitForTimeout(2_500)
      t.ok(await signedIn(), 'still signed in')
    })
  }
})
