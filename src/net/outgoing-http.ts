// Requests to collectors of traces and of the audit: through the configured proxies, within a deadline, without
// following redirects, and with a bounded answer.
import { rootCertificates } from 'node:tls'
import { Agent, EnvHttpProxyAgent, request, type Dispatcher } from 'undici'
import { outgoingProxies } from '../core/outgoing-proxies.js'
import { isLoopback } from './loopback.js'

/** PEM texts; `ca` is trusted besides the usual authorities. */
export interface ClientTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface OutgoingPost {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string
}

export type OutgoingAnswer =
  | { readonly status: number, readonly retryAfter: string | undefined, readonly body: Uint8Array }
  /** `failure`: never what the other side wrote. */
  | { readonly status?: undefined, readonly isTimeout: boolean, readonly failure: string }

const MAX_ANSWER_BYTES = 64 * 1024

/**
 * HTTPS_PROXY and NO_PROXY apply, as for requests to Microsoft, but not to loopback: http is allowed there because
 * nothing leaves the machine. Certificates are verified.
 * @param hostname of every request
 * @throws GatehouseError `proxy_unusable`
 */
export function createOutgoingAgent(hostname: string, { ca, ...client }: ClientTls): Dispatcher {
  const tls = { ...client, ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }) }
  const proxyTls = ca === undefined ? {} : { ca: [...rootCertificates, ca] }
  const options = { connect: tls, connections: 4, keepAliveTimeout: 10_000 }
  if (isLoopback(hostname)) return new Agent(options) // guard: audit-export-loopback-direct
  return new EnvHttpProxyAgent({ ...outgoingProxies(process.env), ...options, requestTls: tls, proxyTls })
}

/** @param agent follows no redirects @param signal ends the request and the reading of its answer; never rejects */
export async function post(
  { url, headers, body }: OutgoingPost,
  { agent, signal }: { readonly agent: Dispatcher, readonly signal: AbortSignal },
): Promise<OutgoingAnswer> {
  try {
    const answer = await request(url, { dispatcher: agent, method: 'POST', signal, headers, body })
    const retryAfter = answer.headers['retry-after']
    return {
      status: answer.statusCode,
      retryAfter: Array.isArray(retryAfter) ? retryAfter.join(',') : retryAfter,
      body: await readLimited(answer.body),
    }
  } catch (error) {
    if (signal.aborted) return { isTimeout: true, failure: 'no answer in time' }
    const failure = error instanceof Error && 'code' in error ? String(error.code) : 'the connection failed'
    return { isTimeout: false, failure }
  }
}

/** @returns nothing of an answer that is longer */
async function readLimited(body: Dispatcher.ResponseData['body']): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_ANSWER_BYTES) {
      body.destroy()
      return new Uint8Array()
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
