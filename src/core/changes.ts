// The changes that the outbox records (migrations/0007_outbox.sql), and which cached sessions each of them concerns. A
// change carries ids only: it can cause nothing but that rows are read again.
import type { ChangeNotification } from './session-cache.js'

/** A row of the outbox. */
export interface Change {
  /** A kind of KINDS; anything else, of a later release, concerns everything. */
  readonly kind: string
  /** Their form depends on the kind; at most a thousand. */
  readonly subjects: readonly string[]
}

type Concern = 'sessions' | 'users' | 'keys' | 'policy' | 'nothing' | 'everything'

/** What each kind concerns. The subjects of kinds that concern users begin with the user's id, up to a slash. */
const KINDS: Readonly<Record<string, Concern>> = {
  /** hex of sessionIdHash */
  'session.ended': 'sessions',
  'user.changed': 'users',
  'user.deactivated': 'users',
  'user.activated': 'users',
  'user.removed': 'users',
  'staff.lost': 'users',
  'staff.given': 'users',
  'superuser.lost': 'users',
  'superuser.given': 'users',
  /** user/group */
  'group.lost': 'users',
  'group.given': 'users',
  /** user/tenant/object id */
  'identity.lost': 'users',
  'identity.given': 'users',
  /** Ids of groups. Their memberships are changes of their own. */
  'group.removed': 'everything',
  /** group/permission */
  'permission.lost': 'everything',
  'permission.given': 'everything',
  /** Public ids. Tokens are read from the database with each request. */
  'token.revoked': 'nothing',
  /** kid */
  'key.withdrawn': 'keys',
  'keys.changed': 'keys',
  /** Numbers of versions of the policy. */
  'policy.added': 'policy',
  /** A version was added, or one is tried. */
  'policy.changed': 'policy',
  'everything': 'everything',
  /** Too many subjects for one record, or a TRUNCATE: the subject says of what. */
  'bulk': 'everything',
}

/** They take away more than they list. */
const UNLISTED: ReadonlySet<string> = new Set(['everything', 'bulk'])

/** Kinds whose subjects are all that they take away. */
export const LISTED_KINDS: ReadonlySet<string> = new Set(Object.keys(KINDS).filter((kind) => !UNLISTED.has(kind)))

export type Concerned = ChangeNotification | { readonly kind: 'keys' } | { readonly kind: 'policy' }

/** An unknown kind or a malformed subject concerns everything (safe default). */
export function concernedBy({ kind, subjects }: Change): Concerned {
  if (!subjects.every((each) => typeof each === 'string')) return { kind: 'everything' }
  const concern = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined
  if (concern === 'keys' || concern === 'policy') return { kind: concern }
  if (concern === 'nothing') return { kind: 'sessions', hashes: [] }
  if (concern === 'sessions' && subjects.every((each) => /^[0-9a-f]{64}$/.test(each))) {
    return { kind: 'sessions', hashes: subjects }
  }
  if (concern === 'users') {
    const ids = [...new Set(subjects.map((each) => each.split('/', 1)[0] ?? ''))]
    if (ids.every((id) => /^[0-9a-f-]{36}$/.test(id))) return { kind: 'users', ids }
  }
  return { kind: 'everything' }
}
