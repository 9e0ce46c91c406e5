// The Microsoft Graph half of the simulator: memberships page by page, permissions, and every way of answering badly.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { fetch } from 'undici'
import { createDirectory, type Directory } from '../../src/demo/directory.js'
import { DEMO_TENANT_ID, GROUP_IDS, PEOPLE } from '../../src/demo/people.js'
import { claimsOf, start, type GraphBody } from './helper.js'

const guid = (n: number) => `e0000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`

t.test('every user is in exactly the groups that the demo describes', async (t) => {
  const { entra, client } = await start(t)
  const token = await client.appOnly()
  const groupsOf = async (id: string) => {
    const { pages } = await client.all(`/users/${id}/transitiveMemberOf`, token)
    return pages.flatMap(({ value = [] }) => value).filter((object) =>
      object['@odata.type'] === '#microsoft.graph.group'
    ).map(({ id }) => id)
  }
  t.strictSame(await groupsOf(PEOPLE.staff.id), [GROUP_IDS.networkEngineers])
  t.strictSame(await groupsOf(PEOPLE.superuser.id), [GROUP_IDS.netboxSuperusers])
  t.strictSame(await groupsOf(PEOPLE.nested.id), [
    GROUP_IDS.berlinTeam,
    GROUP_IDS.europeTeams,
    GROUP_IDS.allTeams,
    GROUP_IDS.networkEngineers,
  ])
  t.strictSame(await groupsOf(PEOPLE.guest.id), [GROUP_IDS.readOnly])
  t.strictSame(await groupsOf(PEOPLE.nobody.id), [])
  const { body } = await client.graph(`/users/${PEOPLE.nobody.id}/transitiveMemberOf`, token)
  t.strictSame(body, { '@odata.context': `${entra.graphUrl}/v1.0/$metadata#directoryObjects`, value: [] })
  t.strictSame(
    (await client.all(`/users/${PEOPLE.nested.id}/memberOf`, token)).ids,
    [GROUP_IDS.berlinTeam],
    'direct ones',
  )
  t.strictSame(
    (await client.graph(`/users/${PEOPLE.superuser.id}/memberOf`, token)).body.value?.map((object) =>
      object['@odata.type']
    ),
    ['#microsoft.graph.directoryRole', '#microsoft.graph.group', '#microsoft.graph.administrativeUnit'],
  )

  const many = await client.all(`/users/${PEOPLE.many.id}/transitiveMemberOf?$select=id&$top=999`, token)
  t.strictSame(many.pages.map(({ value }) => value?.length), [999, 999, 503])
  t.strictSame(
    { last: many.ids.at(-1), different: new Set(many.ids).size },
    { last: GROUP_IDS.circuitManagers, different: 2501 },
  )
  const small = await client.all(`/users/${PEOPLE.many.id}/transitiveMemberOf`, token)
  t.equal(small.pages.length, 26, 'a hundred to a page')
  t.strictSame(small.pages.at(-1)?.value?.map(({ id }) => id), [GROUP_IDS.circuitManagers], 'alone on the last page')
  t.strictSame(small.ids, many.ids)
})

t.test('pages: links, counts, selections and casts', async (t) => {
  let now = Date.now()
  const { entra, client } = await start(t, { now: () => now, pageToken: { lifetimeMs: 60_000 } })
  const token = await client.appOnly()
  const path = `/users/${PEOPLE.many.id}/transitiveMemberOf`
  const first = await client.graph(`${path}?$select=id&$top=50`, token)
  t.ok(
    first.body['@odata.nextLink']?.startsWith(`${entra.graphUrl}/v1.0${path}?$select=id&$top=50&$skiptoken=RFNwdAoAAQ`),
  )
  t.equal(first.body['@odata.context'], `${entra.graphUrl}/v1.0/$metadata#directoryObjects(id)`)
  t.strictSame(Object.keys(first.body.value?.[0] ?? {}), ['@odata.type', 'id'], 'the type stays')
  const untyped = await client.graph(`${path}?$select=id`, token, { accept: 'application/json;odata.metadata=none' })
  t.strictSame(Object.keys(untyped.body.value?.[0] ?? {}), ['id'], 'unless no metadata is wanted')
  t.notOk(
    '@odata.count' in (await client.graph(`${path}?$count=true`, token)).body,
    'no count without ConsistencyLevel',
  )
  const eventual = { ConsistencyLevel: 'eventual' }
  const counted = await client.all(`${path}?$count=true&$top=999`, token, eventual)
  t.strictSame(counted.pages.map((page) => page['@odata.count']), [2501, undefined, undefined])

  const cast = `${path}/microsoft.graph.group?$count=true&$select=id,displayName`
  const page = await client.graph(cast, token, eventual)
  t.equal(page.body['@odata.context'], `${entra.graphUrl}/v1.0/$metadata#groups(id,displayName)`)
  t.strictSame(Object.keys(page.body.value?.[0] ?? {}), ['id', 'displayName'])
  t.equal((await client.all(cast, token, eventual)).ids.length, 2500, 'groups alone')
  const refuses = async (name: string, url: string, code: string, headers = {}) => {
    const { status, body } = await client.graph(url, token, headers)
    t.match({ status, code: body.error?.code }, { status: 400, code }, name)
  }
  await refuses('a cast without the header', cast, 'Request_UnsupportedQuery')
  await refuses(
    'the second page of a cast without the header',
    page.body['@odata.nextLink'] ?? '',
    'Request_UnsupportedQuery',
  )
  for (const query of ['$filter=securityEnabled eq true', '$search="displayName:Pro"', '$orderby=displayName']) {
    await refuses(query, `${path}?$count=true&${query}`, 'Request_UnsupportedQuery')
    await refuses(`${query} without $count`, `${path}?${query}`, 'Request_UnsupportedQuery', eventual)
    t.equal((await client.graph(`${path}?$count=true&${query}`, token, eventual)).status, 200)
  }
  t.equal(
    (await client.graph(`${path}?$count=true&$filter=securityEnabled eq false`, token, eventual)).body['@odata.count'],
    249,
  )
  for (const top of ['0', '1000', '-1', 'x']) {
    await refuses(`$top=${top}`, `${path}?$top=${top}`, 'Request_UnsupportedQuery')
  }
  await refuses('an unknown property', `${path}?$select=nonsense`, 'Request_BadRequest')
  await refuses('an unknown option', `${path}?$expand=members`, 'Request_BadRequest')
  await refuses('an invented token', `${path}?$skiptoken=RFNwdAoAAQ`, 'Directory_ExpiredPageToken')
  const next = first.body['@odata.nextLink'] ?? ''
  await refuses(
    'the token of somebody else',
    next.replace(PEOPLE.many.id, PEOPLE.staff.id),
    'Directory_ExpiredPageToken',
  )
  t.equal((await client.graph(next, token)).status, 200)
  now += 60_001
  await refuses('an old token', next, 'Directory_ExpiredPageToken')
})

t.test('who may read what', async (t) => {
  const app = { delegatedPermissions: ['User.Read'], applicationPermissions: ['GroupMember.Read.All'] }
  const { entra, client } = await start(t, {}, app)
  const { accessToken: mine, idToken } = await client.login(PEOPLE.staff.id)
  const other = PEOPLE.nested.id
  const own = PEOPLE.staff.id
  const check = async (name: string, path: string, token: string, status: number, code?: string) => {
    const answer = await client.graph(path, token)
    t.match({ status: answer.status, code: answer.body.error?.code }, { status, code }, `${name}: ${path}`)
  }
  for (
    const path of [
      '/me',
      '/me/transitiveMemberOf',
      '/me/memberOf',
      `/users/${own}`,
      `/users/${own.toUpperCase()}/transitiveMemberOf`,
      `/users/${PEOPLE.staff.userPrincipalName}/memberOf`,
    ]
  ) await check('own with User.Read', path, mine, 200)
  for (const path of [`/users/${other}`, `/users/${other}/transitiveMemberOf`, `/users/${guid(1)}/memberOf`]) {
    await check('another with User.Read', path, mine, 403, 'Authorization_RequestDenied')
  }
  const { accessToken: bare } = await client.login(own, { scope: 'openid profile' })
  await check('User.Read was consented to before', '/me/transitiveMemberOf', bare, 200)
  entra.app.delegatedPermissions = []
  const { accessToken: nothing } = await client.login(own, { scope: 'openid profile' })
  await check('without any permission', '/me/transitiveMemberOf', nothing, 403, 'Authorization_RequestDenied')

  const groupReader = await client.appOnly()
  await check('app with GroupMember.Read.All', `/users/${other}/transitiveMemberOf`, groupReader, 200)
  await check('app with GroupMember.Read.All', `/users/${other}`, groupReader, 403, 'Authorization_RequestDenied')
  await check('app', '/me/transitiveMemberOf', groupReader, 400, 'BadRequest')
  await check('app', `/users/${guid(1)}/transitiveMemberOf`, groupReader, 404, 'Request_ResourceNotFound')
  entra.app.applicationPermissions = ['User.Read.All']
  const userReader = await client.appOnly()
  await check('app with User.Read.All', `/users/${other}/transitiveMemberOf`, userReader, 200)
  await check('app with User.Read.All', `/groups/${GROUP_IDS.readOnly}`, userReader, 403, 'Authorization_RequestDenied')
  await check('group reader', `/groups/${GROUP_IDS.readOnly}`, groupReader, 200)
  await check('group reader', `/groups/${GROUP_IDS.seattleUnit}`, groupReader, 404, 'Request_ResourceNotFound')
  entra.app.applicationPermissions = []
  await check(
    'app without permission',
    `/users/${other}/transitiveMemberOf`,
    await client.appOnly(),
    403,
    'Authorization_RequestDenied',
  )

  const state = await client.graph(
    `/users/${own}?$select=id,accountEnabled,signInSessionsValidFromDateTime`,
    userReader,
  )
  t.strictSame(state.body, {
    '@odata.context':
      `${entra.graphUrl}/v1.0/$metadata#users(id,accountEnabled,signInSessionsValidFromDateTime)/$entity`,
    id: own,
    accountEnabled: true,
    signInSessionsValidFromDateTime: PEOPLE.staff.signInSessionsValidFromDateTime,
  })
  const whole = (await client.graph('/me', mine)).body
  for (const hidden of ['signInSessionsValidFromDateTime', 'accountEnabled']) {
    t.notOk(hidden in whole, `${hidden} only when selected`)
  }
  entra.directory.removeUser(other)
  await check('a deleted user', `/users/${other}?$select=id`, userReader, 404, 'Request_ResourceNotFound')
  t.equal((await client.graph('/me', idToken)).status, 401, 'an ID token is not for Graph')
  t.equal(claimsOf(idToken).oid, own)
})

t.test('names come back null unless the token may read them', async (t) => {
  const { entra, client } = await start(t)
  const { accessToken } = await client.login(PEOPLE.superuser.id)
  const types = (body: GraphBody) =>
    Object.fromEntries((body.value ?? []).map((object) => [String(object['@odata.type']).split('.')[2], object]))
  const limited = types((await client.graph('/me/transitiveMemberOf', accessToken)).body)
  t.match(limited, {
    group: { displayName: null, securityEnabled: null },
    directoryRole: { displayName: null },
    administrativeUnit: { displayName: null },
  })
  t.strictSame((await client.graph('/me/transitiveMemberOf?$select=id,displayName', accessToken)).body.value?.[1], {
    '@odata.type': '#microsoft.graph.group',
    id: GROUP_IDS.netboxSuperusers,
    displayName: null,
  })
  const asApp = types(
    (await client.graph(`/users/${PEOPLE.superuser.id}/transitiveMemberOf`, await client.appOnly())).body,
  )
  t.match(asApp, {
    group: { displayName: 'NetBox Superusers', securityEnabled: true, securityIdentifier: /^S-1-12-1-(\d+-){3}\d+$/ },
    directoryRole: { displayName: null },
  })
  t.equal(Object.keys(asApp.group ?? {}).length, 35, 'every property')
  entra.app.delegatedPermissions = ['User.Read', 'Directory.Read.All']
  const { accessToken: wide } = await client.login(PEOPLE.superuser.id)
  t.match(types((await client.graph('/me/transitiveMemberOf', wide)).body), {
    directoryRole: { displayName: 'Directory Readers' },
  })
  const open = await start(t, { nullNames: false })
  const { accessToken: any } = await open.client.login(PEOPLE.superuser.id)
  t.match(types((await open.client.graph('/me/transitiveMemberOf', any)).body), {
    group: { displayName: 'NetBox Superusers' },
  })
})

t.test('errors look like those of Graph', async (t) => {
  let now = Date.parse('2026-11-21T22:10:04Z')
  const { client } = await start(t, { now: () => now })
  const { accessToken } = await client.login()
  const id = '0f5a2c7e-3b1d-4e6f-8a90-b1c2d3e4f506'
  const bad = await client.graph('/me', 'nonsense', { 'client-request-id': id })
  t.equal(bad.status, 401)
  t.match(bad.body, {
    error: {
      code: 'InvalidAuthenticationToken',
      innerError: { date: '2026-11-21T22:10:04', 'request-id': bad.headers.get('request-id'), 'client-request-id': id },
    },
  })
  t.equal(bad.headers.get('client-request-id'), id)
  t.equal(bad.headers.get('date'), 'Sat, 21 Nov 2026 22:10:04 GMT')
  t.match(bad.headers.get('www-authenticate'), /^Bearer realm="", authorization_uri=/)
  t.match(JSON.parse(bad.headers.get('x-ms-ags-diagnostic') ?? ''), { ServerInfo: { Slice: 'E' } })
  now += 90 * 60_000
  t.match((await client.graph('/me', accessToken)).body.error, {
    code: 'InvalidAuthenticationToken',
    message: 'Lifetime validation failed, the token is expired.',
  })
  t.equal((await client.graph('/nowhere', accessToken)).status, 404)
})

t.test('$batch answers each on its own', async (t) => {
  const { entra, client } = await start(t)
  const token = await client.appOnly()
  const batch = async (requests: unknown) => {
    const response = await fetch(`${entra.graphUrl}/v1.0/$batch`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ requests }),
    })
    return {
      status: response.status,
      body: await response.json() as {
        responses: { id: string, status: number, headers: Record<string, string>, body: GraphBody }[]
      },
    }
  }
  entra.faults.add({ on: 'graph', path: PEOPLE.guest.id, then: { kind: 'throttle', retryAfter: '10' } })
  const ask = (id: string, user: string) => ({ id, method: 'GET', url: `/users/${user}/transitiveMemberOf?$select=id` })
  const { body } = await batch([ask('1', PEOPLE.staff.id), ask('2', PEOPLE.guest.id), ask('3', guid(9))])
  t.match(body.responses, [
    { id: '1', status: 200, body: { value: [{ id: GROUP_IDS.networkEngineers }] } },
    { id: '2', status: 429, headers: { 'Retry-After': '10' }, body: { error: { code: 'TooManyRequests' } } },
    { id: '3', status: 404, body: { error: { code: 'Request_ResourceNotFound' } } },
  ])
  t.equal((await batch(Array.from({ length: 21 }, (_, n) => ask(String(n), PEOPLE.staff.id)))).status, 400)
  t.equal((await batch([{ id: '1' }])).status, 400)
})

t.test('every fault', async (t) => {
  const { entra, client } = await start(t)
  const { accessToken } = await client.login(PEOPLE.many.id)
  const path = '/me/transitiveMemberOf'
  const get = (url = path) => client.graph(url, accessToken)
  const add = entra.faults.add

  add({
    on: 'graph',
    then: {
      kind: 'status',
      status: 503,
      headers: { 'Retry-After': '5', 'Content-Type': 'application/json' },
      body: { error: { code: 'serviceNotAvailable' } },
    },
  })
  add({ on: 'graph', then: { kind: 'throttle', retryAfter: '0,120' } })
  add({ on: 'graph', then: { kind: 'throttle' } })
  const [one, two, three, four] = [await get(), await get(), await get(), await get()]
  t.strictSame(
    [one.status, two.status, three.status, four.status],
    [503, 429, 429, 200],
    'in the order they were added',
  )
  t.strictSame([one, two, three].map(({ headers }) => headers.get('retry-after')), ['5', '0,120', null])
  t.strictSame(one.body, { error: { code: 'serviceNotAvailable' } })

  add({ on: 'graph', then: { kind: 'html', status: 504 } })
  t.match(await get(), { status: 504, text: '<html>' })
  add({ on: 'graph', then: { kind: 'body', body: { error: null } } })
  t.match(await get(), { status: 200, body: { error: null } })
  add({ on: 'graph', then: { kind: 'cut' } })
  await t.rejects(get(), 'cut in the middle')
  add({ on: 'graph', then: { kind: 'reset' } })
  await t.rejects(get(), 'reset')
  add({ on: 'graph', then: { kind: 'slow', ms: 120 } })
  const began = performance.now()
  t.equal((await get()).status, 200)
  t.ok(performance.now() - began >= 100)
  add({ on: 'graph', then: { kind: 'hugeBody', bytes: 3_000_000 } })
  const huge = await get()
  t.ok(huge.text.length >= 3_000_000)
  t.ok(Array.isArray(huge.body.value))

  add({ on: 'graph', page: 2, then: { kind: 'throttle', retryAfter: '1' } })
  add({ on: 'graph', page: 'last', then: [{ kind: 'slow', ms: 1 }, { kind: 'cut' }] })
  const first = await get(`${path}?$top=999`)
  const second = first.body['@odata.nextLink'] ?? ''
  t.equal((await get(second)).status, 429)
  const last = (await get(second)).body['@odata.nextLink'] ?? ''
  await t.rejects(get(last))
  t.equal((await get(last)).status, 200)

  add({ on: 'graph', then: { kind: 'expiredPageToken' } })
  t.equal((await get(`${path}?$top=999`)).status, 200, 'the first page has no token that could expire')
  t.equal((await get(second)).body.error?.code, 'Directory_ExpiredPageToken')
  add({ on: 'graph', then: { kind: 'foreignNextLink', origin: 'https://evil.example' } })
  t.match((await get()).body['@odata.nextLink'], /^https:\/\/evil\.example\/v1\.0\/me\/transitiveMemberOf\?/)
  add({ on: 'graph', times: Infinity, then: { kind: 'loopingNextLink' } })
  const loop = (await get(second)).body['@odata.nextLink'] ?? ''
  t.equal((await get(loop)).body['@odata.nextLink'], loop)
  entra.faults.clear()
  add({ on: 'graph', page: 1, then: { kind: 'emptyPage' } })
  const { ids, pages } = await client.all(`${path}?$top=999`, accessToken)
  t.strictSame(pages[0]?.value, [], 'an empty first page')
  t.equal(ids.length, 2501)

  add({ on: 'graph', page: 'last', then: { kind: 'foreignNextLink', origin: 'https://evil.example' } })
  const { accessToken: staff } = await client.login(PEOPLE.staff.id)
  t.match(
    (await client.graph(path, staff)).body['@odata.nextLink'],
    /^https:\/\/evil\.example\//,
    'even where there is no more',
  )

  add({ on: 'graph', path: /memberOf$/, times: 2, then: { kind: 'throttle' } })
  t.equal((await get('/me/transitiveMemberOf?$select=id')).status, 200)
  t.equal((await get('/me/memberOf')).status, 429)
  t.equal(entra.faults.waiting().length, 1)
})

t.test('closing ends what hangs', async (t) => {
  const { entra, client } = await start(t)
  const { accessToken } = await client.login()
  entra.faults.add({ on: 'graph', then: { kind: 'hang' } })
  entra.faults.add({ on: 'keys', then: { kind: 'hang' } })
  const hanging = [client.graph('/me', accessToken), fetch(`${client.base}/discovery/v2.0/keys`)]
  const settled = Promise.allSettled(hanging)
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.strictSame(entra.requests.slice(-2).map(({ status }) => status), [0, 0])
  const began = performance.now()
  await entra.close()
  t.ok(performance.now() - began < 1000)
  t.match(await settled, [{ status: 'rejected' }, { status: 'rejected' }])
})

/** Without a queue or a cache: what is reachable in as many rounds as there are groups. */
function naiveClosure(directory: Directory, userId: string) {
  let reached = new Set(directory.directMemberOf(userId))
  for (let round = 0; round <= directory.objects.size; round++) {
    reached = new Set([
      ...reached,
      ...[...reached].flatMap((id) => directory.directMemberOf(id)),
    ])
  }
  return [...reached].sort()
}

t.test('the closure equals a naive one, whatever the cycles and changes', async (t) => {
  // Each step puts a member in or, where it is in already, takes it out: few groups, so that both happen often.
  const step = fc.record({ member: fc.nat(5), container: fc.integer({ min: 1, max: 5 }) })
  const holds = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const directory = createDirectory(DEMO_TENANT_ID)
    directory.addUser({ ...PEOPLE.staff, id: guid(0) })
    for (let n = 1; n <= 5; n++) directory.addObject({ id: guid(n), type: 'group', displayName: `G${n}` })
    for (const { member, container } of steps) {
      const change = directory.directMemberOf(guid(member)).includes(guid(container))
        ? directory.removeMember
        : directory.addMember
      change(guid(container), guid(member))
      const closure = directory.transitiveMemberOf(guid(0))
      assert.deepEqual([...closure].sort(), naiveClosure(directory, guid(0)))
      assert.equal(new Set(closure).size, closure.length)
    }
  })
  t.doesNotThrow(() => fc.assert(holds, { numRuns: 200 }))
})

t.test('the directory refuses what Entra refuses', async (t) => {
  const directory = createDirectory(DEMO_TENANT_ID)
  directory.addObject({ id: guid(1), type: 'group', displayName: 'M365', groupTypes: ['Unified'] })
  directory.addObject({ id: guid(2), type: 'group', displayName: 'Group' })
  directory.addObject({ id: guid(3), type: 'administrativeUnit', displayName: 'Unit' })
  t.throws(() => directory.addMember(guid(1), guid(2)), /Microsoft 365/)
  t.throws(() => directory.addMember(guid(2), guid(3)), 'a unit is no member of anything')
  t.throws(() => directory.addMember(guid(4), guid(2)))
  t.throws(() => directory.addObject({ id: guid(1), type: 'group', displayName: 'again' }))
  t.throws(() => directory.addObject({ id: 'Network Engineers', type: 'group', displayName: 'no id' }))
})

t.test('eleven thousand groups are answered at once', async (t) => {
  const { entra, client } = await start(t)
  for (let n = 1; n <= 11_000; n++) {
    entra.directory.addObject({ id: guid(n), type: 'group', displayName: `Group ${n}`, securityEnabled: true })
    entra.directory.addMember(guid(n), n % 2 ? PEOPLE.nobody.id : guid(n - 1))
  }
  const token = await client.appOnly()
  const began = performance.now()
  const { ids, pages } = await client.all(`/users/${PEOPLE.nobody.id}/transitiveMemberOf?$select=id&$top=999`, token)
  t.strictSame({ different: new Set(ids).size, pages: pages.length }, { different: 11_000, pages: 12 })
  t.ok(performance.now() - began < 5000)
  t.comment(`${Math.round(performance.now() - began)} ms`)
})

t.test('guests of whom the groups alone are listed, or nothing', async (t) => {
  const { entra, client } = await start(t)
  const token = await client.appOnly()
  const guest = entra.directory.users.get(PEOPLE.guest.id)
  assert(guest)
  const all = `/users/${guest.id}/transitiveMemberOf`
  const cast = `${all}/microsoft.graph.group?$select=id&$top=1&$count=true`
  const eventual = { ConsistencyLevel: 'eventual' }
  const status = async (path: string, headers = {}) => (await client.graph(path, token, headers)).status
  t.strictSame({ all: await status(all), cast: await status(cast, eventual) }, { all: 200, cast: 200 })
  guest.membershipAccess = 'groups'
  t.strictSame({ all: await status(all), cast: await status(cast, eventual) }, { all: 403, cast: 200 })
  t.strictSame(
    [await status(cast), await status(cast.replace('&$count=true', ''), eventual)],
    [400, 400],
    'an advanced query',
  )
  t.equal((await client.graph(cast, token, eventual)).body['@odata.count'], 1)
  guest.membershipAccess = 'none'
  t.strictSame({ all: await status(all), cast: await status(cast, eventual) }, { all: 403, cast: 403 })
})

t.test('a group with hidden membership', async (t) => {
  const { entra, client } = await start(t)
  entra.directory.addObject({ id: guid(1), type: 'group', displayName: 'Hidden', visibility: 'HiddenMembership' })
  entra.directory.addMember(guid(1), PEOPLE.nobody.id)
  const path = `/users/${PEOPLE.nobody.id}/transitiveMemberOf`
  const ids = async (token: string) => (await client.graph(path, token)).body.value?.map(({ id }) => id)
  t.strictSame(await ids((await client.login(PEOPLE.nobody.id)).accessToken), [guid(1)], 'is shown to a member')
  t.strictSame(await ids(await client.appOnly()), [], 'and to no application')
  entra.app.applicationPermissions.push('Member.Read.Hidden')
  const token = await client.appOnly()
  t.strictSame(await ids(token), [guid(1)], 'but with the permission for it')
  const roles = [JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { roles: string[] }]
  t.match(roles, [{ roles: entra.app.applicationPermissions }], 'which is in its token')
})
