// nginx as people have it who come from oauth2-proxy: the directives of its documented sample, on real nginx. Without
// access rules nothing has to change; with them the lines of docs/from-oauth2-proxy.md are added.
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser } from '../helpers/browser.js'
import { freePorts, pickPerson, startTestGateway } from '../helpers/gateway.js'
import { runNginx } from '../helpers/proxies.js'
import { startUpstream } from '../helpers/upstream.js'

/** The guide's own lines: for the question, for the http level and for the server. */
const GUIDE = readFileSync('docs/from-oauth2-proxy.md', 'utf8')
const [LINES = '', MAP = '', GUARD = ''] = [...GUIDE.matchAll(/^```nginx\n(.*?)^```/gms)].map(([, text = '']) => text)
const none = { lines: '', map: '', guard: '' }
const added = (port: number) => ({ lines: LINES.replace(' 443;', ` ${port};`), map: MAP, guard: GUARD })
const SIGN_INS = {
  'error_page to the sign-in page': { error: 'error_page 401 =403 /oauth2/sign_in;', location: '' },
  'a redirect to the sign-in page': {
    error: 'error_page 401 = @oauth2_signin;',
    location: 'location @oauth2_signin { return 302 /oauth2/sign_in?rd=$scheme://$http_host$request_uri; }',
  },
}

for (const [name, signIn] of Object.entries(SIGN_INS)) {
  for (const ruled of [false, true]) {
    t.test(`${name}, ${ruled ? "with rules and the guide's lines" : 'unchanged, without rules'}`, async (t) => {
      const site = await startSite(
        t,
        { ...signIn, more: ruled ? added : () => none },
        ruled ? { access: { rules: [{ hosts: ['127.0.0.1'], paths: ['/staff/**'], allow: { staff: true } }] } } : {},
      )
      if (!site) return
      const { app, received } = site
      const browser = createBrowser()
      const page = await browser.follow(`${app}/page?x=1`)
      const [, start = ''] = /href="([^"]*\/oauth2\/start[^"]*)"/.exec(page.text) ?? []
      t.equal(new URL(start).searchParams.get('rd'), `${app}/page?x=1`, 'the button leads back')
      const answer = await pickPerson(browser, await browser.follow(start), PERSON_IDS.guest)
      t.equal(answer.trail.at(-1), `${app}/page?x=1`)
      t.equal(answer.status, 200)
      t.match(received.at(-1)?.headers, { 'x-user': 'gus.guest@fabrikam.example' })
      t.equal((await browser.ask(`${app}/staff/x`)).status, ruled ? 403 : 200)
      t.equal((await browser.ask(`${app}/oauth2/userinfo`, { headers: { accept: 'application/json' } })).status, 200)
      await browser.follow(`${app}/oauth2/sign_out`)
      t.not((await browser.ask(`${app}/page`)).status, 200)
      if (ruled) t.equal(await wholeUrl(app), 421, 'another host in the request line')
    })
  }
}

t.test("with rules but without the guide's lines every request under a rule is refused and logged", async (t) => {
  const site = await startSite(t, { ...SIGN_INS['a redirect to the sign-in page'], more: () => none }, {
    access: { rules: [{ hosts: ['127.0.0.1'], paths: ['/open/**'], allow: 'anyone' }] },
  })
  if (!site) return
  const { browser } = await site.gateway.signIn(PERSON_IDS.superuser)
  t.not((await browser.ask(`${site.app}/open/x`)).status, 200)
  t.equal(site.received.length, 0)
  t.ok(
    site.gateway.log.some(({ code, remedy }) =>
      code === 'target_missing' && /X-Original-URL and X-Original-Method/.test(String(remedy))
    ),
  )
})

interface Nginx {
  readonly error: string
  readonly location: string
  readonly more: (port: number) => typeof none
}

/** Everything on one host, as the sample has it: server.publicUrl is the application's own. */
async function startSite(t: Test, { error, location, more }: Nginx, config: Record<string, unknown>) {
  const [port = 0] = await freePorts(1)
  const { lines, map, guard } = more(port)
  const app = `http://127.0.0.1:${port}`
  const gateway = await startTestGateway(t, {
    app: { redirectUris: [`${app}/oauth2/callback`, `${app}/oauth2/sign_in`] },
    config: { ...config, server: { publicUrl: app } },
  })
  const { received, port: upstream } = await startUpstream(t)
  const listening = (gateway.gateway.app.server.address() as { port: number }).port
  const running = await runNginx(
    t,
    `${map}
  server {
    listen 127.0.0.1:${port};
    ${guard}
    location /oauth2/ {
      proxy_pass http://127.0.0.1:${listening};
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Auth-Request-Redirect $request_uri;
    }
    location = /oauth2/auth {
      proxy_pass http://127.0.0.1:${listening};
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-Uri $request_uri;
      proxy_set_header Content-Length "";
      proxy_pass_request_body off;
      ${lines}
    }
    ${location}
    location / {
      auth_request /oauth2/auth;
      ${error}
      auth_request_set $user $upstream_http_x_auth_request_user;
      auth_request_set $email $upstream_http_x_auth_request_email;
      proxy_set_header X-User $user;
      proxy_set_header X-Email $email;
      auth_request_set $auth_cookie $upstream_http_set_cookie;
      add_header Set-Cookie $auth_cookie;
      proxy_pass http://127.0.0.1:${upstream};
    }
  }`,
    port,
  )
  return running && { app, gateway, received }
}

/** A request line that names the application, and a Host that names another one. */
function wholeUrl(app: string): Promise<number> {
  const { hostname, port, host } = new URL(app)
  return new Promise((resolve, reject) => {
    let text = ''
    const lines = [`GET http://${host}/page HTTP/1.1`, 'Host: status.example.com', 'Connection: close', '', '']
    const socket = connect(Number(port), hostname, () => {
      socket.write(lines.join('\r\n'))
    })
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    }).on('error', reject)
    socket.on('end', () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0)))
  })
}
