// Delta queries over HTTP from the simulated Graph: which users and groups they name, which links are followed, and
// what a failure does to the chains of requests.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { ChangeRound, DeltaChain, DeltaKind } from '../../src/core/change-signals.js'
import { createDirectory } from '../../src/demo/directory.js'
import { startEntra } from '../../src/demo/entra/server.js'
import type { Fault, FaultEntry } from '../../src/demo/entra/faults.js'
import type { DeltaOptions } from '../../src/demo/entra/types.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS, PERSON_IDS, seedDemoDirectory } from '../../src/demo/people.js'
import { createAccountSource } from '../../src/entra/accounts.js'
import { createBackgroundGraph } from '../../src/entra/background-graph.js'
import { createChangeSource } from '../../src/entra/change-source.js'
import { createClientCredential } from '../../src/entra/credentials.js'
import { entraEndpoints } from '../../src/entra/clouds.js'
import { createHttpClient } from '../../src/entra/http-client.js'
import { CLIENT_SECRET, registration } from '../helpers/gateway.js'
import { until } from '../helpers/until.js'

const { networkEngineers, allTeams, europeTeams, berlinTeam, readOnly } = GROUP_IDS
const { staff, guest, superuser } = PERSON_IDS
const BOTH: ReadonlySet<DeltaKind> = new Set(['users', 'groups'])
const PERMISSIONS = ['User.Read.All', 'GroupMember.Read.All']
const id = (n: number) => `e0000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`

async function scene(
  t: Test,
  { delta = {}, permissions = PERMISSIONS }: { delta?: DeltaOptions, permissions?: string[] } = {},
) {
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  const entra = await startEntra({
    directory,
    delta,
    app: registration('http://127.0.0.1:1', { applicationPermissions: permissions }),
  })
  t.teardown(() => entra.close())
  const http = createHttpClient()
  t.teardown(() => http.close())
  const endpoints = entraEndpoints({
    tenantId: DEMO_TENANT_ID,
    cloud: 'global',
    authorityHost: entra.url,
    graphUrl: entra.graphUrl,
  })
  const credential = createClientCredential(
    () => ({ clientSecret: CLIENT_SECRET, certificate: undefined, federatedTokenFile: undefined }),
    { clientId: DEMO_CLIENT_ID, tokenEndpoint: endpoints.token },
  )
  const connection = { http, endpoints, clientId: DEMO_CLIENT_ID, credential }
  const background = createBackgroundGraph(connection)
  const source = createChangeSource({ background, tenantId: DEMO_TENANT_ID, clientId: DEMO_CLIENT_ID })
  const state: { chains: readonly DeltaChain[] } = { chains: [] }
  const read = async (
    { mapped = [networkEngineers], kinds = BOTH, budgetMs = 20_000 }: {
      mapped?: readonly string[]
      kinds?: ReadonlySet<DeltaKind>
      budgetMs?: number
    } = {},
  ): Promise<ChangeRound> => {
    const round = await source.read({ chains: state.chains, mapped, kinds, paused: new Set(), budgetMs }, id(0xc0ffee))
    state.chains = round.chains
    return round
  }
  return {
    entra,
    directory,
    state,
    read,
    accounts: createAccountSource({ ...connection, securityGroupsOnly: false, budgetMs: 5_000 }, background),
    /** Rounds until all groups inside the mapped ones are followed. */
    async follow(mapped: readonly string[] = [networkEngineers]) {
      for (let rounds = 0; rounds < 8; rounds++) await read({ mapped })
    },
    add: (then: Fault, path: string | RegExp = '/groups/delta', more: Partial<FaultEntry> = {}) =>
      entra.faults.add({ on: 'graph', path, then, ...more } as FaultEntry),
    requests: (path: string) => entra.requests.filter((request) => request.path.includes(path)),
  }
}

const named = ({ users, groups }: ChangeRound) => ({ users: [...users].sort(), groups: [...groups].sort() })
const NOTHING = { users: [], groups: [] }
const codes = ({ failures }: ChangeRound) => Object.fromEntries([...failures].map(([kind, { code }]) => [kind, code]))
const followed = (chains: readonly DeltaChain[]) => chains.flatMap(({ groupIds }) => groupIds).sort()

// proves: delta-nested, delta-first-read
t.test('the first reads name nobody; then a removal from a nested group names the user', async (t) => {
  const { directory, follow, read, state } = await scene(t)
  for (let rounds = 0; rounds < 4; rounds++) t.strictSame(named(await read()), NOTHING)
  t.strictSame(followed(state.chains), [networkEngineers, allTeams, europeTeams, berlinTeam].sort())
  directory.removeMember(berlinTeam, PERSON_IDS.nested)
  directory.addMember(networkEngineers, guest)
  directory.addMember(readOnly, superuser) // not mapped here
  t.strictSame(named(await read()), { users: [guest, PERSON_IDS.nested].sort(), groups: [] })
  const quiet = await read()
  t.strictSame(named(quiet), NOTHING)
  t.strictSame([...quiet.complete].sort(), ['groups', 'users'])
  await follow()
})

// proves: delta-nested-changed, delta-group-deleted
t.test('a nested group that is added, removed or deleted names everyone with that group', async (t) => {
  const { directory, follow, read, state } = await scene(t)
  await follow()
  directory.addMember(berlinTeam, readOnly)
  t.strictSame(named(await read()), { users: [], groups: [readOnly] })
  const members = directory.directMembersOf(readOnly)
  t.ok(members.includes(guest))
  t.strictSame(named(await read()), { users: [...members].sort(), groups: [] }, 'its own members, from its first read')
  directory.addMember(readOnly, superuser)
  t.strictSame(named(await read()).users, [superuser], 'it is followed from here on')

  directory.removeMember(berlinTeam, readOnly)
  t.strictSame(named(await read()), { users: [], groups: [readOnly] })
  await read()
  t.notOk(followed(state.chains).includes(readOnly), 'it is not followed any longer')

  directory.removeObject(europeTeams)
  t.strictSame(named(await read()).groups, [europeTeams])
})

t.test('groups that contain each other are followed once', async (t) => {
  const { directory, follow, read, state } = await scene(t)
  directory.addMember(berlinTeam, networkEngineers)
  await follow()
  t.strictSame(followed(state.chains), [networkEngineers, allTeams, europeTeams, berlinTeam].sort())
  directory.removeMember(berlinTeam, PERSON_IDS.nested)
  t.strictSame(named(await read()), { users: [PERSON_IDS.nested], groups: [] })
})

t.test('accounts that are disabled, revoked or deleted are named; other changes are not', async (t) => {
  const { directory, follow, read } = await scene(t)
  await follow()
  const change = (oid: string, changes: object) => Object.assign(directory.users.get(oid) ?? {}, changes)
  change(staff, { accountEnabled: false })
  change(guest, { signInSessionsValidFromDateTime: '2030-01-01T00:00:00Z' })
  change(PERSON_IDS.nested, { displayName: 'Renamed' })
  directory.removeUser(superuser)
  t.strictSame(named(await read()), { users: [staff, guest, superuser].sort(), groups: [] })
})

// proves: delta-untracked-property
t.test('where Graph refuses the time of revocations, accounts are still followed', async (t) => {
  const { directory, read, requests } = await scene(t, { delta: { untracked: ['signInSessionsValidFromDateTime'] } })
  t.strictSame(codes(await read()), {})
  t.equal(requests('/users/delta').length, 2)
  Object.assign(directory.users.get(staff) ?? {}, { accountEnabled: false })
  t.strictSame(named(await read()).users, [staff])
})

t.test('120 mapped groups are three chains, and a group that is mapped twice is in one', async (t) => {
  const { directory, read, state, requests } = await scene(t)
  const groups = Array.from({ length: 120 }, (_, n) => id(n + 1))
  for (const group of groups) directory.addObject({ id: group, type: 'group', displayName: group })
  const mapped = [...groups, groups[3] ?? '']
  await read({ mapped })
  const lengths = state.chains.map(({ groupIds }) => groupIds.length).sort((a, b) => a - b)
  t.strictSame(lengths, [0, 20, 50, 50])
  t.equal(requests('/groups/delta').length, 3)
  directory.addMember(groups[119] ?? '', staff)
  t.strictSame(named(await read({ mapped })).users, [staff])
  t.equal(requests('/groups/delta').length, 6)
})

t.test('another mapping follows other groups, and keeps the links of those that stay', async (t) => {
  const { directory, follow, read, state } = await scene(t)
  await follow([networkEngineers, readOnly])
  await follow([readOnly])
  directory.addMember(readOnly, superuser)
  t.strictSame(named(await read({ mapped: [readOnly] })).users, [superuser], 'followed without a gap')
  const superusers = GROUP_IDS.netboxSuperusers
  await follow([superusers])
  t.strictSame(followed(state.chains), [superusers])
  directory.removeMember(superusers, superuser)
  directory.removeMember(readOnly, superuser)
  t.strictSame(named(await read({ mapped: [superusers] })), { users: [superuser], groups: [] })
})

// proves: delta-resync
t.test('a link that Graph does not know any longer begins again, without a failure', async (t) => {
  const { directory, follow, read, add, state } = await scene(t)
  await follow()
  const location = 'https://attacker.example/v1.0/groups/delta?$deltatoken='
  const gone = {
    kind: 'status',
    status: 410,
    body: { error: { code: 'resyncRequired' } },
    headers: { location },
  } as const
  add(gone)
  add(gone, '/users/delta')
  directory.addMember(networkEngineers, guest)
  const round = await read()
  t.strictSame({ codes: codes(round), restarted: round.restarted, ...named(round) }, {
    codes: {},
    restarted: 2,
    ...NOTHING,
  })
  await follow()
  directory.removeMember(networkEngineers, guest)
  t.strictSame(named(await read()).users, [guest])
  t.ok(state.chains.every(({ following }) => following))
})

// proves: sync-refused-again, sync-refused-until-continued
t.test('a link that is refused again after the chain began again is a failure, until Graph continues', async (t) => {
  const { entra, directory, follow, read, add } = await scene(t)
  await follow([readOnly])
  const next = () => read({ mapped: [readOnly] })
  const gone = { kind: 'status', status: 410, body: { error: { code: 'resyncRequired' } } } as const
  add(gone, /deltatoken=(?!latest)/, { times: Infinity })
  const first = await next()
  t.strictSame({ codes: codes(first), restarted: first.restarted }, { codes: {}, restarted: 2 })
  for (const title of ['the new links are refused', 'the chains begin again', 'and the links after that']) {
    const round = await next()
    t.strictSame(Object.keys(codes(round)).sort(), ['groups', 'users'], title)
    t.strictSame([[...round.complete], round.failed.size, round.restarted], [[], 2, 0], title)
  }
  entra.faults.clear()
  await next()
  directory.addMember(readOnly, superuser)
  const round = await next()
  t.strictSame({ codes: codes(round), users: [...round.users] }, { codes: {}, users: [superuser] })
  t.strictSame([...round.complete].sort(), ['groups', 'users'])
})

// proves: sync-nested-kept
t.test('a chain that begins again leaves the groups inside its own followed meanwhile', async (t) => {
  const { directory, follow, read, add, state } = await scene(t)
  await follow()
  const before = followed(state.chains)
  const top = state.chains.find(({ groupIds }) => groupIds.includes(networkEngineers))
  const gone = { kind: 'status', status: 410, body: { error: { code: 'resyncRequired' } } } as const
  const link = new URL(top?.link ?? '')
  add(gone, link.search)
  add({ kind: 'reset' }, '$select=members', { times: Infinity })
  await read()
  t.strictSame(followed(state.chains), before)
  await read()
  t.strictSame(followed(state.chains), before, 'while its first read fails')
  directory.removeMember(berlinTeam, PERSON_IDS.nested)
})

// proves: sync-delta-page-ends
t.test('an answer that does not come ends with the round', async (t) => {
  const { follow, read, add } = await scene(t)
  await follow()
  add({ kind: 'hang' }, '/groups/delta')
  const began = performance.now()
  t.match(codes(await read({ budgetMs: 1_000 })), { groups: 'graph_timeout' })
  t.ok(performance.now() - began < 9_000, 'before the time limit of a page')
})

// proves: sync-groups-bounded
t.test('groups that are named count for the limit of a round, too', async (t) => {
  const { entra, read, follow, add, requests } = await scene(t)
  await follow([readOnly])
  const member = (n: number) => ({ '@odata.type': '#microsoft.graph.group', 'id': id(n) })
  const page = (n: number, from: number) => ({
    '@odata.nextLink': `${entra.graphUrl}/v1.0/groups/delta?$skiptoken=${n}`,
    'value': [{
      'id': readOnly,
      'members@delta': Array.from({ length: 10_000 }, (_, index) => member(from + index)),
    }],
  })
  for (const n of [1, 2, 3]) add({ kind: 'body', body: page(n, 10_000 * n) }, '/groups/delta')
  const before = requests('/groups/delta').length
  const round = await read({ mapped: [readOnly], kinds: new Set(['groups']) })
  t.strictSame({ codes: codes(round), groups: round.groups.size }, { codes: {}, groups: 20_000 })
  t.equal(requests('/groups/delta').length - before, 2)
})

t.test('replays name users again and do no harm', async (t) => {
  const { directory, follow, read } = await scene(t, { delta: { replays: true } })
  await follow()
  directory.addMember(networkEngineers, guest)
  t.strictSame(named(await read()).users, [guest])
  t.strictSame(named(await read()).users, [guest])
  t.strictSame(named(await read()), NOTHING)
})

// proves: delta-link-origin, delta-link-path, delta-link-checked, delta-one-link
t.test('links to elsewhere are not followed, and nothing of their page counts', async (t) => {
  const { entra, follow, read, add, state, requests } = await scene(t)
  await follow()
  const value = [{ 'id': networkEngineers, 'members@delta': [{ '@odata.type': '#microsoft.graph.user', 'id': guest }] }]
  const graph = entra.graphUrl
  const cases: [string, Record<string, unknown>, string][] = [
    [
      'another host',
      { '@odata.nextLink': 'https://attacker.example/v1.0/groups/delta?$skiptoken=x' },
      'graph_foreign_link',
    ],
    [
      'a host with the same beginning',
      { '@odata.deltaLink': `${graph}.attacker.example/v1.0/groups/delta?x` },
      'graph_foreign_link',
    ],
    [
      'another port',
      { '@odata.deltaLink': graph.replace(/:\d+$/, ':1') + '/v1.0/groups/delta?x' },
      'graph_foreign_link',
    ],
    [
      'a name and a password',
      { '@odata.deltaLink': graph.replace('//', '//a:b@') + '/v1.0/groups/delta?x' },
      'graph_foreign_link',
    ],
    ['another path', { '@odata.deltaLink': `${graph}/v1.0/users/${staff}` }, 'graph_foreign_link'],
    ['another kind', { '@odata.deltaLink': `${graph}/v1.0/users/delta?$deltatoken=x` }, 'graph_foreign_link'],
    ['another path by dots', { '@odata.deltaLink': `${graph}/v1.0/groups/delta/../../me?x` }, 'graph_foreign_link'],
    ['no address', { '@odata.deltaLink': '/v1.0/groups/delta' }, 'graph_foreign_link'],
    ['too long', { '@odata.deltaLink': `${graph}/v1.0/groups/delta?${'x'.repeat(20_000)}` }, 'graph_foreign_link'],
    ['no link', {}, 'graph_malformed'],
    ['a number', { '@odata.deltaLink': 7 }, 'graph_malformed'],
    ['two links', {
      '@odata.nextLink': `${graph}/v1.0/groups/delta?$skiptoken=x`,
      '@odata.deltaLink': `${graph}/v1.0/groups/delta?$deltatoken=x`,
    }, 'graph_malformed'],
  ]
  for (const [title, links, code] of cases) {
    await follow()
    add({ kind: 'body', body: { ...links, value } })
    const before = requests('').length
    const round = await read()
    t.strictSame({ codes: codes(round), ...named(round) }, { codes: { groups: code }, ...NOTHING }, title)
    t.ok(state.chains.every(({ link }) => link.startsWith(`${graph}/v1.0/`)), title)
    t.ok(requests('').length - before <= 6, title)
  }
})

// proves: delta-list-required, delta-ids-checked, delta-unusable-restarts
t.test('a malformed page counts for nothing, not even its valid objects', async (t) => {
  const { entra, follow, read, add, state } = await scene(t)
  const link = `${entra.graphUrl}/v1.0/groups/delta?$deltatoken=x`
  const good = { 'id': networkEngineers, 'members@delta': [{ '@odata.type': '#microsoft.graph.user', 'id': guest }] }
  for (
    const value of [
      undefined,
      {},
      [good, null],
      [good, { id: 'x' }],
      [good, { id: 7 }],
      [good, { id: networkEngineers, 'members@delta': {} }],
      [good, { id: networkEngineers, 'members@delta': [{ '@odata.type': '#microsoft.graph.user' }] }],
    ]
  ) {
    await follow()
    add({ kind: 'body', body: { '@odata.deltaLink': link, value } })
    const round = await read()
    t.strictSame({ codes: codes(round), ...named(round) }, { codes: { groups: 'graph_malformed' }, ...NOTHING })
    t.ok(state.chains.some(({ following }) => !following), 'the chain begins again')
  }
})

t.test('the recorded delta of groups names who was added, who was removed, and the deleted group', async (t) => {
  const { entra, read, follow, add } = await scene(t)
  const sample = JSON.parse(
    readFileSync(new URL('../fixtures/entra-samples/groups-delta-members.json', import.meta.url), 'utf8'),
  ) as Record<string, unknown>
  const link = String(sample['@odata.deltaLink']).replace('https://graph.microsoft.com', entra.graphUrl)
  const [{ id: first = '' } = {}, { id: second = '' } = {}] = sample.value as readonly { id?: string }[]
  const mapped = [first, second]
  await follow(mapped)
  add({ kind: 'body', body: { ...sample, '@odata.deltaLink': link } })
  t.strictSame(named(await read({ mapped })), {
    users: ['3c5e7a90-1b2d-4f68-8a9c-0d1e2f3a4b5c', '6e7b768e-07e2-4810-8459-485f84f8f204'],
    groups: [second],
  })
})

// proves: delta-own-groups
t.test('groups that were not asked about, and members of other kinds, count for nothing', async (t) => {
  const { entra, follow, read, add } = await scene(t)
  await follow()
  const link = `${entra.graphUrl}/v1.0/groups/delta?$deltatoken=x`
  const member = (type: string | undefined, oid: string) => ({ ...(type && { '@odata.type': type }), 'id': oid })
  add({
    kind: 'body',
    body: {
      '@odata.deltaLink': link,
      'value': [
        { 'id': readOnly, 'members@delta': [member('#microsoft.graph.user', guest)] },
        { 'id': id(9), '@removed': { reason: 'deleted' } },
        {
          'id': networkEngineers.toUpperCase(),
          'members@delta': [member('#microsoft.graph.device', id(1)), member(undefined, superuser.toUpperCase())],
        },
      ],
    },
  })
  t.strictSame(named(await read()), { users: [superuser], groups: [superuser] }, 'without a type it may be both')
})

// proves: delta-bounded
t.test('a round that never ends is cut, and continues in the next one', async (t) => {
  const { directory, read, state } = await scene(t, { delta: { pageSize: 1 } })
  const [big, users] = [id(1), Array.from({ length: 100 }, (_, n) => id(n + 10))]
  directory.addObject({ id: big, type: 'group', displayName: 'Big' })
  for (const [n, user] of users.entries()) {
    directory.addUser({
      id: user,
      displayName: user,
      userPrincipalName: `${n}@contoso.example`,
      accountEnabled: true,
      userType: 'Member',
      signInSessionsValidFromDateTime: '2026-01-01T00:00:00Z',
    })
    directory.addMember(big, user)
  }
  const mapped = [big]
  const chain = () => state.chains.find(({ kind }) => kind === 'groups')
  t.notOk((await read({ mapped })).complete.has('groups'))
  t.strictSame({ following: chain()?.following, pages: (chain()?.pages ?? 0) > 20 }, { following: false, pages: true })
  t.ok((await read({ mapped })).complete.has('groups'))
  t.strictSame({ following: chain()?.following, pages: chain()?.pages }, { following: true, pages: 0 })
  for (const user of users) directory.removeMember(big, user)
  const first = await read({ mapped })
  const second = await read({ mapped })
  t.ok(first.users.size > 20 && first.users.size < 100, 'what was read counts')
  t.equal(new Set([...first.users, ...second.users]).size, 100)
})

t.test('links without end are given up', async (t) => {
  const { entra, follow, read, add } = await scene(t)
  await follow()
  add(
    { kind: 'body', body: { '@odata.nextLink': `${entra.graphUrl}/v1.0/groups/delta?$skiptoken=x`, value: [] } },
    '/groups/delta',
    { times: Infinity },
  )
  t.strictSame(codes(await read()), { groups: 'graph_paging_loop' })
})

t.test('a permission that is missing is a failure of that kind alone', async (t) => {
  const { directory, follow, read } = await scene(t, { permissions: ['User.Read.All'] })
  await follow()
  directory.removeUser(staff)
  const round = await read()
  t.strictSame({ codes: codes(round), users: [...round.users] }, {
    codes: { groups: 'graph_forbidden' },
    users: [staff],
  })
  t.match(round.failures.get('groups')?.remedy, /GroupMember\.Read\.All/)
  t.strictSame([...round.complete], ['users'])
})

t.test('while Graph is throttled or unavailable the links stay as they are, and nothing is lost', async (t) => {
  for (const fault of [{ kind: 'throttle', retryAfter: '1' }, { kind: 'reset' }, { kind: 'cut' }] as const) {
    const { entra, directory, follow, read, add, state } = await scene(t)
    await follow()
    directory.addMember(networkEngineers, guest)
    const links = state.chains.map(({ link }) => link)
    add(fault, 'delta', { times: Infinity })
    const round = await read()
    const code = fault.kind === 'throttle' ? 'graph_throttled' : 'graph_unavailable'
    t.match(Object.values(codes(round)), [code], fault.kind)
    t.strictSame(named(round), NOTHING)
    t.strictSame(state.chains.map(({ link }) => link), links)
    entra.faults.clear()
    await until(async () => named(await read()).users.includes(guest))
  }
})

// proves: sync-deltas-wait
t.test('while Graph asks for a pause of the accounts no delta query is sent', async (t) => {
  const { entra, follow, read, add, accounts, requests } = await scene(t)
  await follow()
  add({ kind: 'throttle', retryAfter: '300' }, '$batch')
  await t.rejects(accounts.read([staff], id(1)), { code: 'graph_throttled' })
  const before = requests('/delta').length
  t.match(Object.values(codes(await read())), ['graph_throttled'])
  t.equal(requests('/delta').length, before)
  t.equal(entra.requests.filter(({ path }) => path.includes('$batch')).length, 1)
})

// proves: delta-scope
t.test('the scope differs by tenant, registration and Graph', async (t) => {
  const background = (graphUrl: string) => ({ graphUrl } as never)
  const scope = (tenantId: string, clientId: string, graph: string) =>
    createChangeSource({ background: background(graph), tenantId, clientId }).scope
  const scopes = [
    scope('a', 'b', 'https://graph.microsoft.com'),
    scope('a', 'c', 'https://graph.microsoft.com'),
    scope('c', 'b', 'https://graph.microsoft.com'),
    scope('a', 'b', 'https://graph.microsoft.us'),
  ]
  t.equal(new Set(scopes).size, 4)
})

t.test('a stored link of another address is not used', async (t) => {
  const { follow, read, state, requests } = await scene(t)
  await follow()
  state.chains = state.chains.map((chain) => ({ ...chain, link: 'https://attacker.example/v1.0/groups/delta' }))
  const before = requests('').length
  const round = await read()
  t.strictSame({ codes: codes(round), ...named(round) }, { codes: {}, ...NOTHING })
  t.ok(requests('').length > before, 'the chains begin again')
})
