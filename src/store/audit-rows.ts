// The hash of a row of the audit, made by PostgreSQL, whose text of jsonb is canonical. What a removal of a user takes
// out of a row enters as the SHA-256 of it with a random salt. A trigger keeps this hash beside what is left of the row
// and deletes the salt (migrations/0019_audit_seals.sql has the same expression).
import { sql, type SQL } from 'drizzle-orm'

/** Microseconds since 1970. Infinite times are none. */
export const micros = (time: SQL): SQL =>
  sql`(case when isfinite(${time}) then (extract(epoch from ${time}) * 1000000)::bigint else 0 end)`

const COMMITMENT = sql`coalesce(e.name_commitment,
  sha256(convert_to(jsonb_build_array(e.name_salt, e.username, e.detail)::text, 'UTF8')))`

/** Of a row `e`, 32 bytes. A row without names has the commitment alone; a name beside it would be a changed row. */
// guard: seal-names-committed
const REST = sql`e.detail - array['tid', 'oid', 'before', 'after']`

export const ROW_HASH = sql`sha256(convert_to(jsonb_build_array(e.id, ${
  micros(sql`e.at`)
}, e.action, e.actor, e.user_id,
  e.correlation_id, ${REST}, encode(${COMMITMENT}, 'hex'),
  e.name_commitment is not null and (e.username is not null or e.detail <> ${REST}))::text, 'UTF8'))`

/** Whether the row is older than the seals and has no salt yet. */
export const WITHOUT_SALT = sql`(e.name_salt is null and e.name_commitment is null)`
