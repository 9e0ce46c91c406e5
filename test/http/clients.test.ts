// Which client is a browser that can be sent to sign in, which is a script or a frame, and what each of them is told.
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, NAVIGATION, type Answer, type Browser } from '../helpers/browser.js'
import { startTestGateway } from '../helpers/gateway.js'
import { forwardedHeaders } from '../helpers/targets.js'

const TARGET = forwardedHeaders('https://app.example.test/list?q=1')

t.test('answers to different clients', async (t) => {
  const gateway = await startTestGateway(t, {
    config: {
      server: { redirectDomains: ['.example.test', 'other.test:8443'] },
      access: { rules: [{ hosts: ['app.example.test'], paths: ['/staff'], allow: { staff: true } }] },
    },
  })
  const { browser: signedIn } = await gateway.signIn(PERSON_IDS.guest)
  const nobody = createBrowser()
  const ask = (headers: Record<string, string>, browser: Browser = nobody): Promise<Answer> =>
    gateway.ask('/oauth2/forward-auth', { browser, headers: { ...TARGET, ...headers } })
  const retry = (answer: Answer): string => (/class="button" href="([^"]+)"/.exec(answer.text)?.[1] ?? '')

  // proves: adv-webview
  await t.test('a WebView is a browser, whatever its application is called', async (t) => {
    for (const name of ['com.example.app', 'com.google.android.gm', '', 'XMLHttpRequest2']) {
      t.equal((await ask({ 'x-requested-with': name })).status, 302, name)
    }
    for (const name of ['XMLHttpRequest', 'xmlhttprequest']) {
      t.equal((await ask({ 'x-requested-with': name })).status, 401)
    }
  })

  // proves: adv-htmx
  await t.test('htmx gets HX-Refresh for an anonymous request', async (t) => {
    const plain = { 'accept': 'text/html', 'hx-request': 'true', 'sec-fetch-mode': '', 'sec-fetch-dest': '' }
    for (
      const headers of [plain, { ...plain, accept: '*/*' }, {
        ...plain,
        'sec-fetch-mode': 'cors',
        'sec-fetch-dest': 'empty',
      }]
    ) {
      const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''))
      const answer = await ask(sent)
      t.strictSame(
        { status: answer.status, 'hx-refresh': answer.headers.get('hx-refresh'), location: answer.location },
        { status: 401, 'hx-refresh': 'true', location: undefined },
      )
    }
    t.equal((await ask({ accept: '*/*' })).headers.get('hx-refresh'), null, 'others are not')
  })

  await t.test('htmx gets no HX-Refresh for a forbidden part of a page', async (t) => {
    const answer = await ask({ 'hx-request': 'true', 'x-forwarded-uri': '/staff', 'accept': '*/*' }, signedIn)
    t.strictSame(
      { status: answer.status, 'hx-refresh': answer.headers.get('hx-refresh') },
      { status: 403, 'hx-refresh': null },
    )
  })

  // proves: adv-turbo
  await t.test('Turbo is a script', async (t) => {
    for (const headers of [{ 'turbo-frame': 'list' }, { 'x-turbo-request-id': 'x' }]) {
      t.equal((await ask(headers as Record<string, string>)).status, 401)
    }
  })

  // proves: adv-framed
  await t.test('in a frame it is a page that applications may frame, and whose link leads out of it', async (t) => {
    for (const destination of ['iframe', 'frame']) {
      const answer = await ask({ 'sec-fetch-dest': destination })
      t.equal(answer.status, 401)
      const ancestors = /frame-ancestors ([^;]+)/.exec(answer.headers.get('content-security-policy') ?? '')?.[1]
      t.equal(ancestors, `'self' ${gateway.url} http://*.example.test http://other.test:8443`)
      const back = encodeURIComponent('https://app.example.test/list?q=1')
      t.equal(retry(answer), `${gateway.url}/oauth2/start?rd=${back}`)
      t.match(answer.text, /class="button" href="[^"]+" target="_top">Sign in</)
    }
    const refused = await ask({ 'sec-fetch-dest': 'iframe', 'x-forwarded-uri': '/staff' }, signedIn)
    t.equal(refused.status, 403)
    t.match(refused.text, / target="_top">Use another account</)
  })

  // proves: adv-framed-others
  await t.test('no other page may be framed', async (t) => {
    const answers = [
      await ask({ ...NAVIGATION, 'x-forwarded-uri': '/staff' }, signedIn),
      await ask({ 'sec-fetch-dest': 'embed', 'sec-fetch-mode': 'no-cors' }),
    ]
    for (const path of ['/', '/oauth2/sign_in', '/oauth2/sign_out', '/oauth2/callback', '/nothing']) {
      answers.push(await gateway.ask(path, { browser: signedIn, headers: { 'sec-fetch-dest': 'iframe' } }))
    }
    for (const { headers, url } of answers) {
      t.match(headers.get('content-security-policy'), "frame-ancestors 'none'", url)
    }
  })
})
