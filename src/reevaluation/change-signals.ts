// Before each run the leader reads what has changed in Entra ID, so that the users concerned are due first. Whatever
// fails here is reported and changes nothing else: every user is due by time as well.
import { randomUUID } from 'node:crypto'
import type { ChangeRound, ChangeSignals, DeltaKind, SignalReporter } from '../core/change-signals.js'
import type { GatehouseError } from '../core/errors.js'
import { asError } from './errors.js'

export interface SignalReader {
  /** One round of delta queries. Never throws. */
  read(): Promise<void>
  /** When all of them were last read to their end, in milliseconds since 1970; undefined: never. */
  completeAt(): number | undefined
}

const KINDS: readonly DeltaKind[] = ['users', 'groups']
/** Rounds that are left out after failures in a row: 1, 2, 4, up to these. */
const MAX_PAUSE = 16
/** Of a permission that is missing, and of a tenant whose changes Graph does not track. */
const MAX_PAUSE_REFUSED = 240
const REFUSED: readonly string[] = ['graph_forbidden', 'graph_request_refused']

/** @param budgetMs of a round: the run begins so much later at most */
export function createSignalReader({ source, store, mapped, report }: ChangeSignals, budgetMs: number): SignalReader {
  const failures = createFailures(report)
  const chainPauses = createPauses<string>()
  let completeAt: number | undefined
  let notFollowed = 0
  let restarted = false

  const observe = (round: ChangeRound, kinds: ReadonlySet<DeltaKind>): void => {
    for (const kind of kinds) observeKind(round, kind, { failures, chainPauses })
    chainPauses.keep(round.chains.map(({ id }) => id))
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
        const paused = new Set(chains.map(({ id }) => id).filter((id) => !chainPauses.isOver(id)))
        const round = await source.read({ chains, mapped: mapped(), kinds, paused, budgetMs }, randomUUID())
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

interface Pauses {
  readonly failures: ReturnType<typeof createFailures>
  readonly chainPauses: ReturnType<typeof createPauses<string>>
}

/** A chain that fails while others of its kind are read is left out alone. */
function observeKind(round: ChangeRound, kind: DeltaKind, { failures, chainPauses }: Pauses): void {
  const ids = round.chains.filter((chain) => chain.kind === kind).map(({ id }) => id)
  const error = round.failures.get(kind)
  const failed = ids.filter((id) => round.failed.has(id))
  const read = ids.filter((id) => round.read.has(id) && !round.failed.has(id))
  for (const id of read) chainPauses.end(id)
  if (error !== undefined && failed.length > 0 && read.length > 0) { // guard: sync-chain-alone
    for (const id of failed) chainPauses.begin(id, error.code)
    failures.note(kind, error)
  } else if (error !== undefined || !ids.some((id) => chainPauses.has(id))) failures.update(kind, error)
}

/** Of kinds, or of chains: after each failure in a row twice as many rounds are left out. */
function createPauses<Key>() {
  const state = new Map<Key, { inARow: number, rounds: number }>()
  return {
    /** Counts the rounds. */
    isOver(key: Key): boolean {
      const pause = state.get(key)
      if (pause === undefined || pause.rounds === 0) return true
      pause.rounds--
      return false
    },
    has: (key: Key): boolean => state.has(key),
    begin(key: Key, code: string): void {
      const inARow = (state.get(key)?.inARow ?? 0) + 1
      const most = REFUSED.includes(code) ? MAX_PAUSE_REFUSED : MAX_PAUSE
      state.set(key, { inARow, rounds: Math.min(most, 2 ** (inARow - 1)) })
    },
    end: (key: Key): boolean => state.delete(key),
    keep(keys: readonly Key[]): void {
      for (const key of state.keys()) if (!keys.includes(key)) state.delete(key)
    },
  }
}

function createFailures(report: Pick<SignalReporter, 'deltaFailed' | 'deltaRecovered'>) {
  const pauses = createPauses<DeltaKind>()
  const codes = new Map<DeltaKind, string>()
  const reportOnce = (kind: DeltaKind, error: GatehouseError): void => {
    if (codes.get(kind) !== error.code) report.deltaFailed(kind, error)
    codes.set(kind, error.code)
  }
  return {
    mayRead: (kind: DeltaKind): boolean => pauses.isOver(kind),
    /** Reports a failure of a part of it. */
    note(kind: DeltaKind, error: GatehouseError): void {
      reportOnce(kind, error)
      pauses.end(kind)
    },
    update(kind: DeltaKind, error: GatehouseError | undefined): void {
      if (error === undefined) {
        if (codes.delete(kind)) report.deltaRecovered(kind)
        pauses.end(kind)
        return
      }
      reportOnce(kind, error)
      pauses.begin(kind, error.code)
    },
  }
}
