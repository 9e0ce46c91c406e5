// What a connection to another server than the server of record returns is no answer.
import type pg from 'pg'
import { GatehouseError } from '../../core/errors.js'
import { place } from '../database-failure.js'
import { addressOf } from '../postgres-client.js'
import type { CurrentServer } from './record.js'

export class OtherServer extends Error {
  constructor() {
    super('the connection leads to another server than the server of record')
  }
}

/** @throws OtherServer */
export async function verified(client: pg.ClientBase, { key, identitySql }: CurrentServer): Promise<void> {
  if (key === undefined) return
  const { rows: [row] } = await client.query<{ server: string | null }>(`select ${identitySql} as server`)
  if (row?.server !== key) throw new OtherServer()
}

export function otherServer(url: string): GatehouseError {
  return new GatehouseError('database_unavailable', {
    detail: `PostgreSQL at ${place(addressOf(url))} is not the server of record any more.`,
    remedy:
      'Nothing, during a failover: Gatehouse connects to the new primary within seconds. If it persists, see the ' +
      'log for the servers that accept writes.',
    facts: { reason: 'superseded' },
  })
}
