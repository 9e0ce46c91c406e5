// The policy's part of the console, put together: mapping, access rules, tests of requests, and what the policy means
// for one user.
import { createAccessAdmin } from './admin/access.js'
import { createAccessTestAdmin } from './admin/access-test.js'
import { createExplainAdmin } from './admin/explain.js'
import { createLiveReader, limitLiveReads } from './admin/live-reads.js'
import { createMappingAdmin } from './admin/mapping.js'
import { createPersonAccessAdmin } from './admin/person-access.js'
import { createPolicyAdmin } from './admin/policy.js'
import { createPolicyVersionsAdmin } from './admin/policy-versions.js'
import type { AdminUseCases } from './admin/use-cases.js'
import {
  accessNamesExist,
  defaultIsMeant,
  guestsAreMeant,
  guestsAreRefused,
  portsComeFromTheProxy,
} from './checks/access.js'
import type { Finding } from './checks/finding.js'
import { accessFindings } from './config/access-findings.js'
import type { RunningConfig } from './config/running-config.js'
import type { ActivityReader } from './core/activity.js'
import { memoizeByConfig } from './core/memoize-by-config.js'
import type { LiveDirectory, PolicyFinding } from './core/policy.js'
import { networkTest } from './net/networks.js'
import type { Database } from './store/database.js'
import { createPeopleStore } from './store/people.js'
import { createPolicyVersionStore } from './store/policy-versions.js'
import {
  createEntraGroupCounts,
  createLocalGroups,
  createPolicyUsers,
  groupsWithPermissions,
} from './store/policy-reads.js'

export interface PolicyUseCaseDeps {
  readonly database: Database
  readonly liveDirectory: LiveDirectory
  /** Undefined: hits are not counted here. */
  readonly activity?: Pick<ActivityReader, 'ruleHits'> | undefined
}

type PolicyUseCases = Pick<
  AdminUseCases,
  'access' | 'accessTest' | 'explain' | 'mapping' | 'personAccess' | 'policy' | 'policyVersions'
>

export function createPolicyUseCases(
  { startup, current: policy, shown, hash }: RunningConfig,
  { database, liveDirectory, activity }: PolicyUseCaseDeps,
): PolicyUseCases {
  const users = createPolicyUsers(database, createPeopleStore(database, startup.session))
  const localGroups = createLocalGroups(database)
  const scheme = new URL(startup.server.publicUrl).protocol === 'https:' ? 'https' : 'http'
  const ofFile = memoizeByConfig(policy, ({ access, authAllowed, pipeline, source }): readonly PolicyFinding[] => [
    ...accessFindings({ ...startup, access, ...source === undefined ? {} : { source } }),
    ...[
      ...portsComeFromTheProxy(access),
      ...defaultIsMeant(access),
      ...guestsAreMeant(access, !guestsAreRefused({ authAllowed, pipeline })),
    ].flatMap(asFindings),
  ])
  const findings = async (): Promise<readonly PolicyFinding[]> => {
    const namesExist = accessNamesExist({
      access: policy().access,
      shown: shown().access,
      existing: async () => await namedInRules(database, policy().access.rules),
      nearest: () => undefined,
    })
    return [...ofFile(), ...(await namesExist()).flatMap(asFindings)]
  }
  const positionOf = (path: string) => policy().source?.positions.get(path)
  const counts = createEntraGroupCounts(database)
  const mapping = createMappingAdmin({ policy, shown, localGroups, counts, positionOf })
  const access = createAccessAdmin({ policy, shown, findings, positionOf, activity })
  const readLive = limitLiveReads(createLiveReader(liveDirectory))
  return {
    access,
    accessTest: createAccessTestAdmin({ policy, shown, users, localGroups, networkTest }),
    explain: createExplainAdmin({ policy, shown, users, localGroups, readLive }),
    mapping,
    personAccess: createPersonAccessAdmin({ policy, shown, users, networkTest, scheme }),
    policy: createPolicyAdmin({ hash, mapping, access }),
    policyVersions: createPolicyVersionsAdmin(createPolicyVersionStore(database)),
  }
}

function asFindings({ state, path, code, message, remedy }: Finding): PolicyFinding[] {
  return state === 'warn' && path !== undefined ? [{ path, code, message, remedy }] : []
}

/** The local groups that the rules name, and those that have a permission which they name. */
async function namedInRules(
  database: Database,
  rules: ReturnType<RunningConfig['current']>['access']['rules'],
) {
  const allowed = rules.flatMap(({ allow }) => typeof allow === 'string' ? [] : [allow])
  const groups = [...new Set(allowed.flatMap((each) => each.groups))]
  const permissions = [...new Set(allowed.flatMap((each) => each.permissions))]
  return await groupsWithPermissions(database, { groups, permissions })
}
