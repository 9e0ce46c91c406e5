// What NetBox's group mapping does at a login and what Gatehouse does in its place, where no other suite asks
// (docs/parity.md): who somebody is, which groups count, and that no refusal of Graph takes anything away.
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import type { AnswerFault } from '../../src/demo/entra/faults.js'
import { importNetbox } from '../../src/netbox/import.js'
import { errorCode } from '../helpers/assertions.js'
import { startTestGateway } from '../helpers/gateway.js'
import { connect, dump, type Query } from '../helpers/sql.js'

const OTHER_TENANT = '9188040d-6c67-4c5b-b112-36a304b66dad'

/** The groups and flags that the database holds of a username. */
async function rightsOf(
  query: Query,
  username: string,
): Promise<{ groups: unknown, staff: unknown, superuser: unknown }> {
  const [row] = await query(
    `select is_staff as staff, is_superuser as superuser, array(
    select g.name from user_groups ug join groups g on g.id = ug.group_id where ug.user_id = users.id order by 1) as
      groups from users where username = $1`,
    [username],
  )
  return { groups: row?.groups, staff: row?.staff, superuser: row?.superuser }
}

const usernameOf = async (query: Query, oid: string) =>
  (await query('select username from identities join users on id = user_id where oid = $1 and tid <> $2', [
    oid,
    OTHER_TENANT,
  ]))[0]?.username

t.test('identity of a user', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const { directory } = gateway.entra

  // proves: known-user-found, username-kept, email-kept, names-follow, identity-recorded
  await t.test('a new UPN, address and name in Entra changes the name, not user, username, e-mail', async (t) => {
    await gateway.signIn(PERSON_IDS.staff)
    const sam = directory.users.get(PERSON_IDS.staff)!
    Object.assign(sam, {
      userPrincipalName: 'samuel@contoso.example',
      mail: 'samuel@contoso.example',
      displayName: 'Samuel Stave',
      givenName: 'Samuel',
      surname: 'Stave',
    })
    t.equal((await gateway.signIn(PERSON_IDS.staff)).answer.status, 200)
    t.same(await query('select username, email, name, given_name, family_name, is_active from users'), [
      {
        username: 'sam.staff@contoso.example',
        email: 'sam.staff@contoso.example',
        name: 'Samuel Stave',
        given_name: 'Samuel',
        family_name: 'Stave',
        is_active: true,
      },
    ])
  })

  // proves: one-person-per-object-id
  await t.test("a reused UPN belongs to a new user without the previous holder's rights", async (t) => {
    await gateway.signIn(PERSON_IDS.superuser)
    const { userPrincipalName, mail } = directory.users.get(PERSON_IDS.superuser)!
    directory.removeUser(PERSON_IDS.superuser)
    Object.assign(directory.users.get(PERSON_IDS.nobody)!, { userPrincipalName, mail })
    t.equal((await gateway.signIn(PERSON_IDS.nobody)).answer.status, 200)
    const username = String(await usernameOf(query, PERSON_IDS.nobody))
    t.match(username, /^sue\.super-[0-9a-f]{8}@contoso\.example$/)
    t.same(await rightsOf(query, username), { groups: [], staff: false, superuser: false })
    t.match(await rightsOf(query, 'sue.super@contoso.example'), { superuser: true }, 'and theirs are not touched')
  })

  // proves: one-person-per-tenant
  await t.test('the same object ID in another tenant is another user', async (t) => {
    await query("insert into users (username, username_key, is_superuser) values ('stranger', 'stranger', true)")
    await query("insert into identities (tid, oid, user_id) select $1, $2, id from users where username = 'stranger'", [
      OTHER_TENANT,
      PERSON_IDS.guest,
    ])
    t.equal((await gateway.signIn(PERSON_IDS.guest)).answer.status, 200)
    t.equal(await usernameOf(query, PERSON_IDS.guest), 'gus.guest@fabrikam.example')
    t.match(await rightsOf(query, 'stranger'), { superuser: true })
  })

  // proves: other-people-untouched
  await t.test('a break-glass account keeps its rights at every sign-in, also with its e-mail address', async (t) => {
    await query(
      "insert into users (username, username_key, email, is_break_glass, is_superuser) values ('glass', 'glass', " +
        "'nina.nested@contoso.example', true, true)",
    )
    await query(
      'insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g where u.username = ' +
        "'glass' and g.name = 'NetBox Superusers'",
    )
    t.equal((await gateway.signIn(PERSON_IDS.nested)).answer.status, 200)
    t.equal(await usernameOf(query, PERSON_IDS.nested), 'nina.nested@contoso.example')
    t.same(await rightsOf(query, 'glass'), { groups: ['NetBox Superusers'], staff: false, superuser: true })
  })
})

t.test('which groups count', async (t) => {
  const gateway = await startTestGateway(t, {
    config: { defaultGroups: ['Read Only'] },
    app: { groupMembershipClaims: 'All' },
  })
  const query = await connect(t, gateway.databaseUrl)
  const { directory, faults } = gateway.entra

  // proves: default-groups-wiped
  await t.test("default groups are gone when the login is over, as after NetBox's last step", async (t) => {
    await gateway.signIn(PERSON_IDS.staff)
    t.same((await rightsOf(query, 'sam.staff@contoso.example')).groups, ['Network Engineers'])
  })

  // proves: every-kind-of-group
  await t.test('a Microsoft 365 group counts like any other', async (t) => {
    const id = '0d2f6a58-6c1e-4b5f-9a3d-2b7c8d9e0f13'
    directory.addObject({
      id,
      type: 'group',
      displayName: 'Everybody may join',
      securityEnabled: false,
      groupTypes: ['Unified'],
    })
    directory.addMember(id, PERSON_IDS.guest)
    const mapped = await gateway.restart({ groupMapping: [{ entraGroup: id, groups: ['NetBox Admins'], staff: true }] })
    await mapped.signIn(PERSON_IDS.guest)
    t.same(await rightsOf(query, 'gus.guest@fabrikam.example'), {
      groups: ['NetBox Admins'],
      staff: true,
      superuser: false,
    })
    await mapped.close()
  })

  // proves: exact-names
  await t.test('names of local groups are compared exactly', async (t) => {
    const other = await startTestGateway(t, { groups: ['network engineers', 'Network  Engineers'] })
    await other.signIn(PERSON_IDS.staff)
    const rows = await connect(t, other.databaseUrl)
    t.same((await rightsOf(rows, 'sam.staff@contoso.example')).groups, [], 'a name in other letters is another group')
    t.ok(other.log.some((line) => line.msg === 'Azure AD group mapping - group not found locally: Network Engineers'))
  })

  // proves: token-groups-ignored
  await t.test('the groups claim of the token grants nothing, and its absence takes nothing', async (t) => {
    const again = await gateway.restart()
    faults.add({
      on: 'token',
      then: {
        kind: 'mutateClaims',
        change: (claims) => {
          claims.groups = [GROUP_IDS.netboxSuperusers]
        },
      },
    })
    await again.signIn(PERSON_IDS.nobody)
    t.same(await rightsOf(query, 'nobody.noone@contoso.example'), { groups: [], staff: false, superuser: false })
    await again.signIn(PERSON_IDS.many)
    t.same(
      (await rightsOf(query, 'max.many@contoso.example')).groups,
      ['Circuit Manager'],
      'of 2,500 groups, which no token carries',
    )
    await again.close()
  })
})

t.test('Graph that refuses takes nothing away', async (t) => {
  const gateway = await startTestGateway(t, { config: { entra: { loginBudget: '2s' } } })
  const query = await connect(t, gateway.databaseUrl)
  const { browser } = await gateway.signIn(PERSON_IDS.superuser)
  const stands = { groups: ['NetBox Superusers'], staff: true, superuser: true }

  /** A login that this happens to: refused under this code, with rights, rows and the earlier session as they were. */
  const fails = async (t: Test, then: AnswerFault, expected: string): Promise<Record<string, unknown> | undefined> => {
    const before = await dump(query)
    gateway.entra.faults.add({ on: 'graph', times: Infinity, then })
    const { answer } = await gateway.signIn(PERSON_IDS.superuser)
    gateway.entra.faults.clear()
    t.equal(errorCode(answer), expected)
    t.same(await rightsOf(query, 'sue.super@contoso.example'), stands)
    t.equal(await dump(query), before, 'nothing was written')
    t.equal(
      (await gateway.ask('/oauth2/auth', { browser })).headers.get('x-auth-request-superuser'),
      'true',
      'the earlier session is what it was',
    )
    return gateway.log.filter((line) => line.code === expected).at(-1)
  }
  const error = (status: number, name: string): AnswerFault => ({
    kind: 'status',
    status,
    headers: { 'retry-after': '0' },
    body: { error: { code: name } },
  })

  // proves: broken-is-no-answer, endpoint-named
  await t.test('a connection that breaks', async (t) => {
    const line = await fails(t, { kind: 'reset' }, 'graph_unavailable')
    t.match(line?.detail, gateway.entra.graphUrl, 'the log names the endpoint')
  })
  // proves: no-json-is-no-answer
  await t.test('an answer that is no JSON', async (t) => {
    await fails(t, { kind: 'html' }, 'graph_not_json')
    await fails(t, { kind: 'status', status: 200, body: '{"value":[' }, 'graph_not_json')
  })
  // proves: refusal-is-no-answer, forbidden-explained
  await t.test('401, 403, 404 and 429 with a JSON body', async (t) => {
    await fails(t, error(401, 'InvalidAuthenticationToken'), 'graph_unauthorized')
    const line = await fails(t, error(403, 'Authorization_RequestDenied'), 'graph_forbidden')
    t.match(
      line?.remedy,
      /User\.Read\b.*entra\.membershipPath: me.*GroupMember\.Read\.All/,
      'the log names each way out',
    )
    await fails(t, error(404, 'Request_ResourceNotFound'), 'person_not_found')
    await fails(t, error(429, 'TooManyRequests'), 'graph_throttled')
  })
  // proves: status-checked
  await t.test('a list of groups under a status that is not 200', async (t) => {
    await fails(t, { kind: 'status', status: 403, body: { value: [] } }, 'graph_forbidden')
    await fails(t, { kind: 'status', status: 206, body: { value: [] } }, 'graph_malformed')
  })
  // proves: list-required
  await t.test('a body without a list is not "no groups"', async (t) => {
    for (const body of [{}, { value: null }, { error: { code: 'x' } }]) {
      await fails(t, { kind: 'body', body }, 'graph_malformed')
    }
  })
  // proves: one-transaction
  await t.test('a database that fails at the very end', async (t) => {
    await query("create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$")
    await query(
      "create trigger refuse before insert on audit_events for each row when (new.action = 'login') execute function " +
        'refuse()',
    )
    await fails(t, { kind: 'body', body: { value: [] } }, 'internal')
    await query('drop trigger refuse on audit_events')
  })
  // proves: empty-list-counts
  await t.test('an empty list is "no groups": everything is taken away, also in the session from before', async (t) => {
    gateway.entra.faults.add({ on: 'graph', then: { kind: 'body', body: { value: [] } } })
    t.equal((await gateway.signIn(PERSON_IDS.superuser)).answer.status, 200)
    t.same(await rightsOf(query, 'sue.super@contoso.example'), { groups: [], staff: false, superuser: false })
    const { headers } = await gateway.ask('/oauth2/auth', { browser })
    t.same(
      {
        'x-auth-request-groups': headers.get('x-auth-request-groups'),
        'x-auth-request-superuser': headers.get('x-auth-request-superuser'),
      },
      { 'x-auth-request-groups': '', 'x-auth-request-superuser': 'false' },
    )
  })
})

// proves: log-line
t.test("each login logs one line with user, groups and flags that both greps of NetBox's manual match", async (t) => {
  const gateway = await startTestGateway(t)
  await gateway.signIn(PERSON_IDS.staff)
  const found = gateway.rawLog.filter((line) =>
    /azure.*group/i.test(line) && line.includes('Azure AD group mapping') && line.includes('sam.staff@contoso.example')
  )
  t.equal(found.length, 1)
  t.match(JSON.parse(found[0] ?? ''), {
    level: 'info',
    user: 'sam.staff@contoso.example',
    groupsAdded: ['Network Engineers'],
    groupsRemoved: [],
    staff: true,
    superuser: false,
  })
})

// proves: sample-ids-left-out
t.test('a NetBox configuration, imported, grants at a login what it says', async (t) => {
  const sampleIds = "'a1b2c3d4-e5f6-7890-1234-567890abcdefg': 'Never', 'b2c3d4e5-f6a7-8901-2345-678901bcdefgh': 'Never'"
  const { yaml, problems } = importNetbox(
    Buffer.from(`SOCIAL_AUTH_PIPELINE_CONFIG = {
    'AZUREAD_USER_FLAGS_BY_GROUP': {'is_staff': ['${GROUP_IDS.netboxSuperusers}', '${GROUP_IDS.netboxAdmins}'],
      'is_superuser': ['${GROUP_IDS.netboxSuperusers}', '${GROUP_IDS.readOnly}']},
    'AZUREAD_GROUP_MAP': {'${GROUP_IDS.netboxAdmins}': 'NetBox Admins', '${GROUP_IDS.networkEngineers}':
      'Network Engineers', '${GROUP_IDS.readOnly}': 'Network Engineers', ${sampleIds}},
}`),
    'configuration.py',
  )
  t.same(
    problems.map((problem) => problem.code),
    ['guid_not_hex', 'guid_not_hex'],
    'the sample ids of the manual, which nobody has',
  )
  const gateway = await startTestGateway(t, {
    config: { groupMapping: (parse(yaml) as { groupMapping: unknown }).groupMapping },
  })
  const query = await connect(t, gateway.databaseUrl)
  gateway.entra.directory.addMember(GROUP_IDS.netboxAdmins, PERSON_IDS.staff)
  for (const person of ['staff', 'superuser', 'guest', 'nobody'] as const) {
    t.equal((await gateway.signIn(PERSON_IDS[person])).answer.status, 200, person)
  }
  t.same(await rightsOf(query, 'sam.staff@contoso.example'), {
    groups: ['NetBox Admins', 'Network Engineers'],
    staff: true,
    superuser: false,
  })
  t.same(
    await rightsOf(query, 'sue.super@contoso.example'),
    { groups: [], staff: true, superuser: true },
    'flags without a group',
  )
  t.same(await rightsOf(query, 'gus.guest@fabrikam.example'), {
    groups: ['Network Engineers'],
    staff: false,
    superuser: true,
  }, 'superuser does not imply staff; another id grants the same group')
  t.same(await rightsOf(query, 'nobody.noone@contoso.example'), { groups: [], staff: false, superuser: false })
})
