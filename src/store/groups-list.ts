// Local groups, page by page in the order of their names. There are few of them compared with users: a filter may
// examine all groups, but never all memberships.
import { sql, type SQL } from 'drizzle-orm'
import type { GroupFilter, GroupsList, GroupView } from '../core/groups.js'
import { PAGE_ROWS, pageOf } from '../core/page.js'
import type { Database } from './database.js'
import { endedMembership, liveMembership } from './live-membership.js'

export function createGroupsList(database: Database): GroupsList {
  const select = async (where: SQL, limit?: number): Promise<readonly GroupView[]> => {
    const { rows } = await database.ask((db) =>
      db.execute<GroupView & Record<string, unknown>>(groupsQuery(where, limit))
    )
    return rows
  }
  return {
    async list({ after, limit = PAGE_ROWS, ...filter }) {
      const later = after === undefined ? sql`true` : sql`g.name > ${after}` // guard: list-groups-after
      return pageOf(await select(sql`${condition(filter)} and ${later}`, limit + 1), limit, ({ name }) => name)
    },
    all: () => select(sql`true`),
    async byName(name) {
      return (await select(sql`g.name = ${name}`, 1))[0]
    },
    async named(names) {
      const { rows } = await database.ask((db) =>
        db.execute<{ name: string, permissions: string[] }>(sql`
          select g.name, array(select p.permission from group_permissions p where p.group_id = g.id order by 1)
            as permissions
          from groups g where g.name = any(${sql.param([...names])}::text[])`)
      )
      return new Map(rows.map(({ name, permissions }) => [name, permissions]))
    },
  }
}

/** All rows, which an index has, without those that have ended, of which an index has few. @param group its id */
export function memberCount(group: SQL): SQL {
  return sql`(select count(*)::int from user_groups ug where ug.group_id = ${group})
    - (select count(*)::int from user_groups ended where ended.group_id = ${group} and ${endedMembership('ended')})`
}

/** @param where a condition on `groups g` */
export function groupsQuery(where: SQL, limit?: number): SQL {
  return sql`
    select g.name, g.description,
      coalesce((select array_agg(p.permission order by p.permission) from group_permissions p where p.group_id = g.id),
        '{}') as permissions,
      ${memberCount(sql`g.id`)} as members
    from groups g where ${where} order by g.name limit ${limit ?? null}`
}

function condition({ q, empty, unusedExcept }: GroupFilter): SQL {
  const found = (column: SQL): SQL => sql`position(lower(${q}) in lower(${column})) > 0`
  const member = sql`exists (select 1 from user_groups ug where ug.group_id = g.id and ${liveMembership('ug')})`
  return sql.join([
    sql`true`,
    ...q === undefined ? [] : [sql`(${found(sql`g.name`)} or ${found(sql`g.description`)})`],
    ...empty === undefined ? [] : [empty ? sql`not ${member}` : member],
    ...unusedExcept === undefined ? [] : [sql`not g.name = any(${sql.param([...unusedExcept])}::text[])
      and not exists (select 1 from group_permissions p where p.group_id = g.id)`],
  ], sql` and `)
}
