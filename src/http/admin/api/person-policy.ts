// What the policy means for one user: what a sign-in would give, and what the user may open.
import Type from 'typebox'
import { GatehouseError } from '../../../core/errors.js'
import { defineEndpoint, defineList } from './endpoint.js'
import { closed, instant, nullable } from './schema.js'

const params = Type.Object({ id: Type.String({ format: 'uuid', description: 'Id of the user.' }) })
/** The most entries of each list in an explanation: a user may be in ten thousand Entra groups. */
const MOST = 200

const groups = (description: string) => Type.Array(Type.String(), { description })
const rows = Type.Array(Type.Integer(), { description: 'Rows with this group, counted from 1.' })
const nestedOnly = nullable(Type.Boolean({ description: 'Through another group alone; null: not known.' }))
const flag = Type.Integer({ minimum: -1, maximum: 1, description: '1: gained, -1: lost, 0: unchanged.' })

export const explain = defineEndpoint({
  method: 'GET',
  path: '/people/:id/explain',
  permission: 'gatehouse.read',
  summary: 'What a sign-in would give now',
  description: `Of the lists of Entra groups and rows at most ${MOST} entries each. Changes nothing.`,
  params,
  query: Type.Object({
    live: Type.Optional(Type.Boolean({
      default: false,
      description: 'Read the groups from Microsoft Graph now: one user at a time, few in a minute.',
    })),
  }),
  problems: [
    'snapshot_missing',
    'person_not_found',
    'graph_unavailable',
    'graph_forbidden',
    'graph_throttled',
    'entra_unavailable',
  ],
  response: closed({
    user: Type.String({ description: 'Username.' }),
    live: Type.Boolean(),
    readAt: instant('When Graph listed the groups.'),
    entraGroups: Type.Integer({ minimum: 0, description: 'Number of Entra groups.' }),
    rows: Type.Array(
      closed({
        row: Type.Integer(),
        entraGroup: Type.String(),
        label: nullable(Type.String()),
        groups: groups('Local groups that the row grants.'),
        isStaff: Type.Boolean(),
        isSuperuser: Type.Boolean(),
        nestedOnly,
      }),
      { description: 'Rows of the mapping that are hit.' },
    ),
    groups: groups('Local groups after a sign-in.'),
    missing: groups('Local groups that rows grant and that do not exist.'),
    isStaff: Type.Boolean({ description: 'After a sign-in.' }),
    isSuperuser: Type.Boolean({ description: 'After a sign-in.' }),
    refused: Type.Boolean({ description: 'Nothing is granted, and requireMappedGroup is set.' }),
    change: closed({
      gained: groups('Local groups.'),
      lost: groups('Local groups.'),
      isStaff: flag,
      isSuperuser: flag,
    }),
    memberships: Type.Array(
      closed({
        entraGroup: Type.String(),
        label: nullable(Type.String({ description: 'From the mapping.' })),
        name: nullable(Type.String({ description: 'From Entra ID, of a live read.' })),
        rows,
        nestedOnly,
      }),
      { description: 'Entra groups, those with a row first.' },
    ),
    rowsNotHit: Type.Integer({ minimum: 0, description: 'Number of rows that are not hit.' }),
  }),
  async handle({ params: { id }, query: { live = false }, useCases }) {
    const found = await useCases.explain.explain(id, { live })
    if (found?.user === undefined) throw new GatehouseError('not_found')
    const { user, readAt, rows, memberships, change, rowsNotHit, staff, superuser, ...others } = found
    return {
      user: user.username,
      live,
      readAt: new Date(readAt).toISOString(),
      entraGroups: others.entraGroups,
      rows: rows.slice(0, MOST).map(({ staff: isStaff, superuser: isSuperuser, ...hit }) => ({
        ...hit,
        label: hit.label ?? null,
        nestedOnly: hit.nestedOnly ?? null,
        isStaff,
        isSuperuser,
      })),
      groups: others.groups,
      missing: others.missing,
      isStaff: staff,
      isSuperuser: superuser,
      refused: others.refused,
      change: { gained: change.gained, lost: change.lost, isStaff: change.staff, isSuperuser: change.superuser },
      memberships: memberships.slice(0, MOST).map((group) => ({
        entraGroup: group.entraGroup,
        label: group.label ?? null,
        name: group.name ?? null,
        rows: group.rows,
        nestedOnly: group.nestedOnly ?? null,
      })),
      rowsNotHit: rowsNotHit.length,
    }
  },
})

export const personAccess = defineList({
  path: '/people/:id/access',
  permission: 'gatehouse.read',
  summary: 'What a user may open',
  description: 'The decision about `GET /` at every application and at every host that an access rule names.',
  params,
  item: closed({
    host: Type.String({ description: '`*.example.com`: the hosts below that no other rule names.' }),
    application: nullable(Type.String({ description: 'Its name; null: a rule alone names the host.' })),
    decision: Type.String({
      enum: ['allowed', 'refused', 'sign_in', 'depends'],
      description: '`depends`: on the address of the client.',
    }),
    rules: Type.Array(
      closed({
        rule: Type.String({ examples: ['access.rules[2]'] }),
        name: nullable(Type.String({ description: 'Of the rule.' })),
        allows: Type.String({ description: 'Whom it lets in, in words.' }),
        lets: Type.Boolean({ description: 'Whether it lets this user in.' }),
        because: Type.String(),
      }),
      { description: 'The rules that decide; of a refusal the first one refuses.' },
    ),
  }),
  cursor: closed({ position: Type.Integer({ minimum: 1 }) }),
  async handle({ params: { id }, page: { after, limit }, useCases }) {
    const page = await useCases.personAccess.access(id, { after: after?.position, limit })
    if (page === undefined) throw new GatehouseError('not_found')
    return {
      rows: page.rows.map(({ host, application, decision, rules }) => ({
        host,
        application: application ?? null,
        decision,
        rules: rules.map(({ path, ...judged }) => ({ rule: path, ...judged })),
      })),
      next: page.next === undefined ? undefined : { position: page.next },
    }
  },
})
