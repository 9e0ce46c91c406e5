// The console of the demo as an administrator meets it, in a real Chromium, with JavaScript and without: why a user has
// a right, taking it away in a draft that is previewed and deployed, and rolling back. GATEHOUSE_SCREENSHOTS names a
// folder for pictures.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { PEOPLE, type PersonKey } from '../../src/demo/people.js'
import { screenshot, startChromium } from '../helpers/chromium.js'
import { refusalsOf } from '../helpers/console-checks.js'
import { run } from '../helpers/programs.js'
import { until } from '../helpers/until.js'

const GROUP = 'Circuit Managers of Contoso'
const REASON = 'Circuits are managed by another team.'

interface Demo {
  readonly circuits: string
  readonly console: string
}

async function startDemo(t: Test): Promise<Demo> {
  const demo = await run(t, process.execPath, ['dist/cli.js', 'demo', '--port', '0', '--json'], {
    ready: (output) => /"url": "/.test(output),
  })
  return JSON.parse(/\{[^}]+\}/.exec(demo.output())?.[0] ?? '{}') as Demo
}

async function signIn(page: Page, url: string, key: PersonKey): Promise<void> {
  await page.goto(url)
  await page.click(`[data-person="${PEOPLE[key].id}"]`)
}

/** Whether Max may use the application that only circuit managers may. */
async function statusFor(page: Page, circuits: string): Promise<number | undefined> {
  return (await page.goto(circuits))?.status()
}

/** The row of this Entra group is taken out. */
function withoutRow(policy: string): string {
  return policy.replace(new RegExp(` *- entraGroup: [^\n]*\n *label: ${GROUP}\n(?: {4}[^\n]*\n)*`), '')
}

for (const [kind, javaScriptEnabled] of [['with', true], ['without', false]] as const) {
  t.test(`a right is found, taken away and given back, ${kind} JavaScript`, async (t) => {
    const browser = await startChromium(t)
    if (!browser) return
    const { circuits, console } = await startDemo(t)
    const max = await newPage(browser, true)
    await signIn(max, circuits, 'many')
    await max.waitForURL(circuits)
    t.equal(await statusFor(max, circuits), 200, 'Max manages circuits')
    const sue = await newPage(browser, javaScriptEnabled)
    const refusals = refusalsOf(sue)
    const shown = async (name: string) => await screenshot(sue, `story-${kind}-${name}`)
    await signIn(sue, console, 'superuser')
    await sue.waitForURL(console)
    await shown('1-overview')

    await t.test('why Max may manage circuits: two clicks', async (t) => {
      await sue.click('nav >> text=People')
      await sue.click('text=Max Many')
      await sue.waitForSelector('h1:has-text("Max Many")')
      t.match(await sue.locator('main').innerText(), /Circuit Manager[\s\S]*Circuit Managers of Contoso[\s\S]*row 4/)
      await shown('2-why')
    })

    await t.test('a draft without the row', async (t) => {
      await sue.click('nav >> text=Mapping')
      await sue.click('text=Edit as a draft')
      await sue.fill('[name=message]', 'Circuits for the other team')
      await sue.click('text=Begin this draft')
      const text = await sue.inputValue('[name=text]')
      t.match(text, GROUP)
      t.notMatch(withoutRow(text), GROUP)
      t.match(withoutRow(text), 'Read Only Users of Contoso')
      await sue.fill('[name=text]', withoutRow(text))
      await sue.click('text=Save and check')
      await sue.waitForSelector('text=The draft is saved.')
      t.ok(await sue.getByText('can be used').isVisible())
      await shown('3-draft')
    })

    await t.test('who would lose what', async (t) => {
      await sue.click('text=Preview gains and losses')
      await sue.click('#make-preview')
      for (let looks = 0; looks < 100 && !await sue.getByText('Lose a right').isVisible(); looks++) {
        if (!javaScriptEnabled && await sue.getByText('Look again').isVisible()) await sue.click('text=Look again')
        await sleep(100)
      }
      const preview = await sue.locator('#preview').innerText()
      t.match(preview, /Lose a right\s+1\b/)
      t.match(preview, /max\.many@[\s\S]*Circuit Manager/)
      await shown('4-preview')
    })

    await t.test('the deploy takes it away from Max immediately', async (t) => {
      await sue.goBack() // the preview is below the draft
      await sue.click('nav >> text=Drafts')
      await sue.click('text=Circuits for the other team')
      await sue.click('text=Deploy the draft')
      t.ok(await sue.isChecked('[name=apply]'), 'the tick is set where the preview has losses')
      await sue.fill('[name=reason]', REASON)
      await shown('5-deploy')
      const sent = performance.now()
      await sue.click('button:has-text("Make Circuits for the other team the policy")')
      await sue.waitForSelector('text=The draft is the policy now.')
      t.equal(await sue.getByText('Roll back to this version').count(), 0, 'the new version is the one in force')
      t.ok(await until(async () => await statusFor(max, circuits) === 403), 'Max is refused')
      t.comment(`refused ${Math.round(performance.now() - sent)} ms after the button was pressed`)
      await shown('6-version')
      await screenshot(max, 'story-max-refused')
    })

    await t.test('the rollback gives it back', async (t) => {
      await sue.click('nav >> text=Versions')
      await sue.click('main a[href="/admin/versions/1"]')
      await sue.click('text=Roll back')
      await sue.fill('[name=reason]', 'The other team is not ready.')
      await sue.check('[name=apply]')
      await shown('7-rollback')
      await sue.click('button:has-text("Make version 1 the policy again")')
      await sue.waitForSelector('text=is the policy now')
      t.ok(await until(async () => await statusFor(max, circuits) === 200), 'Max manages circuits again')
    })

    await t.test('the audit has it in order, the newest first', async (t) => {
      await sue.click('nav >> text=Audit')
      await sue.waitForSelector('h1:has-text("Audit")')
      await shown('8-audit')
      const rows = (await sue.locator('main table tbody tr').allInnerTexts()).map((row) => row.split('\t'))
      const story = rows.map(([, action = '', , about = '']) => `${action} ${about.trim()}`.trim()).filter((row) =>
        /^(?:policy|reevaluation)/.test(row)
      )
      t.strictSame(story, [
        'policy.applied',
        `reevaluation ${PEOPLE.many.userPrincipalName}`,
        'policy.deployed',
        'policy.applied',
        `reevaluation ${PEOPLE.many.userPrincipalName}`,
        'policy.deployed',
        'policy.draft.change',
        'policy.draft.add',
        'policy.deployed',
        ...Array(3).fill('policy.image.add'),
      ])
      t.match(rows.flat().join('\n'), new RegExp(`reason: ${REASON}`))
    })
    t.strictSame(refusals, [], 'the policy of the pages refuses nothing')
  })
}

async function newPage(browser: Browser, javaScriptEnabled: boolean): Promise<Page> {
  return await (await browser.newContext({ javaScriptEnabled })).newPage()
}
