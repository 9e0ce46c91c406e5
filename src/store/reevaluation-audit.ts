// Audit rows of the re-evaluation, whose actor is `sync`, as the section of the configuration, and of a version of the
// policy that is applied immediately, whose actor is the one who asked for it.
import type { EntraUser } from '../core/account-source.js'
import type { GrantChange } from '../core/grants.js'
import type { MappedGrants } from '../core/pipeline/pipeline.js'
import { writeAudit } from './audit.js'
import type { Transaction } from './database.js'

export async function auditReevaluation(
  tx: Transaction,
  action: string,
  { userId, username }: EntraUser,
  { actor = 'sync', correlationId }: { readonly actor?: string, readonly correlationId: string | undefined },
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  await writeAudit(tx, {
    action,
    actor,
    userId,
    username,
    ...(correlationId === undefined ? {} : { correlationId }),
    detail,
  })
}

export interface ChangeFacts {
  readonly grants: MappedGrants
  readonly oid: string
  /** How many the snapshot has. */
  readonly entraGroups?: number
  readonly before: Readonly<Record<string, unknown>>
}

export function changeDetail(
  { groupsAdded, groupsRemoved }: Pick<GrantChange, 'groupsAdded' | 'groupsRemoved'>,
  { grants, oid, entraGroups, before }: ChangeFacts,
): Readonly<Record<string, unknown>> {
  return {
    oid,
    ...entraGroups === undefined ? {} : { entraGroups },
    groupsAdded,
    groupsRemoved,
    groups: Object.fromEntries(grants.groups.map((group) => [group.name, group.causes])),
    missing: grants.missing,
    staff: grants.staff,
    superuser: grants.superuser,
    before,
  }
}
