// The faults that a test scripts. Each entry waits for a matching request, answers it, and is used up after `times`.
// Entries are tried in the order they were added, one per request: "503, then 429, then fine" is two `add`s.

export type FaultTarget = 'authorize' | 'token' | 'keys' | 'discovery' | 'logout' | 'graph'

export type Forgery = 'none' | 'hs256-public-key' | 'unregistered-key' | 'unknown-kid' | 'embedded-jwk' | 'truncated'

/** Faults that replace the answer, or delay it. */
export type AnswerFault =
  /**
   * Sent unchanged: an object as JSON, a string raw. The sample envelopes of a recording fit (`{ kind: 'status',
   * ...sample }`).
   */
  | { kind: 'status', status: number, body?: unknown, headers?: Record<string, string> }
  /** Throttling; without `retryAfter` there is no such header. */
  | { kind: 'throttle', retryAfter?: string, status?: 429 | 503 }
  /** 200 with any JSON. */
  | { kind: 'body', body: unknown }
  | { kind: 'html', status?: number }
  /** More than `bytes` of valid JSON; default 64 MiB. */
  | { kind: 'hugeBody', bytes?: number }
  /** Never answered, until the client goes or the simulator closes. */
  | { kind: 'hang' }
  /** The connection is reset instead of an answer. */
  | { kind: 'reset' }
  /** The true answer, its second half missing and the connection broken. */
  | { kind: 'cut' }
  | { kind: 'slow', ms: number }
  /** An error by its number, in the shape of the token endpoint; `crlf` separates as in 2019 recordings. */
  | {
    kind: 'aadsts'
    code: number
    error?: string
    status?: number
    crlf?: boolean
    suberror?: string
    claims?: string
  }

/** Change a page of memberships: the next one, or the one that `page` names. */
export type PageFault =
  /** Waits for a request of a page by its token. */
  | { kind: 'expiredPageToken' }
  /** Both add a nextLink even to the last page. */
  | { kind: 'foreignNextLink', origin: string }
  | { kind: 'loopingNextLink' }
  /** No elements, and a nextLink to the same place. */
  | { kind: 'emptyPage' }

/** Change the ID token of the next token answer. */
export type TokenFault =
  | { kind: 'mutateClaims', change: (claims: Record<string, unknown>) => void }
  | { kind: 'signWith', how: Forgery }
  | { kind: 'dropIdToken' }

/** Changes the parameters of the next answer to the redirect URI. */
export type CallbackFault = { kind: 'callback', change: (parameters: URLSearchParams) => void }

export type Fault = AnswerFault | PageFault | TokenFault | CallbackFault

export interface FaultEntry {
  on: FaultTarget
  /** A part of path and query, or a pattern for them. */
  path?: RegExp | string
  /** 1 for the first page of memberships. */
  page?: number | 'last'
  /** Default 1; Infinity until `clear()`. */
  times?: number
  /** Several are applied together, for instance slow and cut. */
  then: Fault | Fault[]
}

export interface PageInfo {
  number: number
  last: boolean
}

export interface Faults {
  add(entry: FaultEntry): void
  clear(): void
  /** Entries that still wait; a test may assert that there are none. */
  waiting(): FaultEntry[]
}

const answer = ['status', 'throttle', 'body', 'html', 'hugeBody', 'hang', 'reset', 'cut', 'slow', 'aadsts'] as const
const page = ['expiredPageToken', 'foreignNextLink', 'loopingNextLink', 'emptyPage'] as const
const token = ['mutateClaims', 'signWith', 'dropIdToken'] as const

const is = <F extends Fault>(kinds: readonly F['kind'][]) => (fault: Fault): fault is F => kinds.includes(fault.kind)
const isAnswer = is<AnswerFault>(answer)
const isPage = is<PageFault>(page)
const isToken = is<TokenFault>(token)
const isCallback = is<CallbackFault>(['callback'])

/** The taking side, for the simulator's own routes. */
export interface FaultScript extends Faults {
  forAnswer(on: FaultTarget, url: string): AnswerFault[]
  forPage(url: string, info: PageInfo): (AnswerFault | PageFault)[]
  forToken(): TokenFault[]
  forCallback(): CallbackFault[]
}

const listOf = (entry: FaultEntry) => Array.isArray(entry.then) ? entry.then : [entry.then]
const isAbout = (path: RegExp | string | undefined, url: string) =>
  path === undefined ||
  (typeof path === 'string' ? url.includes(path) : new RegExp(path.source, path.flags.replace('g', '')).test(url))

function suitsPage(entry: FaultEntry, info: PageInfo) {
  if (entry.page !== undefined) return entry.page === 'last' ? info.last : entry.page === info.number
  return info.number > 1 || listOf(entry).every((fault) => fault.kind !== 'expiredPageToken')
}

export function createFaults(): FaultScript {
  let entries: { entry: FaultEntry, left: number }[] = []

  const take = <F extends Fault>(wanted: (fault: Fault) => fault is F, suits: (entry: FaultEntry) => boolean): F[] => {
    const found = entries.find(({ entry }) => listOf(entry).every(wanted) && suits(entry))
    if (!found) return []
    found.left -= 1
    entries = entries.filter(({ left }) => left > 0)
    return listOf(found.entry).filter(wanted)
  }

  return {
    add(entry) {
      const faults = listOf(entry)
      const together = [isAnswer, isPage, isToken, isCallback].some((kind) => faults.every(kind)) ||
        (entry.page !== undefined && faults.every((fault) => isAnswer(fault) || isPage(fault)))
      if (faults.length === 0 || !together) {
        throw new Error('faults: kinds that belong to different moments cannot be one entry')
      }
      entries.push({ entry, left: entry.times ?? 1 })
    },
    clear() {
      entries = []
    },
    waiting: () => entries.map(({ entry }) => entry),
    forAnswer: (on, url) =>
      take(isAnswer, (entry) => entry.on === on && entry.page === undefined && isAbout(entry.path, url)),
    forPage: (url, info) =>
      take(
        (fault): fault is AnswerFault | PageFault => isAnswer(fault) || isPage(fault),
        (entry) =>
          entry.on === 'graph' && (entry.page !== undefined || listOf(entry).some(isPage)) &&
          isAbout(entry.path, url) && suitsPage(entry, info),
      ),
    forToken: () => take(isToken, (entry) => entry.on === 'token'),
    forCallback: () => take(isCallback, (entry) => entry.on === 'authorize'),
  }
}
