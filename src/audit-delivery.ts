// The export of the audit, put together where `audit.export` is configured: queue, receiver, lock, log and metrics.
import type { Logger } from 'pino'
import { createAuditExporter, type AuditExporter, type ExportReport } from './audit-export/exporter.js'
import { createSyslog } from './audit-export/syslog.js'
import { createWebhook } from './audit-export/webhook.js'
import { exportHash } from './config/config-hash.js'
import type { Config } from './config/config.js'
import { EXPORT_REMEDY, type AuditReceiver, type ExportState } from './core/audit-export.js'
import { thrownFacts } from './core/errors.js'
import type { Meter } from './core/meter.js'
import { webhookKey } from './core/webhook-signature.js'
import type { Own } from './lifecycle.js'
import { startRecurring } from './recurring.js'
import { createExportQueue, readExportState } from './store/audit-export-queue.js'
import { createLock } from './store/leadership.js'
import type { Storage } from './store/storage.js'
import { VERSION } from './version.js'

export interface AuditDeliveryDeps {
  readonly storage: Pick<Storage, 'database' | 'server'>
  readonly own: Own
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>
  /** Whether what all processes of this replica would log alike is logged by this one. */
  readonly speaksForAll: boolean
  readonly meter: Pick<Meter, 'gauge' | 'auditDelivered' | 'auditDeliveryFailed'>
}

type ExportConfig = NonNullable<Config['audit']['export']>

const STATE_INTERVAL_MS = 15_000
const WARN_EVERY_MS = 600_000

/** @throws GatehouseError `proxy_unusable` */
export async function openAuditDelivery(
  config: Pick<Config, 'audit' | 'server' | 'session' | 'keys'>,
  { storage, own, log, meter, speaksForAll }: AuditDeliveryDeps,
): Promise<AuditExporter | undefined> {
  const { audit, server } = config
  const settings = audit.export
  if (settings === undefined) return undefined
  const { database } = storage
  const { format, url } = settings
  // guard: audit-export-log-host
  if (speaksForAll) log.info({ format, receiver: new URL(url).host }, 'the audit is exported')
  const exporter = createAuditExporter({
    queue: createExportQueue(database, exportHash(config)),
    receiver: await openReceiver(settings, new URL(server.publicUrl).hostname),
    leadership: createLock({ server: storage.server, name: 'gatehouse audit export', work: 'export of the audit' }),
    report: createReport(log, meter),
  })
  own('audit export', () => exporter.close())
  measure(() => readExportState(database, audit.retentionMs), { own, log, meter })
  exporter.start()
  return exporter
}

/** @param hostname of the installation, for formats that name the sender */
async function openReceiver({ format, url: text, secret }: ExportConfig, hostname: string): Promise<AuditReceiver> {
  const url = new URL(text)
  if (format === 'syslog') return createSyslog({ url, hostname })
  if (format === 'webhook') {
    const key = webhookKey(secret ?? '')
    if (key === undefined) throw new Error('audit.export.secret is no key') // the configuration's rules have refused it
    return createWebhook({ url, key, userAgent: `gatehouse/${VERSION}` })
  }
  const { createOtlp } = await import('./audit-export/otlp.js') // OpenTelemetry is loaded nowhere else for it
  return createOtlp({ url, token: secret, version: VERSION, hostname })
}

/** What all replicas show alike. */
function measure(
  read: () => Promise<ExportState>,
  { own, log, meter }: Pick<AuditDeliveryDeps, 'own' | 'log' | 'meter'>,
): void {
  let state: ExportState | undefined
  const reading = startRecurring(
    async () => {
      state = await read()
    },
    STATE_INTERVAL_MS,
    (error) => log.debug({ err: error }, 'the state of the audit export could not be read; it stays as it was'),
  )
  own('state of the audit export', reading.stop)
  meter.gauge('auditExportPending', () => state?.pending)
  meter.gauge('auditExportAge', () => state && (state.oldestPendingSeconds ?? 0))
}

/** A failure is one line in ten minutes, also if it comes and goes, and one when it is over. */
export function createReport(
  log: AuditDeliveryDeps['log'],
  meter: Pick<Meter, 'auditDelivered' | 'auditDeliveryFailed'>,
  now: () => number = () => performance.now(),
): ExportReport {
  let warnedAt = -Infinity
  let isWarned = false
  const warn = (facts: object, text: string): void => {
    if (now() - warnedAt < WARN_EVERY_MS) return // guard: audit-export-log-limited
    warnedAt = now()
    isWarned = true
    log.warn(facts, text)
  }
  return {
    delivered(events, rejected) {
      meter.auditDelivered(events, rejected)
      if (isWarned) log.info({ events }, 'the audit is exported again')
      isWarned = false
      if (rejected > 0) log.warn({ events, rejected }, 'the receiver of the audit has rejected events for good')
    },
    failed({ cause, detail }, retryInMs) {
      meter.auditDeliveryFailed(cause)
      warn({
        cause,
        detail,
        retryInSeconds: Math.round(retryInMs / 1000),
        remedy: EXPORT_REMEDY,
      }, 'the audit could not be exported; it will be tried again')
    },
    broken(error) {
      warn(thrownFacts(error), 'the export of the audit was interrupted; it goes on by itself')
    },
  }
}
