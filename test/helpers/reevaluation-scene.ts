// A re-evaluation on ports in memory: users, database, Graph and lock, and a clock that the test advances. Each test
// replaces the ports that it is about. The schedule is not started: a test calls its runs.
import type { Test } from 'tap'
import type { AccountResult, AccountSource, EntraUser } from '../../src/core/account-source.js'
import { GatehouseError, type ErrorCode } from '../../src/core/errors.js'
import type {
  DueUsers,
  ReevaluationWriter,
  StalenessExpiry,
  StalenessLimits,
} from '../../src/core/reevaluation-store.js'
import type {
  Leadership,
  ReevaluationDeps,
  ReevaluationPace,
  ReevaluationReporter,
} from '../../src/core/reevaluation.js'
import { createReevaluationSchedule, type ReevaluationSchedule } from '../../src/reevaluation/scheduler.js'

const MINUTE = 60_000
export const PACE: ReevaluationPace = {
  intervalMs: 5 * MINUTE,
  privilegedStalenessMs: 60 * MINUTE,
  maxStalenessMs: 1_440 * MINUTE,
}
export const ENABLED: AccountResult = { kind: 'enabled', groupIds: [], sessionsValidFrom: null }
export const error = (code: ErrorCode): GatehouseError => new GatehouseError(code)

/** A mapping that grants nothing. */
export const NOTHING_MAPPED: Pick<ReevaluationDeps, 'mapping' | 'lookups'> = {
  mapping: () => ({
    settings: {
      mapping: { evaluate: () => ({ groups: new Map(), staff: [], superuser: [] }), namesOf: () => [] } as never,
    },
    requireMappedGroup: false,
  }),
  lookups: { groupIds: async () => new Map() },
}

export interface Report {
  readonly event: 'users failed' | 'run failed' | 'recovered' | 'sessions ended'
  readonly code?: string
  readonly users?: number
  readonly reason?: string
  readonly sessions?: number
}

export interface SceneOptions {
  readonly users?: number
  /** Graph: the result of each object ID, or an error for all of them. */
  readonly read?: (oids: readonly string[]) => Promise<ReadonlyMap<string, AccountResult>>
  readonly dueUsers?: Partial<DueUsers>
  readonly writer?: Partial<ReevaluationWriter>
  readonly expiry?: Partial<StalenessExpiry>
  readonly leadership?: Partial<Leadership>
  readonly pace?: ReevaluationPace
  readonly graceMs?: number
  readonly changes?: ReevaluationDeps['changes']
  readonly catchUp?: ReevaluationDeps['catchUp']
}

export interface ReevaluationScene {
  readonly schedule: ReevaluationSchedule
  readonly users: readonly EntraUser[]
  /** Object IDs of each request to Graph. */
  readonly requests: (readonly string[])[]
  /** The largest number of requests in flight. */
  maxConcurrency(): number
  /** User ids in the order of their failed attempts. */
  readonly failed: string[]
  /** User ids. */
  readonly applied: Set<string>
  readonly expired: StalenessLimits[]
  readonly reports: Report[]
  /** Users by outcome. */
  readonly counts: Map<string, number>
  /** How often the lock was released. */
  releases(): number
  advance(minutes: number): void
  /** Advances the clock and runs once. */
  run(minutes?: number): Promise<void>
}

/** All users are due until their result is applied or their attempt fails; after a failure in the next run again. */
export async function reevaluationScene(t: Test, options: SceneOptions = {}): Promise<ReevaluationScene> {
  const users = usersOf(options.users ?? 1)
  const database = memoryDatabase(users)
  const graph = memoryGraph(options.read ?? everyoneEnabled)
  const { reports, counts, report } = recordingReporter()
  let [now, releases] = [0, 0]
  const schedule = createReevaluationSchedule({
    ...NOTHING_MAPPED,
    pace: options.pace ?? PACE,
    graceMs: options.graceMs ?? 0,
    clock: () => now,
    source: graph.source,
    dueUsers: { ...database.dueUsers, ...options.dueUsers },
    writer: { ...database.writer, ...options.writer },
    expiry: { ...database.expiry, ...options.expiry },
    leadership: {
      held: async () => true,
      release: async () => {
        releases++
      },
      ...options.leadership,
    },
    report,
    catchUp: options.catchUp,
    ...options.changes === undefined ? {} : { changes: options.changes },
  })
  t.teardown(() => schedule.close())
  const advance = (minutes: number): void => {
    now += minutes * MINUTE
  }
  return {
    schedule,
    users,
    requests: graph.requests,
    maxConcurrency: graph.maxConcurrency,
    failed: database.failed,
    applied: database.applied,
    expired: database.expired,
    reports,
    counts,
    releases: () => releases,
    advance,
    async run(minutes = 0) {
      advance(minutes)
      await schedule.run()
      database.retryFailed()
    },
  }
}

function usersOf(count: number): readonly EntraUser[] {
  return Array.from({ length: count }, (_, n) => ({ userId: `user-${n}`, username: `name-${n}`, oid: `oid-${n}` }))
}

function memoryDatabase(users: readonly EntraUser[]) {
  const due = new Map(users.map((user) => [user.userId, user]))
  const failedInRun = new Map<string, EntraUser>()
  const failed: string[] = []
  const applied = new Set<string>()
  const expired: StalenessLimits[] = []
  const dueUsers: DueUsers = {
    find: async () => [...due.values()].slice(0, 2_000),
    overview: async () => ({ lagMs: 7_000, failedUsers: failedInRun.size }),
  }
  const writer: ReevaluationWriter = {
    now: async () => new Date(0).toISOString(),
    async apply({ userId }) {
      due.delete(userId)
      applied.add(userId)
      return undefined
    },
    disabled: async () => [],
    missing: async () => undefined,
    async failed(attempted) {
      for (const user of attempted) {
        due.delete(user.userId)
        failedInRun.set(user.userId, user)
        failed.push(user.userId)
      }
    },
  }
  const expiry: StalenessExpiry = {
    async expire(limits) {
      expired.push(limits)
      return { privileges: [], sessions: [] }
    },
  }
  const retryFailed = (): void => {
    for (const [userId, user] of failedInRun) due.set(userId, user)
    failedInRun.clear()
  }
  return { dueUsers, writer, expiry, failed, applied, expired, retryFailed }
}

async function everyoneEnabled(oids: readonly string[]): Promise<ReadonlyMap<string, AccountResult>> {
  return new Map(oids.map((oid) => [oid, ENABLED]))
}

function memoryGraph(answer: NonNullable<SceneOptions['read']>) {
  const requests: (readonly string[])[] = []
  let [inFlight, max] = [0, 0]
  const source: AccountSource = {
    batchSize: 10,
    async read(oids) {
      requests.push(oids)
      max = Math.max(max, ++inFlight)
      await new Promise((resolve) => setImmediate(resolve))
      try {
        return await answer(oids)
      } finally {
        inFlight--
      }
    },
  }
  return { source, requests, maxConcurrency: () => max }
}

function recordingReporter() {
  const reports: Report[] = []
  const counts = new Map<string, number>()
  const report: ReevaluationReporter = {
    changed: () => {},
    groupMissing: () => {},
    privilegesExpired: () => {},
    signInGrantsLost: () => {},
    sessionsEnded: (_user, reason, sessions) => reports.push({ event: 'sessions ended', reason, sessions }),
    usersFailed: ({ code }, users) => reports.push({ event: 'users failed', code, users }),
    runFailed: (thrown) => reports.push({ event: 'run failed', code: (thrown as GatehouseError).code }),
    recovered: () => reports.push({ event: 'recovered' }),
    counted: (outcome, users) => counts.set(outcome, (counts.get(outcome) ?? 0) + users),
  }
  return { reports, counts, report }
}
