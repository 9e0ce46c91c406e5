// What every call to Entra ID and Microsoft Graph needs, put together once: the HTTP client, the endpoints of the cloud
// and the credential of Gatehouse's registration.
import { readFileSync } from 'node:fs'
import { noTracer, type Tracer } from '../core/tracer.js'
import { entraEndpoints, severalTenants, type EndpointOptions, type EntraEndpoints } from './clouds.js'
import { createClientCredential, type ClientCredential, type CredentialSettings } from './credentials.js'
import { createHttpClient, type HttpClient } from './http-client.js'
import { withReachability, type NoteRequest, type WatchedHttpClient } from './reachability.js'
import { tracedHttp } from './traced-http.js'

/** The section `entra` of the configuration, as far as the client needs it. */
export interface EntraSettings extends EndpointOptions, CredentialSettings {
  readonly clientId: string
  /** Empty unless `tenantId` is `common` or `organizations`. */
  readonly allowedTenants: readonly string[]
  /** Trusted in addition to the root certificates of Node.js. */
  readonly caFile: string | undefined
}

/** One registration, at the endpoints of one authority. */
export interface EntraConnection {
  readonly http: HttpClient
  readonly endpoints: EntraEndpoints
  readonly clientId: string
  readonly credential: ClientCredential
}

export interface EntraClient {
  readonly http: WatchedHttpClient
  /** For sign-ins: with several tenants, the authority that serves all of them. */
  readonly signIn: EntraConnection
  /** For tokens without a user: one tenant issues them; with several tenants, the first allowed one. */
  readonly appOnly: EntraConnection
  close(): Promise<void>
}

export interface EntraClientOptions {
  readonly tracer?: Tracer
  readonly noteRequest?: NoteRequest
}

/**
 * @param current the settings in force; only the credential is read again, before each token request
 * @throws GatehouseError `proxy_unusable`
 */
export function createEntraClient(
  current: () => EntraSettings,
  { tracer = noTracer(), noteRequest }: EntraClientOptions = {},
): EntraClient {
  const { caFile, clientId, tenantId, allowedTenants, ...cloud } = current()
  const ca = caFile === undefined ? undefined : readFileSync(caFile, 'utf8')
  const endpoints = entraEndpoints({ ...cloud, tenantId })
  const http = withReachability(
    tracedHttp(createHttpClient({ ca }), endpoints, tracer),
    endpoints.graph,
    noteRequest,
  )
  const connect = (endpoints: EntraEndpoints): EntraConnection => ({
    http,
    endpoints,
    clientId,
    credential: createClientCredential(current, { clientId, tokenEndpoint: endpoints.token }),
  })
  const oneTenant = severalTenants(tenantId) ? allowedTenants[0] ?? tenantId : tenantId
  return {
    http,
    signIn: connect(endpoints),
    appOnly: connect(entraEndpoints({ ...cloud, tenantId: oneTenant })),
    close: () => http.close(),
  }
}
