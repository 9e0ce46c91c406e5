// A sample of the requests that were decided, so that a preview can say which of them another policy would decide
// otherwise. Of a request it keeps the rule, host, method, the first segments of the path and the user, never a query
// and never an address. What was noted waits in memory until the writer takes it (src/store/request-sample.ts).
import { createHash } from 'node:crypto'
import type { Grounds } from './access.js'
import type { Target } from './target.js'

/** A request; equal ones are counted together. */
export interface SampledRequest {
  /** Null: without a session. */
  readonly userId: string | null
  /** As in a target: lower case, with the port unless that is the default. */
  readonly host: string
  readonly method: string
  /** ASCII: the first segments, as they were sent, other bytes percent-encoded. */
  readonly path: string
  /** The path went on. */
  readonly isCut: boolean
  /** Of the rule that decided (activity.ts); empty: the rules were not evaluated. */
  readonly rule: string
}

export interface CountedRequest extends SampledRequest {
  /** Of all of the above: equal requests of all replicas and hours have the same. */
  readonly key: string
  readonly count: number
}

export interface RequestSample {
  /** Called for each answer: what is beyond the number of a second costs a comparison. @param userId of a session */
  note(target: Target | undefined, userId: string | undefined, grounds: Grounds | undefined): void
}

export interface CollectingSample extends RequestSample {
  /** Called once a second: so many requests are noted until the next call. */
  nextSecond(): void
  /** What was noted since the last call. */
  take(): readonly CountedRequest[]
}

/** For an installation without the console. */
export const NOTHING_SAMPLED: RequestSample = { note() {} }

export const SAMPLE_KEPT_MS = 24 * 3_600_000
export const SAMPLED_SEGMENTS = 3
/** A longer segment may be a secret: the path is cut before it. */
const MOST_OF_SEGMENT = 64
const MOST_OF_HOST = 255
const MOST_OF_METHOD = 20
/** Different requests between two calls of take(). */
const MOST_ENTRIES = 2_000

/**
 * Requests with a session and without one have a number of their own, so that nobody without a session can keep those
 * of users out of the sample.
 * @param perSecond how many of each; 0: none
 */
export function createRequestSample(perSecond: () => number): CollectingSample {
  const left = { ofUsers: 0, anonymous: 0 }
  let entries = new Map<string, { count: number } & SampledRequest>()
  return {
    note(target, userId, grounds) {
      const of = userId === undefined ? 'anonymous' : 'ofUsers'
      if (left[of] <= 0 || target === undefined) return // guard: policy-sample-bounded
      left[of]--
      if (target.host.length > MOST_OF_HOST || target.method.length > MOST_OF_METHOD) return
      const request = sampled(target, userId, grounds)
      const id = idOf(request)
      const known = entries.get(id)
      if (known !== undefined) known.count++
      else if (entries.size < MOST_ENTRIES) entries.set(id, { ...request, count: 1 })
    },
    nextSecond() {
      left.ofUsers = left.anonymous = perSecond()
    },
    take() {
      const taken = [...entries].map(([id, entry]): CountedRequest => ({ ...entry, key: keyOf(id) }))
      entries = new Map()
      return taken
    },
  }
}

function sampled(target: Target, userId: string | undefined, grounds: Grounds | undefined): SampledRequest {
  const { host, method } = target
  return { userId: userId ?? null, host, method, ...sampledPath(target.path), rule: grounds?.hits?.key ?? '' }
}

/** @param path of a target: ASCII, or bytes in Latin-1 */
export function sampledPath(path: string): Pick<SampledRequest, 'path' | 'isCut'> {
  const segments = path.slice(1).split('/', SAMPLED_SEGMENTS + 1)
  const secret = segments.findIndex(mayBeSecret)
  const kept = segments.slice(0, secret === -1 ? SAMPLED_SEGMENTS : secret) // guard: policy-sample-segments
  const isCut = kept.length < segments.length
  return { path: `/${kept.join('/').replace(/[^\x21-\x7e]/g, percentEncoded)}`, isCut }
}

/** Long, or with a path parameter or a query that was encoded: `;jsessionid=`. */
function mayBeSecret(segment: string, index: number): boolean {
  return index < SAMPLED_SEGMENTS && (segment.length > MOST_OF_SEGMENT || /;|%3[bf]/i.test(segment))
}

function percentEncoded(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

function idOf({ userId, host, method, path, isCut, rule }: SampledRequest): string {
  return JSON.stringify([userId, host, method, path, isCut, rule])
}

function keyOf(id: string): string {
  return createHash('sha256').update(id).digest('base64url').slice(0, 22)
}
