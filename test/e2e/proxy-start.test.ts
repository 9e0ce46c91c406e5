// Every proxy starts on its shipped file without a warning, and a person signs in through it.
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { pickPerson } from '../helpers/gateway.js'
import { PROXIES, startProxy } from '../helpers/proxies-all.js'
import { APP, AUTH, browserAt, listeningOn, startScene } from '../helpers/proxies-scene.js'
import { askRaw } from '../helpers/raw-http.js'

/** What a proxy may say of its file, which has a reason for it. */
const EXPECTED: readonly RegExp[] = [
  /"admin endpoint disabled"/, // the Caddyfile wants it
  /"stapling OCSP"/, // the test's certificate names no server for it
  /"automatic HTTP->HTTPS redirects are disabled"/, // by the test, which has no port 80
]
const WARNING = /\b(warn|warning|wrn|err|error|alert|emerg|crit)\b/i

t.test('every proxy', async (t) => {
  const scene = await startScene(t)
  for (const proxy of PROXIES) {
    await t.test(proxy.name, async (t) => {
      const started = await startProxy(t, proxy, { ...scene, gateway: listeningOn(scene.gateway) })
      if (started === undefined) return
      const warnings = started.output().split('\n').filter((line) => WARNING.test(line))
      t.same(warnings.filter((line) => !EXPECTED.some((known) => known.test(line))), [], 'it starts without a warning')
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
