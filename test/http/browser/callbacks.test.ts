// Callbacks that are no end of a sign-in, and how often callbacks may come.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createFlowSealer, FLOW_LIFETIME_MS, newBinding } from '../../../src/core/login-flow.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { callbackLimitExemption } from '../../../src/http/browser/callback-limit-exemption.js'
import { errorCode } from '../../helpers/assertions.js'
import { createBrowser, formOf, type Answer, type Browser } from '../../helpers/browser.js'
import { SESSION_SECRET, startTestGateway, type TestGateway } from '../../helpers/gateway.js'

const retry = (answer: Answer): string =>
  (/class="button" href="([^"]+)"/.exec(answer.text)?.[1] ?? '').replaceAll('&#38;', '&')

async function ready(gateway: TestGateway, browser: Browser, query = ''): Promise<URL> {
  const { action, fields } = formOf(await browser.follow(`${gateway.url}/oauth2/start${query}`))
  const answer = await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.staff } })
  return new URL(answer.location ?? '')
}

t.test('an administrator comes back from consent', async (t) => {
  const gateway = await startTestGateway(t)
  const tenant = gateway.config.entra.tenantId
  const cases: [string, string][] = [
    [`admin_consent=True&tenant=${tenant}`, 'Consent was given'],
    [`admin_consent=true&tenant=${tenant}&state=12345&scope=x`, 'Consent was given'],
    [`admin_consent=True&tenant=${tenant}&error=access_denied&error_description=x`, 'Consent was not given'],
    ['admin_consent=False', 'Consent was not given'],
    ['admin_consent=%3Cscript%3E', 'Consent was not given'],
  ]

  // proves: adv-consent
  await t.test('to a page that says whether it was given, and offers to sign in', async (t) => {
    for (const [query, title] of cases) {
      const answer = await gateway.ask(`/oauth2/callback?${query}`)
      t.equal(answer.status, 200, query)
      t.match(answer.text, `<h1>${title}</h1>`, query)
      t.equal(retry(answer), `${gateway.url}/oauth2/start`)
      t.notMatch(answer.text, /<script>/)
    }
  })

  // proves: adv-consent-login
  await t.test('a sign-in is a sign-in all the same', async (t) => {
    const browser = createBrowser()
    const url = await ready(gateway, browser)
    url.searchParams.set('admin_consent', 'True')
    t.equal((await browser.ask(url.href)).status, 302)
    url.searchParams.delete('code')
    url.searchParams.set('error', 'access_denied')
    t.not((await createBrowser().ask(url.href)).status, 200, 'nor is one that failed')
  })
})

// proves: adv-hints
t.test('only well-formed hints are passed to Entra ID', async (t) => {
  const gateway = await startTestGateway(t, { config: { server: { redirectDomains: ['app.example.test'] } } })
  const asked = async (query: string, headers: Record<string, string> = {}): Promise<URLSearchParams> =>
    new URL((await gateway.ask(`/oauth2/start?${query}`, { headers })).location ?? '').searchParams
  const both = await asked('login_hint=sam.staff%40contoso.example&domain_hint=contoso.example&rd=/')
  t.strictSame(
    { login_hint: both.get('login_hint'), domain_hint: both.get('domain_hint') },
    { login_hint: 'sam.staff@contoso.example', domain_hint: 'contoso.example' },
  )
  for (
    const bad of [
      `login_hint=${'x'.repeat(600)}`,
      'login_hint=a%0ab',
      'login_hint=',
      'domain_hint=a%26b',
      'domain_hint=a b',
    ]
  ) {
    const query = await asked(bad)
    t.strictSame(
      { login_hint: query.get('login_hint'), domain_hint: query.get('domain_hint') },
      { login_hint: null, domain_hint: null },
      bad.slice(0, 40),
    )
  }
  const elsewhere = await asked('login_hint=sam&domain_hint=contoso.example', {
    'x-forwarded-host': 'app.example.test',
  })
  t.strictSame(
    { login_hint: elsewhere.get('login_hint'), domain_hint: elsewhere.get('domain_hint') },
    { login_hint: 'sam', domain_hint: 'contoso.example' },
    'over publicUrl',
  )
  const page = await createBrowser().follow(
    `${gateway.url}/oauth2/start?login_hint=sam.staff%40contoso.example&domain_hint=contoso.example`,
  )
  t.match(page.text, /data-person=/, 'and Entra ID takes them')
})

t.test('an office behind one address', async (t) => {
  const gateway = await startTestGateway(t, { config: { server: { rateLimit: 6 } } })
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })

  // proves: adv-genuine-callbacks
  await t.test('a callback with a genuine state is never the one that is limited', async (t) => {
    const links: [Browser, URL][] = []
    for (let each = 0; each < 12; each++) {
      const browser = createBrowser()
      const start = await browser.ask(`${gateway.url}/oauth2/start?rd=/`, from(`203.0.113.${each}`))
      const { action, fields } = formOf(await browser.ask(start.location ?? ''))
      const sent = await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.staff } })
      links.push([browser, new URL(sent.location ?? '')])
    }
    for (const [browser, link] of links) t.equal((await browser.ask(link.href, from('198.51.100.7'))).status, 302)
  })

  await t.test('one without is', async (t) => {
    const statuses: number[] = []
    for (let each = 0; each < 8; each++) {
      const state = randomBytes(120).toString('base64url')
      statuses.push(
        (await createBrowser().ask(`${gateway.url}/oauth2/callback?code=x&state=${state}`, from('198.51.100.8')))
          .status,
      )
    }
    t.strictSame(statuses, [400, 400, 400, 400, 400, 400, 429, 429])
  })

  // proves: adv-genuine-bounded
  await t.test('and one state again and again', async (t) => {
    const browser = createBrowser()
    const link = await ready(gateway, browser)
    const statuses = new Set<number>()
    for (let each = 0; each < 30; each++) statuses.add((await browser.ask(link.href, from('198.51.100.9'))).status)
    t.ok(statuses.has(429))
  })

  // proves: adv-chain-restarted, adv-chain-again
  await t.test('and what begins by itself counts with the sign-in that was begun', async (t) => {
    const open = [(await createBrowser().ask(`${gateway.url}/oauth2/start`, from('198.51.100.11'))).location ?? '']
    const statuses: number[] = []
    while (statuses.length < 40) {
      const state = new URL(open[statuses.length % open.length] ?? '').searchParams.get('state') ?? ''
      const browser = createBrowser()
      // Of another browser: it begins anew. Then of this one, with a failure after which the person signs in again.
      for (let turn = 0, sent = state; turn < 2 && statuses.length < 40; turn++) {
        const link = `${gateway.url}/oauth2/callback?error=interaction_required&state=${sent}`
        const { status, location } = await browser.ask(link, from('198.51.100.12'))
        statuses.push(status)
        if (location?.startsWith(gateway.entra.url) !== true) break
        open.push(location)
        sent = new URL(location).searchParams.get('state') ?? ''
      }
    }
    t.ok(statuses.filter((status) => status !== 429).length <= 10 + 6, statuses.join(' '))
    t.ok(open.length > 3, 'further sign-ins began by themselves')
  })

  // proves: adv-expired-limited
  await t.test('and an expired one', async (t) => {
    const statuses: number[] = []
    for (let each = 0; each < 8; each++) {
      const flows = createFlowSealer([SESSION_SECRET], () => Date.now() - FLOW_LIFETIME_MS - 5_000)
      const { state } = flows.begin({ returnTo: `${gateway.url}/` }, newBinding())
      const link = `${gateway.url}/oauth2/callback?code=x&state=${state}`
      statuses.push((await createBrowser().ask(link, from('198.51.100.13'))).status)
    }
    t.strictSame(statuses, [302, 302, 302, 302, 302, 302, 429, 429])
  })

  // proves: adv-chain-bounded
  await t.test('what is remembered of them is bounded', async (t) => {
    const { allowList } = callbackLimitExemption({ flows: { chainOf: (state) => state }, capacity: 2 })
    const asked = (state: string): unknown =>
      (allowList as (request: object) => unknown)({ url: '/oauth2/callback?state=x', query: { state } })
    for (let each = 0; each < 12; each++) t.equal(asked('a'), each < 10)
    t.equal(asked('b'), true)
    t.equal(asked('a'), false, 'two are remembered')
    t.equal(asked('c'), true)
    t.equal(asked('b'), true)
    t.equal(asked('a'), true, 'the one that came first is forgotten')
  })

  // proves: adv-retry-limited
  await t.test('"Try again" of who asked too often is the same address', async (t) => {
    const rd = encodeURIComponent('/deep?x=1')
    let answer = await createBrowser().ask(`${gateway.url}/oauth2/start?rd=${rd}`, from('198.51.100.10'))
    for (let each = 0; each < 8; each++) {
      answer = await createBrowser().ask(`${gateway.url}/oauth2/start?rd=${rd}`, from('198.51.100.10'))
    }
    t.strictSame({ status: answer.status, code: errorCode(answer) }, { status: 429, code: 'rate_limited' })
    t.equal(retry(answer), `${gateway.url}/oauth2/start?rd=${rd}`)
    t.match(answer.headers.get('retry-after'), /^\d+$/)
  })
})
