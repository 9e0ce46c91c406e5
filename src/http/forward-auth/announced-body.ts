// Handles forward-auth requests that announce a body. Some proxies copy Content-Length from the client's request and
// send no body: the next request on the same connection would be read as that body. So the response closes the
// connection.
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Call before the head of the response is written. */
export function closeAfterAnnouncedBody({ headers }: IncomingMessage, response: ServerResponse): void {
  const length = headers['content-length']
  const announced = (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
  if (announced) response.shouldKeepAlive = false // node:http sends `Connection: close`
}
