// Writes the result of a re-evaluation of one user, each in one transaction.
import { sql, type SQL } from 'drizzle-orm'
import type { EntraUser } from '../core/account-source.js'
import { MISSING_FOR_MS } from '../core/due-users.js'
import type { GrantChange } from '../core/grants.js'
import type { MappedAccount, ReevaluationChange, ReevaluationWriter, Snapshot } from '../core/reevaluation-store.js'
import { usernameKey } from '../core/user.js'
import type { Database, Transaction } from './database.js'
import { FOREIGN_KEY_VIOLATION, OutOfDate, sqlState } from './database-errors.js'
import { replaceGrants } from './grants.js'
import { databaseTime, interval } from './intervals.js'
import { requireDeployed } from './policy-deployments.js'
import { auditReevaluation as audit, changeDetail } from './reevaluation-audit.js'
import { endSessionsOf } from './sessions.js'

export function createReevaluationWriter(database: Database): ReevaluationWriter {
  return {
    now: () => databaseTime(database),
    async apply(user, snapshot, account) {
      try {
        return await database.transaction((tx) => apply(tx, user, snapshot, account))
      } catch (error) {
        if (sqlState(error) === FOREIGN_KEY_VIOLATION) return 'outdated' // guard: sync-removed-group
        if (error instanceof OutOfDate) return 'outdated'
        throw error
      }
    },
    disabled: (user, snapshot) =>
      database.transaction(async (tx) => {
        const { rowCount } = await tx.execute(sql`select 1 from users where id = ${user.userId} for update`)
        if (rowCount === 0 || await superseded(tx, user, snapshot)) return undefined // guard: sync-older-disabled
        const ended = await endSessionsBefore(tx, user, snapshot, 'reevaluation.disabled')
        await recordAttempt(tx, [user.userId])
        return ended
      }),
    missing: (user, snapshot) =>
      database.transaction(async (tx) => {
        if (await superseded(tx, user, snapshot)) return undefined
        if (!await confirmMissing(tx, user, snapshot)) return undefined
        return await endSessionsBefore(tx, user, snapshot, 'reevaluation.deleted')
      }),
    async failed(users) {
      await database.ask((db) => recordAttempt(db, users.map(({ userId }) => userId)))
    },
  }
}

async function apply(
  tx: Transaction,
  user: EntraUser,
  snapshot: Snapshot,
  account: MappedAccount,
): Promise<ReevaluationChange | undefined> {
  await requireDeployed(tx, account.policyHash)
  const { rows: [before] } = await tx.execute<{ staff: boolean, superuser: boolean, lost: string[] | null }>(sql`
    select is_staff as staff, is_superuser as superuser, (${lostSinceSignIn(account.groupIds)}) as lost
    from users u where id = ${user.userId} for update`)
  if (!before) return undefined
  const { grants, groupIds } = account
  const change = await replaceGrants(tx, { userId: user.userId, grants, groupIds, readAt: snapshot.readAt })
  if (!change.superseded) {
    await tx.execute(sql`delete from entra_checks where user_id = ${user.userId}`)
    if (account.upn !== undefined) await recordUpn(tx, user, account.upn) // guard: adv-upn-by-sync
  }
  const revoked = account.sessionsValidFrom === null
    ? []
    : await endSessionsOf(tx, user.userId, issuedBefore(account.sessionsValidFrom)) // guard: sync-revoked
  const refused = account.requireMappedGroup && change.groups.length === 0 && !change.staff && !change.superuser
  const ended = refused ? await endSessionsOf(tx, user.userId) : [] // guard: sync-refused
  const flagsChanged = change.staff !== before.staff || change.superuser !== before.superuser
  if (flagsChanged || change.groupsAdded.length + change.groupsRemoved.length > 0) {
    await auditChange(tx, user, snapshot, { change, account, before })
  }
  await auditEndedSessions(tx, user, snapshot, { account, revoked, refused: ended })
  const lost = change.superseded ? [] : before.lost ?? []
  return { ...change, flagsChanged, revoked, lostSinceSignIn: lost, refused: refused ? ended : undefined }
}

/**
 * Groups of the stored snapshot that this one lacks, where a sign-in took the stored one: a session began within two
 * minutes of it. Must run before the snapshot is replaced.
 */
function lostSinceSignIn(groupIds: readonly string[]): SQL {
  // guard: adv-hidden-recent
  return sql`
    select array(select unnest(r.group_ids)::text except select unnest(${sql.param([...groupIds])}::uuid[])::text)
    from entra_readings r where r.user_id = u.id and r.read_at > now() - interval '30 minutes'
      and exists (select 1 from sessions s where s.user_id = u.id
        and s.created_at >= r.read_at and s.created_at < r.read_at + interval '2 minutes')`
}

/** Sessions of an older version have no time of the token. */
function issuedBefore(time: string): SQL {
  // guard: sync-revoked-later, sync-revoked-older-version
  return sql`coalesce(token_issued_at, created_at) < ${time}::timestamptz`
}

/** A sign-in or another replica stored a newer snapshot meanwhile. */
async function superseded(tx: Transaction, { userId }: EntraUser, { readAt }: Snapshot): Promise<boolean> {
  const { rowCount } = await tx.execute(
    sql`select 1 from entra_readings where user_id = ${userId} and read_at > ${readAt}::timestamptz`,
  )
  return (rowCount ?? 0) > 0
}

/** Records that Graph found no account. @returns whether it did not find one a minute or more before either */
async function confirmMissing(tx: Transaction, { userId }: EntraUser, { readAt }: Snapshot): Promise<boolean> {
  // guard: sync-missing-since-login, sync-removed-person
  const { rows: [row] } = await tx.execute<{ confirmed: boolean }>(sql`
    insert into entra_checks as c (user_id, tried_at, missing_since)
      select u.id, now(), ${readAt}::timestamptz from users u where u.id = ${userId} for key share
    on conflict (user_id) do update set tried_at = now(), missing_since =
      case when c.missing_since > coalesce((select read_at from entra_readings where user_id = c.user_id), '-infinity')
        then c.missing_since else excluded.missing_since end
    returning c.missing_since <= ${readAt}::timestamptz - ${interval(MISSING_FOR_MS)} as confirmed`)
  return row?.confirmed === true // guard: sync-missing-twice
}

/** Skips users whose row is locked: waiting for the lock costs more than an attempt that is not recorded. */
async function recordAttempt(tx: Transaction, userIds: readonly string[]): Promise<void> {
  await tx.execute(sql`
    insert into entra_checks (user_id, tried_at)
      select u.id, now() from users u where u.id = any(${sql.param([...userIds])}::uuid[]) for key share skip locked
    on conflict (user_id) do update set tried_at = excluded.tried_at`)
}

/** Writes only changes: another UPN, or one that Graph has since reported for another account. */
async function recordUpn(tx: Transaction, { userId, oid }: EntraUser, upn: string): Promise<void> {
  const key = usernameKey(upn)
  // guard: adv-upn-given-back
  await tx.execute(sql`
    update identities i set upn = ${upn}, upn_key = ${key}, upn_seen_at = now()
    where user_id = ${userId} and oid = ${oid} and (upn is distinct from ${upn} or exists (
      select 1 from identities o where o.upn_key = ${key} and o.tid = i.tid and o.upn_seen_at > i.upn_seen_at))`)
}

/** A session that began after the snapshot belongs to a sign-in that Entra ID allowed later. */
async function endSessionsBefore(
  tx: Transaction,
  user: EntraUser,
  { readAt, correlationId }: Snapshot,
  action: string,
): Promise<string[]> {
  const ended = await endSessionsOf(tx, user.userId, sql`created_at <= ${readAt}::timestamptz`)
  if (ended.length > 0) await audit(tx, action, user, { correlationId }, { oid: user.oid, sessions: ended })
  return ended
}

interface Change {
  readonly change: GrantChange
  readonly account: MappedAccount
  readonly before: { readonly staff: boolean, readonly superuser: boolean, readonly lost: readonly string[] | null }
}

async function auditChange(
  tx: Transaction,
  user: EntraUser,
  { correlationId }: Snapshot,
  { change, account: { grants, groupIds }, before }: Change,
): Promise<void> {
  const detail = changeDetail(change, { grants, oid: user.oid, entraGroups: groupIds.length, before })
  await audit(tx, 'reevaluation', user, { correlationId }, detail)
}

interface EndedSessions {
  readonly account: MappedAccount
  readonly revoked: readonly string[]
  readonly refused: readonly string[]
}

async function auditEndedSessions(
  tx: Transaction,
  user: EntraUser,
  { correlationId }: Snapshot,
  { account: { sessionsValidFrom }, revoked, refused }: EndedSessions,
): Promise<void> {
  const { oid } = user
  if (revoked.length > 0) {
    await audit(tx, 'reevaluation.revoked', user, { correlationId }, { oid, sessions: revoked, sessionsValidFrom })
  }
  if (refused.length > 0) await audit(tx, 'reevaluation.refused', user, { correlationId }, { oid, sessions: refused })
}
