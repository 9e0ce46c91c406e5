// Users for pages and commands: lists, one user, and the reasons for their rights.
import { sql, type SQL } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import { usernameKey } from '../core/user.js'
import type { Cause } from '../core/mapping.js'
import type { SessionTimeouts } from '../core/session.js'
import type { Database } from './database.js'
import { PAGE_ROWS, pageOf, type Page, type PageRequest } from '../core/page.js'
import { searchQuery, type SearchCursor } from './people-search.js'
import { personView } from './person-view.js'

export interface GrantedGroup {
  readonly name: string
  readonly cause: readonly Cause[] | null
  readonly since: string
}

export interface EntraIdentity {
  readonly tid: string
  readonly oid: string
  /** The last principal name that Entra ID reported, and the time. */
  readonly upn: string | null
  readonly upnSeenAt: string | null
}

export interface PersonView {
  readonly id: string
  readonly username: string
  readonly email: string | null
  readonly emailVerified: boolean
  readonly name: string | null
  readonly isActive: boolean
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  readonly isBreakGlass: boolean
  readonly staffCause: readonly Cause[] | null
  readonly staffSince: string | null
  readonly superuserCause: readonly Cause[] | null
  readonly superuserSince: string | null
  readonly groups: readonly GrantedGroup[]
  readonly identities: readonly EntraIdentity[]
  /** Usernames of other users whose principal name in Entra ID is this one's username now. */
  readonly namesakes: readonly string[]
  /** The number of Entra groups in the last snapshot, and the time of the snapshot. */
  readonly entraGroups: number | null
  readonly readAt: string | null
  readonly createdAt: string
  readonly lastLoginAt: string | null
  readonly liveSessions: number
}

export interface PeopleFilter {
  readonly staff?: boolean
  readonly superuser?: boolean
}

export interface PeopleStore {
  /** In the order of usernames; the cursor is a username. */
  list(request: PeopleFilter & PageRequest<string>): Promise<Page<PersonView, string>>
  /**
   * In the order of what was found, each user once. A page may have fewer rows than its limit, also none, although it
   * is not the last. @param prefix of a username, UPN, e-mail address, display name or family name; case does not count
   */
  search(prefix: string, request: PeopleFilter & PageRequest<SearchCursor>): Promise<Page<PersonView, SearchCursor>>
  /**
   * @param user the first match of username, last UPN reported by Entra ID, e-mail (when it names one person) and id
   * @throws `user_unknown`, `user_ambiguous`
   */
  find(user: string): Promise<PersonView>
  byId(id: string): Promise<PersonView | undefined>
}

/** An e-mail address may belong to any number of users; the message names some of them. */
const MAX_CANDIDATES = 20

export function createPeopleStore(database: Database, timeouts: SessionTimeouts): PeopleStore {
  const select = async (where: SQL, limit = MAX_CANDIDATES + 1): Promise<PersonView[]> => {
    const { rows } = await database.ask((db) =>
      db.execute<{ person: PersonView }>(
        sql`select ${personView(timeouts)} as person from users u where ${where} order by u.username limit ${limit}`,
      )
    )
    return rows.map((row) => row.person)
  }
  return {
    async list({ after, limit = PAGE_ROWS, ...filter }) {
      const later = after === undefined ? sql`true` : sql`u.username > ${after}`
      const found = await select(sql`${condition(filter)} and ${later}`, limit + 1)
      return pageOf(found, limit, (person) => person.username)
    },
    search: (prefix, request) => searchPage(database, timeouts, { prefix, ...request }),
    async byId(id) {
      return (await select(sql`u.id = ${id}`))[0]
    },
    async find(user) {
      for (const where of meanings(user)) {
        const [person, second, ...more] = await select(where)
        if (second) throw ambiguous(user, [person, second, ...more]) // guard: adv-ambiguous-refused
        if (person) return person
      }
      throw new GatehouseError('user_unknown', {
        detail: `there is no user ${user}`,
        remedy: 'gatehouse users list shows all users.',
      })
    },
  }
}

interface SearchRow extends SearchCursor, Record<string, unknown> {
  readonly term: string
  readonly id: string
  readonly person: PersonView | null
}

type SearchRequest = PeopleFilter & PageRequest<SearchCursor> & { readonly prefix: string }

async function searchPage(
  database: Database,
  timeouts: SessionTimeouts,
  { prefix, after, limit = PAGE_ROWS, ...filter }: SearchRequest,
): Promise<Page<PersonView, SearchCursor>> {
  const query = searchQuery({
    prefix,
    key: usernameKey(prefix),
    after,
    limit,
    condition: condition(filter),
    person: personView(timeouts),
  })
  const { rows } = await database.ask((db) => db.execute<SearchRow>(query))
  const page = pageOf(rows, limit, ({ term, id }) => ({ term, id }))
  return { ...page, rows: page.rows.flatMap(({ person }) => person ?? []) }
}

function condition({ staff, superuser }: PeopleFilter): SQL {
  return sql`${staff ? sql`u.is_staff` : sql`true`} and ${superuser ? sql`u.is_superuser` : sql`true`}`
}

/** What USER may be, in the order in which it counts. */
function meanings(user: string): SQL[] {
  const key = usernameKey(user)
  // A principal name belongs to one account of a tenant at a time: who had it before counts no longer.
  // guard: adv-upn-sent-last
  const upn = sql`exists (select 1 from identities i where i.user_id = u.id and i.upn_key = ${key} and not exists (
    select 1 from identities o where o.upn_key = ${key} and o.tid = i.tid and o.upn_seen_at > i.upn_seen_at))`
  const id = sql`u.id in (select ${user}::uuid union all select user_id from identities where oid = ${user})`
  // guard: adv-found-by-upn, adv-username-before-upn
  return [sql`u.username_key = ${key}`, upn, sql`lower(u.email) = lower(${user})`, ...isObjectId(user) ? [id] : []]
}

function ambiguous(user: string, found: readonly (PersonView | undefined)[]): GatehouseError {
  const candidates = found.flatMap((each) => each === undefined ? [] : [`${each.username} (${each.id})`])
  const more = candidates.length > MAX_CANDIDATES
  const named = candidates.slice(0, MAX_CANDIDATES).join(', ')
  return new GatehouseError('user_ambiguous', {
    detail: more
      ? `${user} names more than ${MAX_CANDIDATES} users: ${named}, and more`
      : `${user} names ${candidates.length} users: ${named}`,
    remedy: 'Give the username or the id.',
  })
}
