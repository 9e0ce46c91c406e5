// What the frame of the API does for every endpoint, with endpoints made for it.
import t, { type Test } from 'tap'
import Type from 'typebox'
import { GatehouseError } from '../../../src/core/errors.js'
import { defineEndpoint, defineList } from '../../../src/http/admin/api/endpoint.js'
import { me } from '../../../src/http/admin/api/me.js'
import { closed, instant, nullable, openRecord } from '../../../src/http/admin/api/schema.js'
import { createCursors } from '../../../src/http/admin/cursors.js'
import { startFrame } from './frame.js'

const READ = 'gatehouse.read'
const secret = { password: 'canary' }

const things = defineList({
  path: '/things/:name',
  permission: 'gatehouse.read',
  summary: 'Things',
  params: Type.Object({ name: Type.String({ maxLength: 150 }) }),
  query: Type.Object({ q: Type.Optional(Type.String({ maxLength: 10 })), active: Type.Optional(Type.Boolean()) }),
  item: closed({ id: Type.Integer(), about: Type.String(), inner: nullable(closed({ a: Type.String() })) }),
  cursor: closed({ id: Type.Integer() }),
  handle: async ({ page: { after, limit }, params: { name }, query }) => {
    const first = (after?.id ?? 0) + 1
    const about = JSON.stringify({ name, limit, ...query })
    const rows = [first, first + 1].map((id) => ({ id, about, inner: { a: 'b', ...secret }, ...secret }))
    return { rows, next: first < 4 ? { id: first + 1 } : undefined }
  },
})
const others = defineList({
  path: '/others',
  permission: 'gatehouse.read',
  summary: 'Others, with cursors of the same shape',
  item: closed({ id: Type.Integer() }),
  cursor: closed({ id: Type.Integer() }),
  handle: async () => ({ rows: [], next: undefined }),
})
const keys = defineEndpoint({
  method: 'GET',
  path: '/keys',
  permission: 'gatehouse.keys',
  summary: 'Keys',
  response: closed({ at: instant('Then'), detail: openRecord('Anything') }),
  version: ({ at }) => at,
  handle: () => ({ at: '2026-11-28T00:00:00.000Z', detail: { any: { thing: 1 } }, ...secret }),
})
const wrong = defineEndpoint({
  method: 'GET',
  path: '/wrong',
  permission: 'gatehouse.read',
  summary: 'Answers what it does not declare',
  response: closed({ count: Type.Integer() }),
  handle: () => ({ count: 'seven' } as unknown as { count: number }),
})
const missing = defineEndpoint({
  method: 'GET',
  path: '/missing',
  permission: 'gatehouse.read',
  summary: 'Never there',
  response: closed({}),
  handle: () => {
    throw new GatehouseError('user_unknown', { detail: 'canary of the log' })
  },
})
const trial = defineEndpoint({
  method: 'POST',
  changesNothing: true,
  path: '/trial',
  permission: 'gatehouse.read',
  summary: 'Tries something',
  body: Type.Object({ text: Type.String() }),
  response: closed({ text: Type.String() }),
  handle: ({ body: { text } }) => ({ text }),
})
const numbered = defineEndpoint({
  method: 'GET',
  path: '/numbered/:number',
  permission: 'gatehouse.read',
  summary: 'Has a number in its address',
  params: Type.Object({ number: Type.Integer({ minimum: 1 }) }),
  response: closed({ number: Type.Integer() }),
  handle: ({ params: { number } }) => ({ number }),
})
const ENDPOINTS = [me, trial, numbered, things, others, keys, wrong, missing]

t.test('the frame of the API', async (t) => {
  const ask = await startFrame(t, ENDPOINTS)
  const refusedAs = async (
    t: Test,
    path: string,
    status: number,
    code: string,
    parameter?: string,
    as: string = READ,
  ) => {
    const answer = await ask(`/admin/api/v1${path}`, as)
    t.match({ ...answer, type: answer.headers.get('content-type') }, {
      status,
      type: /^application\/problem\+json/,
      json: { status, code, type: 'about:blank', ...(parameter === undefined ? {} : { parameter }) },
    }, path)
    t.type(answer.json['correlationId'], 'string')
    t.equal(answer.headers.get('cache-control'), 'no-store', path)
  }

  // proves: admin-declared-fields
  await t.test('no field leaves that the answer does not declare, at any depth', async (t) => {
    const { json } = await ask('/admin/api/v1/things/a', READ)
    t.strictSame(Object.keys((json['items'] as object[])[0] ?? {}), ['id', 'about', 'inner'])
    t.notMatch(JSON.stringify(json), /canary/)
    const one = await ask('/admin/api/v1/keys', 'gatehouse.keys')
    t.strictSame(one.json, { at: '2026-11-28T00:00:00.000Z', detail: { any: { thing: 1 } } })
  })

  await t.test('an answer that is not as declared is not sent', async (t) => {
    await refusedAs(t, '/wrong', 500, 'internal')
  })

  // proves: admin-api-permission
  await t.test('who asks is known before anything else is looked at', async (t) => {
    t.equal((await ask('/admin/api/v1/keys?unknown=1')).json['code'], 'admin_sign_in_required')
    await refusedAs(t, '/keys?unknown=1', 404, 'not_found', undefined, 'netbox.view')
    await refusedAs(t, '/keys?unknown=1', 403, 'not_allowed')
    t.equal((await ask('/admin/api/v1/keys', 'gatehouse.keys')).status, 200)
  })

  // proves: admin-path-strict
  await t.test('numbers in addresses are read strictly', async (t) => {
    t.strictSame((await ask('/admin/api/v1/numbered/7', READ)).json, { number: 7 })
    for (const text of ['true', 'false', '0', '', '1e1', '+1', '01', '0x1', '1.0', ' 1', '1 ']) {
      await refusedAs(t, `/numbered/${encodeURIComponent(text)}`, 400, 'request_malformed', 'number')
    }
  })

  // proves: admin-query-unknown, admin-query-duplicate
  await t.test('parameters are read strictly', async (t) => {
    await refusedAs(t, '/things/a?Q=1', 400, 'query_unknown', 'Q')
    await refusedAs(t, '/things/a?__proto__=1', 400, 'query_unknown', '__proto__')
    await refusedAs(t, '/things/a?q=1&q=1', 400, 'query_duplicate', 'q')
    await refusedAs(t, '/things/a?q=12345678901', 400, 'request_malformed', 'q')
    for (const text of ['1', 'TRUE', '']) {
      await refusedAs(t, `/things/a?active=${text}`, 400, 'request_malformed', 'active')
    }
    for (const text of ['0', '201', '', '1e1', '+1', '01', '0x1', '1.0', 'all', ' 1']) {
      await refusedAs(t, `/things/a?limit=${encodeURIComponent(text)}`, 400, 'request_malformed', 'limit')
    }
    await refusedAs(t, `/things/${'a'.repeat(151)}`, 400, 'request_malformed', 'name')
  })

  await t.test('a page has 50 items unless another number is asked for, and filters have their types', async (t) => {
    const about = async (query: string) => {
      const { json } = await ask(`/admin/api/v1/things/NetBox%20%2F%20%C3%84${query}`, READ)
      return JSON.parse((json['items'] as { about: string }[])[0]?.about ?? '') as unknown
    }
    t.strictSame(await about(''), { name: 'NetBox / Ä', limit: 50 })
    t.strictSame(await about('?limit=200&active=false&q=5'), { name: 'NetBox / Ä', limit: 200, active: false, q: '5' })
  })

  await t.test('next leads through all pages and is null on the last one', async (t) => {
    const ids: number[] = []
    let next: string | null = ''
    while (next !== null) {
      const query = next === '' ? '' : `?after=${next}`
      const { json } = await ask(`/admin/api/v1/things/a${query}`, READ)
      ids.push(...(json['items'] as { id: number }[]).map(({ id }) => id))
      next = json['next'] as string | null
    }
    t.strictSame(ids, [1, 2, 3, 4, 5, 6])
  })

  // proves: admin-cursor
  await t.test('a cursor that was changed, or is of another list, is refused', async (t) => {
    const { json } = await ask('/admin/api/v1/things/a', READ)
    const cursor = json['next'] as string
    const made = (id: unknown, list = 'getThingsByName') => createCursors(['a secret for cursors']).write(list, { id })
    await refusedAs(t, `/others?after=${cursor}`, 400, 'request_malformed', 'after')
    for (
      const text of [
        `${cursor}=`,
        `${cursor}A`,
        cursor.slice(1),
        `${cursor.slice(0, -2)}AA`,
        Buffer.from('{"id":1}').toString('base64url'),
        createCursors(['another secret']).write('getThingsByName', { id: 1 }),
        made('1'),
        made(1, 'getOthers'),
        'A'.repeat(3000),
        'x',
      ]
    ) await refusedAs(t, `/things/a?after=${text}`, 400, 'request_malformed', 'after')
    const older = createCursors(['an older one']).write('getThingsByName', { id: 1 })
    t.equal((await ask(`/admin/api/v1/things/a?after=${older}`, READ)).status, 200, 'made before the secret changed')
  })

  // proves: admin-api-form
  await t.test('what is not read with GET needs a form token, and a body as declared', async (t) => {
    const json = { 'content-type': 'application/json' }
    const send = async (body: unknown, headers: Record<string, string>) => {
      const answer = await ask('/admin/api/v1/trial', READ, { headers, body: JSON.stringify(body) })
      return answer.json['code'] ?? answer.json
    }
    t.equal(await send({ text: 'a' }, json), 'form_refused')
    t.equal(await send({ text: 'a' }, { ...json, 'x-csrf-token': 'other' }), 'form_refused')
    const headers = { ...json, 'x-csrf-token': 'token' }
    t.strictSame(await send({ text: 'a' }, headers), { text: 'a' })
    for (const body of [{ text: 1 }, { text: 'a', more: 1 }, {}, null, [], 'a']) {
      t.equal(await send(body, headers), 'request_malformed', JSON.stringify(body))
    }
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml']) {
      t.equal(await send({ text: 'a' }, { ...headers, 'content-type': type }), 'request_malformed', type)
    }
  })

  // proves: admin-no-store
  await t.test('no answer is kept by a cache', async (t) => {
    const { headers } = await ask('/admin/api/v1/me', READ)
    t.equal(headers.get('cache-control'), 'no-store')
    t.equal(headers.get('x-content-type-options'), 'nosniff')
  })

  await t.test('what an editor must have seen has an ETag', async (t) => {
    t.match((await ask('/admin/api/v1/keys', 'gatehouse.keys')).headers.get('etag'), /^"[\w-]{22}"$/)
  })

  // proves: admin-one-spelling
  await t.test('addresses that are no endpoint are problems too', async (t) => {
    for (const path of ['', '/', '/ME', '/me/', '/nothing', '/things/%61', '/%6de', '/things/a%2E']) {
      await refusedAs(t, path, 404, 'not_found')
    }
    await refusedAs(t, '/things/%zz', 400, 'request_malformed')
    await refusedAs(t, '/missing', 404, 'user_unknown')
    for (const path of ['/admin/api', '/admin/api/v2/me']) t.equal((await ask(path, READ)).json['code'], 'not_found')
  })

  await t.test('details for the log are not sent', async (t) => {
    t.notMatch(JSON.stringify((await ask('/admin/api/v1/missing', READ)).json), /canary/)
  })

  await t.test('me says who asks, with what', async (t) => {
    t.strictSame((await ask('/admin/api/v1/me', 'gatehouse.people netbox.view')).json, {
      username: 'sue',
      name: 'Sue Superuser',
      permissions: ['gatehouse.people', 'gatehouse.read'],
      csrfToken: 'token',
      authenticatedAt: '2026-11-18T11:06:40.000Z',
      sessionId: 'ses_test',
      tokenId: null,
    })
  })
})

// proves: admin-api-limit
t.test('one admin session asks 600 times a minute, others go on', async (t) => {
  const ask = await startFrame(t, [me])
  for (let asked = 0; asked < 600; asked += 20) {
    await Promise.all(Array.from({ length: 20 }, () => ask('/admin/api/v1/me', READ)))
  }
  const over = await ask('/admin/api/v1/me', READ)
  t.match(over, { status: 429, json: { code: 'rate_limited' } })
  t.ok(Number(over.headers.get('retry-after')) > 0)
  t.equal((await ask('/admin/api/v1/me', `${READ} netbox.view`)).status, 200)
})

t.test('an answer that leaves something open cannot be defined', async (t) => {
  const define = (response: Parameters<typeof defineEndpoint>[0]['response']) => () =>
    defineEndpoint({ method: 'GET', path: '/x', permission: 'gatehouse.read', summary: 'X', response, handle: () => 1 })
  t.throws(define(Type.Object({})), /getX is an open object/)
  t.throws(define(closed({ a: Type.Array(closed({ b: Type.Object({}) })) })), /getX\.a\[\]\.b is an open object/)
  t.throws(define(closed({ a: nullable(Type.Record(Type.String(), Type.String())) })), /getX\.a is an open object/)
  t.throws(define(closed({ a: Type.Any() })), /getX\.a has no type/)
})
