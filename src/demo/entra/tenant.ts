// The first path segment: our tenant's GUID or a verified domain of it, or `common`/`organizations`; anything else does
// not exist.
import { AadstsError } from './aadsts.js'
import type { AppRegistration, World } from './types.js'

/** The domain the members' user principal names end in. */
export function verifiedDomains(world: World): string[] {
  const members = [...world.directory.users.values()].filter((user) => user.userType === 'Member')
  return [...new Set(members.map((user) => user.userPrincipalName.split('@')[1]?.toLowerCase() ?? ''))]
}

export function resolveTenant(world: World, segment: string): { segment: string, common: boolean } {
  const tenant = segment.toLowerCase()
  if (tenant === 'common' || tenant === 'organizations') return { segment: tenant, common: true }
  if (tenant === world.tenantId || verifiedDomains(world).includes(tenant)) {
    return { segment: world.tenantId, common: false }
  }
  throw new AadstsError(90002, segment)
}

export const issuerOf = (world: World, tenant: { common: boolean }) =>
  `${world.url}/${tenant.common ? '{tenantid}' : world.tenantId}/v2.0`

export const PERSONAL_TENANT_ID = '9188040d-6c67-4c5b-b112-36a304b66dad'

/** A single-tenant registration cannot be used on `common`. */
export function requireOwnTenant(world: World, segment: string, clientId: string) {
  if (resolveTenant(world, segment).common && world.app.signInAudience !== 'AzureADMultipleOrgs') {
    throw new AadstsError(50194, clientId)
  }
}

export function requireApp(world: World, clientId: string): AppRegistration {
  if (clientId.toLowerCase() === world.app.clientId) return world.app
  throw new AadstsError(700016, clientId, verifiedDomains(world)[0] ?? world.tenantId)
}
