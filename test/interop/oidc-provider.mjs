// A certified OpenID provider in Entra's place: its paths and claims are Entra's by configuration, its code is not
// ours.
// node oidc-provider.mjs '{port,tenantId,clientId,clientSecret,redirectUri,scope,person}'
import { createServer } from 'node:http'
import { generateKeyPairSync } from 'node:crypto'
import Provider from 'oidc-provider'

const { port, tenantId, clientId, clientSecret, redirectUri, graphScope, person } = JSON.parse(process.argv[2])
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const RESOURCE = 'urn:graph'

const provider = new Provider(`http://127.0.0.1:${port}/${tenantId}/v2.0`, {
  clients: [{
    client_id: clientId,
    client_secret: clientSecret,
    redirect_uris: [redirectUri],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: 'client_secret_post',
    id_token_signed_response_alg: 'RS256',
    require_auth_time: true,
  }],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'provider-key', use: 'sig', alg: 'RS256' }] },
  routes: {
    authorization: `/${tenantId}/oauth2/v2.0/authorize`,
    token: `/${tenantId}/oauth2/v2.0/token`,
    jwks: `/${tenantId}/discovery/v2.0/keys`,
  },
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'email', graphScope],
  claims: {
    openid: ['sub', 'tid', 'oid', 'ver', 'nbf'],
    profile: ['name', 'preferred_username'],
    email: ['email'],
    acrs: null,
  },
  conformIdTokenClaims: false,
  cookies: { keys: ['a key of this process alone'] },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: (_use, _scope, asked) => ({
      sub: id,
      tid: tenantId,
      oid: id,
      ver: '2.0',
      nbf: Math.floor(Date.now() / 1000),
      name: person.name,
      preferred_username: person.upn,
      email: person.upn,
      ...(asked?.acrs && { acrs: [asked.acrs.value] }),
    }),
  }),
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ clientId, accountId: ctx.oidc.session.accountId })
    grant.addOIDCScope(`openid profile email ${graphScope}`)
    grant.addOIDCClaims(['acrs'])
    grant.addResourceScope(RESOURCE, graphScope)
    await grant.save()
    return grant
  },
  features: {
    devInteractions: { enabled: false },
    claimsParameter: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: graphScope,
        audience: RESOURCE,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
})

const answer = provider.callback()
createServer((request, response) => {
  // The sign-in page: whoever comes is the person.
  if (request.url.startsWith('/interaction/')) {
    provider.interactionFinished(request, response, { login: { accountId: person.id } }).catch((error) =>
      response.writeHead(500).end(String(error))
    )
  } else answer(request, response)
}).listen(port, '127.0.0.1', () => console.log('listening'))
