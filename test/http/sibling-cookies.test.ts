// A host beside ours below session.cookieDomain can put a cookie in place of the session's: same name, domain and path
// are one cookie, and the gateway sees that one alone. What holds then, and what keeps it from happening.
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { cookiePolicy, onlyCookie } from '../../src/http/cookies.js'
import { startTestGateway } from '../helpers/gateway.js'

const NAME = 'gatehouse_session'

// proves: adv-cookie-overwritten
t.test('a cookie that a sibling host put in place of the session is a session of its own, or none', async (t) => {
  const gateway = await startTestGateway(t)
  const { browser: victim } = await gateway.signIn(PERSON_IDS.superuser)
  const { browser: attacker } = await gateway.signIn(PERSON_IDS.guest)
  const jar = victim.cookies.get('127.0.0.1') ?? new Map<string, string>()
  const own = jar.get(NAME) ?? ''
  const theirs = attacker.cookies.get('127.0.0.1')?.get(NAME) ?? ''
  const ask = async (cookie: string) => {
    jar.set(NAME, cookie)
    const { status, headers } = await gateway.ask('/oauth2/auth', { browser: victim })
    return { status, user: headers.get('x-auth-request-preferred-username') ?? undefined }
  }
  t.match(await ask(own), { status: 200, user: 'sue.super@contoso.example' })
  const person = await ask(theirs)
  t.match(person, { status: 200, user: /^(?!sue)/ }, 'the person goes on as somebody else: a sibling host can do this')
  const [id = '', mac = ''] = decodeURIComponent(own).split('.')
  const [other = ''] = decodeURIComponent(theirs).split('.')
  for (const forged of ['', 'x', id, `${id}.${'A'.repeat(mac.length)}`, `${other}.${mac}`]) {
    t.equal((await ask(encodeURIComponent(forged))).status, 401, 'no session can be made up, and none can be chosen')
  }
  jar.set(NAME, own)
  const both = { cookie: `${NAME}=${own}; ${NAME}=${theirs}` }
  t.equal((await gateway.ask('/oauth2/auth', { headers: both })).status, 401, 'of two, none is chosen')
})

// proves: adv-cookie-host-prefix
t.test('without session.cookieDomain the name is one that browsers take from this host alone', async (t) => {
  const { names, domain } = cookiePolicy('https://auth.example.com', undefined)
  t.equal(names.session, '__Host-gatehouse_session')
  t.equal(names.binding, '__Host-gatehouse_login')
  t.equal(domain, undefined)
  t.equal(onlyCookie(`${NAME}=x; __Secure-${NAME}=y`, names.session), undefined, 'another name is not read')
  const shared = cookiePolicy('https://auth.example.com', 'example.com').names
  t.equal(shared.session, '__Secure-gatehouse_session')
  t.equal(shared.binding, '__Host-gatehouse_login', 'what binds a sign-in to the browser stays on this host')
})
