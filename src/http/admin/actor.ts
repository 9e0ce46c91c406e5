// Who asks for something in the console or its API, as the guard of a request has found it.
import type { FastifyRequest } from 'fastify'
import type { AdminPermission } from '../../core/admin-permissions.js'

export interface AdminActor {
  readonly userId: string
  readonly username: string
  readonly name: string | null
  /** At this moment: read from the database with the request. Never empty. */
  readonly permissions: ReadonlySet<AdminPermission>
  /** Public id of the session that the admin session belongs to. */
  readonly sessionId: string
  /** Stays the same when a fresh sign-in renews the cookie: what is stored for later is bound to it. */
  readonly adminSessionId: string
  /** Seconds since 1970: when Entra ID last authenticated this user for the console. */
  readonly authenticatedAt: number
  /** Bound to the admin session; forms and unsafe requests of the API must return it. */
  readonly csrfToken: string
}

/** Authenticates each request of the console and its API; nothing is remembered from one request to the next. */
export interface AdminGuard {
  /**
   * @param permission what the request needs
   * @throws GatehouseError `admin_sign_in_required` (there is no admin session), `not_found` (the user of the admin
   *   session has no permission at all), `not_allowed` (others, but not this one), `database_unavailable`
   */
  authenticate(request: FastifyRequest, permission: AdminPermission): Promise<AdminActor>
}
