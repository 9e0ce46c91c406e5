// Fast path for forward-auth: answers from the session cache, bypassing Fastify's request lifecycle, which costs more
// than the answer itself. It also refuses anonymous requests once the log's budget for single lines is used up. Falls
// through to the route on anything uncertain; the route evaluates the request again.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Grounds } from '../../core/access.js'
import type { AnswerCounters } from '../../core/activity-counters.js'
import type { Meter } from '../../core/meter.js'
import type { RequestSample } from '../../core/request-sample.js'
import type { SessionRecord } from '../../core/session.js'
import type { Target } from '../../core/target.js'
import { closeAfterAnnouncedBody } from './announced-body.js'
import type { AnswerLog } from './access-log.js'
import { REFUSALS_UNLOGGED } from './route.js'
import { COMMON_HEADERS, type FlatHeaders } from './header-template.js'
import type { ShadowObserver } from './shadow-observer.js'
import type { Authorizer } from './authorizer.js'

export interface AuthEndpoint {
  /** The dialect's path; a trailing `/*` matches any suffix. */
  readonly path: string
  readonly query: 'refused' | 'ignored'
  /** The request has the query that keeps refusals out of the log (dialects/dialect.ts). */
  readonly unlogged?: boolean
  readonly readTarget: (request: IncomingMessage) => Target | undefined
  /** Headers of the 401, where it is the same for every client. */
  readonly plain401: ((target: Target | undefined) => FlatHeaders) | undefined
}

export interface FastPathOptions {
  readonly endpoints: readonly AuthEndpoint[]
  readonly authorizer: Pick<Authorizer, 'authorizeCached' | 'groundsFor'>
  readonly counters: Pick<AnswerCounters, 'allowed' | 'notSignedIn'>
  readonly shadows: ShadowObserver
  readonly sample: RequestSample
  readonly clientAddress: (request: IncomingMessage) => string | undefined
  readonly meter: Pick<Meter, 'answered' | 'sessionLookups'>
  readonly log: Pick<AnswerLog, 'alreadyFull'>
}

/** @returns whether the request was answered; if not, the route must handle it */
export type FastPath = (request: IncomingMessage, response: ServerResponse) => boolean

export function createFastPath(options: FastPathOptions): FastPath {
  const { endpoints, authorizer, meter, log } = options
  const matchEndpoint = createEndpointMatcher(endpoints)
  const noted = createNotes(options)
  /** @returns status and headers; undefined: fall through to the route */
  const authorize = (
    request: IncomingMessage,
    { readTarget, plain401, unlogged }: AuthEndpoint,
  ): [number, FlatHeaders] | undefined => {
    try {
      const target = readTarget(request)
      const verdict = authorizer.authorizeCached(target, request.headers.cookie)
      if (verdict?.kind === 'allowed') {
        meter.sessionLookups[verdict.session === undefined ? 'none' : 'memory']++
        noted.allowed(request, target, verdict)
        return [200, verdict.headers]
      }
      if (verdict === undefined || plain401 === undefined || !(unlogged || log.alreadyFull())) return undefined
      meter.sessionLookups.none++
      if (!unlogged) noted.notSignedIn(request, target, verdict.grounds) // guard: admin-activity-asked-twice
      return [401, COMMON_HEADERS.concat(plain401(target))]
    } catch {
      return undefined // the route fails in the same way and reports it in the dialect of the proxy
    }
  }
  return (request, response) => {
    const endpoint = matchEndpoint(request.url ?? '')
    if (endpoint === undefined) return false
    closeAfterAnnouncedBody(request, response) // guard: adv-announced-body
    const began = performance.now()
    const answer = authorize(request, endpoint)
    if (answer === undefined) return false
    response.writeHead(answer[0], answer[1] as string[])
    response.end()
    meter.answered(endpoint.path, answer[0], (performance.now() - began) / 1000)
    return true
  }
}

/** What is counted, sampled and observed of an answer. */
function createNotes(options: FastPathOptions) {
  const { counters, shadows, sample, clientAddress } = options
  const decidedBy = createGroundsReader(options)
  const observe = (
    request: IncomingMessage,
    target: Target | undefined,
    session: SessionRecord | undefined,
    allowed: boolean,
  ): void => shadows.observe({ target, session, address: () => clientAddress(request) }, allowed)
  return {
    allowed(
      request: IncomingMessage,
      target: Target | undefined,
      { session, grounds }: { readonly session: SessionRecord | undefined, readonly grounds: Grounds },
    ): void {
      const deciding = decidedBy(grounds, target, request)
      counters.allowed(deciding)
      sample.note(target, session?.userId, deciding)
      if (shadows.active()) observe(request, target, session, true)
    },
    notSignedIn(request: IncomingMessage, target: Target | undefined, grounds: Grounds | undefined): void {
      counters.notSignedIn(grounds)
      sample.note(target, undefined, grounds)
      if (shadows.active()) observe(request, target, undefined, false)
    },
  }
}

/** A rule with networks may have allowed a request whose address it does not match: only the count depends on it. */
function createGroundsReader({ authorizer, clientAddress }: FastPathOptions) {
  return (grounds: Grounds, target: Target | undefined, request: IncomingMessage): Grounds => {
    if (!grounds.dependsOnAddress || grounds.hits === undefined) return grounds // guard: admin-activity-address
    const { cookie: cookieHeader } = request.headers
    return authorizer.groundsFor({ target, cookieHeader, address: () => clientAddress(request) }) ?? grounds
  }
}

/** Matches the exact paths only: other spellings and refused queries are left to the routes. */
function createEndpointMatcher(endpoints: readonly AuthEndpoint[]): (url: string) => AuthEndpoint | undefined {
  const prefixed = endpoints.filter(({ path }) => path.endsWith('/*')).map((endpoint) => ({
    endpoint,
    prefix: endpoint.path.slice(0, -1),
  }))
  const exact = endpoints.flatMap((endpoint) => [
    { url: endpoint.path, endpoint },
    ...(endpoint.query === 'ignored'
      ? []
      : [{ url: `${endpoint.path}${REFUSALS_UNLOGGED}`, endpoint: { ...endpoint, unlogged: true } }]),
  ])
  const withPath = (path: string): AuthEndpoint | undefined => {
    for (const { url, endpoint } of exact) if (url === path) return endpoint // at most four entries
    return undefined
  }
  return (url) => {
    const match = withPath(url)
    if (match !== undefined) return match
    for (const { endpoint, prefix } of prefixed) if (url.startsWith(prefix)) return endpoint
    const mark = url.indexOf('?')
    const withoutQuery = mark === -1 ? undefined : withPath(url.slice(0, mark))
    return withoutQuery?.query === 'ignored' ? withoutQuery : undefined // guard: live-fast-path-query
  }
}
