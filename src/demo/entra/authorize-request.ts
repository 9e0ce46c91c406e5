// Reading an authorization request in two halves: where an answer may go (errors there are a page, never a redirect, or
// the endpoint would be an open redirector), then the other parameters (their errors go to the redirect URI).
import { AadstsError } from './aadsts.js'
import { required, type Parameters } from './parameters.js'
import { grantedPermissions, readScopes } from './scopes.js'
import { requireApp, requireOwnTenant } from './tenant.js'
import type { World } from './types.js'

export interface ReplyTarget {
  redirectUri: string
  mode: 'query' | 'fragment' | 'form_post'
  state?: string
}

export interface AuthorizeRequest {
  prompt?: string
  loginHint?: string
  nonce?: string
  scopes: string[]
  graphScopes: string[]
  challenge?: { method: 'S256' | 'plain', value: string }
  /** The authentication context that the claims request asks the ID token for. */
  acrs?: string
}

/** Exact comparison, path and trailing slash included; of http://localhost alone the port does not matter. */
export function isRegistered(redirectUris: readonly string[], redirectUri: string): boolean {
  const withoutPort = (uri: string) => uri.replace(/^http:\/\/localhost(:\d+)?(?=[/?]|$)/, 'http://localhost')
  return redirectUris.some((registered) =>
    registered === redirectUri ||
    (redirectUri.startsWith('http://localhost') && withoutPort(registered) === withoutPort(redirectUri))
  )
}

export function readReplyTarget(world: World, tenant: string, parameters: Parameters): ReplyTarget {
  const app = requireApp(world, required(parameters, 'client_id'))
  requireOwnTenant(world, tenant, app.clientId)
  const redirectUri = required(parameters, 'redirect_uri')
  if (redirectUri.length > 256 || !isRegistered(app.redirectUris, redirectUri)) {
    throw new AadstsError(50011, redirectUri, app.clientId)
  }
  const mode = parameters.response_mode ?? 'query'
  if (mode !== 'query' && mode !== 'form_post' && mode !== 'fragment') throw new AadstsError(9002313)
  return { redirectUri, mode, ...(parameters.state !== undefined && { state: parameters.state }) }
}

function readChallenge({ code_challenge: value, code_challenge_method: method = 'plain' }: Parameters) {
  if (value === undefined) return undefined
  if (value.length < 43 || value.length > 128) throw new AadstsError(501491)
  if (method !== 'S256' && method !== 'plain') throw new AadstsError(9002313)
  return { method, value } as const
}

/** OpenID Connect Core section 5.5. Of the claims only `acrs` is understood, in the form that Entra documents. */
function readContext({ claims }: Parameters): string | undefined {
  if (claims === undefined) return undefined
  const { id_token: ofIdToken = {}, ...others } = objectOf(parsed(claims))
  const { acrs } = objectOf(ofIdToken)
  const unknown = Object.keys(others).filter((name) => name !== 'access_token' && name !== 'userinfo')
  if (unknown.length > 0) throw new AadstsError(9002313)
  if (acrs === undefined) return undefined
  const { essential, value, ...more } = objectOf(acrs)
  const isContext = typeof value === 'string' && /^c[1-9]\d?$/.test(value)
  if (essential !== true || !isContext || Object.keys(more).length > 0) throw new AadstsError(9002313)
  return value
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new AadstsError(9002313)
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (isObject) return value as Record<string, unknown>
  throw new AadstsError(9002313)
}

const prompts = new Set(['login', 'none', 'consent', 'select_account'])

export function readAuthorizeRequest(world: World, parameters: Parameters): AuthorizeRequest {
  if (parameters.resource !== undefined) throw new AadstsError(901002)
  const type = required(parameters, 'response_type')
  if (/^((id_token|token|code)( |$))+$/.test(type) && type !== 'code') throw new AadstsError(700054, type)
  if (type !== 'code') throw new AadstsError(70005, type)
  const scopes = readScopes(world, required(parameters, 'scope'))
  const { prompt, login_hint: loginHint, nonce } = parameters
  if (prompt !== undefined && !prompts.has(prompt)) throw new AadstsError(90023, 'prompt')
  const challenge = readChallenge(parameters)
  const acrs = readContext(parameters)
  return {
    scopes: scopes.oidc,
    graphScopes: grantedPermissions(world, scopes),
    ...(prompt !== undefined && { prompt }),
    ...(loginHint !== undefined && { loginHint }),
    ...(nonce !== undefined && { nonce }),
    ...(challenge && { challenge }),
    ...(acrs !== undefined && { acrs }),
  }
}
