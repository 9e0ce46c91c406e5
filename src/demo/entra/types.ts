// What a simulated Entra ID is started with, what it gives back, and the state its routes share.
import type { JSONWebKeySet } from 'jose'
import type { Directory } from '../directory.js'
import type { Faults, FaultScript } from './faults.js'
import type { Throttle } from './graph/throttling.js'
import type { SigningKeys } from './keys.js'
import type { Sessions } from './sessions.js'
import type { TokenStore } from './token-store.js'

export type OptionalClaim =
  | 'email'
  | 'upn'
  | 'sid'
  | 'login_hint'
  | 'auth_time'
  | 'xms_edov'
  | 'acct'
  | 'given_name'
  | 'family_name'

export interface AppRegistration {
  clientId: string
  displayName?: string
  /** Default AzureADMyOrg: this tenant alone. */
  signInAudience?: 'AzureADMyOrg' | 'AzureADMultipleOrgs'
  /** Compared exactly. Sign-in callbacks and post-logout addresses share this list, as in Entra. */
  redirectUris: string[]
  /** `expiresAt` in milliseconds since 1970. */
  secrets: { value: string, id: string, expiresAt?: number }[]
  /** PEM certificates whose keys may sign client assertions. */
  certificates?: { pem: string }[]
  /** Workload identity: external tokens taken as client assertion where issuer, subject and audience all match. */
  federatedCredentials?: { issuer: string, subject: string, audience: string, jwks: JSONWebKeySet }[]
  applicationPermissions: string[]
  delegatedPermissions: string[]
  optionalClaims: OptionalClaim[]
  groupMembershipClaims?: 'None' | 'SecurityGroup' | 'All'
  assignmentRequired?: boolean
  /** Ids of users, or of groups whose DIRECT members are assigned. */
  assignedUsers?: string[]
  /** Default true. Where false each person consents by signing in, and `prompt=none` before that fails. */
  adminConsent?: boolean
  frontChannelLogoutUrl?: string
}

export interface EntraOptions {
  directory: Directory
  app: AppRegistration
  /**
   * Default 127.0.0.1. Any other address is refused without `allowOffLoopback`: anyone can sign in as any user
   * here.
   */
  host?: string
  port?: number
  graphPort?: number
  allowOffLoopback?: boolean
  /**
   * https with a private CA made at start (`caPem`), for 127.0.0.1, ::1, localhost and the hosts of the public URLs.
   */
  tls?: boolean
  /** Origins under which the simulator is known, where they differ from the listening addresses. */
  publicUrl?: string
  graphPublicUrl?: string
  /** Milliseconds since 1970; also sets the Date header. */
  now?: () => number
  /** Default true: names and securityEnabled come back null unless the token may read them. */
  nullNames?: boolean
  /** Whose access token this is, for tokens that another authority has issued; Graph alone asks. */
  acceptToken?: (token: string) => { userId: string, permissions: readonly string[] } | undefined
  /** How long a `$skiptoken` may be used; default one hour. */
  pageToken?: { lifetimeMs?: number }
  delta?: DeltaOptions
  /** Default: no limit. */
  throttling?: ThrottlingOptions
}

/** How /groups/delta and /users/delta answer. */
export interface DeltaOptions {
  /** Objects and members on one page; default 500. */
  pageSize?: number
  /** How long a `$deltatoken` may be used; default seven days, as for all directory objects. */
  tokenLifetimeMs?: number
  /** Every answer repeats the changes of the one before. */
  replays?: boolean
  /** Properties of users whose changes are not tracked: a request that selects one is refused. */
  untracked?: readonly string[]
}

/** The limit of an application in a tenant ("Microsoft Graph service-specific throttling limits"). */
export interface ThrottlingOptions {
  resourceUnits: number
  /** Default ten seconds. */
  perMs?: number
}

export interface RecordedRequest {
  at: number
  server: 'login' | 'graph'
  method: string
  path: string
  query: Record<string, string | string[] | undefined>
  /** As received, `authorization` and `cookie` included, so that a test can assert them. */
  headers: Record<string, string | string[] | undefined>
  /** The fields of a form; only on the login server. */
  form?: Record<string, unknown>
  /** 0 while (or where) no answer was given. */
  status: number
}

export interface EntraSimulator {
  /** Public origins; the same as the listening addresses unless `publicUrl` and `graphPublicUrl` are set. */
  url: string
  graphUrl: string
  listening: { login: string, graph: string }
  tenantId: string
  directory: Directory
  app: AppRegistration
  faults: Faults
  /** The last 50,000. */
  requests: RecordedRequest[]
  /** What the requests to Graph have cost so far; throttled ones cost nothing. */
  resourceUnits(): number
  /** Every code, access token and ID token handed out, for leak tests. */
  issuedTokens: string[]
  caPem?: string
  /** A new key signs from now on; the published ones stay unless `removeOld`. */
  rollKeys(options?: { removeOld?: boolean }): Promise<void>
  /** Ends hung connections too. */
  close(): Promise<void>
}

/** Shared by the routes of one simulator. */
export interface World {
  tenantId: string
  directory: Directory
  app: AppRegistration
  url: string
  graphUrl: string
  now: () => number
  nullNames: boolean
  acceptToken: EntraOptions['acceptToken']
  pageTokenLifetime: number
  delta: Required<DeltaOptions>
  throttle: Throttle
  keys: SigningKeys
  sessions: Sessions
  tokens: TokenStore
  /** Who has consented by signing in; matters where `adminConsent` is false. */
  consents: Set<string>
  faults: FaultScript
  requests: RecordedRequest[]
}
