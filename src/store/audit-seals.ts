// Seals the rows of the audit in the background: one replica at a time, in batches. A row is sealed once it is visible
// and its id is in no seal yet, so that a transaction that commits late is sealed late, and none is left out.
import { createHash } from 'node:crypto'
import { sql, type SQL } from 'drizzle-orm'
import {
  createIdSet,
  hashOfSeal,
  idRanges,
  isKnownSeal,
  macOfSeal,
  MAX_SEAL_ROWS,
  NO_SEAL,
  readIdRanges,
  type AuditSeal,
  type IdRange,
  type SealContent,
} from '../core/audit-seals.js'
import { micros, ROW_HASH, WITHOUT_SALT } from './audit-rows.js'
import type { Database, Drizzle, Transaction } from './database.js'
import { ago } from './intervals.js'

export interface SealOptions {
  readonly secrets: readonly string[]
  readonly retentionMs: number
  /** Of one run: the rows of an installation that is upgraded take several. */
  readonly maxBatches?: number
}

export interface SealedRun {
  readonly rows: number
  /** Undefined: there is none. */
  readonly newest: Pick<AuditSeal, 'number' | 'hash'> | undefined
  /** False: the newest seal before this run was not made with one of the secrets. */
  readonly isPreviousKnown: boolean
}

const BATCHES = 20
/** Of one statement; each may mean a probe of every partition. */
const MAX_RANGES = 2_000
const SEALS_PAGE = 5_000
const LOCK = sql`pg_try_advisory_xact_lock(hashtextextended('gatehouse audit seals', 0))`

export interface AuditSealer {
  /** @returns undefined where another replica is sealing */
  run(): Promise<SealedRun | undefined>
}

export function createAuditSealer(database: Database, options: SealOptions): AuditSealer {
  const known = createKnownSeals()
  return {
    async run() {
      let done: SealedRun | undefined
      for (let batch = 0; batch < (options.maxBatches ?? BATCHES); batch++) {
        const sealed = await database.transaction((tx) => sealBatch(tx, known, options))
        if (!sealed) return done
        const { rows, newest, isPreviousKnown } = sealed
        done = {
          rows: rows + (done?.rows ?? 0),
          newest,
          isPreviousKnown: isPreviousKnown && done?.isPreviousKnown !== false,
        }
        if (rows < MAX_SEAL_ROWS) break
      }
      return done
    },
  }
}

async function sealBatch(tx: Transaction, known: KnownSeals, options: SealOptions): Promise<SealedRun | undefined> {
  const { rows: [lock] } = await tx.execute<{ mine: boolean }>(sql`select ${LOCK} as mine`)
  if (!lock?.mine) return undefined // guard: seal-one-replica
  await known.read(tx)
  const previous = known.newest()
  const isPreviousKnown = previous === undefined || isKnownSeal(previous, options.secrets)
  const rows = await unsealedRows(tx, known.unsealed())
  const seals = await sealsOf(tx, rows, { ...options, previous, isPreviousKnown })
  if (seals.length > 0) await tx.execute(insertion(seals))
  return { rows: rows.length, newest: seals.at(-1) ?? previous, isPreviousKnown }
}

interface Row extends Record<string, unknown> {
  readonly id: string
  readonly at: string
  readonly month: string
  readonly hash: Buffer
  readonly withoutSalt: boolean
}

async function unsealedRows(tx: Transaction, ranges: readonly IdRange[]): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (let start = 0; start < ranges.length && rows.length < MAX_SEAL_ROWS; start += MAX_RANGES) {
    const statement = rowsIn(ranges.slice(start, start + MAX_RANGES), MAX_SEAL_ROWS - rows.length)
    let { rows: some } = await tx.execute<Row>(statement)
    const bare = some.filter(({ withoutSalt }) => withoutSalt).map(({ id }) => id)
    if (bare.length > 0) {
      await tx.execute(sql`update audit_events e set name_salt = gen_random_uuid()
        where id = any(${sql.param(bare)}::bigint[]) and ${WITHOUT_SALT}`) // guard: seal-old-rows-salted
      some = (await tx.execute<Row>(statement)).rows
    }
    rows.push(...some)
  }
  return rows
}

function rowsIn(ranges: readonly IdRange[], limit: number): SQL {
  const [first, last] = [0, 1].map((end) => sql.param(ranges.map((range) => range[end])))
  return sql`
    select e.id, ${micros(sql`e.at`)}::text as at, ${WITHOUT_SALT} as "withoutSalt", ${ROW_HASH} as hash,
      coalesce(to_char(e.at at time zone 'UTC', 'YYYY-MM'), '') as month
    from unnest(${first}::bigint[], ${last}::bigint[]) with ordinality as free (first, last, place)
    cross join lateral (
      select * from audit_events where id between free.first and free.last order by id limit ${limit}) e
    order by free.place, e.id limit ${limit}`
}

interface SealContext extends SealOptions {
  readonly previous: AuditSeal | undefined
  readonly isPreviousKnown: boolean
}

/** Of one month each, so that a month that is dropped takes whole seals' rows with it. */
async function sealsOf(
  tx: Transaction,
  rows: readonly Row[],
  { previous, isPreviousKnown, secrets, retentionMs }: SealContext,
): Promise<readonly AuditSeal[]> {
  if (rows.length === 0) return []
  const { rows: [time] } = await tx.execute<{ at: string, keptSince: string }>(
    sql`select ${micros(sql`now()`)}::text as at, ${micros(ago(retentionMs))}::text as "keptSince"`,
  )
  const seals: AuditSeal[] = []
  for (const part of byMonth(rows)) {
    const before = seals.at(-1) ?? previous
    const times = part.map(({ at }) => BigInt(at)).sort((a, b) => a < b ? -1 : 1)
    const content: SealContent = {
      number: (before?.number ?? 0) + 1,
      at: time?.at ?? '',
      ids: idRanges(part.map(({ id }) => Number(id))),
      rows: part.length,
      firstAt: String(times[0]),
      lastAt: String(times.at(-1)),
      keptSince: time?.keptSince ?? '',
      rowsHash: hashOfRows(part.map(({ hash }) => hash)),
      isPreviousKnown: seals.length > 0 || isPreviousKnown,
      previousHash: before?.hash ?? NO_SEAL,
    }
    const hash = hashOfSeal(content)
    seals.push({ ...content, hash, mac: macOfSeal(hash, secrets[0] ?? '') })
  }
  return seals
}

function byMonth(rows: readonly Row[]): readonly (readonly Row[])[] {
  const parts: Row[][] = []
  for (const row of rows) {
    const part = parts.at(-1)
    if (part?.[0]?.month === row.month) part.push(row)
    else parts.push([row])
  }
  return parts
}

export function hashOfRows(hashes: readonly Buffer[]): string {
  const digest = createHash('sha256')
  for (const hash of hashes) digest.update(hash)
  return digest.digest('hex')
}

function insertion(seals: readonly AuditSeal[]): SQL {
  const time = (text: string) => sql`timestamptz 'epoch' + ${text}::float8 * interval '1 microsecond'`
  const bytes = (hex: string) => sql`decode(${hex}, 'hex')`
  const values = seals.map((s) =>
    sql`(${s.number}, ${time(s.at)}, ${s.ids}, ${s.rows}, ${time(s.firstAt)}, ${time(s.lastAt)}, ${time(s.keptSince)},
      ${bytes(s.rowsHash)}, ${s.isPreviousKnown}, ${bytes(s.previousHash)}, ${bytes(s.hash)}, ${bytes(s.mac)})`
  )
  return sql`insert into audit_seals (number, at, ids, rows, first_at, last_at, kept_since, rows_hash,
    is_previous_known, previous_hash, hash, mac) values ${sql.join(values, sql`, `)}`
}

/** The seals after this one, in order. */
export async function sealsAfter(
  db: Drizzle | Transaction,
  number: number,
  limit: number,
): Promise<readonly AuditSeal[]> {
  const { rows } = await db.execute<AuditSeal & Record<string, unknown>>(sql`
    select number::float8 as number, ${micros(sql`at`)}::text as at, ids, rows, ${
    micros(sql`first_at`)
  }::text as "firstAt",
      ${micros(sql`last_at`)}::text as "lastAt", ${micros(sql`kept_since`)}::text as "keptSince",
      encode(rows_hash, 'hex') as "rowsHash", is_previous_known as "isPreviousKnown",
      encode(previous_hash, 'hex') as "previousHash", encode(hash, 'hex') as hash, encode(mac, 'hex') as mac
    from audit_seals where number > ${number} order by audit_seals.number limit ${limit}`)
  return rows
}

interface KnownSeals {
  /** What was added since, by whichever replica. */
  read(tx: Transaction): Promise<void>
  newest(): AuditSeal | undefined
  unsealed(): readonly IdRange[]
}

function createKnownSeals(): KnownSeals {
  let newest: AuditSeal | undefined
  let sealed = createIdSet()
  return {
    async read(tx) {
      const [same] = newest === undefined ? [] : await sealsAfter(tx, newest.number - 1, 1)
      // guard: seal-other-history
      if (same?.number !== newest?.number || same?.hash !== newest?.hash) sealed = createIdSet()
      newest = same?.hash === newest?.hash ? same : undefined
      for (;;) {
        const page = await sealsAfter(tx, newest?.number ?? 0, SEALS_PAGE)
        for (const seal of page) for (const range of readIdRanges(seal.ids) ?? []) sealed.add(range)
        newest = page.at(-1) ?? newest
        if (page.length < SEALS_PAGE) return
      }
    },
    newest: () => newest,
    unsealed: () => sealed.others(),
  }
}
