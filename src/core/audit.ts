// The record as it is read: its rows, their one form as JSON, what it is filtered by, and the port that reads it page
// by page.
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

/** A row as every list, file and export of the audit has it. */
export function auditRecord(
  { id, at, action, actor, userId, username, correlationId, detail }: AuditView,
): AuditView {
  return { id, at, action, actor, userId, username, correlationId, detail }
}

/** The same as one line of JSON. */
export function auditJson(event: AuditView): string {
  return asciiControls(JSON.stringify(auditRecord(event)))
}

/** Names could contain control characters, which a terminal would obey, and marks that reorder its text. */
export function asciiControls(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u2028\u2029]|\p{Cf}/gu,
    (mark) => Array.from({ length: mark.length }, (_, at) => escaped(mark.charCodeAt(at))).join(''),
  )
}

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
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
