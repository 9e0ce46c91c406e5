// Every proxy starts on its shipped file, and a person signs in through it.
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { pickPerson } from '../helpers/gateway.js'
import { stopPostgres } from '../helpers/postgres.js'
import { PROXIES, startProxy } from '../helpers/proxies-all.js'
import { APP, AUTH, browserAt, startScene } from '../helpers/proxies-scene.js'
import { askRaw } from '../helpers/raw-http.js'

t.teardown(stopPostgres)

t.test('every proxy', async (t) => {
  const scene = await startScene(t)
  for (const proxy of PROXIES) {
    await t.test(proxy.name, async (t) => {
      const started = await startProxy(t, proxy, scene)
      if (started === undefined) return
      scene.received.length = 0
      const anonymous = await askRaw(started.app, {
        line: 'GET /deep HTTP/1.1',
        headers: [`Host: ${APP}`, 'Connection: close'],
      })
      t.match(String(anonymous.status), /^(401|302)$/)
      t.equal(scene.received.length, 0)
      const browser = browserAt(started.address)
      const answer = await pickPerson(browser, await browser.follow(`https://${APP}/deep?a=1`), PERSON_IDS.staff)
      t.equal(answer.status, 200, answer.trail.join(' '))
      t.equal(scene.received.at(-1)?.url, '/deep?a=1')
      t.equal(scene.received.at(-1)?.headers['remote-user'], 'sam.staff@contoso.example')
      t.equal((await browser.ask(`https://${AUTH}/oauth2/auth`)).status, 404)
    })
  }
})
