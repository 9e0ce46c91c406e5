// Real nginx with auth_request and real Caddy with forward_auth, on the very files that are shipped: nobody passes
// without signing in, identity headers arrive, forged ones do not, and our cookies stay with us.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, type Browser } from '../helpers/browser.js'
import { freePorts, pickPerson, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { stopPostgres } from '../helpers/postgres.js'
import { program, run } from '../helpers/programs.js'

t.teardown(stopPostgres)

interface Site {
  readonly app: string
  readonly gateway: TestGateway
  /** What the application behind the proxy last received. */
  readonly received: { headers: IncomingHttpHeaders, raw: string[], url: string, method: string }[]
}

const PROXIES = [
  { name: 'nginx auth_request', start: startNginx },
  { name: 'Caddy forward_auth', start: startCaddy },
]

for (const { name, start } of PROXIES) {
  t.test(name, async (t) => {
    const site = await startSite(t, start)
    if (!site) return
    const { app, gateway, received } = site

    await t.test('a program that is not signed in gets 401, a page load is sent to sign in', async (t) => {
      const browser = createBrowser()
      t.equal((await browser.ask(`${app}/deep`, { headers: { accept: 'application/json' } })).status, 401)
      t.equal((await browser.ask(`${app}/deep`, { headers: { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' } })).status, 401)
      const sent = await browser.ask(`${app}/deep`)
      t.equal(sent.status, 302)
      t.ok(sent.location?.startsWith(`${gateway.url}/oauth2/start?rd=`), 'to publicUrl, absolutely')
      t.equal(received.length, 0, 'nothing reached the application')
    })

    const browser = createBrowser()
    await t.test('after signing in the page that was asked for opens, query and all, with identity headers', async (t) => {
      const deep = `${app}/deep/page?a=1&b=two%20words&c=x%2Fy,z`
      const answer = await pickPerson(browser, await browser.follow(deep), PERSON_IDS.superuser)
      t.equal(answer.status, 200)
      if (answer.status !== 200) t.comment(answer.text, gateway.rawLog.filter((line) => !line.includes('"trace"')).slice(-5).join(''))
      t.equal(answer.trail.at(-1), deep)
      const { headers, url } = received.at(-1) ?? { headers: {}, url: '' }
      t.equal(url, '/deep/page?a=1&b=two%20words&c=x%2Fy,z')
      t.match(headers, { 'remote-user': 'sue.super@contoso.example', 'x-auth-request-groups': 'NetBox Superusers', 'x-auth-request-superuser': 'true', 'x-auth-request-staff': 'true' })
    })

    await t.test('a forged identity header never arrives, in whatever spelling, signed in or as somebody without groups', async (t) => {
      const nobody = (await gateway.signIn(PERSON_IDS.nobody)).browser
      for (const [who, groups] of [[browser, 'NetBox Superusers'], [nobody, '']] as const) {
        received.length = 0
        await who.ask(`${app}/forged`, { headers: FORGED })
        t.equal(received.length, 1)
        const { headers, raw } = received[0] ?? { headers: {} as IncomingHttpHeaders, raw: [] }
        t.notOk(raw.some((part) => part.includes('forged')), `no forged value among ${raw.filter((part) => part.includes('forged')).join()}`)
        t.equal(headers['x-auth-request-groups'] ?? '', groups)
        t.equal(headers['remote-groups'] ?? '', groups)
      }
    })

    await t.test('our cookies do not reach the application, others do', async (t) => {
      received.length = 0
      const ours = browser.cookieHeader(app)
      t.match(ours, /gatehouse_session=/)
      await fetchWithCookie(app, browser, `theme=dark; ${ours}; gatehouse_login=x; lang=en`)
      const names = (received[0]?.headers.cookie ?? '').split(';').map((pair) => pair.trim().split('=')[0]).filter((name) => name !== '')
      t.same(names, ['theme', 'simulated_entra_session', 'lang'])
      t.notMatch(received[0]?.headers.cookie, /gatehouse/)
      await fetchWithCookie(app, browser, ours)
      t.notMatch(received[1]?.headers.cookie ?? '', /gatehouse/)
    })

    await t.test('a POST keeps its body, HEAD and odd methods pass, and the auth endpoints are closed from outside', async (t) => {
      received.length = 0
      const posted = await browser.ask(`${app}/form`, { method: 'POST', form: { a: 'b' } })
      t.equal(posted.text, 'POST /form a=b')
      t.equal((await browser.ask(`${app}/head`, { method: 'HEAD' })).status, 200)
      t.equal((await browser.ask(`${app}/thing`, { method: 'DELETE' })).status, 200)
      t.same(received.map((each) => each.method), ['POST', 'HEAD', 'DELETE'])
      for (const path of ['/oauth2/auth', '/oauth2/forward-auth']) t.equal((await browser.ask(`${gateway.url}${path}`)).status, 404)
    })

    await t.test('30 KB of the application\'s own cookies are no obstacle', async (t) => {
      const other = Array.from({ length: 8 }, (_, index) => `big${index}=${'x'.repeat(3_700)}`).join('; ')
      t.equal((await fetchWithCookie(app, browser, `${browser.cookieHeader(app)}; ${other}`)).status, 200)
    })

    await t.test('signed out is signed out: the old cookie opens nothing', async (t) => {
      const old = browser.cookieHeader(app)
      const answer = await browser.follow(`${gateway.url}/oauth2/sign_out?rd=${encodeURIComponent(`${app}/bye`)}`)
      t.notOk(browser.cookieHeader(app).includes('gatehouse_session='), answer.trail.join(' '))
      t.equal((await fetchWithCookie(app, createBrowser(), old, { accept: 'application/json' })).status, 401)
    })
  })
}

const FORGED = {
  'X-Auth-Request-User': 'forged', 'X-Auth-Request-Email': 'forged', 'X-Auth-Request-Groups': 'forged', 'X-Auth-Request-Superuser': 'forged',
  'X-Auth-Request-Preferred-Username': 'forged', 'X-Auth-Request-Staff': 'forged', 'X-Auth-Request-Redirect': 'forged',
  'X_Auth_Request_User': 'forged', 'x_auth_request_groups': 'forged', 'X-AUTH_REQUEST-USER': 'forged',
  'Remote-User': 'forged', 'REMOTE-GROUPS': 'forged', 'Remote_User': 'forged', 'remote_groups': 'forged', 'Remote-Name': 'forged', 'Remote-Email': 'forged',
  'X-Gatehouse-Assertion': 'forged', 'X_Gatehouse_Assertion': 'forged', 'X-Original-URL': 'forged', 'X-Forwarded-User': 'harmless',
}

async function fetchWithCookie(app: string, browser: Browser, cookie: string, headers: Record<string, string> = {}) {
  return await browser.ask(`${app}/cookies`, { headers: { ...headers, cookie } })
}

async function startSite(t: Test, startProxy: typeof startNginx): Promise<Site | undefined> {
  const received: Site['received'] = []
  const upstream = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
    received.push({ headers: request.headers, raw: request.rawHeaders, url: request.url ?? '', method: request.method ?? '' })
    let body = ''
    request.on('data', (chunk: Buffer) => { body += chunk.toString() }).on('end', () => response.end(request.method === 'HEAD' ? undefined : `${request.method} ${request.url} ${body}`))
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { upstream.close(); upstream.closeAllConnections() })
  const [appPort = 0, authPort = 0] = await freePorts(2)
  const publicUrl = `http://127.0.0.1:${authPort}`
  const gateway = await startTestGateway(t, { demoFile: { publicUrl } }) // the very file that the demo's compose file mounts
  const listening = (gateway.gateway.app.server.address() as { port: number }).port
  const started = await startProxy(t, { appPort, authPort, gateway: listening, upstream: (upstream.address() as { port: number }).port })
  return started ? { app: `http://127.0.0.1:${appPort}`, gateway, received } : undefined
}

interface Ports { readonly appPort: number, readonly authPort: number, readonly gateway: number, readonly upstream: number }

async function startNginx(t: Test, { appPort, authPort, gateway, upstream }: Ports): Promise<boolean> {
  const nginx = program(t, 'nginx')
  if (nginx === undefined) return false
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-nginx-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  const values: Record<string, string> = { DEMO_APP_LISTEN: `127.0.0.1:${appPort}`, DEMO_AUTH_LISTEN: `127.0.0.1:${authPort}`, DEMO_GATEWAY_UPSTREAM: `127.0.0.1:${gateway}`, DEMO_APP_UPSTREAM: `127.0.0.1:${upstream}` }
  const shipped = readFileSync('config/demo/nginx.conf.template', 'utf8').replace(/\$\{(DEMO_\w+)\}/g, (whole, name: string) => values[name] ?? whole)
  writeFileSync(join(home, 'site.conf'), shipped)
  writeFileSync(join(home, 'nginx.conf'), `daemon off; worker_processes 1; pid ${home}/nginx.pid; error_log stderr warn;
events {} http { access_log off; client_body_temp_path ${home}/a; proxy_temp_path ${home}/b; fastcgi_temp_path ${home}/c; uwsgi_temp_path ${home}/d; scgi_temp_path ${home}/e; include ${home}/site.conf; }`)
  await run(t, nginx, ['-p', home, '-c', join(home, 'nginx.conf'), '-e', 'stderr'], { port: appPort })
  return true
}

async function startCaddy(t: Test, { appPort, authPort, gateway, upstream }: Ports): Promise<boolean> {
  const caddy = program(t, 'caddy')
  if (caddy === undefined) return false
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-caddy-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  await run(t, caddy, ['run', '--config', 'config/proxies/Caddyfile', '--adapter', 'caddyfile'], {
    port: appPort,
    env: { HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home, GATEHOUSE_APP_SITE: `http://127.0.0.1:${appPort}`, GATEHOUSE_AUTH_SITE: `http://127.0.0.1:${authPort}`, GATEHOUSE_UPSTREAM: `127.0.0.1:${gateway}`, GATEHOUSE_APP_UPSTREAM: `127.0.0.1:${upstream}`, GATEHOUSE_AUTO_HTTPS: 'off' },
  })
  return true
}
