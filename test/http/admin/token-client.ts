// A program at the API: with an API token of a person, and without a cookie.
import { request } from 'undici'
import { makeToken, newPublicTokenId } from '../../../src/core/token.js'
import type { Query } from '../../helpers/sql.js'
import { PEOPLE, type AdminScene, type ApiAnswer, type ApiClient, type ApiRequest, type Who } from './helper.js'

export interface TokenClient extends Pick<ApiClient, 'ask'> {
  /** Public. */
  readonly id: string
  readonly token: string
}

/** A token of this person, as if it had been used just now: so its use writes nothing for a minute. */
export async function giveToken(
  { gateway }: AdminScene,
  query: Query,
  who: Who,
  scopes: readonly string[],
): Promise<TokenClient> {
  const id = newPublicTokenId()
  const { token, hash } = makeToken('admin')
  await query(
    `insert into tokens (id, kind, name, owner_id, scopes, hash, created_by, expires_at, last_used_at)
    select $1, 'admin', 'test', user_id, $2, $3, 'test', now() + interval '1 day', now()
    from identities where oid = $4`,
    [id, scopes, hash, PEOPLE[who]],
  )
  return { id, token, ask: async (path, asked) => await askWith(gateway.url, token, path, asked) }
}

export async function askWith(
  url: string,
  token: string,
  path: string,
  { method = 'GET', headers = {}, body }: ApiRequest = {},
): Promise<ApiAnswer> {
  const answer = await request(`${url}/admin/api/v1${path}`, {
    method: method as 'GET',
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? null : JSON.stringify(body),
  })
  const text = await answer.body.text()
  const isJson = /json/.test(String(answer.headers['content-type']))
  const json = isJson ? JSON.parse(text) as Record<string, unknown> : undefined
  return { status: answer.statusCode, headers: answer.headers, json, text }
}
