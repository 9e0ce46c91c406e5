// The token endpoint: exchanges a code for an id token and a Graph token. A code is sent once: Entra ID treats a second
// use as a replay.
import { GatehouseError } from '../core/errors.js'
import type { AuthorizationGrant } from '../core/identity.js'
import { isRecord } from '../core/is-record.js'
import { entraError } from './aadsts.js'
import type { ClientCredential } from './credentials.js'
import { jsonOf, TransportError, type HttpAnswer, type HttpClient } from './http-client.js'

const BETWEEN = 'Something between answers in place of Entra ID: check HTTPS_PROXY, NO_PROXY and entra.authorityHost.'

export interface TokenClientOptions {
  readonly http: HttpClient
  readonly tokenEndpoint: string
  readonly clientId: string
  readonly credential: ClientCredential
  readonly redirectUri: string
  readonly scopes: readonly string[]
}

export interface RedeemedTokens {
  readonly idToken: string
  readonly accessToken: string
}

export interface TokenClient {
  /**
   * @throws GatehouseError of entra/aadsts.ts, `entra_timeout`, `entra_unavailable`, `entra_malformed`,
   * `id_token_missing`
   */
  redeem(grant: AuthorizationGrant, signal: AbortSignal): Promise<RedeemedTokens>
}

export function createTokenClient(
  { http, tokenEndpoint, clientId, credential, redirectUri, scopes }: TokenClientOptions,
): TokenClient {
  return {
    async redeem({ code, codeVerifier, correlationId }, signal) {
      const body = new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: clientId,
        code,
        redirect_uri: redirectUri,
        code_verifier: codeVerifier,
        scope: scopes.join(' '),
        ...await credential.parameters(),
      })
      const answer = await post(http, tokenEndpoint, body, correlationId, signal)
      return tokensOf(answer)
    },
  }
}

export type AppTokenOptions = Omit<TokenClientOptions, 'redirectUri' | 'scopes'> & { readonly scope: string }

/** A token for the application, without a user (RFC 6749 section 4.4). */
export async function requestAppToken(
  { http, tokenEndpoint, clientId, credential, scope }: AppTokenOptions,
  correlationId: string,
  signal: AbortSignal,
): Promise<{ accessToken: string, expiresInMs: number }> {
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: clientId,
    scope,
    ...await credential.parameters(),
  })
  const answer = bodyOf(await post(http, tokenEndpoint, body, correlationId, signal))
  return { accessToken: answer.access_token, expiresInMs: Number(answer.expires_in) * 1000 || 0 }
}

const TRANSPORT_CODES = {
  timeout: 'entra_timeout',
  too_large: 'entra_malformed',
  network: 'entra_unavailable',
} as const

async function post(
  http: HttpClient,
  url: string,
  body: URLSearchParams,
  correlationId: string,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  try {
    return await http.send({
      url,
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'accept': 'application/json',
        'client-request-id': correlationId,
      },
      body: body.toString(),
      signal,
    })
  } catch (error) {
    if (!(error instanceof TransportError)) throw error
    throw new GatehouseError(TRANSPORT_CODES[error.kind], {
      cause: error,
      detail: `no answer from ${new URL(url).origin}: ${error.message}`,
      remedy: 'Check the network, HTTPS_PROXY and entra.caFile; raise entra.loginBudget if Entra is slow.',
    })
  }
}

function tokensOf(answer: HttpAnswer): RedeemedTokens {
  const body = bodyOf(answer)
  if (typeof body.id_token !== 'string' || body.id_token === '') {
    throw new GatehouseError('id_token_missing', { remedy: 'The scope `openid` was not granted.' })
  }
  return { idToken: body.id_token, accessToken: body.access_token }
}

function bodyOf({ status, text }: HttpAnswer): Readonly<Record<string, unknown>> & { readonly access_token: string } {
  const body = jsonOf(text)
  if (status !== 200) {
    if (!isRecord(body) && status < 500 && status !== 429) {
      throw new GatehouseError('entra_malformed', {
        detail: `the token endpoint answered ${status} without JSON`,
        facts: { status },
        remedy: BETWEEN,
      })
    }
    throw entraError(body, 'token', status)
  }
  if (!isRecord(body) || typeof body.access_token !== 'string' || body.access_token === '') {
    throw new GatehouseError('entra_malformed', {
      detail: 'the token answer has no access_token',
      facts: { status },
      remedy: BETWEEN,
    })
  }
  if (typeof body.token_type !== 'string' || body.token_type.toLowerCase() !== 'bearer') {
    throw new GatehouseError('entra_malformed', { detail: 'the token is not a bearer token', remedy: BETWEEN })
  }
  return { ...body, access_token: body.access_token }
}
