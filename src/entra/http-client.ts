// The HTTP client for Entra ID and Graph: proxies from the environment, the operator's CA, a limit on the response
// body, no redirects, and a deadline. It returns text: a response is not assumed to be JSON.
import { rootCertificates } from 'node:tls'
import { EnvHttpProxyAgent, request, type Dispatcher } from 'undici'
import { outgoingProxies } from '../core/outgoing-proxies.js'

export interface HttpRequest {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
  /** A connection of its own, after a 503 (Graph's best practice). */
  readonly newConnection?: boolean
}

export interface HttpAnswer {
  readonly status: number
  /** Lower-case names; repeated headers are joined by a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

export interface HttpClient {
  /** @throws TransportError */
  send(request: HttpRequest): Promise<HttpAnswer>
  close(): Promise<void>
}

/** No usable answer: the deadline passed, the connection failed or was cut, or the body was too long. */
export class TransportError extends Error {
  readonly kind: 'timeout' | 'network' | 'too_large'

  constructor(kind: 'timeout' | 'network' | 'too_large', cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.kind = kind
  }
}

const MAX_BODY_BYTES = 8 * 1024 * 1024

/** @throws GatehouseError `proxy_unusable` */
export function createHttpClient(options: { readonly ca?: string | undefined } = {}): HttpClient {
  const ca = options.ca === undefined ? undefined : [...rootCertificates, options.ca] // besides the usual ones
  const tls = ca === undefined ? {} : { connect: { ca }, requestTls: { ca }, proxyTls: { ca } }
  const proxies = outgoingProxies(process.env)
  const limits = { connections: 32, keepAliveTimeout: 10_000 }
  // guard: proxies-used, ca-trusted
  const createAgent = (): EnvHttpProxyAgent => new EnvHttpProxyAgent({ ...proxies, ...limits, ...tls })
  const agent = createAgent()
  return {
    async send({ url, method, headers, body, signal, newConnection }) {
      const dispatcher = newConnection ? createAgent() : agent
      try {
        const answer = await request(url, { dispatcher, method, headers, signal, body: body ?? null })
        return { status: answer.statusCode, headers: plain(answer.headers), text: await readBounded(answer.body) }
      } catch (error) {
        if (error instanceof TransportError) throw error
        throw new TransportError(signal.aborted ? 'timeout' : 'network', error)
      } finally {
        if (dispatcher !== agent) await dispatcher.destroy()
      }
    },
    close: () => agent.destroy(),
  }
}

async function readBounded(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) {
      body.destroy()
      throw new TransportError('too_large', new Error(`the answer is longer than ${MAX_BODY_BYTES} bytes`))
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function plain(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value ?? '']),
  )
}

/** Parsed JSON, or undefined where the text is not JSON. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
