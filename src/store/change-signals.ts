// Keeps the links of delta queries, and which users a delta query has named. A signal only makes a user due
// (due-users.ts): nothing here changes a right or a session.
import { sql, type SQL } from 'drizzle-orm'
import type { ChangeRound, DeltaChain, SignalStore } from '../core/change-signals.js'
import { SETTLED_AFTER_MS } from '../core/due-users.js'
import { BEFORE_ALL_IDS } from '../core/first-id.js'
import { activeUsers, type ActiveUsersOptions } from './active-users.js'
import type { Database, Transaction } from './database.js'
import { databaseTime, interval } from './intervals.js'

/** Rows of one statement: with a million users each takes a small part of the time limit of a statement. */
const SLICE = 10_000
/** Of signals in one round: what is answered and not removed yet makes no user due. */
const SETTLED_SLICES = 5

/** @param slice rows of one statement */
export function createSignalStore(database: Database, options: ActiveUsersOptions, slice = SLICE): SignalStore {
  const settled = createSettledRemoval(database, slice)
  return {
    async chains(scope) {
      const { rows } = await database.ask((db) =>
        db.execute<ChainRow>(sql`
        select id, kind, group_ids::text[] as "groupIds", nested, former, added::text[] as added, link, following,
          announced, pages from delta_chains where scope = ${scope} order by read_at, id`)
      )
      return rows
    },
    async record(scope, round) {
      // guard: delta-links-last
      const users = await signalAll({ database, options, slice }, round)
      await database.transaction((tx) => storeChains(tx, scope, round))
      await settled.remove()
      return users
    },
  }
}

type ChainRow = Record<string, unknown> & DeltaChain

interface Signals {
  readonly database: Database
  readonly options: ActiveUsersOptions
  readonly slice: number
}

/**
 * Every slice is recorded by itself: after an interruption a part of the users has a signal, the links are the old
 * ones, and the next round signals all of them again.
 * @returns users that were signalled, each of them once
 */
async function signalAll(signals: Signals, { users, groups }: ChangeRound): Promise<number> {
  if (users.size + groups.size === 0) return 0
  const { database, slice } = signals
  // one time for all slices, from before the first: a snapshot that is read meanwhile answers the signal
  const at = await databaseTime(database)
  const [oids, groupIds] = [[...users], [...groups]]
  let signalled = 0
  for (let from = 0; from < oids.length; from += slice) {
    signalled += await signalAccounts(signals, oids.slice(from, from + slice), at)
  }
  if (groupIds.length === 0) return signalled // guard: delta-signals-by-group
  for (let after: string | undefined = BEFORE_ALL_IDS; after !== undefined;) {
    const done = await signalMembers(signals, { groupIds, at, after })
    signalled += done.signalled
    after = done.last // guard: delta-every-slice
  }
  return signalled
}

async function signalAccounts({ database, options }: Signals, oids: readonly string[], at: string): Promise<number> {
  // guard: delta-signals-by-user
  const named = sql`select user_id from identities
    where tid = ${options.tenantId} and oid = any(${sql.param(oids)}::uuid[])`
  const { rowCount } = await database.transaction((tx) => tx.execute(insertSignals(options, named, at)))
  return rowCount ?? 0
}

interface Slice {
  readonly groupIds: readonly string[]
  readonly at: string
  /** The user id that the slice begins behind. */
  readonly after: string
}

/** Every snapshot is looked at. @returns the last user of the slice; undefined: it was the last slice */
async function signalMembers({ database, options, slice }: Signals, { groupIds, at, after }: Slice) {
  const meant = sql`select user_id from slice where meant`
  const { rows: [done] } = await database.transaction((tx) =>
    // `any` is hashed; `&&` compares each pair, which exceeds the limit of a statement with some thousand groups
    // guard: sync-groups-hashed
    tx.execute<{ last: string | null, signalled: number }>(sql`
      with slice as materialized (select user_id,
          exists (select 1 from unnest(group_ids) g where g = any(${sql.param(groupIds)}::uuid[])) as meant
        from entra_readings where user_id > ${after} order by user_id limit ${slice}),
      signalled as (${insertSignals(options, meant, at)} returning 1)
      select (select user_id from slice order by user_id offset ${slice - 1} limit 1) as last,
        (select count(*)::int from signalled) as signalled`)
  )
  return { last: done?.last ?? undefined, signalled: done?.signalled ?? 0 }
}

/**
 * Users of the tenant with an active session. An array, so that they are looked up by index, and not by reading every
 * session for each slice. A signal of this round or a later one is not counted again.
 */
function insertSignals(options: ActiveUsersOptions, userIds: SQL, at: string): SQL {
  // guard: delta-signal-moved
  return sql`insert into change_signals as s (user_id, signalled_at)
    select a.user_id, ${at}::timestamptz from (${activeUsers(options)}) a
      where a.ours and a.user_id = any(array(${userIds})) order by a.user_id
    on conflict (user_id) do update set signalled_at = excluded.signalled_at
      where s.signalled_at < excluded.signalled_at`
}

/**
 * Removes answered signals, and those of users that were removed: without a foreign key no locked user delays a round.
 * Some slices in each round, and the next round continues behind them.
 */
function createSettledRemoval(database: Database, slice: number) {
  let after = BEFORE_ALL_IDS
  return {
    async remove(): Promise<void> {
      for (let slices = 0; slices < SETTLED_SLICES; slices++) {
        const last = await removeSettled(database, slice, after)
        after = last ?? BEFORE_ALL_IDS // guard: delta-settled-every-slice
        if (last === undefined) return
      }
    },
  }
}

/** Looked up for each signal of the slice, because a join would read every snapshot. @returns the last user of it */
async function removeSettled(database: Database, slice: number, after: string): Promise<string | undefined> {
  const { rows: [done] } = await database.transaction((tx) =>
    tx.execute<{ last: string | null }>(sql`
      with slice as materialized (select user_id, signalled_at from change_signals where user_id > ${after}
        order by user_id limit ${slice}),
      settled as materialized (select user_id, signalled_at from slice where
        (select r.read_at from entra_readings r where r.user_id = slice.user_id)
          >= signalled_at + ${interval(SETTLED_AFTER_MS)}
        or (select u.id from users u where u.id = slice.user_id) is null),
      removed as (delete from change_signals s using settled
        where s.user_id = settled.user_id and s.signalled_at = settled.signalled_at)
      select (select user_id from slice order by user_id offset ${slice - 1} limit 1) as last`)
  )
  return done?.last ?? undefined
}

/** Links of another scope are removed: another tenant, registration or Graph is configured now. */
async function storeChains(tx: Transaction, scope: string, { chains, read }: ChangeRound): Promise<void> {
  const ids = sql.param(chains.map(({ id }) => id))
  await tx.execute(sql`delete from delta_chains where scope <> ${scope} or id <> all(${ids}::uuid[])`)
  await tx.execute(sql`
    insert into delta_chains as d
      (id, scope, kind, group_ids, nested, former, added, link, following, announced, pages, read_at)
      select (c ->> 'id')::uuid, ${scope}, c ->> 'kind', array(select jsonb_array_elements_text(c -> 'groupIds')::uuid),
        c -> 'nested', c -> 'former', array(select jsonb_array_elements_text(c -> 'added')::uuid), c ->> 'link',
        (c ->> 'following')::boolean, (c ->> 'announced')::boolean, (c ->> 'pages')::int, now()
      from jsonb_array_elements(${JSON.stringify(chains)}::jsonb) c
    on conflict (id) do update set nested = excluded.nested, former = excluded.former, added = excluded.added,
      link = excluded.link, following = excluded.following, announced = excluded.announced, pages = excluded.pages,
      read_at = case when d.id = any(${sql.param([...read])}::uuid[]) then now() else d.read_at end`)
}
