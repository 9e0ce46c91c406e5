// When the credential expires: for a certificate from its file, for a client secret from Graph where Gatehouse may read
// its own registration (Application.Read.All). A federated token has no expiry here: the platform replaces it.
import { readFile } from 'node:fs/promises'
import { X509Certificate } from 'node:crypto'
import { GatehouseError, thrownFacts } from '../core/errors.js'
import type { Meter } from '../core/meter.js'
import type { Own } from '../lifecycle.js'
import { startRecurring } from '../recurring.js'
import type { EntraConnection } from './client.js'
import type { CredentialSettings } from './credentials.js'
import { createInspection, type Inspection, type Registration } from './inspection.js'

/** Entra ID shows only the first characters of a secret: they identify ours among several. */
export function secretExpiresAt(clientSecret: string, { secrets }: Registration): number | undefined {
  const ours = secrets.filter(({ hint }) => hint !== null && clientSecret.startsWith(hint))
  const last = Math.max(...(ours.length > 0 ? ours : secrets).map(({ endsAt }) => endsAt))
  return Number.isFinite(last) ? last : undefined
}

export interface CredentialExpiry {
  /** Milliseconds since 1970; undefined: unknown. */
  at(): number | undefined
  /** @throws GatehouseError where Entra ID or Graph does not answer; the known value stays */
  refresh(): Promise<void>
}

export function createCredentialExpiry(
  settings: () => CredentialSettings,
  inspection: Pick<Inspection, 'registration'>,
): CredentialExpiry {
  let end: number | undefined
  return {
    at: () => end,
    async refresh() {
      const { certificate, clientSecret } = settings()
      if (certificate) end = Date.parse(new X509Certificate(await readFile(certificate.certFile)).validTo)
      else if (clientSecret) end = secretExpiresAt(clientSecret, await inspection.registration())
      else end = undefined
    },
  }
}

/** Most operators do not grant the permission, which is no failure. */
export function isPermissionMissing(error: unknown): boolean {
  return error instanceof GatehouseError && error.code === 'graph_forbidden'
}

const FIRST_AFTER_MS = 60_000
const INTERVAL_MS = 6 * 3_600_000

export interface CredentialExpiryWatch {
  readonly connection: EntraConnection
  readonly settings: () => CredentialSettings
  readonly redirectUri: string
  readonly budgetMs: number
  readonly own: Own
  readonly log: { debug(facts: object, text: string): void }
  readonly meter: Pick<Meter, 'gauge'>
}

/** Reads a minute after the start, and then every six hours, when the credential ends, for the metrics. */
export function watchCredentialExpiry(
  { connection, settings, redirectUri, budgetMs, own, log, meter }: CredentialExpiryWatch,
): CredentialExpiry {
  const expiry = createCredentialExpiry(settings, createInspection({ ...connection, redirectUri, budgetMs }))
  const failed = (error: unknown): void => {
    if (!isPermissionMissing(error)) log.debug(thrownFacts(error), 'when the credential ends could not be read')
  }
  own('credential expiry', startRecurring(expiry.refresh, INTERVAL_MS, failed, FIRST_AFTER_MS).stop)
  meterExpiry(expiry, meter)
  return expiry
}

/** The metric is in seconds since 1970, and absent while the time is not known. */
export function meterExpiry(expiry: Pick<CredentialExpiry, 'at'>, meter: Pick<Meter, 'gauge'>): void {
  meter.gauge('credentialExpiry', () => {
    const at = expiry.at()
    return at === undefined ? undefined : at / 1000
  })
}
