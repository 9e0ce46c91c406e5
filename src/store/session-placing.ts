// The session of a login, within its transaction: a new one in place of the one this browser had, that one renewed, or
// one that another tab has made; and the limit of sessions for each user.
import { and, eq, sql, type SQL } from 'drizzle-orm'
import { sessionIdHash, type NewSession } from '../core/session.js'
import type { Transaction } from './database.js'
import { sessions } from './schema.js'
import { stillActive, type SessionLimits } from './sessions.js'

interface IdToken {
  readonly entraSid: string | null
  readonly tokenIssuedAt: Date
  /** Null: Entra ID did not say. */
  readonly authenticatedAt: Date | null
}

export interface PlacedSession {
  readonly publicId: string
  readonly isNew: boolean
  /** It goes on under the id that the browser has, or gets in another tab. */
  readonly keepsId: boolean
}

interface Placing {
  readonly userId: string
  readonly session: NewSession
  readonly token: IdToken
  readonly limits: SessionLimits
}

/** Within a login's transaction: the new session, in place of the one this browser had, or that one renewed. */
export async function replaceSession(tx: Transaction, placing: Placing): Promise<PlacedSession> {
  const { userId, session, token: { authenticatedAt, ...token } } = placing
  const renewed = await renewSession(tx, placing)
  if (renewed) return renewed
  const old = session.replaces === undefined ? undefined : sessionIdHash(session.replaces)
  if (old !== undefined && session.sibling) { // guard: adv-siblings
    const theirs = and(eq(sessions.idHash, old), eq(sessions.userId, userId)) // guard: adv-siblings-person
    const [standing] = await tx.update(sessions).set(latest(placing.token)).where(theirs)
      .returning({ publicId: sessions.publicId })
    if (standing) return { publicId: standing.publicId, isNew: false, keepsId: true }
  }
  // guard: session-replaced, adv-fixation
  if (old !== undefined) await tx.delete(sessions).where(eq(sessions.idHash, old))
  const { browser, address: clientAddress, host: lastHost } = session.client ?? {}
  const client = { browser, clientAddress, lastHost }
  const { publicId } = session
  await tx.insert(sessions)
    .values({
      idHash: sessionIdHash(session.id),
      publicId,
      userId,
      ...token,
      authenticatedAt: notAfterNow(authenticatedAt),
      ...client,
    })
  return { publicId, isNew: true, keepsId: false }
}

/** Of two id tokens for one session. Entra ID's front-channel logout names the session of its own that came last. */
function latest({ entraSid, tokenIssuedAt, authenticatedAt }: IdToken) {
  return {
    // guard: adv-sibling-sid
    entraSid: sql`case when ${sessions.tokenIssuedAt} > ${tokenIssuedAt} then ${sessions.entraSid}
      else coalesce(${entraSid}, ${sessions.entraSid}) end`,
    authenticatedAt: sql`greatest(${sessions.authenticatedAt}, ${notAfterNow(authenticatedAt)})`,
  }
}

/** Entra ID's clock may be ahead: an authentication must not count for longer because of that. */
function notAfterNow(at: Date | null): SQL<Date | null> {
  return sql`least(now(), ${at}::timestamptz)`
}

/**
 * The same session under a new id. Where another tab has renewed it since this browser sent its cookie, the id of that
 * tab's answer stays: of two answers at once, either may be the last to set the cookie.
 */
async function renewSession(
  tx: Transaction,
  { userId, session: { id, renews, replaces }, token, limits }: Placing,
): Promise<PlacedSession | undefined> {
  if (renews === undefined || replaces === undefined) return undefined
  const [idHash, old] = [sessionIdHash(id), sessionIdHash(replaces)]
  const ofUser = sql`s.user_id = ${userId}` // guard: admin-renewed-person
  const isActive = stillActive(limits) // guard: admin-renewed-active
  const { rows: [active] } = await tx.execute(sql`
    select from sessions s join users u on u.id = s.user_id
    where s.public_id = ${renews} and ${ofUser} and ${isActive} for update of s`)
  if (active === undefined) return undefined
  const [renewed] = await tx.update(sessions).set({
    ...latest(token),
    tokenIssuedAt: token.tokenIssuedAt,
    // guard: admin-session-renewed
    idHash: sql`case when ${sessions.idHash} = ${old} then ${idHash}::bytea else ${sessions.idHash} end`,
    lastSeenAt: sql`now()`,
  }).where(eq(sessions.publicId, renews)).returning({ idHash: sessions.idHash })
  return renewed && { publicId: renews, isNew: false, keepsId: !renewed.idHash.equals(idHash) }
}

/**
 * Within a login's transaction, after the new session was made: ends the person's oldest sessions above the limit. The
 * caller holds the lock on the user, so that sign-ins at the same time count one another's sessions. Sessions that
 * timed out go first; the new one always stays: another sign-in may have begun later and committed earlier.
 * @returns public ids of those that ended
 */
export async function endOldestSessions(
  tx: Transaction,
  userId: string,
  newest: NewSession,
  limits: SessionLimits,
): Promise<readonly string[]> {
  // guard: adv-session-cap, adv-session-cap-timed-out, adv-session-cap-newest
  const { rows } = await tx.execute<{ public_id: string }>(sql`
    delete from sessions where id_hash in (
      select s.id_hash from sessions s join users u on u.id = s.user_id
      where s.user_id = ${userId} and s.id_hash <> ${sessionIdHash(newest.id)}
      order by (${stillActive(limits)}) desc, s.created_at desc, s.id_hash offset ${limits.maxPerUser - 1})
    returning public_id`)
  return rows.map((row) => row.public_id)
}
