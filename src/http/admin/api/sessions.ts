// GET /sessions.
import Type from 'typebox'
import { GatehouseError } from '../../../core/errors.js'
import { defineAct } from './act.js'
import { defineList } from './endpoint.js'
import { SessionSchema } from './people-schemas.js'
import { closed } from './schema.js'
import { timesInUtc } from './times.js'

const text = (description: string, maxLength = 255) =>
  Type.Optional(Type.String({ minLength: 1, maxLength, description }))

/** The same filters as on the page. */
export const SESSION_FILTERS = {
  person: text('Username, UPN, e-mail address or id.'),
  host: text('Of the application that was used last.'),
  browser: text('Family of the browser that was used last, such as `Firefox`.', 60),
  address: text('Of the client that was used last.', 60),
  olderThanHours: Type.Optional(Type.Integer({
    minimum: 1,
    maximum: 100_000,
    description: 'The sign-in is at least so many hours ago.',
  })),
}

export const SessionCursorSchema = closed({ id: Type.String(), createdAt: Type.String() })

export const sessions = defineList({
  path: '/sessions',
  permission: 'gatehouse.read',
  summary: 'The active sessions, newest first',
  description: 'Host, browser and address are recorded where `session.recordClient` is set.',
  query: Type.Object(SESSION_FILTERS),
  problems: ['user_unknown', 'user_ambiguous'],
  item: SessionSchema,
  cursor: SessionCursorSchema,
  handle: async ({ query, page, useCases }) => {
    const { rows, next } = await useCases.sessions.list({ ...query, ...page })
    return { rows: timesInUtc(rows), next }
  },
})

export const Ended = closed({ ended: Type.Integer({ description: 'How many sessions have ended.' }) })

export const endSession = defineAct({
  method: 'DELETE',
  path: '/sessions/:publicId',
  permission: 'gatehouse.sessions',
  summary: 'End one session',
  description: 'Every replica refuses it within a second. A session of a superuser or of a user with break-glass is ' +
    'ended by superusers alone.',
  stepUp: false,
  ifMatch: false,
  reason: 'required',
  byToken: true,
  params: Type.Object({ publicId: Type.String({ minLength: 1, maxLength: 100, description: 'Public id.' }) }),
  problems: ['session_unknown'],
  response: Ended,
  handle: async ({ params, useCases, acting }) => await useCases.acts.sessions.end(params.publicId, acting),
})

export const endSessions = defineAct({
  method: 'POST',
  path: '/sessions/end',
  permission: 'gatehouse.sessions',
  summary: 'End the sessions of a user, of a host, or all',
  description: 'Exactly one of `person`, `host` and `all`. Where one of the sessions is of a superuser or of a user ' +
    'with break-glass, superusers alone may end them, and for others none ends.',
  stepUp: { where: 'where `all` is true', isDue: (body) => (body as { readonly all?: boolean }).all === true },
  ifMatch: false,
  reason: 'required',
  byToken: true,
  body: Type.Object({
    person: text('Username, UPN, e-mail address or id.'),
    host: text('Of the application that was used last.'),
    all: Type.Optional(Type.Boolean({ description: 'True: every session, also your own.' })),
  }),
  problems: ['user_unknown', 'user_ambiguous'],
  response: Ended,
  async handle({ body: { person, host, all }, useCases, acting }) {
    const given = [person, host, all].filter((each) => each !== undefined)
    if (given.length !== 1 || all === false) { // guard: act-end-one-of
      throw new GatehouseError('request_malformed', { detail: 'exactly one of person, host and all' })
    }
    const { sessions } = useCases.acts
    if (person !== undefined) return await sessions.endOf((await useCases.people.find(person)).id, acting)
    return await sessions.endAll(host === undefined ? { all: true } : { host }, acting)
  },
})

export const endPersonSessions = defineAct({
  method: 'POST',
  path: '/people/:id/end-sessions',
  permission: 'gatehouse.sessions',
  summary: 'End all sessions of one user',
  stepUp: false,
  ifMatch: false,
  reason: 'required',
  byToken: true,
  params: Type.Object({ id: Type.String({ format: 'uuid', description: 'Id of the user.' }) }),
  problems: ['user_unknown'],
  response: Ended,
  handle: async ({ params, useCases, acting }) => await useCases.acts.sessions.endOf(params.id, acting),
})
