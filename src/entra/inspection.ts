// What can be asked of Entra ID and Graph without a person, to find out before anybody signs in whether they can.
import { randomUUID } from 'node:crypto'
import { GatehouseError } from '../core/errors.js'
import { isRecord } from '../core/is-record.js'
import { entraError } from './aadsts.js'
import type { EntraConnection } from './client.js'
import { createGraphClient } from './graph.js'
import { jsonOf, TransportError, type HttpAnswer } from './http-client.js'
import { requestAppToken } from './token.js'

export interface Discovery {
  readonly issuer: unknown
  readonly authorize: unknown
  readonly token: unknown
  readonly keys: unknown
  readonly endSession: unknown
  /** Host of the Graph that belongs to this cloud. */
  readonly graphHost: unknown
  /** Entra's clock less ours, in milliseconds, to about a second; undefined where it does not say. */
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
  /** How many keys may sign. @throws `entra_*` */
  signingKeys(): Promise<number>
  /** Whether the credential is taken. @throws `entra_*` */
  credential(): Promise<void>
  /** Any answer at all. @throws `graph_unavailable` */
  graphAnswers(): Promise<void>
  /** Whether Gatehouse itself may read people's memberships, or their accounts. @throws `graph_*`, `entra_*` */
  mayRead(what: 'memberships' | 'accounts'): Promise<boolean>
  /**
   * The application permissions in Gatehouse's own token; undefined where the token cannot be read. @throws `entra_*`
   */
  applicationRoles(): Promise<readonly string[] | undefined>
  /** @throws `graph_forbidden` where Application.Read.All is not granted */
  registration(): Promise<Registration>
  /**
   * Whether the redirect URI is taken; undefined where the answer does not say. @throws `entra_*` where it is refused
   */
  redirectTaken(): Promise<boolean | undefined>
}

export interface InspectionOptions extends EntraConnection {
  readonly redirectUri: string
  /** For each question. */
  readonly budgetMs: number
  readonly now?: () => number
}

const NOBODY = '00000000-0000-0000-0000-000000000000'

export function createInspection(
  { http, endpoints, clientId, credential, redirectUri, budgetMs, now = Date.now }: InspectionOptions,
): Inspection {
  const graph = createGraphClient({ http, graphUrl: endpoints.graph })
  const ask = async (url: string): Promise<HttpAnswer> => {
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
    const answer = await ask(url)
    const body = jsonOf(answer.text)
    if (answer.status === 200 && isRecord(body)) return { body, answer }
    if (isRecord(body)) throw entraError(body, 'token', answer.status)
    throw new GatehouseError('entra_malformed', {
      detail: `${url} answered ${answer.status} without JSON`,
      remedy: 'Check entra.authorityHost and what stands between.',
    })
  }
  const graphRequest = async (path: string) => {
    const [correlationId, signal, deadline] = [
      randomUUID(),
      AbortSignal.timeout(budgetMs),
      performance.now() + budgetMs,
    ]
    const { accessToken } = await requestAppToken(
      { http, tokenEndpoint: endpoints.token, clientId, credential, scope: `${endpoints.graph}/.default` },
      correlationId,
      signal,
    )
    return await graph.get({ url: `${endpoints.graph}/v1.0/${path}`, accessToken, correlationId, signal, deadline })
  }
  return {
    async discovery() {
      const asked = now()
      const { body, answer } = await document(`${endpoints.issuer}/.well-known/openid-configuration`)
      const theirs = Date.parse(answer.headers.date ?? '')
      return {
        issuer: body.issuer,
        authorize: body.authorization_endpoint,
        token: body.token_endpoint,
        keys: body.jwks_uri,
        endSession: body.end_session_endpoint,
        graphHost: body.msgraph_host,
        skewMs: Number.isNaN(theirs) ? undefined : theirs + 500 - (asked + now()) / 2, // the header has whole seconds
      }
    },
    async signingKeys() {
      const { body } = await document(endpoints.keys)
      return Array.isArray(body.keys)
        ? body.keys.filter((key) => isRecord(key) && key.kty === 'RSA' && key.use !== 'enc').length
        : 0
    },
    async credential() {
      await requestAppToken(
        { http, tokenEndpoint: endpoints.token, clientId, credential, scope: `${endpoints.graph}/.default` },
        randomUUID(),
        AbortSignal.timeout(budgetMs),
      )
    },
    async graphAnswers() {
      const { status } = await ask(`${endpoints.graph}/v1.0/`) // answers without a token
      if (status >= 500) {
        throw new GatehouseError('graph_unavailable', {
          detail: `${endpoints.graph} answered ${status}`,
          remedy: 'See the status page of Microsoft 365.',
        })
      }
    },
    async mayRead(what) {
      try {
        await graphRequest(
          `users/${NOBODY}${
            what === 'memberships' ? '/transitiveMemberOf?$select=id&$top=1' : '?$select=id,accountEnabled'
          }`,
        )
        return true
      } catch (error) {
        if (!(error instanceof GatehouseError)) throw error
        if (error.facts.status === 404) return true // permission is judged before existence
        if (error.facts.status === 403) return false
        throw error
      }
    },
    async applicationRoles() {
      const scope = `${endpoints.graph}/.default`
      const asking = { http, tokenEndpoint: endpoints.token, clientId, credential, scope }
      const { accessToken } = await requestAppToken(asking, randomUUID(), AbortSignal.timeout(budgetMs))
      return rolesOf(accessToken)
    },
    async registration() {
      return registrationOf(
        await graphRequest(`applications(appId='${clientId}')?$select=id,web,optionalClaims,passwordCredentials`),
      )
    },
    async redirectTaken() {
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
      const { status, headers, text } = await ask(`${endpoints.authority}${endpoints.authorizePath}?${query}`)
      if (status >= 300 && status < 400) return headers.location?.startsWith(`${redirectUri}?`) ? true : undefined
      if (/AADSTS\d+/.test(text)) {
        throw entraError(
          { error_description: text.slice(text.indexOf('AADSTS'), text.indexOf('AADSTS') + 20) },
          'authorize',
          status,
        )
      }
      return undefined
    },
  }
}

/**
 * A token for Graph is Graph's to read, and nothing is decided by it here: an administrator is told what it seems to
 * hold (learn.microsoft.com, "Access token claims reference": `roles`, absent where there are none).
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
