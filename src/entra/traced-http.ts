// Traces each request to Entra ID and Graph. A span records only the host of the URL: paths contain object IDs of
// users, and queries contain page tokens. Requests carry no trace headers: Microsoft does not learn of our traces.
import type { Tracer } from '../core/tracer.js'
import type { EntraEndpoints } from './clouds.js'
import { TransportError, type HttpClient } from './http-client.js'

export function tracedHttp(
  http: HttpClient,
  endpoints: Pick<EntraEndpoints, 'token' | 'keys' | 'graph'>,
  tracer: Tracer,
): HttpClient {
  if (!tracer.enabled) return http
  const graph = new URL(endpoints.graph).origin
  const nameOf = (url: URL): string => {
    if (url.origin === graph) return 'graph request'
    if (url.href === new URL(endpoints.token).href) return 'entra token request'
    return url.href === new URL(endpoints.keys).href ? 'entra keys request' : 'entra request'
  }
  return {
    send(request) {
      const url = new URL(request.url)
      const retry = Number(request.headers['retry-attempt'] ?? 0)
      const facts = {
        'http.request.method': request.method,
        'server.address': url.hostname,
        'server.port': Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
        ...(retry > 0 ? { 'http.request.resend_count': retry } : {}),
      }
      return tracer.part(nameOf(url), facts, async (span) => {
        try {
          const answer = await http.send(request)
          const id = answer.headers['request-id'] ?? answer.headers['x-ms-request-id'] ?? ''
          span.set({
            'http.response.status_code': answer.status,
            ...(/^[\w-]{1,64}$/.test(id) ? { 'gatehouse.microsoft_request_id': id } : {}),
          })
          if (answer.status >= 400) span.failed(String(answer.status))
          return answer
        } catch (error) {
          if (error instanceof TransportError) span.failed(error.kind)
          throw error
        }
      })
    },
    close: () => http.close(),
  }
}
