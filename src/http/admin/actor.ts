// Who asks for something in the console or its API, as the guard of a request has found it.
import type { FastifyRequest } from 'fastify'
import type { AdminPermission } from '../../core/admin-permissions.js'

interface Someone {
  readonly userId: string
  readonly username: string
  readonly name: string | null
  /** At this moment: read from the database with the request. Never empty. */
  readonly permissions: ReadonlySet<AdminPermission>
}

/** A user with a session of the console. */
export interface AdminActor extends Someone {
  readonly tokenId?: undefined
  /** Public id of the session that the admin session belongs to. */
  readonly sessionId: string
  /** Stays the same when a fresh sign-in renews the cookie: what is stored for later is bound to it. */
  readonly adminSessionId: string
  /** Seconds since 1970: when Entra ID last authenticated this user for the console. */
  readonly authenticatedAt: number
  /** The authentication context of that authentication; null: none that was asked for. */
  readonly acrs: string | null
  /** Bound to the admin session; forms and unsafe requests of the API must return it. */
  readonly csrfToken: string
}

/** A program with an API token; the user is the owner of the token. */
export interface TokenActor extends Someone {
  /** Public id. */
  readonly tokenId: string
  readonly sessionId?: undefined
}

/** Who asks for something in the API. */
export type ApiActor = AdminActor | TokenActor

/** Authenticates each request; nothing is remembered from one request to the next. */
export interface Guard<Actor> {
  /**
   * @param permission what the request needs
   * @throws GatehouseError `admin_sign_in_required` (there is no admin session), `not_found` (the user of the admin
   *   session has no permission at all), `not_allowed` (others, but not this one), `database_unavailable`
   */
  authenticate(request: FastifyRequest, permission: AdminPermission): Promise<Actor>
}

/** Of the console's pages: no API token opens them. */
export type AdminGuard = Guard<AdminActor>

/** Of the API. @throws also `admin_token_invalid`, and `request_malformed` for two Authorization headers */
export type ApiGuard = Guard<ApiActor>
