// For every act of the API a request that succeeds, and one that is above the rights of an administrator who has the
// permission. The matrix (acts.test.ts) fails for an act without a scene.
import { randomUUID } from 'node:crypto'
import { parse, stringify } from 'yaml'
import type { Query } from '../../helpers/sql.js'
import { until } from '../../helpers/until.js'
import { PEOPLE, type AdminScene, type ApiClient, type Who } from './helper.js'
import { giveToken } from './token-client.js'

export interface ActRequest {
  /** Below /admin/api/v1, with the query. */
  readonly path: string
  readonly body?: unknown
  /** Header If-Match. */
  readonly ifMatch?: string
}

export interface ActScene {
  /** What Sue may do. Called again for each request that must succeed. */
  readonly allowed: (scene: AdminScene, query: Query) => Promise<ActRequest>
  /** What Gus may not do, although he has the permission of the act; undefined: the act gives nobody a right. */
  readonly above: ((scene: AdminScene, query: Query) => Promise<ActRequest>) | undefined
  /** Where some requests alone need a fresh sign-in: one of them. Their `allowed` needs none. */
  readonly stepUp?: (scene: AdminScene, query: Query) => Promise<ActRequest>
  /** Whether what the act has begun in the background has ended. */
  readonly hasEnded?: (query: Query) => Promise<boolean>
}

/** By its first bytes. */
const PICTURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1').toString('base64')
const WHY = 'The laptop was lost'
const reason = `reason=${encodeURIComponent(WHY)}`

/** A new session of this person. */
async function sessionOf(who: Who, { gateway }: AdminScene, query: Query): Promise<string> {
  await gateway.signIn(PEOPLE[who])
  const [session] = await query<{ id: string }>('select public_id as id from sessions order by created_at desc limit 1')
  return session?.id ?? ''
}

async function idOf(who: Who, query: Query): Promise<string> {
  const [row] = await query<{ id: string }>('select user_id as id from identities where oid = $1', [PEOPLE[who]])
  return row?.id ?? ''
}

/** A user that nothing else is about. */
async function newPerson(query: Query, active = true): Promise<string> {
  const name = `user-${randomUUID()}`
  const [row] = await query<{ id: string }>(
    'insert into users (username, username_key, is_active) values ($1, $1, $2) returning id',
    [name, active],
  )
  return row?.id ?? ''
}

/** A local group that nothing else is about. */
async function newGroup(query: Query, permission: string): Promise<string> {
  const name = `group-${randomUUID()}`
  await query('insert into groups (name) values ($1)', [name])
  await query('insert into group_permissions (group_id, permission) select id, $2 from groups where name = $1', [
    name,
    permission,
  ])
  return name
}

/** Of a new group, by hand. @returns its name */
async function memberOf(query: Query, userId: string): Promise<string> {
  const name = await newGroup(query, 'netbox.view')
  await query('insert into user_groups (user_id, group_id) select $1, id from groups where name = $2', [userId, name])
  return name
}

/** A new user with a session. */
async function signedIn(query: Query): Promise<string> {
  const id = await newPerson(query)
  await query('insert into sessions (id_hash, public_id, user_id) values (sha256($1::bytea), $2, $3)', [
    id,
    `ses_${id}`,
    id,
  ])
  return id
}

/** A draft of the policy. */
export async function newDraft(
  { clients: { sue } }: AdminScene,
  by: ApiClient = sue,
): Promise<{ path: string, ifMatch: string }> {
  const headers = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': by.csrfToken }
  const { json } = await by.ask('/policy/drafts', { method: 'POST', headers, body: {} })
  return { path: `/policy/drafts/${String(json?.['id'])}`, ifMatch: String(json?.['etag']) }
}

/** A draft that Sue, or another administrator, has seen the preview of, with what a request to deploy it has. */
export async function draftToDeploy(
  scene: AdminScene,
  query: Query,
  change: (policy: Readonly<Record<string, unknown>>) => unknown = (policy) => policy,
  by: ApiClient = scene.clients.sue,
): Promise<{ path: string, ifMatch: string, body: Readonly<Record<string, unknown>> }> {
  const { path, ifMatch: first } = await newDraft(scene, by)
  const headers = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': by.csrfToken }
  const { json } = await by.ask(path)
  const text = stringify(change(parse(String(json?.['text'])) as Readonly<Record<string, unknown>>))
  const put = { method: 'PUT', headers: { ...headers, 'if-match': first }, body: { text } }
  const ifMatch = String((await by.ask(path, put)).json?.['etag'])
  const preview = await previewOf(by, path)
  return { path, ifMatch, body: { message: 'Circuits', onto: await inForce(query), preview, reason: WHY } }
}

/** The same draft, with what a request to approve it has. */
export async function draftToApprove(
  scene: AdminScene,
  query: Query,
  change?: (policy: Readonly<Record<string, unknown>>) => unknown,
  by?: ApiClient,
): Promise<ActRequest> {
  const { path, ifMatch, body: { onto, preview } } = await draftToDeploy(scene, query, change, by)
  return { path: `${path}/approve`, ifMatch, body: { onto, preview } }
}

export async function previewOf(client: ApiClient, path: string): Promise<string> {
  const headers = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': client.csrfToken }
  let hash: unknown
  const isMade = async () => {
    const { json } = await client.ask(`${path}/preview`, { method: 'POST', headers })
    hash = (json?.['result'] as { hash?: string } | null | undefined)?.hash
    return hash !== undefined
  }
  if (!await until(isMade)) throw new Error('there is no preview')
  return String(hash)
}

export async function inForce(query: Query): Promise<number> {
  const [row] = await query<{ number: number }>(
    "select max(number) as number from policy_versions where source = 'database'",
  )
  return row?.number ?? 0
}

/** A version that was never deployed. @param change of the one in force */
export async function versionWith(
  query: Query,
  change: (policy: Readonly<Record<string, unknown>>) => unknown,
): Promise<number> {
  const [before] = await query<{ text: string }>('select text from policy_versions where number = $1', [
    await inForce(query),
  ])
  const text = stringify(change(parse(before?.text ?? '') as Readonly<Record<string, unknown>>))
  const [added] = await query<{ number: number }>(
    `insert into policy_versions (number, source, text, hash, schema, release, author)
      select max(number) + 1, 'file', $1::text, encode(sha256(convert_to($1::text, 'UTF8')), 'hex'), 1, 'test', 'test'
      from policy_versions returning number`,
    [text],
  )
  return added?.number ?? 0
}

/** One row more of the mapping: Entra groups that nobody is in. */
export function withRow(row: Readonly<Record<string, unknown>>) {
  return (policy: Readonly<Record<string, unknown>>): unknown => ({
    ...policy,
    groupMapping: [...policy['groupMapping'] as readonly unknown[], { entraGroup: randomUUID(), ...row }],
  })
}

async function seen({ clients: { sue } }: AdminScene, id: string): Promise<{ path: string, ifMatch: string }> {
  const { headers } = await sue.ask(`/people/${id}`)
  return { path: `/people/${id}`, ifMatch: String(headers['etag']) }
}

const ofSue = async (scene: AdminScene, query: Query) => await seen(scene, await idOf('sue', query))

/** A local group that nothing names, as Sue sees it. */
async function groupSeen({ clients: { sue } }: AdminScene, query: Query, permission = 'wiki.edit') {
  const path = `/groups/${await newGroup(query, permission)}`
  const { headers } = await sue.ask(path)
  return { path, ifMatch: String(headers['etag']) }
}

/** A file of groups, for the groups as Sue sees them. */
async function importOf({ clients: { sue } }: AdminScene, yaml: string) {
  const { headers } = await sue.ask('/groups/export')
  return { path: '/groups/import', ifMatch: String(headers['etag']), body: { yaml, reason: WHY } }
}

export const ACT_SCENES: Readonly<Record<string, ActScene>> = {
  deleteSessionsByPublicId: {
    allowed: async (scene, query) => ({ path: `/sessions/${await sessionOf('sam', scene, query)}?${reason}` }),
    above: async (scene, query) => ({ path: `/sessions/${await sessionOf('sue', scene, query)}?${reason}` }),
  },
  postSessionsEnd: {
    allowed: async (_scene, query) => ({
      path: '/sessions/end',
      body: { person: await signedIn(query), reason: WHY },
    }),
    above: async (scene, query) => {
      const id = await sessionOf('sue', scene, query)
      await query("update sessions set last_host = 'netbox.contoso.example' where public_id = $1", [id])
      return { path: '/sessions/end', body: { host: 'netbox.contoso.example', reason: WHY } }
    },
    stepUp: async () => ({ path: '/sessions/end', body: { all: true, reason: WHY } }),
  },
  postPeopleByIdEndSessions: {
    allowed: async (_scene, query) => ({
      path: `/people/${await signedIn(query)}/end-sessions`,
      body: { reason: WHY },
    }),
    above: async (_scene, query) => ({
      path: `/people/${await idOf('sue', query)}/end-sessions`,
      body: { reason: WHY },
    }),
  },
  postPeople: {
    allowed: async () => ({ path: '/people', body: { username: `new-${randomUUID()}` } }),
    above: async () => ({ path: '/people', body: { username: 'emergency', breakGlass: true } }),
  },
  patchPeopleById: {
    allowed: async (scene, query) => ({
      ...await seen(scene, await newPerson(query)),
      body: { isActive: false, reason: WHY },
    }),
    above: async (scene, query) => ({ ...await ofSue(scene, query), body: { isActive: false, reason: WHY } }),
    stepUp: async (scene, query) => ({
      ...await seen(scene, await newPerson(query, false)),
      body: { isActive: true, reason: WHY },
    }),
  },
  deletePeopleById: {
    allowed: async (scene, query) => {
      const { path, ifMatch } = await seen(scene, await newPerson(query))
      return { path: `${path}?${reason}`, ifMatch }
    },
    above: async (scene, query) => {
      const { path, ifMatch } = await ofSue(scene, query)
      return { path: `${path}?${reason}`, ifMatch }
    },
  },
  putPeopleByIdGroupsByName: {
    allowed: async (scene, query) => {
      const { path, ifMatch } = await seen(scene, await newPerson(query))
      const group = await newGroup(query, 'netbox.view')
      return { path: `${path}/groups/${group}`, ifMatch, body: { until: '2999-01-01T00:00:00Z' } }
    },
    above: async (scene, query) => {
      const { path, ifMatch } = await seen(scene, await newPerson(query))
      return { path: `${path}/groups/${await newGroup(query, 'gatehouse.keys')}`, ifMatch, body: {} }
    },
  },
  deletePeopleByIdGroupsByName: {
    allowed: async (scene, query) => {
      const id = await newPerson(query)
      const group = await memberOf(query, id)
      const { path, ifMatch } = await seen(scene, id)
      return { path: `${path}/groups/${group}?${reason}`, ifMatch }
    },
    above: async (scene, query) => {
      const group = await memberOf(query, await idOf('sue', query))
      const { path, ifMatch } = await ofSue(scene, query)
      return { path: `${path}/groups/${group}?${reason}`, ifMatch }
    },
  },
  putReviewsByPersonIdByRight: {
    allowed: async ({ clients: { sue } }, query) => {
      const id = await newPerson(query)
      const path = `/reviews/${id}/group:${await memberOf(query, id)}`
      const { headers } = await sue.ask(path)
      return { path, ifMatch: String(headers['etag']), body: { verdict: 'confirmed', note: 'Still there' } }
    },
    above: undefined, // it gives nobody a right
  },
  postKeysRotate: {
    allowed: async () => ({ path: '/keys/rotate', body: { now: true } }),
    above: undefined,
  },
  postNamesByNameRelease: {
    allowed: async (_scene, query) => {
      await query("insert into retired_usernames (username_key) values ('former') on conflict do nothing")
      return { path: '/names/former/release', body: { reason: WHY } }
    },
    above: async () => ({ path: '/names/former/release', body: { reason: WHY } }),
  },
  postTokens: {
    allowed: async () => ({ path: '/tokens', body: { name: 'Report', scopes: ['gatehouse.read'] } }),
    above: async () => ({ path: '/tokens', body: { name: 'Report', scopes: ['gatehouse.policy'] } }),
  },
  deleteTokensById: {
    allowed: async (scene, query) => ({
      path: `/tokens/${(await giveToken(scene, query, 'sam', ['gatehouse.read'])).id}?${reason}`,
    }),
    above: async (scene, query) => ({
      path: `/tokens/${(await giveToken(scene, query, 'sue', ['gatehouse.read'])).id}?${reason}`,
    }),
  },
  postPolicyDrafts: {
    allowed: async () => ({ path: '/policy/drafts', body: { message: 'Night shift' } }),
    above: undefined,
  },
  putImagesByName: {
    allowed: async () => ({ path: `/images/${randomUUID()}.png`, body: { content: PICTURE } }),
    above: undefined,
  },
  putPolicyDraftsById: {
    allowed: async (scene) => ({ ...await newDraft(scene), body: { text: `# ${randomUUID()}\n` } }),
    above: undefined,
  },
  deletePolicyDraftsById: {
    allowed: async (scene) => {
      const { path, ifMatch } = await newDraft(scene)
      return { path: `${path}?${reason}`, ifMatch }
    },
    above: undefined,
  },
  postPolicyDraftsByIdApprove: {
    allowed: async (scene, query) => {
      const asked = await draftToApprove(scene, query)
      await query("update policy_drafts set author = 'cli:test', changed_by = 'cli:test', editors = '{}'")
      return asked
    },
    above: (scene, query) => draftToApprove(scene, query, withRow({ superuser: true })),
  },
  postPolicyVersionsByNumberApply: {
    allowed: async (_scene, query) => ({
      path: `/policy/versions/${await inForce(query)}/apply`,
      body: { reason: WHY },
    }),
    above: undefined, // what it gives was compared when the version was deployed
    hasEnded: async (query) => (await query("select from policy_applications where state = 'running'")).length === 0,
  },
  postPolicyVersionsByNumberApprove: {
    allowed: async (_scene, query) => ({
      path: '/policy/versions/1/approve',
      body: { onto: await inForce(query) },
    }),
    above: async (_scene, query) => ({
      path: `/policy/versions/${await versionWith(query, withRow({ staff: true }))}/approve`,
      body: { onto: await inForce(query) },
    }),
  },
  postPolicyDraftsByIdDeploy: {
    allowed: async (scene, query) => {
      const { path, ...asked } = await draftToDeploy(scene, query, withRow({ groups: ['Read Only'] }))
      return { path: `${path}/deploy`, ...asked }
    },
    above: async (scene, query) => {
      const { path, ...asked } = await draftToDeploy(scene, query, withRow({ superuser: true }))
      return { path: `${path}/deploy`, ...asked }
    },
  },
  postPolicyVersionsByNumberRollback: {
    allowed: async (_scene, query) => ({
      path: '/policy/versions/1/rollback',
      body: { message: 'Back', onto: await inForce(query), reason: WHY },
    }),
    above: async (_scene, query) => ({
      path: `/policy/versions/${await versionWith(query, withRow({ staff: true }))}/rollback`,
      body: { message: 'Back', onto: await inForce(query), reason: WHY },
    }),
  },
  postGroups: {
    allowed: async () => ({ path: '/groups', body: { name: `Group ${randomUUID()}`, description: 'New' } }),
    above: undefined,
  },
  patchGroupsByName: {
    allowed: async (scene, query) => ({ ...await groupSeen(scene, query), body: { name: `Group ${randomUUID()}` } }),
    above: async (scene, query) => {
      await query("update groups set name = 'Circuit Team' where name = 'Circuit Manager'") // the mapping names it
      return { ...await groupSeen(scene, query, 'gatehouse.keys'), body: { name: 'Circuit Manager' } }
    },
  },
  deleteGroupsByName: {
    allowed: async (scene, query) => {
      const { path, ifMatch } = await groupSeen(scene, query)
      return { path: `${path}?${reason}`, ifMatch }
    },
    above: undefined,
  },
  putGroupsByNamePermissionsByWord: {
    allowed: async (scene, query) => {
      const { path, ifMatch } = await groupSeen(scene, query)
      return { path: `${path}/permissions/gatehouse.keys`, ifMatch }
    },
    above: async (scene, query) => {
      const { path, ifMatch } = await groupSeen(scene, query)
      return { path: `${path}/permissions/gatehouse.keys`, ifMatch }
    },
  },
  deleteGroupsByNamePermissionsByWord: {
    allowed: async (scene, query) => {
      const { path, ifMatch } = await groupSeen(scene, query)
      return { path: `${path}/permissions/wiki.edit?${reason}`, ifMatch }
    },
    above: undefined,
  },
  postGroupsImport: {
    allowed: async (scene) => await importOf(scene, 'groups: [{ name: Imported, permissions: [gatehouse.keys] }]'),
    above: async (scene) => await importOf(scene, 'groups: [{ name: A }, { name: B, permissions: [gatehouse.keys] }]'),
    stepUp: async (scene) => await importOf(scene, 'groups: [{ name: Imported }]'),
  },
}
