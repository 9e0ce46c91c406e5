// Deploys of the policy, put together: for the commands, and for the console and its API.
import { countChanges } from './admin/preview-collector.js'
import { createPolicyDeploysAdmin, type PolicyDeploysAdmin } from './admin/policy-deploys.js'
import type { Config } from './config/config.js'
import type { PolicyDeployments } from './core/policy-version.js'
import { databasePolicyLoader } from './database-policy.js'
import type { Database } from './store/database.js'
import { activeSuperusers, snapshotsOfActiveUsers } from './store/membership-snapshots.js'
import { createPolicyDeploymentStore } from './store/policy-deployments.js'
import { createPolicyPreviews } from './store/policy-previews.js'
import { createLocalGroups } from './store/policy-reads.js'
import { createPolicyVersionStore } from './store/policy-versions.js'
import { VERSION } from './version.js'

/**
 * @param file the configuration file, beside which policies are judged
 * @param name how problems name the text
 * @param deploy in place of the transaction that adds the version
 */
export function createPolicyDeploys(
  database: Database,
  file: Config,
  name: string,
  deploy?: PolicyDeployments['deploy'],
): PolicyDeploysAdmin {
  const deployments = createPolicyDeploymentStore(database)
  const load = databasePolicyLoader(database)
  return createPolicyDeploysAdmin({
    source: file.policy.source,
    deployments: deploy === undefined ? deployments : { ...deployments, deploy },
    versions: createPolicyVersionStore(database),
    async judge(text) {
      const { config: { groupMapping, policyText }, warnings } = await load(text, file, name)
      const findings = warnings.map(({ path, code, message }) => ({ path, code, message }))
      return { text: policyText.text, hash: policyText.hash, findings, groupMapping }
    },
    superusers: {
      active: async (entraGroups) =>
        (await activeSuperusers(database, entraGroups)).map(({ userId, entraGroupIds }) => ({
          userId,
          entraGroupIds: entraGroupIds ?? undefined,
        })),
      async anyIn(entraGroups, isSuperuser) {
        for await (const batch of snapshotsOfActiveUsers(database, entraGroups)) {
          if (batch.some(({ entraGroupIds }) => isSuperuser(entraGroupIds))) return true
        }
        return false
      },
    },
    async counts({ groupMapping }, { preview, ...change }) {
      const known = preview === undefined ? undefined : await createPolicyPreviews(database).countsOf(preview, change)
      return known ?? await countChanges(groupMapping, {
        localGroups: createLocalGroups(database),
        snapshots: (entraGroups) => snapshotsOfActiveUsers(database, entraGroups),
      })
    },
    release: VERSION,
  })
}
