// What the console shows of the installation as a whole, made from the opened parts.
import { createAuditAdmin } from './admin/audit.js'
import type { AdminUseCases } from './admin/use-cases.js'
import type { RunningConfig } from './config/running-config.js'
import { createAuditReader } from './store/audit-list.js'
import { createPeopleStore } from './store/people.js'
import type { Storage } from './store/storage.js'

export interface OverviewDeps {
  readonly storage: Storage
}

export function createOverviewUseCases(
  { startup }: RunningConfig,
  { storage: { database } }: OverviewDeps,
): Pick<AdminUseCases, 'audit'> {
  const people = createPeopleStore(database, startup.session)
  const findPerson = async (text: string): Promise<string> => (await people.find(text)).id
  return {
    audit: createAuditAdmin({ audit: createAuditReader(database), findPerson }),
  }
}
