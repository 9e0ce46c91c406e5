// What an error of the driver means: its SQLSTATE, and whether the connection or the server failed.
import pg from 'pg'
import { GatehouseError } from '../core/errors.js'

export const FOREIGN_KEY_VIOLATION = '23503'

/** The five-character SQLSTATE of an error that PostgreSQL sent, however it is wrapped. */
export function sqlState(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof pg.DatabaseError) return at.code
  }
  return undefined
}

/** Thrown inside a transaction to roll it back: the data it was planned on has changed. */
export class OutOfDate extends Error {}

/** The innermost cause: drizzle wraps errors with the statement and its parameters. */
export function rootOf(error: unknown): unknown {
  for (let at = error;; at = (at as Error).cause) {
    if (at instanceof GatehouseError || at instanceof OutOfDate) return at
    if (at instanceof AggregateError && at.errors.length > 0) return at.errors[0] // localhost: one failure an address
    if (!(at instanceof Error && at.cause instanceof Error)) return at
  }
}

// 08 connection, 53 resources, 57 cancelled or shut down, 58 system, 25006 read-only after a failover, 55P03 lock
// timeout.
const NOT_NOW = /^(08|53|57|58|25006|55P03)/
// ENOENT: the socket of the embedded server goes with it.
const SYSTEM_CODES = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])
// pg gives these errors no code of their own.
const BROKEN = /terminated|timeout|not queryable|after calling end/i

export function isConnectionFailure(error: unknown): boolean {
  const root = rootOf(error)
  if (root instanceof pg.DatabaseError) return NOT_NOW.test(root.code ?? '')
  return root instanceof Error &&
    (SYSTEM_CODES.has('code' in root ? String(root.code) : '') || BROKEN.test(root.message))
}
