// Puts the acts of administrators (src/admin/acts) together with the database, for the console, its API and the
// commands.
import { createMembershipActs } from './admin/acts/memberships.js'
import type { GroupPolicy } from './admin/acts/group-policy.js'
import { createGroupActs } from './admin/acts/groups.js'
import { createKeyActs } from './admin/acts/keys.js'
import { createPeopleActs } from './admin/acts/people.js'
import { createApplicationActs } from './admin/acts/policy-applications.js'
import { createApprovalActs } from './admin/acts/policy-approvals.js'
import { createDeployActs, type DeployActsDeps } from './admin/acts/policy-deploys.js'
import { createDraftActs } from './admin/acts/policy-drafts.js'
import { createImageActs } from './admin/acts/policy-images.js'
import { createReviewActs } from './admin/acts/reviews.js'
import { createSessionActs } from './admin/acts/sessions.js'
import { createTokenActs } from './admin/acts/tokens.js'
import type { AdminActs, CommandActs } from './admin/use-cases.js'
import type { Config } from './config/config.js'
import type { SessionTimeouts } from './core/session.js'
import { createActTransaction } from './store/act-unit.js'
import type { Database } from './store/database.js'

export interface ActUseCasesDeps {
  readonly database: Database
  readonly timeouts: SessionTimeouts
  /** Of `keys.encryptionSecrets`: new signing keys are sealed under the first one. */
  readonly encryptionSecrets: readonly string[]
  /** Of the configuration in force. */
  readonly reservedUsernames: () => readonly string[]
  readonly groupPolicy: () => GroupPolicy
  /** Hash of the policy in force; undefined: drafts are begun from a version that is named. */
  readonly policyHash?: (() => string) | undefined
}

/** Where the console is: commands deploy otherwise (policy-deploys.ts). */
export interface ConsoleActsDeps extends ActUseCasesDeps {
  readonly deploys: Omit<DeployActsDeps, 'transaction'>
}

/** What acts on local groups need of a configuration. */
export function groupPolicyOf(
  config: Pick<Config, 'groupMapping' | 'access' | 'defaultGroups' | 'headers'>,
): GroupPolicy {
  const { groupMapping: mapping, access: { rules }, defaultGroups, headers: { extra: separators } } = config
  return { mapping, rules, defaultGroups, separators }
}

export function createConsoleActs(deps: ConsoleActsDeps): AdminActs {
  const { database, timeouts, encryptionSecrets } = deps
  const transaction = createActTransaction(database, timeouts, encryptionSecrets)
  const policy = { ...deps.deploys, transaction }
  return {
    ...createActUseCases(deps),
    deploys: createDeployActs(policy),
    approvals: createApprovalActs(policy),
    applications: createApplicationActs(policy),
  }
}

export function createActUseCases(deps: ActUseCasesDeps): CommandActs {
  const { database, timeouts, encryptionSecrets, reservedUsernames, groupPolicy, policyHash = () => '' } = deps
  const transaction = createActTransaction(database, timeouts, encryptionSecrets)
  return {
    sessions: createSessionActs(transaction),
    people: createPeopleActs({ transaction, reservedUsernames }),
    tokens: createTokenActs(transaction),
    memberships: createMembershipActs({ transaction, mapping: () => groupPolicy().mapping }),
    reviews: createReviewActs(transaction),
    groups: createGroupActs({ transaction, policy: groupPolicy }),
    keys: createKeyActs(transaction),
    drafts: createDraftActs({ transaction, policyHash }),
    images: createImageActs(transaction),
  }
}
