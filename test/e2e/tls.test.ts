// The same proxies as an installation has them: TLS, HTTP/2, hosts of one domain, __Secure- and __Host- cookies, and a
// real browser that is refused.
import { writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import t, { type Test } from 'tap'
import { Agent, buildConnector } from 'undici'
import { createServerIdentity } from '../../src/demo/entra/certificates.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser } from '../helpers/browser.js'
import { screenshot, startChromium } from '../helpers/chromium.js'
import { freePorts, pickPerson, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { folder, startCaddyTls, startHaproxyTls, startNginxTls } from '../helpers/proxies.js'
import { startUpstream, type Received } from '../helpers/upstream.js'

const APP = 'wiki.gatehouse.test'
const AUTH = 'auth.gatehouse.test'
const PROXIES = [{ name: 'nginx', start: startNginxTls }, { name: 'Caddy', start: startCaddyTls }, {
  name: 'HAProxy',
  start: startHaproxyTls,
}]

interface Site {
  readonly gateway: TestGateway
  readonly app: string
  readonly auth: string
  readonly port: number
  readonly ca: string
  readonly received: Received[]
}

for (const { name, start } of PROXIES) {
  t.test(`${name} with TLS and HTTP/2`, async (t) => {
    const site = await startSite(t, start)
    if (!site) return
    const { app, auth, received } = site
    const browser = browserOf(site)
    const deep = `${app}/deep/page?a=1&b=two%20words&c=x%2Fy`

    await t.test('a deep link opens with its query after the sign-in, without a redirect loop', async (t) => {
      const answer = await pickPerson(browser, await browser.follow(deep), PERSON_IDS.staff)
      t.equal(answer.status, 200)
      t.equal(answer.trail.at(-1), deep)
      t.ok(answer.trail.length <= 4, answer.trail.join(' '))
      const names = [...browser.cookies].flatMap(([host, jar]) => [...jar.keys()].map((cookie) => `${host} ${cookie}`))
        .filter((each) => each.includes('gatehouse'))
      const ours = ['login', 'rounds'].map((name) => `${AUTH} __Host-gatehouse_${name}`)
      t.strictSame(names.sort(), ['.gatehouse.test __Secure-gatehouse_session', ...ours])
      const { headers, url } = received.at(-1) ?? { headers: {} as IncomingHttpHeaders, url: '' }
      t.equal(url, '/deep/page?a=1&b=two%20words&c=x%2Fy')
      t.match(headers, { 'remote-user': 'sam.staff@contoso.example', 'x-forwarded-proto': 'https' })
      t.match(decodeJwt(String(headers['x-gatehouse-assertion'])), { aud: APP, iss: auth })
      t.notMatch(headers.cookie ?? '', /gatehouse/)
    })

    await t.test('HEAD, a POST with its body, forged headers and 30 KB of cookies', async (t) => {
      t.equal((await browser.ask(`${app}/x`, { method: 'HEAD' })).status, 200)
      t.match((await browser.ask(`${app}/form`, { method: 'POST', form: { a: 'b' } })).text, 'POST /form a=b')
      received.length = 0
      await browser.ask(`${app}/x`, {
        headers: {
          'remote-user': 'forged',
          'remote_groups': 'forged',
          'x-auth-request-superuser': 'forged',
          'x_gatehouse_assertion': 'forged',
          'x-forwarded-uri': '/forged',
          'x-original-url': 'https://forged/',
        },
      })
      t.notOk(received[0]?.raw.some((part) => part.includes('forged')))
      const other = Array.from({ length: 8 }, (_, index) => `big${index}=${'x'.repeat(3_700)}`).join('; ')
      t.equal(
        (await browser.ask(`${app}/x`, { headers: { cookie: `${browser.cookieHeader(app)}; ${other}` } })).status,
        200,
      )
      t.match(received.at(-1)?.headers.cookie ?? '', /big7=/)
      t.notMatch(received.at(-1)?.headers.cookie ?? '', /gatehouse/)
    })

    await t.test('curl gets 401, another host on this address nothing, and a sign-out ends the session', async (t) => {
      const answer = await browserOf(site).ask(`${app}/x`, { headers: { 'accept': '*/*', 'sec-fetch-mode': 'cors' } })
      t.equal(answer.status, 401)
      received.length = 0
      // each proxy says no in its own way
      await browser.ask(`https://other.gatehouse.test:${site.port}/x`).catch(() => undefined)
      t.equal(received.length, 0)
      const bye = await browser.follow(`${auth}/oauth2/sign_out?rd=${encodeURIComponent(`${app}/bye`)}`)
      t.equal(new URL(bye.trail.find((url) => url.includes('/bye')) ?? 'https://none/').host, new URL(app).host)
      t.notMatch(browser.cookieHeader(app), /gatehouse_session/)
    })
  })
}

t.test('a real browser behind nginx, refused', async (t) => {
  const chromium = await startChromium(t, ['--host-resolver-rules=MAP *.gatehouse.test 127.0.0.1'])
  const site = chromium && await startSite(t, startNginxTls)
  if (!chromium || !site) return
  site.gateway.reload({
    access: { rules: [{ hosts: [APP], paths: ['/admin/**'], allow: { groups: ['NetBox Admins'], staff: true } }] },
    server: { contact: 'it-help@example.com' },
  })
  const context = await chromium.newContext({ ignoreHTTPSErrors: true })
  const page = await context.newPage()
  await page.goto(`${site.app}/admin/users?x=1`)
  await page.click(`[data-person="${PERSON_IDS.guest}"]`)
  await page.waitForLoadState()
  t.equal(page.url(), `${site.app}/admin/users?x=1`)
  t.match(await page.locator('h1').innerText(), 'No access')
  t.equal(await page.locator('[data-field=allows]').innerText(), 'members of NetBox Admins, staff, superusers')
  t.equal(await page.locator('[data-field=rule]').innerText(), 'access.rules[0]')
  t.equal(
    await page.evaluate('getComputedStyle(document.querySelector("main")).maxWidth'),
    '544px',
    'with its stylesheet, from another host',
  )
  await screenshot(page, 'refused')
  await page.click('text=Use another account')
  await page.click(`[data-person="${PERSON_IDS.staff}"]`)
  await page.waitForLoadState()
  t.match(await page.locator('body').innerText(), 'GET /admin/users?x=1')
  await context.close()
})

async function startSite(t: Test, start: typeof startNginxTls): Promise<Site | undefined> {
  const [port = 0] = await freePorts(1)
  const [app, auth] = [`https://${APP}:${port}`, `https://${AUTH}:${port}`]
  const gateway = await startTestGateway(t, {
    app: { redirectUris: [`${auth}/oauth2/callback`, `${auth}/oauth2/sign_in`] },
    config: {
      server: { publicUrl: auth, redirectDomains: ['.gatehouse.test:*'] },
      session: { cookieDomain: 'gatehouse.test' },
    },
  })
  const { received, port: upstream } = await startUpstream(t)
  const home = folder(t, 'tls')
  const { caPem, cert, key: privateKey } = createServerIdentity([APP, AUTH, 'other.gatehouse.test'])
  const [certificate, key] = [join(home, 'cert.pem'), join(home, 'key.pem')]
  writeFileSync(certificate, cert)
  writeFileSync(key, privateKey, { mode: 0o600 })
  const listening = (gateway.gateway.app.server.address() as { port: number }).port
  const started = await start(t, { gateway: `127.0.0.1:${listening}`, upstream: `127.0.0.1:${upstream}` }, {
    certificate,
    key,
    appHost: APP,
    authHost: AUTH,
    port,
  })
  return started ? { gateway, app, auth, port, ca: caPem, received } : undefined
}

/** Every host of the domain is this machine; HTTP/2 where the other side has it. */
function browserOf({ ca, port }: Site) {
  const connect = buildConnector({ ca, allowH2: true })
  return createBrowser({
    dispatcher: new Agent({
      allowH2: true,
      connect: (options, done) =>
        connect(
          options.hostname.endsWith('.gatehouse.test')
            ? { ...options, hostname: '127.0.0.1', port: String(port), servername: options.hostname }
            : options,
          done,
        ),
    }),
  })
}
