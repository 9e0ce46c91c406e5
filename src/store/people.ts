// Users for pages and commands: lists, one user, and the reasons for their rights.
import { sql, type SQL } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import type { PeopleStore, PersonView } from '../core/people.js'
import { usernameKey } from '../core/user.js'
import type { SessionTimeouts } from '../core/session.js'
import type { Database } from './database.js'
import { peoplePage } from './people-list.js'
import { memberView, personSummary, personView } from './person-view.js'

/** An e-mail address may belong to any number of users; the message names some of them. */
const MAX_CANDIDATES = 20

export function createPeopleStore(database: Database, timeouts: SessionTimeouts): PeopleStore {
  const select = async (where: SQL): Promise<PersonView[]> => {
    const { rows } = await database.ask((db) =>
      db.execute<{ person: PersonView }>(
        sql`select ${personView(timeouts)} as person from users u where ${where} order by u.username
          limit ${MAX_CANDIDATES + 1}`,
      )
    )
    return rows.map((row) => row.person)
  }
  return {
    list: (request) => peoplePage(database, request, personSummary),
    listDetailed: (request) => peoplePage(database, request, personView(timeouts)),
    members: (request) => peoplePage(database, request, memberView(request.group)),
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
