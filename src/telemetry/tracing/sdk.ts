// OpenTelemetry's SDK behind our port. The only file that loads it, and itself loaded only where traces are asked for.
// No global of OpenTelemetry's is set: the current span is kept here, so that no library uses a tracer that it was
// not given.
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace, type Span as OtelSpan } from '@opentelemetry/api'
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type ReadableSpan,
  type Sampler,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace'
import { GatehouseError } from '../../core/errors.js'
import { NOOP_SPAN, type RemoteParent, type Span, type Tracer } from '../../core/tracer.js'
import { createOtlpExporter, type OtlpExporter } from './otlp-exporter.js'
import type { SamplerSettings, TracingSettings } from './settings.js'

/** A span that ended, as the fields of a log line. */
export interface EndedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly ms: number
  readonly failure: string | undefined
  readonly facts: Readonly<Record<string, unknown>>
}

export interface SdkOptions {
  readonly settings: TracingSettings
  readonly version: string
  /** Called for every batch; undefined: success. */
  readonly sent: (failure: string | undefined) => void
  /** Called for every span, where `settings.console` is set. */
  readonly ended: (span: EndedSpan) => void
}

export interface Sdk {
  readonly tracer: Tracer
  /** Ids of the span under way. */
  active(): { readonly trace_id: string, readonly span_id: string } | undefined
  /** Sends what has ended, for at most so long. */
  close(withinMs: number): Promise<void>
}

export function startSdk({ settings, version, sent, ended }: SdkOptions): Sdk {
  const exporter = settings.otlp &&
    createOtlpExporter({
      settings: settings.otlp,
      serializer: settings.otlp.protocol === 'http/json' ? JsonTraceSerializer : ProtobufTraceSerializer,
      report: sent,
    })
  const provider = new TracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({
        'service.name': 'gatehouse',
        'service.version': version,
        'service.instance.id': randomUUID(),
        ...settings.resource,
      }),
    ),
    sampler: samplerOf(settings.sampler),
    spanProcessors: processors(settings, exporter, ended),
  })
  const current = new AsyncLocalStorage<OtelSpan>()
  return {
    tracer: createTracer(provider, current, settings),
    active() {
      const span = current.getStore()
      if (!span?.isRecording()) return undefined // a timer that a request left behind
      const { traceId, spanId } = span.spanContext()
      return { trace_id: traceId, span_id: spanId }
    },
    async close(withinMs) {
      exporter?.endWithin(withinMs)
      await provider.shutdown().catch(() => {}) // a lost batch has been reported already
      await exporter?.shutdown()
    },
  }
}

function createTracer(
  provider: TracerProvider,
  current: AsyncLocalStorage<OtelSpan>,
  { sampler, continues }: TracingSettings,
): Tracer {
  const tracer = provider.getTracer('gatehouse')
  return {
    enabled: true,
    request(kind, facts, given) {
      const parent = continues ? given : undefined
      // guard: trace-questions
      if (kind === 'forward_auth' && !parent && !sampler.chosen) return undefined // many times as frequent as logins
      const span = tracer.startSpan(`${facts['http.request.method']} ${facts['http.route']}`, {
        kind: SpanKind.SERVER,
        attributes: facts,
      }, remoteContext(parent))
      if (!span.isRecording()) return undefined
      return {
        ...spanPort(span),
        run: (work) => current.run(span, work),
        end(status) {
          span.setAttribute('http.response.status_code', status)
          if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
          span.end()
        },
      }
    },
    async part(name, facts, work) {
      const above = current.getStore()
      if (!above?.isRecording()) return await work(NOOP_SPAN) // no request, or one that has ended
      const span = tracer.startSpan(name, {
        kind: 'server.address' in facts || 'db.system.name' in facts ? SpanKind.CLIENT : SpanKind.INTERNAL,
        attributes: facts,
      }, trace.setSpan(ROOT_CONTEXT, above))
      const ours = spanPort(span)
      try {
        return await current.run(span, () => work(ours))
      } catch (error) {
        // no message: a library's may carry people's data
        ours.failed(error instanceof GatehouseError ? error.code : 'internal') // guard: trace-code
        throw error
      } finally {
        span.end()
      }
    },
  }
}

function spanPort(span: OtelSpan): Span {
  let failed = false
  return {
    set: (facts) => {
      span.setAttributes(facts)
    },
    failed(type) {
      if (!failed) span.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR })
      failed = true
    },
  }
}

function remoteContext(parent: RemoteParent | undefined) {
  if (!parent) return ROOT_CONTEXT
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: parent.traceId,
    spanId: parent.spanId,
    traceFlags: parent.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
  })
}

function samplerOf({ name, ratio }: SamplerSettings): Sampler {
  const constant = name.endsWith('always_off') ? new AlwaysOffSampler() : new AlwaysOnSampler()
  const root = name.endsWith('traceidratio') ? new TraceIdRatioBasedSampler(ratio) : constant
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root
}

function processors(
  { console, otlp, batch }: TracingSettings,
  exporter: OtlpExporter | undefined,
  ended: SdkOptions['ended'],
): SpanProcessor[] {
  const toLog = new SimpleSpanProcessor({
    exporter: {
      export: (spans, done) => {
        spans.forEach((span) => ended(plain(span)))
        done({ code: 0 })
      },
      shutdown: async () => {},
    },
  })
  return [
    ...(exporter
      ? [new BatchSpanProcessor({ exporter, ...batch, exportTimeoutMillis: (otlp?.timeoutMs ?? 0) + 1_000 })]
      : []),
    ...(console ? [toLog] : []),
  ]
}

function plain(span: ReadableSpan): EndedSpan {
  const { traceId, spanId } = span.spanContext()
  const { 'error.type': failure, ...facts } = span.attributes
  return {
    name: span.name,
    traceId,
    spanId,
    parentSpanId: span.parentSpanContext?.spanId,
    ms: span.duration[0] * 1e3 + span.duration[1] / 1e6,
    failure: failure === undefined ? undefined : String(failure),
    facts,
  }
}
