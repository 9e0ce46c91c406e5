// POST, PATCH and DELETE /people, and the release of names.
import Type from 'typebox'
import { GatehouseError } from '../../../core/errors.js'
import { defineAct } from './act.js'
import { closed, instant, nullable } from './schema.js'

const params = Type.Object({ id: Type.String({ format: 'uuid', description: 'Id of the user.' }) })
const sessionsEnded = Type.Integer({ description: 'How many sessions have ended with it.' })
const Username = Type.String({ minLength: 1, maxLength: 150, description: 'Without white space and colons.' })

export const addPerson = defineAct({
  method: 'POST',
  path: '/people',
  permission: 'gatehouse.people',
  summary: 'Add a user without an Entra account',
  description: "No sign-in changes this user. `breakGlass` is superusers' alone.",
  stepUp: false,
  ifMatch: false,
  reason: 'none',
  byToken: true,
  body: Type.Object({
    username: Username,
    email: Type.Optional(Type.String({ minLength: 3, maxLength: 254, pattern: '^[^\\s@]+@[^\\s@]+$' })),
    breakGlass: Type.Optional(Type.Boolean({ description: 'May sign in by `users emergency`.' })),
  }),
  problems: ['username_taken', 'username_reserved', 'username_invalid'],
  response: closed({ id: Type.String({ format: 'uuid' }) }),
  handle: async ({ body, useCases, acting }) => await useCases.acts.people.add(body, acting),
})

export const changePerson = defineAct({
  method: 'PATCH',
  path: '/people/:id',
  permission: 'gatehouse.sessions',
  orPermission: 'gatehouse.people',
  summary: 'Deactivate, activate or rename a user',
  description: 'Exactly one of `isActive` and `username`. Deactivating ends the sessions and needs ' +
    '`gatehouse.sessions`, activating `gatehouse.people`; superusers alone rename. The last active superuser stays.',
  stepUp: {
    where: 'where it activates or renames',
    isDue: (body) => (body as { readonly isActive?: boolean }).isActive !== false,
  },
  ifMatch: true,
  reason: 'required',
  byToken: true,
  params,
  body: Type.Object({ isActive: Type.Optional(Type.Boolean()), username: Type.Optional(Username) }),
  problems: ['user_unknown', 'last_superuser', 'username_taken', 'username_reserved', 'username_invalid'],
  response: closed({
    username: Type.String({ description: 'As it is now.' }),
    changed: Type.Boolean({ description: 'False: it was so already.' }),
    sessionsEnded,
  }),
  async handle({ params: { id }, body: { isActive, username }, useCases: { acts: { people } }, acting }) {
    if ((isActive === undefined) === (username === undefined)) { // guard: act-change-one-of
      throw new GatehouseError('request_malformed', { detail: 'exactly one of isActive and username' })
    }
    if (isActive !== undefined) return await people.setActive(id, isActive, acting)
    const name = username ?? ''
    return { username: name, changed: (await people.rename(id, name, acting)).changed, sessionsEnded: 0 }
  },
})

export const removePerson = defineAct({
  method: 'DELETE',
  path: '/people/:id',
  permission: 'gatehouse.people',
  summary: 'Remove a user',
  description:
    'Erases the profile, ends the sessions, and takes the name out of the audit record. The username stays ' +
    'reserved. An Entra account that signs in again becomes a new user.',
  stepUp: true,
  ifMatch: true,
  reason: 'required',
  byToken: false,
  params,
  problems: ['user_unknown', 'last_superuser'],
  response: closed({ sessionsEnded }),
  handle: async ({ params: { id }, useCases, acting }) => await useCases.acts.people.remove(id, acting),
})

export const releaseName = defineAct({
  method: 'POST',
  path: '/names/:name/release',
  permission: 'gatehouse.people',
  summary: 'Release the username of a former user',
  description: 'Superusers alone: to applications the next holder of the name is the one before.',
  stepUp: true,
  ifMatch: false,
  reason: 'required',
  byToken: false,
  params: Type.Object({ name: Username }),
  body: Type.Object({
    now: Type.Optional(Type.Boolean({ default: false, description: 'Immediately, and not after 180 days.' })),
  }),
  problems: ['username_taken', 'username_not_reserved'],
  response: closed({ availableFrom: nullable(instant('When others may have it; null: now.')) }),
  handle: async ({ params: { name }, body: { now = false }, useCases, acting }) =>
    await useCases.acts.people.releaseName(name, now, acting),
})
