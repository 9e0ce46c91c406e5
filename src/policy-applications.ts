// The application of versions of the policy to those who are signed in, put together: for commands, and for replicas,
// any of which goes on where the process that does it has ended.
import { createPolicyApplyAdmin, type PolicyApplyAdmin } from './admin/policy-apply.js'
import type { Config } from './config/config.js'
import type { RunningConfig } from './config/running-config.js'
import { GatehouseError, thrownFacts } from './core/errors.js'
import { createGroupMapping } from './core/mapping.js'
import { oneAtATime } from './core/one-at-a-time.js'
import type { AppliedPolicy } from './core/policy-application.js'
import type { DeployedPolicy } from './deployed-policy.js'
import type { Lifecycle } from './lifecycle.js'
import { startRecurring } from './recurring.js'
import type { Database } from './store/database.js'
import { createLoginStore } from './store/login-store.js'
import { createPolicyApplications } from './store/policy-applications.js'

/** Deploys are announced; this is for processes that have ended in the middle. */
const LOOK_MS = 5_000

export interface PolicyApplyDeps {
  /** Of this process, for people to read. */
  readonly name: string
  readonly database: Database
  readonly policyOf: (version: number) => Promise<AppliedPolicy | undefined>
  readonly log: Record<'warn', (facts: object, text: string) => void>
}

/** @param config of the file: its sessions, tenant and limit of staleness count */
export function createPolicyApply(
  { session, entra: { tenantId }, sync }: Pick<RunningConfig['startup'], 'session' | 'entra' | 'sync'>,
  { name, database, policyOf, log }: PolicyApplyDeps,
): PolicyApplyAdmin {
  const { groupIds } = createLoginStore(database, session)
  return createPolicyApplyAdmin({
    name,
    applications: createPolicyApplications(database, { ...session, tenantId, maxStalenessMs: sync?.maxStalenessMs }),
    policyOf,
    lookups: { groupIds },
    failed: ({ username }, error) =>
      log.warn({ username, ...thrownFacts(error) }, 'a user could not be mapped anew by the deployed policy'),
  })
}

export function appliedPolicy(
  { groupMapping, requireMappedGroup }: Pick<Config, 'groupMapping' | 'requireMappedGroup'>,
): AppliedPolicy {
  return {
    mapping: createGroupMapping(groupMapping),
    entraGroups: [...new Set(groupMapping.map(({ entraGroup }) => entraGroup.toLowerCase()))],
    localGroups: [...new Set(groupMapping.flatMap(({ groups }) => groups))],
    requireMappedGroup,
  }
}

/** Of a replica. @returns called where a version was added */
export function openPolicyApplications(
  { startup, current, deployed }: RunningConfig,
  { name, database, version, own, log }:
    & Pick<DeployedPolicy, 'version'>
    & Pick<Lifecycle, 'own'>
    & Pick<PolicyApplyDeps, 'name' | 'database' | 'log'>,
): () => void {
  const admin = createPolicyApply(startup, {
    name,
    database,
    async policyOf(wanted) {
      await deployed?.catchUp()
      return version() === wanted ? appliedPolicy(current()) : undefined
    },
    log,
  })
  const look = oneAtATime(() => admin.takeUp())
  const failed = (error: unknown): void => {
    if (error instanceof GatehouseError && error.code === 'database_unavailable') return // the log has it
    log.warn(thrownFacts(error), 'a deployed policy could not be applied; another process or a later attempt goes on')
  }
  const timer = startRecurring(look, LOOK_MS, failed, LOOK_MS)
  own('application of the policy', async () => {
    await Promise.all([admin.close(), timer.stop()])
  })
  return () => {
    look().catch(failed)
  }
}
