// What an engine lacks that Gatehouse relies on, as one line with the remedy.
import { GatehouseError } from '../core/errors.js'
import { sqlState } from './database-errors.js'
import { messageOf, place } from './database-failure.js'
import { addressOf } from './postgres-client.js'

/** `reason` in the log and in the findings of `doctor`. */
export type Missing = 'advisory_locks' | 'triggers' | 'identity'

const WHAT: Readonly<Record<Missing, string>> = {
  advisory_locks: 'advisory locks',
  triggers: 'triggers',
  identity: 'functions that identify a server',
}

const REMEDY = 'Use PostgreSQL, or a service that runs it (docs/failover.md).'
const REMEDIES: Readonly<Record<Missing, string>> = {
  advisory_locks: REMEDY,
  triggers:
    `${REMEDY} If it is PostgreSQL, reset session_replication_role to origin for the role and the database of ` +
    'database.url.',
  identity: REMEDY,
}

export function unsupported(reason: Missing, why: string, url: string, cause?: unknown): GatehouseError {
  return new GatehouseError('database_engine_unsupported', {
    cause,
    detail: `The database at ${place(addressOf(url))} has no working ${WHAT[reason]}: ${why}.`,
    remedy: REMEDIES[reason],
    facts: { reason },
  })
}

// 0A: feature not supported. 42: syntax error, unknown function. P0 and XXU: of engines without codes of their own.
const REFUSED = /^(0A|42|P0|XXU)/

/** @throws `database_engine_unsupported` where the engine refuses the statement; the error itself otherwise */
export function refused(error: unknown, what: Missing, url: string): never {
  if (isMissingRight(error) || !REFUSED.test(sqlState(error) ?? '')) throw error
  throw unsupported(what, messageOf(error), url, error)
}

/** insufficient_privilege */
export function isMissingRight(error: unknown): boolean {
  return sqlState(error) === '42501'
}
