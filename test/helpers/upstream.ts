// An application behind a proxy that keeps what it received, and takes WebSockets.
import { createHash } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { Test } from 'tap'

export interface Received { readonly headers: IncomingHttpHeaders, readonly raw: readonly string[], readonly url: string, readonly method: string }

export async function startUpstream(t: Test): Promise<{ readonly received: Received[], readonly port: number }> {
  const received: Received[] = []
  const upstream = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
    received.push({ headers: request.headers, raw: request.rawHeaders, url: request.url ?? '', method: request.method ?? '' })
    let body = ''
    request.on('data', (chunk: Buffer) => { body += chunk.toString() }).on('end', () => response.end(request.method === 'HEAD' ? undefined : `${request.method} ${request.url} ${body}`))
  })
  upstream.on('upgrade', (request, socket) => { // RFC 6455 section 4.2.2
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.end(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { upstream.close(); upstream.closeAllConnections() })
  return { received, port: (upstream.address() as { port: number }).port }
}
