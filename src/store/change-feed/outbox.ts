// The outbox: the table `changes`, to which triggers add what changed, in the transaction that changes it. A reader
// remembers a snapshot, PostgreSQL's description of which transactions were visible, and receives what has become
// visible since: also what a transaction recorded long before it was committed. No transaction of others delays a
// change, however long it stays open.
import pg from 'pg'
import { concernedBy, type Change, type Concerned } from '../../core/changes.js'
import type { CurrentServer } from '../server-of-record/record.js'
import { sqlState } from '../database-errors.js'
import { OtherServer } from '../server-of-record/verify.js'

/** Notifies the replicas that listen that there are changes; the payload is the sender's name. */
export const CHANNEL = 'gatehouse_changes'
/** Where replicas of release 0.2 listen; served until the next release. */
const CHANNEL_BEFORE = 'gatehouse'

/** More changes in one read are not applied one by one, and more payloads are not sent to release 0.2. */
const MOST_CHANGES = 1_000
/** Some megabytes. */
const MOST_SUBJECTS = 50_000
const MOST_PAYLOADS = 1_000

export interface OutboxRead {
  /** As pg_current_snapshot() writes it: what is read next begins here. */
  readonly snapshot: string
  /** In the order in which they were recorded; undefined: some are missing, or there are too many. */
  readonly changes: readonly Change[] | undefined
  /** Changes since the last read are missing. */
  readonly isGap: boolean
}

interface Row {
  readonly server: string | null
  readonly snapshot: string
  readonly gap: boolean
  /** Null: there are none, or too many. */
  readonly found: readonly (readonly [string, readonly string[]])[] | null
  readonly complete: boolean
}

/**
 * @param since the last snapshot of this server; undefined: there is none, and what was before now is missing
 * @throws OtherServer where another server answers, behind a pooler for example
 */
export async function readOutbox(
  client: pg.ClientBase,
  { key, identitySql }: CurrentServer,
  since: string | undefined,
): Promise<OutboxRead> {
  const found = since === undefined
    ? 'select true as gap, null as found, false as complete'
    : `select ${GAP} as gap, * from ${FOUND}`
  const { rows: [row] } = await client.query<Row>(
    `select ${identitySql} as server, pg_current_snapshot()::text as snapshot, * from (${found}) read`,
    since === undefined ? [] : [since],
  )
  if (row === undefined || (key !== undefined && row.server !== key)) throw new OtherServer() // guard: outbox-verified
  const changes = (row.found ?? []).map(([kind, subjects]) => ({ kind, subjects }))
  const isComplete = !row.gap && row.complete
  return { snapshot: row.snapshot, changes: isComplete ? changes : undefined, isGap: row.gap }
}

// The last sweep deleted what was visible in its snapshot. Of two snapshots of one server the later one has the higher
// xmax, or the same and fewer running transactions. No clock is asked, so that a machine may be suspended.
// guard: outbox-gap
const GAP = `(select coalesce(bool_or(pg_snapshot_xmax(swept) > pg_snapshot_xmax($1::pg_snapshot)
    or (pg_snapshot_xmax(swept) = pg_snapshot_xmax($1::pg_snapshot)
      and exists (select pg_snapshot_xip($1::pg_snapshot) except select pg_snapshot_xip(swept)))), true) from outbox)`

// Of what is visible now, the earlier snapshot did not show transactions that began after it (xmax) and those that were
// running (xip): two short ranges of the index. Rows of the future belong to another cluster, from a restored dump.
// guard: outbox-visible
const FOUND = `(
  select json_agg(json_build_array(kind, subjects) order by id) filter (where total <= ${MOST_SUBJECTS}) as found,
    count(*) <= ${MOST_CHANGES} and coalesce(max(total), 0) <= ${MOST_SUBJECTS} as complete
  from (
    select *, sum(cardinality(subjects)) over (order by id) as total from (
      select id, kind, subjects from changes
      where xid >= pg_snapshot_xmax($1::pg_snapshot) and xid < pg_snapshot_xmax(pg_current_snapshot())
      union all
      select id, kind, subjects from changes where xid = any(array(select pg_snapshot_xip($1::pg_snapshot)))
      limit ${MOST_CHANGES + 1}) visible) counted) found`

/**
 * Notifies the other replicas: those of this release to read, those of 0.2 of what to read again. The commit waits for
 * no disk and no standby, because a notification is nothing to keep.
 * @param changes undefined: everything
 */
export async function notify(client: pg.ClientBase, replica: string, changes: OutboxRead['changes']): Promise<void> {
  const named = new Set((changes ?? []).flatMap((each) => payloadsBefore(concernedBy(each))))
  const payloads = changes === undefined || named.size > MOST_PAYLOADS ? EVERYTHING_BEFORE : [...named]
  await withoutWaiting(client, [
    notifySql(CHANNEL, replica),
    ...payloads.map((each) => notifySql(CHANNEL_BEFORE, each)),
  ])
}

/** All cached sessions, and the signing keys. */
const EVERYTHING_BEFORE: readonly string[] = ['*', 'k']

/** What release 0.2 notified for the same change: at most 100 ids each. */
function payloadsBefore(concerned: Concerned): string[] {
  if (concerned.kind === 'keys') return ['k']
  if (concerned.kind === 'policy') return [] // it knows none
  if (concerned.kind === 'everything') return ['*']
  const [letter, ids] = concerned.kind === 'sessions' ? ['s', concerned.hashes] : ['u', concerned.ids]
  const parts = Array.from(
    { length: Math.ceil(ids.length / 100) },
    (_, part) => ids.slice(part * 100, part * 100 + 100),
  )
  return parts.map((part) => `${letter} ${part.join(',')}`)
}

/**
 * Deletes what was visible in this snapshot, and what belongs to another cluster. A reader that has read less than the
 * snapshot finds out by itself.
 */
export async function sweepOutbox(client: pg.ClientBase, snapshot: string): Promise<void> {
  const swept = `${pg.escapeLiteral(snapshot)}::pg_snapshot`
  await withoutWaiting(client, [
    "set local lock_timeout = '100ms'", // nothing is read meanwhile
    `update outbox set swept = ${swept}`,
    `insert into outbox (swept) select ${swept} where not exists (select from outbox)`,
    // guard: outbox-swept
    `delete from changes where id in (select id from changes
      where pg_visible_in_snapshot(xid, ${swept}) or xid >= pg_snapshot_xmax(pg_current_snapshot())
      order by id limit 100000)`,
  ])
}

/**
 * The row of a replica that stops is deleted. It may have been the notifier: replicas of 0.2 are notified once more.
 * @param replica its name
 */
export async function leaveOutbox(client: pg.ClientBase, replica: string): Promise<void> {
  await withoutWaiting(client, [
    `delete from replicas where replica = ${pg.escapeLiteral(replica)}`,
    ...EVERYTHING_BEFORE.map((each) => notifySql(CHANNEL_BEFORE, each)),
  ])
}

/** LISTEN or pg_notify() is missing, or refused by a pooler: changes are polled, and nothing is lost. */
export function hasNoNotifications(error: unknown): boolean {
  return NO_NOTIFICATIONS.has(sqlState(error) ?? '') // guard: outbox-without-notifications
}

/** feature_not_supported, undefined_function, syntax_error */
const NO_NOTIFICATIONS: ReadonlySet<string> = new Set(['0A000', '42883', '42601'])

function notifySql(channel: string, payload: string): string {
  return `select pg_notify(${pg.escapeLiteral(channel)}, ${pg.escapeLiteral(payload)})`
}

/** One transaction, whose commit waits for no disk and no standby. The connection can be used after a failure. */
async function withoutWaiting(client: pg.ClientBase, statements: readonly string[]): Promise<void> {
  try {
    await client.query(`begin; set local synchronous_commit = off; ${statements.join('; ')}; commit`)
  } catch (error) {
    if (sqlState(error) !== undefined) await client.query('rollback')
    throw error
  }
}
