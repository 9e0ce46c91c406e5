// Where spans are sent and how (OpenTelemetry Protocol Exporter, "Configuration Options"). Variables for traces take
// precedence over variables for all signals.
import type { Environment } from '../../core/environment.js'
import { keyValues, oneOf, parsedNumber, type ReadFile, type ReportProblem } from './variables.js'

export interface OtlpSettings {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly protocol: 'http/protobuf' | 'http/json'
  readonly timeoutMs: number
  readonly gzip: boolean
  readonly tls: { readonly ca?: string, readonly cert?: string, readonly key?: string }
}

const DEFAULT_ENDPOINT = 'http://localhost:4318'
const HEADER = /^[\w!#$%&'*+.^`|~-]+$/
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** @returns undefined where spans cannot be sent; the problem is reported */
export function otlpSettings(env: Environment, readFile: ReadFile, report: ReportProblem): OtlpSettings | undefined {
  const named = (option: string): string =>
    `OTEL_EXPORTER_OTLP_TRACES_${option}` in env
      ? `OTEL_EXPORTER_OTLP_TRACES_${option}`
      : `OTEL_EXPORTER_OTLP_${option}`
  const url = endpoint(env, report)
  const protocol = protocolOf(env, named('PROTOCOL'), report)
  if (!url || !protocol) return undefined
  const file = (option: string): string | undefined => {
    const path = env[named(option)]
    try {
      return path === undefined ? undefined : readFile(path)
    } catch {
      report(named(option), 'The file cannot be read.')
      return undefined
    }
  }
  const [ca, cert, key] = [file('CERTIFICATE'), file('CLIENT_CERTIFICATE'), file('CLIENT_KEY')]
  return {
    url,
    headers: headersOf(env, report),
    protocol,
    timeoutMs: parsedNumber(env, named('TIMEOUT'), { min: 1, max: 60_000, otherwise: 10_000 }, report),
    gzip: oneOf(env, named('COMPRESSION'), ['gzip', 'none'], report) === 'gzip',
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    },
  }
}

/** The variable for all signals is a base, the one for traces an address as it stands. */
function endpoint(env: Environment, report: ReportProblem): URL | undefined {
  const own = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT?.trim()
  const base = (env.OTEL_EXPORTER_OTLP_ENDPOINT ?? DEFAULT_ENDPOINT).trim()
  const text = own ?? `${base.replace(/\/$/, '')}/v1/traces`
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return new URL(text)
  report(
    own === undefined ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    'Write an address that begins with http:// or https://, like http://localhost:4318.',
  )
  return undefined
}

function protocolOf(env: Environment, variable: string, report: ReportProblem): OtlpSettings['protocol'] | undefined {
  if (env[variable] === undefined) return 'http/protobuf'
  const found = oneOf(
    env,
    variable,
    ['http/protobuf', 'http/json', 'grpc'],
    () => report(variable, 'Write http/protobuf or http/json.'),
  )
  if (found !== 'grpc') return found
  report(
    variable,
    "gRPC is not supported: write http/protobuf, and the collector's port for HTTP (4318) in the endpoint.",
  )
  return undefined
}

function headersOf(env: Environment, report: ReportProblem): Readonly<Record<string, string>> {
  const read = (variable: string) =>
    Object.entries(keyValues(env, variable, report)).flatMap(([name, value]) => {
      if (HEADER.test(name) && HEADER_VALUE.test(value)) return [[name.toLowerCase(), value] as const]
      report(variable, 'A name or a value has characters that no header may have.')
      return []
    })
  return Object.fromEntries([...read('OTEL_EXPORTER_OTLP_HEADERS'), ...read('OTEL_EXPORTER_OTLP_TRACES_HEADERS')])
}
