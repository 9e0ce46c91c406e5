// Puts the acts of administrators (src/admin/acts) together with the database, for the console, its API and the
// commands.
import { createMembershipActs } from './admin/acts/memberships.js'
import { createPeopleActs } from './admin/acts/people.js'
import { createSessionActs } from './admin/acts/sessions.js'
import { createTokenActs } from './admin/acts/tokens.js'
import type { AdminActs } from './admin/use-cases.js'
import type { MappingRow } from './core/mapping.js'
import type { SessionTimeouts } from './core/session.js'
import { createActTransaction } from './store/act-unit.js'
import type { Database } from './store/database.js'

export interface ActUseCasesDeps {
  readonly database: Database
  readonly timeouts: SessionTimeouts
  /** Of the configuration in force. */
  readonly reservedUsernames: () => readonly string[]
  /** Of the configuration in force; commands have no act that reads it. */
  readonly mapping?: () => readonly MappingRow[]
}

export function createActUseCases(
  { database, timeouts, reservedUsernames, mapping = () => [] }: ActUseCasesDeps,
): AdminActs {
  const transaction = createActTransaction(database, timeouts)
  return {
    sessions: createSessionActs(transaction),
    people: createPeopleActs({ transaction, reservedUsernames }),
    tokens: createTokenActs(transaction),
    memberships: createMembershipActs({ transaction, mapping }),
  }
}
