// An application behind a proxy that keeps what it received, takes WebSockets, and sends back what comes through them.
import { createHash } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Test } from 'tap'

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly raw: readonly string[]
  readonly url: string
  readonly method: string
}

/** Request line and headers of bytes that are no request to Node. */
function readLoosely(text: string): Received {
  const [line = '', ...lines] = text.replace(/\r?\n\r?\n[^]*$/, '').split(/\r?\n/)
  const [method = '', url = ''] = line.split(' ')
  const raw = lines.flatMap((each) => [each.replace(/:.*$/, ''), each.replace(/^[^:]*:\s*/, '')])
  const headers: Record<string, string> = {}
  for (let at = 0; at < raw.length; at += 2) headers[raw[at]?.toLowerCase() ?? ''] = raw[at + 1] ?? ''
  return { headers, raw, url, method }
}

export async function startUpstream(t: Test): Promise<{ readonly received: Received[], readonly port: number }> {
  const received: Received[] = []
  const open = new Set<Duplex>()
  const upstream = createServer({ maxHeaderSize: 96 * 1024 }, (request, response) => {
    received.push({
      headers: request.headers,
      raw: request.rawHeaders,
      url: request.url ?? '',
      method: request.method ?? '',
    })
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    }).on('end', () => response.end(request.method === 'HEAD' ? undefined : `${request.method} ${request.url} ${body}`))
  })
  // What Node's parser refuses has reached the application all the same.
  upstream.on('clientError', (error: Error & { rawPacket?: Buffer }, socket) => {
    if (error.rawPacket) received.push(readLoosely(error.rawPacket.toString('latin1')))
    socket.destroy()
  })
  upstream.on('upgrade', (request, socket) => { // RFC 6455 section 4.2.2
    received.push({
      headers: request.headers,
      raw: request.rawHeaders,
      url: request.url ?? '',
      method: request.method ?? '',
    })
    open.add(socket)
    if (request.headers['sec-websocket-version'] === '777') { // refused, and whatever comes behind is recorded
      socket.on('error', () => socket.destroy()).on(
        'data',
        (chunk: Buffer) => received.push(readLoosely(chunk.toString('latin1'))),
      )
      socket.write('HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n')
      return
    }
    const accept = createHash('sha1').update(
      `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`,
    ).digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    socket.on('error', () => socket.destroy()).pipe(socket)
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    upstream.close()
    upstream.closeAllConnections()
    for (const socket of open) socket.destroy() // no longer the server's
  })
  return { received, port: (upstream.address() as { port: number }).port }
}
