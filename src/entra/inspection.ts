// Requests to Entra ID and Graph that need no user, for `gatehouse doctor`: can people sign in?
import { randomUUID } from 'node:crypto'
import { GatehouseError } from '../core/errors.js'
import { isRecord } from '../core/is-record.js'
import { entraError } from './aadsts.js'
import type { EntraConnection } from './client.js'
import { createGraphClient } from './graph.js'
import { jsonOf, TransportError, type HttpAnswer, type HttpClient } from './http-client.js'
import { requestAppToken } from './token.js'

export interface Discovery {
  readonly issuer: unknown
  readonly authorize: unknown
  readonly token: unknown
  readonly keys: unknown
  readonly endSession: unknown
  /** Host of the Graph that belongs to this cloud. */
  readonly graphHost: unknown
  /** Entra's clock less ours, in milliseconds, to about a second; undefined without a `Date` header. */
  readonly skewMs: number | undefined
}

/** The registration as Graph shows it to Application.Read.All (learn.microsoft.com, "application resource type"). */
export interface Registration {
  readonly redirectUris: readonly string[]
  readonly logoutUrl: string | null
  readonly idTokenClaims: readonly string[]
  /** `hint`: the first three characters. Milliseconds since 1970. */
  readonly secrets: readonly { readonly hint: string | null, readonly endsAt: number }[]
}

export interface Inspection {
  /** @throws `entra_*` */
  discovery(): Promise<Discovery>
  /** Number of published signing keys. @throws `entra_*` */
  signingKeys(): Promise<number>
  /** Requests a token with the credential. @throws `entra_*` where it is refused */
  credential(): Promise<void>
  /** Requires any answer below status 500. @throws `graph_unavailable` */
  graphAnswers(): Promise<void>
  /** Whether the application may read users' memberships, or their accounts. @throws `graph_*`, `entra_*` */
  mayRead(what: 'memberships' | 'accounts'): Promise<boolean>
  /**
   * The application permissions in Gatehouse's own token; undefined where the token cannot be read. @throws `entra_*`
   */
  applicationRoles(): Promise<readonly string[] | undefined>
  /** @throws `graph_forbidden` where Application.Read.All is not granted */
  registration(): Promise<Registration>
  /**
   * Whether the redirect URI is registered; undefined where the answer leaves it open. @throws `entra_*` where it is
   * not
   */
  redirectRegistered(): Promise<boolean | undefined>
}

export interface InspectionOptions extends EntraConnection {
  readonly redirectUri: string
  /** For each request. */
  readonly budgetMs: number
  readonly now?: () => number
}

/** No object has this ID: the answer shows the permission alone. */
const ABSENT_ID = '00000000-0000-0000-0000-000000000000'
const PROBES = {
  memberships: `users/${ABSENT_ID}/transitiveMemberOf?$select=id&$top=1`,
  accounts: `users/${ABSENT_ID}?$select=id,accountEnabled`,
}

export function createInspection(options: InspectionOptions): Inspection {
  const { http, endpoints, clientId, redirectUri, budgetMs, now = Date.now } = options
  const fetch = createFetch(http, budgetMs)
  const graph = createGraphClient({ http, graphUrl: endpoints.graph })
  const appToken = (correlationId: string = randomUUID(), signal = AbortSignal.timeout(budgetMs)) =>
    requestAppToken(
      { ...options, tokenEndpoint: endpoints.token, scope: `${endpoints.graph}/.default` },
      correlationId,
      signal,
    )
  const graphRequest = async (path: string) => {
    const deadline = performance.now() + budgetMs
    const [correlationId, signal] = [randomUUID(), AbortSignal.timeout(budgetMs)]
    const { accessToken } = await appToken(correlationId, signal)
    return await graph.get({ url: `${endpoints.graph}/v1.0/${path}`, accessToken, correlationId, signal, deadline })
  }
  return {
    async discovery() {
      const sentAt = now()
      const { body, answer } = await fetch.document(`${endpoints.issuer}/.well-known/openid-configuration`)
      return discoveryOf(body, answer, (sentAt + now()) / 2)
    },
    async signingKeys() {
      const { body: { keys } } = await fetch.document(endpoints.keys)
      return Array.isArray(keys) ? keys.filter(isSigningKey).length : 0
    },
    async credential() {
      await appToken()
    },
    async graphAnswers() {
      const { status } = await fetch.send(`${endpoints.graph}/v1.0/`) // needs no token
      if (status >= 500) throw graphUnavailable(endpoints.graph, status)
    },
    mayRead: (what) => isPermitted(graphRequest(PROBES[what])),
    applicationRoles: async () => rolesOf((await appToken()).accessToken),
    registration: async () =>
      registrationOf(
        await graphRequest(`applications(appId='${clientId}')?$select=id,web,optionalClaims,passwordCredentials`),
      ),
    redirectRegistered: async () => isRedirectAccepted(await fetch.send(authorizeUrl(options)), redirectUri),
  }
}

/** GET without a token. */
function createFetch(http: HttpClient, budgetMs: number) {
  const send = async (url: string): Promise<HttpAnswer> => {
    try {
      return await http.send({
        url,
        method: 'GET',
        headers: { 'accept': 'application/json', 'client-request-id': randomUUID() },
        signal: AbortSignal.timeout(budgetMs),
      })
    } catch (error) {
      if (!(error instanceof TransportError)) throw error
      throw new GatehouseError(error.kind === 'timeout' ? 'entra_timeout' : 'entra_unavailable', {
        cause: error,
        detail: `no usable answer from ${new URL(url).origin}: ${error.message}`,
        remedy: 'Check the network, DNS, HTTPS_PROXY and entra.caFile.',
      })
    }
  }
  const document = async (url: string): Promise<{ body: Readonly<Record<string, unknown>>, answer: HttpAnswer }> => {
    const answer = await send(url)
    const body = jsonOf(answer.text)
    if (answer.status === 200 && isRecord(body)) return { body, answer }
    if (isRecord(body)) throw entraError(body, 'token', answer.status)
    throw new GatehouseError('entra_malformed', {
      detail: `${url} answered ${answer.status} without JSON`,
      remedy: 'Check entra.authorityHost, and proxies between Gatehouse and Entra ID.',
    })
  }
  return { send, document }
}

/** @param receivedAt our clock, halfway between request and answer */
function discoveryOf(body: Readonly<Record<string, unknown>>, { headers }: HttpAnswer, receivedAt: number): Discovery {
  const theirs = Date.parse(headers.date ?? '')
  return {
    issuer: body.issuer,
    authorize: body.authorization_endpoint,
    token: body.token_endpoint,
    keys: body.jwks_uri,
    endSession: body.end_session_endpoint,
    graphHost: body.msgraph_host,
    skewMs: Number.isNaN(theirs) ? undefined : theirs + 500 - receivedAt, // the header has whole seconds
  }
}

function isSigningKey(key: unknown): boolean {
  return isRecord(key) && key.kty === 'RSA' && key.use !== 'enc'
}

function graphUnavailable(graphUrl: string, status: number): GatehouseError {
  return new GatehouseError('graph_unavailable', {
    detail: `${graphUrl} answered ${status}`,
    remedy: 'See the status page of Microsoft 365.',
  })
}

async function isPermitted(probe: Promise<unknown>): Promise<boolean> {
  try {
    await probe
    return true
  } catch (error) {
    if (!(error instanceof GatehouseError)) throw error
    if (error.facts.status === 404) return true // Graph checks the permission before the object
    if (error.facts.status === 403) return false
    throw error
  }
}

function authorizeUrl({ endpoints, clientId, redirectUri }: InspectionOptions): string {
  const query = new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    response_mode: 'query',
    redirect_uri: redirectUri,
    scope: 'openid',
    prompt: 'none',
    state: 'doctor',
    nonce: 'doctor',
  })
  return `${endpoints.authority}${endpoints.authorizePath}?${query}`
}

function isRedirectAccepted({ status, headers, text }: HttpAnswer, redirectUri: string): boolean | undefined {
  if (status >= 300 && status < 400) return headers.location?.startsWith(`${redirectUri}?`) ? true : undefined
  const at = text.search(/AADSTS\d+/)
  if (at === -1) return undefined
  throw entraError({ error_description: text.slice(at, at + 20) }, 'authorize', status)
}

/**
 * An access token for Graph is opaque to its client: what it seems to hold is shown to an administrator and decides
 * nothing (learn.microsoft.com, "Access token claims reference": `roles`, absent where there are none).
 */
function rolesOf(accessToken: string): readonly string[] | undefined {
  const [, payload = ''] = accessToken.split('.')
  const claims = jsonOf(Buffer.from(payload, 'base64url').toString('utf8'))
  if (!isRecord(claims) || typeof claims.aud !== 'string') return undefined
  if (claims.roles === undefined) return []
  return Array.isArray(claims.roles) ? claims.roles.filter((role) => typeof role === 'string') : undefined
}

function registrationOf({ web, optionalClaims, passwordCredentials }: Readonly<Record<string, unknown>>): Registration {
  const { redirectUris, logoutUrl } = isRecord(web) ? web : {}
  const idToken = isRecord(optionalClaims) && Array.isArray(optionalClaims.idToken) ? optionalClaims.idToken : []
  const secrets = Array.isArray(passwordCredentials) ? passwordCredentials.filter(isRecord) : []
  return {
    redirectUris: Array.isArray(redirectUris) ? redirectUris.filter((uri) => typeof uri === 'string') : [],
    logoutUrl: typeof logoutUrl === 'string' ? logoutUrl : null,
    idTokenClaims: idToken.flatMap((claim) => isRecord(claim) && typeof claim.name === 'string' ? [claim.name] : []),
    secrets: secrets.map(({ hint, endDateTime }) => ({
      hint: typeof hint === 'string' ? hint : null,
      endsAt: Date.parse(String(endDateTime)),
    })),
  }
}
