// Before each run the leader reads what has changed in Entra ID, so that the users concerned are due first. Whatever
// fails here is reported and changes nothing else: every user is due by time as well.
import { randomUUID } from 'node:crypto'
import type { ChangeRound, ChangeSignals, DeltaKind, SignalReporter } from '../core/change-signals.js'
import { GatehouseError } from '../core/errors.js'

export interface SignalReader {
  /** One round of delta queries. Never throws. */
  read(): Promise<void>
  /** When all of them were last read to their end, in milliseconds since 1970; undefined: never. */
  completeAt(): number | undefined
}

const KINDS: readonly DeltaKind[] = ['users', 'groups']
const BUDGET_MS = 5_000
/** Rounds that are left out after failures in a row: 1, 2, 4, up to these. */
const MAX_PAUSE = 16
/** Of a permission that is missing, and of a tenant whose changes Graph does not track. */
const MAX_PAUSE_REFUSED = 240
const REFUSED: readonly string[] = ['graph_forbidden', 'graph_request_refused']

export function createSignalReader({ source, store, mapped, report }: ChangeSignals): SignalReader {
  const failures = createFailures(report)
  let completeAt: number | undefined
  let notFollowed = 0
  let restarted = false

  const observe = (round: ChangeRound, kinds: ReadonlySet<DeltaKind>): void => {
    for (const kind of kinds) failures.update(kind, round.failures.get(kind))
    if (round.restarted > 0 && !restarted) report.deltaRestarted(round.restarted)
    restarted = round.restarted > 0
    if (round.notFollowed !== notFollowed) report.groupsNotFollowed(round.notFollowed)
    notFollowed = round.notFollowed
    if (KINDS.every((kind) => kinds.has(kind) && round.complete.has(kind))) completeAt = Date.now()
  }
  return {
    async read() {
      const kinds = new Set(KINDS.filter((kind) => failures.mayRead(kind)))
      if (kinds.size === 0) return
      try {
        const chains = await store.chains(source.scope)
        const round = await source.read({ chains, mapped: mapped(), kinds, budgetMs: BUDGET_MS }, randomUUID())
        const users = await store.record(source.scope, round)
        if (users > 0) report.signalled(users)
        observe(round, kinds)
      } catch (error) { // guard: delta-never-throws
        for (const kind of kinds) failures.update(kind, asError(error))
      }
    },
    completeAt: () => completeAt,
  }
}

function createFailures(report: Pick<SignalReporter, 'deltaFailed' | 'deltaRecovered'>) {
  const state = new Map<DeltaKind, { code: string, inARow: number, pause: number }>()
  return {
    /** Counts the rounds. */
    mayRead(kind: DeltaKind): boolean {
      const failed = state.get(kind)
      if (failed === undefined || failed.pause === 0) return true
      failed.pause--
      return false
    },
    update(kind: DeltaKind, error: GatehouseError | undefined): void {
      const before = state.get(kind)
      if (error === undefined) {
        if (before !== undefined) report.deltaRecovered(kind)
        state.delete(kind)
        return
      }
      if (before?.code !== error.code) report.deltaFailed(kind, error)
      const inARow = (before?.inARow ?? 0) + 1
      const most = REFUSED.includes(error.code) ? MAX_PAUSE_REFUSED : MAX_PAUSE
      state.set(kind, { code: error.code, inARow, pause: Math.min(most, 2 ** (inARow - 1)) })
    },
  }
}

function asError(error: unknown): GatehouseError {
  if (error instanceof GatehouseError) return error
  const detail = error instanceof Error ? error.message : String(error)
  return new GatehouseError('internal', { cause: error, detail, remedy: 'Please report it.' })
}
