// Versions of the policy that are applied to those who are signed in: one row for each, which the process that applies
// it writes as it goes on; and one transaction for each user, as a re-evaluation's (reevaluation-writer.ts), except
// that Graph is not asked and the stored snapshot stays. A process that writes nothing for a while has ended: another
// one goes on.
import { sql, type SQL } from 'drizzle-orm'
import { BEFORE_ALL_IDS } from '../core/first-id.js'
import type {
  ApplicationPosition,
  ApplyOptions,
  ClaimedApplication,
  PersonPage,
  PolicyApplication,
  PolicyApplications,
  StoredPerson,
} from '../core/policy-application.js'
import type { GrantChange } from '../core/grants.js'
import { activeUsers, type ActiveUsersOptions } from './active-users.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { writeGrants } from './grants.js'
import { ago, interval } from './intervals.js'
import { liveMembership } from './live-membership.js'
import { auditReevaluation, changeDetail } from './reevaluation-audit.js'
import { endSessionsOf } from './sessions.js'

export interface PolicyApplicationOptions extends ActiveUsersOptions {
  /** Undefined: no snapshot is too old. */
  readonly maxStalenessMs: number | undefined
}

type Row<T> = T & Record<string, unknown>

/** Longer than a page of users takes, or the locks of a few of them. */
const LOST_MS = 15_000

const IN_FORCE = sql`(select max(number) from policy_versions where source = 'database')`
const HAS_NO_RUNNER = sql`(runner is null or written_at < clock_timestamp() - ${interval(LOST_MS)})`
const SUMMARY = sql`version, case when state = 'running' and version <> ${IN_FORCE} then 'replaced' else state end
  as state, pass, done, total, gains, losses, too_old as "tooOld", failed, actor,
  case when state = 'running' and version = ${IN_FORCE} and not ${HAS_NO_RUNNER}
    then nullif(left(runner, -37), '') end as runner, -- a name, a space and a UUID
  to_json(started_at) #>> '{}' as "startedAt",
  case when state <> 'running' or version <> ${IN_FORCE} then to_json(written_at) #>> '{}' end as "endedAt"`

export function createPolicyApplications(database: Database, options: PolicyApplicationOptions): PolicyApplications {
  return {
    find: (version) => findApplication(database, version),
    begin: (acting) => database.transaction((tx) => beginOfVersionInForce(tx, acting)),
    async waiting() {
      const { rows: [found] } = await database.ask((db) =>
        db.execute<{ version: number }>(sql`select version from policy_applications
          where version = ${IN_FORCE} and state = 'running' and ${HAS_NO_RUNNER}`)
      )
      return found?.version
    },
    claim: (version, runner) => claim(database, version, runner),
    page: (after, limit, entraGroups) => page(database, options, { after, limit, entraGroups }),
    apply: (person, how) => database.transaction((tx) => apply(tx, person, how, options)),
    async progress(runner, { pass, after, done, gains, losses, tooOld, failed }) {
      const { rowCount } = await database.ask((db) =>
        db.execute(sql`update policy_applications set pass = ${pass}, after = ${after}, done = ${done},
          gains = ${gains}, losses = ${losses}, too_old = ${tooOld}, failed = ${failed},
          written_at = clock_timestamp() where runner = ${runner} and state = 'running'`)
      )
      return rowCount === 1
    },
    end: (runner, state) => database.transaction((tx) => end(tx, runner, state)),
    async release(runner) {
      await database.ask((db) => db.execute(sql`update policy_applications set runner = null where runner = ${runner}`))
    },
  }
}

/** Undefined: this version was never to be applied. */
export async function findApplication(database: Database, version: number): Promise<PolicyApplication | undefined> {
  const { rows: [found] } = await database.ask((db) =>
    db.execute<Row<PolicyApplication>>(sql`select ${SUMMARY} from policy_applications where version = ${version}`)
  )
  return found
}

/** Part of a deploy, or of the act that asks for it afterwards. */
export async function addApplication(
  tx: Transaction,
  version: number,
  { actor, correlationId = null }: { readonly actor: string, readonly correlationId?: string | null | undefined },
): Promise<void> {
  await tx.execute(sql`insert into policy_applications as a (version, actor, correlation_id)
    values (${version}, ${actor}, ${correlationId})
    on conflict (version) do update set actor = excluded.actor, correlation_id = excluded.correlation_id,
      state = 'running', pass = 'losses', after = ${BEFORE_ALL_IDS}, done = 0, gains = 0, losses = 0, too_old = 0,
      failed = 0, runner = null, started_at = clock_timestamp(), written_at = clock_timestamp()
    where a.state <> 'running'`)
}

async function beginOfVersionInForce(
  tx: Transaction,
  { actor, correlationId }: Parameters<PolicyApplications['begin']>[0],
): Promise<number | undefined> {
  const { rows: [row] } = await tx.execute<{ version: number | null }>(sql`select ${IN_FORCE} as version`)
  const version = row?.version ?? undefined
  if (version === undefined) return undefined
  await addApplication(tx, version, { actor, correlationId })
  await writeAudit(tx, {
    action: 'policy.apply',
    actor,
    ...correlationId === undefined ? {} : { correlationId },
    detail: { version },
  })
  return version
}

async function claim(database: Database, version: number, runner: string): Promise<ClaimedApplication | undefined> {
  const { rows: [claimed] } = await database.ask((db) =>
    db.execute<Row<Omit<ClaimedApplication, 'correlationId'> & { correlationId: string | null }>>(sql`
      update policy_applications set runner = ${runner}, written_at = clock_timestamp(),
        total = (select count(*) from entra_readings where not without_session)
      where version = ${version} and state = 'running' and ${HAS_NO_RUNNER} and version = ${IN_FORCE}
      returning version, pass, after, done, total, gains, losses, too_old as "tooOld", failed, actor,
        correlation_id as "correlationId"`)
  )
  return claimed && { ...claimed, correlationId: claimed.correlationId ?? undefined }
}

/** @param which condition on `u`, the user @param ids of the snapshot `r`, those that matter */
function peopleWhere(which: SQL, ids: SQL, { maxStalenessMs, tenantId }: PolicyApplicationOptions): SQL {
  const isTooOld = maxStalenessMs === undefined ? sql`false` : sql`r.read_at < ${ago(maxStalenessMs)}`
  // The re-evaluation gives a user without a snapshot one of 1970 (reevaluation-order.ts).
  // guard: policy-apply-no-snapshot
  return sql`
    select u.id as "userId", u.username, i.oid::text as oid, ${ids} as "entraGroupIds",
      to_json(r.read_at) #>> '{}' as "readAt", ${isTooOld} as "isTooOld", u.is_staff as "isStaff",
      u.is_superuser as "isSuperuser", u.staff_cause as "staffCause", u.superuser_cause as "superuserCause",
      coalesce((select json_agg(json_build_object('name', g.name, 'cause', ug.cause) order by g.name)
        from user_groups ug join groups g on g.id = ug.group_id
        where ug.user_id = u.id and ${liveMembership('ug')}), '[]') as held
    from users u join entra_readings r on r.user_id = u.id and r.read_at > 'epoch'
    join lateral (select oid from identities where user_id = u.id order by tid = ${tenantId} desc limit 1) i on true
    where ${which}`
}

interface PageRequest {
  readonly after: string
  readonly limit: number
  readonly entraGroups: readonly string[]
}

/** The limit is on users, so that a page is short however few of them have a session. */
async function page(
  database: Database,
  options: PolicyApplicationOptions,
  { after, limit, entraGroups }: PageRequest,
): Promise<PersonPage> {
  const { rows: ids } = await database.ask((db) =>
    db.execute<{ id: string, active: boolean }>(sql`
      select p.id, a.user_id is not null as active
      from (select id from users where id > ${after} order by id limit ${limit}) p
      left join lateral (select user_id from (${activeUsers(options)}) active where user_id = p.id limit 1) a on true
      order by p.id`)
  )
  const active = ids.filter((row) => row.active).map(({ id }) => id)
  const wanted = sql`array(select id::text from unnest(r.group_ids) id
    where id = any(${sql.param([...entraGroups])}::uuid[]))`
  const { rows: people } = active.length === 0
    ? { rows: [] }
    : await database.ask((db) =>
      db.execute<Row<StoredPerson>>(
        peopleWhere(sql`u.id = any(${sql.param(active)}::uuid[])`, wanted, options),
      )
    )
  return { people, next: ids.length < limit ? undefined : ids.at(-1)?.id }
}

async function apply(
  tx: Transaction,
  seen: StoredPerson,
  { application, plan, requireMappedGroup }: ApplyOptions,
  options: PolicyApplicationOptions,
): Promise<GrantChange | 'replaced' | undefined> {
  const { rowCount } = await tx.execute(sql`select 1 from users where id = ${seen.userId} for update`)
  if (rowCount === 0) return undefined
  // A sign-in or a re-evaluation may have changed everything since the page was read.
  const person = await lockedPerson(tx, seen, application, options)
  if (person === undefined || person === 'replaced') return person
  const grants = await plan(person)
  const written = await writeGrants(tx, person.userId, grants, { keepsByHand: person.isTooOld })
  const change = { ...written, superseded: false }
  const isRefused = requireMappedGroup && change.groups.length === 0 && !change.staff && !change.superuser
  const sessions = isRefused ? await endSessionsOf(tx, person.userId) : [] // guard: policy-apply-refused
  const before = { staff: person.isStaff, superuser: person.isSuperuser }
  const { version, actor, correlationId } = application
  const by = { actor, correlationId }
  if (
    change.groupsAdded.length + change.groupsRemoved.length > 0 || change.staff !== before.staff ||
    change.superuser !== before.superuser
  ) {
    const detail = changeDetail(change, { grants, oid: person.oid, before })
    await auditReevaluation(tx, 'reevaluation', person, by, { ...detail, version, readAt: person.readAt })
  }
  if (sessions.length > 0) {
    await auditReevaluation(tx, 'reevaluation.refused', person, by, { oid: person.oid, sessions, version })
  }
  return change
}

/** After the user's row is locked, in a statement that begins then. */
async function lockedPerson(
  tx: Transaction,
  seen: StoredPerson,
  { version }: ClaimedApplication,
  options: PolicyApplicationOptions,
): Promise<StoredPerson | 'replaced' | undefined> {
  // Most snapshots are the same as in the page, and they may be large.
  const newIds = sql`case when r.read_at <> ${seen.readAt}::timestamptz then r.group_ids::text[] end`
  const { rows: [row] } = await tx.execute<
    Row<Omit<StoredPerson, 'entraGroupIds'> & { entraGroupIds: string[] | null, version: number | null }>
  >(sql`select person.*, ${IN_FORCE} as version
    from (${peopleWhere(sql`u.id = ${seen.userId}`, newIds, options)}) person`)
  if (row === undefined) return undefined
  if (row.version !== version) return 'replaced' // guard: policy-apply-replaced
  return { ...row, entraGroupIds: row.entraGroupIds ?? seen.entraGroupIds } // guard: policy-apply-newer-snapshot
}

interface EndedRow extends ApplicationPosition, Record<string, unknown> {
  readonly version: number
  readonly actor: string
  readonly correlationId: string | null
}

async function end(tx: Transaction, runner: string, state: 'done' | 'replaced'): Promise<void> {
  const { rows: [ended] } = await tx.execute<EndedRow>(sql`
    update policy_applications set state = ${state}, runner = null, written_at = clock_timestamp()
    where runner = ${runner} and state = 'running'
    returning version, actor, correlation_id as "correlationId", done, gains, losses, too_old as "tooOld", failed`)
  if (ended === undefined) return
  const { version, actor, correlationId, done, gains, losses, tooOld, failed } = ended
  await writeAudit(tx, {
    action: 'policy.applied',
    actor,
    ...correlationId === null ? {} : { correlationId },
    detail: { version, state, people: done, gains, losses, tooOld, failed },
  })
}
