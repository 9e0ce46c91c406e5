// Versions of the policy. Every replica adds what it has loaded from its file, where it is not there already.
import { sql } from 'drizzle-orm'
import { PAGE_ROWS, pageOf } from '../core/page.js'
import type { ChangeCounts } from '../core/policy-preview.js'
import {
  POLICY_SCHEMA,
  type NewVersion,
  type PolicyVersions,
  type VersionDetails,
  type VersionSource,
  type VersionSummary,
} from '../core/policy-version.js'
import { writeAudit } from './audit.js'
import { actorName } from './actor-name.js'
import type { Database, Drizzle, Transaction } from './database.js'
import { rowsOfRecord } from './rows-of-record.js'

export interface LoadedVersion extends NewVersion {
  /** Who has loaded it: `replica:<host:port>`. */
  readonly author: string
  /** Of this process. */
  readonly release: string
  /** The highest number that this replica knows: where history was lost, numbers go on above it. */
  readonly highestKnown: number
}

export interface PolicyVersionStore extends PolicyVersions {
  /** For a file that was loaded. @returns its number, and whether it is new */
  addLoaded(version: LoadedVersion): Promise<{ readonly number: number, readonly isNew: boolean }>
}

type Row<T> = T & Record<string, unknown>

const SUMMARY = sql`v.number, v.source, v.hash, v.author, ${actorName('v.author')} as "authorName", v.message,
  to_json(v.at) #>> '{}' as at, v.parent, v.gains, v.losses,
  coalesce((select array_agg(distinct r.name order by r.name) from replicas r where r.policy = v.number
    and abs(extract(epoch from clock_timestamp() - r.heartbeat_at)) < 60), '{}') as replicas`

export function createPolicyVersionStore(database: Database): PolicyVersionStore {
  return {
    async list({ after = 2_147_483_647, limit = PAGE_ROWS }) {
      const { rows } = await database.ask((db) =>
        db.execute<Row<VersionSummary>>(sql`select ${SUMMARY} from policy_versions v
          where v.number < ${after} order by v.number desc limit ${limit + 1}`)
      )
      return pageOf(rows, limit, ({ number }) => number)
    },
    async get(number) {
      // guard: record-policy-text-verified
      const [version] = await rowsOfRecord<Row<VersionDetails>>(
        database,
        sql`select ${SUMMARY}, v.text, v.schema, v.release, v.findings from policy_versions v
          where v.number = ${number}`,
      )
      return version
    },
    async newest() {
      const { rows: [row] } = await database.ask((db) =>
        db.execute<{ number: number | null }>(sql`select max(number) as number from policy_versions`)
      )
      return row?.number ?? undefined
    },
    async addLoaded(version) {
      // nearly always it is there, and then no turn is taken
      const number = await database.ask((db) => loadedBefore(db, version))
      return number === undefined
        ? await database.transaction((tx) => addLoaded(tx, version))
        : { number, isNew: false }
    },
  }
}

/** One after the other, so that numbers have no gaps: versions are rare. */
export async function takePolicyTurn(tx: Transaction): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('gatehouse policy', 0))`)
}

/** No version is added until this transaction ends. Many may hold it at the same time. */
export async function holdPolicyTurn(tx: Transaction): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock_shared(hashtextextended('gatehouse policy', 0))`)
}

interface AddedVersion extends NewVersion {
  readonly source: VersionSource
  readonly author: string
  readonly release: string
  readonly message?: string
  /** Undefined: the newest one. */
  readonly parent?: number | null
  readonly counts?: ChangeCounts
  /** Its number is higher than this one, and than all others. */
  readonly above?: number
}

/** The highest number that was lost with the history of the database (lost-history/kinds.ts). */
const LOST_NUMBERS = sql`(select max(version_floor) from outbox)`

/** Within the turn. */
export async function addVersion(
  tx: Transaction,
  { source, text, hash, findings, author, release, message = '', parent, counts, above = 0 }: AddedVersion,
): Promise<{ readonly number: number, readonly parent: number | null }> {
  // guard: lost-version-numbers
  const { rows: [added] } = await tx.execute<{ number: number, parent: number | null }>(sql`
    insert into policy_versions (number, source, text, hash, schema, release, author, message, parent, findings,
      gains, losses)
    select greatest(coalesce(max(number), 0), ${above}, ${LOST_NUMBERS}) + 1, ${source}, ${text}, ${hash},
      ${POLICY_SCHEMA}, ${release}, ${author}, ${message}, ${
    parent === undefined ? sql`max(number)` : sql`${parent}::integer`
  },
      ${JSON.stringify(findings)}::jsonb, ${counts?.gains ?? null}::integer, ${counts?.losses ?? null}::integer
    from policy_versions
    returning number, parent`)
  if (added === undefined) throw new Error('the version was not added')
  return added
}

async function loadedBefore(
  on: Drizzle | Transaction,
  { hash }: Pick<LoadedVersion, 'hash'>,
): Promise<number | undefined> {
  const { rows: [known] } = await on.execute<{ number: number }>(
    sql`select number from policy_versions where source = 'file' and hash = ${hash}`,
  )
  return known?.number
}

async function addLoaded(tx: Transaction, version: LoadedVersion): Promise<{ number: number, isNew: boolean }> {
  await takePolicyTurn(tx)
  const known = await loadedBefore(tx, version)
  if (known !== undefined) return { number: known, isNew: false }
  const { hash, author, highestKnown } = version
  const { number, parent } = await addVersion(tx, { ...version, source: 'file', above: highestKnown })
  await writeAudit(tx, { action: 'policy.loaded', actor: author, detail: { version: number, hash, parent } })
  return { number, isNew: true }
}
