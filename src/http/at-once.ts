// Most requests of all applications ask about a session that is in memory and may pass. These are answered here, before Fastify makes
// a request of them: that takes longer than the answer. Whatever is not a plain yes goes its usual way, which judges it anew.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Meter } from '../core/meter.js'
import type { Target } from '../core/target.js'
import type { Verifier } from './verify.js'

export interface AuthEndpoint {
  /** As the dialect has it; `/*` at its end stands for whatever follows. */
  readonly path: string
  readonly query: 'refused' | 'ignored'
  readonly readTarget: (request: IncomingMessage) => Target | undefined
}

export interface AtOnceOptions {
  readonly endpoints: readonly AuthEndpoint[]
  readonly verifier: Pick<Verifier, 'atOnce'>
  readonly meter: Pick<Meter, 'answered' | 'sessionFrom'>
}

/** @returns whether it was answered */
export type AtOnce = (request: IncomingMessage, response: ServerResponse) => boolean

export function createAtOnce({ endpoints, verifier, meter }: AtOnceOptions): AtOnce {
  const endpointOf = endpointFinder(endpoints)
  return (request, response) => {
    const endpoint = endpointOf(request.url ?? '')
    if (endpoint === undefined) return false
    const began = performance.now()
    try {
      const headers = verifier.atOnce(endpoint.readTarget(request), request.headers.cookie)
      if (headers === undefined) return false
      response.writeHead(200, headers as string[])
    } catch {
      return false // the endpoint finds it again, and says it in its proxy's way
    }
    response.end()
    meter.sessionFrom.memory++
    meter.answered(endpoint.path, 200, (performance.now() - began) / 1000)
    return true
  }
}

/** The paths letter by letter: what is another spelling, or refused, is for the endpoints themselves to say. */
function endpointFinder(endpoints: readonly AuthEndpoint[]): (url: string) => AuthEndpoint | undefined {
  const exact = new Map(endpoints.map((endpoint) => [endpoint.path, endpoint]))
  const below = endpoints.filter(({ path }) => path.endsWith('/*'))
  return (url) => {
    const known = exact.get(url)
    if (known !== undefined) return known
    const longer = below.find(({ path }) => url.startsWith(path.slice(0, -1)))
    if (longer !== undefined) return longer
    const mark = url.indexOf('?')
    const asked = mark === -1 ? undefined : exact.get(url.slice(0, mark))
    return asked?.query === 'ignored' ? asked : undefined
  }
}
