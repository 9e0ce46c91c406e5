// Receivers of the audit export: a server that keeps what it got, and answers as a test wants it.
import { generateKeyPairSync } from 'node:crypto'
import { createServer as createHttpServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Test } from 'tap'
import type { AuditView } from '../../src/core/audit.js'
import { createCertificate, DAY } from '../../src/demo/entra/certificates.js'

export interface ReceivedRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface HttpReceiver {
  readonly url: URL
  readonly requests: readonly ReceivedRequest[]
  /** Called with the number of the request, from 1 on. */
  answer: (response: ServerResponse, number: number) => void
  close(): Promise<void>
}

export const accept = (response: ServerResponse): void => {
  response.writeHead(204).end()
}

export async function startHttpReceiver(t: Test): Promise<HttpReceiver> {
  const requests: ReceivedRequest[] = []
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      requests.push({ path: request.url ?? '', headers: request.headers, body })
      receiver.answer(response, requests.length)
    })
  })
  const port = await listening(t, server)
  const receiver: HttpReceiver = {
    url: new URL(`http://127.0.0.1:${port}/events`),
    requests,
    answer: accept,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  t.teardown(() => server.closeAllConnections())
  return receiver
}

/** Of webhooks. */
export function eventsOf(request: ReceivedRequest | undefined): readonly AuditView[] {
  return (JSON.parse(request?.body ?? '{"events":[]}') as { events: AuditView[] }).events
}

export interface SyslogReceiver {
  readonly url: URL
  /** Of its authority. */
  readonly ca: string
  /** Without their frames. */
  readonly messages: () => readonly string[]
  /** Whether what is sent is not read. */
  onConnection: (socket: Socket) => void
}

/** Over TLS, or over TCP. Closes its side once the sender has closed its own. */
export async function startSyslogReceiver(t: Test, { tls = true } = {}): Promise<SyslogReceiver> {
  const chunks: Buffer[] = []
  const { authority, own } = certificates()
  const served = (socket: Socket): void => receiver.onConnection(socket)
  const server = tls
    ? createTlsServer({ cert: own.pem, key: own.keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) }, served)
    : createTcpServer(served)
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.on('tlsClientError', () => {})
  const port = await listening(t, server)
  const receiver: SyslogReceiver = {
    url: new URL(`syslog+${tls ? 'tls' : 'tcp'}://127.0.0.1:${port}`),
    ca: authority.pem,
    messages: () => unframed(Buffer.concat(chunks)),
    onConnection: (socket) => {
      socket.on('error', () => {})
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    },
  }
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  return receiver
}

function certificates() {
  const [one, two] = [1, 2].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
  const time = { from: Date.now() - DAY, until: Date.now() + DAY }
  const authority = createCertificate({ name: 'authority', keys: one!, ca: true, ...time })
  const issuer = { name: 'authority', keys: one! }
  return { authority, own: createCertificate({ name: 'receiver', keys: two!, issuer, hosts: ['127.0.0.1'], ...time }) }
}

/** RFC 6587 section 3.4.1. @throws where what is there are no whole frames */
export function unframed(bytes: Buffer): readonly string[] {
  const messages: string[] = []
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(' ', at)
    const digits = bytes.subarray(at, space).toString('latin1')
    const end = space + 1 + Number(digits)
    if (!/^[1-9]\d*$/.test(digits) || end > bytes.length) throw new Error(`no frame: ${digits}`)
    messages.push(bytes.subarray(space + 1, end).toString('utf8'))
    at = end
  }
  return messages
}

async function listening(t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}
