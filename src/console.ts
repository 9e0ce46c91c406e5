// The admin console and its API: what they stand on, made from the opened parts. The application registers them only
// where the section `admin` is configured.
import type { FastifyInstance } from 'fastify'
import { createConsoleActs, groupPolicyOf } from './act-use-cases.js'
import { createRefusals } from './admin/acts/refusals.js'
import type { AdminAccess } from './admin-access.js'
import type { AdminUseCases } from './admin/use-cases.js'
import type { ReloadableConfig, RunningConfig } from './config/running-config.js'
import type { Replicas } from './core/replicas.js'
import type { Siblings } from './core/siblings.js'
import { createDraftUseCases } from './draft-use-cases.js'
import { createEntraClient } from './entra/client.js'
import { openLiveDirectory } from './entra/live-directory.js'
import { adminEntry } from './http/admin/entry.js'
import { requireOwnForm } from './http/admin/form-token.js'
import type { BrowserScopeOptions } from './http/browser/browser-scope.js'
import { adminScope, type AdminScopeOptions } from './http/admin/admin-scope.js'
import { ENDPOINTS } from './http/admin/api/endpoints.js'
import { createCursors } from './http/admin/cursors.js'
import { createActGate } from './http/admin/acts/gate.js'
import { ACT_PAGES } from './http/admin/pages/all-acts.js'
import { FORM_PAGES, PAGES } from './http/admin/pages/all-pages.js'
import { adminApiLimit } from './http/limits.js'
import { createOverviewUseCases, type OverviewDeps } from './overview-use-cases.js'
import { createPeopleUseCases } from './people-use-cases.js'
import { createPolicyDeploys } from './policy-deploys.js'
import { createPolicyUseCases } from './policy-use-cases.js'
import { recordRefusedAct } from './store/act-unit.js'
import { createActivityReader } from './store/activity-reader.js'
import { createAdminForms } from './store/admin-forms.js'
import { createPolicyVersionStore } from './store/policy-versions.js'

export interface ConsoleDeps extends OverviewDeps {
  readonly replicas: Pick<Replicas, 'announcement'>
  readonly siblings: Siblings | undefined
  /** Who asks, by which cookie, from which network. */
  readonly admin: AdminAccess
  /** The parts of a sign-in. */
  readonly signIn: BrowserScopeOptions
}

export async function registerConsole(app: FastifyInstance, config: RunningConfig, deps: ConsoleDeps): Promise<void> {
  await app.register(async (scope) => {
    await scope.register(adminEntry, { ...deps.signIn, ...deps.admin, acrs: config.startup.admin?.acrs })
    await scope.register(adminScope, scopeOptions(app, config, deps))
  })
}

function scopeOptions(app: FastifyInstance, config: RunningConfig, deps: ConsoleDeps): AdminScopeOptions {
  const { session, admin, server: { publicUrl } } = config.startup
  const { admin: { guard, apiGuard, formTokens, adminCookie }, signIn: { cookies, pages } } = deps
  const isOwn: AdminScopeOptions['requireOwnForm'] = (request, actor, token) =>
    requireOwnForm(request, actor, token, { publicUrl, formTokens })
  const { storage: { database } } = deps
  const recordRefusal = createRefusals((refused) => recordRefusedAct(database, refused))
  const { stepUpMs = 0, acrs } = admin ?? {}
  const tokenDeploy = mayTokensDeploy(admin)
  const rules = { requireOwnForm: isOwn, recordRefusal, stepUpMs, acrs, tokenDeploy }
  return {
    guard,
    apiGuard,
    apiGate: createActGate({ ...rules, guard: apiGuard }),
    useCases: createUseCases(app, config, deps),
    requireOwnForm: isOwn,
    acts: { gate: createActGate({ ...rules, guard }), pages: ACT_PAGES },
    cursors: createCursors(session.secrets),
    endpoints: ENDPOINTS,
    pages: PAGES,
    formPages: FORM_PAGES,
    theme: pages.theme,
    cookieName: cookies.names.admin,
    siblings: deps.siblings,
    apiLimit: adminApiLimit(adminCookie.read),
  }
}

/** Where others have approved it, or the configuration says so. */
function mayTokensDeploy(admin: RunningConfig['startup']['admin']): boolean {
  return admin !== undefined && (admin.tokenDeploy || admin.approvals > 0) // guard: token-deploy-approved
}

/** Each part of the console adds its member. */
function createUseCases(app: FastifyInstance, config: RunningConfig, deps: ConsoleDeps): AdminUseCases {
  const naming = { policy: () => namesIn(config.current()), shown: () => namesIn(config.shown()) }
  const { storage: { database } } = deps
  const { entra } = config.startup
  const entraNow = () => ({ ...entra, ...config.current().entra })
  const liveDirectory = openLiveDirectory(entraNow, entra)
  app.addHook('onClose', () => liveDirectory.close())
  const { replicas, entra: { source } } = deps
  const drafts = createDraftUseCases(config, {
    database,
    log: app.log,
    live: {
      openClient: () => createEntraClient(entraNow), // guard: policy-live-own-client
      securityGroupsOnly: entra.securityGroupsOnly,
      place: replicas.announcement().name,
      signInsHeldUntil: () => source.throttledUntil(),
    },
  })
  app.addHook('onClose', () => drafts.policyPreview.close())
  return {
    ...createPeopleUseCases({ database, timeouts: config.startup.session, ...naming }),
    acts: createConsoleActs({
      database,
      timeouts: config.startup.session,
      encryptionSecrets: config.startup.keys.encryptionSecrets,
      reservedUsernames: () => config.current().reservedUsernames,
      groupPolicy: () => groupPolicyOf(config.current()),
      policyHash: () => config.current().policyText.hash,
      deploys: {
        source: config.startup.policy.source,
        needed: config.startup.admin?.approvals ?? 0,
        drafts: drafts.policyDrafts,
        versions: createPolicyVersionStore(database),
        deploysBy: (deploy) => createPolicyDeploys(database, config.file(), 'policy', deploy),
      },
    }),
    forms: createAdminForms(database),
    ...createOverviewUseCases(config, deps),
    ...drafts,
    ...createPolicyUseCases(config, { database, liveDirectory, activity: createActivityReader(database) }),
  }
}

function namesIn({ groupMapping: mapping, access: { rules } }: ReloadableConfig) {
  return { mapping, rules }
}
