// The application, put together in reading order. The only place that knows every part; parts do not know one another.
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { ReloadState } from './config/reload-state.js'
import type { RunningConfig } from './config/running-config.js'
import { countingSignIns, type ActivityCounters } from './core/activity-counters.js'
import type { ActivityReader } from './core/activity.js'
import { createFlowSealer } from './core/login-flow.js'
import { createLogin } from './core/login.js'
import { memoizeByConfig } from './core/memoize-by-config.js'
import type { Meter } from './core/meter.js'
import type { Replicas } from './core/replicas.js'
import type { RequestSample } from './core/request-sample.js'
import { createRotationHint } from './core/rotation-hint.js'
import type { Siblings } from './core/siblings.js'
import type { Target } from './core/target.js'
import { tracedSource } from './core/traced-login.js'
import { entraError } from './entra/aadsts.js'
import type { Entra } from './entra/open-entra.js'
import { sendErrorOrProblem } from './http/admin/api/problem.js'
import { createAssertionSigner } from './http/assertion-signer.js'
import { assetRoutes } from './http/assets.js'
import { browserScope, type BrowserScopeOptions } from './http/browser/browser-scope.js'
import { createIdentityCookie, type SetIdentityCookie } from './http/browser/identity-cookie.js'
import { createLoginLoopDetector } from './http/browser/login-loop.js'
import { createCookieSigner } from './http/cookie-signer.js'
import { cookiePolicy } from './http/cookies.js'
import { createAnswerLog, type AnswerLog } from './http/forward-auth/access-log.js'
import { createAuthorizer } from './http/forward-auth/authorizer.js'
import { dialects } from './http/forward-auth/dialects/index.js'
import { createFastPath, type AuthEndpoint } from './http/forward-auth/fast-path.js'
import { createIdentityHeaderCache } from './http/forward-auth/identity-header-cache.js'
import { dialectRoute, signInUrl } from './http/forward-auth/route.js'
import { createSessionResolver } from './http/forward-auth/session-resolver.js'
import { clientAddress } from './http/forwarded-for.js'
import { fromTrustedPeers } from './http/forward-auth/target-headers.js'
import { createShadowObserver } from './http/forward-auth/shadow-observer.js'
import { createUnnamedHosts } from './http/forward-auth/unnamed-hosts.js'
import { createUnreachableReturns } from './http/forward-auth/unreachable-returns.js'
import { createInstance } from './http/fastify-instance.js'
import { jwksRoutes } from './http/jwks.js'
import { COMMON_LIMITS, limitStore, userinfoLimit } from './http/limits.js'
import { createLogBudget, type LogBudget } from './http/log-budget.js'
import { traceForwardAuth } from './http/request-tracing.js'
import { createActivityRecorder } from './http/session-activity.js'
import { userinfoRoutes } from './http/userinfo.js'
import { createAdminAccess } from './admin-access.js'
import { accessInForce, pipelineInForce, themeInForce, type PipelineDeps } from './derived-config.js'
import { trustedPeers } from './net/networks.js'
import type { ReevaluationSchedule } from './reevaluation/scheduler.js'
import type { CachedSessions } from './store/cached-sessions.js'
import { createLoginStore } from './store/login-store.js'
import { createLongReturns } from './store/long-returns.js'
import type { Storage } from './store/storage.js'
import { createLoginReporter } from './telemetry/reporters.js'

/** Identity headers of how many applications are in memory, on average over all sessions. */
const HEADERS_PER_SESSION = 1.5

/** The opened parts that the application stands on. */
export interface AppDeps extends PipelineDeps {
  readonly storage: Storage
  readonly sessions: CachedSessions
  readonly entra: Entra
  readonly replicas: Replicas
  readonly meter: Meter
  readonly counters: ActivityCounters
  readonly activity: ActivityReader
  readonly sample: RequestSample
  /** Undefined: not configured. */
  readonly reevaluation: Pick<ReevaluationSchedule, 'state' | 'lastRun'> | undefined
  readonly reload: () => ReloadState
  readonly log: Logger
  /** Undefined: this process is the only one on its port. */
  readonly siblings: Siblings | undefined
}

export async function buildApp(config: RunningConfig, deps: AppDeps): Promise<FastifyInstance> {
  const { startup } = config
  const { siblings } = deps
  const budget = createLogBudget({ log: deps.log, meter: deps.meter, budget: startup.log.budget, siblings })
  const parts = createParts(config, deps, budget) // guard: adv-log-of-requests
  const answers = createAnswerLog({ log: deps.log, budget, access: startup.log.access })
  const { trusts, pages, authorizer } = parts
  const endpoints = forwardAuthEndpoints(config, parts, siblings)
  // Where every answer is logged or traced, the route answers, because it knows the request.
  const fastPathEnabled = startup.log.access !== 'all' && !deps.tracer.enabled
  const app = createInstance({
    trusts,
    pages,
    log: budget.log,
    announcements: siblings?.announcements('forwardedFor'),
    sendError: startup.admin && sendErrorOrProblem,
    fastPath: createFastPath({
      endpoints: fastPathEnabled ? endpoints.map((endpoint) => fastPathEndpoint(endpoint, parts)) : [],
      authorizer,
      meter: deps.meter,
      counters: deps.counters.answers,
      shadows: parts.shadows,
      sample: deps.sample,
      clientAddress: (request) => clientAddress(request, trusts),
      log: answers,
    }),
  })
  app.addHook('onClose', async () => {
    await parts.activity.close()
    budget.close()
  })
  await forwardAuth(app, endpoints, { parts, deps, answers })
  await app.register(async (userinfo) => {
    await userinfo.register(rateLimit, { ...COMMON_LIMITS, ...limitStore(siblings, 'userinfo') })
    userinfo.addHook('onRequest', userinfo.rateLimit(userinfoLimit(trusts))) // guard: adv-userinfo-limit
    userinfo.addHook('onResponse', async (_request, reply) => deps.meter.userinfo(reply.statusCode))
    await userinfo.register(userinfoRoutes, { ...parts, requirePolicy: config.requirePolicy })
  })
  await app.register(jwksRoutes, { keys: deps.storage.keys })
  await app.register(assetRoutes, { theme: pages.theme })
  const signIn = browserOptions(config, deps, parts)
  await app.register(browserScope, signIn)
  if (parts.admin) {
    const { registerConsole } = await import('./console.js') // what it needs is loaded nowhere else
    await registerConsole(app, config, { ...deps, admin: parts.admin, signIn })
  }
  return app
}

type Parts = ReturnType<typeof createParts>

/** What more than one scope needs. Whatever a request causes is logged within the budget. */
function createParts({ startup, current, requirePolicy }: RunningConfig, deps: AppDeps, { log }: LogBudget) {
  const { server: { publicUrl, redirectDomains, contact, trustedProxies }, session, log: { access } } = startup
  const { sessions: { sessions, cache }, entra, replicas, meter, siblings } = deps
  const unknownSignature = createRotationHint({
    differing: () => replicas.state().different.length > 0, // guard: adv-rotation-named
    log: deps.log,
    announcements: siblings?.announcements('rotation'),
  })
  const cookies = cookiePolicy(publicUrl, session.cookieDomain)
  const signer = createCookieSigner(session.secrets, unknownSignature)
  const { idleTimeoutMs, recordClient } = session
  const activity = createActivityRecorder({ sessions, idleTimeoutMs, recordClient, log })
  const cookieName = cookies.names.session
  const graceMs = session.outageGraceMs
  const sessionResolver = createSessionResolver({ signer, cookieName, sessions, cache, activity, graceMs, log, meter })
  const assertions = createAssertionSigner({ keys: deps.storage.keys, issuer: publicUrl })
  const compiled = memoizeByConfig(current, (reloadable) => accessInForce(reloadable, deps.counters))
  const inForce = requirePolicy === undefined ? compiled : () => {
    requirePolicy()
    return compiled()
  }
  const theme = memoizeByConfig(current, (reloadable) => themeInForce(reloadable, publicUrl))
  const { authority } = entra.client.signIn.endpoints
  const headers = createIdentityHeaderCache({ signer: assertions, capacity: HEADERS_PER_SESSION * session.cacheSize })
  const onUnnamedHost = createUnnamedHosts({ meter, log, announcements: siblings?.announcements('unnamedHost') })
  const shadows = createShadowObserver({
    shadows: () => compiled().shadows,
    log: access === 'none' ? undefined : deps.log,
    announcements: siblings?.announcements('shadowRule'),
  })
  return {
    admin: createAdminAccess(startup, deps.storage.database, { publicUrl, cookies, signer }),
    publicUrl,
    log,
    unknownSignature,
    cookies,
    signer,
    activity,
    sessionResolver,
    assertions,
    inForce,
    shadows,
    authorizer: createAuthorizer({ sessions: sessionResolver, headers, inForce, onUnnamedHost }),
    trusts: trustedPeers(trustedProxies),
    returnTo: { publicUrl, redirectDomains },
    pages: { publicUrl, authority, redirectDomains, contact, sessionCookie: cookieName, theme },
  }
}

type Endpoint = ReturnType<typeof forwardAuthEndpoints>[number]

function forwardAuthEndpoints({ startup }: RunningConfig, { trusts, log }: Parts, siblings: Siblings | undefined) {
  return dialects(startup.server.authRequestHeaders).map(({ dialect, read }) => ({
    dialect,
    readTarget: fromTrustedPeers(read, trusts, log, siblings?.announcements('peer')),
  }))
}

function fastPathEndpoint({ dialect, readTarget }: Endpoint, { publicUrl, pages }: Parts): AuthEndpoint {
  const { path, query, plain401 } = dialect
  return {
    path,
    query,
    readTarget,
    plain401: plain401 &&
      ((target: Target | undefined) => plain401({ signInUrl: signInUrl(publicUrl, target), pages })),
  }
}

/** Called for every request of every application: no plugin and no hook in these scopes. */
async function forwardAuth(
  app: FastifyInstance,
  endpoints: readonly Endpoint[],
  { parts, deps: { meter, counters, sample, tracer, siblings }, answers }: {
    parts: Parts
    deps: AppDeps
    answers: AnswerLog
  },
): Promise<void> {
  const { authorizer, shadows, publicUrl, pages, returnTo, trusts, log } = parts
  const signInFor = createUnreachableReturns({
    rules: returnTo,
    log,
    announcements: siblings?.announcements('unreachableReturn'),
  })
  const traced = traceForwardAuth({ tracer, trusts })
  for (const endpoint of endpoints) {
    const shared = { authorizer, shadows, sample, publicUrl, pages, meter, traced, log: answers, signInFor }
    await app.register(dialectRoute, { ...endpoint, ...shared, counters: counters.answers })
  }
}

function browserOptions(
  { startup, current, requirePolicy, deployed }: RunningConfig,
  deps: AppDeps,
  parts: Parts,
): BrowserScopeOptions {
  const { session, server, entra: { clientId } } = startup
  const { storage, sessions: { sessions, cache }, entra, meter, counters, tracer, log, siblings } = deps
  const { authority, authorizePath, scopes, endSession } = entra.client.signIn.endpoints
  return {
    ...parts,
    clientId,
    authority,
    authorizePath,
    scopes,
    endSession,
    flows: createFlowSealer(session.secrets, Date.now, parts.unknownSignature),
    loginLoop: createLoginLoopDetector(parts),
    longReturns: createLongReturns(storage.database),
    login: createLogin({
      source: tracedSource(entra.source, tracer),
      store: createLoginStore(storage.database, session),
      pipeline() {
        requirePolicy?.()
        return { ...pipelineInForce(current(), deps), policyHash: deployed?.hash() }
      },
      catchUp: deployed?.catchUp,
      report: createLoginReporter(log, meter),
    }),
    entraError: (answer) => entraError(answer, 'authorize'),
    sessions,
    cache,
    absoluteTimeoutMs: session.absoluteTimeoutMs,
    recordClient: session.recordClient,
    meter: countingSignIns(meter, counters),
    tracer,
    maxRequests: server.rateLimit,
    siblings,
    accessInForce: parts.inForce,
    requirePolicy,
    rightsOf: (userId) => storage.rightsOf(userId, current().groupMapping),
    setIdentityCookie: identityCookie(session, parts),
    steppedUp: parts.admin?.steppedUp,
  }
}

function identityCookie(
  { identityCookie: wanted, cookieDomain: domain }: RunningConfig['startup']['session'],
  { assertions, cookies }: Parts,
): SetIdentityCookie | undefined {
  return wanted && domain !== undefined ? createIdentityCookie({ signer: assertions, cookies, domain }) : undefined
}
