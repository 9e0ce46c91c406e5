// Counts in memory what activity.ts names, until the writer takes it (src/store/activity.ts). A counter is one number
// that the compiled rule or the dialect keeps at hand: counting an answer looks nothing up and allocates nothing.
import type { Grounds } from './access.js'
import type { ActivityKind } from './activity.js'
import type { ErrorCode } from './errors.js'
import type { Meter } from './meter.js'

export interface Counter {
  count: number
}

/** Answers of forward-auth. An answer counts for the rule that decided it, too. */
export interface AnswerCounters {
  allowed(grounds: Grounds): void
  /** @param grounds undefined where the rules were not evaluated */
  notSignedIn(grounds: Grounds | undefined): void
  notAllowed(grounds: Grounds): void
  failed(code: ErrorCode): void
}

export interface ActivityCounters {
  readonly answers: AnswerCounters
  /** @param result `ok`, or the code of the failure */
  signIn(result: string): void
  /**
   * Called once for each configuration that comes into force. @param keys of its rules (activity.ts)
   * @returns their counters, in this order; empty where nothing is counted
   */
  rules(keys: readonly string[]): readonly Counter[]
  /** What was counted since the last call. A key may occur more than once. */
  take(): readonly ActivityCount[]
}

export interface ActivityCount {
  readonly kind: ActivityKind
  readonly key: string
  readonly count: number
}

/** For an installation without the console. */
export const NOTHING_COUNTED: ActivityCounters = {
  answers: { allowed() {}, notSignedIn() {}, notAllowed() {}, failed() {} },
  signIn() {},
  rules: () => [],
  take: () => [],
}

export function createActivityCounters(): ActivityCounters {
  const allowed: Counter = { count: 0 }
  const notSignedIn: Counter = { count: 0 }
  const notAllowed: Counter = { count: 0 }
  const failures = createKeyedCounters()
  const signIns = createKeyedCounters()
  const rules = createRuleCounters()
  return {
    answers: {
      allowed(grounds) {
        allowed.count++
        hit(grounds)
      },
      notSignedIn(grounds) {
        notSignedIn.count++
        if (grounds !== undefined) hit(grounds)
      },
      notAllowed(grounds) {
        notAllowed.count++
        hit(grounds)
      },
      failed: failures.add,
    },
    signIn: (result) => signIns.add(result === 'ok' ? 'completed' : result),
    rules: rules.register,
    take: () => [
      ...taken('answer', [['allowed', allowed], ['not_signed_in', notSignedIn], ['not_allowed', notAllowed]]),
      ...taken('answer', failures.all()),
      ...taken('sign_in', signIns.all()),
      ...taken('rule', rules.all()),
    ],
  }
}

function hit({ hits }: Grounds): void {
  if (hits !== undefined) hits.count++
}

type Named = readonly [key: string, counter: Counter]

function taken(kind: ActivityKind, counters: Iterable<Named>): ActivityCount[] {
  const counts: ActivityCount[] = []
  for (const [key, counter] of counters) {
    if (counter.count > 0) counts.push({ kind, key, count: counter.count })
    counter.count = 0
  }
  return counts
}

/** The keys are codes of errors.ts: as many as there are. */
function createKeyedCounters() {
  const counters = new Map<string, Counter>()
  return {
    add(key: string): void {
      const counter = counters.get(key)
      if (counter === undefined) counters.set(key, { count: 1 })
      else counter.count++
    },
    all: () => counters,
  }
}

/** Requests in flight count for the rules of the configuration that they began with. */
function createRuleCounters() {
  let configurations: (readonly Named[])[] = []
  return {
    register(keys: readonly string[]): readonly Counter[] {
      const counters = keys.map((key): Named => [key, { count: 0 }])
      configurations.push(counters)
      return counters.map(([, counter]) => counter)
    },
    /** Configurations of before are forgotten after a minute without a hit: then nothing counts for them any more. */
    all(): readonly Named[] {
      const all = configurations.flat()
      const [last] = configurations.slice(-1)
      configurations = configurations.filter((each) => each === last || each.some(([, { count }]) => count > 0))
      return all
    },
  }
}

/** Sign-ins are counted where they are measured. */
export function countingSignIns(meter: Meter, counters: Pick<ActivityCounters, 'signIn'>): Meter {
  return {
    ...meter,
    login(result, seconds) {
      meter.login(result, seconds)
      counters.signIn(result)
    },
  }
}
