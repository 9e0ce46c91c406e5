// Values that several endpoints about versions and drafts of the policy have.
import Type from 'typebox'

/** PostgreSQL's integer. */
export const VersionNumber = Type.Integer({ minimum: 1, maximum: 2_147_483_647 })

export const DraftId = Type.String({
  minLength: 1,
  maxLength: 100,
  description: 'Public id.',
  examples: ['drf_3vXq0b9Zk1Tt'],
})

export const PreviewHash = Type.String({
  pattern: '^[0-9a-f]{64}$',
  description: '`result.hash` of the preview that was seen, of the draft and of the policy in force as they are now.',
})
