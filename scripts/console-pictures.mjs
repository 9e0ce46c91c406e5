// Makes the pictures of docs/console.md: `npm run build && node scripts/console-pictures.mjs [FOLDER]`.
// Starts the demo, whose console begins with made-up history, signs Sue in, and takes a picture of each page with
// Chromium; with EVERY_PAGE=1 of every page, light, dark and on a phone. Names are those of the demo; times are of the
// moment. FOLDER is docs/images by default.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const FOLDER = process.argv[2] ?? 'docs/images'
const SUE = '0b8d2c1e-5a74-4d63-9f10-3e6a7b8c9d02'
const SIZES = { desk: { width: 1180, height: 760 }, phone: { width: 390, height: 780 } }
const DARK = { colorScheme: 'dark' }
const PHONE = { size: SIZES.phone }

const demo = spawn(process.execPath, ['dist/cli.js', 'demo', '--port', '0', '--json'], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--hide-scrollbars'],
})
try {
  mkdirSync(FOLDER, { recursive: true })
  const { console: address, url: network } = await addresses()
  const page = await browser.newPage({ viewport: SIZES.desk })
  page.setDefaultTimeout(60_000)
  await signIn(page, address)
  const max = await hrefOf(page, `${address}/people?q=max`, 'Max Many')
  const request = new URLSearchParams({ user: 'max.many@contoso.example', url: `${network}staff/` })
  const pictures = [
    ['overview', ''],
    ['overview-dark', '', DARK],
    ['people', '/people'],
    ['person', max],
    ['person-phone', max, PHONE],
    ['mapping', '/mapping'],
    ['access', '/access'],
    ['test', `/test?${request}`],
    ['audit', '/audit?action=login'],
    ...process.env.EVERY_PAGE === undefined ? [] : everyPage(max, request, await draftOf(page, address)),
  ]
  for (const [name, path, look] of pictures) await picture(page, `console-${name}`, `${address}${path}`, look)
} finally {
  await browser.close()
  demo.kill('SIGTERM')
  await once(demo, 'exit')
}

/** For a look at all pages: light, dark and on a phone, whole. */
function everyPage(max, request, draft) {
  const paths = {
    overview: '',
    week: '?range=7d',
    people: '/people',
    person: max,
    explain: `${max}/explain`,
    opens: `${max}/access`,
    groups: '/groups',
    'add-draft': '/drafts/add?from=1',
    drafts: '/drafts',
    draft,
    'draft-changes': `${draft}/changes`,
    'draft-preview': `${draft}/preview`,
    'remove-draft': `${draft}/remove`,
    versions: '/versions',
    version: '/versions/1',
    diff: '/versions/diff?from=1&to=1',
    programs: '/programs',
    'add-token': '/programs/add',
    'add-group': '/add-group',
    'import-groups': '/import-groups',
    'give-group': `${max}/groups/give`,
    grant: '/groups/Network%20Engineers/grant',
    'change-group': '/groups/Network%20Engineers/change',
    'remove-group': '/groups/Network%20Engineers/remove',
    'rotate-keys': '/system/rotate-keys',
    group: '/groups/Network%20Engineers',
    mapping: '/mapping',
    access: '/access',
    test: `/test?${request}`,
    untested: '/test',
    sessions: '/sessions',
    audit: '/audit',
    system: '/system',
    none: '/people?q=zzz',
    'no-audit': '/audit?action=zzz',
    missing: '/groups?missing=true',
  }
  return Object.entries(paths).flatMap(([name, path]) => [
    [`all-${name}`, path, { whole: true }],
    [`all-${name}-dark`, path, { ...DARK, whole: true }],
    [`all-${name}-phone`, path, { ...PHONE, whole: true }],
  ])
}

async function addresses() {
  let output = ''
  for await (const chunk of demo.stdout) {
    output += chunk
    const [json] = /\{[^}]+\}/.exec(output) ?? []
    if (json !== undefined) return JSON.parse(json)
  }
  throw new Error('the demo has ended')
}

async function signIn(page, address) {
  await page.goto(address)
  await page.click(`[data-person="${SUE}"], button[value="${SUE}"]`)
  await page.waitForURL((url) => url.pathname === '/admin')
}

/** A draft with a warning and a preview. @returns its path below the address of the console */
async function draftOf(page, address) {
  await page.goto(`${address}/drafts/add`)
  await page.fill('#act-message', 'Superusers for the night shift')
  await page.click('.submit .button')
  await page.waitForSelector('#act-text')
  const text = await page.inputValue('#act-text')
  const changed = text.replace(/staff: true(?![^}\n]*superuser|\n *superuser)/g, 'superuser: true')
  await page.fill('#act-text', `# for the night shift\n${changed}`)
  await page.click('.submit .button')
  await page.waitForURL(/done=drafts$/)
  const path = new URL(page.url()).pathname
  await page.goto(new URL(`${path}/preview`, address).href)
  await page.click('#make-preview')
  await page.waitForSelector('#users')
  return path.replace('/admin', '')
}

async function hrefOf(page, address, text) {
  await page.goto(address)
  const href = await page.locator('#results a', { hasText: text }).first().getAttribute('href')
  return href.replace('/admin', '')
}

async function picture(page, name, address, { colorScheme = 'light', size = SIZES.desk, whole = false } = {}) {
  await page.emulateMedia({ colorScheme })
  await page.setViewportSize(size)
  await page.goto(address)
  await page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: whole })
}
