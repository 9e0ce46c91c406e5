// GET and POST /tokens, DELETE /tokens/{id}: API tokens of programs.
import Type from 'typebox'
import { MOST_TOKEN_NAME } from '../../../admin/acts/tokens.js'
import { ADMIN_PERMISSIONS, type AdminPermission } from '../../../core/admin-permissions.js'
import { DAY_MS, TOKEN_LIFETIME_DAYS } from '../../../core/token.js'
import { defineAct } from './act.js'
import { defineList } from './endpoint.js'
import { closed, instant, nullable } from './schema.js'
import { timesInUtc } from './times.js'

export const DEFAULT_TOKEN_DAYS = 90
export const TOKEN_SCOPES = Object.keys(ADMIN_PERMISSIONS) as readonly AdminPermission[]

const Id = Type.String({ minLength: 1, maxLength: 100, description: 'Public id.', examples: ['tok_3vXq0b9Zk1Tt'] })
const Scope = Type.Enum([...TOKEN_SCOPES], { description: 'A permission of the console and its API.' })
const Username = Type.String({ description: 'Username of the owner.', examples: ['sue'] })

const TokenSchema = closed({
  id: Id,
  kind: Type.String({ description: '`admin`: of this API.', examples: ['admin'] }),
  name: Type.String({ examples: ['Nightly report'] }),
  ownerId: Type.String({ format: 'uuid' }),
  owner: Username,
  scopes: Type.Array(Type.String({ examples: ['gatehouse.read'] })),
  createdAt: instant('When it was made.'),
  createdBy: Type.String({ description: 'By whom, as in the audit record.', examples: ['cli:root'] }),
  expiresAt: instant('When it ends.'),
  lastUsedAt: nullable(instant('Recorded once a minute at most; null: never used.')),
  revokedAt: nullable(instant('null: it was not revoked.')),
  state: Type.String({
    description: '`active`, `expired`, `revoked`, or `ownerInactive`: the owner cannot use the console now.',
    examples: ['active'],
  }),
})

export const TokenCursorSchema = closed({ id: Type.String(), createdAt: Type.String() })

export const tokens = defineList({
  path: '/tokens',
  permission: 'gatehouse.read',
  summary: 'The API tokens, newest first',
  description: 'Also those that ended within 90 days. No answer has a token itself.',
  item: TokenSchema,
  cursor: TokenCursorSchema,
  async handle({ page, useCases }) {
    const { rows, next } = await useCases.tokens.list(page)
    return { rows: timesInUtc(rows), next }
  },
})

export const addToken = defineAct({
  method: 'POST',
  path: '/tokens',
  permission: 'gatehouse.tokens',
  summary: 'Make an API token',
  description:
    'It is yours, for this API alone, and this answer is the only one that has it. At each use it is worth ' +
    'what its scopes and your rights of that moment both allow. Scopes are permissions that you hold.',
  stepUp: true,
  ifMatch: false,
  reason: 'none',
  byToken: false,
  body: Type.Object({
    name: Type.String({
      minLength: 1,
      maxLength: MOST_TOKEN_NAME,
      pattern: '^[^\\u0000-\\u001F\\u007F]*[^\\s\\u0000-\\u001F\\u007F][^\\u0000-\\u001F\\u007F]*$',
      description: 'What it is for.',
      examples: ['Nightly report'],
    }),
    scopes: Type.Array(Scope, { minItems: 1, uniqueItems: true, maxItems: TOKEN_SCOPES.length }),
    expiresInDays: Type.Optional(Type.Integer({
      minimum: 1,
      maximum: TOKEN_LIFETIME_DAYS,
      default: DEFAULT_TOKEN_DAYS,
      description: 'How long it lasts.',
    })),
    requestId: Type.Optional(Type.String({
      format: 'uuid',
      description: 'Random. A repeated request with the same one is answered with 409 and makes no second token.',
    })),
  }),
  problems: ['user_unknown', 'token_owner_unusable', 'request_repeated'],
  response: closed({
    id: Id,
    token: Type.String({ description: 'The token itself: keep it now.', examples: [`gha_${'0'.repeat(49)}`] }),
    owner: Username,
    expiresAt: instant('When it ends.'),
  }),
  async handle({ body: { name, scopes, expiresInDays = DEFAULT_TOKEN_DAYS, requestId }, useCases, acting }) {
    const lifetimeMs = expiresInDays * DAY_MS
    return timesInUtc(await useCases.acts.tokens.addAdmin({ name, scopes, lifetimeMs, requestId }, acting))
  },
})

export const revokeToken = defineAct({
  method: 'DELETE',
  path: '/tokens/:id',
  permission: 'gatehouse.tokens',
  summary: 'Revoke an API token',
  description: 'It is refused from the next request on. A token of a superuser is revoked by superusers alone.',
  stepUp: true,
  ifMatch: false,
  reason: 'required',
  byToken: false,
  params: Type.Object({ id: Id }),
  problems: ['token_unknown'],
  response: closed({ changed: Type.Boolean({ description: 'False: it was revoked already.' }) }),
  async handle({ params: { id }, useCases, acting }) {
    const { changed } = await useCases.acts.tokens.revoke(id, acting)
    return { changed }
  },
})
