// GET /reviews, GET and PUT /reviews/{personId}/{right}: who has which right and why, and whether it is still right.
import Type from 'typebox'
import { rightVersion } from '../../../admin/reviews.js'
import { versionTag } from '../../../core/version-tag.js'
import { defineAct, MOST_REASON } from './act.js'
import { defineEndpoint, defineList } from './endpoint.js'
import { Kind, MaybeReview, MaybeText, Reasons, ReviewSchema } from './people-schemas.js'
import { closed, instant, nullable } from './schema.js'
import { timesInUtc } from './times.js'

const Id = Type.String({ format: 'uuid' })
/** `group:` and the longest name of a group. */
const MOST_RIGHT = 306

const Verdict = Type.Union([Type.Literal('confirmed'), Type.Literal('doubted')], {
  description: '`confirmed`: still right. `doubted`: not right any more.',
})

export const Note = Type.String({
  maxLength: MOST_REASON,
  pattern: '^[^\\u0000-\\u001F\\u007F]*$',
  description: 'What the next reviewer should know.',
  examples: ['Works in the circuits team.'],
})

/** The same filters as on the page and in its files. */
export const REVIEW_FILTERS = {
  q: Type.Optional(Type.String({
    minLength: 1,
    maxLength: 200,
    description: 'Of users: as for `GET /people`.',
  })),
  active: Type.Optional(Type.Boolean({ description: 'The user may sign in.' })),
  kind: Type.Optional(Kind),
  group: Type.Optional(Type.String({ minLength: 1, maxLength: 300, description: 'Name of a local group.' })),
  reviewed: Type.Optional(Type.Boolean({ description: 'It has a review that counts.' })),
  verdict: Type.Optional(Verdict),
}

export const RightsCursorSchema = closed({ username: Type.String(), place: Type.Integer(), group: Type.String() })

const RightSchema = closed({
  personId: Id,
  username: Type.String(),
  name: MaybeText,
  isActive: Type.Boolean(),
  right: Type.String({ description: '`superuser`, `staff` or `group:NAME`.', examples: ['group:Network Engineers'] }),
  kind: Kind,
  group: nullable(Type.String({ description: 'Name of the local group; null: a flag.' })),
  byHand: Type.Boolean(),
  endsAtNextSignIn: Type.Boolean({ description: 'Assigned by hand to a user with an Entra identity.' }),
  reasons: Reasons,
  since: nullable(instant('When the right began.')),
  until: nullable(instant('When it ends; null: it has no end of its own.')),
  permissions: Type.Array(Type.String(), {
    description: 'What the local group permits, sorted; empty for flags.',
    examples: [['netbox.view']],
  }),
  review: MaybeReview,
  etag: Type.String({ description: 'For `If-Match` of a review.', examples: [versionTag('')] }),
})

const params = Type.Object({
  personId: Type.String({ format: 'uuid', description: 'Id of the user.' }),
  right: Type.String({
    minLength: 1,
    maxLength: MOST_RIGHT,
    description: '`superuser`, `staff` or `group:NAME`, percent-encoded.',
    examples: ['group:Network Engineers'],
  }),
})

export const reviews = defineList({
  path: '/reviews',
  permission: 'gatehouse.read',
  summary: 'Who has which right, why, and whether it was reviewed',
  description: 'By username; of each user first superuser, then staff, then local groups by name. ' +
    '`review` is null where no administrator has reviewed the right, or where it has changed since. A page may have ' +
    'fewer items than `limit`, also none, although `next` is not null.',
  query: Type.Object(REVIEW_FILTERS),
  item: RightSchema,
  cursor: RightsCursorSchema,
  handle: async ({ query, page, useCases }) => {
    const { rows, next } = await useCases.reviews.list({ ...query, ...page })
    return { rows: timesInUtc(rows), next }
  },
})

export const reviewedRight = defineEndpoint({
  method: 'GET',
  path: '/reviews/:personId/:right',
  permission: 'gatehouse.read',
  summary: 'One right of a user, with its reason and its review',
  params,
  problems: ['right_not_held'],
  response: RightSchema,
  version: rightVersion,
  handle: async ({ params: { personId, right }, useCases }) => timesInUtc(await useCases.reviews.get(personId, right)),
})

export const markRight = defineAct({
  method: 'PUT',
  path: '/reviews/:personId/:right',
  permission: 'gatehouse.people',
  summary: 'Review a right of another user',
  description:
    'It says whether the right is still right, and changes no right. `If-Match` is the `etag` of the right. ' +
    'The review is kept 400 days. It falls when the right is lost, when its reason or its end changes, and when the ' +
    'group gets or loses a permission; a sign-in that changes nothing keeps it. Administrators review no rights of ' +
    'their own (`review_own_right`). API tokens review no right of superusers and users with break-glass.',
  stepUp: false,
  ifMatch: true,
  reason: 'none',
  byToken: true,
  params,
  body: Type.Object({ verdict: Verdict, note: Type.Optional(Note) }),
  problems: ['right_not_held', 'review_own_right'],
  response: ReviewSchema,
  handle: async ({ params: { personId, right }, body: { verdict, note }, useCases, acting }) =>
    timesInUtc(await useCases.acts.reviews.mark({ personId, right, verdict, note }, acting)),
})
