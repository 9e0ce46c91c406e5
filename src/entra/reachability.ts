// Reachability of Entra ID and Graph, from the outcome of regular requests: no request is sent for it.
import { TransportError, type HttpClient } from './http-client.js'

/** `unknown` until the first request. */
export interface Reachability {
  readonly state: 'unknown' | 'ok' | 'failing'
  readonly since: string | null
}

export interface WatchedHttpClient extends HttpClient {
  reachability(): { readonly entra: Reachability, readonly graph: Reachability }
  /** When each last answered well; undefined: not since the start. Milliseconds since 1970. */
  lastSuccess(): { readonly entra: number | undefined, readonly graph: number | undefined }
}

/** Called with the outcome of each request; status 0: no answer. */
export type NoteRequest = (part: 'entra' | 'graph', status: number, seconds: number) => void

/** @param graphUrl what begins with this is Graph, everything else Entra ID @param now milliseconds since 1970 */
export function withReachability(
  http: HttpClient,
  graphUrl: string,
  noteRequest: NoteRequest = () => {},
  now: () => number = Date.now,
): WatchedHttpClient {
  const parts: Record<'entra' | 'graph', Reachability> = {
    entra: { state: 'unknown', since: null },
    graph: { state: 'unknown', since: null },
  }
  const succeeded: Record<'entra' | 'graph', number | undefined> = { entra: undefined, graph: undefined }
  const partOf = (url: string) => new URL(url).origin === new URL(graphUrl).origin ? 'graph' : 'entra'
  const note = (url: string, state: 'ok' | 'failing'): void => {
    const part = partOf(url)
    if (state === 'ok') succeeded[part] = now()
    if (parts[part].state !== state) parts[part] = { state, since: new Date(now()).toISOString() }
  }
  return {
    async send(request) {
      const began = performance.now()
      const record = (status: number) => noteRequest(partOf(request.url), status, (performance.now() - began) / 1000)
      try {
        const answer = await http.send(request)
        record(answer.status)
        note(request.url, answer.status >= 500 ? 'failing' : 'ok')
        return answer
      } catch (error) {
        record(0)
        if (error instanceof TransportError) note(request.url, 'failing')
        throw error
      }
    },
    close: () => http.close(),
    reachability: () => ({ ...parts }),
    lastSuccess: () => ({ ...succeeded }),
  }
}
