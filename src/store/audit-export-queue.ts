// The rows of the audit as the queue of the export. Transactions commit in another order than they take ids in, so it
// is no single number that says how far the export is, but the set of ids that were delivered: a row is next once it is
// visible and its id is not in the set. docs/decisions/audit-export.md has the reasons.
import { sql, type SQL } from 'drizzle-orm'
import type { AuditView } from '../core/audit.js'
import {
  MAX_COUNTED_PENDING,
  MAX_EXPORT_BYTES,
  NOT_EXPORTED,
  type AuditRetention,
  type ExportBatch,
  type ExportHealth,
  type ExportQueue,
  type ExportState,
} from '../core/audit-export.js'
import { AUDIT_VIEW } from './audit-list.js'
import type { Database, Drizzle, Transaction } from './database.js'
import { ago, interval } from './intervals.js'

/** The name of the one row of `audit_exports`. */
const NAME = 'audit.export'
const OF_EXPORT = sql`x.name = ${NAME}`
/** Of the columns beside the detail. */
const ROW_BYTES = 300

const EMPTY = sql`'{}'::int8multirange`
const ALL = sql`'{(,)}'::int8multirange`
/** Empty before the first delivery. */
const DELIVERED = sql`coalesce((select delivered from audit_exports x where ${OF_EXPORT}), ${EMPTY})`

/**
 * The first rows whose ids are not in the set, in the order of their ids, from the indexes by id.
 * @param table `audit_events`, or one month of it
 */
function undelivered(table: SQL, limit: number): SQL {
  return sql`
    select e.* from (
      select coalesce(lower(gap), -9223372036854775808) as first, coalesce(upper(gap), 9223372036854775807) as next
      from unnest(${ALL} - ${DELIVERED}) gap) free
    cross join lateral (
      select * from ${table} where id >= free.first and id < free.next order by id limit ${limit}) e
    order by e.id limit ${limit}`
}

/** Whether this month, or the whole audit, has rows that are not delivered. */
export async function hasUndelivered(tx: Transaction, table: SQL): Promise<boolean> {
  const { rows: [row] } = await tx.execute<{ is: boolean }>(
    sql`select exists (select from (${undelivered(table, 1)}) waiting) as is`,
  )
  return row?.is ?? true
}

/** Of a row of `audit_events`. */
export const IS_DELIVERED = sql`id <@ ${DELIVERED}`

/** @param section which section of the configuration it is for: the pause after a failure holds for the same alone */
export function createExportQueue(database: Database, section: string): ExportQueue {
  return {
    next: (maxEvents) => database.ask((db) => nextBatch(db, maxEvents, section)),
    async delivered(events, rejected) {
      await database.transaction((tx) => tx.execute(delivery(events, rejected)))
    },
    async failed({ cause, detail }, retryInMs, events) {
      const [first] = events
      await database.transaction((tx) =>
        tx.execute(sql`
          update audit_exports x set failures = failures + 1, failing_since = coalesce(failing_since,
            clock_timestamp()), cause = ${cause}, detail = ${detail}, retry_at = clock_timestamp() + ${
          interval(retryInMs)
        }, section = ${section}, batch_events = ${events.length}, first_id = ${first?.id ?? null}::bigint,
            first_at = (select at from unnest(array[${first?.at ?? null}::timestamptz]) at where isfinite(at))
          where ${OF_EXPORT}`)
      )
    },
    settle: () => database.transaction(settle),
  }
}

interface NextRow extends AuditView, Record<string, unknown> {
  readonly bytes: string
}

interface Attempts extends Record<string, unknown> {
  readonly failures: number
  readonly waitMs: number
}

async function nextBatch(db: Drizzle, maxEvents: number, section: string): Promise<ExportBatch> {
  // guard: audit-export-pause-kept
  const { rows: [attempts] } = await db.execute<Attempts>(sql`
    select failures, case when section = ${section} then
      greatest(0, extract(epoch from retry_at - clock_timestamp()) * 1000)::float8 else 0 end as "waitMs"
    from audit_exports x where ${OF_EXPORT}`)
  // the first export, or a database that has lost its row
  if (attempts === undefined) {
    await db.execute(sql`insert into audit_exports (name) values (${NAME}) on conflict do nothing`)
  }
  const { rows } = await db.execute<NextRow>(sql`
    select ${AUDIT_VIEW}, bytes::text from (
      select w.*, sum(octet_length(detail::text) + ${ROW_BYTES}) over (order by w.id) as bytes,
        row_number() over (order by w.id) as place
      from (${undelivered(sql`audit_events`, maxEvents)}) w) sized
    where bytes <= ${MAX_EXPORT_BYTES} or place = 1 order by sized.id`)
  const bytes = Number(rows.at(-1)?.bytes ?? 0)
  return {
    events: rows.map(({ bytes: _, ...event }) => event),
    isFull: rows.length === maxEvents || bytes > MAX_EXPORT_BYTES / 2,
    failures: attempts?.failures ?? 0,
    waitMs: attempts?.waitMs ?? 0,
  }
}

/**
 * Ids count only with the times of their rows: after a failover that has lost rows, others may have their ids.
 */
function delivery(events: readonly AuditView[], rejected: number): SQL {
  const [ids, times] = [events.map(({ id }) => id), events.map(({ at }) => at)].map((list) => sql.param(list))
  // guard: audit-export-same-row
  return sql`
    with accepted as (
      select e.id, e.at from unnest(${ids}::bigint[], ${times}::timestamptz[]) sent (id, at)
      join audit_events e on e.id = sent.id and e.at = sent.at)
    update audit_exports x set
      delivered = delivered + coalesce((select range_agg(int8range(id, id, '[]')) from accepted), ${EMPTY}),
      delivered_until = greatest(delivered_until, (select max(at) from accepted where isfinite(at))),
      events = events + (select count(*) from accepted), rejected = rejected + ${rejected},
      accepted_at = clock_timestamp(), failures = 0, failing_since = null, cause = null, detail = null, retry_at = null,
      first_id = null, first_at = null, batch_events = null
    where ${OF_EXPORT}`
}

/** Transactions that write the audit have this lock before they take an id, and until they have ended. */
const WRITERS = sql`select virtualtransaction from pg_locks where locktype = 'relation' and granted
  and relation = 'audit_events'::regclass and mode = 'RowExclusiveLock'
  and database = (select oid from pg_database where datname = current_database())`

interface Settling extends Record<string, unknown> {
  readonly until: string | null
  readonly for: readonly string[] | null
  readonly last: string | null
  readonly isOpen: boolean
}

/**
 * Gaps in the set are ids whose transactions were rolled back, or have not committed yet. Once every transaction that
 * could have taken one of them has ended, and all rows that are visible then are delivered, the gaps are closed. Each
 * statement sees what was committed before it.
 */
async function settle(tx: Transaction): Promise<void> {
  const { rows: [state] } = await tx.execute<Settling>(sql`
    select settling_until::text as until, settling_for as for, (upper(delivered) - 1)::text as last,
      delivered <> ${EMPTY} and not (int8range(null, upper(delivered)) <@ delivered) as "isOpen"
    from audit_exports x where ${OF_EXPORT} for update`)
  if (state === undefined || (state.until === null && !state.isOpen)) return
  const { rows } = await tx.execute<{ virtualtransaction: string }>(WRITERS)
  const writers = rows.map(({ virtualtransaction }) => virtualtransaction)
  if (state.until === null) {
    await tx.execute(sql`
      update audit_exports x set settling_until = ${state.last}::bigint, settling_for = ${sql.param(writers)}::text[]
      where ${OF_EXPORT}`)
    return
  }
  if (state.for?.some((writer) => writers.includes(writer))) return // guard: audit-export-writers
  // guard: audit-export-late-row
  await tx.execute(sql`
    update audit_exports x set settling_until = null, settling_for = null,
      delivered = delivered + int8multirange(int8range(null, ${state.until}::bigint, '[]'))
    where ${OF_EXPORT} and not exists (
      select from (${undelivered(sql`audit_events`, 1)}) w where id <= ${state.until}::bigint)`)
}

interface StateRow extends Omit<ExportState, 'failing'>, Record<string, unknown> {
  readonly since: string | null
  readonly cause: string | null
  readonly failureDetail: string | null
  readonly failures: number
  readonly retryAt: string | null
  readonly events: number
  readonly firstId: string | null
  readonly firstAt: string | null
}

/** @throws GatehouseError `database_unavailable` */
export async function readExportState(database: Database, retentionMs: number): Promise<ExportState> {
  const { rows: [row] } = await database.ask((db) =>
    db.execute<StateRow>(sql`
      with waiting as (select at from (${undelivered(sql`audit_events`, MAX_COUNTED_PENDING)}) w)
      select coalesce(events, 0)::float8 as delivered, coalesce(rejected, 0)::float8 as rejected,
        to_json(delivered_until) #>> '{}' as "deliveredUntil", to_json(accepted_at) #>> '{}' as "acceptedAt",
        case when accepted_at is not null then
          greatest(0, extract(epoch from clock_timestamp() - accepted_at))::float8 end as "acceptedSeconds",
        (select count(*)::int from waiting) as pending,
        (select greatest(0, extract(epoch from clock_timestamp() - min(at)))::float8 from waiting where isfinite(at)
          having count(*) > 0) as "oldestPendingSeconds",
        (select coalesce(min(at) < ${ago(retentionMs)}, false) from waiting) as "isRetentionWaiting",
        to_json(failing_since) #>> '{}' as since, cause, detail as "failureDetail", coalesce(failures, 0) as failures,
        to_json(retry_at) #>> '{}' as "retryAt", coalesce(batch_events, 0) as events, first_id::text as "firstId",
        to_json(first_at) #>> '{}' as "firstAt"
      from (select) one left join audit_exports x on ${OF_EXPORT}`)
  )
  return stateOf(row)
}

/** @throws GatehouseError `database_unavailable` */
export async function readExportHealth(database: Database, audit: AuditRetention): Promise<ExportHealth> {
  if (audit.export === undefined) return NOT_EXPORTED
  return { ...await readExportState(database, audit.retentionMs), isConfigured: true }
}

function stateOf(row: StateRow | undefined): ExportState {
  if (row === undefined) return NOT_EXPORTED
  const { since, cause, failureDetail, failures, retryAt, events, firstId, firstAt, ...state } = row
  if (since === null || cause === null) return { ...state, failing: null }
  const batch = { events, firstId, firstAt }
  return {
    ...state,
    failing: { since, cause, detail: failureDetail ?? '', failures, retryAt: retryAt ?? since, ...batch },
  }
}
