// Every operation of the OpenAPI document that changes nothing, asked by everybody who may and may not: an endpoint
// that is added is asked too, and cannot be left out. acts.test.ts asks the others.
import { sql } from 'drizzle-orm'
import t from 'tap'
import { newDraft } from './act-scenes.js'
import { ADMIN_PERMISSIONS } from '../../../src/core/admin-permissions.js'
import {
  PEOPLE,
  readDocument,
  startAdminScene,
  type AdminScene,
  type ApiAnswer,
  type ApiClient,
  type ApiRequest,
  type Operation,
  type Schema,
  type Who,
} from './helper.js'

/** Bodies of requests that succeed, by operation. */
const BODIES: Readonly<Record<string, unknown>> = {
  postPolicyDraftsByIdPreview: { live: false },
  postPolicyTest: { url: 'https://netbox.example.com/circuits/' },
}

/** Queries that an operation needs to succeed. */
const QUERIES: Readonly<Record<string, string>> = {
  getPolicyDiff: 'from=1',
}

/** Values of the parameters in addresses, by the first segment of the address and the name. */
const ADDRESSED: Readonly<Record<string, (scene: AdminScene) => Promise<string>>> = {
  'people {id}': async ({ gateway }) => {
    const { rows: [user] } = await gateway.gateway.database.ask((db) =>
      db.execute<{ id: string }>(sql`select user_id as id from identities where oid = ${PEOPLE.sam}`)
    )
    return user?.id ?? ''
  },
  'groups {name}': async () => 'Network Engineers',
  'images {name}': async ({ gateway }) => {
    await gateway.gateway.database.ask((db) =>
      db.execute(sql`insert into policy_images (name, type, sha256, content, author)
        values ('logo.png', 'image/png', repeat('0', 64), 'x', 'cli:test') on conflict do nothing`)
    )
    return 'logo.png'
  },
  'policy {number}': async () => '1',
  'policy {id}': async (scene) => (await newDraft(scene)).path.split('/').at(-1) ?? '',
  'reviews {personId}': async (scene) => await ADDRESSED['people {id}']?.(scene) ?? '',
  'reviews {right}': async () => 'group:Network Engineers',
  'sessions {publicId}': async ({ gateway }) => {
    const { rows: [session] } = await gateway.gateway.database.ask((db) =>
      db.execute<{ id: string }>(sql`select public_id as id from sessions order by created_at limit 1`)
    )
    return session?.id ?? ''
  },
}

/** What it holds of the one who asks, by permission; the others are staff at most. */
const HOLDERS: Readonly<Record<string, readonly Who[]>> = {
  'gatehouse.read': ['sue', 'sam', 'helpdesk'],
  'gatehouse.sessions': ['sue', 'helpdesk'],
}

async function pathOf(scene: AdminScene, { path }: Operation): Promise<string> {
  const [, first = ''] = path.split('/')
  let filled = path
  for (const [parameter] of path.matchAll(/\{\w+\}/g)) {
    const value = await ADDRESSED[`${first} ${parameter}`]?.(scene)
    if (value === undefined || value === '') throw new Error(`ADDRESSED has no value for ${first} ${parameter}`)
    filled = filled.replace(parameter, encodeURIComponent(value))
  }
  return filled
}

function requestOf({ method, hasBody, operationId }: Operation, { csrfToken }: ApiClient): ApiRequest {
  if (method === 'GET') return {}
  if (hasBody && BODIES[operationId] === undefined) throw new Error(`BODIES has none for ${operationId}`)
  return {
    method,
    headers: { 'sec-fetch-site': 'same-origin', 'x-csrf-token': csrfToken },
    ...(hasBody ? { body: BODIES[operationId] } : {}),
  }
}

t.test('every operation of the document', { timeout: 240_000 }, async (t) => {
  const scene = await startAdminScene(t)
  const { clients, signedInOnly, stranger, undeclared, document } = scene
  const { sue } = clients

  for (const operation of document.operations.filter(({ act }) => act === undefined)) {
    await t.test(`${operation.method} ${operation.path}`, async (t) => {
      const { operationId, method, permission, parameters } = operation
      const path = await pathOf(scene, operation)
      const query = QUERIES[operationId] ?? ''
      const own = requestOf(operation, sue)
      const with_ = (name: string, value: string) =>
        `${path}?${[query, `${name}=${encodeURIComponent(value)}`].filter((part) => part !== '').join('&')}`
      const answered = (answer: ApiAnswer, status: number, code: string | undefined, what: string) => {
        t.match({ status: answer.status, code: answer.json?.['code'] }, { status, code }, what)
        t.equal(undeclared(operation, answer), undefined, what)
        t.equal(answer.headers['cache-control'], 'no-store', what)
      }
      const asked = `${path}${query === '' ? '' : `?${query}`}`

      answered(await stranger.ask(asked, own), 401, 'admin_sign_in_required', 'no session')
      answered(await signedInOnly.ask(asked, own), 401, 'admin_sign_in_required', 'the session cookie alone')
      for (const [who, client] of Object.entries(clients) as [Who, ApiClient][]) {
        const holders = HOLDERS[permission] ?? ['sue']
        const answer = await client.ask(asked, requestOf(operation, client))
        if (who === 'nobody') answered(answer, 404, 'not_found', 'no permission at all')
        else if (!holders.includes(who)) answered(answer, 403, 'not_allowed', `${who} lacks ${permission}`)
        else answered(answer, 200, undefined, `${who} has ${permission}`)
      }

      answered(await sue.ask(with_('unknown', '1'), own), 400, 'query_unknown', 'an unknown parameter')
      for (const { name, in: place } of parameters) {
        if (place !== 'query') continue
        const twice = `${with_(name, '1')}&${name}=1`
        answered(await sue.ask(twice, own), 400, 'query_duplicate', `${name} twice`)
      }
      if (parameters.some(({ name }) => name === 'limit')) {
        for (const limit of ['0', '201', 'many', '']) {
          answered(await sue.ask(with_('limit', limit), own), 400, 'request_malformed', `limit ${limit}`)
        }
        for (const limit of ['1', '200']) answered(await sue.ask(with_('limit', limit), own), 200, undefined, limit)
      }
      if (parameters.some(({ name }) => name === 'after')) {
        for (const cursor of ['', 'e30', Buffer.from('{"id":"1"}').toString('base64url')]) {
          answered(await sue.ask(with_('after', cursor), own), 400, 'request_malformed', `cursor ${cursor}`)
        }
        await allPages(operation, with_)
      }
      if (method !== 'GET') {
        for (const headers of [{ 'sec-fetch-site': 'same-site' }, { 'x-csrf-token': clients.sam.csrfToken }]) {
          const forged = { ...own, headers: { ...own.headers, ...headers } as Record<string, string> }
          answered(await sue.ask(asked, forged), 403, 'form_refused', JSON.stringify(Object.keys(headers)))
        }
      }

      /** Pages of one item each lead through the list, and their cursors are of this list alone. */
      async function allPages({ operationId }: Operation, at: (name: string, value: string) => string) {
        let next: unknown = (await sue.ask(at('limit', '1'), own)).json?.['next']
        for (let page = 0; page < 3 && typeof next === 'string'; page++) {
          const answer = await sue.ask(`${at('limit', '1')}&after=${next}`, own)
          answered(answer, 200, undefined, `page ${page + 2} of ${operationId}`)
          const other = document.operations.find((each) =>
            each.operationId !== operationId && each.parameters.some(({ name }) => name === 'after')
          )
          if (other !== undefined) {
            const foreign = await sue.ask(`${await pathOf(scene, other)}?after=${next}`)
            t.match(foreign, { status: 400, json: { code: 'request_malformed' } }, `foreign to ${other.operationId}`)
          }
          next = answer.json?.['next']
        }
      }
    })
  }
})

t.test('no answer is open: every object of every answer lists its fields', async (t) => {
  const openIn = (schema: Schema, place: string): string[] => {
    if (schema['x-open'] === true) return []
    const { type, properties, items, anyOf, additionalProperties } = schema
    const open = type === 'object' && additionalProperties !== false ? [place] : []
    const parts = Object.entries((properties ?? {}) as Record<string, Schema>)
    return [
      ...open,
      ...parts.flatMap(([name, part]) => openIn(part, `${place}.${name}`)),
      ...(items === undefined ? [] : openIn(items as Schema, `${place}[]`)),
      ...((anyOf ?? []) as Schema[]).flatMap((part) => openIn(part, place)),
    ]
  }
  for (const { operationId, responses } of readDocument().operations) {
    const content = (responses['200'] as { content: Record<string, { schema: Schema }> }).content
    for (const { schema } of Object.values(content)) t.strictSame(openIn(schema, operationId), [])
  }
})

t.test('the gateway serves the committed document, with its own cookie', async (t) => {
  const { clients, document } = await startAdminScene(t)
  const { json } = await clients.sam.ask('/openapi.json')
  const served = JSON.stringify(json).replaceAll('"gatehouse_admin"', '"__Host-gatehouse_admin"')
  t.strictSame(JSON.parse(served), document.content)
})

t.test('me names what the one who asks may do', async (t) => {
  const { clients } = await startAdminScene(t)
  const permissionsOf = async (who: Who) => (await clients[who].ask('/me')).json?.['permissions']
  t.strictSame(await permissionsOf('sue'), Object.keys(ADMIN_PERMISSIONS).sort())
  t.strictSame(await permissionsOf('sam'), ['gatehouse.read'])
  t.strictSame(await permissionsOf('helpdesk'), ['gatehouse.read', 'gatehouse.sessions'])
})

t.test('without the section admin there is no API', async (t) => {
  const { gateway, clients } = await startAdminScene(t)
  const off = await gateway.restart({ admin: undefined })
  const answer = await clients.sue.browser.ask(`${off.url}/admin/api/v1/me`, { headers: { accept: '*/*' } })
  t.equal(answer.status, 404)
  t.match(JSON.parse(answer.text), { error: 'not_found' })
})
