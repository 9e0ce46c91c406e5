// What gateways of this kind were broken by, tried on this one over real HTTP. docs/advisories.md names the advisories
// and the guard without which each of these tests fails (test/advisories.test.ts holds the two together).
import { readFileSync } from 'node:fs'
import { connect as openSocket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, formOf, type Browser } from '../helpers/browser.js'
import { pickPerson, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { connect } from '../helpers/sql.js'
import { databaseFaultProxy } from '../helpers/tcp-fault-proxy.js'

const HOST = 'app.test'
const RULES = [
  { hosts: [HOST, '*.app.test', 'xn--bcher-kva.test'], paths: ['/open/**', '/ping'], allow: 'anyone' },
  { hosts: [HOST], networks: ['10.0.0.0/8'], paths: ['/api/**'], allow: 'anyone' },
  { hosts: [HOST], methods: ['GET', 'HEAD'], paths: ['/read/**'], allow: 'anyone' },
  { hosts: [HOST], methods: ['POST'], paths: ['/read/**'], allow: { staff: true } },
  { hosts: [HOST], paths: ['/admin', '/admin/**'], allow: { groups: ['NetBox Admins'] } },
]
const CONFIG = { access: { rules: RULES }, server: { redirectDomains: ['.example.test', '127.0.0.1:*'] } }
const JSON_ONLY = { accept: 'application/json' }

const forwarded = (path: string, more: Record<string, string> = {}) => ({
  ...JSON_ONLY,
  'x-forwarded-proto': 'https',
  'x-forwarded-host': HOST,
  'x-forwarded-uri': path,
  'x-forwarded-method': 'GET',
  ...more,
})
const ask = async (gateway: TestGateway, headers: Record<string, string>, browser?: Browser) =>
  (await gateway.ask('/oauth2/forward-auth', { headers, ...(browser ? { browser } : {}) })).status

/** A request with headers exactly as written; the status alone. */
function raw(gateway: TestGateway, path: string, lines: readonly string[]): Promise<number> {
  const port = Number(new URL(gateway.url).port)
  return new Promise((resolve, reject) => {
    const socket = openSocket(
      port,
      '127.0.0.1',
      () =>
        socket.write(
          `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n${lines.join('\r\n')}\r\n\r\n`,
          'latin1',
        ),
    )
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
    }).on('end', () => resolve(Number(text.slice(9, 12)))).on('error', reject)
  })
}

t.test('header smuggling', async (t) => {
  const gateway = await startTestGateway(t, { config: CONFIG })

  // proves: adv-trusted-peers
  await t.test('an open path in the forwarding headers of an untrusted peer does not grant access', async (t) => {
    t.equal(await ask(gateway, forwarded('/open/x')), 200, "the proxy's word counts")
    const untrusted = await gateway.restart({ server: { trustedProxies: ['192.0.2.0/24'] } })
    t.equal(await ask(untrusted, forwarded('/open/x')), 401)
    t.equal(
      (await untrusted.ask('/oauth2/auth', {
        headers: { ...JSON_ONLY, 'x-original-url': `https://${HOST}/open/x`, 'x-original-method': 'GET' },
      })).status,
      401,
    )
    t.equal(
      (await untrusted.ask('/oauth2/ext-authz/open/x', {
        headers: { ...JSON_ONLY, 'host': HOST, 'x-forwarded-proto': 'https' },
      })).status,
      401,
    )
    await untrusted.close()
  })

  // proves: adv-doubled-headers
  await t.test('doubled and joined forwarding headers are refused', async (t) => {
    const again = await gateway.restart()
    const lines = Object.entries(forwarded('/open/x')).map(([name, value]) => `${name}: ${value}`)
    t.equal(await raw(again, '/oauth2/forward-auth', lines), 200)
    for (const [name, value] of Object.entries(forwarded('/open/x')).slice(1)) {
      for (const second of [value, '/admin']) {
        t.equal(
          await raw(again, '/oauth2/forward-auth', [...lines, `${name.toUpperCase()}: ${second}`]),
          400,
          `${name} twice`,
        )
      }
    }
    for (const host of [`${HOST}, evil.test`, `${HOST},${HOST}`]) {
      t.equal(await ask(again, forwarded('/open/x', { 'x-forwarded-host': host })), 400, host)
    }
    await again.close()
  })

  // proves: adv-one-family
  await t.test('each endpoint is deaf to the other family, and to names with underscores', async (t) => {
    const again = await gateway.restart()
    t.equal(
      await ask(again, { ...JSON_ONLY, 'x-original-url': `https://${HOST}/open/x`, 'x-original-method': 'GET' }),
      401,
      'X-Original-* on the endpoint of Traefik',
    )
    t.equal(
      (await again.ask('/oauth2/auth', { headers: forwarded('/open/x') })).status,
      401,
      'X-Forwarded-* on the endpoint of nginx',
    )
    t.equal(
      (await again.ask('/oauth2/auth', {
        headers: { ...forwarded('/open/x'), 'x-original-url': `https://${HOST}/admin`, 'x-original-method': 'GET' },
      })).status,
      401,
    )
    t.equal(
      await raw(
        again,
        '/oauth2/forward-auth',
        Object.entries(forwarded('/open/x')).map(([name, value]) => `${name.replaceAll('-', '_')}: ${value}`),
      ),
      401,
    )
    for (const header of ['x-forwarded-prefix', 'x-original-uri', 'x-rewrite-url', 'forwarded']) {
      t.equal(await ask(again, forwarded('/admin', { [header]: '/open/x' })), 401, header)
    }
    await again.close()
  })

  // proves: adv-parts-missing
  await t.test('a header that a hop took away is missed, not guessed', async (t) => {
    const again = await gateway.restart()
    for (const name of ['x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-uri']) {
      const { [name]: _, ...rest } = forwarded('/open/x') as Record<string, string>
      t.equal(await ask(again, rest), 400, name)
    }
    t.equal(await ask(again, { ...JSON_ONLY, 'x-forwarded-method': 'GET' }), 401)
    t.equal(await ask(again, forwarded('/open/x', { 'x-forwarded-proto': 'javascript' })), 400)
    await again.close()
  })

  // proves: adv-email-verified-header, adv-blank-headers
  await t.test('every 200 has every identity header, blank for anonymous requests', async (t) => {
    for (const access of ['denied', 'all']) { // answered by the fast path, and by the route
      const again = await gateway.restart({
        log: { access },
        headers: { extra: [{ name: 'X-My-Groups', value: 'groups' }, { name: 'X-My-Staff', value: 'staff' }] },
      })
      const open = await again.ask('/oauth2/forward-auth', { headers: forwarded('/open/x') })
      t.equal(open.status, 200)
      for (
        const name of [
          'x-auth-request-user',
          'x-auth-request-email',
          'x-auth-request-preferred-username',
          'x-auth-request-groups',
          'remote-user',
          'remote-email',
          'remote-name',
          'remote-groups',
          'x-gatehouse-assertion',
          'x-my-groups',
        ]
      ) t.equal(open.headers.get(name), '', name)
      const flags = ['x-auth-request-staff', 'x-auth-request-superuser', 'x-auth-request-email-verified', 'x-my-staff']
      for (const name of flags) t.equal(open.headers.get(name), 'false', name)
      await again.close()
    }
  })
})

t.test("a header of one's own in latin1 arrives as one byte a character", async (t) => {
  const extra = ['percent', 'latin1'].map((encoding) => ({ name: `X-${encoding}`, value: 'groups', encoding }))
  const groupMapping = [{ entraGroup: GROUP_IDS.readOnly, groups: ['Büro'] }]
  const gateway = await startTestGateway(t, { config: { groupMapping, headers: { extra } }, groups: ['Büro'] })
  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  for (const time of ['made', 'from memory']) {
    const { headers } = await gateway.ask('/oauth2/forward-auth', { browser, headers: forwarded('/') })
    t.strictSame(
      { 'x-percent': headers.get('x-percent'), 'x-latin1': headers.get('x-latin1') },
      { 'x-percent': 'B%C3%BCro', 'x-latin1': 'Büro' },
      time,
    )
  }
})

t.test('path and host confusion', async (t) => {
  const gateway = await startTestGateway(t, { config: CONFIG })
  const { browser } = await gateway.signIn(PERSON_IDS.staff)

  // proves: adv-path-alone, adv-fragment
  await t.test('rules see the path, never the query, the fragment or the User-Agent', async (t) => {
    for (
      const uri of [
        '/admin?/open/x',
        '/admin?x=/../open/x',
        '/admin?%2f..%2fopen%2fx',
        '/admin/?redirect=/open/',
        '/admin%3f/../open/x',
        '/admin%23/../open/x',
      ]
    ) t.equal(await ask(gateway, forwarded(uri), browser), 403, uri)
    for (const uri of ['/open/x#/admin', '/admin#/open/x', '/open/%zz', '/open/%00', '/open/x y', '/open/\u0001']) {
      t.equal(
        await raw(
          gateway,
          '/oauth2/forward-auth',
          Object.entries(forwarded(uri)).map(([name, value]) => `${name}: ${value}`),
        ),
        400,
        JSON.stringify(uri),
      )
    }
    for (const agent of ['kube-probe/1.29', 'GoogleHC/1.0', 'ELB-HealthChecker/2.0']) {
      t.equal(await ask(gateway, forwarded('/admin', { 'user-agent': agent })), 401, agent)
    }
  })

  // proves: adv-readings, adv-overlong
  await t.test('no spelling of a protected path is open', async (t) => {
    for (
      const uri of [
        '/open/../admin',
        '/open/%2e%2e/admin',
        '/open/..%2fadmin',
        '/open/..%5cadmin',
        '/open/..\\admin',
        '/open/..;/admin',
        '/open//../../admin',
        '/open/%252e%252e/admin',
        '/%61dmin',
        '//admin',
        '/open/%c0%ae%c0%ae/admin',
        '/admin;/open/x',
        '/ping/../admin',
        '/ping;/../admin',
      ]
    ) {
      t.equal(await ask(gateway, forwarded(uri)), 401, uri)
      t.equal(await ask(gateway, forwarded(uri), browser), 403, uri)
    }
    t.equal(await ask(gateway, forwarded('/open/a%2Fb')), 200, 'what every reading leaves open is open')
  })

  // proves: adv-one-spelling
  await t.test('our own addresses have one spelling: a proxy that closes them need know no other', async (t) => {
    for (
      const path of [
        '/oauth2/%61uth',
        '/oauth2/auth%2f',
        '/%6fauth2/auth',
        '/oauth2/forward%2dauth',
        '/oauth2/ext%2dauthz/x',
        '/oauth2/%75serinfo',
        '/OAUTH2/auth',
        '/oauth2//auth',
        '/oauth2/./auth',
        '/oauth2/auth/',
        '/oauth2/auth;x',
      ]
    ) {
      t.equal(
        await raw(gateway, path, [
          `Cookie: ${browser.cookieHeader(gateway.url)}`,
          'X-Original-URL: https://app.test/open/x',
          'X-Original-Method: GET',
        ]),
        404,
        path,
      )
    }
    t.equal(
      (await gateway.ask(`/oauth2/start?rd=${encodeURIComponent(`${gateway.url}/x%20y`)}`)).status,
      302,
      'a query may have them',
    )
  })

  // proves: adv-front-page
  await t.test("a proxy's request at the front page is answered as forward-auth, whatever its query is", async (t) => {
    for (const url of ['/', '/?', '/?&', '/?x=1', '/?x=%2f', '/#', '/?#']) {
      t.equal(
        await raw(gateway, url, [
          `Cookie: ${browser.cookieHeader(gateway.url)}`,
          ...Object.entries(forwarded('/admin')).map(([name, value]) => `${name}: ${value}`),
        ]),
        403,
        url,
      )
    }
  })

  // proves: adv-host-case, adv-host-once
  await t.test('one host is one host in every spelling, and no other', async (t) => {
    for (
      const host of [
        'APP.TEST',
        'app.test.',
        'app.test:443',
        'App.Test.:443',
        'x.app.test',
        'xn--bcher-kva.test',
        'XN--BCHER-KVA.test',
      ]
    ) t.equal(await ask(gateway, forwarded('/open/x', { 'x-forwarded-host': host })), 200, host)
    for (const host of ['evilapp.test', 'app.test.evil.test', 'app.testevil']) {
      t.equal(await ask(gateway, forwarded('/open/x', { 'x-forwarded-host': host })), 401, host)
    }
    for (
      const host of [
        'user@app.test',
        'app.test/x',
        'app.test#',
        '%61pp.test',
        'app.test:0x1bb',
        'app..test',
        'b\u00fccher.test',
        'evil.test\\.app.test',
      ]
    ) {
      t.equal(
        await raw(
          gateway,
          '/oauth2/forward-auth',
          Object.entries(forwarded('/open/x', { 'x-forwarded-host': host })).map(([name, value]) =>
            `${name}: ${value}`
          ),
        ),
        400,
        host,
      )
    }
    for (const host of ['APP.TEST', 'app.test.', 'app.test:443']) {
      t.equal(
        await ask(gateway, forwarded('/admin', { 'x-forwarded-host': host }), browser),
        403,
        `${host}: and its rules hold`,
      )
    }
  })
})

t.test('skipped authentication', async (t) => {
  const gateway = await startTestGateway(t, { config: CONFIG })
  const { browser } = await gateway.signIn(PERSON_IDS.guest)

  // proves: adv-unknown-method
  await t.test('what is open to one method is open to that one; an unknown method is none', async (t) => {
    const by = (method: string, more = {}) => forwarded('/read/x', { 'x-forwarded-method': method, ...more })
    t.equal(await ask(gateway, by('GET')), 200)
    t.equal(await ask(gateway, by('POST'), browser), 403)
    for (const method of ['OPTIONS', 'PUT', 'DELETE']) t.equal(await ask(gateway, by(method)), 401, method)
    for (const method of ['FOO', 'GETS', 'HEADER']) t.equal(await ask(gateway, by(method), browser), 403, method)
    t.equal(
      await ask(
        gateway,
        by('POST', { 'x-http-method-override': 'GET', 'x-http-method': 'GET', 'x-method-override': 'GET' }),
        browser,
      ),
      403,
      "an override is the application's business",
    )
  })

  // proves: adv-method-missing
  await t.test('a method that the proxy does not send matches no rule with methods', async (t) => {
    const { 'x-forwarded-method': _, ...unsaid } = forwarded('/read/x') as Record<string, string>
    t.equal(await ask(gateway, unsaid), 401)
    t.equal(await ask(gateway, unsaid, browser), 403)
    t.equal(
      (await gateway.ask('/oauth2/auth', { browser, headers: { 'x-original-url': `https://${HOST}/read/x` } })).status,
      403,
    )
    t.ok(gateway.log.some(({ msg }) => /sends no method/.test(String(msg))))
  })

  // proves: adv-forwarded-for
  await t.test("the client's address is the right-most one that no trusted proxy has", async (t) => {
    const from = (addresses: string) => forwarded('/api/x', { 'x-forwarded-for': addresses })
    t.equal(await ask(gateway, from('10.1.2.3')), 200)
    t.equal(await ask(gateway, from('203.0.113.5, 10.1.2.3')), 200)
    for (
      const spoofed of [
        '10.1.2.3, 203.0.113.5',
        '10.1.2.3,203.0.113.5',
        '127.0.0.1, 10.1.2.3, 203.0.113.5, 127.0.0.1',
        '203.0.113.5',
        'unknown',
        '10.1.2.3:x',
        '',
        '10.1.2.3, unknown',
        '10.1.2.3, 203.0.113.5:80',
      ]
    ) t.equal(await ask(gateway, from(spoofed)), 401, spoofed)
    for (const header of ['x-real-ip', 'x-client-ip', 'true-client-ip', 'cf-connecting-ip', 'forwarded']) {
      t.equal(
        await ask(gateway, { ...from('203.0.113.5'), [header]: header === 'forwarded' ? 'for=10.1.2.3' : '10.1.2.3' }),
        401,
        header,
      )
    }
  })
})

t.test('open redirects', async (t) => {
  const gateway = await startTestGateway(t, {
    config: { server: { redirectDomains: ['.example.test'] }, session: { identityCookie: false } },
  })
  const shapes = readFileSync('test/fixtures/open-redirects.txt', 'utf8').split('\n').filter((line) => line !== '')
  const allowed = (url: string): boolean => {
    const { origin, hostname, port, protocol } = new URL(url)
    return origin === gateway.url || origin === gateway.entra.url ||
      (hostname.endsWith('.example.test') && port === '' && /^https?:$/.test(protocol))
  }

  // proves: adv-allowed-origins
  await t.test('no form of rd redirects off-site: at sign-in, sign-out, refresh or from a page', async (t) => {
    let followed = 0
    for (const rd of shapes) {
      for (const path of ['/oauth2/start', '/oauth2/sign_out', '/oauth2/sign_in']) {
        const answer = await gateway.ask(`${path}?rd=${encodeURIComponent(rd)}`, { browser: createBrowser() })
        const [, link] = /href="([^"]*\/oauth2\/start\?rd=[^"]*)"/.exec(answer.text) ?? []
        const targets = [
          answer.location,
          link === undefined ? undefined : new URL(link).searchParams.get('rd') ?? undefined,
        ].filter((each) => each !== undefined)
        for (const target of targets) if (!allowed(target)) t.fail(`${path} ${rd}: ${target}`)
        followed += targets.length
      }
    }
    t.ok(followed > 0)
    t.comment(`${followed} of ${3 * shapes.length} lead somewhere, all of them to us or to .example.test`)
  })

  // proves: adv-suffix
  await t.test('.example.test is about hosts below it, and about nothing that looks like them', async (t) => {
    for (
      const rd of [
        'http://evilexample.test/',
        'http://example.test.evil.net/',
        'http://example.test@evil.net/',
        'http://a.example.test@evil.net/',
        '//evil.net',
        '/\\evil.net',
        '/\t/evil.net',
        '/%2f%2fevil.net',
        'http:evil.net',
        'http://evil.net#.example.test',
        'http://evil.net?.example.test',
        'http://evil.net\\.example.test',
        'http://a.example.test:81/',
        'http://a.example.test./../',
      ]
    ) {
      const status =
        (await gateway.ask(`/oauth2/start?rd=${encodeURIComponent(rd)}`, { browser: createBrowser() })).status
      if (rd === 'http://a.example.test./../') t.equal(status, 302, rd)
      else t.equal(status, 400, rd)
    }
    t.equal(
      (await gateway.ask(`/oauth2/start?rd=${encodeURIComponent('http://a.example.test/x')}`, {
        browser: createBrowser(),
      })).status,
      302,
    )
  })

  // proves: adv-any-rd
  await t.test('whatever rd is, the browser ends on an allowed origin', async () => {
    const piece = fc.constantFrom(
      'http:',
      'https:',
      '//',
      '/',
      '\\',
      '@',
      ':',
      '.',
      'a.example.test',
      'example.test',
      'evil.net',
      '127.0.0.1',
      '%2f',
      '%5c',
      '%09',
      '\t',
      '#',
      '?',
      'javascript:',
      ';',
      '\u3002',
      ':443',
      '\u0000',
    )
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.array(piece, { maxLength: 7 }).map((parts) => parts.join('')), fc.webUrl()),
        async (rd) => {
          const answer = await createBrowser().ask(`${gateway.url}/oauth2/sign_in?rd=${encodeURIComponent(rd)}`)
          if (answer.status === 400) {
            return true
          }
          const [, link = ''] = /href="([^"]*\/oauth2\/start\?rd=[^"]*)"/.exec(answer.text) ?? []
          return answer.status === 200 && allowed(new URL(link.replaceAll('&#38;', '&')).searchParams.get('rd') ?? 'x')
        },
      ),
      { numRuns: 500 },
    )
  })

  // proves: adv-callback-address
  await t.test('where Entra ID sends people back to comes from the configuration, never from Host', async (t) => {
    const answer = await gateway.ask('/oauth2/start', {
      browser: createBrowser(),
      headers: { 'x-forwarded-host': 'app.example.test', 'x-forwarded-proto': 'https' },
    })
    t.ok(answer.location?.startsWith(`${gateway.url}/oauth2/start?`), 'first to publicUrl')
    const away = await gateway.ask('/oauth2/start', { browser: createBrowser() })
    t.equal(new URL(away.location ?? '').searchParams.get('redirect_uri'), `${gateway.url}/oauth2/callback`)
    t.equal(
      new URL(
        (await gateway.ask('/oauth2/forward-auth', {
          browser: createBrowser(),
          headers: {
            'host': 'evil.test',
            'x-forwarded-proto': 'https',
            'x-forwarded-host': HOST,
            'x-forwarded-uri': '/',
          },
        })).location ?? '',
      ).origin,
      gateway.url,
    )
  })
})

t.test('sessions', async (t) => {
  const gateway = await startTestGateway(t, { config: CONFIG })
  const query = await connect(t, gateway.databaseUrl)

  // proves: adv-cookie-signed
  await t.test('no cookie that we did not make is a session, and none breaks anything', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    const value = browser.cookies.get('127.0.0.1')?.get('gatehouse_session') ?? ''
    const id = decodeURIComponent(value).split('.')[0] ?? ''
    for (
      const bad of [
        id,
        `${id}.`,
        `${value}x`,
        value.slice(0, -2),
        'x'.repeat(16_384),
        '%ff%fe',
        '\u00ff\u00fe',
        '%',
        `s:${value}`,
        `"${value}"`,
      ]
    ) {
      t.equal(
        await raw(gateway, '/oauth2/forward-auth', [
          ...Object.entries(forwarded('/x')).map(([name, text]) => `${name}: ${text}`),
          `Cookie: gatehouse_session=${bad}`,
        ]),
        401,
        bad.slice(0, 30),
      )
    }
    t.equal(
      await ask(gateway, forwarded('/x', { cookie: `gatehouse_session=${value}; gatehouse_session=${value}` })),
      401,
      'two are none',
    )
    t.equal(await ask(gateway, forwarded('/x'), browser), 200)
  })

  // proves: adv-fixation
  await t.test('signing in makes a new session and ends the one this browser had', async (t) => {
    const { browser: attacker } = await gateway.signIn(PERSON_IDS.guest)
    const planted = attacker.cookies.get('127.0.0.1')?.get('gatehouse_session') ?? ''
    const victim = createBrowser()
    victim.cookies.set('127.0.0.1', new Map([['gatehouse_session', planted]]))
    await pickPerson(victim, await victim.follow(`${gateway.url}/oauth2/start`), PERSON_IDS.superuser)
    t.not(victim.cookies.get('127.0.0.1')?.get('gatehouse_session'), planted)
    t.equal(await ask(gateway, forwarded('/x'), victim), 200)
    t.equal(
      await ask(gateway, forwarded('/x', { cookie: `gatehouse_session=${planted}` })),
      401,
      'the planted one is over',
    )
  })

  // proves: adv-sign-out
  await t.test('after the sign-out the old cookie opens nothing', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.guest)
    const cookie = browser.cookieHeader(gateway.url)
    t.equal(await ask(gateway, forwarded('/x', { cookie })), 200)
    await browser.ask(`${gateway.url}/oauth2/sign_out`)
    t.equal(await ask(gateway, forwarded('/x', { cookie })), 401)
  })

  // proves: adv-stale-rules
  await t.test('decisions are current after a revoked right, a deactivated user or a changed rule', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    await query("insert into groups (name) values ('NetBox Admins') on conflict do nothing")
    await query(
      'insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g where u.username like ' +
        "'sam%' and g.name = 'NetBox Admins'",
    )
    t.equal(await ask(gateway, forwarded('/admin'), browser), 200)
    await query('delete from user_groups')
    t.equal(await ask(gateway, forwarded('/admin'), browser), 403)
    t.equal(await ask(gateway, forwarded('/other'), browser), 200)
    gateway.reload({ access: { default: 'deny', rules: [] } })
    t.equal(await ask(gateway, forwarded('/other'), browser), 403)
    gateway.reload({})
    await query("update users set is_active = false where username like 'sam%'")
    t.equal(await ask(gateway, forwarded('/other'), browser), 401)
    await query("update users set is_active = true where username like 'sam%'")
  })

  // proves: adv-fail-closed
  await t.test('a store that fails opens nothing: 503, and not ready', async (t) => {
    const door = databaseFaultProxy(t)
    const behind = await startTestGateway(t, {
      config: { ...CONFIG, session: { outageGrace: '0s' } },
      throughProxy: door.throughProxy,
    })
    const warm = (await behind.signIn(PERSON_IDS.superuser)).browser
    const cold = (await behind.signIn(PERSON_IDS.nested)).browser
    t.equal(await ask(behind, forwarded('/x'), warm), 200)
    door.shut()
    while (behind.gateway.changes.connected()) await sleep(20)
    for (const who of [warm, cold]) {
      t.equal(await ask(behind, forwarded('/x'), who), 503)
      t.equal(
        (await behind.ask('/oauth2/auth', {
          browser: who,
          headers: { 'x-original-url': `https://${HOST}/x`, 'x-original-method': 'GET' },
        })).status,
        503,
      )
      t.equal((await behind.ask('/oauth2/userinfo', { browser: who, headers: JSON_ONLY })).status, 503)
    }
    t.equal(await ask(behind, forwarded('/x')), 401, 'and nobody is nobody')
    t.equal((await fetch(`${behind.management}/readyz`)).status, 503)
    door.open()
    t.equal(await ask(behind, forwarded('/x'), warm), 200, 'and it goes on')
  })
})

t.test('pages', async (t) => {
  const gateway = await startTestGateway(t, { config: { ...CONFIG, server: { ...CONFIG.server, rateLimit: 20 } } })

  // proves: adv-escaped
  await t.test('values from other parties are never rendered as markup', async (t) => {
    const query = await connect(t, gateway.databaseUrl)
    const { browser } = await gateway.signIn(PERSON_IDS.guest)
    await query("update users set username = '<script>alert(1)</script>', name = '\"><img src=x onerror=alert(2)>'")
    for (
      const answer of [
        await browser.ask(`${gateway.url}/`),
        await gateway.ask('/oauth2/forward-auth', {
          browser,
          headers: { ...forwarded('/admin/<script>alert(3)</script>'.replace('<', '%3C')), accept: 'text/html' },
        }),
      ]
    ) {
      t.notMatch(answer.text, /<script|<img/)
      t.match(answer.headers.get('content-security-policy'), /default-src 'none'/)
      t.match(answer.text, /&#60;script&#62;alert\(1\)/)
    }
  })

  // proves: adv-rate-limit
  await t.test('who asks too often is asked to wait', async (t) => {
    const statuses = await Promise.all(
      Array.from(
        { length: 30 },
        () => gateway.ask('/oauth2/start', { browser: createBrowser() }).then(({ status }) => status),
      ),
    )
    t.ok(statuses.includes(429))
  })

  // proves: adv-doubled-parameters
  await t.test('a callback with two answers to one question is refused', async (t) => {
    const fresh = await startTestGateway(t)
    const browser = createBrowser()
    const { action, fields } = formOf(await browser.follow(`${fresh.url}/oauth2/start`))
    const back = new URL(
      (await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.staff } })).location ?? '',
    )
    for (const name of ['code', 'state']) {
      const url = new URL(back)
      url.searchParams.append(name, url.searchParams.get(name) ?? '')
      const answer = await browser.ask(url.href, { headers: JSON_ONLY })
      t.strictSame(
        { status: answer.status, code: (JSON.parse(answer.text) as { error: string }).error },
        { status: 400, code: 'query_duplicate' },
        name,
      )
    }
    t.equal((await browser.ask(back.href)).status, 302)
    browser.cookies.get('127.0.0.1')?.delete('gatehouse_session')
    t.equal((await browser.ask(back.href)).status, 400, 'and once is enough')
  })
})
