// A collector as far as OTLP over HTTP goes: keeps every byte, and reads what is JSON. How it answers can be changed.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import type { Test } from 'tap'

export interface CollectedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly kind: number
  readonly status: { readonly code?: number, readonly message?: string }
  readonly facts: Readonly<Record<string, unknown>>
  readonly events?: readonly unknown[]
}

export interface Collector {
  readonly url: string
  /** Every request as it came. */
  readonly received: readonly { readonly path: string, readonly headers: IncomingHttpHeaders, readonly body: Buffer }[]
  /** Of the requests that were JSON. */
  readonly spans: readonly CollectedSpan[]
  readonly resource: Readonly<Record<string, unknown>>
  answer: (response: ServerResponse) => void
  /** Waits until a span is there that ... */
  until(isThere: (span: CollectedSpan) => boolean): Promise<CollectedSpan>
  childrenOf(span: CollectedSpan): readonly CollectedSpan[]
}

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}
interface Exported {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<CollectedSpan, 'facts'> & { readonly attributes: readonly Attribute[] })[]
    }[]
  }[]
}

export async function startCollector(t: Test): Promise<Collector> {
  const received: { path: string, headers: IncomingHttpHeaders, body: Buffer }[] = []
  const spans: CollectedSpan[] = []
  let resource: Readonly<Record<string, unknown>> = {}
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const raw = Buffer.concat(chunks)
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw
      received.push({ path: request.url ?? '', headers: request.headers, body })
      if (request.headers['content-type'] === 'application/json') {
        for (
          const { resource: { attributes }, scopeSpans } of (JSON.parse(body.toString()) as Exported).resourceSpans
        ) {
          resource = plain(attributes)
          for (const { attributes, ...span } of scopeSpans.flatMap((scope) => scope.spans)) {
            spans.push({ ...span, facts: plain(attributes) })
          }
        }
      }
      collector.answer(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const collector: Collector = {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    received,
    spans,
    get resource() {
      return resource
    },
    answer: (response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    },
    async until(isThere) {
      for (let waited = 0; waited < 10_000; waited += 20) {
        const found = spans.find(isThere)
        if (found) return found
        await sleep(20)
      }
      throw new Error(`no such span among ${spans.map(({ name }) => name).join(', ')}`)
    },
    childrenOf: (span) => spans.filter(({ parentSpanId }) => parentSpanId === span.spanId),
  }
  return collector
}

function plain(attributes: readonly Attribute[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
