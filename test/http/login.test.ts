import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { startTestGateway } from '../helpers/gateway.js'
import { stopPostgres } from '../helpers/postgres.js'

t.teardown(stopPostgres)

t.test('a person signs in and applications know who they are', async (t) => {
  const gateway = await startTestGateway(t)
  const { browser, answer } = await gateway.signIn(PERSON_IDS.superuser)
  t.equal(answer.status, 200)
  if (answer.status !== 200) t.comment(answer.text, gateway.rawLog.join(''))
  const check = await gateway.ask('/oauth2/auth', { browser, headers: { 'x-original-url': 'http://127.0.0.1:9999/x', 'x-original-method': 'GET' } })
  t.equal(check.status, 200)
  t.comment(JSON.stringify([...check.headers]))
})
