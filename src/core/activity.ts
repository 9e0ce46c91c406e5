// What the installation did, by minute: the kinds that are counted, the keys of access rules, and how it is read. The
// counters in memory are in activity-counters.ts, the table in src/store/activity-counts.ts.
import { createHash } from 'node:crypto'
import type { AccessRule } from './access.js'

/**
 * What is counted, and its keys:
 * - `answer`: answers of forward-auth: `allowed`, `not_signed_in`, `not_allowed`, or the code of an error;
 * - `sign_in`: sign-ins: `completed`, or the code of the failure;
 * - `rule`: answers that an access rule decided, or would have decided if it were no shadow rule: a key of `ruleKeys`,
 *   DEFAULT_RULE or UNKNOWN_METHOD_RULE;
 * - `shadow_refused`, `shadow_let_in`: answers that a shadow rule would have changed, by the key of the rule;
 * - `superusers`: active users with the flag: `superusers` and `staff`; a level, read once an hour.
 */
export type ActivityKind = 'answer' | 'sign_in' | 'rule' | 'shadow_refused' | 'shadow_let_in' | 'superusers'

/** Everything beyond the number of keys that are counted. */
export const OTHER_KEYS = 'other'
/** Requests that no rule matches. */
export const DEFAULT_RULE = 'default'
/** Requests with a method that is not registered, at a host whose rules name methods. */
export const UNKNOWN_METHOD_RULE = 'unknown_method'

export type Bucket = 'minute' | 'hour' | 'day'

export interface SeriesQuery {
  readonly kind: ActivityKind
  readonly bucket: Bucket
  /** So many milliseconds up to the database's present, or two moments. At most MAX_BUCKETS are read, the last ones. */
  readonly range: number | { readonly since: Date, readonly until: Date }
}

export const MAX_BUCKETS = 1_500

/** Every bucket of the range, also the empty ones. Hours and days are those of UTC. */
export interface ActivitySeries {
  readonly bucket: Bucket
  /** The start of each bucket; the first one and the last one may be partly outside of the range. */
  readonly buckets: readonly Date[]
  /** In the order of the total, the largest first; of a level in the order of the key. */
  readonly series: readonly KeySeries[]
}

export interface KeySeries {
  readonly key: string
  /** One for each bucket: the sum; of a level the largest value, and null where it was not read. */
  readonly counts: readonly (number | null)[]
  /** Of a level the last value. */
  readonly total: number
}

export interface CountsOfWindows {
  /** The last 24 hours, 7 days and 30 days, each to the hour. */
  readonly day: number
  readonly week: number
  readonly month: number
}

export interface RuleHits extends CountsOfWindows {
  /** Of `ruleKeys`; also rules that are no longer in force. */
  readonly key: string
  /** The minute of the last hit; undefined: none in 30 days. */
  readonly lastHit: Date | undefined
  /** Of a shadow rule: requests that were let in and that it would have refused. */
  readonly refused: CountsOfWindows
  /** Of a shadow rule: requests that were refused and that it would have let in. */
  readonly letIn: CountsOfWindows
  /** Its hits have been counted for 30 days. */
  readonly countedForMonth: boolean
}

/** Counts appear a minute after they were counted. @throws GatehouseError `database_unavailable` */
export interface ActivityReader {
  series(query: SeriesQuery): Promise<ActivitySeries>
  /** Rules without a hit in 30 days are absent, unless they have been counted for so long. */
  ruleHits(): Promise<readonly RuleHits[]>
}

/** The keys under which the decisions of these rules are counted: those of the rules, then the two others. */
export function countedKeys(rules: readonly AccessRule[]): readonly string[] {
  return [...ruleKeys(rules), DEFAULT_RULE, UNKNOWN_METHOD_RULE]
}

/**
 * The key of each rule: it stays the same while the rule's content does, wherever the rule moves and however it is
 * named. A rule with the content of an earlier one has a key of its own, because it never decides; so has a shadow
 * rule, because what it would have decided is not what it decides once it is enforced.
 */
export function ruleKeys(rules: readonly AccessRule[]): readonly string[] {
  const seen = new Map<string, number>()
  return rules.map((rule) => {
    const key = contentKey(rule)
    const before = seen.get(key) ?? 0
    seen.set(key, before + 1)
    return before === 0 ? key : `${key}-${before + 1}`
  })
}

function contentKey({ hosts, networks, methods, paths, allow, enforce }: AccessRule): string {
  const any = (list: readonly string[] | undefined) => list === undefined ? null : [...new Set(list)].sort()
  const allowed = typeof allow === 'string'
    ? allow
    : [any(allow.groups), any(allow.permissions), allow.staff ?? false, allow.superuser ?? false]
  const content = [
    any(hosts.map((host) => host.toLowerCase())),
    any(networks),
    any(methods),
    any(paths),
    allowed,
    ...enforce === false ? ['shadow'] : [],
  ]
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16)
}
