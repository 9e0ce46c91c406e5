// The re-evaluation of people with live sessions: one replica asks Graph about everybody within each interval, a few at
// a time, and what it hears is applied at once. What was heard too long ago is taken back by every replica.
import { GatehouseError } from '../core/errors.js'
import { expire } from './expiry.js'
import type { SyncDeps } from './ports.js'
import { askEverybody, type Asked } from './run.js'

export interface SyncState {
  /** Whether this replica is the one that asks. */
  readonly here: boolean
  /** The code of what is wrong; undefined while all is well. */
  readonly failing: string | undefined
  readonly lagMs: number
}

export interface Sync {
  /** One turn: whoever is due. */
  pass(): Promise<void>
  state(): SyncState
  close(): Promise<void>
}

const TURNS = 20
const LONGEST_PAUSE_MS = 15_000
const MOST_OF_A_TURN_MS = 60_000
const PATIENCE_MS = 2_000
/** Turns in which nobody was heard of, and then turns in which another replica may try. */
const VAIN_TURNS = 3
const TURNS_BACK = 2

/** Turns begin by themselves. */
export function createSync(deps: SyncDeps): Sync {
  const { leadership, store, pace, clock = () => performance.now() } = deps
  const everyMs = Math.min(pace.intervalMs / TURNS, LONGEST_PAUSE_MS)
  const startedAt = clock()
  const complaints = createComplaints(deps)
  const alone = new Set<string>()
  let state: SyncState = { here: false, failing: undefined, lagMs: 0 }
  let last = { lagMs: 0, at: startedAt }
  let vain = 0
  let back = 0
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false

  /** Also while the database is away: nobody is read again meanwhile, so the oldest reading ages. */
  const lag = (measured: number | undefined): number => {
    if (measured !== undefined) {
      last = { lagMs: measured, at: clock() }
      return measured
    }
    return last.lagMs === 0 ? 0 : last.lagMs + clock() - last.at
  }
  const lead = async (): Promise<Asked | 'elsewhere' | 'back'> => {
    if (back > 0) {
      back--
      return 'back'
    }
    if (!await leadership.held()) return 'elsewhere'
    const until = clock() + MOST_OF_A_TURN_MS
    const asked = await askEverybody(deps, { everyMs, alone, over: () => closed || clock() >= until })
    if (asked.lost) return 'elsewhere'
    vain = asked.read > 0 ? 0 : vain + Math.min(asked.failures.size, 1)
    if (vain < VAIN_TURNS) return asked
    vain = 0
    back = TURNS_BACK
    await leadership.release() // Graph may be in reach of another one
    return asked
  }
  const turn = async (): Promise<void> => {
    let broken: unknown
    const unlessBroken = <T>(work: () => Promise<T>): Promise<T | undefined> =>
      work().catch((error: unknown) => {
        broken ??= error
        return undefined
      })
    const led = await unlessBroken(lead)
    // whoever asks, and even where nobody does
    await unlessBroken(() => expire(deps, { upMs: clock() - startedAt, silent: typeof led === 'object' && led.silent }))
    const overview = await unlessBroken(() => store.overview())
    if (closed) return
    const { unanswered = 0 } = overview ?? {}
    const lagMs = lag(overview?.lagMs)
    if (led === 'elsewhere') vain = 0
    state = {
      here: typeof led === 'object' && back === 0,
      failing: complaints.after({ led, unanswered, broken }),
      lagMs,
    }
  }
  const pass = (): Promise<void> => {
    running ??= turn().finally(() => {
      running = undefined
    })
    return running
  }
  const next = (inMs: number): void => {
    timer = setTimeout(() => {
      const began = performance.now()
      pass().finally(() => {
        if (!closed) next(Math.max(0, began + everyMs - performance.now()))
      }).catch(() => {})
    }, inMs).unref()
  }
  next(0)
  return {
    pass,
    state: () => state,
    async close() {
      closed = true
      clearTimeout(timer)
      // Graph may take longer than a replica that is to end
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS).unref())])
    },
  }
}

interface Outcome {
  readonly led: Asked | 'elsewhere' | 'back' | undefined
  readonly unanswered: number
  readonly broken: unknown
}

/** Each cause is told once, and the end of all of them once. */
function createComplaints({ report }: Pick<SyncDeps, 'report'>): { after(outcome: Outcome): string | undefined } {
  const told = new Set<string>()
  let unheard: string | undefined // of Graph
  let broke: string | undefined
  const tell = (code: string, say: () => void): void => {
    if (!told.has(code)) say()
    told.add(code)
  }
  return {
    after({ led, unanswered, broken }) {
      const mended = broke !== undefined
      broke = broken === undefined ? undefined : broken instanceof GatehouseError ? broken.code : 'internal'
      if (broke !== undefined) tell(broke, () => report.broken(broken))
      if (led === 'elsewhere') unheard = undefined
      else if (typeof led === 'object') {
        for (const [code, { error, people, correlationId }] of led.failures) {
          tell(code, () => report.failing(error, people, correlationId))
        }
        const [code] = led.failures.keys()
        if (code !== undefined) unheard = code
        else if (led.read > 0 && unanswered === 0) unheard = undefined // not because nobody was due
      }
      const failing = broke ?? unheard
      if (failing !== undefined || told.size === 0) return failing
      if (led !== 'elsewhere' || mended) report.recovered()
      told.clear()
      return undefined
    },
  }
}
