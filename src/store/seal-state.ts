// How far the audit is sealed, in one statement by indexes.
import { sql } from 'drizzle-orm'
import type { SealState } from '../core/audit-seals.js'
import type { Database } from './database.js'

interface SealStateRow extends Record<string, unknown> {
  readonly newest: SealState['newest']
  readonly overdueSeconds: number | null
}

/**
 * A row from after the newest seal is in no seal, except those that were added while it was made. One that a long
 * transaction committed may be older and is not counted: the next seal has it.
 * @throws GatehouseError `database_unavailable`
 */
export async function readSealState(database: Database): Promise<SealState> {
  const { rows: [row] } = await database.ask((db) =>
    db.execute<SealStateRow>(sql`
      with newest as (
        select number, at, rows, hash, least(greatest(at, last_at), at + interval '1 minute') as sealed_until
        from audit_seals order by number desc limit 1)
      select
        (select json_build_object('number', number, 'at', to_json(at), 'rows', rows,
          'hash', left(encode(hash, 'hex'), 16)) from newest) as newest,
        (select extract(epoch from now() - min(at))::float8 from audit_events
          where at > coalesce((select sealed_until from newest), '-infinity')) as "overdueSeconds"`)
  )
  return { newest: row?.newest ?? null, overdueSeconds: row?.overdueSeconds ?? null }
}
