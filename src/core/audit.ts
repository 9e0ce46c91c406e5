// The record as it is read: its rows, what it is filtered by, and the port that reads it page by page.
import type { Page, PageRequest } from './page.js'

export interface AuditView {
  /** Of the row; rows of one transaction have the same time. */
  readonly id: string
  /** ISO 8601, to the microsecond. */
  readonly at: string
  readonly action: string
  readonly actor: string
  readonly userId: string | null
  readonly username: string | null
  readonly correlationId: string | null
  readonly detail: Readonly<Record<string, unknown>>
}

/** Rows of one transaction have the same time. */
export interface AuditCursor {
  readonly at: string
  readonly id: string
}

export interface AuditFilter {
  readonly userId?: string | undefined
  /** Exactly. */
  readonly actor?: string | undefined
  /** An action, or the words it begins with: `group` finds `group.add`. */
  readonly action?: string | undefined
  readonly correlationId?: string | undefined
  /** Not before this instant. */
  readonly since?: Date | undefined
  /** Before this instant. */
  readonly until?: Date | undefined
}

/** A user who did something in the console: the actor `admin:<user id>`. */
export interface AuditActor {
  readonly userId: string
  readonly username: string
  readonly name: string | null
}

export interface AuditReader {
  /** Newest first. */
  list(request: AuditFilter & PageRequest<AuditCursor>): Promise<Page<AuditView, AuditCursor>>
  /** Those of these ids that exist. */
  users(ids: readonly string[]): Promise<readonly AuditActor[]>
}
