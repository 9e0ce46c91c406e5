// The outbox: the table `changes`, to which triggers add what changed, in the transaction that changes it. A reader
// remembers a snapshot, PostgreSQL's description of which transactions were visible, and receives what has become
// visible since: also what a transaction recorded long before it was committed. No transaction of others, however long
// it stays open, delays a change or makes a read longer.
import pg from 'pg'
import { concernedBy, type Change, type Concerned } from '../../core/changes.js'
import type { CurrentServer } from '../server-of-record/record.js'
import { OtherServer } from '../server-of-record/verify.js'

/** Notifies the replicas that listen that there are changes; the payload is the sender's name. */
export const CHANNEL = 'gatehouse_changes'
/** Where replicas of release 0.2 listen; served until the next release. */
const CHANNEL_BEFORE = 'gatehouse'

/** More changes at once are not read one by one. */
const MOST = 5_000

export interface OutboxRead {
  /** As pg_current_snapshot() writes it: what is read next begins here. */
  readonly snapshot: string
  /** In the order in which they were recorded; undefined: there are too many. */
  readonly changes: readonly Change[] | undefined
}

/**
 * @param since the last snapshot of this server; undefined: from now on
 * @throws OtherServer where another server answers, behind a pooler for example
 */
export async function readOutbox(
  client: pg.ClientBase,
  { key, identitySql }: CurrentServer,
  since: string | undefined,
): Promise<OutboxRead> {
  const { rows: [row] } = await client.query<{
    server: string | null
    snapshot: string
    found: readonly (readonly [string, readonly string[]])[] | null
  }>(
    `select ${identitySql} as server, pg_current_snapshot()::text as snapshot,
    ${since === undefined ? 'null' : FOUND} as found`,
    since === undefined ? [] : [since],
  )
  if (row === undefined || (key !== undefined && row.server !== key)) throw new OtherServer() // guard: outbox-verified
  const found = row.found ?? []
  const changes = found.length > MOST ? undefined : found.map(([kind, subjects]) => ({ kind, subjects }))
  return { snapshot: row.snapshot, changes }
}

// Of what is visible now, the earlier snapshot did not show transactions that began after it (xmax) and those that were
// running (xip): two short ranges of the index. Rows of the future belong to another cluster, from a restored dump.
// guard: outbox-visible
const FOUND = `(select json_agg(json_build_array(kind, subjects) order by id) from (
  select id, kind, subjects from changes
  where xid >= pg_snapshot_xmax($1::pg_snapshot) and xid < pg_snapshot_xmax(pg_current_snapshot())
  union all
  select id, kind, subjects from changes where xid = any(array(select pg_snapshot_xip($1::pg_snapshot)))
  limit ${MOST + 1}) found)`

/**
 * Notifies the other replicas: those of this release to read, those of 0.2 of what to read again. The commit waits for
 * no disk and no standby, because a notification is nothing to keep.
 */
export async function notify(client: pg.ClientBase, replica: string, changes: OutboxRead['changes']): Promise<void> {
  const payloads = changes === undefined
    ? ['*']
    : [...new Set(changes.flatMap((each) => payloadsBefore(concernedBy(each))))]
  const sent = [[CHANNEL, replica], ...payloads.slice(0, MOST).map((each) => [CHANNEL_BEFORE, each])]
  const statements = sent.map((each) => `select pg_notify(${each.map((text) => pg.escapeLiteral(text)).join(', ')})`)
  await client.query(`begin; set local synchronous_commit = off; ${statements.join('; ')}; commit`)
}

/** What release 0.2 notified for the same change: at most 100 ids each. */
function payloadsBefore(concerned: Concerned): string[] {
  if (concerned.kind === 'keys') return ['k']
  if (concerned.kind === 'everything') return ['*']
  const [letter, ids] = concerned.kind === 'sessions' ? ['s', concerned.hashes] : ['u', concerned.ids]
  const parts = Array.from(
    { length: Math.ceil(ids.length / 100) },
    (_, part) => ids.slice(part * 100, part * 100 + 100),
  )
  return parts.map((part) => `${letter} ${part.join(',')}`)
}

/**
 * Deletes what was visible in this snapshot, which every replica has read or will never read, and what belongs to
 * another cluster.
 */
export async function sweepOutbox(client: pg.ClientBase, snapshot: string): Promise<void> {
  await client.query(
    // guard: outbox-swept
    `delete from changes where id in (select id from changes
      where pg_visible_in_snapshot(xid, $1::pg_snapshot) or xid >= pg_snapshot_xmax(pg_current_snapshot())
      order by id limit 10000)`,
    [snapshot],
  )
}
