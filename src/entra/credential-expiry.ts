// When the credential ends: of a certificate from its file, of a client secret from Graph where Gatehouse may read its
// own registration (Application.Read.All). Of a federated token there is no end: the platform replaces it.
import { readFile } from 'node:fs/promises'
import { X509Certificate } from 'node:crypto'
import { GatehouseError } from '../core/errors.js'
import type { CredentialSettings } from './credentials.js'
import type { Inspection, Registration } from './inspection.js'

/** Of several secrets ours is the one whose first characters are ours; Entra ID shows no more. */
export function secretExpiresAt(clientSecret: string, { secrets }: Registration): number | undefined {
  const ours = secrets.filter(({ hint }) => hint !== null && clientSecret.startsWith(hint))
  const last = Math.max(...(ours.length > 0 ? ours : secrets).map(({ endsAt }) => endsAt))
  return Number.isFinite(last) ? last : undefined
}

export interface CredentialExpiry {
  /** Milliseconds since 1970; undefined: not known. */
  at(): number | undefined
  /** @throws GatehouseError where Entra ID or Graph does not answer; what was known stays */
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

/** Most operators do not grant the permission: nothing is wrong then. */
export function isPermissionMissing(error: unknown): boolean {
  return error instanceof GatehouseError && error.code === 'graph_forbidden'
}
