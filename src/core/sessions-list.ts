// Active sessions as administrators see them, newest first.
import type { Page, PageRequest } from './page.js'

export interface SessionView {
  /** The public id. */
  readonly id: string
  readonly userId: string
  readonly username: string
  readonly createdAt: string
  readonly lastSeenAt: string
  /** Of the last use that was recorded; null: not known, or session.recordClient is not set. */
  readonly browser: string | null
  readonly address: string | null
  readonly host: string | null
}

/** A session fulfils every condition that is given. */
export interface SessionFilter {
  readonly userId?: string | undefined
  readonly host?: string | undefined
  readonly browser?: string | undefined
  readonly address?: string | undefined
  /** It began at least so long ago. */
  readonly olderThanMs?: number | undefined
}

/** A row of a page: the next one begins after it. */
export type SessionCursor = Pick<SessionView, 'id' | 'createdAt'>

export type SessionsRequest = SessionFilter & PageRequest<SessionCursor>

export interface SessionsList {
  /** A page may have fewer rows than its limit, also none, although it is not the last (core/people.ts). */
  list(request: SessionsRequest): Promise<Page<SessionView, SessionCursor>>
  /** Undefined: there is none, or it is over. */
  byId(publicId: string): Promise<SessionView | undefined>
}
