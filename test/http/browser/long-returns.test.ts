// Return addresses that are too long for the way through Entra ID.
import t from 'tap'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { openDatabase } from '../../../src/store/database.js'
import { createLongReturns } from '../../../src/store/long-returns.js'
import { createBrowser, formOf, type Answer } from '../../helpers/browser.js'
import { startTestGateway } from '../../helpers/gateway.js'
import { connect } from '../../helpers/sql.js'

t.test('a long return address', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const long = `http://127.0.0.1:9/explore?q=${'q'.repeat(5_900)}`
  let atEntra = 0
  const signIn = async (rd: string, between: () => Promise<unknown> = async () => {}): Promise<Answer> => {
    const browser = createBrowser()
    const start = await browser.ask(`${gateway.url}/oauth2/start?rd=${rd}`)
    atEntra = start.location?.length ?? 9_999
    const { action, fields } = formOf(await browser.ask(start.location ?? ''))
    const form = { ...fields, person: PERSON_IDS.staff }
    const back = await browser.ask(action, { method: 'POST', form })
    await between()
    return await browser.ask(back.location ?? '')
  }

  // proves: adv-long-kept
  await t.test('comes back, and is in no address on the way', async (t) => {
    t.equal((await signIn(long)).location, long)
    t.ok(atEntra < 3_500, 'the address of Entra ID stays short')
  })

  // proves: adv-long-lost
  await t.test('that is dropped is said, with the front page', async (t) => {
    const answer = await signIn(long, () => query('delete from long_returns'))
    t.equal(answer.status, 200)
    t.match(answer.text, /data-field="lost"/)
    t.match(answer.text, 'href="http://127.0.0.1:9/"')
  })

  // proves: adv-long-minutes
  await t.test('of more than ten minutes ago is gone', async (t) => {
    const answer = await signIn(long, () => query("update long_returns set kept_at = now() - interval '11 minutes'"))
    t.match(answer.text, /data-field="lost"/)
  })

  await t.test('that the configuration no longer allows is replaced by the front page', async (t) => {
    const elsewhere = `https://gone.example.test/?q=${'q'.repeat(2_000)}`
    const answer = await signIn(long, () => query(`update long_returns set address = '${elsewhere}'`))
    t.strictSame({ status: answer.status, location: answer.location }, { status: 302, location: `${gateway.url}/` })
  })

  // proves: adv-long-bounded
  await t.test('makes room by the oldest, by number and by size', async (t) => {
    const database = openDatabase({ server: gateway.databaseUrl, poolSize: 1, onIdleError: () => {} })
    t.teardown(() => database.close())
    await query('delete from long_returns')
    const few = createLongReturns(database, { addresses: 3, bytes: 1_000 })
    const dropped: number[] = []
    for (let each = 0; each < 5; each++) dropped.push(await few.keep(Buffer.from([each]), 'x'.repeat(10)))
    t.strictSame(dropped, [0, 0, 0, 1, 1])
    t.equal(await few.find(Buffer.from([1])), undefined)
    t.equal(await few.find(Buffer.from([2])), 'x'.repeat(10))
    t.equal(await few.keep(Buffer.from([9]), 'y'.repeat(985)), 2, 'a large one takes the room of two')
    t.equal(await few.find(Buffer.from([9])), 'y'.repeat(985))
  })
})
