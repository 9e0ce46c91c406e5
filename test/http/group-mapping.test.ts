// The mapping met by unusual tenants: groups that are no security groups, names in every script, usernames that look alike.
import t from 'tap'
import { GROUP_IDS, PERSON_IDS, DEMO_DOMAIN } from '../../src/demo/people.js'
import type { Answer, Browser } from '../helpers/browser.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { stopPostgres } from '../helpers/postgres.js'
import { connect, dump } from '../helpers/sql.js'

t.teardown(stopPostgres)

const code = (answer: Answer): string | undefined => /data-field="code">([^<]+)</.exec(answer.text)?.[1]
const headers = async (gateway: TestGateway, browser: Browser): Promise<Headers> => (await gateway.ask('/oauth2/auth', { browser })).headers

t.test('securityGroupsOnly', async (t) => {
  const TEAM = 'e0000000-0000-4000-8000-0000000000aa'
  const options = {
    config: { entra: { securityGroupsOnly: true }, groupMapping: [{ entraGroup: TEAM, groups: ['Team'] }, { entraGroup: GROUP_IDS.networkEngineers, groups: ['Network Engineers'] }] },
    groups: ['Team', 'Network Engineers'],
    app: { delegatedPermissions: ['User.Read', 'GroupMember.Read.All'] },
  }
  const gateway = await startTestGateway(t, options)
  gateway.entra.directory.addObject({ id: TEAM, type: 'group', displayName: 'A Team', groupTypes: ['Unified'], securityEnabled: false })
  gateway.entra.directory.addMember(TEAM, PERSON_IDS.staff)
  const query = await connect(t, gateway.databaseUrl)

  await t.test('counts security groups alone, nested ones too', async (t) => {
    for (const person of [PERSON_IDS.staff, PERSON_IDS.nested]) {
      const { browser, answer } = await gateway.signIn(person)
      t.equal(answer.status, 200)
      t.equal((await headers(gateway, browser)).get('x-auth-request-groups'), 'Network Engineers')
    }
    t.same(await query('select $1 = any(group_ids) as held from entra_readings r join identities i on i.user_id = r.user_id where oid = $2', [TEAM, PERSON_IDS.staff]), [{ held: false }])
    t.match(gateway.entra.requests.filter(({ path }) => path.endsWith('/authorize')).at(-1)?.query, { scope: new RegExp(`${gateway.entra.graphUrl}/GroupMember\\.Read\\.All`) }, 'and asks for what it takes')
  })

  await t.test('without it they all count', async (t) => {
    const everything = await gateway.restart({ entra: { securityGroupsOnly: false } })
    const { browser } = await everything.signIn(PERSON_IDS.staff)
    t.equal((await headers(everything, browser)).get('x-auth-request-groups'), 'Network Engineers,Team')
    await everything.close()
  })

  await t.test('fails closed where Graph does not say what a group is', async (t) => {
    const hidden = await startTestGateway(t, options)
    const hiddenQuery = await connect(t, hidden.databaseUrl)
    const { browser } = await hidden.signIn(PERSON_IDS.staff)
    const stored = await dump(hiddenQuery)
    hidden.entra.faults.add({ on: 'graph', page: 1, then: { kind: 'body', body: { value: [{ '@odata.type': '#microsoft.graph.group', id: GROUP_IDS.networkEngineers, securityEnabled: null }] } } })
    const { answer } = await hidden.signIn(PERSON_IDS.staff)
    t.equal(answer.status, 502)
    t.equal(code(answer), 'graph_security_hidden')
    t.equal(await dump(hiddenQuery), stored)
    t.equal((await hidden.ask('/oauth2/auth', { browser })).status, 200)
    t.match(hidden.log.find((line) => line.code === 'graph_security_hidden'), { remedy: /GroupMember\.Read\.All/ })
  })
})

t.test('local groups may be named in any script; headers carry them percent-encoded', async (t) => {
  const names = ['🦊 Füchse', 'مهندسو الشبكة', '网络工程师', '100 % sure', 'a;b=c', 'x'.repeat(150), 'Ωmega', '"quoted" \\ back', '<b>bold</b>']
  const gateway = await startTestGateway(t, { groups: names, config: { groupMapping: [{ entraGroup: GROUP_IDS.networkEngineers, groups: names }] } })
  const { browser, answer } = await gateway.signIn(PERSON_IDS.staff)
  t.equal(answer.status, 200)
  t.match(answer.text, /&#60;b&#62;bold/)
  const sent = (await headers(gateway, browser)).get('remote-groups') ?? ''
  t.match(sent, /^[\x20-\x7e]+$/)
  t.strictSame(sent.split(',').map(decodeURIComponent).sort(), [...names].sort())
})

t.test('people whose names differ by case or Unicode form alone are different users with different usernames', async (t) => {
  const upns = [`kim@${DEMO_DOMAIN}`, `KIM@${DEMO_DOMAIN}`, `ｋｉｍ@${DEMO_DOMAIN}`, `Ｋim@${DEMO_DOMAIN}`, `ķim@${DEMO_DOMAIN}`, `k\u0327im@${DEMO_DOMAIN}`, 'админ', '管理者', 'admin', 'Ａdmin', 'ROOT', '\u200bkim', ' ', `..${'/'.repeat(3)}`]
  const ids = upns.map((_, index) => `f0000000-0000-4000-8000-${String(index).padStart(12, '0')}`)
  const gateway = await startTestGateway(t, {
    app: { optionalClaims: ['upn'] },
    seed: (directory) => {
      for (const [index, userPrincipalName] of upns.entries()) directory.addUser({ id: ids[index] ?? '', displayName: 'Kim', userPrincipalName, accountEnabled: true, userType: 'Member', signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z' })
    },
  })
  const query = await connect(t, gateway.databaseUrl)
  for (const id of ids) t.equal((await gateway.signIn(id)).answer.status, 200, id)
  const users = await query<{ username: string, oid: string }>('select username, oid from users join identities on user_id = users.id order by oid')
  t.equal(users.length, upns.length)
  const keys = users.map(({ username }) => username.normalize('NFKC').toLowerCase())
  t.equal(new Set(keys).size, upns.length, 'no two are alike')
  t.equal(users[0]?.username, `kim@${DEMO_DOMAIN}`)
  for (const { username } of users.slice(1)) t.match(username, /[0-9a-f]{16}$/, username)
  for (const name of ['admin', 'root', 'administrator']) t.notOk(keys.includes(name), `${name} is reserved`)
})
