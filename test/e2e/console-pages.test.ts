// Every page of the console, on a real gateway with full lists and hostile names: size, links, looks, keyboard, policy,
// and with JavaScript off. A page that is in the list of pages is visited here. GATEHOUSE_SCREENSHOTS names a folder
// for pictures.
import type { BrowserContext, Browser as Chromium } from 'playwright-core'
import t from 'tap'
import { PAGES } from '../../src/http/admin/pages/all-pages.js'
import { linkTo } from '../../src/http/admin/pages/links.js'
import type { Answer } from '../helpers/browser.js'
import { startChromium } from '../helpers/chromium.js'
import { looksWell, refusalsOf } from '../helpers/console-checks.js'
import { startConsoleScene, type ConsoleScene } from '../helpers/console-scene.js'

const MOST_BYTES = 60_000
/** Addresses of each kind that are opened, of those that a page links. */
const LINKS_OF_A_KIND = 3
const DOWNLOAD = /^(?:text\/(?:csv|plain)|application\/(?:x-ndjson|yaml))/

/** Addresses of the pages whose path has parameters. A page without an example here fails. */
function examplesOf(scene: ConsoleScene): Readonly<Record<string, readonly string[]>> {
  return {
    '/admin/people/:id': scene.people.map((id) => linkTo('people', id)),
    '/admin/people/:id/explain': scene.people.map((id) => `${linkTo('people', id)}/explain`),
    '/admin/people/:id/access': scene.people.map((id) => `${linkTo('people', id)}/access`),
    '/admin/groups/:name': scene.groups.map((name) => linkTo('groups', name)),
    '/admin/drafts/:id/changes': scene.drafts.map((id) => `${linkTo('drafts', id)}/changes`),
    '/admin/drafts/:id/preview': scene.drafts.map((id) => `${linkTo('drafts', id)}/preview`),
    '/admin/drafts/:id/rows': [...scene.drafts.slice(1), scene.longDraft].map((id) => `${linkTo('drafts', id)}/rows`),
    '/admin/drafts/:id/rules': [...scene.drafts.slice(1), scene.longDraft].map((id) => `${linkTo('drafts', id)}/rules`),
    '/admin/versions/:number': ['/admin/versions/1'],
    '/admin/versions/diff': ['/admin/versions/diff', '/admin/versions/diff?from=1&to=1'],
  }
}

/** Pages with their parameters filled in, besides their plain addresses. */
function filledIn(scene: ConsoleScene): readonly string[] {
  const [person = ''] = scene.people
  return [
    '/admin/people?q=nobody-is-called-this',
    '/admin/people?staff=true&active=true',
    '/admin/audit?action=login',
    '/admin/reviews?reviewed=true',
    '/admin/reviews?verdict=doubted&kind=superuser',
    `/admin/reviews?q=${person}`,
    `/admin/test?person=${person}&url=https%3A%2F%2Fnetbox.contoso.example%2F`,
  ]
}

/** Forms that change local groups, of groups with all kinds of names. */
function groupForms(scene: ConsoleScene): readonly string[] {
  const [named = '', ...others] = scene.groups.map((name) => linkTo('groups', name))
  return [
    '/admin/add-group',
    '/admin/import-groups',
    ...[named, ...others.slice(-1)].flatMap((group) => ['change', 'remove', 'grant'].map((act) => `${group}/${act}`)),
    `${named}/permissions/netbox.view/revoke`,
  ]
}

/** Forms that review a flag and a group of a name of each kind. */
function reviewForms({ people: [person = ''], groups }: ConsoleScene): readonly string[] {
  const rights = ['superuser', ...groups.slice(-1).map((name) => `group:${name}`)]
  return rights.map((right) => `/admin/reviews/${person}/${encodeURIComponent(right)}/mark`)
}

/** Forms that begin, save, delete, approve and deploy drafts of the policy, and those of a version. */
function draftForms({ drafts }: ConsoleScene): readonly string[] {
  const [first = '', ...others] = drafts.map((id) => linkTo('drafts', id))
  const deploys = [first, ...others].flatMap((draft) => [`${draft}/deploy`, `${draft}/approve`])
  const versions = ['rollback', 'approve', 'apply'].map((act) => `/admin/versions/1/${act}`)
  return ['/admin/images/add', '/admin/drafts/add', first, ...others, `${first}/remove`, ...deploys, ...versions]
}

/** Forms of the rows and rules of a draft: good ones, wrong ones, those that no form can change, and long lists. */
function entryForms({ drafts: [first = ''], longDraft }: ConsoleScene): readonly string[] {
  const [draft, long] = [linkTo('drafts', first), linkTo('drafts', longDraft)]
  const own = ['rows/1', 'rows/add', 'rows/1/remove', 'rules/1', 'rules/add', 'rules/1/remove', 'rules/2/move']
  const wrong = ['rows/1', 'rows/2', 'rows/4', 'rows/12', 'rules/1', 'rules/2', 'rules/2/remove']
  return [
    ...own.map((path) => `${draft}/${path}`),
    ...wrong.map((path) => `${long}/${path}`),
    `${long}/rows?after=410`,
    `${long}/rules?only=findings&after=50`,
    `${long}/rows?q=${'L'.repeat(50)}`,
    '/admin/drafts/add?row=1',
    '/admin/drafts/add?rule=1',
  ]
}

function addressesOf(scene: ConsoleScene): readonly string[] {
  const examples = examplesOf(scene)
  const paths = PAGES.map(({ path }) => path)
  const filled = filledIn(scene).filter((address) => paths.includes(address.replace(/\?.*/, '')))
  const pages = paths.flatMap((path) => examples[path] ?? [path])
  const forms = [...groupForms(scene), ...draftForms(scene), ...entryForms(scene), ...reviewForms(scene)]
  return [...pages, ...filled, ...forms]
}

async function contextOf(
  chromium: Chromium,
  { gateway, browser }: ConsoleScene,
  options: { readonly javaScriptEnabled?: boolean } = {},
): Promise<BrowserContext> {
  const context = await chromium.newContext(options)
  const cookies = [...browser.cookies.get(new URL(gateway.url).hostname) ?? []]
  await context.addCookies(cookies.map(([name, value]) => ({ name, value, url: gateway.url, sameSite: 'Strict' })))
  return context
}

/** The addresses of this gateway that a page links, below /admin. */
function linksOf({ text, url }: Answer): readonly string[] {
  return [...text.matchAll(/<a [^>]*href="([^"]*)"/g)]
    .map(([, href = '']) => new URL(href.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code))), url))
    .filter((link) => link.origin === new URL(url).origin && link.pathname.startsWith('/admin'))
    .map((link) => `${link.pathname}${link.search}`)
}

/** Addresses that differ in ids, names or values alone are of one kind. */
function kindOf(address: string): string {
  const { pathname, searchParams } = new URL(address, 'http://x')
  return `${pathname.split('/').slice(0, 3).join('/')} ${pathname.split('/').length} ${[...searchParams.keys()].join()}`
}

t.test('every page of the console', async (t) => {
  const scene = await startConsoleScene(t)
  const { gateway, browser } = scene
  const addresses = addressesOf(scene)
  const ask = async (address: string) => await gateway.ask(address, { browser })

  await t.test('is in the navigation or below it, answers 200, and is small with full lists', async (t) => {
    for (const address of addresses) {
      t.notMatch(address, ':', `${address} has an example`)
      const answer = await ask(address)
      t.equal(answer.status, 200, address)
      const size = Buffer.byteLength(answer.text)
      t.ok(size < MOST_BYTES, `${address}: ${size} bytes`)
      t.comment(`${size} ${address}`)
    }
  })

  await t.test('links to pages that exist', async (t) => {
    const seen = new Map<string, number>()
    for (const address of addresses) {
      for (const link of linksOf(await ask(address))) {
        const kind = kindOf(link)
        const count = seen.get(kind) ?? 0
        if (count >= LINKS_OF_A_KIND) continue
        seen.set(kind, count + 1)
        const { status, headers } = await ask(link)
        t.equal(status, 200, `${address} links ${link}`)
        t.match(headers.get('content-type'), DOWNLOAD.test(headers.get('content-type') ?? '') ? DOWNLOAD : 'text/html')
      }
    }
    t.ok(seen.size > addresses.length / 2)
  })

  const chromium = await startChromium(t)
  if (!chromium) return

  await t.test('looks well in every look, and nothing of it is made from data', async (t) => {
    const context = await contextOf(chromium, scene)
    const page = await context.newPage()
    const refusals = refusalsOf(page)
    for (const [index, address] of addresses.entries()) {
      const answer = await page.goto(`${gateway.url}${address}`)
      t.equal(answer?.status(), 200, address)
      const made = await page.evaluate(`[...document.querySelectorAll('body *')].filter((each) =>
        /^(script|img|iframe|style|object|embed|b)$/i.test(each.tagName) && !each.matches('img.uploaded') ||
        each.getAttributeNames().some((name) => /^(on|style|srcdoc)/i.test(name))).map((each) => each.outerHTML)`)
      t.strictSame(made, [], address)
      const name = address.replace(/^\/admin\/?/, '').replace(/\W+/g, '-').slice(0, 40)
      await looksWell(t, page, `${index}-${name === '' ? 'overview' : name}`)
    }
    t.strictSame(refusals, [], 'the policy refuses nothing')
    await context.close()
  })

  await t.test('is reached by keyboard, and so are its filters', async (t) => {
    const context = await contextOf(chromium, scene)
    const page = await context.newPage()
    for (const address of addresses) {
      await page.goto(`${gateway.url}${address}`)
      const wanted: string[] = await page.evaluate(
        `[...document.querySelectorAll('.side a, .filters input:not([type=hidden]), .filters select, .filters button')]
          .map((each) => each.id || each.textContent.trim())`,
      )
      const reached = new Set<string>()
      for (let each = 0; each < wanted.length + 25; each++) {
        await page.keyboard.press('Tab')
        reached.add(await page.evaluate('document.activeElement.id || document.activeElement.textContent.trim()'))
      }
      t.strictSame(wanted.filter((stop) => !reached.has(stop)), [], address)
    }
    await context.close()
  })

  await t.test('works with JavaScript off', async (t) => {
    const context = await contextOf(chromium, scene, { javaScriptEnabled: false })
    const page = await context.newPage()
    for (const address of addresses) {
      await page.goto(`${gateway.url}${address}`)
      const forms = page.locator('form.filters')
      if (await forms.count() === 0) continue
      const [answer] = await Promise.all([
        page.waitForResponse((response) => response.request().isNavigationRequest()),
        forms.first().locator('button').first().click(),
      ])
      t.equal(answer.status(), 200, `the filters of ${address}, submitted as they are`)
    }
    await context.close()
  })
})
