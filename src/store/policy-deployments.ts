// Deployed versions of the policy, and their trials. The version with the highest number among those that were deployed
// is in force. A trial is a row that every replica reads, and answers with a row of its own.
import { randomBytes } from 'node:crypto'
import { sql, type SQL } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import type { Image } from '../core/image.js'
import {
  type DeployedVersion,
  type NewDeployment,
  type PolicyDeployments,
  type PolicyTrials,
  type TrialStanding,
} from '../core/policy-version.js'
import { writeAudit } from './audit.js'
import type { Database, Drizzle, Transaction } from './database.js'
import { OutOfDate } from './database-errors.js'
import { addApplication } from './policy-applications.js'
import { addImages } from './policy-images.js'
import { dropApprovals } from './policy-approvals.js'
import { addVersion, holdPolicyTurn, takePolicyTurn } from './policy-versions.js'
import { rowsOfRecord } from './rows-of-record.js'

export interface PolicyDeploymentStore extends PolicyDeployments, PolicyTrials {
  /**
   * Adds the version in force again where the database has lost it: a restored backup must not bring an earlier policy
   * into force.
   * @returns its new number; undefined: another replica was first
   */
  addAgain(lost: LostVersion): Promise<number | undefined>
}

export interface LostVersion {
  readonly text: string
  readonly hash: string
  readonly number: number
  /** `replica:<host:port>` */
  readonly author: string
  readonly release: string
  /** That it names; `path` is the name. */
  readonly images: readonly (Image & { readonly path: string })[]
}

type Row<T> = T & Record<string, unknown>

const IN_FORCE = sql`select number, hash, schema, release from policy_versions where source = 'database'
  order by number desc limit 1`

export function createPolicyDeploymentStore(database: Database): PolicyDeploymentStore {
  const ask = async <T>(query: SQL): Promise<readonly T[]> =>
    (await database.ask((db) => db.execute(query))).rows as unknown as readonly T[]
  return {
    // guard: record-policy-verified
    inForce: async () => (await rowsOfRecord<Row<DeployedVersion>>(database, IN_FORCE))[0],
    async beginTrial(text) {
      const id = `tri_${randomBytes(12).toString('base64url')}`
      await database.transaction(async (tx) => {
        await tx.execute(sql`delete from policy_trials where at < clock_timestamp() - interval '1 minute'`)
        await tx.execute(sql`insert into policy_trials (id, text) values (${id}, ${text})`)
      })
      return id
    },
    standing: (trial) => database.ask((db) => standingOf(db, trial)),
    async endTrial(trial) {
      await ask(sql`delete from policy_trials where id = ${trial}`)
    },
    deploy: (deployment) => database.transaction((tx) => deployWithin(tx, deployment)),
    unanswered: (replica) =>
      ask(sql`select id, text from policy_trials t where at > clock_timestamp() - interval '1 minute'
        and not exists (select from policy_trial_answers a where a.trial = t.id and a.replica = ${replica})
        order by at limit 10`),
    async answer(trial, replica, refusal) {
      await ask(sql`insert into policy_trial_answers (trial, replica, refusal)
        select id, ${replica}, ${refusal}::text from policy_trials where id = ${trial} on conflict do nothing`)
    },
    addAgain: (lost) => database.transaction((tx) => addAgain(tx, lost)),
  }
}

/** Of the replicas that were alive in the last ten seconds, by the clock of the server. */
async function standingOf(on: Drizzle | Transaction, trial: string): Promise<TrialStanding> {
  const { rows } = await on.execute<{ name: string, answered: boolean, refusal: string | null }>(sql`
    select r.name, a.replica is not null as answered, a.refusal from replicas r
    left join policy_trial_answers a on a.trial = ${trial} and a.replica = r.replica
    where abs(extract(epoch from clock_timestamp() - r.heartbeat_at)) < 10 order by r.name`)
  return {
    silent: rows.filter(({ answered }) => !answered).map(({ name }) => name),
    accepted: rows.filter(({ answered, refusal }) => answered && refusal === null).map(({ name }) => name),
    refused: rows.flatMap(({ name, refusal }) => refusal === null ? [] : [{ name, refusal }]),
  }
}

/** @throws as PolicyDeployments.deploy */
export async function deployWithin(tx: Transaction, deployment: NewDeployment): Promise<number> {
  await takePolicyTurn(tx)
  const { hash, author, message, correlationId, detail, onto, without, trial, isApplied = false } = deployment
  const before = await deployedIn(tx)
  requireOnto(before, onto)
  requireAccepted(await standingOf(tx, trial), without)
  const { number } = await addVersion(tx, { ...deployment, source: 'database', parent: onto })
  await writeAudit(tx, {
    action: 'policy.deployed',
    actor: author,
    ...correlationId === undefined ? {} : { correlationId },
    detail: { version: number, hash, replaced: onto, replacedHash: before?.hash ?? null, message, ...detail },
  })
  if (isApplied) await addApplication(tx, number, { actor: author, correlationId })
  await dropApprovals(tx)
  await tx.execute(sql`delete from policy_trials where id = ${trial}`)
  return number
}

/**
 * What a plan grants is written only while the version that it was made by is in force, and no other one comes into
 * force before it is committed. First of a transaction: a deploy waits for it with no lock but this one.
 * @param hash undefined: the policy is the file's
 * @throws OutOfDate
 */
export async function requireDeployed(tx: Transaction, hash: string | undefined): Promise<void> {
  if (hash === undefined) return
  await holdPolicyTurn(tx) // guard: policy-plan-until-commit
  const inForce = await deployedIn(tx)
  if (inForce?.hash !== hash) throw new OutOfDate() // guard: policy-plan-in-force
}

export async function deployedIn(tx: Transaction): Promise<DeployedVersion | undefined> {
  const { rows: [inForce] } = await tx.execute<Row<DeployedVersion>>(IN_FORCE)
  return inForce
}

/**
 * @param onto number of the version that was seen in force; null: none
 * @throws GatehouseError `policy_changed`
 */
export function requireOnto(inForce: DeployedVersion | undefined, onto: number | null): void {
  const number = inForce?.number ?? null
  if (number === onto) return // guard: policy-onto
  throw new GatehouseError('policy_changed', {
    sentence: `Version ${number ?? 'none'} of the policy is in force now. Look at it, then decide again.`,
    detail: `version ${number ?? 'none'} is in force, and not ${onto ?? 'none'}`,
    remedy: 'Look at it (gatehouse policy show), then deploy again.',
  })
}

/** @throws GatehouseError `policy_replica_silent`, `policy_replica_refused` */
export function requireAccepted({ silent, refused }: TrialStanding, without: readonly string[]): void {
  const refusal = refused.find(({ name }) => !without.includes(name))
  if (refusal !== undefined) { // guard: policy-trial-refused
    throw new GatehouseError('policy_replica_refused', {
      sentence: `${refusal.name} cannot run this policy, so nothing was changed: ${refusal.refusal}`,
      detail: `${refusal.name} cannot run this policy: ${refusal.refusal}`,
      remedy: 'Correct what it says, on that replica or in the policy, then deploy again.',
    })
  }
  const missing = silent.filter((name) => !without.includes(name))
  if (missing.length === 0) return // guard: policy-trial-silent
  throw new GatehouseError('policy_replica_silent', {
    sentence: `No answer came from ${missing.join(', ')}, so nothing was changed.`,
    detail: `no answer came from ${missing.join(', ')}`,
    remedy: `Where a replica is gone for good, leave it out: --without ${missing[0]}`,
  })
}

async function addAgain(tx: Transaction, lost: LostVersion): Promise<number | undefined> {
  await takePolicyTurn(tx)
  const { text, hash, number, author, release, images } = lost
  const newest = await deployedIn(tx)
  if (newest !== undefined && (newest.number >= number || newest.hash === hash)) return undefined
  const { number: again } = await addVersion(tx, {
    source: 'database',
    text,
    hash,
    findings: [],
    author,
    release,
    message: `Version ${number}, which the database has lost.`,
    parent: newest?.number ?? null,
    above: number,
  })
  await addImages(
    tx,
    images.map(({ path: name, type, sha256, content }) => ({
      name,
      type,
      sha256,
      content: content(),
      author,
    })),
  )
  const detail = { version: again, hash, lost: number, replaced: newest?.number ?? null }
  await writeAudit(tx, { action: 'policy.deployed', actor: author, detail })
  return again
}
