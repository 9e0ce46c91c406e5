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
  return {
    scopes: scopes.oidc,
    graphScopes: grantedPermissions(world, scopes),
    ...(prompt !== undefined && { prompt }),
    ...(loginHint !== undefined && { loginHint }),
    ...(nonce !== undefined && { nonce }),
    ...(challenge && { challenge }),
  }
}
