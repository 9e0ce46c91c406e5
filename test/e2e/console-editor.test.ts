// The editor of rows and rules in a real Chromium, with JavaScript and without: from the page Mapping to the row, its
// change, what the draft changes by it, and the preview.
import t from 'tap'
import { linkTo } from '../../src/http/admin/pages/links.js'
import { startChromium } from '../helpers/chromium.js'
import { refusalsOf } from '../helpers/console-checks.js'
import { startConsoleScene } from '../helpers/console-scene.js'

for (const javaScriptEnabled of [true, false]) {
  t.test(`the editor of rows and rules, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async (t) => {
    const chromium = await startChromium(t)
    if (!chromium) return
    const { gateway, browser } = await startConsoleScene(t)
    const context = await chromium.newContext({ javaScriptEnabled })
    t.teardown(() => context.close())
    const cookies = [...browser.cookies.get(new URL(gateway.url).hostname) ?? []]
    await context.addCookies(cookies.map(([name, value]) => ({ name, value, url: gateway.url, sameSite: 'Strict' })))
    const page = await context.newPage()
    const refusals = refusalsOf(page)
    const shown = async (text: string) => t.ok(await page.waitForSelector(`main :text("${text}")`), text)

    await page.goto(`${gateway.url}/admin/mapping`)
    await page.getByRole('link', { name: 'Edit row 3 as a draft' }).click()
    await page.getByLabel('What it is for').fill('Circuits')
    await page.getByRole('button', { name: 'Begin this draft' }).click()
    await page.waitForURL(/\/rows\/3\b/)
    t.equal(await page.getByLabel('Label').inputValue(), 'Circuits')
    const draft = linkTo('drafts', /drafts\/([^/]+)/.exec(page.url())?.[1] ?? '')

    await page.getByLabel('Object ID of the Entra group').fill('Circuit Managers')
    await page.getByLabel('Its members are staff').check()
    await page.getByRole('button', { name: 'Save this row' }).click()
    await shown('looks like a display name')
    t.ok(await page.getByLabel('Its members are staff').isChecked(), 'what was entered is kept')
    await page.getByLabel('Object ID of the Entra group').fill('99999999-0000-4000-8000-000000000000')
    await page.getByRole('button', { name: 'Save this row' }).click()
    await shown('The row is changed in the draft.')
    await shown('99999999-0000-4000-8000-000000000000')

    await page.goto(`${gateway.url}${draft}/rules`)
    await page.getByRole('button', { name: 'Move rule 2 down' }).click()
    await shown('The rule is moved in the draft.')
    await page.goto(`${gateway.url}${draft}/rules/3`)
    t.equal(await page.getByLabel('Paths').inputValue(), '/staff')
    await page.getByLabel('Shadow rule').check()
    await page.getByRole('button', { name: 'Save this rule' }).click()
    await shown('The rule is changed in the draft.')

    await page.getByRole('link', { name: 'What it changes' }).click()
    await page.waitForURL(/\/changes/)
    const changed = await page.locator('ins').allTextContents()
    t.ok(changed.some((line) => /99999999/.test(line)), 'the row')
    t.ok(changed.some((line) => /enforce: false/.test(line)), 'the rule')
    await page.goto(`${gateway.url}${draft}/rows`)
    await page.getByRole('link', { name: 'Preview gains and losses' }).click()
    await page.waitForURL(/\/preview/)
    await page.locator('main form button').first().click()
    await page.waitForSelector('#preview')
    t.strictSame(refusals, [], 'the policy refuses nothing')
  })
}
