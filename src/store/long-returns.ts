// Long return addresses (core/long-returns.ts). Anyone can start a sign-in, so their number and size are limited: the
// oldest are deleted first.
import { sql } from 'drizzle-orm'
import type { LongReturns } from '../core/long-returns.js'
import type { Database } from './database.js'

export interface LongReturnLimits {
  readonly addresses: number
  readonly bytes: number
}

const LIMITS: LongReturnLimits = { addresses: 1_000, bytes: 4_000_000 }

export function createLongReturns(database: Database, limits: LongReturnLimits = LIMITS): LongReturns {
  return {
    async keep(flow, returnTo) {
      await database.ask((db) =>
        db.execute(sql`
        insert into long_returns (flow_hash, address) values (${flow}, ${returnTo}) on conflict do nothing`)
      )
      const { rows } = await database.ask((db) =>
        // guard: adv-long-bounded
        db.execute<{ over: boolean }>(sql`
        delete from long_returns where kept_at < now() - interval '10 minutes' or flow_hash in (
          select flow_hash from (
            select flow_hash, row_number() over newest as number, sum(octet_length(address)) over newest as size
            from long_returns window newest as (order by kept_at desc, flow_hash rows unbounded preceding)
          ) as ranked where number > ${limits.addresses} or size > ${limits.bytes})
        returning kept_at < now() - interval '10 minutes' as over`)
      )
      return rows.filter(({ over }) => !over).length
    },
    async find(flow) {
      const { rows: [row] } = await database.ask((db) =>
        // guard: adv-long-minutes
        db.execute<{ address: string }>(sql`
        select address from long_returns where flow_hash = ${flow} and kept_at > now() - interval '10 minutes'`)
      )
      return row?.address
    },
  }
}
