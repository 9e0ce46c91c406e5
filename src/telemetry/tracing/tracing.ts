// Traces, where OpenTelemetry's variables ask for them (docs/tracing.md). Where they do not, nothing of OpenTelemetry's
// SDK is loaded.
import { readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import type { Environment } from '../../core/environment.js'
import { noTracer, type Tracer } from '../../core/tracer.js'
import { readSettings, type VariableProblem, type TracingSettings } from './settings.js'

export interface Tracing {
  readonly tracer: Tracer
  /** Additional fields of every log line; absent without tracing. */
  readonly logFields?: () => object
  /** Reports problems, and the state of exports from now on, to this log. */
  reportTo(log: Pick<Logger, 'info' | 'warn'>): void
  close(): Promise<void>
}

const CLOSE_MS = 2_000
const WARN_EVERY_MS = 10 * 60_000

export async function startTracing(env: Environment, version: string): Promise<Tracing> {
  const { settings, problems } = readSettings(env, (path) => readFileSync(path, 'utf8'))
  if (!settings) return { ...noTracing(), reportTo: (log) => reportProblems(problems, log) }
  const { startSdk } = await import('./sdk.js')
  let log: Pick<Logger, 'info' | 'warn'> | undefined
  const watch = watchExports(() => log)
  const sdk = startSdk({
    settings,
    version,
    sent: watch,
    ended: ({ name, traceId, spanId, parentSpanId, ...span }) =>
      log?.info({ trace_id: traceId, span_id: spanId, parent_span_id: parentSpanId, ...span }, `span: ${name}`),
  })
  return {
    tracer: sdk.tracer,
    logFields: () => sdk.active() ?? {},
    reportTo(given) {
      log = given
      reportProblems(problems, log)
      log.info(described(settings), 'traces are on')
    },
    close: () => sdk.close(CLOSE_MS),
  }
}

export function noTracing(): Tracing {
  return { tracer: noTracer(), reportTo: () => {}, close: async () => {} }
}

function reportProblems(problems: readonly VariableProblem[], log: Pick<Logger, 'warn'>): void {
  for (const { variable, remedy } of problems) log.warn({ variable, remedy }, `${variable} cannot be used`)
}

/** Neither headers nor a query: they may hold a secret. */
function described({ otlp, console, sampler }: TracingSettings): object {
  return {
    ...(otlp === undefined ? {} : { endpoint: `${otlp.url.origin}${otlp.url.pathname}`, protocol: otlp.protocol }),
    console,
    sampler: sampler.name,
    ...(sampler.name.endsWith('ratio') ? { ratio: sampler.ratio } : {}),
  }
}

/** One warning for a collector that is down, at most every ten minutes, and one line when it is back. */
function watchExports(log: () => Pick<Logger, 'info' | 'warn'> | undefined): (failure: string | undefined) => void {
  let warnedAt = -Infinity
  let failing = false
  return (failure) => {
    if (failure === undefined) {
      if (failing) log()?.info('traces arrive at the collector again')
      failing = false
    } else if (performance.now() - warnedAt > WARN_EVERY_MS) { // guard: trace-once
      warnedAt = performance.now()
      failing = true
      log()?.warn({
        detail: failure,
        remedy: 'Check OTEL_EXPORTER_OTLP_ENDPOINT and the collector; logins go on without it.',
      }, 'spans did not arrive at the collector and are lost')
    }
  }
}
