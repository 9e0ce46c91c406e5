// POST /policy/drafts/{id}/deploy and POST /policy/versions/{n}/rollback: what is in force on all replicas, where the
// policy is in the database.
import Type, { type Static } from 'typebox'
import { NO_SUPERUSER, type Deployed } from '../../../admin/policy-deploys.js'
import { MOST_DRAFT_MESSAGE } from '../../../core/policy-draft.js'
import { defineAct, Reason } from './act.js'
import type { Answer } from './endpoint.js'
import { DraftId, PreviewHash, VersionNumber } from './policy-schemas.js'
import { closed, nullable } from './schema.js'

/** Names of replicas that can be left out together. */
const MOST_WITHOUT = 50

export const DeployMessage = Type.String({
  minLength: 1,
  maxLength: MOST_DRAFT_MESSAGE,
  pattern: '^[^\\u0000-\\u001F\\u007F]*$',
  description: 'Why; the version keeps it.',
  examples: ['Circuits for the new team'],
})

const BODY = {
  message: DeployMessage,
  onto: { ...VersionNumber, description: 'Number of the version that it replaces: the one that was seen in force.' },
  without: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 300 }), {
    maxItems: MOST_WITHOUT,
    description: 'Names of replicas that are left out: they are gone for good, or answer 503 afterwards.',
  })),
  confirm: Type.Optional(Type.Literal(NO_SUPERUSER, {
    type: 'string',
    description: 'Typed where no active superuser would be left, or the one who deploys would not be one any more.',
  })),
  apply: Type.Optional(Type.String({
    enum: ['now', 'sign-in'],
    description: 'When users have the new rights: `now` maps everybody with an active session anew from their last ' +
      'snapshot, those who lose something first, and a replica goes on with it after the answer. Otherwise (the ' +
      'default) it is at the next sign-in or re-evaluation.',
  })),
}

const PROBLEMS = [
  'policy_source_file',
  'policy_approvals_missing',
  'policy_changed',
  'policy_no_superuser',
  'policy_replica_refused',
  'policy_replica_silent',
] as const

const deployed = closed({
  number: { ...VersionNumber, description: 'Of the new version.' },
  hash: Type.String({ description: 'SHA-256 of its canonical form.' }),
  replaced: nullable(VersionNumber),
  replicas: Type.Array(Type.String(), { description: 'Replicas that have tried it and run it now.' }),
})

function deployedOf({ number, hash, replaced, replicas }: Deployed): Answer<Static<typeof deployed>> {
  return { number, hash, replaced, replicas: [...replicas] }
}

/** The schema knows texts alone. */
function requestOf<Body extends { readonly apply?: string | undefined }>(body: Body) {
  return { ...body, apply: body.apply === 'now' ? 'now' as const : 'sign-in' as const }
}

export const deployDraft = defineAct({
  method: 'POST',
  path: '/policy/drafts/:id/deploy',
  permission: 'gatehouse.policy',
  summary: 'Make a draft the policy, on all replicas',
  description: 'Where `policy.source` is `database`. Every replica tries it first: one that refuses, or does not ' +
    'answer within twelve seconds, ends the deploy, and nothing is changed. The draft is deleted, since its text is ' +
    'the new version. A reason is needed where a user loses a right by the preview. Superusers alone may change who ' +
    'is staff or superuser, `pipeline`, usernames, `associateByEmail`, `authAllowed`, `headers` and what is not ' +
    'known to give no user a right here; permissions of the console that groups lead to must be among your own, or a ' +
    'superuser has approved it (not for a token). A token never sends `confirm`.',
  stepUp: true,
  ifMatch: true,
  reason: 'none',
  byToken: 'tokenDeploy',
  params: Type.Object({ id: DraftId }),
  body: Type.Object({ ...BODY, preview: PreviewHash, reason: Type.Optional(Reason) }),
  problems: ['policy_draft_unknown', 'policy_draft_unusable', 'policy_preview_stale', ...PROBLEMS],
  response: deployed,
  handle: async ({ params: { id }, body, useCases, acting }) =>
    deployedOf(await useCases.acts.deploys.deploy(id, requestOf(body), acting)),
})

export const rollbackVersion = defineAct({
  method: 'POST',
  path: '/policy/versions/:number/rollback',
  permission: 'gatehouse.policy',
  summary: 'Deploy an earlier version again, as a new one',
  description: 'As a deploy of a draft, with the text of this version and without a preview. Approvals are of other ' +
    'administrators than the one who rolls back.',
  stepUp: true,
  ifMatch: false,
  reason: 'required',
  byToken: false,
  params: Type.Object({ number: VersionNumber }),
  body: Type.Object(BODY),
  problems: ['policy_version_unknown', 'policy_version_unusable', ...PROBLEMS],
  response: deployed,
  handle: async ({ params: { number }, body, useCases, acting }) =>
    deployedOf(await useCases.acts.deploys.rollback(number, requestOf(body), acting)),
})
