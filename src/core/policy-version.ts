// Versions of the policy: immutable rows, so that history, differences and "which replica runs what" are there for
// everybody. store/policy-versions.ts keeps them.
import { GatehouseError } from './errors.js'
import type { Page, PageRequest } from './page.js'
import type { ChangeCounts, PreviewKey } from './policy-preview.js'

/** Which keys and values a policy may have. A release that reads more of them raises it. */
export const POLICY_SCHEMA = 1

/** A finding of `check` about a policy. */
export interface VersionFinding {
  /** Such as `groupMapping[2].groups`. */
  readonly path: string
  readonly code: string
  /** Null: not kept, because it may contain a value that came from the environment. */
  readonly message: string | null
}

export interface NewVersion {
  /** YAML as it was written, before `${NAME}` is replaced. */
  readonly text: string
  /** SHA-256 of its canonical form: 64 hex characters. */
  readonly hash: string
  readonly findings: readonly VersionFinding[]
}

/** `file`: a replica has loaded it from its configuration file; `database`: it was deployed. */
export type VersionSource = 'file' | 'database'

export interface VersionSummary {
  readonly number: number
  readonly source: VersionSource
  readonly hash: string
  /** As in the audit record: `admin:<user id>`, `cli:<os user>`; `replica:<host:port>`: it has loaded the file. */
  readonly author: string
  /** Name of an administrator; null: a command or a replica, or a user who was removed. */
  readonly authorName: string | null
  readonly message: string
  /** ISO 8601. */
  readonly at: string
  /** The version that was the newest one before; null: none. */
  readonly parent: number | null
  /** How many users gained and lost rights, by a preview or counted for the deploy; null: it was not deployed. */
  readonly gains: number | null
  readonly losses: number | null
  /** Replicas with a heartbeat in the last minute that run it, by name. */
  readonly replicas: readonly string[]
}

export interface VersionDetails extends VersionSummary {
  readonly text: string
  /** POLICY_SCHEMA of the release that wrote it, and that release. */
  readonly schema: number
  readonly release: string
  readonly findings: readonly VersionFinding[]
}

export interface PolicyVersions {
  /** The newest first; `after` is a number. */
  list(page: PageRequest<number>): Promise<Page<VersionSummary, number>>
  /** Undefined: there is none with this number. */
  get(number: number): Promise<VersionDetails | undefined>
  /** Undefined: there is none yet. */
  newest(): Promise<number | undefined>
}

/** How problems and patches name it. */
export function versionName(number: number): string {
  return `policy version ${number}`
}

/** Where the policy is in the database. */
export function policyMissing(): GatehouseError {
  return new GatehouseError('policy_missing', {
    detail: 'no policy was deployed yet',
    remedy: 'Deploy one: gatehouse policy deploy FILE --message TEXT',
  })
}

/** The version that is in force where the policy is in the database: the one that was deployed last. */
export interface DeployedVersion {
  readonly number: number
  readonly hash: string
  /** POLICY_SCHEMA of the release that wrote it, and that release. */
  readonly schema: number
  readonly release: string
}

export interface DeployedChange extends PreviewKey {
  /** Hash of a preview that was made before; undefined: none was. */
  readonly preview: string | undefined
}

export interface NewDeployment extends NewVersion {
  readonly author: string
  readonly message: string
  readonly correlationId?: string | undefined
  /** Kept in the audit record. */
  readonly detail?: Readonly<Record<string, unknown>>
  /** Of this process. */
  readonly release: string
  /** The number of the version that it replaces; null: there is none. */
  readonly onto: number | null
  /** Replicas that are left out, by their names. */
  readonly without: readonly string[]
  readonly trial: string
  /** How many users gain and lose a right by it. */
  readonly counts: ChangeCounts
  /** Immediately, to everybody with an active session (core/policy-application.ts). */
  readonly isApplied?: boolean
}

/** What the replicas have answered to a trial. */
export interface TrialStanding {
  /** Names of replicas with a heartbeat in the last ten seconds that have not answered. */
  readonly silent: readonly string[]
  readonly accepted: readonly string[]
  readonly refused: readonly { readonly name: string, readonly refusal: string }[]
}

/** Deployed versions, and the trial that each has before. */
export interface PolicyDeployments {
  /** Undefined: no policy was deployed yet. */
  inForce(): Promise<DeployedVersion | undefined>
  /** Asks every replica to load this text. @returns the id of the trial */
  beginTrial(text: string): Promise<string>
  standing(trial: string): Promise<TrialStanding>
  endTrial(trial: string): Promise<void>
  /**
   * In force on every replica from now on.
   * @returns its number
   * @throws GatehouseError `policy_changed`: another version is in force than `onto`; `policy_replica_silent`,
   *   `policy_replica_refused`: a replica that is not left out has not accepted it
   */
  deploy(deployment: NewDeployment): Promise<number>
}

/** What a replica does about trials. */
export interface PolicyTrials {
  /** Those of the last minute that this replica has not answered. */
  unanswered(replica: string): Promise<readonly { readonly id: string, readonly text: string }[]>
  /** @param refusal null: it can run the policy */
  answer(trial: string, replica: string, refusal: string | null): Promise<void>
}
