// OpenTelemetry's standard variables, read once at the start. Problems are reported and never prevent the start: the
// gateway also works without traces.
import type { Environment } from '../../core/environment.js'
import { keyValues, oneOf, parsedNumber, type ReadFile, type ReportProblem } from './variables.js'
import { otlpSettings, type OtlpSettings } from './otlp-settings.js'

export interface TracingSettings {
  /** Spans as log lines. */
  readonly console: boolean
  readonly otlp: OtlpSettings | undefined
  readonly sampler: SamplerSettings
  /** The W3C trace context of trusted proxies is used. */
  readonly continues: boolean
  /** Of the whole process, `service.name` among them. */
  readonly resource: Readonly<Record<string, string>>
  readonly batch: {
    readonly scheduledDelayMillis: number
    readonly maxQueueSize: number
    readonly maxExportBatchSize: number
  }
}

export interface SamplerSettings {
  /** False: logins are recorded, forward-auth only as part of the proxy's trace. */
  readonly chosen: boolean
  readonly name: SamplerName
  readonly ratio: number
}

export const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const
export type SamplerName = typeof SAMPLERS[number]

/** What is wrong with a variable; its value is not repeated, since some are secrets. */
export interface VariableProblem {
  readonly variable: string
  readonly remedy: string
}

/** @returns no settings where tracing is not enabled or not possible */
export function readSettings(
  given: Environment,
  readFile: ReadFile,
): { readonly settings: TracingSettings | undefined, readonly problems: readonly VariableProblem[] } {
  const env: Environment = Object.fromEntries(
    Object.entries(given).filter(([name, value]) => name.startsWith('OTEL_') && value?.trim()),
  ) // empty is unset, by the specification
  const problems: VariableProblem[] = []
  const report: ReportProblem = (variable, remedy) => {
    problems.push({ variable, remedy })
  }
  const wanted = env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' ? [] : exportersOf(env, report) // guard: trace-off
  const otlp = wanted.includes('otlp') ? otlpSettings(env, readFile, report) : undefined
  if (!otlp && !wanted.includes('console')) return { settings: undefined, problems }
  const maxQueueSize = parsedNumber(env, 'OTEL_BSP_MAX_QUEUE_SIZE', { min: 1, max: 100_000, otherwise: 2_048 }, report)
  const settings = {
    console: wanted.includes('console'),
    otlp,
    sampler: samplerOf(env, report),
    continues: (env.OTEL_PROPAGATORS ?? 'tracecontext').split(',').some((name) => name.trim() === 'tracecontext'),
    resource: {
      ...keyValues(env, 'OTEL_RESOURCE_ATTRIBUTES', report),
      ...(env.OTEL_SERVICE_NAME === undefined ? {} : { 'service.name': env.OTEL_SERVICE_NAME }),
    },
    batch: {
      scheduledDelayMillis: parsedNumber(
        env,
        'OTEL_BSP_SCHEDULE_DELAY',
        { min: 1, max: 3_600_000, otherwise: 5_000 },
        report,
      ),
      maxQueueSize,
      maxExportBatchSize: Math.min(
        maxQueueSize,
        parsedNumber(env, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE', { min: 1, max: 100_000, otherwise: 512 }, report),
      ),
    },
  }
  return { settings, problems }
}

/**
 * The specification's default is `otlp` on localhost; here it is nothing, so that no exporter is
 * started by default.
 */
function exportersOf(env: Environment, report: ReportProblem): readonly string[] {
  const named = env.OTEL_TRACES_EXPORTER
  if (named === undefined) {
    return env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_ENDPOINT
      ? ['otlp']
      : []
  }
  const names = named.split(',').map((name) => name.trim().toLowerCase())
  if (names.some((name) => !['otlp', 'console', 'none'].includes(name))) {
    report('OTEL_TRACES_EXPORTER', 'Write otlp, console or none.')
  }
  return names.includes('none') ? [] : names
}

function samplerOf(env: Environment, report: ReportProblem): SamplerSettings {
  const name = oneOf(env, 'OTEL_TRACES_SAMPLER', SAMPLERS, report)
  const ratio = name?.endsWith('traceidratio')
    ? parsedNumber(env, 'OTEL_TRACES_SAMPLER_ARG', { min: 0, max: 1, otherwise: 1 }, report)
    : 1
  return { chosen: name !== undefined, name: name ?? 'parentbased_always_on', ratio }
}
