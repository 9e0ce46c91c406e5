// Delta queries and throttling of the simulated Graph: what a correct client receives, and what is refused.
import t from 'tap'
import { createDirectory } from '../../src/demo/directory.js'
import { DEMO_TENANT_ID, GROUP_IDS, PEOPLE } from '../../src/demo/people.js'
import { start, type GraphBody, type Json } from './helper.js'

const { networkEngineers, allTeams, berlinTeam, readOnly } = GROUP_IDS
const filter = (...ids: readonly string[]) => encodeURIComponent(ids.map((id) => `id eq '${id}'`).join(' or '))
const groupsDelta = (...ids: readonly string[]) => `/groups/delta?$select=members&$filter=${filter(...ids)}`
const USERS_FROM_NOW = '/users/delta?$select=accountEnabled,signInSessionsValidFromDateTime&$deltatoken=latest'

type Client = Awaited<ReturnType<typeof start>>['client']

/** Every page of one round; `link` is that of the next one. */
async function round(client: Client, token: string, first: string) {
  const pages: GraphBody[] = []
  for (let url: string | undefined = first; url !== undefined;) {
    const { status, body, text } = await client.graph(url, token)
    if (status !== 200) throw new Error(`${status} ${text}`)
    pages.push(body)
    url = body['@odata.nextLink']
  }
  const link = pages.at(-1)?.['@odata.deltaLink']
  if (typeof link !== 'string') throw new Error('no deltaLink')
  const items = pages.flatMap(({ value = [] }) => value)
  return { pages, items, link, members: items.flatMap(membersIn) }
}

function membersIn(item: Json) {
  const members = (item['members@delta'] ?? []) as { 'id': string, '@odata.type': string, '@removed'?: unknown }[]
  return members.map((member) => {
    const sign = member['@removed'] === undefined ? '+' : '-'
    return `${sign}${member['@odata.type'].replace('#microsoft.graph.', '')} ${member.id}`
  })
}

t.test('a delta of groups lists the members, and then what has changed', async (t) => {
  const { entra, client } = await start(t)
  const token = await client.appOnly()
  const first = await round(client, token, groupsDelta(networkEngineers, allTeams))
  t.strictSame(first.items.map(({ id }) => id).sort(), [allTeams, networkEngineers].sort())
  t.ok(first.members.includes(`+group ${allTeams}`), 'a nested group is a member')
  t.ok(first.members.includes(`+user ${PEOPLE.staff.id}`))
  t.strictSame((await round(client, token, first.link)).items, [], 'nothing has changed')

  entra.directory.removeMember(networkEngineers, PEOPLE.staff.id)
  entra.directory.addMember(networkEngineers, PEOPLE.guest.id)
  entra.directory.addMember(readOnly, PEOPLE.staff.id)
  const second = await round(client, token, first.link)
  t.strictSame(
    second.members.sort(),
    [`+user ${PEOPLE.guest.id}`, `-user ${PEOPLE.staff.id}`].sort(),
    'of these groups alone',
  )
  t.strictSame((await round(client, token, second.link)).items, [])
  t.strictSame((await round(client, token, first.link)).members.sort(), second.members, 'an old link tells it again')

  entra.directory.removeObject(allTeams)
  const third = await round(client, token, second.link)
  t.strictSame(
    third.items.find(({ id }) => id === allTeams),
    { 'id': allTeams, '@removed': { reason: 'changed' } },
  )
})

t.test('a deleted account is in the delta of users, and not in that of its groups', async (t) => {
  const { entra, client } = await start(t)
  const token = await client.appOnly()
  const groups = await round(client, token, groupsDelta(networkEngineers))
  const users = await round(client, token, USERS_FROM_NOW)
  t.strictSame(users.items, [], '$deltatoken=latest has no content')
  entra.directory.removeUser(PEOPLE.staff.id)
  const guest = entra.directory.users.get(PEOPLE.guest.id)
  if (guest) guest.accountEnabled = false
  const changes = await round(client, token, users.link)
  t.strictSame(changes.items.find(({ id }) => id === PEOPLE.staff.id), {
    'id': PEOPLE.staff.id,
    '@removed': { reason: 'changed' },
  })
  t.match(changes.items.find(({ id }) => id === PEOPLE.guest.id), { accountEnabled: false })
  t.equal(changes.items.length, 2)
  t.strictSame((await round(client, token, groups.link)).members, [])
})

t.test('only selected properties are tracked', async (t) => {
  const { entra, client } = await start(t, { delta: { untracked: ['signInSessionsValidFromDateTime'] } })
  const token = await client.appOnly()
  t.equal((await client.graph(USERS_FROM_NOW, token)).status, 400)
  const { link } = await round(client, token, '/users/delta?$select=accountEnabled&$deltatoken=latest')
  const staff = entra.directory.users.get(PEOPLE.staff.id)
  if (staff) staff.displayName = 'Renamed'
  t.strictSame((await round(client, token, link)).items, [])
  t.equal((await client.graph('/users/delta?$select=nothing', token)).status, 400)
  t.equal((await client.graph('/groups/delta?$select=nothing', token)).status, 400)
})

t.test('a group with many members is on several pages', async (t) => {
  const directory = createDirectory(DEMO_TENANT_ID)
  const id = 'e0000000-0000-4000-8000-00000000aaaa'
  directory.addObject({ id, type: 'group', displayName: 'Many' })
  for (let n = 0; n < 25; n++) {
    const user = `e0000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
    directory.addUser({ ...PEOPLE.staff, id: user, userPrincipalName: `${n}@contoso.example` })
    directory.addMember(id, user)
  }
  const { client } = await start(t, { directory, delta: { pageSize: 10 } })
  const token = await client.appOnly()
  const { pages, members, items } = await round(client, token, groupsDelta(id))
  t.strictSame({ pages: pages.length, members: new Set(members).size }, { pages: 3, members: 25 })
  t.ok(items.every((item) => item.id === id), 'the same group on every page')
  t.ok(pages.every((page) => ('@odata.nextLink' in page) !== ('@odata.deltaLink' in page)))
})

t.test('replays repeat the changes of the answer before', async (t) => {
  const { entra, client } = await start(t, { delta: { replays: true } })
  const token = await client.appOnly()
  const first = await round(client, token, groupsDelta(networkEngineers))
  entra.directory.addMember(networkEngineers, PEOPLE.guest.id)
  const second = await round(client, token, first.link)
  const third = await round(client, token, second.link)
  const fourth = await round(client, token, third.link)
  t.strictSame([second.members, third.members, fourth.members], [
    [`+user ${PEOPLE.guest.id}`],
    [`+user ${PEOPLE.guest.id}`],
    [],
  ])
})

t.test('queries that Graph does not support are refused', async (t) => {
  const { client } = await start(t)
  const token = await client.appOnly()
  const ids = Array.from({ length: 51 }, (_, n) => `e0000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`)
  t.equal((await client.graph(groupsDelta(...ids.slice(0, 50)), token)).status, 200, 'unknown ids are no error')
  for (
    const path of [
      groupsDelta(...ids),
      '/groups/delta?$top=5',
      '/groups/delta?$expand=members',
      '/users/delta?$orderby=displayName',
      "/groups/delta?$filter=displayName eq 'x'",
      '/groups/delta?$deltatoken=abc&$select=members',
    ]
  ) {
    t.equal((await client.graph(path, token)).status, 400, path)
  }
})

t.test('expired and unknown tokens are refused', async (t) => {
  let now = Date.now()
  const { entra, client } = await start(t, { now: () => now, delta: { pageSize: 1 } })
  const { link } = await round(client, await client.appOnly(), groupsDelta(networkEngineers))
  now += 6 * 24 * 3_600_000
  t.equal((await client.graph(link, await client.appOnly())).status, 200)
  now += 2 * 24 * 3_600_000
  const token = await client.appOnly()
  const gone = await client.graph(link, token)
  t.strictSame(
    { status: gone.status, code: gone.body.error?.code, location: gone.headers.get('location') },
    { status: 410, code: 'resyncRequired', location: `${entra.graphUrl}/v1.0/groups/delta?$deltatoken=` },
  )
  t.equal((await client.graph('/users/delta?$deltatoken=invented', token)).status, 410)
  t.equal((await client.graph(link.replace('/groups/', '/users/'), token)).status, 410, 'of another collection')
  t.equal((await client.graph('/groups/delta?$skiptoken=invented', token)).status, 400)
})

t.test('permissions: an application needs those for reading, a user those for others', async (t) => {
  const { client } = await start(t, {}, { applicationPermissions: ['User.Read.All'] })
  const token = await client.appOnly()
  t.equal((await client.graph('/users/delta', token)).status, 200)
  t.equal((await client.graph('/groups/delta', token)).body.error?.code, 'Authorization_RequestDenied')
  const { accessToken } = await client.login()
  t.equal((await client.graph('/users/delta', accessToken)).status, 403)
})

t.test('members of a hidden group are listed with Member.Read.Hidden alone', async (t) => {
  for (const hidden of [false, true]) {
    const { entra, client } = await start(t, {}, {
      applicationPermissions: ['GroupMember.Read.All', ...hidden ? ['Member.Read.Hidden'] : []],
    })
    const group = entra.directory.objects.get(berlinTeam)
    if (group) group.visibility = 'HiddenMembership'
    const { members } = await round(client, await client.appOnly(), groupsDelta(berlinTeam))
    t.equal(members.length > 0, hidden)
  }
})

t.test('requests cost resource units, and those over the limit wait', async (t) => {
  let now = Date.now()
  const { entra, client } = await start(t, { now: () => now, throttling: { resourceUnits: 10 } })
  const token = await client.appOnly()
  const units = async (path: string) => (await client.graph(path, token)).headers.get('x-ms-resource-unit')
  const staff = `/users/${PEOPLE.staff.id}`
  t.equal(await units(`${staff}/transitiveMemberOf`), '2')
  t.equal(await units(`${staff}/transitiveMemberOf?$select=id`), '1')
  t.equal(await units(`${staff}?$select=id`), '1', 'never less than one')
  t.equal(await units('/groups/delta?$select=members'), '1')
  t.equal(entra.resourceUnits(), 5)
  for (let n = 0; n < 5; n++) await client.graph(staff, token)
  const refused = await client.graph(staff, token)
  t.strictSame(
    { status: refused.status, information: refused.headers.get('x-ms-throttle-information') },
    { status: 429, information: 'ResourceUnitLimitExceeded' },
  )
  t.equal(entra.resourceUnits(), 10, 'refused requests cost nothing')
  now += Number(refused.headers.get('retry-after')) * 1_000
  t.equal((await client.graph(staff, token)).status, 200)
})
