// Reads accounts and their groups with the application permissions User.Read.All and GroupMember.Read.All, without a
// sign-in of the user: two requests for each user, in batches.
import type { AccountResult, AccountSource } from '../core/account-source.js'
import { createDeadline, type Deadline } from '../core/deadline.js'
import { GatehouseError } from '../core/errors.js'
import { ACCOUNT_PROPERTIES, accountState, bodyOf, responseError, withApplicationRemedy } from './account-state.js'
import { createBackgroundGraph, type BackgroundGraph } from './background-graph.js'
import type { EntraConnection } from './client.js'
import {
  createGraphBatch,
  MAX_BATCH_REQUESTS,
  type BatchRequest,
  type BatchResponse,
  type GraphBatch,
  type RequestContext,
} from './graph-batch.js'
import type { GraphClient } from './graph.js'
import { firstPage, readMemberships } from './memberships.js'

export interface AccountSourceOptions extends EntraConnection {
  readonly securityGroupsOnly: boolean
  /** For each batch with its retries, and again for all further pages of its users. */
  readonly budgetMs: number
}

interface Reader {
  readonly graph: GraphClient
  readonly graphUrl: string
  readonly batch: GraphBatch
  readonly securityGroupsOnly: boolean
  readonly budget: () => Deadline
}

/** On the batch and on each of its requests: Microsoft does not document which of them counts. */
const LOW_PRIORITY = { 'x-ms-throttle-priority': 'low' }

export function createAccountSource(
  options: AccountSourceOptions,
  background: BackgroundGraph = createBackgroundGraph(options),
): AccountSource {
  const { securityGroupsOnly, budgetMs } = options
  const { graph, graphUrl, pause, options: { stop, onThrottled } } = background
  const budget = () => createDeadline(budgetMs, stop)
  const reader: Reader = {
    graph,
    graphUrl,
    batch: createGraphBatch({ graph, graphUrl, pause, onThrottled }),
    securityGroupsOnly,
    budget,
  }

  return {
    batchSize: MAX_BATCH_REQUESTS / 2,
    async read(oids, correlationId) {
      try {
        return await background.withToken(
          correlationId,
          () => budgetMs,
          (context) => readAccounts(reader, oids, context),
        )
      } catch (error) {
        throw error instanceof GatehouseError ? withApplicationRemedy(error) : error
      }
    },
  }
}

async function readAccounts(
  reader: Reader,
  oids: readonly string[],
  context: RequestContext,
): Promise<ReadonlyMap<string, AccountResult>> {
  const requests = oids.flatMap((oid, index) => requestsFor(oid, index, reader))
  const responses = await reader.batch.send(requests, context)
  for (const response of responses.values()) {
    // the token was refused, which is about no user in particular
    if (response.status === 401) throw responseError(response, context.correlationId)
  }
  const { at: deadline, signal, clear } = reader.budget()
  const pages = { ...context, deadline, signal }
  const results = oids.map(async (oid, index) => {
    const { account, groups } = idsOf(index)
    return [oid, await readAccount(reader, oid, responses.get(account), responses.get(groups), pages)] as const
  })
  return new Map(await Promise.all(results).finally(clear))
}

const idsOf = (index: number) => ({ account: `${index}-account`, groups: `${index}-groups` })

function requestsFor(oid: string, index: number, { securityGroupsOnly }: Reader): readonly BatchRequest[] {
  const { account, groups } = idsOf(index)
  const memberships = firstPage(`users/${oid}`, 'transitiveMemberOf', securityGroupsOnly)
  return [
    // guard: sync-priority
    { id: account, method: 'GET', headers: LOW_PRIORITY, url: `/users/${oid}?$select=${ACCOUNT_PROPERTIES}` },
    { id: groups, method: 'GET', headers: LOW_PRIORITY, url: memberships },
  ]
}

async function readAccount(
  { graph, graphUrl, securityGroupsOnly }: Reader,
  oid: string,
  account: BatchResponse | undefined,
  groups: BatchResponse | undefined,
  context: RequestContext,
): Promise<AccountResult> {
  try {
    const state = accountState(oid, account, context.correlationId)
    if (state.kind !== 'enabled') return state
    const options = { graph, graphUrl, path: 'users', securityGroupsOnly } as const
    const first = () => bodyOf(groups, context.correlationId) // guard: sync-plain-request
    const { groupIds } = await readMemberships(options, { ...context, oid, first })
    return { ...state, groupIds }
  } catch (error) {
    if (error instanceof GatehouseError) return { kind: 'failed', error: withApplicationRemedy(error) }
    throw error
  }
}
