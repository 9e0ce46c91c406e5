// Signatures of webhooks after Standard Webhooks (github.com/standard-webhooks/standard-webhooks, spec section
// "Signature scheme"): HMAC-SHA256 over id, time and body.
import { createHash, createHmac } from 'node:crypto'
import type { AuditView } from './audit.js'

/** Standard Webhooks, "Signature scheme": between 24 and 64 bytes. */
const KEY_BYTES = { least: 24, most: 64 } as const

/**
 * @param secret base64, with or without `whsec_` before it
 * @returns undefined where it is no base64, or not of 24 to 64 bytes
 */
export function webhookKey(secret: string): Buffer | undefined {
  const text = secret.replace(/^whsec_/, '')
  const key = Buffer.from(text, 'base64')
  if (key.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, '')) return undefined
  return key.length >= KEY_BYTES.least && key.length <= KEY_BYTES.most ? key : undefined
}

/** @param seconds since 1970 @param body as it is sent */
export function webhookHeaders(
  key: Buffer,
  { id, seconds, body }: { readonly id: string, readonly seconds: number, readonly body: string },
): Readonly<Record<string, string>> {
  const timestamp = String(seconds)
  // guard: audit-export-signature
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }
}

/** The same events have the same id, whichever replica sends them and how often. */
export function batchId(events: readonly Pick<AuditView, 'id' | 'at'>[]): string {
  const digest = createHash('sha256')
  for (const { id, at } of events) digest.update(`${id} ${at}\n`)
  return `msg_${digest.digest('hex').slice(0, 32)}`
}
