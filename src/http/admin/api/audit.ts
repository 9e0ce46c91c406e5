// The record over the API: filtered, newest first.
import Type from 'typebox'
import { AUDIT_CURSOR, AUDIT_FILTERS, auditQueryOf } from '../audit-query.js'
import { defineList } from './endpoint.js'
import { closed, instant, nullable, openRecord } from './schema.js'

export const audit = defineList({
  path: '/audit',
  permission: 'gatehouse.read',
  summary: 'The audit record, newest first',
  query: Type.Object(AUDIT_FILTERS),
  item: closed({
    id: Type.String({ description: 'Of the row; rows of one transaction have the same time.', examples: ['1207'] }),
    at: instant('When its transaction began.'),
    action: Type.String({ description: 'Dotted words.', examples: ['group.add'] }),
    actor: Type.String({ description: 'By whom.', examples: ['cli:root'] }),
    userId: nullable(Type.String({ description: 'About whom; null: about no user.' })),
    username: nullable(Type.String({ description: 'At that time; null also where the user was removed since.' })),
    correlationId: nullable(Type.String({ description: 'Of the request or the sign-in.' })),
    detail: openRecord('What happened; `before` and `after` where something was changed.'),
  }),
  cursor: AUDIT_CURSOR,
  problems: ['user_unknown', 'user_ambiguous'],
  handle: ({ useCases, query, page }) => useCases.audit.list({ ...auditQueryOf(query), ...page }),
})
