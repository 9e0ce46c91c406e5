// Floods over HTTP: what one stranger, or one person who is signed in, can make the gateway log, ask and hold.
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { TARGET } from '../helpers/targets.js'

const LONG = `/${'a'.repeat(31_000)}`

/** The value of one series. */
async function metric(gateway: TestGateway, series: string): Promise<number> {
  const text = await (await fetch(`${gateway.management}/metrics`)).text()
  return Number(text.split('\n').find((line) => line.startsWith(`${series} `))?.split(' ')[1])
}

// proves: adv-log-of-requests
t.test('whatever is refused is logged within the budget, cut, and counted', async (t) => {
  const gateway = await startTestGateway(t, {
    config: {
      log: { budget: 10 },
      server: { rateLimit: 60 },
      access: { rules: [{ hosts: ['app.test'], paths: ['/admin/**'], allow: { staff: true } }] },
    },
  })
  const forward = (uri: string, method = 'GET') =>
    gateway.ask('/oauth2/forward-auth', {
      headers: {
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'app.test',
        'x-forwarded-uri': uri,
        'x-forwarded-method': method,
        'accept': 'application/json',
        'sec-fetch-mode': 'cors',
      },
    })
  const floods: Readonly<
    Record<string, { readonly code: string, readonly ask: () => Promise<{ readonly status: number }> }>
  > = {
    'long paths at the pages': { code: 'not_found', ask: () => gateway.ask(LONG) },
    'long paths of an application': { code: 'not_signed_in', ask: () => forward(`/admin${LONG}`) },
    'long methods': { code: 'not_signed_in', ask: () => forward('/admin/x', 'M'.repeat(31_000)) },
    'malformed targets': { code: 'target_malformed', ask: () => forward(`/%00${LONG}`) },
    'malformed targets of nginx': {
      code: 'target_malformed',
      ask: () =>
        gateway.ask('/oauth2/auth', { headers: { ...TARGET, 'x-original-url': `https://app.test/%00${LONG}` } }),
    },
    'refused return addresses': {
      code: 'return_to_refused',
      ask: () => gateway.ask('/oauth2/sign_in?rd=https%3A%2F%2Felsewhere.test%2F'),
    },
    'callbacks without a state': { code: 'state_missing', ask: () => gateway.ask('/oauth2/callback') },
    'too many starts': { code: 'rate_limited', ask: () => gateway.ask('/oauth2/start') },
  }
  const from = gateway.log.length
  const began = performance.now()
  for (const { ask } of Object.values(floods)) await Promise.all(Array.from({ length: 100 }, ask))
  await new Promise((resolve) => {
    setTimeout(resolve, 1_100)
  }) // the summary is written a second later
  const seconds = Math.ceil((performance.now() - began) / 1000) + 1
  const lines = gateway.log.slice(from)
  const raw = gateway.rawLog.slice(from)
  t.ok(lines.length <= seconds * 11, `${lines.length} lines in ${seconds} seconds, each with 10 and one summary`)
  t.ok(
    raw.every((line) => line.length < 1_500),
    `the longest line: ${Math.max(...raw.map((line) => line.length))} characters`,
  )
  t.ok(lines.filter(({ code }) => code === 'rate_limited').length <= 1, '429 once for an address')
  for (const [name, { code }] of Object.entries(floods)) {
    const count = await metric(gateway, `gatehouse_requests_refused_total{code="${code}"}`)
    t.ok(count >= 40, `${name}: ${count} times ${code}`)
  }
  const summaries = lines.filter(({ codes }) => codes !== undefined) as {
    requests: number
    codes: Record<string, number>
  }[]
  const withheld = summaries.reduce((sum, { codes }) => sum + (codes.target_malformed ?? 0), 0)
  t.ok(withheld > 0)
  t.equal(await metric(gateway, 'gatehouse_log_lines_withheld_total{code="target_malformed"}'), withheld)
  t.equal(
    await metric(gateway, 'gatehouse_requests_refused_total{code="session_unreadable"}'),
    0,
    'a series from the start',
  )
})

t.test('no access log: refusals are counted all the same', async (t) => {
  const gateway = await startTestGateway(t, { config: { log: { access: 'none' } } })
  const from = gateway.log.length
  for (let count = 0; count < 3; count++) await gateway.ask('/oauth2/auth', { headers: TARGET })
  t.equal(await metric(gateway, 'gatehouse_requests_refused_total{code="not_signed_in"}'), 3)
  t.equal(gateway.log.length, from)
})

t.test('pages that look a session up', async (t) => {
  const gateway = await startTestGateway(t, { config: { server: { rateLimit: 100_000 } } })
  const statuses = (count: number, ask: () => Promise<{ readonly status: number }>) =>
    Promise.all(Array.from({ length: count }, ask)).then((answers) => answers.map(({ status }) => status))
  const many = (all: readonly number[], status: number) => all.filter((each) => each === status).length

  // proves: adv-session-limit
  await t.test('are open 60 times a minute to one session, and others have their own', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff, { rd: '/oauth2/userinfo' }) // counts no page
    const other = (await gateway.signIn(PERSON_IDS.staff)).browser
    const all = await statuses(100, () => gateway.ask('/', { browser }))
    t.strictSame({ 200: many(all, 200), 429: many(all, 429) }, { 200: 60, 429: 40 })
    const refused = await gateway.ask('/', { browser })
    t.equal(refused.status, 429)
    const seconds = Number(refused.headers.get('retry-after'))
    t.ok(seconds > 0 && seconds <= 60, `Retry-After: ${seconds}`)
    t.equal((await gateway.ask('/', { browser: other })).status, 200)
    t.equal((await gateway.ask('/oauth2/auth', { browser, headers: TARGET })).status, 200, 'applications go on')
  })

  await t.test('a cookie that is not ours is not counted: it costs no look-up', async (t) => {
    const all = await statuses(
      100,
      () => gateway.ask('/', { headers: { cookie: 'gatehouse_session=forged.signature' } }),
    )
    t.equal(many(all, 302), 100)
  })
})

// proves: adv-userinfo-limit-trusted, adv-userinfo-limit
t.test('userinfo is limited by client address, and not for addresses of trusted proxies', async (t) => {
  const gateway = await startTestGateway(t)
  const ask = (client?: string) =>
    gateway.ask('/oauth2/userinfo', { headers: client === undefined ? {} : { 'x-forwarded-for': client } })
  const statuses: number[] = []
  for (let round = 0; round < 13; round++) {
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask('192.0.2.1')))
    statuses.push(...answers.map(({ status }) => status))
  }
  t.equal(statuses.filter((status) => status === 401).length, 1_200)
  t.equal(statuses.filter((status) => status === 429).length, 100)
  t.ok(Number((await ask('192.0.2.1')).headers.get('retry-after')) > 0)
  t.equal((await ask('192.0.2.2')).status, 401)
  for (let round = 0; round < 13; round++) await Promise.all(Array.from({ length: 100 }, () => ask()))
  t.equal((await ask()).status, 401, 'an application on this host that asks for its people')
})
