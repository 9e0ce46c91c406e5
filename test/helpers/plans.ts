// The plans of statements: which tables they read, how, and how many rows.
import { sql, type SQL } from 'drizzle-orm'
import type { Database, Drizzle, Transaction } from '../../src/store/database.js'

export interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Plans'?: readonly PlanNode[]
}

/** Tables that are read whole, because they have a few rows, and nodes that read no table. */
export const SMALL = new Set([undefined, 'groups', 'audit_events_default'])

const nodesOf = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)]

export function rowsRead(scans: readonly PlanNode[]): number {
  return scans.reduce(
    (sum, node) => sum + (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'],
    0,
  )
}

/** Each statement is explained before it runs, also those of transactions. */
export function explained(database: Database): { database: Database, plans: PlanNode[][] } {
  const plans: PlanNode[][] = []
  const watched = (on: Drizzle | Transaction) =>
    ({
      async execute(query: SQL) {
        const { rows: [row] } = await on.execute<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
          sql`explain (analyze, format json) ${query}`,
        )
        if (row) plans.push(nodesOf(row['QUERY PLAN'][0].Plan))
        return await on.execute(query)
      },
    }) as never
  const ask: Database['ask'] = (work) => database.ask((db) => work(watched(db)))
  const transaction: Database['transaction'] = (work) => database.transaction((tx) => work(watched(tx)))
  return { database: { ...database, ask, transaction, identitySql: database.identitySql }, plans }
}

/** The scans of tables that are not small. */
export function scansOf(plans: readonly (readonly PlanNode[])[]): PlanNode[] {
  return plans.flat().filter((node) => !SMALL.has(node['Relation Name']))
}
