// The record for administrators: filtered, page by page, and as a file. The command, the API and the page use it alike.
import type { AuditActor, AuditCursor, AuditFilter, AuditReader, AuditView } from '../core/audit.js'
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import { checkText } from './text.js'
import { actorOf, administratorOf } from './viewer.js'
import { allPages, type Page, type PageRequest } from '../core/page.js'

export interface AuditQuery extends Omit<AuditFilter, 'userId'> {
  /** A username, UPN, e-mail address or id; also the id of a user who was removed. */
  readonly person?: string | undefined
}

export interface AuditExport {
  /** Pages of rows, newest first. The next page is read when this one was taken. */
  readonly pages: AsyncIterable<readonly AuditView[]>
  /** After the last page: the rows end at the bound, and there are more. */
  bounded(): boolean
}

export interface AuditAdmin {
  /** @throws GatehouseError `user_unknown`, `user_ambiguous`, `request_malformed`, `database_unavailable` */
  list(request: AuditQuery & PageRequest<AuditCursor>): Promise<Page<AuditView, AuditCursor>>
  /** @param maxRows the rest is left out @throws like `list`, before anything is read */
  export(query: AuditQuery, maxRows?: number): Promise<AuditExport>
  /** The administrators among the actors of these rows, by actor; a user who was removed is not in it. */
  actorsOf(rows: readonly Pick<AuditView, 'actor'>[]): Promise<ReadonlyMap<string, AuditActor>>
}

export interface AuditAdminPorts {
  readonly audit: AuditReader
  /** @returns the id @throws GatehouseError `user_unknown`, `user_ambiguous` */
  readonly findPerson: (text: string) => Promise<string>
}

const EXPORT_PAGE_ROWS = 1_000

export function createAuditAdmin({ audit, findPerson }: AuditAdminPorts): AuditAdmin {
  const filterOf = async ({ person, ...filter }: AuditQuery): Promise<AuditFilter> => {
    for (const text of [person, filter.actor, filter.action, filter.correlationId]) checkText(text)
    for (const time of [filter.since, filter.until]) checkTime(time)
    return person === undefined ? filter : { ...filter, userId: await idOf(person, findPerson) }
  }
  return {
    async list({ after, limit, ...query }) {
      const filter = await filterOf(query)
      return await audit.list({ ...filter, after, ...limit === undefined ? {} : { limit } })
    },
    async export(query, maxRows = Infinity) {
      return exported(audit, await filterOf(query), maxRows)
    },
    async actorsOf(rows) {
      const ids = new Set(rows.flatMap(({ actor }) => administratorOf(actor) ?? []))
      const users = ids.size === 0 ? [] : await audit.users([...ids])
      return new Map(users.map((user) => [actorOf(user), user]))
    },
  }
}

/** A user who was removed has an id still, by which the record knows them. */
async function idOf(person: string, findPerson: AuditAdminPorts['findPerson']): Promise<string> {
  try {
    return await findPerson(person)
  } catch (error) {
    const isUnknown = error instanceof GatehouseError && error.code === 'user_unknown'
    if (isUnknown && isObjectId(person)) return person
    throw error
  }
}

function exported(audit: AuditReader, filter: AuditFilter, maxRows: number): AuditExport {
  let left = maxRows
  let bounded = false
  const pages = async function* () {
    for await (
      const rows of allPages((after: AuditCursor | undefined) =>
        audit.list({ ...filter, after, limit: EXPORT_PAGE_ROWS })
      )
    ) {
      bounded = rows.length > left
      yield rows.slice(0, left)
      left -= rows.length
      if (bounded) return
    }
  }
  return { pages: pages(), bounded: () => bounded }
}

/** What PostgreSQL reads as a date is not all that JavaScript writes as one. */
function checkTime(time: Date | undefined): void {
  if (time === undefined || /^(?!0000)\d{4}-/.test(time.toISOString())) return
  throw new GatehouseError('request_malformed', { detail: 'a time is outside of the years 1 to 9999' })
}
