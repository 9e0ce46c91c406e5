// `gatehouse policy`: versions, and a policy alone in a file, as commands on the database of a running gateway.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { PERSON_IDS } from '../src/demo/people.js'
import { runInProcess } from './helpers/command.js'
import { commandConfig, MAPPING, startTestGateway } from './helpers/gateway.js'
import { connect, dump } from './helpers/sql.js'
import { until } from './helpers/until.js'

const [superusers, ...others] = MAPPING

t.test('gatehouse policy', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const versions = async () => (await query('select number from policy_versions where source = $1', ['file'])).length
  t.ok(await until(async () => await versions() === 1))
  gateway.reload({ groupMapping: others })
  t.ok(await until(async () => await versions() === 2))
  gateway.reload({ groupMapping: MAPPING })
  await gateway.signIn(PERSON_IDS.superuser)
  const directory = t.testdir({
    'gatehouse.yaml': stringify({
      ...commandConfig(gateway),
      groupMapping: MAPPING,
    }),
    'policy.yaml': stringify({ groupMapping: others }),
    'wrong.yaml': 'groupMapping:\n  - entraGroup: NetBox Admins\nserver: {}\n',
  })
  const at = (name: string) => join(directory, name)
  const policy = (...args: string[]) => runInProcess(['policy', ...args, '--config', at('gatehouse.yaml')])
  const before = await dump(query)

  await t.test('versions, newest first', async (t) => {
    const { stdout, status } = await policy('versions')
    t.equal(status, 0)
    t.match(stdout, /VERSION .*\n2 +20.* replica:[^]*\n1 +20/)
    const { stdout: json } = await policy('versions', '--json')
    t.match(JSON.parse(json), [{ number: 2, parent: 1 }, { number: 1, parent: null }])
  })

  await t.test('show, diff and export: a version by its number, or the newest', async (t) => {
    t.match((await policy('show', '1')).stdout, new RegExp(`version  1\n[^]*${superusers?.entraGroup}`))
    t.notMatch((await policy('show')).stdout, superusers?.entraGroup)
    t.match((await policy('diff', '1')).stdout, new RegExp(`^-.*${superusers?.entraGroup}`, 'm'))
    t.match(await policy('diff', '2', '2'), { stdout: 'Both versions have the same meaning.\n', status: 0 })
    const { stdout } = await policy('export', '1')
    writeFileSync(at('exported.yaml'), stdout)
    t.match(await policy('check', at('exported.yaml')), { status: 0, stdout: /is a usable policy/ })
    t.match(await policy('show', '77'), { status: 1, stderr: /there is no policy version 77\n.*policy versions lists/ })
    t.match(await policy('show', 'x'), { status: 2, stderr: /Write the number of a version/ })
  })

  await t.test('check: every problem with its place', async (t) => {
    const { status, stderr } = await policy('check', at('wrong.yaml'))
    t.equal(status, 78)
    t.match(stderr, /wrong\.yaml:2:17: [^]*wrong\.yaml:3:1: server is not a part of the policy/)
    t.match(await policy('check', at('missing.yaml')), { status: 1, stderr: /missing\.yaml does not exist/ })
  })

  await t.test('preview: who would gain and lose what', async (t) => {
    const { status, stdout } = await policy('preview', at('policy.yaml'))
    t.equal(status, 0)
    t.match(stdout, /sue\.super@contoso\.example +loses +loses/)
    t.match(stdout, 'No request that was noted in the last day would be decided otherwise.')
    t.match(await policy('preview', at('wrong.yaml')), { status: 78 })
  })

  await t.test('preview: which requests of the last day would be decided otherwise', async (t) => {
    const ann = (await query<{ id: string }>('select id from users'))[0]?.id
    await query(
      `insert into sampled_requests (key, hour, replica, user_id, host, method, path, is_cut, rule, count)
      values ('a', now(), gen_random_uuid(), $1, 'app.test', 'GET', '/a/b/c', true, '', 7),
        ('b', now(), gen_random_uuid(), null, 'other.test', 'GET', '/', false, '', 1)`,
      [ann],
    )
    const rules = [{ hosts: ['app.test'], allow: 'deny' }]
    writeFileSync(at('closing.yaml'), stringify({ groupMapping: others, access: { rules } }))
    const { stdout } = await policy('preview', at('closing.yaml'))
    t.match(
      stdout,
      /sue\.super@contoso\.example +GET app\.test\/a\/b\/c\.\.\. +7 +allowed.* +refused, access\.rules\[0\]/,
    )
    t.match(stdout, /1 of 2 different requests of the last day would be decided otherwise\.\nPaths that end in/)
    const { stdout: json } = await policy('preview', at('closing.yaml'), '--json')
    t.match(JSON.parse(json), { sampled: { compared: 2, differing: 1, requests: [{ userId: ann }] }, changes: [{}] })
    await query('delete from sampled_requests')
  })

  t.equal(await dump(query), before, 'nothing has changed')
})
