// The format `otlp`: logs of OpenTelemetry over HTTP as JSON ("OTLP/HTTP" of the OTLP specification). Loaded only where
// it is configured, because it loads OpenTelemetry's serializer.
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { auditRecord, type AuditView } from '../core/audit.js'
import { isRefusal, type AuditReceiver } from '../core/audit-export.js'
import { createHttpReceiver, type HttpReceiverOptions } from './http-receiver.js'

export interface OtlpOptions extends Pick<HttpReceiverOptions, 'url' | 'timeoutMs' | 'ca'> {
  readonly token: string | undefined
  readonly version: string
  /** `service.instance.id`: the host of `server.publicUrl`. */
  readonly hostname: string
}

type LogRecord = Parameters<typeof JsonLogsSerializer.serializeRequest>[0][number]

const SEVERITY = { info: 9, warn: 13 } as const // "Log Data Model", field SeverityNumber

/** @throws GatehouseError `proxy_unusable` */
export function createOtlp({ url, token, version, hostname, ...options }: OtlpOptions): AuditReceiver {
  const resource = resourceFromAttributes({
    'service.name': 'gatehouse',
    'service.version': version,
    'service.instance.id': hostname,
  })
  const scope = { name: 'gatehouse.audit', version }
  return createHttpReceiver({
    ...options,
    url: signalUrl(url),
    encode: (events) => ({
      headers: {
        'content-type': 'application/json',
        'user-agent': `gatehouse/${version}`,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JsonLogsSerializer.serializeRequest(
        events.map((event) => ({ ...logRecord(event), resource, instrumentationScope: scope })),
      ) ?? '',
    }),
    rejectedBy,
  })
}

/**
 * An address without a path is a base, to which the path of the signal is added; any other is used as it stands
 * ("OpenTelemetry Protocol Exporter", section "Endpoint URLs for OTLP/HTTP").
 */
export function signalUrl(url: URL): URL {
  return url.pathname === '/' ? new URL(`/v1/logs${url.search}`, url) : url
}

function logRecord(event: AuditView): Omit<LogRecord, 'resource' | 'instrumentationScope'> {
  const time = hrTime(event.at)
  const isWarning = isRefusal(event)
  return {
    hrTime: time,
    hrTimeObserved: time,
    severityNumber: isWarning ? SEVERITY.warn : SEVERITY.info,
    severityText: isWarning ? 'WARN' : 'INFO',
    eventName: 'gatehouse.audit',
    body: auditRecord(event) as unknown as NonNullable<LogRecord['body']>, // JSON
    attributes: {
      'gatehouse.audit.id': event.id,
      'gatehouse.audit.action': event.action,
      'gatehouse.audit.actor': event.actor,
    },
    droppedAttributesCount: 0,
  }
}

/** Seconds and nanoseconds since 1970; `at` has microseconds. */
function hrTime(at: string): [number, number] {
  const ms = Date.parse(at)
  if (Number.isNaN(ms)) return [0, 0]
  const digits = /\.(\d{1,6})/.exec(at)?.[1] ?? ''
  return [Math.floor(ms / 1000), Number(digits.padEnd(9, '0'))]
}

/** "Partial Success": what the server rejected must not be sent again. A 2xx with another body is a full success. */
function rejectedBy(body: Uint8Array): number {
  try {
    const { partialSuccess } = JsonLogsSerializer.deserializeResponse(body)
    const rejected = Number(partialSuccess?.rejectedLogRecords ?? 0)
    return Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0
  } catch {
    return 0
  }
}
