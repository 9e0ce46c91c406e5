// Finds who asks for something in the console or its API. Every request reads the admin session, its session and the
// rights of its user from the database; the session cookie of applications opens nothing here.
import type { FastifyRequest } from 'fastify'
import type { AdminSessionRecord, AdminSessionStore } from '../../core/admin-session.js'
import { adminPermissions } from '../../core/admin-permissions.js'
import { GatehouseError } from '../../core/errors.js'
import { networkTest } from '../../net/networks.js'
import type { AdminActor, AdminGuard } from './actor.js'
import type { AdminCookie } from './admin-cookie.js'
import type { FormTokens } from './form-token.js'

export interface AdminGuardDeps {
  readonly adminSessions: Pick<AdminSessionStore, 'find'>
  readonly adminCookie: Pick<AdminCookie, 'read'>
  readonly formTokens: FormTokens
  /** Whether the client is outside of admin.networks. */
  readonly isOutside: (request: FastifyRequest) => boolean
}

export function createAdminGuard({ adminSessions, adminCookie, formTokens, isOutside }: AdminGuardDeps): AdminGuard {
  return {
    async authenticate(request, permission) {
      if (isOutside(request)) throw new GatehouseError('not_found')
      const id = adminCookie.read(request.headers.cookie)
      const session = id === undefined ? undefined : await adminSessions.find(id)
      if (session === undefined) throw new GatehouseError('admin_sign_in_required')
      const actor = actorOf(session, formTokens)
      if (actor.permissions.size === 0) throw new GatehouseError('not_found') // guard: admin-unknown-to-others
      if (!actor.permissions.has(permission)) { // guard: admin-permission
        throw new GatehouseError('not_allowed', { detail: `${actor.username} lacks ${permission}` })
      }
      return actor
    },
  }
}

function actorOf(session: AdminSessionRecord, formTokens: FormTokens): AdminActor {
  const { id, userId, username, name, sessionId, authenticatedAt, acrs } = session
  return {
    userId,
    username,
    name,
    permissions: adminPermissions(session),
    sessionId,
    adminSessionId: id,
    authenticatedAt,
    acrs,
    csrfToken: formTokens.of(id),
  }
}

/** @param networks admin.networks; empty: all. A client whose address cannot be read is outside. */
export function createOutsideTest(networks: readonly string[]): (request: Pick<FastifyRequest, 'ip'>) => boolean {
  const test = networkTest(networks)
  return ({ ip }) => networks.length > 0 && test(ip) !== true // guard: admin-networks
}
