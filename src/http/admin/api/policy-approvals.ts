// POST /policy/drafts/{id}/approve and POST /policy/versions/{n}/approve, and how approvals are shown.
import Type, { type Static, type TObject } from 'typebox'
import type { ShownApprovals } from '../../../admin/policy-approvals.js'
import { defineAct } from './act.js'
import type { Answer } from './endpoint.js'
import { DraftId, PreviewHash, VersionNumber } from './policy-schemas.js'
import { closed, instant } from './schema.js'

const Needed = Type.Integer({ minimum: 0, description: '`admin.approvals`: how many a deploy or a rollback needs.' })

export const APPROVALS = {
  approvalsNeeded: Needed,
  approvals: Type.Array(closed({
    approverId: Type.String({ format: 'uuid' }),
    approverName: Type.String(),
    at: instant('When it was given.'),
    state: Type.String({
      enum: ['counts', 'text_changed', 'policy_changed', 'preview_changed', 'editor', 'rights_lost'],
      description: 'Whether it counts, or why it does not: the text is another one, another version is in force, the ' +
        'preview is another one or must be made again, the approver has edited the draft, or would not be allowed to ' +
        'deploy it.',
    }),
  })),
}

export function approvalsOf({ needed, approvals: given }: ShownApprovals): Answer<Static<TObject<typeof APPROVALS>>> {
  return {
    approvalsNeeded: needed,
    approvals: given.map(({ at, ...approval }) => ({ ...approval, at: new Date(at).toISOString() })),
  }
}

const given = closed({
  given: Type.Integer({ minimum: 1, description: 'Approvals that count now, this one among them.' }),
  needed: Needed,
})
const onto = { ...VersionNumber, description: 'Number of the version in force that was seen.' }

const DESCRIPTION = 'Where `policy.source` is `database`. It counts as long as the text and the version in force are ' +
  'those that were seen, and the approver would be allowed to deploy it. An approval of a superuser lets others ' +
  'deploy what superusers alone may change.'

export const approveDraft = defineAct({
  method: 'POST',
  path: '/policy/drafts/:id/approve',
  permission: 'gatehouse.policy',
  summary: 'Approve the deploy of a draft',
  description: `${DESCRIPTION} It is also of the preview. It is refused to those who have ever saved the draft.`,
  stepUp: true,
  ifMatch: true,
  reason: 'none',
  byToken: false,
  params: Type.Object({ id: DraftId }),
  body: Type.Object({ onto, preview: PreviewHash }),
  problems: [
    'policy_source_file',
    'policy_draft_unknown',
    'policy_draft_unusable',
    'policy_own_draft',
    'policy_preview_stale',
    'policy_changed',
  ],
  response: given,
  handle: async ({ params: { id }, body, useCases, acting }) => await useCases.acts.approvals.draft(id, body, acting),
})

export const approveRollback = defineAct({
  method: 'POST',
  path: '/policy/versions/:number/approve',
  permission: 'gatehouse.policy',
  summary: 'Approve a rollback to a version',
  description: `${DESCRIPTION} It does not count where its approver is the one who rolls back.`,
  stepUp: true,
  ifMatch: false,
  reason: 'none',
  byToken: false,
  params: Type.Object({ number: VersionNumber }),
  body: Type.Object({ onto }),
  problems: ['policy_source_file', 'policy_version_unknown', 'policy_version_unusable', 'policy_changed'],
  response: given,
  handle: async ({ params: { number }, body, useCases, acting }) =>
    await useCases.acts.approvals.rollback(number, body, acting),
})
