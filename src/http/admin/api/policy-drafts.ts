// GET and POST /policy/drafts, GET, PUT and DELETE /policy/drafts/{id}, what is wrong with a draft, and what differs
// from a version. Reading needs gatehouse.policy too: a draft may be the unfinished work of another administrator.
import Type, { type Static } from 'typebox'
import {
  draftVersion,
  MOST_DRAFT_MESSAGE,
  MOST_DRAFT_TEXT,
  type DraftFinding,
  type DraftSummary,
} from '../../../core/policy-draft.js'
import {
  MOST_COUNTED,
  MOST_NAMED,
  MOST_PREVIEWED,
  MOST_REQUESTS,
  type PreviewResult,
} from '../../../core/policy-preview.js'
import { defineAct } from './act.js'
import { defineEndpoint, defineList, type Answer } from './endpoint.js'
import { APPROVALS, approvalsOf } from './policy-approvals.js'
import { DraftId, VersionNumber } from './policy-schemas.js'
import { changeSchema } from './policy-versions.js'
import { closed, instant, nullable } from './schema.js'

/** Of a body of JSON: a character may take six bytes. */
export const MOST_DRAFT_BYTES = 6 * MOST_DRAFT_TEXT + 10_000
/** Findings that are answered with; more of them are counted alone. */
const MOST_FINDINGS = 500

const Text = Type.String({ maxLength: MOST_DRAFT_TEXT, description: 'YAML; it may be unfinished.' })
export const DraftMessage = Type.String({
  maxLength: MOST_DRAFT_MESSAGE,
  pattern: '^[^\\u0000-\\u001F\\u007F]*$',
  description: 'What it is for.',
  examples: ['Staff for the night shift'],
})
const Base = { ...VersionNumber, description: 'Number of the version that it is compared with.' }
const ETag = Type.String({ description: 'Of the draft as it is now.', examples: [`"${'A'.repeat(22)}"`] })
const Actor = Type.String({ description: 'As in the audit record.' })
const Name = nullable(Type.String({ description: 'Username; null: a command, or the user was removed.' }))

const SUMMARY = {
  id: DraftId,
  base: Base,
  isStale: Type.Boolean({ description: 'Whether another policy than that of `base` is in force.' }),
  message: Type.String(),
  author: Actor,
  authorName: Name,
  changedBy: Actor,
  changedByName: Name,
  createdAt: instant('When it was added.'),
  changedAt: instant('When it was changed last.'),
  revision: Type.Integer({ description: 'Grows with each change.' }),
  size: Type.Integer({ description: 'Characters of its text.' }),
}
const summary = closed(SUMMARY)

function summaryOf(draft: DraftSummary & { readonly isStale: boolean }): Answer<Static<typeof summary>> {
  const { id, base, isStale, message, author, authorName, changedBy, changedByName, revision, size } = draft
  const [createdAt, changedAt] = [new Date(draft.createdAt).toISOString(), new Date(draft.changedAt).toISOString()]
  return {
    id,
    base,
    isStale,
    message,
    author,
    authorName,
    changedBy,
    changedByName,
    createdAt,
    changedAt,
    revision,
    size,
  }
}

export const DraftCursorSchema = closed({ id: Type.String(), changedAt: Type.String() })

export const policyDrafts = defineList({
  path: '/policy/drafts',
  permission: 'gatehouse.policy',
  summary: 'The drafts of the policy, the one that was changed last first',
  item: summary,
  cursor: DraftCursorSchema,
  async handle({ page, useCases }) {
    const { rows, next } = await useCases.policyDrafts.list(page)
    return { rows: rows.map(summaryOf), next }
  },
})

export const policyDraft = defineEndpoint({
  method: 'GET',
  path: '/policy/drafts/:id',
  permission: 'gatehouse.policy',
  summary: 'One draft of the policy',
  params: Type.Object({ id: DraftId }),
  problems: ['policy_draft_unknown'],
  response: closed({
    ...SUMMARY,
    text: Type.String({ description: 'YAML as it was written; it may be unfinished.' }),
    inForce: nullable(Type.Integer({ description: 'Number of the version in force; null: not recorded yet.' })),
    editors: Type.Array(Type.String(), {
      description: 'As in the audit record: who has ever saved it, and who has made the token of a program that did.',
    }),
    ...APPROVALS,
  }),
  version: draftVersion,
  async handle({ params: { id }, useCases: { policyDrafts: drafts, policyApprovals } }) {
    const [draft, inForce, given] = await Promise.all([drafts.get(id), drafts.inForce(), policyApprovals.ofDraft(id)])
    const { text, editors } = draft
    return { ...summaryOf(draft), text, inForce: inForce ?? null, editors: [...editors], ...approvalsOf(given) }
  },
})

export const addDraft = defineAct({
  method: 'POST',
  path: '/policy/drafts',
  permission: 'gatehouse.policy',
  summary: 'Begin a draft of the policy',
  description: 'With the text of a version, or with another text that is compared with this version.',
  stepUp: false,
  ifMatch: false,
  reason: 'none',
  byToken: true,
  mostBytes: MOST_DRAFT_BYTES,
  body: Type.Object({
    from: Type.Optional({ ...VersionNumber, description: 'Number of the version; absent: the one in force.' }),
    text: Type.Optional(Text),
    message: Type.Optional(DraftMessage),
  }),
  problems: ['policy_version_unknown', 'policy_drafts_full'],
  response: closed({ id: DraftId, etag: ETag }),
  handle: async ({ body, useCases, acting }) => await useCases.acts.drafts.add(body, acting),
})

export const changeDraft = defineAct({
  method: 'PUT',
  path: '/policy/drafts/:id',
  permission: 'gatehouse.policy',
  summary: 'Save a draft of the policy',
  description: 'Also a text that cannot be used as the policy: POST /policy/drafts/{id}/check says what is wrong.',
  stepUp: false,
  ifMatch: true,
  reason: 'none',
  byToken: true,
  mostBytes: MOST_DRAFT_BYTES,
  params: Type.Object({ id: DraftId }),
  body: Type.Object({
    text: Text,
    message: Type.Optional(DraftMessage),
    base: Type.Optional({
      ...VersionNumber,
      description: 'Another version that it is compared with from now on, because its changes are in the text.',
    }),
  }),
  problems: ['policy_draft_unknown', 'policy_version_unknown'],
  response: closed({ etag: ETag, changed: Type.Boolean({ description: 'False: it was so already.' }) }),
  handle: async ({ params: { id }, body, useCases, acting }) => await useCases.acts.drafts.change(id, body, acting),
})

export const removeDraft = defineAct({
  method: 'DELETE',
  path: '/policy/drafts/:id',
  permission: 'gatehouse.policy',
  summary: 'Delete a draft of the policy',
  stepUp: false,
  ifMatch: true,
  reason: 'required',
  byToken: true,
  params: Type.Object({ id: DraftId }),
  problems: ['policy_draft_unknown'],
  response: closed({ removed: DraftId }),
  async handle({ params: { id }, useCases, acting }) {
    await useCases.acts.drafts.remove(id, acting)
    return { removed: id }
  },
})

const FINDING = closed({
  line: Type.Integer({ description: 'Counted from 1; 1 where the text as a whole is meant.' }),
  column: Type.Integer(),
  path: Type.String({ description: 'Such as `groupMapping[2].groups`; empty: the text as a whole.' }),
  code: Type.String(),
  message: nullable(Type.String({ description: 'Null: not shown, because it may contain the value of a variable.' })),
  remedy: nullable(Type.String()),
})

export const checkDraft = defineEndpoint({
  method: 'POST',
  path: '/policy/drafts/:id/check',
  changesNothing: true,
  permission: 'gatehouse.policy',
  summary: 'What is wrong with a draft of the policy',
  description:
    'It is judged as if it stood in the configuration in force. A variable or a file that the policy in force does ' +
    `not use is a problem. At most ${MOST_FINDINGS} problems and as many warnings are listed.`,
  params: Type.Object({ id: DraftId }),
  problems: ['policy_draft_unknown'],
  response: closed({
    usable: Type.Boolean({ description: 'Whether it can be used as the policy.' }),
    hash: nullable(Type.String({ description: 'SHA-256 of the canonical form; null: it cannot be used.' })),
    problems: Type.Array(FINDING),
    warnings: Type.Array(FINDING),
    count: Type.Integer({ description: 'Of all problems and warnings, also those that are not listed.' }),
  }),
  async handle({ params: { id }, useCases: { policyDrafts: drafts } }) {
    const { text } = await drafts.get(id)
    const { problems, warnings, policy } = await drafts.judge(text)
    const listed = (findings: readonly DraftFinding[]) => findings.slice(0, MOST_FINDINGS)
    return {
      usable: policy !== undefined,
      hash: policy?.hash ?? null,
      problems: listed(problems),
      warnings: listed(warnings),
      count: problems.length + warnings.length,
    }
  },
})

export const draftDiff = defineEndpoint({
  method: 'GET',
  path: '/policy/drafts/:id/diff',
  permission: 'gatehouse.policy',
  summary: 'What a draft changes',
  params: Type.Object({ id: DraftId }),
  query: Type.Object({
    against: Type.Optional(Type.Union([Type.Literal('base'), Type.Literal('inForce')], {
      type: 'string',
      default: 'inForce',
      description: 'The version that it began from, or the version in force.',
    })),
  }),
  problems: ['policy_draft_unknown', 'policy_version_unknown'],
  response: closed({
    version: VersionNumber,
    changes: nullable(Type.Array(changeSchema, { description: 'Null: the draft cannot be used as the policy.' })),
    patch: nullable(Type.String({ description: 'Unified diff; null: the texts have too little in common.' })),
  }),
  async handle({ params: { id }, query: { against = 'inForce' }, useCases }) {
    const { version, changes, patch } = await useCases.policyDrafts.diff(id, against)
    return { version, changes: changes ?? null, patch: patch ?? null }
  },
})

const Change = (what: string) =>
  Type.Union([Type.Literal(-1), Type.Literal(0), Type.Literal(1)], {
    type: 'integer',
    description: `1: gains ${what}; -1: loses it; 0: neither.`,
  })
const Count = (description: string) => Type.Integer({ minimum: 0, description })
const Hash = Type.String({ description: 'SHA-256: 64 hex characters.' })

const RULE = {
  path: Type.String({ examples: ['access.rules[2]'] }),
  name: nullable(Type.String({ description: 'Of the rule; null: it has none.' })),
}
const DECISION = (when: string) =>
  closed({
    decision: Type.String({
      enum: ['allowed', 'refused', 'sign_in', 'depends'],
      description: `${when} \`depends\`: on the address of the client, which is not kept.`,
    }),
    rule: closed(RULE),
  })

const SAMPLED = closed({
  compared: Count('Different requests that were compared.'),
  differing: Count('Of them, those that would be decided otherwise.'),
  undecided: Count('Of them, those that depend on the address of the client by both policies.'),
  requests: Type.Array(
    closed({
      userId: nullable(Type.String({ format: 'uuid', description: 'Null: a request without a session.' })),
      username: nullable(Type.String()),
      host: Type.String(),
      method: Type.String(),
      path: Type.String({ description: 'At most three segments of it.' }),
      isCut: Type.Boolean({ description: 'The path went on: other rules may decide about the whole of it.' }),
      count: Count('How often it was noted.'),
      decidedBy: nullable(
        closed(RULE, 'The rule that decided about it; null: none did, or it is not in force any more.'),
      ),
      now: DECISION('By the policy in force, for the rights of now.'),
      then: DECISION('By the draft, for the rights that its mapping gives.'),
    }),
    { description: `Those that would be let in first, then the most frequent ones; at most ${MOST_REQUESTS}.` },
  ),
})

const RESULT = closed({
  hash: Type.String({
    description: 'SHA-256 over the draft, the policy in force and every change.',
  }),
  live: Type.Boolean({ description: 'Whether the Entra groups were read from Graph for it.' }),
  users: Count('Active users with a reading of their Entra groups.'),
  unavailable: Count('Of them, those whose account is disabled or deleted in Entra ID; 0 where `live` is false.'),
  changed: Count('Users who gain or lose a right.'),
  gains: Count('Users who gain a right.'),
  losses: Count('Users who lose a right; some gain another one.'),
  newSuperusers: Count('Users who become superuser.'),
  oldestReading: nullable(instant('Null: there is no reading.')),
  newestReading: nullable(instant('Null: there is no reading.')),
  changes: Type.Array(
    closed({
      userId: Type.String({ format: 'uuid' }),
      username: Type.String(),
      readAt: instant('When the Entra groups of the user were read.'),
      superuser: Change('the flag superuser'),
      staff: Change('the flag staff'),
      gained: Type.Array(Type.String(), { description: `Local groups, at most ${MOST_NAMED}.` }),
      lost: Type.Array(Type.String(), { description: `Local groups, at most ${MOST_NAMED}.` }),
      moreGained: Count('Groups that are not listed.'),
      moreLost: Count('Groups that are not listed.'),
    }),
    { description: `New superusers first, then new staff, other gains, losses; at most ${MOST_PREVIEWED}.` },
  ),
  counts: Type.Array(
    closed({
      right: Type.String({ description: '`superuser`, `staff`, or the name of a local group.' }),
      gain: Count('Users who gain it.'),
      lose: Count('Users who lose it.'),
    }),
    { description: `By right, flags first; at most ${MOST_COUNTED}.` },
  ),
  sampled: nullable(SAMPLED),
})

export const previewDraft = defineEndpoint({
  method: 'POST',
  path: '/policy/drafts/:id/preview',
  changesNothing: true,
  permission: 'gatehouse.policy',
  summary: 'Who would gain and lose which rights by a draft of the policy, and which requests it decides otherwise',
  description:
    'By the last readings of the Entra groups of all active users, and `groupMapping` of the draft. It is made in ' +
    'the background: repeat it until `state` is `done` or `failed`. A preview is kept for five minutes; one is ' +
    'made at a time (429 otherwise). No user gains or loses anything by it. `sampled` has the requests of the last ' +
    'day that the draft would decide otherwise; it is null where `access.sample` is 0, and `hash` is not over it. ' +
    'With `live` the groups are read from Graph, for this preview alone: one runs in the installation (409 ' +
    '`live_preview_busy` otherwise), none while Graph asks sign-ins to wait (503 `graph_throttled`), and the first ' +
    '429 of Graph ends it (`failed`). One that has failed is answered for a minute, and while Graph asks to wait, ' +
    'before another one is begun. A deploy and an approval need the one of both kinds that was finished last.',
  params: Type.Object({ id: DraftId }),
  body: Type.Object({
    live: Type.Optional(Type.Boolean({ default: false, description: 'Read the Entra groups from Graph now.' })),
  }),
  optionalBody: true,
  problems: ['policy_draft_unknown', 'policy_draft_unusable', 'rate_limited', 'live_preview_busy', 'graph_throttled'],
  response: closed({
    live: Type.Boolean({ description: 'Whether the Entra groups are read from Graph for it.' }),
    state: Type.Union([Type.Literal('running'), Type.Literal('done'), Type.Literal('failed')], { type: 'string' }),
    done: Count('Users read.'),
    total: Count('About how many there are.'),
    startedAt: instant('When it was started.'),
    code: nullable(Type.String({ description: 'Why it has failed; a later request starts it again.' })),
    until: nullable(instant('Until when Graph asked a live one to wait, which has ended it; null: it did not.')),
    draftHash: Hash,
    policyHash: Hash,
    result: nullable(RESULT),
  }),
  async handle({ params: { id }, body: { live = false }, actor, useCases }) {
    const preview = await useCases.policyPreview.start(id, live ? { actor: `admin:${actor.userId}` } : undefined)
    const { state, done, total, startedAt, code, until, draftHash, policyHash, result } = preview
    return {
      live: preview.live,
      state,
      done,
      total,
      startedAt: new Date(startedAt).toISOString(),
      code,
      until: until === null ? null : new Date(until).toISOString(),
      draftHash,
      policyHash,
      result: result && resultOf(result),
    }
  },
})

function resultOf(
  { oldestReading, newestReading, changes, sampled, ...result }: PreviewResult,
): Answer<Static<typeof RESULT>> {
  const utc = (time: string) => new Date(time).toISOString()
  return {
    ...result,
    oldestReading: oldestReading && utc(oldestReading),
    newestReading: newestReading && utc(newestReading),
    changes: changes.map((change) => ({ ...change, readAt: utc(change.readAt) })),
    sampled: sampled && { ...sampled, requests: [...sampled.requests] },
  }
}
