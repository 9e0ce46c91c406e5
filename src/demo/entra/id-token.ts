// The claims of a v2.0 ID token, each present only when Entra would send it, and their signature.
import { createHmac, randomBytes } from 'node:crypto'
import { SignJWT } from 'jose'
import type { DirectoryUser } from '../directory.js'
import { loginHintOf } from './login-hint.js'
import { forge } from './forgeries.js'
import type { Grant } from './token-store.js'
import type { OptionalClaim, World } from './types.js'

type Claims = Record<string, unknown>

const HOME_TENANT_OF_GUESTS = '2b7c8d9e-0f13-4a6b-8c5d-1e2f3a4b5c6d'
const OVERAGE = 200

/** Pairwise: another application sees another value for the same person. */
const subjectOf = (world: World, user: DirectoryUser) =>
  createHmac('sha256', world.tenantId).update(`${world.app.clientId}:${user.id}`).digest('base64url')

/** "pat_fabrikam.example#EXT#@contoso.example" signs in as "pat@fabrikam.example". */
const homeName = (upn: string) => upn.split('#EXT#')[0]?.replace(/_(?=[^_]*$)/, '@') ?? upn

export function idTokenClaims(world: World, grant: Grant, user: DirectoryUser): Claims {
  const guest = user.userType === 'Guest'
  const wants = (claim: OptionalClaim) => world.app.optionalClaims.includes(claim)
  const email = user.mail ?? user.externalEmail
  const seconds = Math.floor(world.now() / 1000)
  const withProfile = grant.scopes.includes('profile')
  return {
    aud: world.app.clientId,
    iss: `${world.url}/${user.homeTenantId ?? world.tenantId}/v2.0`,
    // Entra dates tokens back five minutes; one hour of life is left.
    iat: seconds - 300,
    nbf: seconds - 300,
    exp: seconds + 3600,
    aio: randomBytes(48).toString('base64'),
    ...(email !== undefined && (guest || grant.scopes.includes('email') || wants('email')) && { email }),
    ...(guest && { idp: `https://sts.windows.net/${HOME_TENANT_OF_GUESTS}/` }),
    ...(withProfile &&
      {
        name: user.displayName,
        oid: user.id,
        preferred_username: guest
          ? user.externalEmail ?? user.mail ?? homeName(user.userPrincipalName)
          : user.userPrincipalName,
        tid: user.homeTenantId ?? world.tenantId,
      }),
    ...(withProfile && wants('given_name') && user.givenName !== undefined && { given_name: user.givenName }),
    ...(withProfile && wants('family_name') && user.surname !== undefined && { family_name: user.surname }),
    ...(grant.nonce !== undefined && { nonce: grant.nonce }),
    rh: `1.AXEA${randomBytes(12).toString('base64url')}.`,
    ...(wants('sid') && { sid: grant.sid }),
    sub: subjectOf(world, user),
    uti: randomBytes(16).toString('base64url'),
    ver: '2.0',
    ...(wants('auth_time') && { auth_time: Math.floor(grant.authenticatedAt / 1000) }),
    ...(grant.acrs !== undefined && { acrs: [grant.acrs] }),
    ...(wants('login_hint') && { login_hint: loginHintOf(user.id) }),
    ...(wants('upn') && !guest && { upn: user.userPrincipalName }),
    ...(wants('acct') && { acct: guest ? 1 : 0 }),
    ...(wants('xms_edov') && email !== undefined && user.edov !== undefined && { xms_edov: user.edov }),
    ...groupClaims(world, user),
  }
}

/** Beyond 200 groups only a pointer is sent, to a host that no longer exists. */
function groupClaims({ app, directory, tenantId }: World, user: DirectoryUser): Claims {
  const kind = app.groupMembershipClaims ?? 'None'
  if (kind === 'None') return {}
  const groups = directory.transitiveMemberOf(user.id).filter((id) => {
    const object = directory.objects.get(id)
    return object?.type === 'group' && (kind === 'All' || object.securityEnabled === true)
  })
  if (groups.length <= OVERAGE) return groups.length > 0 ? { groups } : {}
  return {
    _claim_names: { groups: 'src1' },
    _claim_sources: { src1: { endpoint: `https://graph.windows.net/${tenantId}/users/${user.id}/getMemberObjects` } },
  }
}

/** Undefined where a fault drops it. */
export async function issueIdToken(world: World, grant: Grant, user: DirectoryUser): Promise<string | undefined> {
  const claims = idTokenClaims(world, grant, user)
  const faults = world.faults.forToken()
  for (const fault of faults) if (fault.kind === 'mutateClaims') fault.change(claims)
  if (faults.some(({ kind }) => kind === 'dropIdToken')) return undefined
  const forgery = faults.find((fault) => fault.kind === 'signWith')
  const key = world.keys.current()
  const token = forgery
    ? await forge(forgery.how, claims, key)
    : await new SignJWT(claims).setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid: key.kid }).sign(key.privateKey)
  world.tokens.issued.push(token)
  return token
}
