// Puts the use cases of users, groups and sessions (src/admin) together with the database, for the console, its API and
// the commands.
import type { SessionTimeouts } from './core/session.js'
import { createGroupsAdmin, type GroupsAdmin, type NamingPolicy } from './admin/groups.js'
import { createPeopleAdmin, type PeopleAdmin } from './admin/people.js'
import { createReviewsAdmin, type ReviewsAdmin } from './admin/reviews.js'
import { createSessionsAdmin, type SessionsAdmin } from './admin/sessions.js'
import { createTokensAdmin, type TokensAdmin } from './admin/tokens.js'
import { listAudit } from './store/audit-list.js'
import type { Database } from './store/database.js'
import { createGroupsList } from './store/groups-list.js'
import { membershipSnapshot } from './store/membership-snapshots.js'
import { createPeopleStore } from './store/people.js'
import { recordPersonViewed } from './store/person-views.js'
import { createRightsHeld } from './store/rights-held.js'
import { createSessionsList } from './store/sessions-list.js'
import { createTokensList } from './store/tokens-list.js'

export interface PeopleUseCases {
  readonly people: PeopleAdmin
  readonly groups: GroupsAdmin
  readonly sessions: SessionsAdmin
  readonly tokens: TokensAdmin
  readonly reviews: ReviewsAdmin
}

export interface PeopleUseCasesDeps {
  readonly database: Database
  readonly timeouts: SessionTimeouts
  /** In force: a reload of the configuration may change it. */
  readonly policy: () => NamingPolicy
  /** The same for people to read. */
  readonly shown?: (() => NamingPolicy) | undefined
}

export function createPeopleUseCases(deps: PeopleUseCasesDeps): PeopleUseCases {
  const { database, timeouts, policy, shown = policy } = deps
  const people = createPeopleStore(database, timeouts)
  const sessions = createSessionsList(database, timeouts)
  const groups = createGroupsList(database)
  const rights = createRightsHeld(database)
  return {
    people: createPeopleAdmin({
      people,
      sessions,
      groups,
      mapping: () => policy().mapping,
      shownMapping: () => shown().mapping,
      reviewsOf: (userId) => rights.reviewsOf(userId),
      recordViewed: (viewed) => recordPersonViewed(database, viewed),
      entraGroupsOf: async (userId) => (await membershipSnapshot(database, userId))?.entraGroupIds,
      auditOf: async (userId, limit) => (await listAudit(database, { userId, limit })).rows,
    }),
    groups: createGroupsAdmin({ groups, people, policy, shown }),
    sessions: createSessionsAdmin({ sessions, people }),
    tokens: createTokensAdmin(createTokensList(database)),
    reviews: createReviewsAdmin({ rights, mapping: () => policy().mapping }),
  }
}
