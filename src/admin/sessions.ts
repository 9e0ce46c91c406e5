// Active sessions for the console, its API and the commands.
import { GatehouseError } from '../core/errors.js'
import type { Page, PageRequest } from '../core/page.js'
import type { PeopleStore } from '../core/people.js'
import type { SessionCursor, SessionFilter, SessionsList, SessionView } from '../core/sessions-list.js'
import { checkText } from './text.js'

export interface SessionsAdminRequest
  extends Omit<SessionFilter, 'userId' | 'olderThanMs'>, PageRequest<SessionCursor> {
  /** Username, UPN, e-mail address or id. */
  readonly person?: string | undefined
  readonly olderThanHours?: number | undefined
}

export interface SessionsAdmin {
  /** Newest first. @throws `user_unknown`, `user_ambiguous` */
  list(request: SessionsAdminRequest): Promise<Page<SessionView, SessionCursor>>
  /** @throws `session_unknown` */
  get(publicId: string): Promise<SessionView>
}

export interface SessionsPorts {
  readonly sessions: SessionsList
  readonly people: Pick<PeopleStore, 'find'>
}

const HOUR_MS = 3_600_000

export function createSessionsAdmin({ sessions, people }: SessionsPorts): SessionsAdmin {
  return {
    async list({ person, olderThanHours, ...request }) {
      checkText(person, request.host, request.browser, request.address)
      const userId = person === undefined ? undefined : (await people.find(person)).id
      const olderThanMs = olderThanHours === undefined ? undefined : olderThanHours * HOUR_MS
      return await sessions.list({ ...request, userId, olderThanMs })
    },
    async get(publicId) {
      checkText(publicId)
      const session = await sessions.byId(publicId)
      if (session === undefined) throw sessionUnknown(publicId)
      return session
    },
  }
}

export function sessionUnknown(publicId: string): GatehouseError {
  return new GatehouseError('session_unknown', {
    detail: `there is no session ${publicId}`,
    remedy: 'gatehouse sessions list shows them; it may have ended already.',
  })
}
