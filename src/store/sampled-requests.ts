// The requests of the last day that were sampled (request-sample.ts), with the rights of their users.
import { sql } from 'drizzle-orm'
import type { SampledUser } from '../core/policy-preview.js'
import { SAMPLE_KEPT_MS, type CountedRequest } from '../core/request-sample.js'
import type { Database } from './database.js'
import { ago } from './intervals.js'
import { liveMembership } from './live-membership.js'
import { idsAmong } from './membership-snapshots.js'

export interface SampledRow extends CountedRequest, Record<string, unknown> {
  /** Null: a request without a session. */
  readonly user: (SampledUser & { readonly isActive: boolean }) | null
}

/** Those of inactive users are left out. @param entraGroups the Entra groups that matter */
export async function* sampledRequests(
  database: Database,
  entraGroups: readonly string[],
  batchSize = 500,
): AsyncGenerator<readonly SampledRow[]> {
  for (let after = '';;) {
    const { rows } = await database.ask((db) =>
      db.execute<SampledRow>(sql`
      with page as materialized (
        select key, sum(count)::float8 as count, (array_agg(user_id))[1] as user_id, min(host) as host,
          min(method) as method, min(path) as path, bool_and(is_cut) as is_cut, min(rule) as rule
        from sampled_requests where key > ${after} and hour >= ${ago(SAMPLE_KEPT_MS)}
        group by key order by key limit ${batchSize}),
      known as (
        select u.id, json_build_object('username', u.username, 'isActive', u.is_active, 'isStaff', u.is_staff,
          'isSuperuser', u.is_superuser, 'groups', array(select g.name from user_groups ug
            join groups g on g.id = ug.group_id where ug.user_id = u.id and ${liveMembership('ug')} order by 1),
          'permissions', array(select distinct p.permission from user_groups ug
            join group_permissions p on p.group_id = ug.group_id
            where ug.user_id = u.id and ${liveMembership('ug')} order by 1),
          'entraGroupIds', case when r.user_id is not null then ${idsAmong(entraGroups)} end) as rights
        from users u left join entra_readings r on r.user_id = u.id where u.id in (select user_id from page))
      select page.key, page.count, page.user_id as "userId", page.host, page.method, page.path,
        page.is_cut as "isCut", page.rule, known.rights as user
      from page left join known on known.id = page.user_id order by page.key`)
    )
    const active = rows.filter(({ userId, user }) => userId === null || user?.isActive === true)
    if (active.length > 0) yield active
    if (rows.length < batchSize) return
    after = rows.at(-1)?.key ?? after
  }
}
