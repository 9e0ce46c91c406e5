// Cookies that do not arrive, and cookies that arrive twice.
import type { FastifyReply, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { createCookieSigner } from '../../../src/http/cookie-signer.js'
import { cookiePolicy } from '../../../src/http/cookies.js'
import { createLoginLoopDetector } from '../../../src/http/browser/login-loop.js'
import { errorCode } from '../../helpers/assertions.js'
import { createBrowser, type Answer, type Browser } from '../../helpers/browser.js'
import { freePorts, SESSION_SECRET, startTestGateway, type TestGateway } from '../../helpers/gateway.js'

const retry = (answer: Answer): string =>
  (/class="button" href="([^"]+)"/.exec(answer.text)?.[1] ?? '').replaceAll('&#38;', '&')
const startOf = (gateway: TestGateway, rd: string): string =>
  `${gateway.url}/oauth2/start?${new URLSearchParams({ rd })}`

t.test('an application that never gets the cookie', async (t) => {
  const gateway = await startTestGateway(t, {
    config: { server: { redirectDomains: ['127.0.0.1:*', 'app.example.test'] } },
  })
  const rd = 'http://app.example.test/deep?x=1'
  /** One whole sign-in for this address; @returns where the callback leads, or the page in its place */
  const once = async (browser: Browser, address: string): Promise<Answer> => {
    let answer = await browser.ask(startOf(gateway, address))
    while (answer.location !== undefined && answer.location !== address) answer = await browser.ask(answer.location)
    return answer
  }
  /** Entra ID asks nothing more. */
  const known = async (): Promise<Browser> => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    browser.cookies.get('127.0.0.1')?.delete('gatehouse_rounds')
    return browser
  }

  // proves: adv-loop
  await t.test('the third sign-in is a page that names the cookie and the host, and a warning', async (t) => {
    const browser = await known()
    for (const round of [1, 2]) t.equal((await once(browser, rd)).location, rd, `sign-in ${round}`)
    const asked = gateway.entra.requests.length
    const answer = await once(browser, rd)
    t.strictSame({ status: answer.status, code: errorCode(answer) }, { status: 400, code: 'sign_in_loop' })
    for (const said of ['gatehouse_session', 'app.example.test', '127.0.0.1 only', 'session.cookieDomain']) {
      t.match(answer.text, said)
    }
    t.equal(gateway.entra.requests.length, asked, 'nobody else is asked')
    t.match(
      gateway.log.find((line) => line.code === 'sign_in_loop'),
      { level: 'warn', cookie: 'gatehouse_session', host: 'app.example.test', remedy: /cookieDomain/ },
    )
    t.equal(retry(answer), startOf(gateway, rd))
    t.equal((await once(browser, retry(answer).length > 0 ? rd : '')).location, rd, '"Try again" does try')
  })

  await t.test("a client that drops the session's cookie and follows redirects comes to the page", async (t) => {
    const browser = await known()
    let answer = await browser.ask(startOf(gateway, `${gateway.url}/oauth2/userinfo`))
    let redirects = 0
    while (answer.location !== undefined && redirects++ < 60) {
      browser.cookies.get('127.0.0.1')?.delete('gatehouse_session')
      answer = answer.location.endsWith('/userinfo')
        ? await browser.ask(startOf(gateway, answer.location))
        : await browser.ask(answer.location)
    }
    t.equal(errorCode(answer), 'sign_in_loop')
    t.ok(redirects < 10, `after ${redirects} redirects`)
  })

  // proves: adv-loop-tabs
  await t.test('tabs that were opened together do not count, however many they are', async (t) => {
    const browser = await known()
    const away = await Promise.all(Array.from({ length: 20 }, () => browser.ask(startOf(gateway, rd))))
    const back: string[] = []
    for (const answer of away) back.push((await browser.ask(answer.location ?? '')).location ?? '')
    for (const callback of back) t.equal((await browser.ask(callback)).location, rd)
    t.equal((await once(browser, rd)).location, rd, 'nor does the next one')
  })

  await t.test('other addresses, other accounts and a sign-out between do not count', async (t) => {
    const browser = await known()
    for (let each = 0; each < 4; each++) t.equal((await once(browser, `${rd}&n=${each}`)).location, `${rd}&n=${each}`)
    for (let each = 0; each < 4; each++) {
      t.equal(
        new URL((await browser.ask(`${startOf(gateway, rd)}&prompt=select_account`)).location ?? '').origin,
        gateway.entra.url,
      )
    }
    for (let each = 0; each < 3; each++) {
      t.equal((await once(browser, rd)).location, rd)
      await browser.ask(`${gateway.url}/oauth2/sign_out`)
    }
    for (let each = 0; each < 4; each++) {
      t.equal((await once(browser, `${gateway.url}/`)).status, 302, 'a page of ours that gets the cookie')
    }
  })

  // proves: adv-loop-forged
  await t.test('a forged cookie does not count either', async (t) => {
    const browser = await known()
    await once(browser, rd)
    const jar = browser.cookies.get('127.0.0.1')
    t.match(jar?.get('gatehouse_rounds'), /^rounds%3A%20/)
    jar?.set('gatehouse_rounds', (jar.get('gatehouse_rounds') ?? '').replace('%3A1%3A', '%3A2%3A'))
    t.equal((await once(browser, rd)).location, rd)
  })

  await t.test('the cookie stays small', async (t) => {
    const browser = await known()
    for (let each = 0; each < 30; each++) await once(browser, `${rd}&n=${each}${'x'.repeat(500)}`)
    t.ok((browser.cookies.get('127.0.0.1')?.get('gatehouse_rounds')?.length ?? 999) < 500)
  })
})

// proves: adv-loop-minute
t.test('sign-ins of more than a minute ago do not count', async (t) => {
  let now = 1_000_000
  const signer = createCookieSigner([SESSION_SECRET])
  const loginLoop = createLoginLoopDetector({
    cookies: cookiePolicy('http://127.0.0.1', undefined),
    signer,
    now: () => now,
  })
  let cookie = ''
  const request = () => ({ headers: { cookie } }) as FastifyRequest
  const reply = {
    setCookie: (name: string, value: string) => {
      cookie = `${name}=${encodeURIComponent(value)}`
    },
  } as unknown as FastifyReply
  loginLoop.recordCompleted('http://a.test/', loginLoop.nextRound('http://a.test/', request()), {
    request: request(),
    reply,
  })
  now += 59_000
  t.equal(loginLoop.nextRound('http://a.test/', request()).count, 2)
  loginLoop.recordCompleted('http://a.test/', loginLoop.nextRound('http://a.test/', request()), {
    request: request(),
    reply,
  })
  now += 1_000
  t.equal(loginLoop.nextRound('http://a.test/', request()).count, 1, 'from the first one on')
})

t.test('two session cookies', async (t) => {
  const [port = 0] = await freePorts(1)
  const config = {
    server: { publicUrl: `http://auth.apps.localhost:${port}`, port, redirectDomains: ['.apps.localhost:*'] },
    session: { cookieDomain: '.auth.apps.localhost' },
  }
  const gateway = await startTestGateway(t, { config })
  const two = { host: `auth.apps.localhost:${port}`, cookie: 'gatehouse_session=old.x; gatehouse_session=new.y' }
  const ask = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    createBrowser().ask(`http://127.0.0.1:${port}${path}`, { headers: { ...two, ...headers } })
  const cleared = (answer: Answer, name = 'gatehouse_session'): string[] =>
    answer.headers
      .getSetCookie()
      .filter((line) => line.startsWith(`${name}=;`) && line.includes('Max-Age=0'))
      .map((line) => `${/Domain=([^;]+)/.exec(line)?.[1] ?? 'host'} ${/Path=([^;]+)/.exec(line)?.[1]}`)
      .sort()

  const clearsEverywhere = async (t: Test, path: string): Promise<void> => {
    const answer = await ask(path)
    t.ok([302, 303].includes(answer.status) && answer.location?.startsWith(gateway.entra.url), 'it goes on')
    const paths = ['/', '/oauth2', '/oauth2/', path]
    const domains = ['host', 'auth.apps.localhost', 'apps.localhost']
    const places = domains.flatMap((domain) => paths.map((each) => `${domain} ${each}`)).sort()
    for (const name of ['gatehouse_session', 'gatehouse_identity']) {
      const everywhere = cleared(answer, name).filter((place) => !place.startsWith('.'))
      t.strictSame(everywhere, places)
    }
    const one = await ask(path, { cookie: 'gatehouse_session=new.y' })
    t.ok(cleared(one).length <= 1, 'with one cookie there is nothing to clear')
  }

  // proves: adv-doubled-start
  await t.test('a sign-in clears the name for the host and every domain above it, and goes on', async (t) => {
    await clearsEverywhere(t, '/oauth2/start')
  })

  // proves: adv-doubled-sign-out
  await t.test('a sign-out clears the name for the host and every domain above it, and goes on', async (t) => {
    await clearsEverywhere(t, '/oauth2/sign_out')
  })

  // proves: adv-doubled-page
  await t.test('questions and userinfo are 401, and the page names cookie and domains', async (t) => {
    for (const path of ['/oauth2/auth', '/oauth2/userinfo']) {
      t.equal(
        (await ask(path, { 'x-original-url': 'http://a.apps.localhost/', 'x-original-method': 'GET' })).status,
        401,
        path,
      )
    }
    const page = await ask('/oauth2/forward-auth', {
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'a.apps.localhost',
      'x-forwarded-uri': '/x',
      'x-forwarded-method': 'GET',
      'sec-fetch-mode': 'cors',
    })
    t.strictSame({ status: page.status, code: errorCode(page) }, { status: 401, code: 'session_cookie_doubled' })
    for (const said of ['gatehouse_session', 'auth.apps.localhost, apps.localhost', 'Sign in']) t.match(page.text, said)
  })
})

// proves: adv-max-age
t.test("the session's cookie says how long it lasts by the browser's clock too", async (t) => {
  const gateway = await startTestGateway(t, { config: { session: { absoluteTimeout: '2h', idleTimeout: '1h' } } })
  const lines: string[] = []
  const browser = createBrowser()
  let answer = await browser.ask(`${gateway.url}/oauth2/start`)
  const { signIn } = gateway
  await signIn(PERSON_IDS.staff, { browser })
  answer = await browser.ask(`${gateway.url}/oauth2/start`)
  while (answer.location !== undefined && lines.length === 0) {
    answer = await browser.ask(answer.location)
    lines.push(...answer.headers.getSetCookie().filter((line) => line.startsWith('gatehouse_session=')))
  }
  t.equal(lines.length, 1)
  t.match(lines[0], /; Max-Age=7200;.* Expires=/)
})
