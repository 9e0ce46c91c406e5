// The place of one worker: its process is started, started again after it has ended, and stopped.
import { GatehouseError } from '../core/errors.js'
import type { Place } from '../core/siblings.js'
import { VERSION } from '../version.js'
import type { HandOver } from './hand-over.js'
import { EXIT_TRY_AGAIN } from './messages.js'
import { received } from './sent-error.js'
import { forkWorker, type Ending, type Notice, type WorkerHandle } from './worker-handle.js'

/** `silent`: it was ready, and does not answer at the moment. */
export type WorkerState = 'starting' | 'ready' | 'silent' | 'stopping' | 'dead'

export interface SlotState {
  readonly state: WorkerState
  /** Why it is not ready. */
  readonly reason: string | undefined
  readonly pid: number | undefined
}

export interface Slot {
  readonly number: number
  state(): SlotState
  /** Undefined where no process runs. */
  handle(): WorkerHandle | undefined
  /** Whether the process was given a configuration. */
  configured(): boolean
  start(): void
  /** It is stopped soon: however its process ends from now on is not reported. */
  expectStop(): void
  /** Resolves when the process has ended, at the latest after `withinMs`, when it is killed. */
  stop(withinMs: number): Promise<void>
}

export type Asked = Extract<Notice, { kind: 'count' | 'announce' }>

export interface SlotEvents {
  onReady(slot: Slot, port: number | undefined): void
  onAsked(slot: Slot, asked: Asked): void
  onLine(line: string): void
  onSilent(slot: Slot): void
  onHung(slot: Slot): void
  /** It was never ready. */
  onFirstFailure(slot: Slot, error: Error): void
  /** It cannot start because the database is unreachable, and tries again. */
  onWaiting(slot: Slot, error: Error): void
  /** @returns whether it is started again */
  onDeath(slot: Slot, death: Death): boolean
}

export interface Death extends Ending {
  readonly pid: number | undefined
  /** What the worker reported. */
  readonly error: Error | undefined
}

const AGAIN_AFTER_MS = 200
const DATABASE_AGAIN_AFTER_MS = 3_000
/** A reload, for which it may have to wait, may take a minute. */
const START_MS = 180_000

/** What changes of a slot. */
interface Seat {
  readonly place: Place
  state: WorkerState
  reason: string | undefined
  handle: WorkerHandle | undefined
  configured: boolean
  wasReady: boolean
  /** What the worker reported. */
  failure: Error | undefined
  closing: boolean
  /** Until it is ready. */
  startLimit: NodeJS.Timeout | undefined
  ended: Promise<void>
}

interface SlotDeps {
  readonly handOver: HandOver
  readonly events: SlotEvents
  readonly startMs: number
  readonly slot: () => Slot
}

/** @param startMs until it is ready; then it is killed */
export function createSlot(place: Place, handOver: HandOver, events: SlotEvents, startMs = START_MS): Slot {
  const seat: Seat = {
    place,
    state: 'starting',
    reason: undefined,
    handle: undefined,
    configured: false,
    wasReady: false,
    failure: undefined,
    closing: false,
    startLimit: undefined,
    ended: Promise.resolve(),
  }
  const deps: SlotDeps = { handOver, events, startMs, slot: () => slot }
  const slot: Slot = {
    number: place.number,
    state: () => ({ state: shown(seat), reason: seat.reason, pid: seat.handle?.pid }),
    handle: () => seat.handle,
    configured: () => seat.handle !== undefined && seat.configured,
    start: () => launch(seat, deps),
    expectStop() {
      seat.closing = true
    },
    async stop(withinMs) {
      seat.closing = true
      if (seat.handle !== undefined) become(seat, 'stopping')
      seat.handle?.send({ kind: 'stop' })
      const timer = setTimeout(() => seat.handle?.kill(), withinMs) // guard: workers-stop-bounded
      await seat.ended
      clearTimeout(timer)
      become(seat, 'dead', 'stopped')
    },
  }
  return slot
}

function shown({ state, handle }: Seat): WorkerState {
  return state === 'ready' && handle?.silent() ? 'silent' : state
}

function become(seat: Seat, state: WorkerState, reason?: string): void {
  seat.state = state
  seat.reason = reason
}

function launch(seat: Seat, deps: SlotDeps): void {
  if (seat.closing) return
  seat.configured = false
  seat.failure = undefined
  seat.ended = new Promise((resolve) => {
    const handle = forkWorker(seat.place.number, {
      onNotice: (notice) => take(seat, deps, handle, notice),
      onLine: deps.events.onLine,
      onSilent: () => deps.events.onSilent(deps.slot()),
      onHung() {
        deps.events.onHung(deps.slot())
        handle.kill()
      },
      onEnd(ending) {
        clearTimeout(seat.startLimit)
        seat.handle = undefined
        deps.handOver.ended(handle)
        resolve()
        afterEnd(seat, deps, { ...ending, pid: handle.pid, error: seat.failure })
      },
    })
    seat.handle = handle
    seat.startLimit = setTimeout(() => {
      seat.failure = new Error(`worker ${seat.place.number} has not started within ${deps.startMs / 60_000} minutes`)
      handle.kill() // guard: workers-start-limit
    }, deps.startMs)
  })
}

function take(seat: Seat, { handOver, events, slot }: SlotDeps, handle: WorkerHandle, notice: Notice): void {
  const { place } = seat
  switch (notice.kind) {
    case 'loaded': {
      if (notice.version !== VERSION) { // guard: workers-same-version
        seat.failure = otherVersion(notice.version)
        return handle.kill()
      }
      const before = seat.reason
      const waits = handOver.give((config) => {
        if (seat.handle !== handle) return // it has ended while it waited
        seat.configured = true
        if (seat.state === 'starting') seat.reason = before
        handle.send({ kind: 'start', place, config })
      })
      if (waits && seat.state === 'starting') seat.reason = 'waits for the reload that is under way'
      return
    }
    case 'ready':
      clearTimeout(seat.startLimit) // guard: workers-start-limit-ends
      seat.wasReady = true
      if (!seat.closing) become(seat, 'ready')
      handle.watch()
      return events.onReady(slot(), notice.port)
    case 'failed':
      seat.failure = received(notice.error)
      return
    default:
      events.onAsked(slot(), notice)
  }
}

/** The program was replaced while it ran: a new worker would not fit the primary process and the database. */
function otherVersion(version: string): GatehouseError {
  return new GatehouseError('internal', {
    detail: `the program on disk has version ${version}, and version ${VERSION} runs`,
    remedy: 'Restart Gatehouse, so that all of its processes have the same version.',
  })
}

function afterEnd(seat: Seat, { events, slot, ...deps }: SlotDeps, death: Death): void {
  const { error } = death
  const again = (afterMs: number): void => {
    setTimeout(launchAgain, afterMs, seat, { events, slot, ...deps })
  }
  if (seat.closing) return become(seat, 'dead', 'stopped')
  if (!seat.wasReady) {
    become(seat, 'dead', described(death))
    return events.onFirstFailure(slot(), error ?? new Error(`worker ${seat.place.number} ${described(death)}`))
  }
  if (death.code === EXIT_TRY_AGAIN && error !== undefined) { // guard: workers-database-no-death
    become(seat, 'starting', error.message)
    events.onWaiting(slot(), error)
    return again(DATABASE_AGAIN_AFTER_MS)
  }
  become(seat, 'dead', described(death))
  if (events.onDeath(slot(), death)) again(AGAIN_AFTER_MS)
}

function launchAgain(seat: Seat, deps: SlotDeps): void {
  if (seat.closing) return
  if (seat.state === 'dead') become(seat, 'starting', `the one before ${seat.reason}`)
  launch(seat, deps)
}

export function described({ code, signal }: Ending): string {
  return signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`
}
