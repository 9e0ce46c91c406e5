// A tiny reverse proxy that asks before it forwards, as nginx, Traefik or Caddy would: it strips what a client could
// forge, asks /oauth2/forward-auth, and passes on the identity headers of a 200 or the refusal as it is.
import {
  createServer,
  request,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
  type Server,
  type ServerResponse,
} from 'node:http'
import { isIdentityHeader, withoutGatewayCookies } from './identity-headers.js'

export interface DemoProxyOptions {
  readonly host: string
  readonly port: number
  /** Where the gateway listens, e.g. http://127.0.0.1:4180. */
  readonly gateway: string
  readonly upstream: string
}

export interface DemoProxy {
  readonly url: string
  close(): Promise<void>
}

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** The headers by which the gateway distinguishes browsers, frames and scripts. */
const HEADERS_OF_THE_CLIENT = [
  'cookie',
  'accept',
  'x-requested-with',
  'sec-fetch-mode',
  'sec-fetch-dest',
  'sec-fetch-site',
  'hx-request',
  'turbo-frame',
  'x-turbo-request-id',
]

export async function startDemoProxy({ host, port, gateway, upstream }: DemoProxyOptions): Promise<DemoProxy> {
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing, { gateway, upstream, port: portOf(server) }).catch(() => {
      if (!outgoing.headersSent) outgoing.writeHead(502, { 'content-type': 'text/plain' })
      outgoing.end('The demo proxy got no answer.\n')
    })
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  const url = `http://${host}:${portOf(server)}`
  return {
    url,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function portOf(server: Server): number {
  const bound = server.address()
  return typeof bound === 'object' && bound !== null ? bound.port : 0
}

interface Site {
  readonly gateway: string
  readonly upstream: string
  /** Of the proxy itself; the value of its X-Forwarded-Port. */
  readonly port: number
}

async function handle(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { gateway, upstream, port }: Site,
): Promise<void> {
  const clean = Object.fromEntries(
    Object.entries(incoming.headers).filter(([name]) => !isIdentityHeader(name) && !HOP_BY_HOP.has(name)),
  )
  const verdict = await exchange(`${gateway}/oauth2/forward-auth`, {
    method: 'GET',
    headers: {
      ...pick(clean, HEADERS_OF_THE_CLIENT),
      'x-forwarded-method': incoming.method ?? 'GET',
      'x-forwarded-proto': 'http',
      'x-forwarded-port': String(port),
      'x-forwarded-host': incoming.headers.host ?? '',
      'x-forwarded-uri': incoming.url ?? '/',
      'x-forwarded-for': incoming.socket.remoteAddress ?? '',
    },
  })
  if (verdict.statusCode !== 200) return relay(verdict, outgoing)
  verdict.resume()
  const identity = Object.fromEntries(Object.entries(verdict.headers).filter(([name]) => isIdentityHeader(name)))
  const cookie = withoutGatewayCookies(incoming.headers.cookie)
  delete clean.cookie
  const answer = await exchange(new URL(incoming.url ?? '/', upstream), {
    method: incoming.method ?? 'GET',
    headers: { ...clean, ...identity, ...(cookie === undefined ? {} : { cookie }) },
  }, incoming)
  relay(answer, outgoing)
}

function exchange(url: string | URL, options: RequestOptions, body?: IncomingMessage): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const upstreamRequest = request(url, options, resolve).on('error', reject)
    if (body) body.pipe(upstreamRequest)
    else upstreamRequest.end()
  })
}

function relay(answer: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.writeHead(
    answer.statusCode ?? 502,
    Object.fromEntries(Object.entries(answer.headers).filter(([name]) => !HOP_BY_HOP.has(name))),
  )
  answer.pipe(outgoing)
}

function pick(headers: IncomingHttpHeaders, names: readonly string[]): IncomingHttpHeaders {
  return Object.fromEntries(names.flatMap((name) => headers[name] === undefined ? [] : [[name, headers[name]]]))
}
