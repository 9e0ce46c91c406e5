// oauth2-mock-server in Entra's place: paths by configuration, claims by its own event.
// node oauth2-mock-server.mjs '{port,tenantId,person}'
import { OAuth2Server } from 'oauth2-mock-server'

const { port, tenantId, clientId, person } = JSON.parse(process.argv[2])
const server = new OAuth2Server(undefined, undefined, {
  endpoints: {
    authorize: `/${tenantId}/oauth2/v2.0/authorize`,
    token: `/${tenantId}/oauth2/v2.0/token`,
    jwks: `/${tenantId}/discovery/v2.0/keys`,
  },
})
await server.issuer.keys.generate('RS256')
server.service.on('beforeTokenSigning', ({ payload }) => {
  Object.assign(payload, {
    sub: person.id,
    aud: clientId,
    tid: tenantId,
    oid: person.id,
    ver: '2.0',
    name: person.name,
    preferred_username: person.upn,
    email: person.upn,
  })
})
await server.start(port, '127.0.0.1')
server.issuer.url = `http://127.0.0.1:${port}/${tenantId}/v2.0`
console.log('listening')
