// Graph for background work: one token of the application. A pause that Graph asks for while accounts are read applies
// to delta queries too; one that it asks for in a delta query does not hold back the accounts, which are what counts.
// Sign-ins have a client of their own, which none of these pauses affects.
import { createDeadline } from '../core/deadline.js'
import { GatehouseError } from '../core/errors.js'
import { createAppToken } from './app-token.js'
import type { EntraConnection } from './client.js'
import type { RequestContext, SharedPause } from './graph-batch.js'
import { createGraphClient, type GraphClient, type OnThrottled } from './graph.js'

export interface BackgroundGraph {
  /** For accounts and their groups. */
  readonly graph: GraphClient
  readonly deltas: GraphClient
  readonly graphUrl: string
  /** Requested by a response of a batch; applies to all background work. */
  readonly pause: SharedPause
  readonly options: BackgroundGraphOptions
  /** Calls `work` with a token and a time limit, and once more with another token where Graph refused the first. */
  withToken<T>(
    correlationId: string,
    remainingMs: () => number,
    work: (context: RequestContext) => Promise<T>,
  ): Promise<T>
}

export interface BackgroundGraphOptions {
  /** Ends every request that is under way. */
  readonly stop?: AbortSignal | undefined
  /** Called with each 429, also with that of a response of a batch. */
  readonly onThrottled?: OnThrottled | undefined
}

export function createBackgroundGraph(
  connection: EntraConnection,
  { stop, onThrottled }: BackgroundGraphOptions = {},
): BackgroundGraph {
  const { http, endpoints: { graph: graphUrl } } = connection
  const token = createAppToken(connection)
  const graph = createGraphClient({ http, graphUrl, patient: true, onThrottled })
  const deltas = createGraphClient({ http, graphUrl, patient: true }) // guard: delta-own-pause
  return {
    graph,
    deltas,
    graphUrl,
    pause: { until: -Infinity },
    options: { stop, onThrottled },
    async withToken(correlationId, remainingMs, work) {
      for (let retried = false;; retried = true) {
        const budgetMs = Math.max(1, Math.ceil(remainingMs()))
        const { at: deadline, signal, clear } = createDeadline(budgetMs, stop)
        const accessToken = await token.get(correlationId, signal).catch((error: unknown) => {
          clear()
          throw error
        })
        try {
          return await work({ accessToken, correlationId, deadline, signal, priority: 'low' })
        } catch (error) {
          const unauthorized = error instanceof GatehouseError && error.facts.status === 401
          if (unauthorized) token.drop(accessToken) // guard: sync-token-refused
          if (!unauthorized || retried) throw error
        } finally {
          clear()
        }
      }
    },
  }
}
