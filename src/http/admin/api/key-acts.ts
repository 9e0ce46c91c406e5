// POST /keys/rotate.
import Type from 'typebox'
import { defineAct } from './act.js'
import { closed } from './schema.js'

export const rotateKeys = defineAct({
  method: 'POST',
  path: '/keys/rotate',
  permission: 'gatehouse.keys',
  summary: 'Rotate the keys that sign assertions',
  description: 'The next key is published, and signs 15 minutes later. With `now` it signs immediately and all other ' +
    'keys are withdrawn: applications refuse what these have signed. Sessions go on.',
  stepUp: true,
  ifMatch: false,
  reason: 'none',
  byToken: false,
  body: Type.Object({
    now: Type.Optional(Type.Boolean({ default: false, description: 'For a key that leaked or cannot be opened.' })),
  }),
  response: closed({
    kid: Type.String({ description: 'Of the key that signs next; with `now` it signs.' }),
    now: Type.Boolean(),
    changed: Type.Boolean({ description: 'False: a key that waits to sign was there already.' }),
  }),
  handle: async ({ body: { now = false }, useCases, acting }) => await useCases.acts.keys.rotate({ now }, acting),
})
