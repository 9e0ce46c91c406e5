// One batch: a request to Graph about up to ten users, and their results. A user that fails does not affect the others:
// a batch that fails as a whole is split into one batch for each user.
import { randomUUID } from 'node:crypto'
import type { AccountResult, EntraUser } from '../core/account-source.js'
import { GatehouseError } from '../core/errors.js'
import type { ReevaluationDeps } from '../core/reevaluation.js'
import type { Snapshot } from '../core/reevaluation-store.js'
import { applyResult } from './apply.js'
import { asError } from './errors.js'
import type { RunState } from './run-state.js'

/**
 * @returns `split` where the caller is to process the users again, each in a batch of its own
 * @throws where the database fails
 */
export async function processBatch(
  deps: ReevaluationDeps,
  state: RunState,
  users: readonly EntraUser[],
): Promise<'done' | 'split'> {
  const { source, writer } = deps
  const snapshot: Snapshot = { readAt: await writer.now(), correlationId: randomUUID() }
  const results = await source.read(users.map(({ oid }) => oid), snapshot.correlationId).catch((thrown: unknown) =>
    asError(thrown)
  )
  if (results instanceof GatehouseError) return await processFailedBatch(deps, state, users, results, snapshot)
  state.batchAnswered()
  const failed: EntraUser[] = []
  for (const user of users) {
    const result = results.get(user.oid) ?? { kind: 'failed', error: new GatehouseError('graph_malformed') }
    if (result.kind === 'failed') {
      state.usersFailed(result.error, 1, snapshot.correlationId)
      failed.push(user)
    } else {
      state.rejoin(user)
      await processUser(deps, state, user, result, snapshot)
      if (state.aborted()) break
    }
  }
  if (failed.length > 0) await writer.failed(failed)
  return 'done'
}

async function processFailedBatch(
  { source, writer }: ReevaluationDeps,
  state: RunState,
  users: readonly EntraUser[],
  error: GatehouseError,
  { correlationId }: Snapshot,
): Promise<'done' | 'split'> {
  state.batchFailed()
  if (users.length > 1 && !isOutage(error)) { // guard: sync-one-by-one
    state.isolate(users) // guard: sync-alone
    return 'split'
  }
  // two split batches without any success: Graph refuses every request
  // guard: sync-refused-altogether
  if (isOutage(error) || state.consecutiveFailures() > 2 * source.batchSize) state.graphFailed()
  state.usersFailed(error, users.length, correlationId) // guard: sync-silence-marked
  await writer.failed(users)
  return 'done'
}

async function processUser(
  deps: ReevaluationDeps,
  state: RunState,
  user: EntraUser,
  result: Exclude<AccountResult, { kind: 'failed' }>,
  snapshot: Snapshot,
): Promise<void> {
  try {
    deps.report.counted(await applyResult(deps, user, snapshot, result), 1)
    state.userProcessed()
  } catch (error) { // guard: sync-fails-alone, sync-locked-row
    // The user's row is locked or was removed. Where the whole database failed, the next statement throws too.
    state.usersFailed(asError(error), 1, snapshot.correlationId)
    await deps.writer.failed([user])
  }
}

/** Without a token, or without Graph, further requests are useless. */
function isOutage({ code }: GatehouseError): boolean {
  return code.startsWith('entra_') || code === 'graph_unavailable' || code === 'graph_throttled'
}
