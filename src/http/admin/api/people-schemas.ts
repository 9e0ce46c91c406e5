// Users, their rights and sessions as the API answers them (src/core/people.ts, src/admin/person.ts).
import Type from 'typebox'
import { closed, instant, nullable, openRecord } from './schema.js'

const Text = Type.String()
const Id = Type.String({ format: 'uuid' })
export const MaybeText = nullable(Type.String())
const MaybeInstant = (description: string) => nullable(instant(description))

export const Causes = nullable(
  Type.Array(closed({ row: Type.Integer(), entraGroup: Id }), {
    description: 'The mapping rows that granted it, counted from 1; null: assigned by hand.',
  }),
)

export const PersonSummarySchema = closed({
  id: Id,
  username: Text,
  name: MaybeText,
  email: MaybeText,
  isActive: Type.Boolean(),
  isStaff: Type.Boolean(),
  isSuperuser: Type.Boolean(),
  isBreakGlass: Type.Boolean(),
  isGuest: Type.Boolean({ description: 'The account was a guest of the tenant at the last sign-in.' }),
  groupCount: Type.Integer(),
  handMadeCount: Type.Integer({ description: 'Groups that an administrator assigned by hand.' }),
  lastLoginAt: MaybeInstant('The last sign-in.'),
  lastSeenAt: MaybeInstant('The last sign-in, or the last recorded use of a session.'),
})

export const PeopleCursorSchema = Type.Union([closed({ username: Text }), closed({ term: Text, id: Id })])

export const SessionSchema = closed({
  id: Type.String({ description: 'Public id.', examples: ['ses_3vXq0b9Zk1Tt'] }),
  userId: Id,
  username: Text,
  createdAt: instant('The sign-in.'),
  lastSeenAt: instant('The last recorded use.'),
  browser: nullable(Type.String({ description: 'Family, of the last recorded use.', examples: ['Firefox'] })),
  address: nullable(Type.String({ description: 'Of the client, at the last recorded use.' })),
  host: nullable(Type.String({ description: 'Of the application, at the last recorded use.' })),
})

export const Kind = Type.Union([Type.Literal('superuser'), Type.Literal('staff'), Type.Literal('group')])

export const Reasons = Type.Array(closed({
  row: Type.Integer({ description: 'Row of the mapping in force where inForce, else of the mapping that granted it.' }),
  entraGroup: Id,
  label: MaybeText,
  inForce: Type.Boolean({ description: 'The mapping in force grants this right to this Entra group.' }),
}))

export const ReviewSchema = closed({
  verdict: Type.Union([Type.Literal('confirmed'), Type.Literal('doubted')], {
    description: '`confirmed`: still right. `doubted`: not right any more.',
  }),
  reviewerId: Id,
  reviewer: nullable(Type.String({ description: 'Username; null: the reviewer was removed.' })),
  at: instant('When it was reviewed.'),
  note: nullable(Type.String({ examples: ['Works in the circuits team.'] })),
})

export const MaybeReview = nullable(ReviewSchema)

const RightSchema = closed({
  kind: Kind,
  name: Type.String({ description: 'Of the local group; of a flag the same as `kind`.' }),
  permissions: Type.Array(Text, { description: 'Of the local group.' }),
  reasons: Reasons,
  since: MaybeInstant('When the right began.'),
  until: MaybeInstant('When it ends; null: it has no end of its own.'),
  byHand: Type.Boolean(),
  endsAtNextSignIn: Type.Boolean({ description: 'Assigned by hand to a user with an Entra identity.' }),
  review: MaybeReview,
})

const NotHeldSchema = closed({
  kind: Kind,
  name: Text,
  missing: Type.Boolean({ description: 'There is no such local group.' }),
  reasons: Reasons,
})

export const PersonSchema = closed({
  id: Id,
  username: Text,
  email: MaybeText,
  emailVerified: Type.Boolean(),
  name: MaybeText,
  isActive: Type.Boolean(),
  isStaff: Type.Boolean(),
  isSuperuser: Type.Boolean(),
  isBreakGlass: Type.Boolean(),
  staffCause: Causes,
  staffSince: MaybeInstant('When the flag was set.'),
  superuserCause: Causes,
  superuserSince: MaybeInstant('When the flag was set.'),
  groups: Type.Array(closed({
    name: Text,
    cause: Causes,
    since: instant('When the membership began.'),
    until: MaybeInstant('When it ends; null: it has no end of its own.'),
  })),
  identities: Type.Array(
    closed({ tid: Id, oid: Id, upn: MaybeText, upnSeenAt: MaybeInstant('When Entra ID reported the UPN.') }),
  ),
  namesakes: Type.Array(Text, { description: 'Other users whose UPN is or was this username.' }),
  entraGroups: nullable(Type.Integer({ description: 'Entra groups in the last snapshot.' })),
  readAt: MaybeInstant('The time of the last snapshot.'),
  createdAt: instant('When the user was added.'),
  lastLoginAt: MaybeInstant('The last sign-in.'),
  liveSessions: Type.Integer(),
  rights: Type.Array(RightSchema),
  notHeld: Type.Array(NotHeldSchema, {
    description: 'What the last snapshot grants under the mapping in force, but the user does not have.',
  }),
  sessions: Type.Array(SessionSchema, { description: 'The latest 50 active ones.' }),
  audit: Type.Array(
    closed({
      at: instant('When it happened.'),
      action: Text,
      actor: Text,
      correlationId: MaybeText,
      detail: openRecord('What the audit row holds.'),
    }),
    { description: 'The latest 50 rows about this user.' },
  ),
})
