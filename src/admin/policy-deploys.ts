// Deploys a version of the policy to all replicas: each loads it on trial before, and one that cannot ends the deploy.
// A rollback deploys the text of an earlier version as a new one.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Acting } from '../core/acts.js'
import { GatehouseError } from '../core/errors.js'
import { createGroupMapping, type GroupMapping } from '../core/mapping.js'
import type { ChangeCounts } from '../core/policy-preview.js'
import type {
  DeployedChange,
  NewDeployment,
  NewVersion,
  PolicyDeployments,
  PolicyVersions,
  TrialStanding,
} from '../core/policy-version.js'
import type { PolicyInForce } from '../core/policy.js'
import { knownVersion } from './policy-versions.js'

export interface DeployOptions {
  readonly message: string
  /** Number of the version that it replaces; undefined: whichever is in force now; null: there is none. */
  readonly onto?: number | null | undefined
  /** Hash of the preview that was shown: kept in the audit record. */
  readonly preview?: string | undefined
  /** Names of replicas that are left out: they are gone for good, or answer 503 afterwards. */
  readonly without?: readonly string[] | undefined
  /** `no superuser`: a policy that leaves none, or takes it from the one who deploys, is meant. */
  readonly confirm?: string | undefined
  /** `now`: everybody with an active session is mapped anew (admin/policy-apply.ts); default `sign-in`. */
  readonly apply?: 'now' | 'sign-in' | undefined
}

export interface Deployed {
  readonly number: number
  readonly hash: string
  /** Null: it is the first one. */
  readonly replaced: number | null
  /** Names of those that have it on trial and accepted it. */
  readonly replicas: readonly string[]
}

export interface PolicyDeploysAdmin {
  /**
   * @param text YAML
   * @throws ConfigError; GatehouseError `policy_source_file`, `policy_changed`, `policy_no_superuser`,
   *   `policy_replica_refused`, `policy_replica_silent`
   */
  deploy(text: string, options: DeployOptions, acting: Acting): Promise<Deployed>
  /** @throws as deploy; `policy_version_unknown` */
  rollback(number: number, options: DeployOptions, acting: Acting): Promise<Deployed>
}

export interface JudgedPolicy extends NewVersion {
  readonly groupMapping: PolicyInForce['groupMapping']
}

/** An active superuser, as a policy would find them. */
export interface HeldSuperuser {
  readonly userId: string
  /** Undefined: without an identity at Entra ID, so that no mapping changes the flag. */
  readonly entraGroupIds: readonly string[] | undefined
}

export interface SuperuserReads {
  /** All active superusers. @param entraGroups those whose members matter */
  active(entraGroups: readonly string[]): Promise<readonly HeldSuperuser[]>
  /** Whether one of the active users would become one, by their last readings. */
  anyIn(entraGroups: readonly string[], isSuperuser: (entraGroupIds: readonly string[]) => boolean): Promise<boolean>
}

export interface PolicyDeployPorts {
  readonly source: 'file' | 'database'
  readonly deployments: PolicyDeployments
  readonly versions: PolicyVersions
  /** @throws ConfigError with every problem of the text */
  readonly judge: (text: string) => Promise<JudgedPolicy>
  readonly superusers: SuperuserReads
  /** Of the preview, or else counted now. */
  readonly counts: (policy: JudgedPolicy, change: DeployedChange) => Promise<ChangeCounts>
  readonly release: string
  /** How long replicas have to answer (milliseconds). */
  readonly trialMs?: number
}

export const NO_SUPERUSER = 'no superuser'

/** Longer than a replica that has died is counted (ten seconds). */
const TRIAL_MS = 12_000
const POLL_MS = 50

export function createPolicyDeploysAdmin(ports: PolicyDeployPorts): PolicyDeploysAdmin {
  const { source, deployments, versions, judge, release } = ports
  const deploy: PolicyDeploysAdmin['deploy'] = async (given, options, acting) => {
    if (source === 'file') throw sourceIsFile() // guard: policy-deploy-source
    const judged = await judge(given)
    const { text, groupMapping, hash, findings } = judged
    const inForce = await deployments.inForce()
    const { message, preview, without = [], onto = inForce?.number ?? null, confirm, apply } = options
    if (confirm !== NO_SUPERUSER) await requireSuperuser(groupMapping, acting, ports.superusers)
    const policyHash = inForce?.hash ?? ''
    const counts = await ports.counts(judged, { draftHash: hash, policyHash, preview })
    const trial = await deployments.beginTrial(text)
    try {
      const { actor: author, correlationId } = acting
      const detail = { ...preview === undefined ? {} : { preview }, ...without.length === 0 ? {} : { without } }
      const isApplied = apply === 'now'
      const known = { text, hash, findings, author, correlationId, message, detail, release, isApplied }
      const version = { ...known, onto, without, trial, counts }
      const { number, accepted } = await whenAllHaveAnswered(version, ports)
      return { number, hash, replaced: onto, replicas: accepted }
    } finally {
      await deployments.endTrial(trial)
    }
  }
  return {
    deploy,
    async rollback(number, options, acting) {
      const version = await knownVersion(versions, number)
      return await deploy(version.text, options, acting)
    },
  }
}

export function sourceIsFile(): GatehouseError {
  return new GatehouseError('policy_source_file', {
    remedy: 'Change the file, and reload it (SIGHUP). Or set policy.source to database, and take the policy out of it.',
  })
}

/** A replica that begins during the trial is asked too: the last look is in the transaction that deploys. */
async function whenAllHaveAnswered(
  version: NewDeployment,
  { deployments, trialMs = TRIAL_MS }: PolicyDeployPorts,
): Promise<{ readonly number: number, readonly accepted: TrialStanding['accepted'] }> {
  const until = performance.now() + trialMs
  for (;;) {
    const { silent, accepted } = await deployments.standing(version.trial)
    const isOver = performance.now() >= until
    if (isOver || silent.every((name) => version.without.includes(name))) {
      try {
        return { number: await deployments.deploy(version), accepted }
      } catch (error) {
        if (isOver || !(error instanceof GatehouseError) || error.code !== 'policy_replica_silent') throw error
      }
    }
    await sleep(POLL_MS)
  }
}

/** @throws GatehouseError `policy_no_superuser` */
async function requireSuperuser(
  groupMapping: JudgedPolicy['groupMapping'],
  { admin }: Acting,
  superusers: SuperuserReads,
): Promise<void> {
  const mapping = createGroupMapping(groupMapping)
  const mapped = groupMapping.filter(({ superuser }) => superuser).map(({ entraGroup }) => entraGroup)
  const now = await superusers.active(mapped)
  const remaining = now.filter(({ entraGroupIds }) =>
    entraGroupIds === undefined || isSuperuser(mapping, entraGroupIds)
  )
  const isOwn = (userId: string) => (held: HeldSuperuser): boolean => held.userId === userId
  if (admin !== undefined && now.some(isOwn(admin.userId)) && !remaining.some(isOwn(admin.userId))) {
    throw noSuperuser('you would not be a superuser any more') // guard: policy-own-superuser
  }
  if (now.length === 0 || remaining.length > 0) return
  if (await superusers.anyIn(mapped, (ids) => isSuperuser(mapping, ids))) return
  throw noSuperuser('no active superuser would be left') // guard: policy-last-superuser
}

function isSuperuser(mapping: GroupMapping, entraGroupIds: readonly string[]): boolean {
  return mapping.evaluate(entraGroupIds).superuser.length > 0
}

function noSuperuser(what: string): GatehouseError {
  return new GatehouseError('policy_no_superuser', {
    sentence: `With this policy ${what}, by the last snapshot of each user's groups.`,
    detail: `with this policy ${what}, by the last snapshot of each user's groups`,
    remedy: `If that is meant, confirm it: --confirm '${NO_SUPERUSER}'`,
  })
}
