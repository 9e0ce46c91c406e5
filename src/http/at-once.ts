// Most requests of all applications ask about a session that is in memory and may pass. These are answered here, before
// Fastify makes a request of them: that takes longer than the answer. So is a flood of requests without a session,
// beyond what is logged line by line. Everything else goes its usual way, which judges it anew.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Meter } from '../core/meter.js'
import type { Target } from '../core/target.js'
import { closeAfterAnnouncedBody } from './dialects/announced-body.js'
import type { AnswerLog } from './dialects/answer-log.js'
import { REFUSALS_UNLOGGED } from './dialects/dialect.js'
import { EVERY_ANSWER, type FlatHeaders } from './prepared-headers.js'
import type { Verifier } from './verify.js'

export interface AuthEndpoint {
  /** As the dialect has it; `/*` at its end stands for whatever follows. */
  readonly path: string
  readonly query: 'refused' | 'ignored'
  /** With the query that leaves its refusals out of the log (dialects/dialect.ts). */
  readonly unlogged?: boolean
  readonly readTarget: (request: IncomingMessage) => Target | undefined
  /** Headers of its 401, where that is the same for every client. */
  readonly plain401: ((target: Target | undefined) => FlatHeaders) | undefined
}

export interface AtOnceOptions {
  readonly endpoints: readonly AuthEndpoint[]
  readonly verifier: Pick<Verifier, 'atOnce'>
  readonly meter: Pick<Meter, 'answered' | 'sessionFrom'>
  readonly log: Pick<AnswerLog, 'alreadyFull'>
}

/** @returns whether it was answered */
export type AtOnce = (request: IncomingMessage, response: ServerResponse) => boolean

export function createAtOnce({ endpoints, verifier, meter, log }: AtOnceOptions): AtOnce {
  const endpointOf = endpointFinder(endpoints)
  /** Status and headers; undefined where it is not answered here. */
  const judge = (
    request: IncomingMessage,
    { readTarget, plain401, unlogged }: AuthEndpoint,
  ): [number, FlatHeaders] | undefined => {
    try {
      const target = readTarget(request)
      const verdict = verifier.atOnce(target, request.headers.cookie)
      if (verdict?.kind === 'allowed') {
        meter.sessionFrom[verdict.signedIn ? 'memory' : 'nobody']++
        return [200, verdict.headers]
      }
      if (verdict === undefined || plain401 === undefined || !(unlogged || log.alreadyFull())) return undefined
      meter.sessionFrom.nobody++
      return [401, EVERY_ANSWER.concat(plain401(target))]
    } catch {
      return undefined // the endpoint finds it again, and says it in its proxy's way
    }
  }
  return (request, response) => {
    const endpoint = endpointOf(request.url ?? '')
    if (endpoint === undefined) return false
    closeAfterAnnouncedBody(request, response)
    const began = performance.now()
    const answer = judge(request, endpoint)
    if (answer === undefined) return false
    response.writeHead(answer[0], answer[1] as string[])
    response.end()
    meter.answered(endpoint.path, answer[0], (performance.now() - began) / 1000)
    return true
  }
}

/** The paths letter by letter: what is another spelling, or refused, is for the endpoints themselves to say. */
function endpointFinder(endpoints: readonly AuthEndpoint[]): (url: string) => AuthEndpoint | undefined {
  const below = endpoints.filter(({ path }) => path.endsWith('/*')).map((endpoint) => ({
    endpoint,
    prefix: endpoint.path.slice(0, -1),
  }))
  const spelled = endpoints.flatMap((endpoint) => [
    { url: endpoint.path, endpoint },
    ...(endpoint.query === 'ignored'
      ? []
      : [{ url: `${endpoint.path}${REFUSALS_UNLOGGED}`, endpoint: { ...endpoint, unlogged: true } }]),
  ])
  const withPath = (path: string): AuthEndpoint | undefined => {
    for (const { url, endpoint } of spelled) if (url === path) return endpoint // of four
    return undefined
  }
  return (url) => {
    const known = withPath(url)
    if (known !== undefined) return known
    for (const { endpoint, prefix } of below) if (url.startsWith(prefix)) return endpoint
    const mark = url.indexOf('?')
    const asked = mark === -1 ? undefined : withPath(url.slice(0, mark))
    return asked?.query === 'ignored' ? asked : undefined
  }
}
