// Reads of accounts and groups for the re-evaluation, over HTTP from the simulated Graph: tokens, pauses, pages and
// fallback requests.
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
    restart() {
      source = create()
    },
    /** The kind of each result, or the code of its error; or the code with which the whole read failed. */
    async read(people: readonly string[] = PEOPLE) {
      const results = await source.read(people, 'c0ffee00-0000-4000-8000-000000000000').catch((error: unknown) =>
        (error as GatehouseError).code
      )
      return typeof results === 'string' ? results : people.map((oid) => {
        const result = results.get(oid)
        return result?.kind === 'failed' ? result.error.code : result?.kind
      })
    },
    groupsOf: async (oid: string) => {
      const result = (await source.read([oid], 'c0ffee00-0000-4000-8000-000000000000')).get(oid)
      return result?.kind === 'enabled' ? result.groupIds : result
    },
    requestsTo: (part: string) => entra.requests.filter(({ path }) => path.includes(part)).length,
    add: (fault: FaultEntry) => {
      entra.faults.add(fault)
    },
  }
}

const ALL = ['enabled', 'enabled', 'enabled']

// proves: sync-token-refused
t.test('one token is used until Graph refuses it', async (t) => {
  const { read, requestsTo, add } = await scene(t)
  t.strictSame(
    { first: await read(), second: await read(), tokens: requestsTo('/token') },
    { first: ALL, second: ALL, tokens: 1 },
    'requested once',
  )
  add({
    on: 'graph',
    path: '$batch',
    then: { kind: 'status', status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } },
  })
  t.strictSame({ read: await read(), tokens: requestsTo('/token') }, { read: ALL, tokens: 2 }, 'a new one after a 401')
  t.strictSame({ read: await read(), tokens: requestsTo('/token') }, { read: ALL, tokens: 2 })
  add({
    on: 'graph',
    path: `/users/${guest}?`,
    then: { kind: 'status', status: 401, body: { error: { code: 'InvalidAuthenticationToken' } } },
  })
  t.strictSame(
    { read: await read(), tokens: requestsTo('/token') },
    { read: ALL, tokens: 3 },
    'also after one in a batch',
  )
})

// proves: sync-token-age
t.test('a token that is about to expire is not sent', async (t) => {
  const { entra, read, requestsTo, add, restart } = await scene(t)
  await read()
  const real = String(entra.requests.find(({ path }) => path.endsWith('$batch'))?.headers.authorization).slice(
    'Bearer '.length,
  )
  restart()
  add({ on: 'token', then: { kind: 'body', body: { token_type: 'Bearer', access_token: real, expires_in: 299 } } })
  t.strictSame({ read: await read(), tokens: requestsTo('/token') }, { read: ALL, tokens: 2 })
  t.strictSame(
    { read: await read(), tokens: requestsTo('/token') },
    { read: ALL, tokens: 3 },
    'less than five minutes were left',
  )
  t.strictSame({ read: await read(), tokens: requestsTo('/token') }, { read: ALL, tokens: 3 })
})

// proves: sync-priority
t.test('the batch and each of its requests have the lowest priority', async (t) => {
  const { entra, read } = await scene(t)
  await read()
  const graph = entra.requests.filter(({ server }) => server === 'graph')
  t.equal(graph.length, 7)
  for (const { path, headers } of graph) t.equal(headers['x-ms-throttle-priority'], 'low', path)
})

t.test('further pages of groups are read, and a missing page fails only its user', async (t) => {
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
t.test('a request without a query follows where Graph does not support the query', async (t) => {
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
t.test('groups alone are read where Graph refuses the list of everything for a guest', async (t) => {
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
  t.strictSame(
    await read(),
    ['enabled', 'graph_forbidden', 'enabled'],
    'and the guest fails where the groups are refused too',
  )
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
  t.test('a user for whom Graph is unavailable does not delay the others', async (t) => {
    const { read, requestsTo, add } = await scene(t)
    add(unavailable(2))
    const slow = read()
    while (requestsTo('$batch') === 0) await sleep(5)
    await sleep(50)
    const began = performance.now()
    t.strictSame(await read([superuser]), ['enabled'])
    t.ok(performance.now() - began < 900, 'only that user waits')
    t.strictSame(await slow, ['enabled', 'graph_unavailable', 'enabled'])
    t.strictSame(await read(), ALL)
  })

  // proves: sync-pause-named
  t.test('a Retry-After for one user pauses all batches', async (t) => {
    const { entra, read, add } = await scene(t)
    add(unavailable(1, { 'retry-after': '300' }))
    t.strictSame(await read(), ['enabled', 'graph_unavailable', 'enabled'])
    entra.requests.splice(0)
    t.equal(await read([staff]), 'graph_throttled')
    t.equal(entra.requests.length, 0)
  })

  for (const status of [429, 503] as const) {
    // proves: sync-pause-batch
    t.test(`a ${status} for a whole batch pauses the next one`, async (t) => {
      const { entra, read, add } = await scene(t)
      add({ on: 'graph', path: '$batch', then: { kind: 'throttle', status, retryAfter: '300' } })
      t.equal(await read(), status === 429 ? 'graph_throttled' : 'graph_unavailable')
      entra.requests.splice(0)
      t.equal(await read(), 'graph_throttled')
      t.equal(
        entra.requests.filter(({ server }) => server === 'graph').length,
        0,
        'no request before the pause has passed',
      )
    })

    t.test(`a short ${status} for a whole batch delays it`, async (t) => {
      const { read, requestsTo, add } = await scene(t)
      add({ on: 'graph', path: '$batch', then: { kind: 'throttle', status, retryAfter: '1' } })
      const began = performance.now()
      t.strictSame(await read(), ALL)
      t.ok(performance.now() - began >= 1_000)
      t.equal(requestsTo('$batch'), 2)
    })
  }

  // proves: sync-pause-last
  t.test('the last attempt is followed by no pause', async (t) => {
    const { read, add } = await scene(t)
    add({ on: 'graph', path: `/users/${guest}?`, times: 3, then: { kind: 'throttle', retryAfter: '0' } })
    add({ on: 'graph', path: `/users/${guest}?`, then: { kind: 'throttle' } })
    t.strictSame(await read(), ['enabled', 'graph_throttled', 'enabled'])
    t.strictSame(await read(), ALL, 'without the sixteen seconds of a next attempt')
  })
})
