// What the admin console stands on: who asks, by which cookie, and from which network. Nothing of it exists without the
// section `admin` of the configuration.
import type { StartupConfig } from './config/running-config.js'
import type { AdminSessionStore } from './core/admin-session.js'
import type { AdminGuard } from './http/admin/actor.js'
import { createAdminCookie, type AdminCookie, type AdminCookieDeps } from './http/admin/admin-cookie.js'
import { createFormTokens, type FormTokens } from './http/admin/form-token.js'
import { createAdminGuard } from './http/admin/guard.js'
import { createAdminSessionStore } from './store/admin-sessions.js'
import type { Database } from './store/database.js'

export interface AdminAccess {
  readonly adminSessions: AdminSessionStore
  readonly adminCookie: AdminCookie
  readonly formTokens: FormTokens
  readonly guard: AdminGuard
  readonly networks: readonly string[]
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
  const { networks } = admin
  const guard = createAdminGuard({ adminSessions, adminCookie, formTokens, networks })
  return { adminSessions, adminCookie, formTokens, guard, networks }
}
