// How the application authenticates at the token endpoint: a secret (in the body or Basic), a signed assertion of a
// registered certificate, or an external token of a federated credential.
import { X509Certificate, createHash } from 'node:crypto'
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JWTVerifyOptions,
  type ProtectedHeaderParameters,
} from 'jose'
import { AadstsError } from './aadsts.js'
import { required, type Parameters } from './parameters.js'
import { requireApp, requireOwnTenant } from './tenant.js'
import type { AppRegistration, World } from './types.js'

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const MAX_LIFETIME_S = 600
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** RFC 6749 2.3.1: both halves are form-encoded before they are joined. */
function readBasic(header: string | undefined): { id: string, secret: string } | undefined {
  if (header === undefined || !/^basic /i.test(header)) return undefined
  const [id, secret] = Buffer.from(header.slice(6), 'base64').toString().split(/:(.*)/s, 2)
  try {
    const [decodedId = '', decodedSecret = ''] = [id, secret].map((part = '') =>
      decodeURIComponent(part.replaceAll('+', ' '))
    )
    return { id: decodedId, secret: decodedSecret }
  } catch {
    throw new AadstsError(9002313)
  }
}

export async function authenticateClient(
  world: World,
  tenant: string,
  form: Parameters,
  headers: { authorization?: string | undefined, origin?: string | undefined },
) {
  const basic = readBasic(headers.authorization)
  const app = requireApp(world, basic?.id ?? required(form, 'client_id'))
  requireOwnTenant(world, tenant, app.clientId)
  const secret = basic?.secret ?? form.client_secret
  if (headers.origin !== undefined) throw new AadstsError(9002326, headers.origin)
  if (secret !== undefined) checkSecret(world, app, secret)
  else if (form.client_assertion !== undefined) await checkAssertion(world, app, form, tenant)
  else throw new AadstsError(7000218)
}

function checkSecret(world: World, app: AppRegistration, secret: string) {
  const known = app.secrets.find(({ value }) => value === secret)
  if (!known) throw new AadstsError(7000215, app.clientId)
  if (known.expiresAt !== undefined && known.expiresAt <= world.now()) throw new AadstsError(7000222, app.clientId)
}

async function checkAssertion(world: World, app: AppRegistration, form: Parameters, tenant: string) {
  if (required(form, 'client_assertion_type') !== ASSERTION_TYPE) throw new AadstsError(9002313)
  const assertion = required(form, 'client_assertion')
  const { header } = claimed(assertion)
  if (header['x5t#S256'] === undefined && header.x5t === undefined) await checkFederatedToken(world, app, assertion)
  else await checkCertificateAssertion(world, app, assertion, tenant)
}

function claimed(assertion: string) {
  try {
    return { header: decodeProtectedHeader(assertion), payload: decodeJwt(assertion) }
  } catch {
    throw new AadstsError(50013)
  }
}

/** "Certificate credentials": which thumbprint goes with which algorithm, and every claim that is listed there. */
async function checkCertificateAssertion(world: World, app: AppRegistration, assertion: string, tenant: string) {
  const { header, payload } = claimed(assertion)
  const audience = `${world.url}/${tenant}/oauth2/v2.0/token`
  const certificate = app.certificates?.map(({ pem }) => new X509Certificate(pem)).find(({ raw }) =>
    THUMBPRINTS[header.alg ?? '']?.(header, raw)
  )
  if (!certificate) throw new AadstsError(700027)
  if (world.now() < Date.parse(certificate.validFrom) || world.now() > Date.parse(certificate.validTo)) {
    throw new AadstsError(1000502)
  }
  if (payload.iss !== app.clientId || payload.sub !== app.clientId) throw new AadstsError(700021)
  if (payload.aud !== audience) throw new AadstsError(700023, audience) // a list with the audience is refused too
  const claims = { typ: 'JWT', algorithms: ['PS256', 'RS256'], requiredClaims: ['exp', 'nbf', 'iat', 'jti'] }
  await verify(world, () => jwtVerify(assertion, certificate.publicKey, options(world, claims)), audience)
  if (Number(payload.exp) - Number(payload.nbf) > MAX_LIFETIME_S) throw new AadstsError(700024)
  // `jti` may repeat: Microsoft's own client sends one assertion several times
  if (!GUID.test(payload.jti ?? '')) throw new AadstsError(50013)
}

const digest = (hash: string, der: Buffer) => createHash(hash).update(der).digest('base64url')

const THUMBPRINTS: Partial<Record<string, (header: ProtectedHeaderParameters, der: Buffer) => boolean>> = {
  PS256: (header, der) => header['x5t#S256'] === digest('sha256', der) && header.x5t === undefined,
  RS256: (header, der) => header.x5t === digest('sha1', der),
}

/** As in Entra issuer, subject and audience are compared exactly, before the signature is verified. */
async function checkFederatedToken(world: World, app: AppRegistration, assertion: string) {
  const { payload } = claimed(assertion)
  const { iss = '', sub = '', aud = [] } = payload
  const credentials = app.federatedCredentials ?? []
  if (credentials.length === 0) throw new AadstsError(70021)
  const ofIssuer = credentials.filter(({ issuer }) => issuer === iss)
  if (ofIssuer.length === 0) throw new AadstsError(700211, iss)
  const ofSubject = ofIssuer.filter(({ subject }) => subject === sub)
  if (ofSubject.length === 0) throw new AadstsError(700213, sub)
  const known = ofSubject.find(({ audience }) => [aud].flat().includes(audience))
  if (!known) throw new AadstsError(700212, [aud].flat().join())
  await verify(
    world,
    () =>
      jwtVerify(
        assertion,
        createLocalJWKSet(known.jwks),
        options(world, { algorithms: ['RS256'], requiredClaims: ['exp'] }),
      ),
    known.audience,
  )
}

const options = (world: World, claims: JWTVerifyOptions): JWTVerifyOptions => ({
  ...claims,
  currentDate: new Date(world.now()),
  clockTolerance: 300,
})

async function verify(world: World, work: () => Promise<unknown>, audience: string) {
  try {
    await work()
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new AadstsError(700024)
    if (error instanceof errors.JWTClaimValidationFailed) throw new AadstsError(codeOfClaim(error.claim), audience)
    throw new AadstsError(700027)
  }
}

function codeOfClaim(claim: string): number {
  if (claim === 'aud') return 700023
  return claim === 'nbf' || claim === 'exp' ? 700024 : 700027
}
