// The admin console and its API: what they stand on, made from the opened parts. The application registers them only
// where the section `admin` is configured.
import type { FastifyInstance } from 'fastify'
import type { AdminUseCases } from './admin/use-cases.js'
import type { RunningConfig } from './config/running-config.js'
import { GatehouseError } from './core/errors.js'
import type { Siblings } from './core/siblings.js'
import { adminScope, type AdminScopeOptions } from './http/admin/admin-scope.js'
import { ENDPOINTS } from './http/admin/api/endpoints.js'
import { createCursors } from './http/admin/cursors.js'
import { PAGES } from './http/admin/pages/all-pages.js'
import type { CookiePolicy } from './http/cookies.js'
import { adminApiLimit } from './http/limits.js'
import type { PageSettings } from './http/pages/layout.js'
import { createOverviewUseCases } from './overview-use-cases.js'
import { createPeopleUseCases } from './people-use-cases.js'
import type { Storage } from './store/storage.js'

export interface ConsoleDeps {
  readonly storage: Storage
  readonly siblings: Siblings | undefined
  readonly cookies: CookiePolicy
  readonly pages: PageSettings
}

export async function registerConsole(app: FastifyInstance, config: RunningConfig, deps: ConsoleDeps): Promise<void> {
  await app.register(adminScope, scopeOptions(config, deps))
}

function scopeOptions(config: RunningConfig, deps: ConsoleDeps): AdminScopeOptions {
  const { session } = config.startup
  return {
    guard: {
      authenticate: () => Promise.reject(new GatehouseError('admin_sign_in_required')),
    },
    useCases: createUseCases(config, deps),
    requireOwnForm: () => {
      throw new GatehouseError('not_allowed')
    },
    cursors: createCursors(session.secrets),
    endpoints: ENDPOINTS,
    pages: PAGES,
    theme: deps.pages.theme,
    cookieName: deps.cookies.names.admin,
    siblings: deps.siblings,
    apiLimit: adminApiLimit(() => undefined),
  }
}

/** Each part of the console adds its member. */
function createUseCases(config: RunningConfig, deps: ConsoleDeps): AdminUseCases {
  const policy = () => {
    const { groupMapping: mapping, access } = config.current()
    return { mapping, rules: access.rules }
  }
  const { storage: { database } } = deps
  return {
    ...createPeopleUseCases({ database, timeouts: config.startup.session, policy }),
    ...createOverviewUseCases(config, deps),
  }
}
