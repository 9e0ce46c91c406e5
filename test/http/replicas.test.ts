// Gateways on one database tell one another what they run; who runs something else is reported, and nothing else comes
// of it.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { connect } from '../helpers/sql.js'
import { TARGET } from '../helpers/targets.js'
import { until } from '../helpers/until.js'

const MAY_DIFFER_MS = 2_000
const DENY = { access: { default: 'deny' } }

t.test('a replica with another configuration', async (t) => {
  const one = await startTestGateway(t, { replicasMayDifferMs: MAY_DIFFER_MS })
  const beside = (t: Test, config = {}): Promise<TestGateway> =>
    startTestGateway(t, {
      databaseUrl: one.databaseUrl,
      replicasMayDifferMs: MAY_DIFFER_MS,
      config: {
        server: { publicUrl: one.url },
        entra: { authorityHost: one.entra.url, graphUrl: one.entra.graphUrl },
        ...config,
      },
    })
  const two = await beside(t)
  const other = await beside(t, DENY)
  const all = [one, two, other]
  const ready = async (gateway: TestGateway) => {
    const answer = await fetch(`${gateway.management}/readyz`)
    t.equal(answer.status, 200)
    return (await answer.json() as {
      parts: {
        replicas: { config: string, same: number, different: { replica: string, config: string, since: string }[] }
      }
    }).parts.replicas
  }
  const seen = async (gateway: TestGateway, same: number, different: number): Promise<void> => {
    for (let each = 0; each < 200; each++) {
      const state = await ready(gateway)
      if (state.same === same && state.different.length === different) return
      await sleep(50)
    }
    t.strictSame(await ready(gateway), { same, different })
  }
  const warnings = (gateway: TestGateway) =>
    gateway.log.filter(({ msg }) => /different configurations/.test(String(msg)))
  const mended = (gateway: TestGateway) => gateway.log.filter(({ msg }) => /same configuration again/.test(String(msg)))

  await t.test('is seen by all, which stay ready, and is counted', async (t) => {
    await seen(one, 2, 1)
    await seen(two, 2, 1)
    await seen(other, 1, 2)
    t.ok(all.every((gateway) => warnings(gateway).length === 0), 'not at once')
    const metrics = await (await fetch(`${one.management}/metrics`)).text()
    t.match(metrics, /^gatehouse_replicas\{config="same"\} 2$/m)
    t.match(metrics, /^gatehouse_replicas\{config="different"\} 1$/m)
  })

  await t.test('is reported after its time, by name, once by each', async (t) => {
    await until(() => all.every((gateway) => warnings(gateway).length > 0))
    await sleep(2_500)
    const odd = await ready(other)
    t.match(warnings(one), [{
      level: 'warn',
      config: (await ready(one)).config,
      others: [{ replica: new RegExp(`:${other.config.server.port}$`), config: odd.config, since: /Z$/ }],
      remedy: /\w/,
    }])
    t.match(warnings(other)[0], { others: [{}, {}] })
    for (const gateway of all) t.equal(warnings(gateway).length, 1)
  })

  await t.test('rows that are garbage change nothing', async (t) => {
    const direct = await connect(t, one.databaseUrl)
    const { browser } = await one.signIn(PERSON_IDS.guest)
    const before = await ready(one)
    const hash = 'a'.repeat(64)
    const rows: readonly (readonly [string, string, string])[] = [
      ['', '', ''],
      ['x', 'x', 'y'],
      ['y', 'two hosts', hash],
      ['z', '<script>', hash],
      ['\u0001', 'host:1', 'b'],
      ['0'.repeat(3_000), 'host:1', hash],
    ]
    for (const [replica, name, config] of rows) {
      await direct('insert into replicas (replica, heartbeats, name, config) values ($1, 1, $2, $3)', [
        replica,
        name,
        config,
      ])
    }
    for (let beat = 0; beat < 3; beat++) {
      await sleep(1_100)
      await direct('update replicas set heartbeats = heartbeats + 9007199254740993 where length(replica) <> 12')
      t.equal((await one.ask('/oauth2/auth', { browser, headers: TARGET })).status, 200)
    }
    await direct('delete from replicas where length(replica) <> 12')
    t.strictSame(await ready(one), before)
    t.ok(one.gateway.changes.connected())
  })

  await t.test('is in order again after a reload, which is said once', async (t) => {
    other.reload({ access: undefined })
    for (const gateway of all) await seen(gateway, 3, 0)
    await until(() => all.every((gateway) => mended(gateway).length > 0))
    await sleep(1_500)
    for (const gateway of all) {
      t.strictSame(
        { recoveries: mended(gateway).length, warnings: warnings(gateway).length },
        { recoveries: 1, warnings: 1 },
      )
    }
    t.match(await (await fetch(`${one.management}/metrics`)).text(), /^gatehouse_replicas\{config="different"\} 0$/m)
  })

  await t.test('is not there any more when it has ended', async () => {
    await other.close()
    await seen(one, 2, 0)
  })
})
