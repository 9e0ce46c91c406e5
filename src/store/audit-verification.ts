// Verifies the seals of the audit against the rows, in order and in bounded memory; stops at the first that is broken.
import { sql } from 'drizzle-orm'
import {
  createIdSet,
  hashOfSeal,
  isKnownSeal,
  NO_SEAL,
  readIdRanges,
  type AuditSeal,
  type IdRange,
} from '../core/audit-seals.js'
import { ROW_HASH } from './audit-rows.js'
import { hashOfRows, sealsAfter } from './audit-seals.js'
import type { Database } from './database.js'
import { ago } from './intervals.js'

export type SealFault =
  /** A seal is missing, or out of order. */
  | 'number'
  /** It does not continue the seal before it. */
  | 'chain'
  /** The seal itself was changed. */
  | 'seal'
  /** It has ids that are in an earlier seal too. */
  | 'ids'
  /** There are fewer or more rows. */
  | 'count'
  /** A row was changed. */
  | 'rows'
  /** It was not made with one of `keys.encryptionSecrets`. */
  | 'mac'
  /** The seals before it were not made with one of them, as far as could be seen when it was made. */
  | 'previous'
  /** No seal has the hash that was asked for. */
  | 'absent'

export interface AuditVerification {
  readonly seals: number
  /** Whose hash was compared. */
  readonly rows: number
  /** Rows of seals that are gone because their retention has passed. */
  readonly rowsPastRetention: number
  /** Rows that are in no seal yet. */
  readonly unsealed: number
  /** Undefined: nothing is sealed. */
  readonly newest: Pick<AuditSeal, 'number' | 'hash' | 'at'> | undefined
  readonly broken: BrokenSeal | undefined
}

export interface BrokenSeal {
  readonly fault: SealFault
  /** Undefined: about no seal in particular. */
  readonly seal: AuditSeal | undefined
  /** Of `count`: how many rows there are. */
  readonly found?: number
}

export interface VerifyOptions {
  readonly secrets: readonly string[]
  readonly retentionMs: number
  /** The hash of a seal that was noted elsewhere. */
  readonly expected?: string | undefined
}

const SEALS_PAGE = 500
const ROWS_PAGE = 10_000

export async function verifyAudit(database: Database, options: VerifyOptions): Promise<AuditVerification> {
  const chain = createChain(options, await keptSince(database, options.retentionMs))
  for (let after = 0;;) {
    const page = await database.ask((db) => sealsAfter(db, after, SEALS_PAGE))
    for (const group of groupsOf(page)) {
      const hashes = await rowsOf(database, group)
      for (const [index, seal] of group.entries()) {
        if (chain.add(seal, hashes[index] ?? [])) return await chain.result(database)
      }
    }
    after = page.at(-1)?.number ?? after
    if (page.length < SEALS_PAGE) break
  }
  chain.end()
  return await chain.result(database)
}

/** Of consecutive seals, so that those of quiet minutes are read together. */
function groupsOf(seals: readonly AuditSeal[]): readonly (readonly AuditSeal[])[] {
  const groups: AuditSeal[][] = []
  let rows = 0
  for (const seal of seals) {
    rows += seal.rows
    const group = groups.at(-1)
    if (group !== undefined && rows <= ROWS_PAGE) group.push(seal)
    else {
      groups.push([seal])
      rows = seal.rows
    }
  }
  return groups
}

/** The hashes of the rows of each seal, by id. At most one more in all than there should be. */
async function rowsOf(database: Database, seals: readonly AuditSeal[]): Promise<readonly (readonly Buffer[])[]> {
  const ranges = seals.flatMap(({ ids }, index) =>
    (readIdRanges(ids) ?? []).map(([first, last]) => [index, first, last] as const)
  )
  const [places, first, last] = [0, 1, 2].map((part) => sql.param(ranges.map((range) => range[part])))
  const limit = seals.reduce((sum, { rows }) => sum + Math.max(rows, 0), 1)
  const { rows } = await database.ask((db) =>
    db.execute<{ place: number, hash: Buffer }>(sql`
    select sealed.place, ${ROW_HASH} as hash
    from unnest(${places}::int[], ${first}::bigint[], ${last}::bigint[]) sealed (place, first, last)
    cross join lateral (
      select * from audit_events where id between sealed.first and sealed.last order by id limit ${limit}) e
    order by sealed.place, sealed.first, e.id limit ${limit}`)
  )
  const hashes = seals.map((): Buffer[] => [])
  for (const { place, hash } of rows) hashes[place]?.push(hash)
  return hashes
}

/** Microseconds since 1970. */
async function keptSince(database: Database, retentionMs: number): Promise<bigint> {
  const { rows: [row] } = await database.ask((db) =>
    db.execute<{ since: string }>(
      sql`select (extract(epoch from ${ago(retentionMs)}) * 1000000)::bigint::text as since`,
    )
  )
  return BigInt(row?.since ?? 0)
}

interface Chain {
  /** @returns whether it is broken */
  add(seal: AuditSeal, hashes: readonly Buffer[]): boolean
  end(): void
  result(database: Database): Promise<AuditVerification>
}

function createChain({ secrets, expected }: VerifyOptions, kept: bigint): Chain {
  const ids = createIdSet()
  const count = { seals: 0, rows: 0, rowsPastRetention: 0 }
  let previous: AuditSeal | undefined
  /** A seal whose predecessors are vouched for by no secret, until the expected hash vouches for them. */
  let unknown: AuditSeal | undefined
  let isExpectedFound = expected === undefined
  let broken: BrokenSeal | undefined
  const add = (seal: AuditSeal, hashes: readonly Buffer[]): boolean => {
    const ranges = readIdRanges(seal.ids)
    const fault = faultOf(seal, previous) ?? idsFault(ranges, ids) ?? rowsFault(seal, hashes, kept)
    if (fault) {
      broken = { fault, seal, ...fault === 'count' ? { found: hashes.length } : {} }
      return true
    }
    for (const range of ranges ?? []) ids.add(range)
    count.seals++
    count.rows += hashes.length
    count.rowsPastRetention += seal.rows - hashes.length
    previous = seal
    if (!seal.isPreviousKnown) unknown = seal // guard: seal-previous-unknown
    if (seal.hash === expected) {
      isExpectedFound = true
      unknown = undefined
    }
    return false
  }
  const end = (): void => {
    if (!isExpectedFound) broken = { fault: 'absent', seal: undefined }
    else if (previous !== undefined && !isKnownSeal(previous, secrets)) broken = { fault: 'mac', seal: previous }
    else if (unknown !== undefined) broken = { fault: 'previous', seal: unknown }
  }
  const result = async (database: Database): Promise<AuditVerification> => {
    const newest = previous && { number: previous.number, hash: previous.hash, at: previous.at }
    return { ...count, unsealed: await unsealedRows(database, ids.others()), newest, broken }
  }
  return { add, end, result }
}

function faultOf(seal: AuditSeal, previous: AuditSeal | undefined): SealFault | undefined {
  if (seal.number !== (previous?.number ?? 0) + 1) return 'number' // guard: seal-number
  if (seal.previousHash !== (previous?.hash ?? NO_SEAL)) return 'chain' // guard: seal-chain
  return hashOfSeal(seal) === seal.hash ? undefined : 'seal' // guard: seal-hash
}

function idsFault(
  ranges: readonly IdRange[] | undefined,
  ids: { overlaps(range: IdRange): boolean },
): SealFault | undefined {
  return ranges === undefined || ranges.some((range) => ids.overlaps(range)) ? 'ids' : undefined // guard: seal-ids-once
}

/** Rows that are past their retention may be gone; those that are there are never others. */
function rowsFault(seal: AuditSeal, hashes: readonly Buffer[], kept: bigint): SealFault | undefined {
  if (hashes.length > seal.rows) return 'count'
  if (hashes.length < seal.rows) return BigInt(seal.firstAt) < kept ? undefined : 'count' // guard: seal-count
  return hashOfRows(hashes) === seal.rowsHash ? undefined : 'rows' // guard: seal-rows
}

const RANGES_PAGE = 2_000

async function unsealedRows(database: Database, ranges: readonly IdRange[]): Promise<number> {
  let sum = 0
  for (let start = 0; start < ranges.length; start += RANGES_PAGE) {
    const part = ranges.slice(start, start + RANGES_PAGE)
    const [first, last] = [0, 1].map((end) => sql.param(part.map((range) => range[end])))
    const { rows: [row] } = await database.ask((db) =>
      db.execute<{ count: number }>(sql`
      select count(*)::float8 as count from unnest(${first}::bigint[], ${last}::bigint[]) free (first, last)
      join audit_events e on e.id between free.first and free.last`)
    )
    sum += row?.count ?? 0
  }
  return sum
}
