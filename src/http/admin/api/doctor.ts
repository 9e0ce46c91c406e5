// POST /doctor: the checks of the command, from the replica that answers. It changes nothing, but sends requests to
// Entra ID and Graph: hence no GET, and more than the permission to read.
import Type from 'typebox'
import { defineEndpoint } from './endpoint.js'
import { closed, instant, nullable } from './schema.js'

const text = (description: string) => Type.String({ description })

export const doctor = defineEndpoint({
  method: 'POST',
  changesNothing: true,
  path: '/doctor',
  permission: 'gatehouse.policy',
  summary: 'Check everything that a sign-in needs',
  description: 'With requests to Entra ID, Graph and the database, from the replica that answers; it takes up to a ' +
    'minute and changes nothing. A request during another one, or some seconds after it, gets the same result.',
  response: closed({
    at: instant('When the checks ended.'),
    healthy: Type.Boolean({ description: 'Nothing failed.' }),
    results: Type.Array(closed({
      check: text('What was checked.'),
      state: Type.String({ enum: ['ok', 'warn', 'fail', 'skipped'] }),
      code: text('Stable.'),
      reason: nullable(text('Which of several causes with the same code it is.')),
      message: text('What is found.'),
      remedy: nullable(text('What to do.')),
      path: nullable(text('The key of the configuration.')),
    })),
  }),
  async handle({ useCases }) {
    const { at, healthy, results } = await useCases.doctor.run()
    return {
      at,
      healthy,
      results: results.map(({ check, state, code, reason = null, message, remedy = null, path = null }) => ({
        check,
        state,
        code,
        reason,
        message,
        remedy,
        path,
      })),
    }
  },
})
