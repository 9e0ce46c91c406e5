// What the re-evaluation asks of Graph, over HTTP against the simulated one: tokens, pauses, pages, the plain request.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { GatehouseError } from '../../src/core/errors.js'
import { createDirectory } from '../../src/demo/directory.js'
import { startEntra } from '../../src/demo/entra/server.js'
import type { FaultEntry } from '../../src/demo/entra/faults.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, PERSON_IDS, seedDemoDirectory } from '../../src/demo/people.js'
import { createAccountSource } from '../../src/entra/accounts.js'
import { createClientCredential } from '../../src/entra/credentials.js'
import { entraEndpoints } from '../../src/entra/clouds.js'
import { createHttpClient } from '../../src/entra/http-client.js'
import { CLIENT_SECRET, registration } from '../helpers/gateway.js'

const { staff, guest, superuser } = PERSON_IDS
const PEOPLE = [staff, guest, superuser]

async function scene(t: Test, { budgetMs = 5_000 }: { budgetMs?: number } = {}) {
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  const entra = await startEntra({
    directory,
    app: registration('http://127.0.0.1:1', { applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'] }),
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
  const create = () =>
    createAccountSource({ http, endpoints, clientId: DEMO_CLIENT_ID, credential, securityGroupsOnly: false, budgetMs })
  let source = create()
  return {
    entra,
    directory,
    another() {
      source = create()
    },
    /** What each of them is, or the code of what failed; or the one code of it all. */
    async read(people: readonly string[] = PEOPLE) {
      const standings = await source.read(people, 'c0ffee00-0000-4000-8000-000000000000').catch((error: unknown) =>
        (error as GatehouseError).code
      )
      return typeof standings === 'string' ? standings : people.map((oid) => {
        const standing = standings.get(oid)
        return standing?.kind === 'failed' ? standing.error.code : standing?.kind
      })
    },
    groupsOf: async (oid: string) => {
      const standing = (await source.read([oid], 'c0ffee00-0000-4000-8000-000000000000')).get(oid)
      return standing?.kind === 'enabled' ? standing.groupIds : standing
    },
    asked: (part: string) => entra.requests.filter(({ path }) => path.includes(part)).length,
    add: (fault: FaultEntry) => {
      entra.faults.add(fault)
    },
  }
}

const ALL = ['enabled', 'enabled', 'enabled']

// proves: sync-token-refused
t.test('a token', async (t) => {
  const { read, asked, add } = await scene(t)
  t.strictSame([await read(), await read(), asked('/token')], [ALL, ALL, 1], 'is asked for once')
  add({
    on: 'graph',
    path: '$batch',
    then: { kind: 'status', status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } },
  })
  t.strictSame([await read(), asked('/token')], [ALL, 2], 'and anew where Graph does not take it')
  t.strictSame([await read(), asked('/token')], [ALL, 2])
  add({
    on: 'graph',
    path: `/users/${guest}?`,
    then: { kind: 'status', status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } },
  })
  t.strictSame([await read(), asked('/token')], [ALL, 3], 'also within a batch')
})

// proves: sync-token-age
t.test('a token that is about to end is not sent', async (t) => {
  const { entra, read, asked, add, another } = await scene(t)
  await read()
  const real = String(entra.requests.find(({ path }) => path.endsWith('$batch'))?.headers.authorization).slice(
    'Bearer '.length,
  )
  another()
  add({ on: 'token', then: { kind: 'body', body: { token_type: 'Bearer', access_token: real, expires_in: 299 } } })
  t.strictSame([await read(), asked('/token')], [ALL, 2])
  t.strictSame([await read(), asked('/token')], [ALL, 3], 'less than five minutes were left')
  t.strictSame([await read(), asked('/token')], [ALL, 3])
})

// proves: sync-priority
t.test('the least urgent of all, the batch and each question in it', async (t) => {
  const { entra, read } = await scene(t)
  await read()
  const graph = entra.requests.filter(({ server }) => server === 'graph')
  t.equal(graph.length, 7)
  for (const { path, headers } of graph) t.equal(headers['x-ms-throttle-priority'], 'low', path)
})

t.test('further pages of groups are read, and a page that is missing fails that person alone', async (t) => {
  const { entra, directory, read, groupsOf, add } = await scene(t)
  for (let n = 0; n < 1_500; n++) {
    const id = `90000000-0000-4000-8000-${String(n).padStart(12, '0')}`
    directory.addObject({ id, type: 'group', displayName: `Group ${n}` })
    directory.addMember(id, guest)
  }
  const groups = await groupsOf(guest)
  t.equal(Array.isArray(groups) && groups.length > 1_500, true)
  t.equal(entra.requests.filter(({ query }) => query.$skiptoken !== undefined).length, 1)
  add({ on: 'graph', path: 'skiptoken', times: 5, then: { kind: 'status', status: 500, body: {} } })
  t.strictSame(await read(), ['enabled', 'graph_unavailable', 'enabled'])
})

// proves: sync-plain-request
t.test('where Graph cannot answer with the query, the plain request is made, as at a login', async (t) => {
  const { entra, groupsOf, add } = await scene(t)
  const before = await groupsOf(staff)
  add({
    on: 'graph',
    path: `${staff}/transitiveMemberOf`,
    then: { kind: 'status', status: 400, body: { error: { code: 'Request_UnsupportedQuery', message: 'x' } } },
  })
  t.strictSame(await groupsOf(staff), before)
  t.match(entra.requests.at(-1), { path: `/v1.0/users/${staff}/transitiveMemberOf`, query: {} })
})

// proves: adv-guests-sync
t.test('a guest of whom Graph lists the groups alone', async (t) => {
  const { directory, entra, read, groupsOf } = await scene(t)
  const before = await groupsOf(guest)
  const person = directory.users.get(guest)
  if (person) person.membershipAccess = 'groups'
  t.strictSame(await groupsOf(guest), before)
  const cast = entra.requests.at(-1)
  t.match(cast, { path: `/v1.0/users/${guest}/transitiveMemberOf/microsoft.graph.group`, query: { $count: 'true' } })
  t.match(cast?.headers, { 'consistencylevel': 'eventual', 'x-ms-throttle-priority': 'low' })
  t.strictSame(await read(), ALL)
  if (person) person.membershipAccess = 'none'
  t.strictSame(await read(), ['enabled', 'graph_forbidden', 'enabled'], 'and of whom not even those')
})

t.test('pauses', async (t) => {
  const unavailable = (times: number, headers: Record<string, string> = {}) =>
    ({
      on: 'graph',
      path: `/users/${guest}?`,
      times,
      then: { kind: 'status', status: 503, headers, body: {} },
    }) as const

  // proves: sync-pause-own
  t.test('one person whom Graph cannot answer about holds nobody else up', async (t) => {
    const { read, asked, add } = await scene(t)
    add(unavailable(2))
    const slow = read()
    while (asked('$batch') === 0) await sleep(5)
    await sleep(50)
    const began = performance.now()
    t.strictSame(await read([superuser]), ['enabled'])
    t.ok(performance.now() - began < 900, "the pause is that person's")
    t.strictSame(await slow, ['enabled', 'graph_unavailable', 'enabled'])
    t.strictSame(await read(), ALL)
  })

  // proves: sync-pause-named
  t.test('a time that Graph names holds for all, whoever it was named for', async (t) => {
    const { entra, read, add } = await scene(t)
    add(unavailable(1, { 'retry-after': '300' }))
    t.strictSame(await read(), ['enabled', 'graph_unavailable', 'enabled'])
    entra.requests.splice(0)
    t.equal(await read([staff]), 'graph_throttled')
    t.equal(entra.requests.length, 0)
  })

  for (const status of [429, 503] as const) {
    // proves: sync-pause-batch
    t.test(`a ${status} for a whole batch is kept until the next one`, async (t) => {
      const { entra, read, add } = await scene(t)
      add({ on: 'graph', path: '$batch', then: { kind: 'throttle', status, retryAfter: '300' } })
      t.equal(await read(), status === 429 ? 'graph_throttled' : 'graph_unavailable')
      entra.requests.splice(0)
      t.equal(await read(), 'graph_throttled')
      t.equal(
        entra.requests.filter(({ server }) => server === 'graph').length,
        0,
        'nothing is asked before the pause is over',
      )
    })

    t.test(`a short ${status} for a whole batch is waited for`, async (t) => {
      const { read, asked, add } = await scene(t)
      add({ on: 'graph', path: '$batch', then: { kind: 'throttle', status, retryAfter: '1' } })
      const began = performance.now()
      t.strictSame(await read(), ALL)
      t.ok(performance.now() - began >= 1_000)
      t.equal(asked('$batch'), 2)
    })
  }

  // proves: sync-pause-last
  t.test('after the last attempt nobody waits', async (t) => {
    const { read, add } = await scene(t)
    add({ on: 'graph', path: `/users/${guest}?`, times: 3, then: { kind: 'throttle', retryAfter: '0' } })
    add({ on: 'graph', path: `/users/${guest}?`, then: { kind: 'throttle' } })
    t.strictSame(await read(), ['enabled', 'graph_throttled', 'enabled'])
    t.strictSame(await read(), ALL, 'and not for the sixteen seconds that would come next')
  })
})
