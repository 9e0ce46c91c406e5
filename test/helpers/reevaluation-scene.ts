// A re-evaluation on ports made up for a test: people in memory, a Graph that does as it is told, a clock that is
// turned by hand.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { GatehouseError, type ErrorCode } from '../../src/core/errors.js'
import type { Leadership, Standing, SyncPerson, SyncStore } from '../../src/core/reevaluation.js'
import type { SyncPace } from '../../src/reevaluation/ports.js'
import { createSync, type Sync } from '../../src/reevaluation/scheduler.js'

const MINUTE = 60_000
export const PACE: SyncPace = {
  intervalMs: 5 * MINUTE,
  privilegedStalenessMs: 60 * MINUTE,
  maxStalenessMs: 1_440 * MINUTE,
}
export const ENABLED: Standing = { kind: 'enabled', groupIds: [], sessionsValidFrom: null }
export const error = (code: ErrorCode): GatehouseError => new GatehouseError(code)

export interface Told {
  readonly what: string
  readonly code?: string
  readonly people?: number
  readonly sessions?: number
}

export interface SceneOptions {
  readonly people?: number
  /** What Graph says of these; throws what fails for all of them. */
  readonly read?: (people: readonly string[]) => Promise<ReadonlyMap<string, Standing>>
  readonly store?: Partial<SyncStore>
  readonly leadership?: Partial<Leadership>
  readonly pace?: SyncPace
  readonly graceMs?: number
}

export interface SyncScene {
  readonly sync: Sync
  readonly people: readonly SyncPerson[]
  /** Ids that were asked about, one list for each question. */
  readonly questions: (readonly string[])[]
  /** User ids in the order in which they were marked as asked in vain. */
  readonly failed: string[]
  readonly applied: Set<string>
  readonly expired: Parameters<SyncStore['expire']>[0][]
  readonly told: Told[]
  readonly counts: Map<string, number>
  releases(): number
  /** The most questions that were under way at once. */
  atOnce(): number
  /** One turn, so many minutes later. */
  pass(minutes?: number): Promise<void>
  later(minutes: number): Promise<void>
}

/** Everybody is due until they are applied or marked as failed; a failed person again in the turn after. */
export async function syncScene(
  t: Test,
  { people: size = 1, read, store, leadership, pace = PACE, graceMs = 0 }: SceneOptions = {},
): Promise<SyncScene> {
  const people: SyncPerson[] = Array.from(
    { length: size },
    (_, n) => ({ userId: `user-${n}`, username: `name-${n}`, oid: `oid-${n}` }),
  )
  const waiting = new Map(people.map((person) => [person.userId, person]))
  const again = new Map<string, SyncPerson>()
  const questions: (readonly string[])[] = []
  const failed: string[] = []
  const applied = new Set<string>()
  const expired: Parameters<SyncStore['expire']>[0][] = []
  const told: Told[] = []
  const counts = new Map<string, number>()
  let [now, under, most, releases] = [0, 0, 0, 0]
  let begun = false // the turn that begins by itself finds nothing to do
  const onceBegun = <Port extends object>(given: Partial<Port> = {}, usual: Port): Port =>
    new Proxy(usual, { get: (_, name) => (begun ? { ...usual, ...given } : usual)[name as keyof Port] })
  const everybody = async (oids: readonly string[]) => new Map(oids.map((oid) => [oid, ENABLED]))
  const sync = createSync({
    pace,
    graceMs,
    clock: () => now,
    mapping: () => ({
      settings: {
        mapping: { evaluate: () => ({ groups: new Map(), staff: [], superuser: [] }), namesOf: () => [] } as never,
      },
      requireMappedGroup: false,
    }),
    lookups: { groupIds: async () => new Map() },
    source: {
      batch: 10,
      async read(oids) {
        questions.push(oids)
        most = Math.max(most, ++under)
        await new Promise((resolve) => setImmediate(resolve))
        try {
          return await (read ?? everybody)(oids)
        } finally {
          under--
        }
      },
    },
    store: onceBegun(store, {
      now: async () => new Date(0).toISOString(),
      due: async () => begun ? [...waiting.values()].slice(0, 2_000) : [],
      async apply({ userId }) {
        waiting.delete(userId)
        applied.add(userId)
        return undefined
      },
      disabled: async () => [],
      missing: async () => undefined,
      async failed(who) {
        for (const person of who) {
          waiting.delete(person.userId)
          again.set(person.userId, person)
          failed.push(person.userId)
        }
      },
      async expire(staleness) {
        expired.push(staleness)
        return { privileges: [], sessions: [] }
      },
      overview: async () => ({ lagMs: 7_000, unanswered: again.size }),
    }),
    leadership: onceBegun(leadership, {
      held: async () => true,
      release: async () => {
        releases++
      },
    }),
    report: {
      changed: () => {},
      groupMissing: () => {},
      privilegesDropped: () => {},
      takenBack: () => {},
      ended: (_person, why, sessions) => told.push({ what: why, sessions }),
      failing: ({ code }, number) => told.push({ what: 'failing', code, people: number }),
      broken: (thrown) => told.push({ what: 'broken', code: (thrown as { code?: string }).code ?? randomUUID() }),
      recovered: () => told.push({ what: 'recovered' }),
      counted: (result, number) => counts.set(result, (counts.get(result) ?? 0) + number),
    },
  })
  t.teardown(() => sync.close())
  await sleep(5)
  await sync.pass()
  begun = true
  for (const list of [questions, failed, expired, told]) list.length = 0
  return {
    sync,
    people,
    questions,
    failed,
    applied,
    expired,
    told,
    counts,
    releases: () => releases,
    atOnce: () => most,
    async later(minutes) {
      now += minutes * MINUTE
    },
    async pass(minutes = 0) {
      now += minutes * MINUTE
      await sync.pass()
      for (const [id, person] of again) waiting.set(id, person)
      again.clear()
    },
  }
}
