// Discovery documents and published keys. `code_challenge_methods_supported` is missing on purpose, as in Entra.
import type { FastifyInstance } from 'fastify'
import { AadstsError, aadstsBody, explain } from './aadsts.js'
import { issuerOf, PERSONAL_TENANT_ID, resolveTenant } from './tenant.js'
import type { World } from './types.js'

interface TenantRoute {
  Params: { tenant: string }
  Querystring: { appid?: string }
}

function configuration(world: World, tenant: { segment: string, common: boolean }, appid?: string) {
  const base = `${world.url}/${tenant.segment}`
  return {
    token_endpoint: `${base}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    jwks_uri: `${base}/discovery/v2.0/keys${appid === undefined ? '' : `?appid=${encodeURIComponent(appid)}`}`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: issuerOf(world, tenant),
    request_uri_parameter_supported: false,
    userinfo_endpoint: `${world.graphUrl}/oidc/userinfo`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    device_authorization_endpoint: `${base}/oauth2/v2.0/devicecode`,
    http_logout_supported: true,
    frontchannel_logout_supported: true,
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    claims_supported: [
      'sub',
      'iss',
      'cloud_instance_name',
      'cloud_instance_host_name',
      'cloud_graph_host_name',
      'msgraph_host',
      'aud',
      'exp',
      'iat',
      'auth_time',
      'acr',
      'nonce',
      'preferred_username',
      'name',
      'tid',
      'ver',
      'at_hash',
      'c_hash',
      'email',
    ],
    kerberos_endpoint: `${base}/kerberos`,
    tenant_region_scope: tenant.common ? null : 'WW',
    cloud_instance_name: 'microsoftonline.com',
    cloud_graph_host_name: 'graph.windows.net',
    msgraph_host: new URL(world.graphUrl).host,
    rbac_url: 'https://pas.windows.net',
  }
}

export function jsonErrors(scope: FastifyInstance, world: World) {
  scope.setErrorHandler((error, _request, reply) => {
    const { code, values } = error instanceof AadstsError ? error : new AadstsError(9002313)
    return reply.code(explain(code).status).type('application/json; charset=utf-8').send(
      aadstsBody({ code, values, now: world.now() }),
    )
  })
}

export function discoveryRoutes(scope: FastifyInstance, world: World) {
  jsonErrors(scope, world)
  scope.get<TenantRoute>(
    '/:tenant/v2.0/.well-known/openid-configuration',
    async (request, reply) =>
      reply.header('cache-control', 'max-age=86400, private').send(
        configuration(world, resolveTenant(world, request.params.tenant), request.query.appid),
      ),
  )
}

export function keyRoutes(scope: FastifyInstance, world: World) {
  jsonErrors(scope, world)
  scope.get<TenantRoute>('/:tenant/discovery/v2.0/keys', async (request, reply) => {
    const tenant = resolveTenant(world, request.params.tenant)
    const personalIssuer = `${world.url}/${PERSONAL_TENANT_ID}/v2.0`
    return reply.header('cache-control', 'max-age=86400, private').send(
      await world.keys.published(issuerOf(world, tenant), tenant.common ? { personalIssuer } : undefined),
    )
  })
}
