// Microsoft's own library signs somebody in and asks for a token of its own, against whatever authority it is given.
// node msal-node.mjs '{authority,clientId,clientSecret|certificate,redirectUri,graphUrl,person}'; NODE_EXTRA_CA_CERTS
// names the CA.
import { ConfidentialClientApplication, CryptoProvider } from '@azure/msal-node'

const { authority, clientId, clientSecret, certificate, redirectUri, graphUrl, person } = JSON.parse(process.argv[2])
const application = new ConfidentialClientApplication({
  auth: {
    clientId,
    authority,
    knownAuthorities: [new URL(authority).host],
    ...(certificate ? { clientCertificate: certificate } : { clientSecret }),
  },
  system: { protocolMode: 'AAD' },
})
const { verifier, challenge } = await new CryptoProvider().generatePkceCodes()
const url = await application.getAuthCodeUrl({
  scopes: [`${graphUrl}/User.Read`],
  redirectUri,
  codeChallenge: challenge,
  codeChallengeMethod: 'S256',
  state: 'the-state',
  nonce: 'the-nonce',
})

// The person at the sign-in page.
const page = new URL(url)
const form = new URLSearchParams(page.searchParams)
form.set('person', person)
const signedIn = await fetch(`${page.origin}/${page.pathname.split('/')[1]}/login`, {
  method: 'POST',
  body: form,
  redirect: 'manual',
})
const back = new URL(signedIn.headers.get('location') ?? 'none:')

const code = await application.acquireTokenByCode({
  code: back.searchParams.get('code') ?? '',
  scopes: [`${graphUrl}/User.Read`],
  redirectUri,
  codeVerifier: verifier,
  state: 'the-state',
  nonce: 'the-nonce',
}, { code: back.searchParams.get('code') ?? '', state: back.searchParams.get('state') ?? '' })
const app = await application.acquireTokenByClientCredential({ scopes: [`${graphUrl}/.default`] })
const memberships = async (token) =>
  (await fetch(`${graphUrl}/v1.0/users/${person}/transitiveMemberOf?$select=id`, {
    headers: { authorization: `Bearer ${token}` },
  })).json()
console.log(JSON.stringify({
  account: code.account?.localAccountId,
  tenant: code.account?.tenantId,
  username: code.account?.username,
  oid: code.idTokenClaims?.oid,
  scopes: code.scopes,
  delegated: (await memberships(code.accessToken)).value?.length,
  application: (await memberships(app?.accessToken)).value?.length,
}))
