// Counts in memory what activity.ts names, until the writer takes it (src/store/activity.ts). A counter is one number
// that the compiled rule or the dialect keeps at hand: counting an answer looks nothing up and allocates nothing.
import type { Grounds } from './access.js'
import type { ActivityKind } from './activity.js'
import type { ErrorCode } from './errors.js'
import type { Meter } from './meter.js'

export interface Counter {
  count: number
}

/** Of a rule: how often it decided, and of a shadow rule how often it would have, with what it would have changed. */
export interface RuleCounter extends Counter {
  /** Of the rule (activity.ts). */
  readonly key: string
  /** Requests that were let in and would have been refused. */
  refused: number
  /** Requests that were refused and would have been let in. */
  letIn: number
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
  rules(keys: readonly string[]): readonly RuleCounter[]
  /** The keys of the rules in force. */
  ruleKeys(): readonly string[]
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
  ruleKeys: () => [],
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
    ruleKeys: rules.inForce,
    take: () => [
      ...taken('answer', [['allowed', allowed], ['not_signed_in', notSignedIn], ['not_allowed', notAllowed]]),
      ...taken('answer', failures.all()),
      ...taken('sign_in', signIns.all()),
      ...rules.all().flatMap(takenOfRule),
    ],
  }
}

function hit({ hits }: Grounds): void {
  if (hits !== undefined) hits.count++
}

type Named = readonly [key: string, counter: Counter]
type NamedRule = readonly [key: string, counter: RuleCounter]

function taken(kind: ActivityKind, counters: Iterable<Named>): ActivityCount[] {
  const counts: ActivityCount[] = []
  for (const [key, counter] of counters) {
    if (counter.count > 0) counts.push({ kind, key, count: counter.count })
    counter.count = 0
  }
  return counts
}

function takenOfRule([key, counter]: NamedRule): ActivityCount[] {
  const { count, refused, letIn } = counter
  counter.count = counter.refused = counter.letIn = 0
  const all: ActivityCount[] = [
    { kind: 'rule', key, count },
    { kind: 'shadow_refused', key, count: refused },
    { kind: 'shadow_let_in', key, count: letIn },
  ]
  return all.filter((each) => each.count > 0)
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
  let configurations: (readonly NamedRule[])[] = []
  let keysInForce: readonly string[] = []
  return {
    register(keys: readonly string[]): readonly RuleCounter[] {
      const counters = keys.map((key): NamedRule => [key, { key, count: 0, refused: 0, letIn: 0 }])
      configurations.push(counters)
      keysInForce = keys
      return counters.map(([, counter]) => counter)
    },
    inForce: (): readonly string[] => keysInForce,
    /** Configurations of before are forgotten after a minute without a hit: then nothing counts for them any more. */
    all(): readonly NamedRule[] {
      const all = configurations.flat()
      const [last] = configurations.slice(-1)
      configurations = configurations.filter((each) =>
        each === last || each.some(([, { count, refused, letIn }]) => count + refused + letIn > 0)
      )
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
