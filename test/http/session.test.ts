// Sessions over real HTTP: the cookie, its limits, its rotation, its end; and the auth endpoints that read it.
import { Signer } from '@fastify/cookie'
import { connect as openSocket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { sessionIdHash } from '../../src/core/session.js'
import { createBrowser, formOf } from '../helpers/browser.js'
import { SESSION_SECRET, startTestGateway } from '../helpers/gateway.js'
import { connect, dump } from '../helpers/sql.js'
import { forwardedHeaders, originalHeaders } from '../helpers/targets.js'

const TARGET = originalHeaders('http://app.test/x')
/** Has every replica read the rows again that a test changed. */
const READ_AGAIN = "; select gatehouse_record('everything', array['test'])"
const FORWARDED = forwardedHeaders('http://app.test/x?y=1')

t.test('the cookie', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const value = browser.cookies.get('127.0.0.1')?.get('gatehouse_session') ?? ''
  const id = decodeURIComponent(value).split('.')[0] ?? ''

  // proves: security-session-hashed
  await t.test('is small, and the id in it is nowhere in the database', async (t) => {
    t.ok(value.length < 110, `${value.length} characters`)
    const [row] = await query<{ id_hash: Buffer }>('select id_hash from sessions')
    t.same(row?.id_hash, sessionIdHash(id))
    const stored = await dump(query)
    t.notOk(stored.includes(id), 'as it is')
    t.notOk(stored.includes(Buffer.from(id).toString('hex')), 'as bytes')
  })

  // proves: security-two-cookies
  await t.test('malformed, huge, duplicate, foreign or non-UTF-8 cookies: 401 on every endpoint', async (t) => {
    const forged = new Signer(['another secret, also of 32 characters']).sign(id)
    const bad = [
      '',
      'x',
      '.',
      'x.y',
      `${id}.`,
      `.${value}`,
      id,
      `${value}x`,
      forged,
      encodeURIComponent(forged),
      'x'.repeat(16_384),
      '%',
      '%ff%fe',
      '%00',
      `${id}%00.${value.split('.')[1]}`,
      '\u00ff\u00fe',
      `"${value}"`,
      value.toUpperCase(),
    ]
    for (const each of bad) {
      for (const path of ['/oauth2/auth', '/oauth2/forward-auth', '/oauth2/userinfo']) {
        const answer = await gateway.ask(path, {
          headers: { accept: 'application/json', cookie: `gatehouse_session=${each}` },
        })
        if (answer.status !== 401) t.fail(`${path} ${each.slice(0, 40)}: ${answer.status}`)
      }
      const home = await gateway.ask('/', { headers: { cookie: `gatehouse_session=${each}` } })
      if (home.status !== 302) t.fail(`home ${each.slice(0, 40)}: ${home.status}`)
    }
    const doubled = await gateway.ask('/oauth2/userinfo', {
      headers: { accept: 'application/json', cookie: `gatehouse_session=${value}; gatehouse_session=${value}` },
    })
    t.match(JSON.parse(doubled.text), { error: 'session_cookie_doubled' })
    t.equal(doubled.status, 401)
    t.equal(
      (await gateway.ask('/oauth2/start', { headers: { cookie: `gatehouse_session=${value}; gatehouse_session=x` } }))
        .status,
      302,
      'both are removed, and the sign-in goes on',
    )
    t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 200)
    const tooMuch = await gateway.ask('/oauth2/auth', { headers: { cookie: `a=${'x'.repeat(80_000)}` } }).catch(() => ({
      status: 431,
    }))
    t.equal(tooMuch.status, 431)
  })

  await t.test('the auth endpoints set no cookie and write nothing', async (t) => {
    const before = await dump(query)
    for (const path of ['/oauth2/auth', '/oauth2/forward-auth', '/oauth2/userinfo']) {
      const answer = await gateway.ask(path, { browser, headers: path.endsWith('forward-auth') ? FORWARDED : {} })
      t.equal(answer.status, 200)
      t.same(answer.headers.getSetCookie(), [])
      t.equal(answer.headers.get('cache-control'), 'no-store')
      t.equal(answer.headers.get('vary'), 'Cookie')
    }
    t.equal(await dump(query), before)
  })

  await t.test('userinfo returns the account', async (t) => {
    const { sub, auth_time: authTime, expires_at: expiresAt, ...rest } = JSON.parse(
      (await gateway.ask('/oauth2/userinfo', { browser })).text,
    )
    t.same(rest, {
      username: 'sam.staff@contoso.example',
      email: 'sam.staff@contoso.example',
      email_verified: true,
      name: 'Sam Staff',
      groups: ['Network Engineers'],
      permissions: [],
      is_staff: true,
      is_superuser: false,
      oid: PERSON_IDS.staff,
      tid: gateway.config.entra.tenantId,
    })
    t.match(sub, /^[0-9a-f-]{36}$/)
    t.equal(Math.round(expiresAt - authTime), 8 * 3600)
  })

  // proves: session-age
  await t.test("idle, absolute and privileged timeouts count by the database's clock", async (t) => {
    const status = async () => (await gateway.ask('/oauth2/auth', { browser })).status
    await query("update sessions set last_seen_at = now() - interval '7 hours 59 minutes'" + READ_AGAIN)
    t.equal(await status(), 200)
    await sleep(400)
    const [seen] = await query<{ ago: number }>(
      'select extract(epoch from now() - last_seen_at)::float8 as ago from sessions',
    )
    t.ok((seen?.ago ?? Infinity) < 60, 'being used behind the proxy is being seen')
    await query("update sessions set last_seen_at = now() - interval '8 hours 1 second'" + READ_AGAIN)
    t.equal(await status(), 401)
    await query(
      "update sessions set last_seen_at = now(), created_at = now() - interval '23 hours 59 minutes'" +
        READ_AGAIN,
    )
    t.equal(await status(), 200)
    await query("update sessions set created_at = now() - interval '24 hours 1 second'" + READ_AGAIN)
    t.equal(await status(), 401)
    await query("update sessions set created_at = now() - interval '59 minutes'" + READ_AGAIN)
    const privileged = await gateway.restart({ session: { privilegedTimeout: '1h' } })
    t.equal((await privileged.ask('/oauth2/auth', { browser })).status, 200)
    await query("update sessions set created_at = now() - interval '61 minutes'" + READ_AGAIN)
    t.equal((await privileged.ask('/oauth2/auth', { browser })).status, 401, 'staff sign in again')
    await query('update users set is_staff = false' + READ_AGAIN)
    t.equal((await privileged.ask('/oauth2/auth', { browser })).status, 200, 'others need not')
    await privileged.close()
  })
})

t.test('the recorded last use of a session', async (t) => {
  const gateway = await startTestGateway(t, { config: { session: { absoluteTimeout: '90d' } } })
  const query = await connect(t, gateway.databaseUrl)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const status = async () => (await gateway.ask('/oauth2/auth', { browser })).status
  const unused = (span: string) =>
    query(`update sessions set last_seen_at = last_seen_at - interval '${span}'` + READ_AGAIN)
  const secondsAgo = async () => {
    await sleep(200)
    const [row] = await query<{ ago: number }>(
      'select extract(epoch from now() - last_seen_at)::float8 as ago from sessions',
    )
    return row?.ago ?? Infinity
  }

  // proves: live-use-recorded
  await t.test('is written once it is older than a tenth of the idle timeout, and not before', async (t) => {
    await unused('47 minutes 30 seconds')
    for (let each = 0; each < 5; each++) t.equal(await status(), 200)
    t.ok(await secondsAgo() > 47.4 * 60)
    await unused('1 minute')
    t.equal(await status(), 200)
    t.ok(await secondsAgo() < 30)
    await unused('47 minutes 30 seconds')
    await gateway.ask('/', { browser })
    t.ok(await secondsAgo() > 47.4 * 60, 'pages too')
    await unused('1 minute')
    await gateway.ask('/', { browser })
    t.ok(await secondsAgo() < 30)
  })

  await t.test('keeps a session that is in use from ever becoming idle', async (t) => {
    for (let each = 0; each < 10; each++) {
      await unused('47 minutes')
      t.equal(await status(), 200, 'a use that is not recorded')
      await unused('7 hours 12 minutes')
      t.equal(await status(), 200, 'not used for nine tenths of the idle timeout')
      t.ok(await secondsAgo() < 30)
    }
  })

  await t.test('ends a session after the idle timeout at the latest', async (t) => {
    await unused('8 hours')
    t.equal(await status(), 401)
  })
})

t.test('secrets rotate without signing a user out', async (t) => {
  const gateway = await startTestGateway(t)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const before = browser.cookieHeader(gateway.url)
  const rotated = await gateway.restart({
    session: { secrets: ['the new secret, of more than 32 characters', SESSION_SECRET] },
  })
  t.equal((await rotated.ask('/oauth2/auth', { browser })).status, 200)
  t.equal(browser.cookieHeader(gateway.url), before)
  const home = await rotated.ask('/', { browser })
  t.equal(home.status, 200, 'a page of ours is opened')
  t.not(browser.cookieHeader(gateway.url), before, 'and the cookie is signed anew')
  const alone = await rotated.restart({ session: { secrets: ['the new secret, of more than 32 characters'] } })
  t.equal((await alone.ask('/oauth2/auth', { browser })).status, 200, 'so that the old secret can go')
  t.equal((await alone.ask('/oauth2/auth', { headers: { cookie: before } })).status, 401)
})

t.test('signing out', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)

  // proves: login-hint-kept
  await t.test("ends the gateway's session first, then Entra's, and returns to the requested address", async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    const old = browser.cookieHeader(gateway.url)
    const answer = await browser.ask(
      `${gateway.url}/oauth2/sign_out?rd=${encodeURIComponent('http://127.0.0.1:9/bye')}`,
    )
    t.equal(answer.status, 303)
    const url = new URL(answer.location ?? '')
    t.equal(url.searchParams.get('post_logout_redirect_uri'), `${gateway.url}/oauth2/sign_in`)
    t.ok(url.searchParams.get('logout_hint'), 'without the account picker')
    t.same(await query('select 1 from sessions'), [])
    t.equal((await gateway.ask('/oauth2/auth', { headers: { cookie: old } })).status, 401)
    t.match(await query("select action, username from audit_events where action = 'logout'"), [{
      action: 'logout',
      username: 'sam.staff@contoso.example',
    }])
    const back = await browser.ask(answer.location ?? '')
    t.equal(back.location, `${gateway.url}/oauth2/sign_in`)
    t.equal((await browser.ask(back.location ?? '')).location, 'http://127.0.0.1:9/bye')
    t.match((await browser.ask(`${gateway.url}/oauth2/sign_in`)).text, /Sign in with Microsoft/, 'once')
  })

  await t.test('begun by another site, or not by a page load, it is asked about first', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    for (
      const headers of [
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
        { 'sec-fetch-dest': 'iframe' },
        { 'sec-fetch-site': '', 'sec-fetch-mode': '', 'sec-fetch-dest': '' },
      ]
    ) {
      const answer = await gateway.ask('/oauth2/sign_out', { browser, headers })
      t.equal(answer.status, 200)
      t.match(answer.text, /Sign out\?/)
    }
    const posted = await browser.ask(`${gateway.url}/oauth2/sign_out`, {
      method: 'POST',
      form: {},
      headers: { 'sec-fetch-site': 'cross-site' },
    })
    t.match(posted.text, /Sign out\?/)
    t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 200, 'still signed in')
    t.equal((await browser.ask(`${gateway.url}/oauth2/sign_out`, { method: 'POST', form: {} })).status, 303)
    t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 401)
  })

  await t.test('with two session cookies, both sessions end', async (t) => {
    const [one, other] = [await gateway.signIn(PERSON_IDS.staff), await gateway.signIn(PERSON_IDS.guest)].map((
      { browser },
    ) => browser.cookies.get('127.0.0.1')?.get('gatehouse_session') ?? '')
    await gateway.ask('/oauth2/sign_out', {
      method: 'POST',
      headers: { cookie: `gatehouse_session=${one}; gatehouse_session=${other}` },
    })
    for (const value of [one, other]) {
      t.equal((await gateway.ask('/oauth2/auth', { headers: { cookie: `gatehouse_session=${value}` } })).status, 401)
    }
  })

  await t.test('what is signed for the way back is no session cookie, and a session cookie no way back', async (t) => {
    const left = createBrowser()
    await left.ask(`${gateway.url}/oauth2/sign_out`)
    const value = left.cookies.get('127.0.0.1')?.get('gatehouse_signed_out') ?? ''
    t.match(
      JSON.parse(
        (await gateway.ask('/oauth2/userinfo', {
          headers: { accept: 'application/json', cookie: `gatehouse_session=${value}` },
        })).text,
      ),
      { error: 'session_unreadable' },
    )
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    browser.cookies.get('127.0.0.1')?.set(
      'gatehouse_signed_out',
      browser.cookies.get('127.0.0.1')?.get('gatehouse_session') ?? '',
    )
    t.equal((await browser.ask(`${gateway.url}/oauth2/sign_in`)).status, 200)
  })

  // proves: security-front-channel
  await t.test("signing out of Microsoft ends the session here: by Entra's session id, without a cookie", async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    const { browser: other } = await gateway.signIn(PERSON_IDS.guest)
    const [{ sid } = {}] = await query<{ sid: string }>(
      "select entra_sid as sid from sessions s join users u on u.id = s.user_id where username like 'sam%' order by " +
        's.created_at desc limit 1',
    )
    t.match(sid, /^[\w-]{8,}$/)
    gateway.entra.app.frontChannelLogoutUrl = `${gateway.url}/oauth2/frontchannel-logout`
    const page = await browser.follow(
      `${gateway.entra.url}/${gateway.config.entra.tenantId}/oauth2/v2.0/logout?logout_hint=x`,
    )
    const { action, fields } = formOf(page)
    const [, frame = ''] =
      /<iframe[^>]* src="([^"]+)"/.exec((await browser.ask(action, { method: 'POST', form: fields })).text) ?? []
    t.equal(frame.replaceAll('&amp;', '&'), `${gateway.url}/oauth2/frontchannel-logout?sid=${sid}`)
    const answer = await gateway.ask(`/oauth2/frontchannel-logout?sid=${sid}`, {
      headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'iframe' },
    })
    t.equal(answer.status, 200)
    t.equal(answer.headers.get('cache-control'), 'no-store')
    t.equal(answer.headers.get('content-security-policy'), `default-src 'none'; frame-ancestors ${gateway.entra.url}`)
    t.strictSame(answer.headers.getSetCookie(), [])
    t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 401)
    t.equal((await gateway.ask('/oauth2/auth', { browser: other })).status, 200, "somebody else's goes on")
    t.match(
      (await query(
        "select actor, username, detail from audit_events where action = 'logout' order by id desc limit 1",
      ))[0],
      { actor: 'entra', username: 'sam.staff@contoso.example', detail: { frontChannel: true } },
    )
    const again = await gateway.ask(`/oauth2/frontchannel-logout?sid=${sid}&iss=x`)
    t.strictSame(
      { status: again.status, text: again.text },
      { status: 200, text: answer.text },
      'an unknown sid is answered alike',
    )
    for (const bad of ['', '?sid=', '?sid=a', `?sid=${'x'.repeat(300)}`, '?sid=abc%00defgh', "?sid=x'%20or%201=1--"]) {
      t.equal((await gateway.ask(`/oauth2/frontchannel-logout${bad}`)).status, 400, bad)
    }
    t.equal((await gateway.ask('/oauth2/frontchannel-logout?sid=aaaaaaaa&sid=bbbbbbbb')).status, 400)
    for (const path of ['/', '/oauth2/sign_in', '/oauth2/sign_out']) {
      t.match(
        (await gateway.ask(path)).headers.get('content-security-policy') ?? "frame-ancestors 'none'",
        "frame-ancestors 'none'",
        `${path} may not be framed`,
      )
    }
  })

  await t.test('a forged way back is not followed', async (t) => {
    const browser = createBrowser()
    browser.cookies.set(
      '127.0.0.1',
      new Map([['gatehouse_signed_out', `${encodeURIComponent('https://evil.test/')}.x`]]),
    )
    t.equal((await browser.ask(`${gateway.url}/oauth2/sign_in`)).status, 200)
  })
})

t.test('the forward-auth question', async (t) => {
  const gateway = await startTestGateway(t, { config: { log: { budget: 10_000 } } })
  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  const anonymous = createBrowser()

  await t.test('/oauth2/auth answers 200, 401 or 403 and never redirects', async (t) => {
    const yes = await gateway.ask('/oauth2/auth', { browser, headers: TARGET })
    t.equal(yes.status, 200)
    t.match(Object.fromEntries(yes.headers), {
      'x-auth-request-user': 'gus.guest@fabrikam.example',
      'x-auth-request-email': '',
      'x-auth-request-email-verified': 'false',
      'x-auth-request-preferred-username': 'gus.guest@fabrikam.example',
      'x-auth-request-groups': 'Read Only',
      'x-auth-request-staff': 'false',
      'x-auth-request-superuser': 'false',
      'remote-user': 'gus.guest@fabrikam.example',
      'remote-email': '',
      'remote-name': 'Gus Guest',
      'remote-groups': 'Read Only',
    })
    t.equal(yes.text, '')
    const { browser: staff } = await gateway.signIn(PERSON_IDS.staff)
    const verified = await gateway.ask('/oauth2/auth', { browser: staff, headers: TARGET })
    t.equal(verified.headers.get('x-auth-request-email-verified'), 'true')
    t.match(JSON.parse((await gateway.ask('/oauth2/userinfo', { browser: staff })).text), { email_verified: true })
    const said = { email: null, email_verified: false }
    t.match(JSON.parse((await gateway.ask('/oauth2/userinfo', { browser })).text), said)
    const no = await gateway.ask('/oauth2/auth', {
      browser: anonymous,
      headers: { 'x-original-url': 'https://App.test/deep?a=b&c=d e'.replace(' ', '%20'), 'x-original-method': 'GET' },
    })
    t.equal(no.status, 401)
    t.equal(
      no.headers.get('x-auth-request-redirect'),
      `${gateway.url}/oauth2/start?rd=${encodeURIComponent('https://app.test/deep?a=b&c=d%20e')}`,
    )
    for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'TRACE']) {
      t.equal((await gateway.ask('/oauth2/auth', { browser, method, headers: TARGET })).status, 200, method)
    }
    t.equal(
      (await gateway.ask('/oauth2/auth?allowed_groups=x', { browser, headers: TARGET })).status,
      403,
      'a parameter that would narrow access is not ignored',
    )
  })

  await t.test('malformed targets: 403 there and 400 on /oauth2/forward-auth, signed in or not', async (t) => {
    const original = [
      '',
      'x',
      '/only/a/path',
      'https://',
      'ftp://app.test/',
      'https://app.test/%zz',
      'https://app.test/%00',
      'https://app.test/#x',
      'https://u@app.test/',
      'https://app.test/a b',
      'https://a.test/x, https://b.test/y',
    ]
    for (const who of [browser, anonymous]) {
      for (const url of original) {
        t.equal(
          (await gateway.ask('/oauth2/auth', { browser: who, headers: { 'x-original-url': url } })).status,
          403,
          url,
        )
      }
      const forwarded = [
        { 'x-forwarded-host': 'a.test, b.test' },
        { 'x-forwarded-proto': 'gopher' },
        { 'x-forwarded-uri': 'x' },
        { 'x-forwarded-uri': '/%' },
        { 'x-forwarded-method': 'G T' },
        { 'x-forwarded-host': '' },
      ]
      for (const change of forwarded) {
        t.equal(
          (await gateway.ask('/oauth2/forward-auth', { browser: who, headers: { ...FORWARDED, ...change } })).status,
          400,
          JSON.stringify(change),
        )
      }
      const { 'x-forwarded-uri': _, ...partly } = FORWARDED
      t.equal(
        (await gateway.ask('/oauth2/forward-auth', { browser: who, headers: partly })).status,
        400,
        'one of the three is missing',
      )
    }
  })

  const port = Number(new URL(gateway.url).port)
  const raw = (path: string, headers: string[], cookie = browser.cookieHeader(gateway.url)) =>
    new Promise<string>((resolve, reject) => {
      const socket = openSocket(
        port,
        '127.0.0.1',
        () =>
          socket.write(
            `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\nCookie: ${cookie}\r\n${
              headers.join('\r\n')
            }\r\n\r\n`,
            'latin1',
          ),
      )
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk.toString()
      }).on('end', () => resolve(text.slice(9, 12))).on('error', reject)
    })

  await t.test('a cookie whose name only looks like ours, past the promise of its prefix, is not ours', async (t) => {
    const value = browser.cookies.get('127.0.0.1')?.get('gatehouse_session')
    t.equal(await raw('/oauth2/auth', ['Accept: */*'], `gatehouse_session=${value}`), '200')
    for (const blank of ['\u00a0', '\u0085', '\u000b', '\ufeff'.slice(0, 0) + '\u00ad']) {
      t.not(
        await raw('/oauth2/auth', ['Accept: */*'], `${blank}gatehouse_session=${value}`),
        '200',
        JSON.stringify(blank),
      )
    }
    for (const blank of [' ', '\t']) {
      t.equal(await raw('/oauth2/auth', ['Accept: */*'], `x=1;${blank}gatehouse_session=${value}`), '200')
    }
  })

  // proves: adv-long-named
  await t.test('a link that is too long to carry leads back to the front page', async (t) => {
    const redirect = async (url: string): Promise<string | null> => {
      const answer = await gateway.ask('/oauth2/auth', { browser: anonymous, headers: { 'x-original-url': url } })
      return answer.headers.get('x-auth-request-redirect')
    }
    const front = `${gateway.url}/oauth2/start?rd=${encodeURIComponent('https://app.test/')}`
    t.equal(await redirect(`https://app.test/x?${'q'.repeat(7_000)}`), front)
    t.equal(
      await redirect(`https://app.test/x?${'%22'.repeat(2_000)}`),
      front,
      'nor one that is too long when it is encoded',
    )
    t.match(gateway.log.find(({ returnsTo }) => returnsTo !== undefined), {
      code: 'not_signed_in',
      returnsTo: /too long/,
    })
    for (const long of [`https://app.test/x?${'q'.repeat(5_900)}`, `https://app.test/x?${'a=1&b=/;'.repeat(700)}`]) {
      const answer = await redirect(long)
      t.ok((answer?.length ?? 9_999) < 8_000, 'it fits into a request line')
      t.equal(new URL(answer ?? '').searchParams.get('rd'), long, 'but 6 KB are not too long')
    }
  })

  await t.test("what an application's body is called makes no difference, in memory or not", async (t) => {
    for (const cold of [true, false]) {
      for (const type of ['nonsense', '/', 'a/b/c', 'text/html; charset']) {
        const { browser: person } = cold ? await gateway.signIn(PERSON_IDS.guest) : { browser }
        const answer = await gateway.ask('/oauth2/auth', {
          browser: person,
          method: 'POST',
          headers: { ...TARGET, 'content-type': type, 'content-length': '0' },
        })
        t.strictSame(
          {
            status: answer.status,
            'cache-control': answer.headers.get('cache-control'),
            vary: answer.headers.get('vary'),
          },
          { status: 200, 'cache-control': 'no-store', vary: 'Cookie' },
          type,
        )
        t.equal(
          (await gateway.ask('/oauth2/forward-auth', {
            browser: createBrowser(),
            method: 'POST',
            headers: { ...FORWARDED, 'content-type': type, 'content-length': '0' },
          })).status,
          302,
          type,
        )
      }
    }
  })

  await t.test('doubled forwarding headers are refused', async (t) => {
    const one = ['X-Original-URL: https://app.test/a', 'X-Original-Method: GET']
    t.equal(await raw('/oauth2/auth', one), '200')
    t.equal(await raw('/oauth2/auth', [...one, 'x-original-url: https://app.test/b']), '403')
    t.equal(await raw('/oauth2/auth', [...one, 'X-ORIGINAL-METHOD: GET']), '403')
    const forwarded = Object.entries(FORWARDED).map(([name, value]) => `${name}: ${value}`)
    t.equal(await raw('/oauth2/forward-auth', forwarded), '200')
    for (const line of forwarded) t.equal(await raw('/oauth2/forward-auth', [...forwarded, line]), '400', line)
  })

  await t.test('each endpoint reads one family of headers', async (t) => {
    t.equal(
      (await gateway.ask('/oauth2/forward-auth', { browser, headers: { ...FORWARDED, 'x-original-url': 'nonsense' } }))
        .status,
      200,
    )
    t.equal(
      (await gateway.ask('/oauth2/auth', {
        browser,
        headers: { ...TARGET, 'x-forwarded-uri': 'nonsense', 'x-forwarded-proto': 'nonsense' },
      })).status,
      200,
    )
  })

  await t.test('/oauth2/forward-auth redirects browsers to the sign-in and answers programs with 401', async (t) => {
    const page = await gateway.ask('/oauth2/forward-auth', { browser: anonymous, headers: FORWARDED })
    t.equal(page.status, 302)
    t.equal(page.location, `${gateway.url}/oauth2/start?rd=${encodeURIComponent('http://app.test/x?y=1')}`)
    t.equal(
      (await gateway.ask('/oauth2/forward-auth', {
        browser: anonymous,
        headers: { ...FORWARDED, 'x-forwarded-method': 'POST' },
      })).status,
      303,
    )
    const programs = [
      { accept: 'application/json' },
      { accept: '*/*' },
      { 'x-requested-with': 'XMLHttpRequest' },
      { 'sec-fetch-mode': 'cors' },
      { 'sec-fetch-dest': 'iframe' },
      { upgrade: undefined, 'sec-fetch-mode': 'websocket' },
    ]
    for (const headers of programs) {
      t.equal(
        (await gateway.ask('/oauth2/forward-auth', {
          browser: anonymous,
          headers: { ...FORWARDED, ...headers } as Record<string, string>,
        })).status,
        401,
        JSON.stringify(headers),
      )
    }
  })

  await t.test("an untrusted peer's headers are ignored, and the log names the entry to add", async (t) => {
    const untrusted = await gateway.restart({ server: { trustedProxies: ['192.0.2.0/24'] } })
    const answer = await untrusted.ask('/oauth2/auth', { browser: anonymous, headers: TARGET })
    t.equal(
      answer.headers.get('x-auth-request-redirect'),
      `${gateway.url}/oauth2/start?rd=${encodeURIComponent(`${gateway.url}/`)}`,
    )
    t.equal((await untrusted.ask('/oauth2/auth', { browser, headers: { 'x-original-url': 'nonsense' } })).status, 200)
    await untrusted.ask('/oauth2/auth', { browser: anonymous, headers: TARGET })
    t.equal(
      untrusted.log.filter((line) => /add 127\.0\.0\.1 to server\.trustedProxies/.test(String(line.msg))).length,
      1,
      'once',
    )
    await untrusted.close()
  })

  await t.test('access.default deny admits superusers only: a page with the account, or JSON', async (t) => {
    const denying = await gateway.restart({ access: { default: 'deny' }, server: { contact: 'help@example.com' } })
    const { browser: guest } = await denying.signIn(PERSON_IDS.guest)
    t.equal((await denying.ask('/oauth2/auth', { browser: guest, headers: TARGET })).status, 403)
    const page = await denying.ask('/oauth2/forward-auth', { browser: guest, headers: FORWARDED })
    t.equal(page.status, 403)
    t.match(page.text, /gus\.guest@fabrikam\.example/)
    t.match(page.text, /help@example\.com/)
    t.match(
      JSON.parse(
        (await denying.ask('/oauth2/forward-auth', {
          browser: guest,
          headers: { ...FORWARDED, accept: 'application/json' },
        })).text,
      ),
      { error: 'not_allowed', correlation_id: String },
    )
    const { browser: superuser } = await denying.signIn(PERSON_IDS.superuser)
    t.equal((await denying.ask('/oauth2/auth', { browser: superuser, headers: TARGET })).status, 200)
    t.match(denying.log.filter((line) => line.msg === 'access denied').at(-1), {
      code: 'not_allowed',
      username: 'gus.guest@fabrikam.example',
      host: 'app.test',
    })
  })

  await t.test('more groups than fit into the headers are refused, not cut', async (t) => {
    const names = Array.from({ length: 40 }, (_, index) => `A rather long group name, number ${index}`.replace(',', ''))
    const small = await startTestGateway(t, {
      config: { headers: { maxBytes: 1024 }, groupMapping: [{ entraGroup: GROUP_IDS.readOnly, groups: names }] },
      groups: names,
    })
    const { browser: guest } = await small.signIn(PERSON_IDS.guest)
    const answer = await small.ask('/oauth2/auth', { browser: guest, headers: TARGET })
    t.equal(answer.status, 403)
    t.equal(answer.headers.get('x-gatehouse-error'), 'identity_too_large')
  })
})
