// The use cases of drafts of the policy, put together: what is wrong with them, who would gain and lose what, and which
// requests would be decided otherwise.
import { createPolicyApprovalsAdmin } from './admin/policy-approvals.js'
import { createPolicyDraftsAdmin } from './admin/policy-drafts.js'
import { createPolicyEntriesAdmin } from './admin/policy-entries.js'
import { createPolicyImagesAdmin } from './admin/policy-images.js'
import { createPolicyPreviewAdmin } from './admin/policy-preview.js'
import type { SampledRequests } from './admin/request-comparison.js'
import type { AdminUseCases } from './admin/use-cases.js'
import type { Config } from './config/config.js'
import { editPolicyEntries, entrySource } from './config/entry-edits.js'
import { createLoadingThread } from './config/loading-thread.js'
import type { RunningConfig } from './config/running-config.js'
import type { Environment } from './core/environment.js'
import { createEntryReader } from './draft-entries.js'
import { createDraftJudge, createEntryJudge } from './draft-judge.js'
import { openLivePreview, type LivePreviewDeps } from './live-previews.js'
import { networkTest } from './net/networks.js'
import type { Database } from './store/database.js'
import { consolePermissions } from './store/act-policy.js'
import { countSnapshots, snapshotsOfActiveUsers } from './store/membership-snapshots.js'
import { findApplication } from './store/policy-applications.js'
import { createPolicyApprovals } from './store/policy-approvals.js'
import { createPolicyDeploymentStore } from './store/policy-deployments.js'
import { createPolicyDrafts, versionOf } from './store/policy-drafts.js'
import { createPolicyImages } from './store/policy-images.js'
import { createPolicyPreviews } from './store/policy-previews.js'
import { createLocalGroups } from './store/policy-reads.js'
import { createPolicyVersionStore } from './store/policy-versions.js'
import { sampledRequests } from './store/sampled-requests.js'

export interface DraftUseCaseDeps {
  readonly database: Database
  /** Of it the variables of the policy in force alone are used. */
  readonly env?: Environment | undefined
  readonly log: { warn(facts: object, text: string): void, info(facts: object, text: string): void }
  readonly live: Omit<LivePreviewDeps, 'database'>
}

export function createDraftUseCases(
  config: RunningConfig,
  { database, env = process.env, log, live }: DraftUseCaseDeps,
): Pick<
  AdminUseCases,
  'policyDrafts' | 'policyEntries' | 'policyImages' | 'policyPreview' | 'policyApprovals' | 'policyApplications'
> {
  const policyHash = (): string => config.current().policyText.hash
  const images = createPolicyImages(database)
  const thread = createLoadingThread()
  const deployments = createPolicyDeploymentStore(database)
  const policyDrafts = createPolicyDraftsAdmin({
    source: config.startup.policy.source,
    drafts: createPolicyDrafts(database),
    versions: createPolicyVersionStore(database),
    inForce: async () =>
      config.startup.policy.source === 'database'
        ? (await deployments.inForce())?.number
        : await database.ask((db) => versionOf(db, policyHash())),
    judge: createDraftJudge(config, { env, images, thread }),
    policyHash,
  })
  const read = createEntryReader((text) => thread.readEntries(text))
  const editing = { edit: editPolicyEntries, sourceOf: entrySource, judgeEntry: createEntryJudge(config, env) }
  const policyEntries = createPolicyEntriesAdmin({ drafts: policyDrafts, read, ...editing })
  const policyPreview = createPreviews(config, { database, log, live, policyDrafts })
  const policyApprovals = createPolicyApprovalsAdmin({
    needed: policyDrafts.source === 'file' ? 0 : config.startup.admin?.approvals ?? 0,
    approvals: createPolicyApprovals(database),
    drafts: policyDrafts,
    versions: createPolicyVersionStore(database),
    previews: policyPreview,
    consolePermissions: () => database.ask((db) => consolePermissions(db)),
  })
  const policyApplications = { find: (version: number) => findApplication(database, version) }
  const policyImages = createPolicyImagesAdmin(images)
  return { policyDrafts, policyEntries, policyPreview, policyApprovals, policyApplications, policyImages }
}

function createPreviews(
  config: RunningConfig,
  { database, log, live, policyDrafts }: DraftUseCaseDeps & Pick<AdminUseCases, 'policyDrafts'>,
): AdminUseCases['policyPreview'] {
  return createPolicyPreviewAdmin({
    drafts: policyDrafts,
    previews: createPolicyPreviews(database),
    policyHash: () => config.current().policyText.hash,
    localGroups: createLocalGroups(database),
    snapshots: (entraGroups) => snapshotsOfActiveUsers(database, entraGroups),
    countSnapshots: () => countSnapshots(database),
    async beginLive(actor) {
      const run = await openLivePreview(actor, { ...live, database })
      log.info({ actor }, 'a live preview has begun: the Entra groups of all active users are read from Graph')
      return run
    },
    sampled: () => requestsSampled(database, { ...config.startup, access: config.current().access }, config.shown()),
    failed: (error) => log.warn({ err: error }, 'a preview of a draft of the policy has failed'),
  })
}

/** @param shown what is in force, for people to read @returns undefined: none are sampled */
export function requestsSampled(
  database: Database,
  { server: { publicUrl }, access }: Pick<Config, 'server' | 'access'>,
  shown: Pick<Config, 'access'>,
): SampledRequests | undefined {
  if (access.sample === 0) return undefined
  return {
    inForce: { access, shownAccess: shown.access },
    read: (entraGroups) => sampledRequests(database, entraGroups),
    networkTest,
    scheme: new URL(publicUrl).protocol === 'https:' ? 'https' : 'http',
  }
}
