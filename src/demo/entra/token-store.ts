// Codes and access tokens the simulator has handed out. Both are opaque: what they stand for is kept here.
import { randomBytes } from 'node:crypto'

export interface Grant {
  userId: string
  sid: string
  /** Milliseconds since 1970. */
  authenticatedAt: number
  redirectUri: string
  /** As requested; `graphScopes` are the permissions that result. */
  scopes: string[]
  graphScopes: string[]
  nonce?: string
  challenge?: { method: 'S256' | 'plain', value: string }
  /** The authentication context that was asked for: no policy requires it, so it is granted. */
  acrs?: string
}

export interface IssuedCode {
  grant: Grant
  issuedAt: number
  redeemed: boolean
}

export interface AccessToken {
  kind: 'delegated' | 'app'
  userId?: string
  permissions: string[]
  expiresAt: number
}

export interface TokenStore {
  issued: string[]
  codes: Map<string, IssuedCode>
  accessTokens: Map<string, AccessToken>
  refreshTokens: Map<string, IssuedCode>
  issueCode(grant: Grant, at: number): string
  issueAccessToken(token: AccessToken): string
  issueRefreshToken(grant: Grant, at: number): string
}

/**
 * Graph's token for an application is a JWT whose `roles` are its permissions; they are absent where there are none.
 */
function appTokenClaims({ permissions, expiresAt }: AccessToken): string {
  const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const claims = { aud: 'https://graph.microsoft.com', idtyp: 'app', exp: Math.floor(expiresAt / 1000) }
  const roles = permissions.length > 0 && { roles: permissions }
  return `${encoded({ typ: 'JWT', alg: 'RS256' })}.${encoded({ ...claims, ...roles })}`
}

export function createTokenStore(): TokenStore {
  const issued: string[] = []
  const codes = new Map<string, IssuedCode>()
  const accessTokens = new Map<string, AccessToken>()
  const refreshTokens = new Map<string, IssuedCode>()
  const opaque = (prefix: string, bytes: number) => {
    const value = prefix + randomBytes(bytes).toString('base64url')
    issued.push(value)
    return value
  }
  return {
    issued,
    codes,
    accessTokens,
    refreshTokens,
    issueCode(grant, at) {
      const code = opaque('1.AXEA', 96)
      codes.set(code, { grant, issuedAt: at, redeemed: false })
      return code
    },
    issueAccessToken(token) {
      const value = token.kind === 'app' ? opaque(`${appTokenClaims(token)}.`, 256) : opaque('EwB', 192)
      accessTokens.set(value, token)
      return value
    },
    issueRefreshToken(grant, at) {
      const value = opaque('1.AXEB', 96)
      refreshTokens.set(value, { grant, issuedAt: at, redeemed: false })
      return value
    },
  }
}
