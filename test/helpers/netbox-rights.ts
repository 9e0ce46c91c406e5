// What somebody may do in the real NetBox, tried through its REST API, and what NetBox has stored of it.
import { Agent, fetch } from 'undici'
import type { Answer, Browser } from './browser.js'
import { AUTOMATION, type NetBoxSite } from './netbox-site.js'
import type { connect } from './sql.js'

type Query = Awaited<ReturnType<typeof connect>>

/** What `createTrials` says of somebody who may do everything with a kind of object. */
export const ALL = 'view add change delete'
const JSON_ONLY = {
  'accept': 'application/json',
  'content-type': 'application/json',
  'sec-fetch-mode': 'cors',
  'sec-fetch-dest': 'empty',
}
const PATHS = {
  device: 'dcim/devices',
  interface: 'dcim/interfaces',
  address: 'ipam/ip-addresses',
  circuit: 'circuits/circuits',
  provider: 'circuits/providers',
  group: 'users/groups',
} as const
type Kind = keyof typeof PATHS

interface Ask {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body?: object
}

/** @returns what the person of a browser may do with a kind of object: it is done, with objects made for it */
export async function createTrials(
  { app, netbox }: Pick<NetBoxSite, 'app' | 'netbox'>,
): Promise<(browser: Browser, kind: Kind) => Promise<string>> {
  const automation = new Agent({ localAddress: AUTOMATION })
  const call = async (path: string, { method, headers, body }: Ask, dispatcher?: Agent) => {
    const options = { method, headers: { ...JSON_ONLY, ...headers }, ...(dispatcher ? { dispatcher } : {}) }
    const answer = await fetch(
      `${app}/api/${path}/`,
      body === undefined ? options : { ...options, body: JSON.stringify(body) },
    )
    const text = await answer.text()
    return {
      status: answer.status,
      id: text.startsWith('{') ? (JSON.parse(text) as { id?: number }).id : undefined,
      text,
    }
  }
  const make = async (path: string, body: object) => {
    const made = await call(
      path,
      { method: 'POST', headers: { authorization: `Bearer ${netbox.token}` }, body },
      automation,
    )
    if (made.id === undefined) throw new Error(`${path}: ${made.status} ${made.text}`)
    return made.id
  }
  const provider = await make('circuits/providers', named())
  const type = await make('circuits/circuit-types', named())
  const bodies: Record<Kind, () => object> = {
    device: () => ({ name: unique(), device_type: 1, role: 1, site: 1 }),
    interface: () => ({ device: 1, name: unique(), type: 'virtual' }),
    address: () => ({ address: uniqueAddress() }),
    circuit: () => ({ cid: unique(), provider, type }),
    provider: named,
    group: () => ({ name: unique() }),
  }
  return async (browser, kind) => {
    const path = PATHS[kind]
    const existing = await make(path, bodies[kind]())
    const csrf = browser.cookies.get(new URL(app).hostname)?.get('csrftoken') ?? ''
    const headers = { 'cookie': browser.cookieHeader(app), 'x-csrftoken': csrf, 'referer': `${app}/` }
    const tries = [
      ['view', 200, path, 'GET'],
      ['add', 201, path, 'POST'],
      ['change', 200, `${path}/${existing}`, 'PATCH'],
      ['delete', 204, `${path}/${existing}`, 'DELETE'],
    ] as const
    const allowed: string[] = []
    for (const [right, done, at, method] of tries) {
      const body = { POST: bodies[kind](), PATCH: { description: 'changed' } }[method as string]
      const { status, text } = await call(at, { method, headers, ...(body ? { body } : {}) })
      if (status === done) allowed.push(right)
      else if (status !== 403) throw new Error(`${method} ${at}: ${status} ${text}`)
    }
    return allowed.join(' ')
  }
}

/** NetBox's own groups of a user. */
export async function groupsOf(query: Query, username: string): Promise<readonly string[]> {
  const rows = await query<{ name: string }>(
    `select name from users_group
    join users_user_groups on group_id = users_group.id join users_user on user_id = users_user.id
    where username = $1 order by name collate "C"`,
    [username],
  )
  return rows.map(({ name }) => name)
}

/** One object permission more for a group, as an administrator of NetBox assigns it. */
export async function permit(query: Query, group: string, type: string, action: string): Promise<void> {
  await query(
    `with permission as (
      insert into users_objectpermission (name, description, enabled, actions) values ($2::varchar, '', true,
        array[$2::varchar]) returning id
    ), types as (
      insert into users_objectpermission_object_types (objectpermission_id, contenttype_id)
      select permission.id, django_content_type.id from permission, django_content_type
      where app_label || '.' || model = $3::text
    )
    insert into users_group_object_permissions (group_id, objectpermission_id)
    select users_group.id, permission.id from users_group, permission where users_group.name = $1::varchar`,
    [group, action, type],
  )
}

/** Sends the form of a page, with NetBox's token of that page. */
export async function save(browser: Browser, page: Answer, fields: Record<string, string>): Promise<Answer> {
  const [, token = ''] = /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(page.text) ?? []
  const form = { csrfmiddlewaretoken: token, ...fields }
  return await browser.ask(page.url, { method: 'POST', form, headers: { referer: page.url } })
}

let made = 0
const unique = () => `trial-${++made}`
const uniqueAddress = () => `10.9.${++made >> 8}.${made & 255}/32`

function named(): object {
  const name = unique()
  return { name, slug: name }
}
