// GET /people and GET /people/{id}.
import Type from 'typebox'
import { personVersion } from '../../../admin/acts/people.js'
import type { PersonDetails } from '../../../admin/person.js'
import { viewerOf } from '../viewer.js'
import { defineEndpoint, defineList } from './endpoint.js'
import { PeopleCursorSchema, PersonSchema, PersonSummarySchema } from './people-schemas.js'
import { timesInUtc } from './times.js'

const flag = (description: string) => Type.Optional(Type.Boolean({ description }))

/** The same filters as on the page and in its CSV. */
export const PEOPLE_FILTERS = {
  q: Type.Optional(Type.String({
    minLength: 1,
    maxLength: 200,
    description:
      'A part of a username, UPN, e-mail address, display name or family name, or an object ID. The beginning of a ' +
      'name, where it has no three letters or digits in a row or the database has no extension pg_trgm.',
  })),
  staff: flag('Has the flag staff.'),
  superuser: flag('Has the flag superuser.'),
  active: flag('May sign in.'),
  guest: flag('Is a guest of the tenant.'),
  handMade: flag('Has a local group that an administrator assigned by hand.'),
  notSeenDays: Type.Optional(Type.Integer({
    minimum: 1,
    maximum: 3_650,
    description: 'Neither a sign-in nor a recorded use of a session for so many days.',
  })),
  group: Type.Optional(Type.String({ minLength: 1, maxLength: 300, description: 'Is in this local group.' })),
}

export const people = defineList({
  path: '/people',
  permission: 'gatehouse.read',
  summary: 'The users, by username',
  description: 'With `q` alone in the order of what was found. A page may have fewer items than `limit`, also none, ' +
    'although `next` is not null. Then few of the users that were examined fulfil the filters.',
  query: Type.Object(PEOPLE_FILTERS),
  item: PersonSummarySchema,
  cursor: PeopleCursorSchema,
  handle: async ({ query, page, useCases }) => {
    const { rows, next } = await useCases.people.list({ ...query, ...page })
    return { rows: timesInUtc(rows), next }
  },
})

export const person = defineEndpoint({
  method: 'GET',
  path: '/people/:id',
  permission: 'gatehouse.read',
  summary: 'One user, with the reason of every right',
  description: 'The audit record names who looked at whom, at most once a minute.',
  params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
  problems: ['user_unknown'],
  response: PersonSchema,
  version: (answer) => personVersion(answer as PersonDetails),
  handle: async ({ params, useCases, actor, request }) =>
    timesInUtc(await useCases.people.get(params.id, viewerOf(actor, request))),
})
