// The format `webhook`: one signed request for a batch.
import { auditJson } from '../core/audit.js'
import type { AuditReceiver } from '../core/audit-export.js'
import { batchId, webhookHeaders } from '../core/webhook-signature.js'
import { createHttpReceiver, type HttpReceiverOptions } from './http-receiver.js'

export interface WebhookOptions extends Pick<HttpReceiverOptions, 'url' | 'timeoutMs' | 'ca'> {
  /** Of webhookKey. */
  readonly key: Buffer
  readonly userAgent: string
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** @throws GatehouseError `proxy_unusable` */
export function createWebhook({ key, userAgent, now = Date.now, ...options }: WebhookOptions): AuditReceiver {
  return createHttpReceiver({
    ...options,
    encode(events) {
      const body = `{"events":[${events.map(auditJson).join(',')}]}`
      const signed = webhookHeaders(key, { id: batchId(events), seconds: Math.floor(now() / 1000), body })
      return { headers: { 'content-type': 'application/json', 'user-agent': userAgent, ...signed }, body }
    },
  })
}
