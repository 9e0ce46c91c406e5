// What identifies a PostgreSQL server: the system identifier of its cluster, its timeline and the start of its process.
// A promotion raises the timeline, a restart changes the start. An ordinary role may read all three on PostgreSQL 13 to
// 18; a managed service may refuse a part, which then counts as unknown.
import type pg from 'pg'

export interface ServerIdentity {
  /** The same on the primary and all its standbys: initdb made it. Undefined where the server does not show it. */
  readonly systemId: string | undefined
  /** Eight hexadecimal digits, so that texts compare like numbers. Undefined on a standby, or where it is not shown. */
  readonly timeline: string | undefined
  /** When the server process started, by its clock, in microseconds since 1970. */
  readonly startedAt: string
}

/** Parts that a server may refuse to show. */
export type OptionalPart = 'systemId' | 'timeline'

/** Microseconds since 1970, as text: its representation depends on no setting of the connection. */
const STARTED_AT = `(extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint::text`
/** The names of WAL files begin with the timeline; a standby inserts no WAL. */
const TIMELINE = `case when pg_is_in_recovery() then null
  else substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) end`

/**
 * An expression that a statement selects beside its rows: which server answers, as `identityKey` writes it. It reads no
 * table and no file.
 * @param hidden parts that this server does not show
 */
export function identitySql(hidden: ReadonlySet<OptionalPart>): string {
  return hidden.has('timeline') ? `'/' || ${STARTED_AT}` : `coalesce(${TIMELINE}, '') || '/' || ${STARTED_AT}`
}

/** What `identitySql` returns on this server. The start implies the cluster, which no statement has to read again. */
export function identityKey({ timeline = '', startedAt }: ServerIdentity): string {
  return `${timeline}/${startedAt}`
}

export function isSameServer(one: ServerIdentity, other: ServerIdentity): boolean {
  return one.systemId === other.systemId && identityKey(one) === identityKey(other)
}

const OPTIONAL: Readonly<Record<OptionalPart, string>> = {
  systemId: 'select system_identifier::text as value from pg_control_system()',
  timeline: `select ${TIMELINE} as value`,
}

/**
 * @param hidden parts that the server is known to refuse: they are not asked for, because each refusal is an error in
 * the server's log
 * @throws PartHidden where it refuses one more
 */
export async function readIdentity(client: pg.Client, hidden: ReadonlySet<OptionalPart>): Promise<ServerIdentity> {
  const part = async (name: OptionalPart): Promise<string | undefined> => {
    if (hidden.has(name)) return undefined
    const { rows: [row] } = await client.query<{ value: string | null }>(OPTIONAL[name]).catch((error: unknown) => {
      throw isRefusal(error) ? new PartHidden(name) : error
    })
    return row?.value ?? undefined
  }
  const { rows: [started] } = await client.query<{ value: string }>(`select ${STARTED_AT} as value`)
  if (started === undefined) throw new Error('the server did not say when it started')
  return { systemId: await part('systemId'), timeline: await part('timeline'), startedAt: started.value }
}

/** The server does not show this part of its identity. */
export class PartHidden extends Error {
  readonly part: OptionalPart

  constructor(part: OptionalPart) {
    super(`the server does not show its ${part}`)
    this.part = part
  }
}

/** insufficient_privilege, undefined_function, feature_not_supported, object_not_in_prerequisite_state */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['42501', '42883', '0A000', '55000'].includes(String(error.code))
}
