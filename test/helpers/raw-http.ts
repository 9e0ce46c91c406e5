// Requests as bytes on a TLS socket, HTTP/1.1 and HTTP/2: client libraries tidy up what the tests of proxies are
// about.
import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2'
import { connect, type TLSSocket } from 'node:tls'
import { createAnswerReader, type RawAnswer } from './raw-answer.js'

const TIMEOUT_MS = 20_000

/** Where a proxy listens: always port 443, so that the host names of the shipped files need no port. */
export interface Place {
  readonly address: string
  readonly sni: string
}

export interface RawRequest {
  /** The request line, without its end. */
  readonly line: string
  /** Header lines as they stand. */
  readonly headers: readonly string[]
  readonly body?: string | Buffer
  /** How long to wait for an answer. */
  readonly patienceMs?: number
}

export function openTls({ address, sni }: Place, alpn: readonly string[] = ['http/1.1']): TLSSocket {
  // One certificate for all hosts, except where Traefik makes its own.
  return connect({ host: address, port: 443, servername: sni, ALPNProtocols: [...alpn], rejectUnauthorized: false })
}

export function bytesOf({ line, headers, body = '' }: RawRequest): Buffer {
  return Buffer.concat([Buffer.from(`${[line, ...headers].join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body)])
}

/** Sends one request on a connection of its own. @returns status 0 where the connection ends without an answer */
export function askRaw(place: Place, request: RawRequest): Promise<RawAnswer> {
  const socket = openTls(place)
  const reader = createAnswerReader(/^HEAD /.test(request.line))
  return new Promise((resolve, reject) => {
    const end = (): void => {
      socket.destroy()
      resolve(reader.answer())
    }
    socket.setTimeout(request.patienceMs ?? TIMEOUT_MS, () => {
      socket.destroy()
      reject(new Error(`no answer to ${request.line.slice(0, 200)}`))
    })
    socket.on('data', (chunk: Buffer) => {
      if (reader.add(chunk)) end()
    })
    socket.on('error', end).on('close', end)
    socket.write(bytesOf(request))
  })
}

/** One HTTP/2 request, with pseudo-headers and `host` as they are given. */
export function askHttp2(place: Place, headers: OutgoingHttpHeaders, body?: string): Promise<RawAnswer> {
  const session = connectHttp2(`https://${place.sni}`, { createConnection: () => openTls(place, ['h2']) })
  return new Promise((resolve) => {
    const parts = { status: 0, headers: [] as (readonly [string, string])[], body: '' }
    const end = (): void => {
      session.destroy()
      resolve(parts)
    }
    session.setTimeout(TIMEOUT_MS, end)
    session.on('error', end).on('close', end)
    const stream = session.request(headers, { endStream: body === undefined })
    stream.on('response', (received) => {
      parts.status = Number(received[':status'])
      parts.headers = Object.entries(received).flatMap(([name, value]) =>
        [value ?? []].flat().map((each) => [name, String(each)] as const)
      )
    })
    stream
      .on('data', (chunk: Buffer) => {
        parts.body += chunk.toString()
      })
      .on('error', end)
      .on('close', end)
    if (body !== undefined) stream.end(body)
  })
}

export type { RawAnswer } from './raw-answer.js'
