// GET /superusers.
import Type from 'typebox'
import { instantOf } from '../audit-query.js'
import { defineList } from './endpoint.js'
import { MaybeText } from './people-schemas.js'
import { closed } from './schema.js'

export const SUPERUSERS_QUERY = {
  at: Type.Optional(Type.String({
    minLength: 10,
    maxLength: 40,
    description: 'An instant, ISO 8601; UTC without a zone. Default: now.',
    examples: ['2026-11-24T09:00:00Z'],
  })),
}

export const UsernameCursorSchema = closed({ username: Type.String() })

export const superusers = defineList({
  path: '/superusers',
  permission: 'gatehouse.read',
  summary: 'Who was superuser at an instant',
  description: 'Active users with the flag at that time, from the audit, in the order of usernames. The audit has ' +
    'no changes of before the upgrade from 0.2.0; users who were removed since are not listed.',
  query: Type.Object(SUPERUSERS_QUERY),
  problems: [],
  item: closed({
    id: Type.String({ format: 'uuid' }),
    username: Type.String(),
    name: MaybeText,
    isSuperuser: Type.Boolean({ description: 'Whether they are one now.' }),
  }),
  cursor: UsernameCursorSchema,
  handle: async ({ query, page, useCases }) =>
    await useCases.overview.superusersAt({ at: instantOf('at', query.at) ?? new Date(), ...page }),
})
