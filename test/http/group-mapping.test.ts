// The mapping met by unusual tenants: groups that are no security groups, names in every script, usernames that look
// alike.
import t from 'tap'
import { GROUP_IDS, PERSON_IDS, DEMO_DOMAIN } from '../../src/demo/people.js'
import { errorCode } from '../helpers/assertions.js'
import type { Browser } from '../helpers/browser.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { connect, dump } from '../helpers/sql.js'

const headers = async (gateway: TestGateway, browser: Browser): Promise<Headers> =>
  (await gateway.ask('/oauth2/auth', { browser })).headers

t.test('securityGroupsOnly', async (t) => {
  const TEAM = 'e0000000-0000-4000-8000-0000000000aa'
  const options = {
    config: {
      entra: { securityGroupsOnly: true },
      groupMapping: [{ entraGroup: TEAM, groups: ['Team'] }, {
        entraGroup: GROUP_IDS.networkEngineers,
        groups: ['Network Engineers'],
      }],
    },
    groups: ['Team', 'Network Engineers'],
    app: { delegatedPermissions: ['User.Read', 'GroupMember.Read.All'] },
  }
  const gateway = await startTestGateway(t, options)
  gateway.entra.directory.addObject({
    id: TEAM,
    type: 'group',
    displayName: 'A Team',
    groupTypes: ['Unified'],
    securityEnabled: false,
  })
  gateway.entra.directory.addMember(TEAM, PERSON_IDS.staff)
  const query = await connect(t, gateway.databaseUrl)

  await t.test('counts security groups alone, nested ones too', async (t) => {
    for (const person of [PERSON_IDS.staff, PERSON_IDS.nested]) {
      const { browser, answer } = await gateway.signIn(person)
      t.equal(answer.status, 200)
      t.equal((await headers(gateway, browser)).get('x-auth-request-groups'), 'Network Engineers')
    }
    t.same(
      await query(
        'select $1 = any(group_ids) as held from entra_readings r join identities i on i.user_id = r.user_id where ' +
          'oid = $2',
        [TEAM, PERSON_IDS.staff],
      ),
      [{ held: false }],
    )
    t.match(gateway.entra.requests.filter(({ path }) => path.endsWith('/authorize')).at(-1)?.query, {
      scope: new RegExp(`${gateway.entra.graphUrl}/GroupMember\\.Read\\.All`),
    }, 'and asks for what it takes')
  })

  await t.test('without it they all count', async (t) => {
    const everything = await gateway.restart({ entra: { securityGroupsOnly: false } })
    const { browser } = await everything.signIn(PERSON_IDS.staff)
    t.equal((await headers(everything, browser)).get('x-auth-request-groups'), 'Network Engineers,Team')
    await everything.close()
  })

  // proves: security-null
  await t.test('fails closed if Graph omits the type of a group', async (t) => {
    const hidden = await startTestGateway(t, options)
    const hiddenQuery = await connect(t, hidden.databaseUrl)
    const { browser } = await hidden.signIn(PERSON_IDS.staff)
    const stored = await dump(hiddenQuery)
    hidden.entra.faults.add({
      on: 'graph',
      page: 1,
      then: {
        kind: 'body',
        body: {
          value: [{ '@odata.type': '#microsoft.graph.group', id: GROUP_IDS.networkEngineers, securityEnabled: null }],
        },
      },
    })
    const { answer } = await hidden.signIn(PERSON_IDS.staff)
    t.equal(answer.status, 502)
    t.equal(errorCode(answer), 'graph_security_hidden')
    t.equal(await dump(hiddenQuery), stored)
    t.equal((await hidden.ask('/oauth2/auth', { browser })).status, 200)
    t.match(hidden.log.find((line) => line.code === 'graph_security_hidden'), { remedy: /GroupMember\.Read\.All/ })
  })
})

t.test('local groups may be named in any script; headers carry them percent-encoded', async (t) => {
  const names = [
    '🦊 Füchse',
    'مهندسو الشبكة',
    '网络工程师',
    '100 % sure',
    'a;b=c',
    'x'.repeat(150),
    'Ωmega',
    '"quoted" \\ back',
    '<b>bold</b>',
  ]
  const gateway = await startTestGateway(t, {
    groups: names,
    config: { groupMapping: [{ entraGroup: GROUP_IDS.networkEngineers, groups: names }] },
  })
  const { browser, answer } = await gateway.signIn(PERSON_IDS.staff)
  t.equal(answer.status, 200)
  t.match(answer.text, /&#60;b&#62;bold/)
  const sent = (await headers(gateway, browser)).get('remote-groups') ?? ''
  t.match(sent, /^[\x20-\x7e]+$/)
  t.strictSame(sent.split(',').map(decodeURIComponent).sort(), [...names].sort())
})

/** A name that was taken, reserved, or has nothing left when it is cleaned. */
const SUFFIXED = /(?:^|-)[0-9a-f]{8}(?:@|$)/

t.test('names that differ only by case or Unicode form belong to different users and usernames', async (t) => {
  const upns = [
    `kim@${DEMO_DOMAIN}`,
    `KIM@${DEMO_DOMAIN}`,
    `ｋｉｍ@${DEMO_DOMAIN}`,
    `Ｋim@${DEMO_DOMAIN}`,
    `ķim@${DEMO_DOMAIN}`,
    `k\u0327im@${DEMO_DOMAIN}`,
    'админ',
    '管理者',
    'admin',
    'Ａdmin',
    'ROOT',
    '\u200bkim',
    ' ',
    `..${'/'.repeat(3)}`,
  ]
  const ids = upns.map((_, index) => `f0000000-0000-4000-8000-${String(index).padStart(12, '0')}`)
  const gateway = await startTestGateway(t, {
    app: { optionalClaims: ['upn'] },
    seed: (directory) => {
      for (const [index, userPrincipalName] of upns.entries()) {
        directory.addUser({
          id: ids[index] ?? '',
          displayName: 'Kim',
          userPrincipalName,
          accountEnabled: true,
          userType: 'Member',
          signInSessionsValidFromDateTime: '2026-01-05T08:00:00Z',
        })
      }
    },
  })
  const query = await connect(t, gateway.databaseUrl)
  for (const id of ids) t.equal((await gateway.signIn(id)).answer.status, 200, id)
  const users = await query<{ username: string, oid: string }>(
    'select username, oid from users join identities on user_id = users.id order by oid',
  )
  t.equal(users.length, upns.length)
  const keys = users.map(({ username }) => username.normalize('NFKC').toLowerCase())
  t.equal(new Set(keys).size, upns.length, 'no two are alike')
  t.equal(users[0]?.username, `kim@${DEMO_DOMAIN}`)
  const alone = new Set(users.map(({ username }) => username).filter((username) => !SUFFIXED.test(username)))
  t.strictSame(
    alone,
    new Set([`kim@${DEMO_DOMAIN}`, `im@${DEMO_DOMAIN}`, 'dmin', 'kim', '..']),
    'names that are free and not reserved',
  )
  for (const name of ['admin', 'root', 'administrator']) t.notOk(keys.includes(name), `${name} is reserved`)
})

t.test('users without an Entra identity, including break-glass users, are not changed by any login', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  await query(
    "insert into users (username, username_key, email, is_staff, is_superuser, is_break_glass) values ('root-here', " +
      "'root-here', 'sam.staff@contoso.example', true, true, true), ('local', 'local', 'sue.super@contoso.example', " +
      'true, false, false)',
  )
  await query(
    'insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g where u.username in ' +
      "('root-here', 'local') and g.name = 'NetBox Admins'",
  )
  const theirs = () =>
    query(
      'select u.*, (select array_agg(group_id) from user_groups where user_id = u.id) as held from users u where ' +
        "username in ('root-here', 'local') order by username",
    )
  const before = await theirs()
  for (const person of [PERSON_IDS.staff, PERSON_IDS.superuser, PERSON_IDS.nobody]) {
    t.equal((await gateway.signIn(person)).answer.status, 200)
  }
  t.strictSame(await theirs(), before)
})

t.test('tenant and object id identify a user: a new name keeps the user, a reused one makes another', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const { users } = gateway.entra.directory
  await gateway.signIn(PERSON_IDS.superuser)
  const [sue] = await query('select id, username, email from users')
  const name = users.get(PERSON_IDS.superuser)!.userPrincipalName
  Object.assign(users.get(PERSON_IDS.superuser)!, {
    userPrincipalName: `susan.super@${DEMO_DOMAIN}`,
    mail: `susan.super@${DEMO_DOMAIN}`,
    displayName: 'Susan Super',
  })
  Object.assign(users.get(PERSON_IDS.nobody)!, { userPrincipalName: name, mail: name })
  await gateway.signIn(PERSON_IDS.superuser)
  const { browser } = await gateway.signIn(PERSON_IDS.nobody)
  t.match(await query('select id, username, email, name, is_superuser from users order by is_superuser desc'), [
    { id: sue?.id, username: sue?.username, email: sue?.email, name: 'Susan Super', is_superuser: true },
    { username: /^sue\.super-[0-9a-f]{8}@contoso\.example$/, is_superuser: false },
  ])
  t.equal((await headers(gateway, browser)).get('x-auth-request-superuser'), 'false')
})

t.test('a guest without UPN and e-mail is identified by object id', async (t) => {
  const gateway = await startTestGateway(t, { app: { optionalClaims: [] } })
  delete gateway.entra.directory.users.get(PERSON_IDS.guest)!.mail
  const { browser, answer } = await gateway.signIn(PERSON_IDS.guest)
  t.equal(answer.status, 200)
  t.equal((await headers(gateway, browser)).get('x-auth-request-groups'), 'Read Only')
})

t.test('a deactivated person gets no second account by their e-mail', async (t) => {
  const gateway = await startTestGateway(t, { config: { associateByEmail: true } })
  const query = await connect(t, gateway.databaseUrl)
  await gateway.signIn(PERSON_IDS.staff)
  await query("update users set is_active = false where username like 'sam%'")
  await query(
    "insert into users (username, username_key, email) values ('other-sam', 'other-sam', 'sam.staff@contoso.example')",
  )
  const stored = await dump(query)
  t.equal(errorCode((await gateway.signIn(PERSON_IDS.staff)).answer), 'user_inactive')
  t.equal(await dump(query), stored)
})

t.test('local groups are known by their exact names', async (t) => {
  const gateway = await startTestGateway(t, {
    groups: ['network engineers', 'Network  Engineers', 'Network_Engineers'],
  })
  const { browser, answer } = await gateway.signIn(PERSON_IDS.staff)
  t.equal(answer.status, 200)
  t.equal((await headers(gateway, browser)).get('x-auth-request-groups'), '')
  t.ok(gateway.log.some((line) => line.msg === 'Azure AD group mapping - group not found locally: Network Engineers'))
})

t.test('a groups claim in the id token counts for nothing', async (t) => {
  const gateway = await startTestGateway(t, { app: { groupMembershipClaims: 'All' } })
  gateway.entra.faults.add({
    on: 'token',
    then: {
      kind: 'mutateClaims',
      change: (claims) => {
        claims.groups = [GROUP_IDS.netboxSuperusers]
      },
    },
  })
  const { browser } = await gateway.signIn(PERSON_IDS.nobody)
  t.equal((await headers(gateway, browser)).get('x-auth-request-superuser'), 'false')
})
