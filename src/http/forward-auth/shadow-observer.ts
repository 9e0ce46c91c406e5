// Judges shadow rules about requests that are answered already: what would have differed is counted, and logged once a
// minute and person at most. Nothing that fails here reaches the answer.
import type { FastifyBaseLogger } from 'fastify'
import { ruleTitle } from '../../core/access.js'
import type { SessionRecord } from '../../core/session.js'
import type { ShadowDecision, ShadowRequest, ShadowRules } from '../../core/shadow-rules.js'
import type { Announcements } from '../../core/siblings.js'
import type { Target } from '../../core/target.js'
import { cutFacts } from '../log-budget.js'
import { createLogThrottle } from '../log-throttle.js'

export interface ShadowObserver {
  /** Whether there are shadow rules. */
  active(): boolean
  /** @param allowed whether the request was let in */
  observe(request: ObservedRequest, allowed: boolean): void
}

export interface ObservedRequest {
  /** Undefined: the proxy sent none, and no rule can be about it. */
  readonly target: Target | undefined
  readonly address: () => string | undefined
  readonly session: SessionRecord | undefined
}

export interface ShadowObserverOptions {
  /** Of the configuration in force. */
  readonly shadows: () => ShadowRules | undefined
  /** Undefined: nothing is logged. */
  readonly log: Pick<FastifyBaseLogger, 'info' | 'error'> | undefined
  readonly announcements?: Announcements | undefined
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

interface SignedInRequest extends ShadowRequest {
  readonly session: SessionRecord | undefined
}

const MINUTE_MS = 60_000
/** More people in a minute are counted and not logged. */
const MAX_PEOPLE = 1_000
/** All requests without a session are those of one person. */
const ANONYMOUS = 'anonymous'

export function createShadowObserver({ shadows, log, announcements, now }: ShadowObserverOptions): ShadowObserver {
  const throttle = createLogThrottle({
    intervalMs: MINUTE_MS,
    capacity: MAX_PEOPLE,
    whenFull: 'refuse',
    announcements,
    ...(now === undefined ? {} : { now }),
  })
  const report = (request: SignedInRequest, allowed: boolean, changed: readonly ShadowDecision[]): void => {
    const person = request.session?.userId ?? ANONYMOUS
    const [first] = changed
    if (first === undefined || log === undefined || !throttle.admit(person)) return // guard: policy-shadow-log-once
    throttle.written(person)
    log.info(factsOf(request, changed), `shadow rule ${ruleTitle(first.rule)} ${whatItWouldDo(first, allowed)}`)
  }
  return {
    active: () => shadows() !== undefined,
    observe({ target, ...others }, allowed) {
      if (target === undefined) return
      try {
        const request = { target, ...others }
        const changed = shadows()?.count(request, allowed) ?? []
        if (changed.length > 0) report(request, allowed, changed)
      } catch (error) {
        // guard: policy-shadow-never-fails
        if (throttle.admit('')) log?.error({ err: error }, 'the shadow rules could not be judged')
      }
    },
  }
}

function factsOf({ target, session }: SignedInRequest, changed: readonly ShadowDecision[]) {
  const { rule } = changed[0] as ShadowDecision
  return cutFacts({
    rule: ruleTitle(rule),
    allows: rule.allows,
    ...(changed.length > 1 ? { rules: changed.slice(0, 10).map((each) => ruleTitle(each.rule)) } : {}),
    username: session?.username,
    host: target.host,
    path: target.path,
    method: target.method,
  })
}

function whatItWouldDo({ kind }: ShadowDecision, allowed: boolean): string {
  if (!allowed) return 'would have let a request in that was refused'
  return kind === 'not_signed_in'
    ? 'would have asked for a sign-in where a request was let in'
    : 'would have refused a request that was let in'
}
