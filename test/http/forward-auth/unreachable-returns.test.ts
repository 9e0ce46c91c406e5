// Applications whose people could not come back after signing in are named in the log at the first question.
import t from 'tap'
import { createUnreachableReturns } from '../../../src/http/forward-auth/unreachable-returns.js'
import { parseTarget } from '../../../src/core/target.js'
import { startTestGateway } from '../../helpers/gateway.js'

// proves: adv-lost-returns
t.test('the first request for a host outside redirectDomains logs the missing entry', async (t) => {
  const gateway = await startTestGateway(t, {
    config: { server: { redirectDomains: ['.corp.test'] }, access: { default: 'authenticated', rules: [] } },
  })
  const ask = (url: string) =>
    gateway.ask('/oauth2/auth', {
      headers: { 'x-original-url': url, 'x-original-method': 'GET', 'x-forwarded-port': new URL(url).port || '443' },
    })
  const lines = () => gateway.log.filter(({ msg }) => String(msg).includes('users cannot return to'))
  t.equal((await ask('https://wiki.corp.test/x')).status, 401)
  t.strictSame(lines(), [], 'an allowed host')
  for (const path of ['x', 'y']) t.equal((await ask(`https://wiki.corp.test:8443/${path}`)).status, 401)
  t.match(lines(), [{
    level: 'warn',
    host: 'wiki.corp.test:8443',
    remedy: /Write \.corp\.test:8443 or \.corp\.test:\* in/,
  }])
  t.equal((await ask('https://other.test/')).status, 401)
  t.match(lines()[1], { host: 'other.test', remedy: /^Add other\.test to server\.redirectDomains/ })
  t.equal(lines().length, 2, 'each once')
})

// proves: adv-lost-returns-bounded
t.test('hosts that are made up fill neither log nor memory', async (t) => {
  let now = 0
  const lines: unknown[] = []
  const rules = { publicUrl: 'https://auth.test', redirectDomains: [] }
  const signInFor = createUnreachableReturns({
    rules,
    log: { warn: (facts: unknown) => lines.push(facts) } as never,
    now: () => now,
  })
  const target = (host: string) => parseTarget({ scheme: 'https', host, uri: '/', method: 'GET', port: undefined })
  for (let index = 0; index < 100; index++) signInFor(target(`h${index}.test`))
  t.equal(lines.length, 10)
  now += 3_600_001
  signInFor(target('h1.test'))
  t.equal(lines.length, 11, 'again after an hour')
})
