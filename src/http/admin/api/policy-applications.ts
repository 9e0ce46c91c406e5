// POST /policy/versions/{n}/apply, and how far an application of a version is.
import Type, { type Static, type TObject } from 'typebox'
import type { PolicyApplication } from '../../../core/policy-application.js'
import { defineAct } from './act.js'
import type { Answer } from './endpoint.js'
import { VersionNumber } from './policy-schemas.js'
import { closed, instant, nullable } from './schema.js'

const Count = (description: string) => Type.Integer({ minimum: 0, description })

export const APPLICATION = {
  application: nullable(closed({
    state: Type.String({
      enum: ['running', 'done', 'replaced'],
      description: '`replaced`: another version came into force before the end.',
    }),
    pass: Type.String({
      enum: ['losses', 'rest'],
      description: 'The first of two passes is about users who lose something, the second one about everybody.',
    }),
    done: Count('Users of this pass who were looked at, a page after the other.'),
    total: Count('About how many users have an active session.'),
    gains: Count('Users who gained a right.'),
    losses: Count('Users who lost a right.'),
    tooOld: Count('Users of this pass whose snapshot is older than `sync.maxStaleness`: it only takes away.'),
    failed: Count('Users who could not be mapped: apply the version again.'),
    actor: Type.String({ description: 'Who asked for it, as in the audit record.' }),
    runner: nullable(Type.String({ description: 'The replica or command that does it; null: none at this moment.' })),
    startedAt: instant('When it was asked for.'),
    endedAt: nullable(instant('Null: it goes on.')),
  }, 'How far the version is applied to everybody with an active session; null: it was not asked for.')),
}

export function applicationOf(
  application: PolicyApplication | undefined,
): Answer<Static<TObject<typeof APPLICATION>>> {
  if (application === undefined) return { application: null }
  const { startedAt, endedAt, version: _version, ...known } = application
  const utc = (time: string): string => new Date(time).toISOString()
  return { application: { ...known, startedAt: utc(startedAt), endedAt: endedAt === null ? null : utc(endedAt) } }
}

export const applyVersion = defineAct({
  method: 'POST',
  path: '/policy/versions/:number/apply',
  permission: 'gatehouse.policy',
  summary: 'Apply the version in force to everybody with an active session',
  description: 'Where `policy.source` is `database`: as `gatehouse policy apply`. Users are mapped anew from their ' +
    'last snapshot, those who lose something first. A replica begins within five seconds; `application` of GET ' +
    '/policy/versions/{number} says how far it is. One that is under way goes on, and one that has ended begins again.',
  stepUp: true,
  ifMatch: false,
  reason: 'required',
  byToken: false,
  params: Type.Object({ number: VersionNumber }),
  problems: ['policy_source_file', 'policy_changed'],
  response: closed({ version: VersionNumber }),
  async handle({ params: { number }, useCases, acting }) {
    await useCases.acts.applications.apply(number, acting)
    return { version: number }
  },
})
