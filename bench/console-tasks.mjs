// Five tasks of an administrator in the demo's console, in a real Chromium: clicks, characters typed, and seconds.
// Usage: node bench/console-tasks.mjs [CHROMIUM]. It needs a build. Prints a table; docs/console.md has the results.
//
// Two kinds of seconds: what the browser waited for pages, measured; and what a practised person needs, calculated by
// the keystroke-level model (Card, Moran and Newell, 1980) from the same clicks and keys: 1.35 s to decide upon a click
// or a text, 1.3 s to point and click, 0.28 s for a character.
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { PEOPLE } from '../dist/demo/people.js'

const CLI = fileURLToPath(new URL('../dist/cli.js', import.meta.url))
const DECIDE = 1.35
const CLICK = 1.3
const KEY = 0.28
const GROUP = 'Circuit Managers of Contoso'
const SUBMIT = 'main form[method=post] button'

/** A page, and what was done on it since the last task began. */
function counted(page) {
  let done = { clicks: 0, characters: 0, decisions: 0 }
  let waited = 0
  const timed = async (work) => {
    const began = performance.now()
    await work()
    await page.waitForLoadState('networkidle')
    waited += performance.now() - began
  }
  return {
    page,
    begin() {
      done = { clicks: 0, characters: 0, decisions: 0 }
      waited = 0
    },
    async click(selector) {
      done.clicks++
      done.decisions++
      await timed(() => page.click(selector))
    },
    async type(selector, text) {
      done.clicks++ // into the field
      done.decisions++
      done.characters += text.length
      await timed(() => page.fill(selector, text))
    },
    /** Waits for what the task wants to see. */
    async see(selector) {
      await timed(() => page.waitForSelector(selector))
    },
    result(task) {
      const person = done.decisions * DECIDE + done.clicks * CLICK + done.characters * KEY
      return {
        task,
        clicks: done.clicks,
        characters: done.characters,
        'pages, s': (waited / 1_000).toFixed(1),
        'person, s': person.toFixed(0),
      }
    },
  }
}

const TASKS = [
  ['find a person', async ({ click, type, see }) => {
    await click('nav >> text=People')
    await type('[name=q]', 'many')
    await click('text=Max Many')
    await see('h1:has-text("Max Many")')
  }],
  ['why has he this right, from his page', async ({ see }) => {
    await see(`main >> text=${GROUP}`)
  }],
  ['take it from everybody in the group, safely', async ({ click, type, see }) => {
    await click('nav >> text=Mapping')
    await click('main a[href="/admin/drafts/add?row=4"]')
    await type('[name=message]', 'Circuits')
    await click(SUBMIT)
    await click('text=Remove it')
    await click(SUBMIT)
    await click('text=Preview gains and losses')
    await click('#make-preview')
    await see('#preview >> text=Lose a right')
    await click('nav >> text=Drafts')
    await click('main table a:has-text("Circuits")')
    await click('text=Deploy the draft')
    await type('[name=reason]', 'Other team.')
    await click(SUBMIT)
    await see('text=The draft is the policy now.')
  }],
  ['take everything from him now, from his page', async ({ page, click, type, see }) => {
    await page.click('nav >> text=People') // not counted
    await page.click('text=Max Many')
    await click('text=Deactivate max.many')
    await type('[name=reason]', 'Left today.')
    await click(SUBMIT)
    await see('main >> text=inactive')
  }],
  ['who was superuser last Tuesday', async ({ click, type, see }) => {
    await click('nav >> text=Overview')
    await click('text=Who was superuser at another time')
    await type('[name=at]', lastTuesday())
    await click('text=Show')
    await see('main >> text=Sue Super')
  }],
]

function lastTuesday() {
  const day = new Date(Date.now() - 86_400_000)
  while (day.getUTCDay() !== 2) day.setUTCDate(day.getUTCDate() - 1)
  return `${day.toISOString().slice(0, 10)}T12:00`
}

async function startDemo() {
  const demo = spawn(process.execPath, [CLI, 'demo', '--port', '0', '--json'], { stdio: ['ignore', 'pipe', 'ignore'] })
  let output = ''
  demo.stdout.on('data', (data) => {
    output += data
  })
  while (!/"url": "[^}]+\}/.test(output)) {
    if (demo.exitCode !== null) throw new Error(`the demo has ended: ${output}`)
    await sleep(200)
  }
  return { demo, ...JSON.parse(/\{[^}]+\}/.exec(output)[0]) }
}

async function signIn(page, url, person) {
  await page.goto(url)
  await page.click(`[data-person="${person.id}"]`)
  await page.waitForURL(url)
}

const { demo, circuits, console: admin } = await startDemo()
const browser = await chromium.launch({
  executablePath: process.argv[2] ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
})
try {
  const max = await (await browser.newContext()).newPage()
  await signIn(max, circuits, PEOPLE.many)
  const page = await (await browser.newContext({ viewport: { width: 1400, height: 1000 } })).newPage()
  page.setDefaultTimeout(30_000)
  await signIn(page, admin, PEOPLE.superuser)
  const hands = counted(page)
  const rows = []
  for (const [task, work] of TASKS) {
    hands.begin()
    try {
      await work(hands)
    } catch (error) {
      throw new Error(`${task}: ${page.url()} shows ${await page.locator('main').innerText()}`, { cause: error })
    }
    rows.push(hands.result(task))
  }
  console.table(rows)
} finally {
  await browser.close()
  demo.kill('SIGTERM')
}
