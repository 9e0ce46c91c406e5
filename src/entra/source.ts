// Entra ID as an identity source: redeem the code, verify the id token, read every membership, forget the tokens. All
// of it shares one budget, so that no browser waits longer than `entra.loginBudget`.
import type { IdentitySource } from '../core/identity.js'
import type { EntraConnection } from './client.js'
import { createGraphClient } from './graph.js'
import { verifyIdToken } from './id-token.js'
import { createTenantKeys } from './keys.js'
import { readMemberships } from './memberships.js'
import { createTokenClient } from './token.js'

export interface EntraSourceOptions extends EntraConnection {
  /** Whose people may sign in. */
  readonly tenants: readonly string[]
  readonly redirectUri: string
  readonly membershipPath: 'users' | 'me'
  readonly securityGroupsOnly: boolean
  readonly loginBudgetMs: number
}

export interface EntraSource extends IdentitySource {
  /** Until when Graph asked to wait (milliseconds since 1970); undefined where it does not. */
  throttledUntil(): number | undefined
}

export function createEntraSource(options: EntraSourceOptions): EntraSource {
  const {
    http,
    endpoints,
    clientId,
    tenants,
    credential,
    redirectUri,
    membershipPath,
    securityGroupsOnly,
    loginBudgetMs,
  } = options
  const tokens = createTokenClient({
    http,
    tokenEndpoint: endpoints.token,
    clientId,
    credential,
    redirectUri,
    scopes: endpoints.scopes,
  })
  const rules = {
    keys: createTenantKeys({ http, url: endpoints.keys }),
    issuer: endpoints.issuer,
    clientId,
    tenants: tenants.map((tenant) => tenant.toLowerCase()),
  }
  const graph = createGraphClient({ http, graphUrl: endpoints.graph })
  return {
    throttledUntil: () => graph.throttledUntil(),
    async identify(grant, now) {
      const deadline = performance.now() + loginBudgetMs
      const signal = AbortSignal.timeout(loginBudgetMs) // guard: one-budget
      const { idToken, accessToken } = await tokens.redeem(grant, signal)
      const claims = await verifyIdToken(idToken, grant.nonce, rules, signal)
      const readAt = await now()
      const reading = await readMemberships({
        graph,
        graphUrl: endpoints.graph,
        path: membershipPath,
        securityGroupsOnly,
      }, { oid: claims.oid, accessToken, correlationId: grant.correlationId, signal, deadline })
      return { claims, memberships: { ...reading, readAt } } // guard: tokens-forgotten, token-groups-ignored
    },
  }
}
