// Every rule that looks at more than one key.
import {
  hostsHaveRules,
  ruleNamesOnce,
  rulesCloseTheFolderItself,
  rulesDecide,
  shadowRulesProtectNothing,
} from './access.js'
import {
  accessRulesWithinCookie,
  accessRulesWithinRedirects,
  applicationsWithinCookie,
  cookieReachesPublicUrl,
  managementApart,
  publicUrlIsNoExample,
  redirectsWithinCookie,
  trustsEveryPeer,
} from './addresses.js'
import { exportFits } from './audit.js'
import { consoleHostApart, contextWithPolicy } from './console.js'
import {
  certificateFits,
  idsAreNoExamples,
  oneCredential,
  plainHttp,
  secretIsNoId,
  tenants,
  tenantsWithoutSync,
} from './entra.js'
import { applicationsOnce, applicationsReturnedTo } from './applications.js'
import { familiesOnce, headerNamesOnce } from './headers.js'
import {
  defaultGroupsLost,
  groupsOncePerRow,
  mappingLint,
  namesAlike,
  oneRowPerGroup,
  separatorsInNames,
} from './mapping.js'
import { usernamesVerified } from './names.js'
import { authAllowedRuns, mappingIsLast, stepsComplete, stepsInOrder, stepsOnce } from './pipeline.js'
import { stepsAsListed, policyInOnePlace, policyStandsAlone } from './policy.js'
import type { Rule } from './rule.js'
import {
  databaseAuthority,
  directAddress,
  identityCookieDomain,
  oneDatabase,
  poolForWorkers,
  secretsApart,
  secretsOfDemo,
  sessionTimes,
  syncTimes,
} from './storage.js'

/** Of a configuration file, not of a policy alone. */
export const FILE_RULES: readonly Rule[] = [policyInOnePlace, stepsAsListed]

/** Of a policy that is deployed in the database. */
export const DEPLOYED_RULES: readonly Rule[] = [policyStandsAlone]

export const RULES: readonly Rule[] = [
  publicUrlIsNoExample,
  managementApart,
  trustsEveryPeer,
  cookieReachesPublicUrl,
  redirectsWithinCookie,
  accessRulesWithinCookie,
  applicationsWithinCookie,
  applicationsOnce,
  applicationsReturnedTo,
  accessRulesWithinRedirects, // guard: adv-rule-redirects
  rulesDecide,
  rulesCloseTheFolderItself,
  hostsHaveRules,
  ruleNamesOnce,
  shadowRulesProtectNothing,
  consoleHostApart,
  contextWithPolicy,
  tenants,
  tenantsWithoutSync,
  oneCredential,
  certificateFits,
  secretIsNoId,
  plainHttp,
  idsAreNoExamples,
  oneDatabase,
  databaseAuthority,
  directAddress,
  poolForWorkers,
  sessionTimes,
  syncTimes,
  secretsApart,
  secretsOfDemo,
  exportFits,
  identityCookieDomain,
  oneRowPerGroup,
  groupsOncePerRow,
  separatorsInNames,
  namesAlike,
  mappingLint,
  defaultGroupsLost,
  usernamesVerified,
  stepsOnce,
  mappingIsLast,
  stepsComplete,
  stepsInOrder,
  authAllowedRuns,
  headerNamesOnce,
  familiesOnce,
]
