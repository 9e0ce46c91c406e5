// Entra ID and Microsoft Graph for a running gateway: the client, the source of identities, the credential's end.
import type { Meter } from '../core/meter.js'
import type { Tracer } from '../core/tracer.js'
import type { Own } from '../lifecycle.js'
import { createEntraClient, type EntraClient, type EntraSettings } from './client.js'
import { severalTenants } from './clouds.js'
import { watchCredentialExpiry } from './credential-expiry.js'
import { createEntraSource, type EntraSource } from './source.js'

export interface EntraConfig {
  readonly server: { readonly publicUrl: string }
  readonly entra: Omit<EntraSettings, 'clientSecret'> & {
    readonly membershipPath: 'users' | 'me'
    readonly securityGroupsOnly: boolean
    readonly loginBudgetMs: number
  }
  /** The settings in force; only the credential is read again. */
  readonly current: () => EntraSettings
}

export interface EntraDeps {
  readonly own: Own
  readonly log: { debug(facts: object, text: string): void }
  readonly tracer: Tracer
  readonly meter: Pick<Meter, 'upstream' | 'gauge'>
}

export interface Entra {
  readonly client: EntraClient
  readonly source: EntraSource
  /** Milliseconds since 1970; undefined: unknown. */
  readonly credentialEndsAt: () => number | undefined
}

/** @throws GatehouseError `proxy_unusable` */
export function openEntra({ server, entra, current }: EntraConfig, { own, log, tracer, meter }: EntraDeps): Entra {
  const client = createEntraClient(current, { tracer, noteRequest: meter.upstream })
  own('Entra ID client', () => client.close())
  const redirectUri = `${server.publicUrl}/oauth2/callback`
  const source = createEntraSource({
    ...client.signIn,
    tenants: severalTenants(entra.tenantId) ? entra.allowedTenants : [entra.tenantId],
    redirectUri,
    membershipPath: entra.membershipPath,
    securityGroupsOnly: entra.securityGroupsOnly,
    loginBudgetMs: entra.loginBudgetMs,
  })
  meter.gauge('graphThrottledUntil', () => (source.throttledUntil() ?? 0) / 1000) // guard: adv-throttle-gauge
  const { at: credentialEndsAt } = watchCredentialExpiry({
    connection: client.appOnly,
    settings: current,
    redirectUri,
    budgetMs: entra.loginBudgetMs,
    own,
    log,
    meter,
  })
  return { client, source, credentialEndsAt }
}
