// The store's side of a login: the queries of the steps, and the ONE transaction that commits a plan. The number of
// statements does not depend on the number of groups; the transaction calls neither the network nor custom code.
import { and, eq, sql } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import type { GrantChange } from '../core/grants.js'
import type { LoginCommit, LoginOutcome, LoginStore } from '../core/login.js'
import { requireSamePerson } from '../core/step-up.js'
import { usernameKey, type StoredUser } from '../core/user.js'
import type { Database, Transaction } from './database.js'
import { FOREIGN_KEY_VIOLATION, OutOfDate, sqlState } from './database-errors.js'
import { writeAudit } from './audit.js'
import { replaceGrants } from './grants.js'
import { databaseTime } from './intervals.js'
import { requireDeployed } from './policy-deployments.js'
import { groups, identities, users } from './schema.js'
import { endOldestSessions, replaceSession, type PlacedSession } from './session-placing.js'
import { endSessionsOf, type SessionLimits } from './sessions.js'
import { keptFrom, takeName } from './usernames.js'

const stored = {
  id: users.id,
  username: users.username,
  email: users.email,
  isActive: users.isActive,
  isStaff: users.isStaff,
  isSuperuser: users.isSuperuser,
  isBreakGlass: users.isBreakGlass,
}

export function createLoginStore(database: Database, limits: SessionLimits): LoginStore {
  return {
    async begin(flow) {
      const { rows } = await database.ask((db) => db.execute(sql`select 1 from spent_flows where flow_hash = ${flow}`))
      if (rows.length > 0) throw new GatehouseError('state_replayed') // guard: security-flow-spent
    },
    now: () => databaseTime(database),
    userByIdentity: (tid, oid) => userByIdentity(database, tid, oid),
    async usernameTaken(key) {
      const { rows: [found] } = await database.ask((db) =>
        db.execute<{ taken: boolean }>(
          sql`select exists (select 1 from users where username_key = ${key}) or ${keptFrom(key)} as taken`,
        )
      )
      return found?.taken ?? true
    },
    usersEligibleForEmail: (email) =>
      database.ask((db) =>
        db.select(stored).from(users)
          .where(sql`lower(${users.email}) = lower(${email}) and ${eligible}`).limit(2) // guard: email-any-case
      ),
    groupIds: (names) => groupIdsByName(database, names),
    async commit(login) {
      try {
        return await database.transaction((tx) => commit(tx, login, limits)) // guard: one-transaction
      } catch (error) {
        if (error instanceof OutOfDate || sqlState(error) === FOREIGN_KEY_VIOLATION) return 'outdated'
        throw error
      }
    },
  }
}

async function userByIdentity(database: Database, tid: string, oid: string): Promise<StoredUser | undefined> {
  const [user] = await database.ask((db) =>
    db.select(stored).from(identities).innerJoin(users, eq(users.id, identities.userId))
      // guard: one-person-per-object-id, one-person-per-tenant
      .where(sql`${identities.tid} = ${tid} and ${identities.oid} = ${oid}`)
  )
  return user
}

async function groupIdsByName(database: Database, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  if (names.length === 0) return new Map()
  const found = await database.ask((db) =>
    db.select({ id: groups.id, name: groups.name }).from(groups)
      .where(sql`${groups.name} = any(${sql.param([...names])}::text[])`)
  )
  return new Map(found.map((group) => [group.name, group.id]))
}

/** Users that associate_by_email may link: active, no Entra identity, not staff, superuser or break-glass. */
const eligible =
  // guard: active-alone-linked, staff-never-linked, superusers-never-linked, break-glass-never-linked
  sql`${users.isActive} and not ${users.isStaff} and not ${users.isSuperuser} and not ${users.isBreakGlass}
  and not exists (select 1 from ${identities} where ${identities.userId} = ${users.id})`

async function commit(tx: Transaction, login: LoginCommit, limits: SessionLimits): Promise<LoginOutcome> {
  const { plan } = login
  await requireDeployed(tx, login.policyHash)
  await spendFlow(tx, login.flow)
  const { groups: granted, staff, superuser } = plan.grants
  if (login.requireMappedGroup && plan.origin !== 'known' && granted.length + staff.length + superuser.length === 0) {
    return await refuseUnlinkedUser(tx, login)
  }
  const user = await settleUser(tx, login)
  if (login.stepUp) requireSamePerson(user.id, login.stepUp) // guard: admin-other-person-commits
  const change = await replaceGrants(tx, { userId: user.id, grants: plan.grants, ...login.person.memberships })
  // The stored grants decide: a newer snapshot may have superseded this plan.
  const refused = login.requireMappedGroup && change.groups.length === 0 && !change.staff && !change.superuser
  if (refused) await endSessionsOf(tx, user.id)
  const placed = refused ? undefined : await placeSession(tx, user.id, login, limits)
  const session = placed?.publicId ?? null
  const sessionsEnded = placed?.isNew ? await endOldestSessions(tx, user.id, login.session, limits) : []
  await writeAudit(tx, {
    action: refused ? 'login.refused' : 'login',
    actor: 'login',
    userId: user.id,
    username: user.username,
    correlationId: login.correlationId,
    detail: {
      ...auditDetail(login, change, session),
      ...flagsBefore(user, change),
      ...(sessionsEnded.length === 0 ? {} : { sessionsEnded }),
    },
  })
  const created = plan.origin === 'created'
  const ended = sessionsEnded.length
  const { id: userId, username } = user
  const keepsId = placed?.keepsId ?? false
  return { userId, username, created, refused, session, keepsId, sessionsEnded: ended, ...change }
}

function placeSession(
  tx: Transaction,
  userId: string,
  { plan, person: { claims }, session }: LoginCommit,
  limits: SessionLimits,
): Promise<PlacedSession> {
  const token = {
    entraSid: plan.extraData.sid,
    tokenIssuedAt: new Date(claims.iat * 1000),
    authenticatedAt: claims.auth_time === undefined ? null : new Date(claims.auth_time * 1000),
  }
  return replaceSession(tx, { userId, session, token, limits })
}

/** No user is created or linked for a refused login; the audit records the attempt. */
async function refuseUnlinkedUser(tx: Transaction, login: LoginCommit): Promise<LoginOutcome> {
  const username = login.plan.user?.username ?? login.plan.username ?? ''
  const nothing = { groups: [], groupsAdded: [], groupsRemoved: [], staff: false, superuser: false, superseded: false }
  const { correlationId } = login
  const detail = auditDetail(login, nothing, null)
  await writeAudit(tx, { action: 'login.refused', actor: 'login', username, correlationId, detail })
  const none = { session: null, keepsId: false, sessionsEnded: 0 }
  return { userId: null, username, created: false, refused: true, ...none, ...nothing }
}

/** A flow creates one session at most. Deletes a batch of old rows as well. */
async function spendFlow(tx: Transaction, flow: Buffer): Promise<void> {
  const { rowCount } = await tx.execute(sql`
    with swept as (delete from spent_flows where flow_hash in (
      select flow_hash from spent_flows where spent_at < now() - interval '1 hour' limit 100 for update skip locked))
    insert into spent_flows (flow_hash) values (${flow}) on conflict do nothing`)
  if (rowCount === 0) throw new GatehouseError('state_replayed')
}

interface SettledUser {
  readonly id: string
  readonly username: string
  /** Before this login. */
  readonly staff: boolean
  readonly superuser: boolean
}

/**
 * Locks, creates or links the user of the plan. @throws OutOfDate where the plan's assumptions no longer hold
 */
async function settleUser(tx: Transaction, { plan }: LoginCommit): Promise<SettledUser> {
  const { tid, oid } = plan.uid
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`${tid} ${oid}`}, 0))`)
  const { rows: [present] } = await tx.execute<
    SettledUser & { is_active: boolean, associated: boolean, eligible: boolean } & Record<string, unknown>
  >(sql`
    with known as (select user_id from identities where tid = ${tid} and oid = ${oid})
    select users.id, users.username, users.is_active, users.is_staff as staff,
      users.is_superuser as superuser, exists (select 1 from known) as associated,
      ${eligible} and lower(users.email) = lower(${plan.details.email ?? null}) as eligible
    from users where users.id = coalesce((select user_id from known), ${
    plan.user?.id ?? null
  }::uuid) for update of users`)
  if (plan.origin === 'created') {
    if (present) throw new OutOfDate() // guard: person-race
    return await createUser(tx, plan)
  }
  if (!present || present.id !== plan.user?.id || !present.is_active) throw new OutOfDate()
  // guard: eligible-still
  if (plan.origin === 'known' ? !present.associated : present.associated || !present.eligible) throw new OutOfDate()
  // guard: names-follow
  await tx.update(users).set({ ...plan.profile, lastLoginAt: sql`now()` }).where(eq(users.id, present.id))
  await recordIdentity(tx, present.id, plan)
  return present
}

async function createUser(tx: Transaction, plan: LoginCommit['plan']): Promise<SettledUser> {
  const username = plan.username ?? ''
  const key = usernameKey(username)
  const [user] = await tx.insert(users).values({
    username,
    usernameKey: key,
    email: plan.details.email, // guard: email-at-creation
    emailVerified: plan.details.emailVerified,
    ...plan.profile,
    lastLoginAt: sql`now()`,
  }).onConflictDoNothing({ target: users.usernameKey }).returning({ id: users.id, username: users.username })
  // guard: username-race, adv-login-to-kept
  if (!user || !await takeName(tx, key, user.id)) throw new OutOfDate() // the name was taken or reserved meanwhile
  await recordIdentity(tx, user.id, plan)
  return { ...user, staff: false, superuser: false }
}

async function recordIdentity(
  tx: Transaction,
  userId: string,
  { uid, extraData, newAssociation }: LoginCommit['plan'],
): Promise<void> {
  const { loginHint, guest, upn } = extraData
  // guard: adv-upn-any-case, adv-upn-kept
  const extra = { loginHint, guest, ...upn === null ? {} : { upn, upnKey: usernameKey(upn), upnSeenAt: sql`now()` } }
  if (newAssociation) await tx.insert(identities).values({ ...uid, userId, ...extra }) // guard: identity-recorded
  else await tx.update(identities).set(extra).where(and(eq(identities.tid, uid.tid), eq(identities.oid, uid.oid)))
}

/** Where the login changed a flag: what it was. */
function flagsBefore({ staff, superuser }: SettledUser, change: GrantChange): AuditDetail {
  const isSame = staff === change.staff && superuser === change.superuser
  return isSame ? {} : { before: { staff, superuser } }
}

type AuditDetail = Readonly<Record<string, unknown>>

function auditDetail(
  { plan, person, client, stepUp }: LoginCommit,
  change: GrantChange,
  session: string | null,
): AuditDetail {
  return {
    ...plan.uid,
    origin: plan.origin, // guard: origin-recorded, link-recorded
    session, // guard: adv-login-address
    client,
    ...(stepUp === undefined ? {} : { stepUp: stepUp.purpose }),
    ...(stepUp?.acrs === undefined ? {} : { acrs: stepUp.acrs }),
    entraGroups: person.memberships.groupIds.length,
    groupsAdded: change.groupsAdded,
    groupsRemoved: change.groupsRemoved,
    groups: Object.fromEntries(plan.grants.groups.map((group) => [group.name, group.causes])),
    missing: plan.grants.missing,
    staff: plan.grants.staff,
    superuser: plan.grants.superuser,
    superseded: change.superseded,
  }
}
