// PUT and DELETE /people/{id}/groups/{name}: local groups that are assigned by hand.
import Type from 'typebox'
import { defineAct, Reason } from './act.js'
import { closed, instant, nullable } from './schema.js'

const params = Type.Object({
  id: Type.String({ format: 'uuid', description: 'Id of the user.' }),
  name: Type.String({ minLength: 1, maxLength: 300, description: 'Name of the local group.' }),
})

export const giveGroup = defineAct({
  method: 'PUT',
  path: '/people/:id/groups/:name',
  permission: 'gatehouse.people',
  summary: 'Give a user a local group by hand',
  description: 'With `until` the membership ends at that instant, exactly and on every replica. Without it the ' +
    'membership has no end, also where it had one before. A user with an Entra identity loses it at the next sign-in ' +
    'or re-evaluation in any case (`endsAtNextSignIn`). Where the mapping grants the group nothing changes ' +
    '(`byHand` is false). Permissions of the console in the group must be among your own.',
  stepUp: false,
  ifMatch: true,
  reason: 'none',
  byToken: true,
  params,
  body: Type.Object({
    until: Type.Optional(Type.String({
      format: 'date-time',
      description: 'When the membership ends: in the future, with a time zone.',
      examples: ['2026-11-28T18:00:00Z'],
    })),
    reason: Type.Optional(Reason),
  }),
  problems: ['user_unknown', 'group_unknown'],
  response: closed({
    changed: Type.Boolean({ description: 'False: it was so already, or the mapping grants the group.' }),
    byHand: Type.Boolean({ description: 'False: the mapping grants the group, and `until` does not count.' }),
    until: nullable(instant('When the membership ends.')),
    endsAtNextSignIn: Type.Boolean({ description: 'The user has an Entra identity.' }),
  }),
  handle: async ({ params: { id, name }, body: { until }, useCases, acting }) =>
    await useCases.acts.memberships.give({ userId: id, group: name, until }, acting),
})

export const takeGroup = defineAct({
  method: 'DELETE',
  path: '/people/:id/groups/:name',
  permission: 'gatehouse.people',
  summary: 'Take a local group away that was given by hand',
  description: 'Every replica knows it within a second. What the mapping grants is refused (`group_mapped`): it is ' +
    'changed in the mapping or in Entra ID.',
  stepUp: false,
  ifMatch: true,
  reason: 'required',
  byToken: true,
  params,
  problems: ['user_unknown', 'group_unknown', 'membership_unknown', 'group_mapped'],
  response: closed({ until: nullable(instant('When it would have ended.')) }),
  handle: async ({ params: { id, name }, useCases, acting }) => await useCases.acts.memberships.take(id, name, acting),
})
