// The application, put together in reading order. The only place that knows every part; parts do not know one another.
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply } from 'fastify'
import { compileAccess } from './core/access.js'
import { openTo, withAddresses } from './core/applications.js'
import type { KeyRing } from './core/assertion.js'
import type { Config } from './config/config.js'
import { errorFacts } from './core/errors.js'
import { createFlowSealer } from './core/flow.js'
import type { IdentitySource } from './core/identity.js'
import { createLogin, type LoginReporter, type LoginStore } from './core/login.js'
import type { Target } from './core/target.js'
import type { LongReturns } from './core/long-returns.js'
import { createGroupMapping } from './core/mapping.js'
import type { CustomStepFile } from './core/pipeline/custom-step.js'
import { namedSteps } from './core/pipeline/index.js'
import type { Meter } from './core/meter.js'
import { memoizeByConfig } from './core/memoize-by-config.js'
import type { NamedStep } from './core/pipeline/pipeline.js'
import type { UserRights } from './core/rights.js'
import type { SessionStore } from './core/session.js'
import type { SessionCache } from './core/session-cache.js'
import { tracedSource, tracedSteps } from './core/traced-login.js'
import type { Tracer } from './core/tracer.js'
import { entraError } from './entra/aadsts.js'
import type { EntraEndpoints } from './entra/clouds.js'
import { createFastPath } from './http/forward-auth/fast-path.js'
import { assetRoutes } from './http/assets.js'
import { createAssertionSigner } from './http/assertion-signer.js'
import { browserSession } from './http/browser/session-plugin.js'
import { createCookieSigner } from './http/cookie-signer.js'
import { cookiePolicy } from './http/cookies.js'
import { createAnswerLog } from './http/forward-auth/access-log.js'
import { dialectRoute, signInUrl } from './http/forward-auth/route.js'
import { fromTrustedPeers } from './http/forward-auth/target-headers.js'
import { dialects } from './http/forward-auth/dialects/index.js'
import { asGatehouseError } from './http/errors.js'
import { frontChannelLogoutRoutes } from './http/browser/front-channel-logout.js'
import { homeRoutes } from './http/browser/home.js'
import { createIdentityCookie, refreshRoutes, type SetIdentityCookie } from './http/browser/identity-cookie.js'
import { callbackLimitExemption } from './http/browser/callback-limit-exemption.js'
import { createInstance } from './http/instance.js'
import { jwksRoutes } from './http/jwks.js'
import { COMMON_LIMITS, sessionLimit, userinfoLimit } from './http/limits.js'
import { createLogBudget } from './http/log-budget.js'
import { loginRoutes } from './http/browser/login.js'
import { networkTest, trustedPeers } from './net/networks.js'
import { createTheme, type Theme } from './http/pages/theme.js'
import { compileHeaders, createIdentityHeaderCache } from './http/forward-auth/identity-header-cache.js'
import { createLoginLoopDetector } from './http/browser/login-loop.js'
import { createSessionReader } from './http/forward-auth/session-resolver.js'
import { evictSessions, signOutRoutes } from './http/browser/sign-out.js'
import { refuseSpeculation } from './http/browser/speculation.js'
import { createActivityRecorder } from './http/session-activity.js'
import { traceForwardAuth, traceRequests } from './http/request-tracing.js'
import { createUnreachableReturns } from './http/forward-auth/unreachable-returns.js'
import { createUnnamedHosts } from './http/forward-auth/unnamed-hosts.js'
import { userinfoRoutes } from './http/userinfo.js'
import { createAuthorizer, type AccessInForce } from './http/forward-auth/authorizer.js'

/** What the application stands on; tests hand over others. */
export interface Adapters {
  readonly source: IdentitySource
  readonly endpoints: EntraEndpoints
  readonly loginStore: LoginStore
  readonly longReturns: LongReturns
  readonly sessions: SessionStore
  /** What was read of it, and may be served while changes are heard of. */
  readonly cache: SessionCache
  readonly keys: KeyRing
  readonly meter: Meter
  readonly tracer: Tracer
  readonly report: LoginReporter
  readonly rightsOf: (userId: string) => Promise<UserRights>
  /** A step that is a module beside the configuration. */
  readonly customStep: (file: CustomStepFile) => NamedStep
  /** Told of every cookie and state that none of our secrets made. */
  readonly unknownSignature: () => void
  readonly log: FastifyBaseLogger
}

/** @param live the configuration in force; what a reload may change is read from it each time, the rest once */
export async function buildApp(live: () => Config, given: Adapters): Promise<FastifyInstance> {
  const config = live()
  const { publicUrl } = config.server
  const budget = createLogBudget({ log: given.log, meter: given.meter, budget: config.log.budget })
  // guard: adv-log-of-requests
  const adapters = { ...given, log: budget.log } // whatever a request causes is logged within the budget
  const parts = createParts(live, adapters)
  const { pages, trusts, reader, authorizer } = parts
  const log = createAnswerLog({ log: given.log, budget, access: config.log.access })
  const spoken = dialects(config.server.authRequestHeaders).map(({ dialect, read }) => ({
    dialect,
    readTarget: fromTrustedPeers(read, trusts, adapters.log),
  }))
  // what is written down of every answer is written where the request is known
  const plain = config.log.access !== 'all' && !adapters.tracer.enabled
  const endpoints = plain
    ? spoken.map(({ dialect: { path, query, plain401 }, readTarget }) => ({
      path,
      query,
      readTarget,
      plain401: plain401 &&
        ((target: Target | undefined) => plain401({ signInUrl: signInUrl(publicUrl, target), pages })),
    }))
    : []
  const app = createInstance({
    trusts,
    pages,
    log: adapters.log,
    fastPath: createFastPath({ endpoints, authorizer, meter: adapters.meter, log }),
  })

  app.addHook('onClose', async () => {
    await parts.activity.close()
    budget.close()
  })

  const signInFor = createUnreachableReturns({ rules: parts.returnTo, log: adapters.log })
  // Asked on every request of every application: no plugin and no hook in these scopes.
  for (const { dialect, readTarget } of spoken) {
    await app.register(dialectRoute, {
      dialect,
      readTarget,
      authorizer,
      publicUrl,
      pages,
      meter: adapters.meter,
      traced: traceForwardAuth({ tracer: adapters.tracer, trusts }),
      log,
      signInFor,
    })
  }
  await app.register(async (userinfo) => {
    await userinfo.register(rateLimit, COMMON_LIMITS)
    userinfo.addHook('onRequest', userinfo.rateLimit(userinfoLimit(trusts))) // guard: adv-userinfo-limit
    userinfo.addHook('onResponse', async (_request, reply) => {
      adapters.meter.userinfo(reply.statusCode)
    })
    await userinfo.register(userinfoRoutes, { reader, publicUrl })
  })
  await app.register(jwksRoutes, { keys: adapters.keys })
  await app.register(assetRoutes, { theme: pages.theme })
  await app.register((browser) => browserPages(browser, live, adapters, parts))
  return app
}

type Parts = ReturnType<typeof createParts>

/** What more than one scope needs. */
function createParts(live: () => Config, { endpoints, sessions, cache, keys, meter, unknownSignature, log }: Adapters) {
  const config = live()
  const { publicUrl, redirectDomains, contact } = config.server
  const cookies = cookiePolicy(publicUrl, config.session.cookieDomain)
  const signer = createCookieSigner(config.session.secrets, unknownSignature)
  const activity = createActivityRecorder({ sessions, idleTimeoutMs: config.session.idleTimeoutMs, log })
  const reader = createSessionReader({
    signer,
    cookieName: cookies.names.session,
    sessions,
    cache,
    activity,
    graceMs: config.session.outageGraceMs,
    log,
    meter,
  })
  const assertions = createAssertionSigner({ keys, issuer: publicUrl })
  const inForce = memoizeByConfig(live, accessInForce)
  return {
    cookies,
    signer,
    inForce,
    activity,
    reader,
    assertions,
    authorizer: createAuthorizer({
      sessions: reader,
      headers: createIdentityHeaderCache({ signer: assertions }),
      inForce,
      onUnnamedHost: createUnnamedHosts({ meter, log }),
    }),
    trusts: trustedPeers(config.server.trustedProxies),
    returnTo: { publicUrl, redirectDomains },
    pages: {
      publicUrl,
      authority: endpoints.authority,
      redirectDomains,
      contact,
      sessionCookie: cookies.names.session,
      theme: memoizeByConfig(live, themeOf),
    },
  }
}

/** The pages people open. Those that reach Entra ID are counted first, before a session is looked up for them. */
async function browserPages(
  browser: FastifyInstance,
  live: () => Config,
  adapters: Adapters,
  parts: Parts,
): Promise<void> {
  const { cookies, signer, trusts, returnTo, pages } = parts
  const setIdentityCookie = identityCookie(live(), parts)
  const { endpoints, sessions } = adapters
  const { server, entra, session } = live()
  const { publicUrl } = server
  const loginLoop = createLoginLoopDetector({ cookies, signer })
  const flows = createFlowSealer(session.secrets, Date.now, adapters.unknownSignature)
  traceRequests(browser, { tracer: adapters.tracer, trusts })
  await browser.register(cookie, {
    parseOptions: { path: '/', httpOnly: true, sameSite: 'lax', secure: cookies.secure },
  })
  await browser.register(formbody)
  await browser.register(rateLimit, { ...COMMON_LIMITS, max: server.rateLimit })
  browser.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'vary': 'Cookie' })
  })
  const sessionOptions = {
    sessions,
    activity: parts.activity,
    signer,
    cookies,
    absoluteTimeoutMs: session.absoluteTimeoutMs,
  }

  await browser.register(async (limited) => {
    limited.addHook('onRequest', limited.rateLimit(callbackLimitExemption({ flows }))) // guard: adv-rate-limit
    await limited.register(refuseSpeculation, { pages }) // guard: adv-prefetch-sign-in
    await limited.register(browserSession, sessionOptions)
    await limited.register(loginRoutes, {
      publicUrl,
      clientId: entra.clientId,
      authority: endpoints.authority,
      authorizePath: endpoints.authorizePath,
      scopes: endpoints.scopes,
      flows,
      loginLoop,
      longReturns: adapters.longReturns,
      returnTo,
      cookies,
      trusts,
      login: createLogin({
        source: tracedSource(adapters.source, adapters.tracer),
        store: adapters.loginStore,
        pipeline: () => pipelineOf(live(), adapters),
        report: adapters.report,
      }),
      entraError: (answer) => entraError(answer, 'authorize'),
      pages,
      meter: adapters.meter,
      signedIn: (id, reply) => withIdentityCookie(id, reply, sessions, setIdentityCookie),
    })
  })
  await browser.register(async (leaving) => {
    leaving.addHook('onRequest', leaving.rateLimit())
    await leaving.register(refuseSpeculation, { pages }) // guard: adv-prefetch-sign-out
    leaving.addHook('onRequest', async (request) => {
      evictSessions(request, cookies, signer, adapters.cache)
    }) // also where nothing can be written
    await leaving.register(browserSession, sessionOptions)
    const { endSession } = endpoints
    const signOut = { publicUrl, endSession, returnTo, cookies, signer, pages, sessions, loginLoop }
    await leaving.register(signOutRoutes, signOut)
  })
  await browser.register(async (framed) => { // no session is looked up for it
    framed.addHook('onRequest', framed.rateLimit())
    await framed.register(frontChannelLogoutRoutes, { authority: endpoints.authority, sessions })
  })
  await browser.register(async (open) => {
    open.addHook('onRequest', open.rateLimit(sessionLimit(cookies.names.session, signer))) // guard: adv-session-limit
    await open.register(browserSession, sessionOptions)
    await open.register(homeRoutes, {
      publicUrl,
      pages,
      returnTo,
      cookies,
      signer,
      trusts,
      rightsOf: adapters.rightsOf,
      applicationsOf: (session, address) =>
        openTo({ policy: parts.inForce().policy, session, address: () => address }, pages.theme().applications),
    })
    if (setIdentityCookie) await open.register(refreshRoutes, { publicUrl, returnTo, setIdentityCookie })
  })
}

function identityCookie(
  { session: { identityCookie: wanted, cookieDomain } }: Config,
  { assertions, cookies }: Parts,
): SetIdentityCookie | undefined {
  return wanted && cookieDomain !== undefined
    ? createIdentityCookie({ signer: assertions, cookies, domain: cookieDomain })
    : undefined
}

/** A person in too many groups for a cookie is signed in all the same; /oauth2/refresh then says why there is none. */
async function withIdentityCookie(
  id: string,
  reply: FastifyReply,
  sessions: SessionStore,
  set: SetIdentityCookie | undefined,
): Promise<void> {
  const session = set && await sessions.find(id)
  if (!set || !session) return
  await set(session, reply).catch((thrown: unknown) => {
    const error = asGatehouseError(thrown)
    reply.log.warn(errorFacts(error), 'signed in without an identity cookie')
  })
}

function themeOf({ branding, applications, images, server }: Config): Theme {
  const imageAt = (path: string | undefined) => images.find((image) => image.path === path)
  return createTheme({
    branding: { name: branding.name, color: branding.color, logo: imageAt(branding.logoFile) },
    applications: withAddresses(
      applications.map(({ host, name, icon }) => ({ host, name, icon: imageAt(icon) })),
      new URL(server.publicUrl).protocol,
    ),
  })
}

function accessInForce({ access, headers }: Config): AccessInForce {
  return { policy: compileAccess(access, networkTest), headers: compileHeaders(headers) }
}

function pipelineOf(config: Config, { customStep, tracer }: Adapters) {
  return {
    steps: tracedSteps(namedSteps(config.pipeline, config.customSteps.map(customStep)), tracer),
    settings: {
      username: config.username,
      usernameUnverified: config.usernameUnverified,
      reservedUsernames: config.reservedUsernames,
      associateByEmail: config.associateByEmail,
      authAllowed: config.authAllowed,
      defaultGroups: config.defaultGroups,
      requireMappedGroup: config.requireMappedGroup,
      mapping: createGroupMapping(config.groupMapping),
    },
  }
}
