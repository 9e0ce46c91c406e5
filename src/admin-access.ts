// What the admin console stands on: who asks, by which cookie, and from which network. Nothing of it exists without the
// section `admin` of the configuration.
import type { FastifyRequest } from 'fastify'
import type { StartupConfig } from './config/running-config.js'
import type { AdminSessionStore } from './core/admin-session.js'
import type { AdminGuard, ApiGuard } from './http/admin/actor.js'
import { createApiGuard } from './http/admin/api-guard.js'
import { createAdminCookie, type AdminCookie, type AdminCookieDeps } from './http/admin/admin-cookie.js'
import { createFormTokens, type FormTokens } from './http/admin/form-token.js'
import { createAdminGuard, createOutsideTest } from './http/admin/guard.js'
import { createSteppedUp } from './http/admin/sign-in.js'
import { createAdminSessionStore } from './store/admin-sessions.js'
import { createAdminTokenStore } from './store/admin-tokens.js'
import type { Database } from './store/database.js'

export interface AdminAccess {
  readonly adminSessions: AdminSessionStore
  readonly adminCookie: AdminCookie
  readonly formTokens: FormTokens
  readonly guard: AdminGuard
  readonly apiGuard: ApiGuard
  readonly isOutside: (request: Pick<FastifyRequest, 'ip'>) => boolean
  /** Called by the callback of a fresh sign-in. */
  readonly steppedUp: ReturnType<typeof createSteppedUp>
}

/** @returns undefined where the console is not configured */
export function createAdminAccess(
  { admin, session }: StartupConfig,
  database: Database,
  cookieDeps: AdminCookieDeps,
): AdminAccess | undefined {
  if (admin === undefined) return undefined
  const adminSessions = createAdminSessionStore(database, session)
  const adminCookie = createAdminCookie(cookieDeps)
  const formTokens = createFormTokens(session.secrets)
  const isOutside = createOutsideTest(admin.networks)
  const parts = { adminSessions, adminCookie, formTokens, isOutside }
  const guard = createAdminGuard(parts)
  const apiGuard = createApiGuard({ guard, adminTokens: createAdminTokenStore(database), isOutside })
  return { ...parts, guard, apiGuard, steppedUp: createSteppedUp(parts) }
}
