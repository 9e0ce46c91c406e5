// The addresses of Microsoft's clouds (learn.microsoft.com, "National clouds"). Registrations and tokens do not cross
// clouds. Endpoints are built, not discovered: Gatehouse starts while Entra is down.

export type Cloud = 'global' | 'usgov' | 'usgov-dod' | 'china'

const CLOUDS: Readonly<Record<Cloud, { readonly authority: string, readonly graph: string }>> = {
  'global': { authority: 'https://login.microsoftonline.com', graph: 'https://graph.microsoft.com' },
  'usgov': { authority: 'https://login.microsoftonline.us', graph: 'https://graph.microsoft.us' },
  'usgov-dod': { authority: 'https://login.microsoftonline.us', graph: 'https://dod-graph.microsoft.us' },
  'china': { authority: 'https://login.partner.microsoftonline.cn', graph: 'https://microsoftgraph.chinacloudapi.cn' },
}

/** Absolute addresses without a trailing slash. */
export interface EntraEndpoints {
  readonly authority: string
  readonly authorizePath: string
  readonly token: string
  readonly keys: string
  readonly endSession: string
  /** Contains `{tenantid}` where users of several tenants sign in. */
  readonly issuer: string
  readonly graph: string
  /** Scopes of a login: `email` and `profile` for the claims, User.Read of this cloud's Graph. */
  readonly scopes: readonly string[]
}

export interface EndpointOptions {
  readonly tenantId: string
  readonly cloud: Cloud
  readonly authorityHost?: string | undefined
  readonly graphUrl?: string | undefined
  /** Adds the scope that reading `securityEnabled` of groups needs. */
  readonly securityGroupsOnly?: boolean
}

export function entraEndpoints(
  { tenantId, cloud, authorityHost, graphUrl, securityGroupsOnly = false }: EndpointOptions,
): EntraEndpoints {
  const authority = withoutSlash(authorityHost ?? CLOUDS[cloud].authority)
  const graph = withoutSlash(graphUrl ?? CLOUDS[cloud].graph)
  return {
    authority,
    authorizePath: `/${tenantId}/oauth2/v2.0/authorize`, // guard: tenant-in-authority
    token: `${authority}/${tenantId}/oauth2/v2.0/token`,
    keys: `${authority}/${tenantId}/discovery/v2.0/keys`,
    endSession: `${authority}/${tenantId}/oauth2/v2.0/logout`,
    issuer: `${authority}/${severalTenants(tenantId) ? '{tenantid}' : tenantId}/v2.0`,
    graph,
    scopes: [
      'openid',
      'profile',
      'email',
      `${graph}/User.Read`, // guard: scope-of-this-graph
      ...(securityGroupsOnly ? [`${graph}/GroupMember.Read.All`] : []),
    ],
  }
}

/** Path segments that stand for the tenant of the user who signs in. */
export function severalTenants(tenantId: string): boolean {
  return tenantId === 'common' || tenantId === 'organizations'
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '')
}
