// Which scopes a request may have, and which Graph permissions the token gets. Graph scopes name this simulator's
// Graph origin; a bare `User.Read` means Graph too.
import { AadstsError } from './aadsts.js'
import type { World } from './types.js'

const oidcScopes = new Set(['openid', 'profile', 'email', 'offline_access'])
const permission = /^[A-Z][A-Za-z]*(\.[A-Z][A-Za-z]*)+$/

export interface Scopes {
  oidc: string[]
  graph: string[]
  isDefault: boolean
}

export function readScopes(world: World, scope: string): Scopes {
  const scopes: Scopes = { oidc: [], graph: [], isDefault: false }
  for (const requested of scope.split(' ').filter(Boolean)) {
    const prefix = `${world.graphUrl}/`
    const name = requested.startsWith(prefix) ? requested.slice(prefix.length) : requested
    if (oidcScopes.has(requested)) scopes.oidc.push(requested)
    else if (name === '.default' && name !== requested) scopes.isDefault = true
    else if (permission.test(name)) scopes.graph.push(name)
    else throw new AadstsError(70011, requested)
  }
  if (scopes.isDefault && scopes.graph.length > 0) throw new AadstsError(70011, scope)
  return scopes
}

/** Permissions that only an administrator may grant, and did not. */
function needsAdministrator(world: World, name: string) {
  return name.endsWith('.All') && name !== 'User.ReadBasic.All' && !world.app.delegatedPermissions.includes(name)
}

/**
 * The delegated permissions of the access token: as in Entra everything consented for Graph, not merely what this
 * request names. Throws 90094 for what needs an administrator's consent.
 */
export function grantedPermissions(world: World, scopes: Scopes): string[] {
  if (scopes.graph.some((name) => needsAdministrator(world, name))) throw new AadstsError(90094)
  const consentedBefore = world.app.adminConsent !== false || scopes.isDefault ? world.app.delegatedPermissions : []
  return [...new Set([...scopes.graph, ...consentedBefore])]
}
