// A question that announces a body. Some proxies copy Content-Length from the client's request and send no body: the
// next question on the same connection would then be read as that body. The answer ends the connection instead.
import type { IncomingMessage, ServerResponse } from 'node:http'

/** To be called before the head of the answer is written. */
export function closeAfterAnnouncedBody({ headers }: IncomingMessage, response: ServerResponse): void {
  const length = headers['content-length']
  const announced = (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
  if (announced) response.shouldKeepAlive = false // node:http sends `Connection: close`
}
