// What the one management port shows of all workers: /readyz names the state of each, /metrics sums them.
import type { Readiness } from '../http/health.js'
import type { PrimaryMetrics } from '../telemetry/metrics.js'
import { createSummedMetrics } from '../telemetry/summed-metrics.js'
import type { Slot, SlotState, WorkerState } from './slot.js'

export interface WorkersHealth {
  /** Ready where one worker is. */
  readiness(): Promise<Readiness>
  readonly metrics: { text(): Promise<{ readonly type: string, readonly body: string }> }
  /** A worker has died: what it counted until the last time is kept. */
  died(number: number): void
}

export interface WorkersHealthOptions {
  readonly slots: () => readonly Slot[]
  readonly draining: () => boolean
  /** What the primary process knows: whether the configuration file is in force. */
  readonly ownParts: () => Readonly<Record<string, unknown>>
  readonly metrics: PrimaryMetrics
}

const STATES: readonly WorkerState[] = ['starting', 'ready', 'silent', 'stopping', 'dead']

export function createWorkersHealth({ slots, draining, ownParts, metrics }: WorkersHealthOptions): WorkersHealth {
  const summed = createSummedMetrics()
  metrics.meter.gauges('workers', () => {
    const all = slots().map((slot) => slot.state().state)
    return Object.fromEntries(STATES.map((state) => [state, all.filter((each) => each === state).length]))
  })
  return {
    async readiness() {
      const workers = await Promise.all(slots().map(readinessOf))
      const answering = workers.flatMap(({ readiness }) => readiness ?? [])
      // a ready one describes what all of them stand on better than one that is not
      const described = answering.find(({ ready }) => ready) ?? answering[0]
      const parts = described?.parts ?? { database: 'unknown: no worker is ready' }
      return {
        ready: answering.some(({ ready }) => ready) && !draining(),
        parts: {
          ...parts,
          ...ownParts(),
          workers: Object.fromEntries(workers.map((worker) => [worker.number, shown(worker, parts)])),
          ...(draining() ? { shutdown: 'in progress' } : {}),
        },
      }
    },
    metrics: {
      async text() {
        const answering = new Set<number>()
        await Promise.all(
          slots().map(async (slot) => {
            const snapshot = await askOf(slot)?.metrics().catch(() => undefined)
            if (snapshot === undefined) return
            summed.update(slot.number, snapshot)
            answering.add(slot.number)
          }),
        )
        return await summed.text(await metrics.snapshot(), answering)
      },
    },
    died(number) {
      summed.ended(number)
      metrics.workerDied()
    },
  }
}

interface WorkerReadiness {
  readonly number: number
  readonly state: SlotState
  /** Undefined where it does not answer. */
  readonly readiness: Readiness | undefined
}

/** A worker that stops still answers requests, and can still be asked. */
function askOf(slot: Slot) {
  return ['ready', 'stopping'].includes(slot.state().state) ? slot.handle() : undefined
}

async function readinessOf(slot: Slot): Promise<WorkerReadiness> {
  const readiness = await askOf(slot)?.readiness().catch(() => undefined)
  return { number: slot.number, state: slot.state(), readiness }
}

/** Of a worker that answers: in what it differs from what is shown for all. */
function shown({ state: { state, reason, pid }, readiness }: WorkerReadiness, common: Readiness['parts']): object {
  const differs = Object.entries(readiness?.parts ?? {})
    .filter(([part, value]) => !NOT_COMPARED.has(part) && JSON.stringify(value) !== JSON.stringify(common[part]))
  const silent = state === 'ready' && readiness === undefined ? ': does not answer' : ''
  return {
    state: `${state}${reason === undefined ? silent : `: ${reason}`}`,
    ...(pid === undefined ? {} : { pid }),
    ...Object.fromEntries(differs),
  }
}

/** Shown once: the primary process knows them. */
const NOT_COMPARED: ReadonlySet<string> = new Set(['config', 'shutdown'])
