// Traces queries of a request. Spans never contain statements: their parameters are personal data.
import type { Tracer } from '../core/tracer.js'
import type { Database } from './database.js'

const FACTS = { 'db.system.name': 'postgresql' } as const

export function tracedDatabase(database: Database, tracer: Tracer): Database {
  if (!tracer.enabled) return database
  return {
    ask: (work) => tracer.part('database query', FACTS, () => database.ask(work)),
    transaction: (work) => tracer.part('database transaction', FACTS, () => database.transaction(work)),
    get identitySql() {
      return database.identitySql
    },
    confirm: (key) => database.confirm(key),
    pool: () => database.pool(),
    close: () => database.close(),
  }
}
