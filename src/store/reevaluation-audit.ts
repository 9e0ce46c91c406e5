// Audit rows of the re-evaluation. Their actor is `sync`, as the section of the configuration.
import type { EntraUser } from '../core/account-source.js'
import { writeAudit } from './audit.js'
import type { Transaction } from './database.js'

export async function auditReevaluation(
  tx: Transaction,
  action: string,
  { userId, username }: EntraUser,
  correlationId: string | undefined,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  await writeAudit(tx, {
    action,
    actor: 'sync',
    userId,
    username,
    ...(correlationId === undefined ? {} : { correlationId }),
    detail,
  })
}
