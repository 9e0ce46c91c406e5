// A primary with a synchronous standby: a change counts only once the standby has it, and changes that wait leave half
// of the pool to reads.
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser } from '../helpers/browser.js'
import { startTestGateway } from '../helpers/gateway.js'
import { connect } from '../helpers/sql.js'
import { makeSynchronous, startStreamingPair } from '../helpers/streaming-pair.js'
import { TARGET } from '../helpers/targets.js'
import { until } from '../helpers/until.js'

// proves: record-commit-confirmed, record-half-the-pool
t.test('while the synchronous standby does not confirm', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  const admin = await connect(t, a.adminUrl)
  await makeSynchronous(t, a)
  await admin("alter role app set synchronous_commit = 'off'")
  const gateway = await startTestGateway(t, { databaseUrl: a.url, config: { database: { poolSize: 4 } } })
  const cookies: string[] = []
  for (const person of [PERSON_IDS.many, PERSON_IDS.nested, PERSON_IDS.nobody]) {
    cookies.push((await gateway.signIn(person)).browser.cookieHeader(gateway.url))
  }

  const { browser: leaving } = await gateway.signIn(PERSON_IDS.staff)
  const leave = () => leaving.ask(`${gateway.url}/oauth2/sign_out`, { method: 'POST', form: {} })
  t.equal((await gateway.ask('/oauth2/auth', { browser: leaving, headers: TARGET })).status, 200)
  const cookie = leaving.cookieHeader(gateway.url)

  b.freeze()
  let answered = 0
  const signIns = Promise.all(
    Array.from({ length: 6 }, async () => {
      const signedIn = await gateway.signIn(PERSON_IDS.guest)
      answered++
      return signedIn
    }),
  )
  t.ok(
    await until(async () => {
      const [row] = await admin<{ waiting: number }>(
        "select count(*)::int as waiting from pg_stat_activity where wait_event = 'SyncRep'",
      )
      return (row?.waiting ?? 0) >= 2
    }, 10_000),
    'commits wait for the standby, although the role says otherwise',
  )
  const reads = await Promise.all(
    cookies.map((cookie) => createBrowser().ask(`${gateway.url}/oauth2/auth`, { headers: { ...TARGET, cookie } })),
  )
  t.strictSame(reads.map(({ status }) => status), [200, 200, 200], 'reads go on')
  t.equal(answered, 0, 'while every sign-in waits')
  t.ok(gateway.gateway.database.pool().waiting > 0, 'and some wait for their half of the pool')
  for (const { answer } of await signIns) t.equal(answer.status, 503, 'a change that is not confirmed is none')
  const refused = gateway.log.filter(({ code, reason }) => code === 'database_unavailable' && reason === 'unconfirmed')
  t.ok(refused.length > 0, 'the log names the reason')

  const [backends] = await admin<{ count: number }>(
    "select count(*)::int from pg_stat_activity where usename = 'app' and backend_type = 'client backend'",
  )
  t.ok((backends?.count ?? 99) <= 8, `${backends?.count} backends: none waits on after its client has gone`)

  t.equal((await leave()).status, 503, 'a sign-out that is not confirmed is none')
  const left = await createBrowser().ask(`${gateway.url}/oauth2/auth`, { headers: { ...TARGET, cookie } })
  t.not(left.status, 200, 'and what came of it is read again, not answered from memory')

  b.thaw()
  t.ok(await until(async () => (await gateway.signIn(PERSON_IDS.guest)).answer.status === 200, 20_000))
})
