// The record: one row for every login and every change by command. Rows are only ever added.
import type { Drizzle, Transaction } from './database.js'
import { auditEvents } from './schema.js'

export interface AuditEvent {
  /** Dotted words: `login`, `login.refused`, `group.add`. */
  readonly action: string
  /** `login`, `cli:<os user>` or `system`. */
  readonly actor: string
  readonly userId?: string
  readonly username?: string
  readonly correlationId?: string
  readonly detail: Readonly<Record<string, unknown>>
}

/** Part of the caller's transaction, so that nothing happens unrecorded. */
export async function writeAudit(tx: Transaction | Drizzle, event: AuditEvent): Promise<void> {
  await tx.insert(auditEvents).values(event)
}
