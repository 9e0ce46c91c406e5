// Keeps the links of delta queries, and which users a delta query has named. A signal only makes a user due
// (due-users.ts): nothing here changes a right or a session.
import { sql } from 'drizzle-orm'
import type { ChangeRound, DeltaChain, SignalStore } from '../core/change-signals.js'
import { SETTLED_AFTER_MS } from '../core/due-users.js'
import { activeUsers, type ActiveUsersOptions } from './active-users.js'
import type { Database, Transaction } from './database.js'
import { interval } from './intervals.js'

export function createSignalStore(database: Database, options: ActiveUsersOptions): SignalStore {
  return {
    async chains(scope) {
      const { rows } = await database.ask((db) =>
        db.execute<ChainRow>(sql`
        select id, kind, group_ids::text[] as "groupIds", nested, former, added::text[] as added, link, following,
          announced, pages from delta_chains where scope = ${scope} order by read_at, id`)
      )
      return rows
    },
    record: (scope, round) =>
      database.transaction(async (tx) => {
        const users = await signal(tx, options, round)
        await storeChains(tx, scope, round)
        await removeSettled(tx)
        return users
      }),
  }
}

type ChainRow = Record<string, unknown> & DeltaChain

/** Users of the tenant with an active session: named themselves, or by a group of their last snapshot. */
async function signal(tx: Transaction, options: ActiveUsersOptions, { users, groups }: ChangeRound): Promise<number> {
  if (users.size + groups.size === 0) return 0
  const [oids, groupIds] = [sql.param([...users]), sql.param([...groups])]
  // every snapshot is looked at, which is only done where a whole group is meant
  // `any` is hashed; `&&` compares each pair, which exceeds the limit of a statement with some thousand groups
  // guard: sync-groups-hashed
  const byGroup = sql`select user_id from entra_readings
    where exists (select 1 from unnest(group_ids) g where g = any(${groupIds}::uuid[]))`
  // guard: delta-signals-by-user, delta-signals-by-group
  const { rowCount } = await tx.execute(sql`
    insert into change_signals (user_id, signalled_at)
      select a.user_id, now() from (${activeUsers(options)}) a where a.ours and a.user_id in (
        select user_id from identities where tid = ${options.tenantId} and oid = any(${oids}::uuid[])
        ${groups.size === 0 ? sql`` : sql`union ${byGroup}`})
      order by a.user_id
    on conflict (user_id) do update set signalled_at = excluded.signalled_at`)
  return rowCount ?? 0
}

/** Answered signals, and those of users that were removed: without a foreign key no locked user delays a round. */
async function removeSettled(tx: Transaction): Promise<void> {
  await tx.execute(sql`delete from change_signals s using entra_readings r
    where r.user_id = s.user_id and r.read_at >= s.signalled_at + ${interval(SETTLED_AFTER_MS)}`)
  await tx.execute(sql`delete from change_signals s where not exists (select 1 from users u where u.id = s.user_id)`)
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
