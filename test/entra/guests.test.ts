// People whom Graph refuses the list of everything they are in, as tenants that restrict guests do: the list of groups
// alone is asked for instead, once, and counted (canonical/authd issue 517).
import t, { type Test } from 'tap'
import type { AnswerFault } from '../../src/demo/entra/faults.js'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { startTestGateway, type TestGateway, type TestGatewayOptions } from '../helpers/gateway.js'
import { attempt, recordedGroups, refused, sample, signedIn, type Envelope, type Outcome } from './helper.js'

const { guest } = PERSON_IDS
const CAST = 'transitiveMemberOf/microsoft.graph.group'
const { body: DENIED } = sample<Envelope>('graph-error-403-insufficient-privileges.json')

type Access = 'groups' | 'none'

async function gatewayWithGuest(
  t: Test,
  options: TestGatewayOptions = {},
  access: Access = 'groups',
): Promise<TestGateway> {
  const gateway = await startTestGateway(t, options)
  const person = gateway.entra.directory.users.get(guest)
  if (person) person.membershipAccess = access
  return gateway
}

const paths = ({ graph }: Outcome) => graph.map(({ path }) => path.replace('/v1.0/', ''))
const groups = (ids: readonly string[], more: Record<string, unknown> = {}): AnswerFault => ({
  kind: 'body',
  body: { ...more, value: ids.map((id) => ({ id })) },
})

t.test('a guest who may only be listed the groups', async (t) => {
  for (const [membershipPath, owner] of [['users', `users/${guest}`], ['me', 'me']] as const) {
    await t.test(`entra.membershipPath: ${membershipPath}`, async (t) => {
      const gateway = await gatewayWithGuest(t, { config: { entra: { membershipPath } } })
      const outcome = await attempt(gateway, { person: guest })
      signedIn(t, outcome, { token: 1, graph: 2 })
      t.strictSame(paths(outcome), [`${owner}/transitiveMemberOf`, `${owner}/${CAST}`])
      t.equal(outcome.graph[0]?.headers.consistencylevel, undefined, 'the first list does not come from the index')
      t.equal(outcome.graph[1]?.headers.consistencylevel, 'eventual')
      t.strictSame(outcome.graph[1]?.query, { $select: 'id', $top: '999', $count: 'true' })
      const everything = gateway.entra.directory.transitiveMemberOf(guest)
      const expected = everything.filter((id) => gateway.entra.directory.objects.get(id)?.type === 'group')
      t.strictSame(await recordedGroups(gateway, guest), expected.sort())
    })
  }

  // proves: adv-guests-cast, adv-guests-consistency
  await t.test('every page of the list is asked for with the header and the count', async (t) => {
    const gateway = await gatewayWithGuest(t)
    join(gateway, 2_100)
    const outcome = await attempt(gateway, { person: guest })
    signedIn(t, outcome, { graph: 4 })
    t.ok((await recordedGroups(gateway, guest)).length >= 2_100)
    for (const { headers, query, path } of outcome.graph.slice(1)) {
      t.ok(path.endsWith(CAST))
      t.equal(headers.consistencylevel, 'eventual')
      t.equal(query.$count, 'true')
    }
  })

  // proves: adv-guests-next-page
  await t.test('a link to the next page without $count gets it', async (t) => {
    const gateway = await gatewayWithGuest(t)
    const next = `${gateway.entra.graphUrl}/v1.0/users/${guest}/${CAST}?$select=id&$skiptoken=two`
    const first = groups([GROUP_IDS.readOnly], { '@odata.count': 2, '@odata.nextLink': next })
    gateway.entra.faults.add({ on: 'graph', path: CAST, then: first })
    gateway.entra.faults.add({ on: 'graph', path: /skiptoken=two&\$count=true$/, then: groups([GROUP_IDS.berlinTeam]) })
    signedIn(t, await attempt(gateway, { person: guest }), { graph: 3 })
    t.strictSame(await recordedGroups(gateway, guest), [GROUP_IDS.berlinTeam, GROUP_IDS.readOnly].sort())
  })

  await t.test('entra.securityGroupsOnly', async (t) => {
    const app = { delegatedPermissions: ['openid', 'profile', 'email', 'User.Read', 'GroupMember.Read.All'] }
    const gateway = await gatewayWithGuest(t, { app, config: { entra: { securityGroupsOnly: true } } })
    const { directory } = gateway.entra
    directory.addObject({ id: MAIL, type: 'group', displayName: 'Mail', securityEnabled: false })
    directory.addMember(MAIL, guest)
    const outcome = await attempt(gateway, { person: guest })
    signedIn(t, outcome, { graph: 2 })
    t.strictSame(outcome.graph[1]?.query.$select, 'id,securityEnabled')
    const isSecure = (id: string) => directory.objects.get(id)?.securityEnabled === true
    const secure = directory.transitiveMemberOf(guest).filter(isSecure)
    t.strictSame(await recordedGroups(gateway, guest), secure.sort(), 'the other group was counted and does not count')
  })
})

const ROLE = { '@odata.type': '#microsoft.graph.directoryRole', 'id': GROUP_IDS.directoryReaders }
const MAIL = 'e1000000-0000-4000-8000-000000000001'

function join({ entra: { directory } }: TestGateway, howMany: number): void {
  for (let n = 0; n < howMany; n++) {
    const id = `e0000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
    directory.addObject({ id, type: 'group', displayName: `Group ${n}`, securityEnabled: true })
    directory.addMember(id, guest)
  }
}

t.test('the list of groups is complete or there is no login', async (t) => {
  const gateway = await gatewayWithGuest(t)
  const { faults } = gateway.entra
  const wrong: Readonly<Record<string, AnswerFault>> = {
    'fewer groups than were counted': groups([GROUP_IDS.readOnly], { '@odata.count': 2 }),
    'more groups than were counted': groups([GROUP_IDS.readOnly, GROUP_IDS.berlinTeam], { '@odata.count': 1 }),
    'one group twice': groups([GROUP_IDS.readOnly, GROUP_IDS.readOnly.toUpperCase()], { '@odata.count': 2 }),
    'no count': groups([]),
    'a count that is text': groups([], { '@odata.count': '0' }),
    'a count below zero': groups([], { '@odata.count': -1 }),
    'a role in place of a group': { kind: 'body', body: { '@odata.count': 1, 'value': [ROLE] } },
  }
  for (const [name, fault] of Object.entries(wrong)) {
    await t.test(name, async (t) => {
      faults.clear()
      faults.add({ on: 'graph', path: CAST, times: Infinity, then: fault })
      refused(t, await attempt(gateway, { person: guest }), 'graph_count_differs', { graph: 4 })
    })
  }
  // proves: adv-guests-counted
  await t.test('a count that differed once', async (t) => {
    faults.clear()
    faults.add({ on: 'graph', path: CAST, then: groups([], { '@odata.count': 1 }) })
    signedIn(t, await attempt(gateway, { person: guest }), { graph: 3 })
  })
})

t.test('refused for good', async (t) => {
  const gateway = await gatewayWithGuest(t, {}, 'none')
  const { faults } = gateway.entra

  // proves: adv-guests-remedy
  await t.test('the list of groups is refused too', async (t) => {
    const outcome = await attempt(gateway, { person: guest })
    refused(t, outcome, 'graph_forbidden', { graph: 2 })
    t.match(String(outcome.log.remedy), /guests.*Guest user access/, 'the remedy names guests')
  })
  // proves: adv-guests-first-page
  await t.test('a refusal on a later page is not asked about again', async (t) => {
    faults.add({ on: 'graph', page: 2, then: { kind: 'status', status: 403, body: DENIED } })
    refused(t, await attempt(gateway, { person: PERSON_IDS.many }), 'graph_forbidden', { graph: 2 })
  })
  await t.test('a refusal with another code, or with none, is asked about once more as well', async (t) => {
    for (const body of [{ error: { code: 'Forbidden' } }, '', { error: {} }]) {
      faults.add({ on: 'graph', then: { kind: 'status', status: 403, body } })
      signedIn(t, await attempt(gateway), { graph: 2 })
      faults.add({ on: 'graph', times: 2, then: { kind: 'status', status: 403, body } })
      refused(t, await attempt(gateway), 'graph_forbidden', { graph: 2 })
    }
  })
  await t.test('an advanced query that is not supported has no plain form', async (t) => {
    const unsupported = { kind: 'status', status: 400, body: { error: { code: 'Request_UnsupportedQuery' } } } as const
    faults.add({ on: 'graph', path: CAST, then: unsupported })
    refused(t, await attempt(gateway, { person: guest }), 'graph_request_refused', { graph: 2 })
  })
})
