// Writes the demo's made-up history into its own database, before the gateway starts: users as their sign-ins would
// have left them, sessions without a cookie, audit rows that say that they are made up, and counts.
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import type { Config } from '../config/config.js'
import { createGroupMapping } from '../core/mapping.js'
import { DEFAULT_RULE, ruleKeys } from '../core/activity.js'
import { createRequestSample } from '../core/request-sample.js'
import type { SampleRow } from '../core/request-sample-hours.js'
import { newPublicSessionId } from '../core/session.js'
import { parseTargetUrl } from '../core/target.js'
import { usernameKey } from '../core/user.js'
import { createDirectory } from '../demo/directory.js'
import { HISTORY_HOURS, KNOWN_PEOPLE, MADE_UP, PAST_REQUESTS, pastCounts, pastSignIns } from '../demo/history.js'
import { DEMO_TENANT_ID, seedDemoDirectory, type PersonKey } from '../demo/people.js'
import { makeActivityDays } from '../store/activity-days.js'
import type { Database, Transaction } from '../store/database.js'
import { writeSampled } from '../store/request-sample.js'

type Known = (typeof KNOWN_PEOPLE)[number]
type Ids = Readonly<Record<Known, string>>

/** Those who are signed in when the demo starts, and with what. */
const SIGNED_IN = [
  { person: 'staff', minutesAgo: 95, browser: 'Firefox', address: '192.0.2.21' },
  { person: 'many', minutesAgo: 140, browser: 'Chrome', address: '192.0.2.34' },
  { person: 'many', minutesAgo: 20, browser: 'Safari', address: '198.51.100.7' },
] as const

/** @param database an empty one with the demo's groups */
export async function writeDemoHistory(
  database: Database,
  { groupMapping, access, applications }: Pick<Config, 'groupMapping' | 'access' | 'applications'>,
  now: number = Date.now(),
): Promise<void> {
  await makeActivityDays(database, HISTORY_HOURS / 24 + 1)
  const hosts = applications.map(({ host }) => host)
  const known = await database.transaction(async (tx) => {
    const ids = await writeUsers(tx, groupMapping)
    await writeSessions(tx, ids, hosts[0] ?? null)
    await writeRecord(tx, ids)
    await writeCounts(tx, [...ruleKeys(access.rules), DEFAULT_RULE], now)
    await writeLevels(tx, now)
    return ids
  })
  await writeSampled(database, randomUUID(), pastRequests(known, hosts, new Date(now - 3_600_000)))
}

/** As a replica notes them (core/request-sample.ts). */
function pastRequests(ids: Ids, hosts: readonly string[], hour: Date): readonly SampleRow[] {
  const sample = createRequestSample(() => PAST_REQUESTS.length)
  return PAST_REQUESTS.flatMap(({ person, application, path, count }) => {
    const host = hosts[application]
    if (host === undefined) return []
    sample.nextSecond()
    sample.note(parseTargetUrl(`http://${host}${path}`, 'GET'), ids[person], undefined)
    return sample.take().map((request) => ({ ...request, count, hour }))
  })
}

/** With the rights that the mapping grants for their groups in the simulated directory. */
async function writeUsers(tx: Transaction, groupMapping: Config['groupMapping']): Promise<Ids> {
  const directory = createDirectory(DEMO_TENANT_ID)
  const people = seedDemoDirectory(directory)
  const mapping = createGroupMapping(groupMapping)
  const ids = {} as Record<Known, string>
  for (const key of KNOWN_PEOPLE) {
    const { id: oid, displayName, givenName, surname, userPrincipalName: upn, mail } = people[key]
    const entraGroups = directory.transitiveMemberOf(oid)
    const { groups, staff, superuser } = mapping.evaluate(entraGroups)
    const { first, last } = bounds(key)
    const causes = (given: readonly unknown[]) => given.length === 0 ? null : JSON.stringify(given)
    const flagSince = (given: readonly unknown[]) => given.length === 0 ? sql`null` : minutesAgo(first)
    const { rows: [row] } = await tx.execute<{ id: string }>(sql`
      insert into users (username, username_key, email, email_verified, name, given_name, family_name, is_staff,
        is_superuser, staff_cause, superuser_cause, staff_since, superuser_since, created_at, last_login_at)
      values (${upn}, ${usernameKey(upn)}, ${mail ?? null}, true, ${displayName}, ${givenName ?? null},
        ${surname ?? null}, ${staff.length > 0}, ${superuser.length > 0}, ${causes(staff)}::jsonb,
        ${causes(superuser)}::jsonb, ${flagSince(staff)}, ${flagSince(superuser)}, ${minutesAgo(first)},
        ${minutesAgo(last)}) returning id`)
    ids[key] = row?.id ?? ''
    await tx.execute(sql`insert into identities (tid, oid, user_id, guest, created_at, upn, upn_key, upn_seen_at)
      values (${DEMO_TENANT_ID}, ${oid}, ${ids[key]}, false, ${minutesAgo(first)}, ${upn}, ${usernameKey(upn)},
        ${minutesAgo(last)})`)
    await tx.execute(sql`insert into entra_readings (user_id, group_ids, read_at)
      values (${ids[key]}, ${sql.param([...entraGroups])}::uuid[], ${minutesAgo(last)})`)
    for (const [name, cause] of groups) {
      await tx.execute(sql`insert into user_groups (user_id, group_id, cause, since)
        select ${ids[key]}, id, ${JSON.stringify(cause)}::jsonb, ${minutesAgo(first)} from groups where name = ${name}`)
    }
  }
  return ids
}

const minutesAgo = (minutes: number) => sql`now() - ${minutes}::int * interval '1 minute'`

/** The first and the last sign-in of a person, in minutes before now. */
function bounds(key: PersonKey): { readonly first: number, readonly last: number } {
  const times = pastSignIns().filter(({ person }) => person === key).map((each) => each.minutesAgo)
  return { first: Math.max(...times), last: Math.min(...times) }
}

/** Of the id in the cookie there is only a hash of random bytes: these sessions open nothing. */
async function writeSessions(tx: Transaction, ids: Ids, host: string | null): Promise<void> {
  for (const { person, minutesAgo: minutes, browser, address } of SIGNED_IN) {
    const hash = createHash('sha256').update(randomBytes(32)).digest()
    await tx.execute(sql`
      insert into sessions (id_hash, public_id, user_id, created_at, last_seen_at, browser, client_address, last_host)
      values (${hash}, ${newPublicSessionId()}, ${ids[person]}, ${minutesAgo(minutes)}, ${
      minutesAgo(Math.floor(minutes / 4))
    }, ${browser}, ${address}, ${host})`)
  }
}

async function writeRecord(tx: Transaction, ids: Ids): Promise<void> {
  const write = (event: { action: string, actor: string, person: Known, minutes: number, detail?: object }) =>
    tx.execute(sql`
      insert into audit_events (at, action, actor, user_id, username, correlation_id, detail)
      select ${minutesAgo(event.minutes)}, ${event.action}, ${event.actor}, id, username,
        ${`demo-${event.person}-${event.minutes}`}, ${JSON.stringify({ ...event.detail, demo: MADE_UP })}::jsonb
      from users where id = ${ids[event.person]}`)
  for (const { person, minutesAgo: minutes } of pastSignIns()) {
    if (!isKnown(person)) continue
    await write({ action: 'login', actor: 'login', person, minutes })
    if (minutes > 1_440) await write({ action: 'logout', actor: 'login', person, minutes: minutes - 45 })
  }
  const actor = `admin:${ids.superuser}`
  await write({ action: 'admin.person.viewed', actor, person: 'many', minutes: 60 })
  await write({ action: 'session.revoke', actor: 'cli:operator', person: 'many', minutes: 58, detail: { sessions: 1 } })
}

function isKnown(person: PersonKey): person is Known {
  return (KNOWN_PEOPLE as readonly PersonKey[]).includes(person)
}

async function writeCounts(tx: Transaction, rules: readonly string[], now: number): Promise<void> {
  const counts = pastCounts(now)
  const ofRules = counts.filter(({ kind, key }) => kind === 'answer' && key === 'allowed').flatMap(
    ({ hoursAgo, count }) =>
      rules.map((key, index) => ({ hoursAgo, kind: 'rule', key, count: Math.floor(count / (index + 2)) })),
  )
  const rows = [...counts, ...ofRules].filter(({ count }) => count > 0)
  await tx.execute(sql`
    insert into activity_counts (hour, kind, key, replica, count, minutes)
    select date_trunc('hour', to_timestamp(${now / 1000}::float8)) - given."hoursAgo" * interval '1 hour', given.kind,
      given.key, ${randomUUID()}::uuid, given.count, array(
        select (given.count * minute / 60 - given.count * (minute - 1) / 60)::int from generate_series(1, 60) minute)
    from json_to_recordset(${JSON.stringify(rows)}) as given ("hoursAgo" int, kind text, key text, count int)`)
}

/** As many superusers and staff in every past hour as there are now. */
async function writeLevels(tx: Transaction, now: number): Promise<void> {
  await tx.execute(sql`
    insert into activity_counts (hour, kind, key, replica, count, minutes)
    select date_trunc('hour', to_timestamp(${now / 1000}::float8)) - ago * interval '1 hour', 'superusers', key,
      ${randomUUID()}::uuid, active, '{}'
    from generate_series(1, ${HISTORY_HOURS}) ago, (
      select 'superusers' as key, count(*) as active from users where is_superuser
      union all select 'staff', count(*) from users where is_staff) counted`)
}
