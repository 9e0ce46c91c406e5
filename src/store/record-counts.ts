// Counts for the metrics: superusers; revocations since this process started, by a command, the re-evaluation or
// another replica; and the age of the oldest open transaction.
import { sql } from 'drizzle-orm'
import type { Database } from './database.js'
import { OPEN_TRANSACTIONS } from './postgres-server-state.js'

/** Audit actions that end sessions or remove rights without the user's request. */
export const REVOCATIONS = [
  'session.revoke',
  'user.deactivate',
  'user.remove',
  'reevaluation.disabled',
  'reevaluation.deleted',
  'reevaluation.revoked',
  'reevaluation.refused',
  'reevaluation.stale_session',
  'reevaluation.stale_privileges',
] as const

export interface RecordCounts {
  readonly superusers: number
  /** Of the oldest transaction that keeps PostgreSQL from removing dead rows, as far as the role sees; 0: none. */
  readonly oldestTransactionSeconds: number
  /** By action. */
  readonly revocations: Readonly<Record<string, number>>
}

export interface RecordCounter {
  /** Undefined: not read yet. */
  counts(): RecordCounts | undefined
  refresh(): Promise<void>
}

/** Rows become visible when their transaction commits, with the time at which it began. */
const OVERLAP = sql`interval '5 minutes'`

export function createRecordCounter(database: Database): RecordCounter {
  const revocations: Record<string, number> = Object.fromEntries(REVOCATIONS.map((action) => [action, 0]))
  let counted: ReadonlySet<string> | undefined
  let since: string | undefined
  let latest: RecordCounts | undefined
  return {
    counts: () => latest,
    async refresh() {
      const { rows: [people] } = await database.ask((db) =>
        db.execute<{ superusers: number, now: string }>(
          sql`select count(*)::int as superusers, now()::text as now from users where is_superuser and is_active`,
        )
      )
      const { rows } = await database.ask((db) =>
        db.execute<{ id: string, action: string }>(
          sql`select id::text as id, action from audit_events
          where at > ${since ?? people?.now}::timestamptz - ${OVERLAP}
          and action = any(${sql.param([...REVOCATIONS])}::text[])`,
        )
      )
      const { rows: [oldest] } = await database.ask((db) =>
        db.execute<{ seconds: number | null }>(
          sql`select max(seconds) as seconds from (${sql.raw(OPEN_TRANSACTIONS)}) t`,
        )
      )
      // Rows from before this process started are not counted.
      const before = counted
      // guard: adv-revocations-counted
      const added = before === undefined ? [] : rows.filter(({ id }) => !before.has(id))
      for (const { action } of added) revocations[action] = (revocations[action] ?? 0) + 1
      counted = new Set(rows.map(({ id }) => id))
      since = people?.now
      latest = {
        superusers: people?.superusers ?? 0,
        oldestTransactionSeconds: Math.max(oldest?.seconds ?? 0, 0),
        revocations,
      }
    },
  }
}
