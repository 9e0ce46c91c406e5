// The application, put together in reading order. The only place that knows every part; parts do not know one another.
import { randomUUID } from 'node:crypto'
import { METHODS } from 'node:http'
import cookie, { Signer } from '@fastify/cookie'
import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { Config, OwnStep } from './config/config.js'
import { GatehouseError } from './core/errors.js'
import { createFlowSealer } from './core/flow.js'
import type { IdentitySource } from './core/identity.js'
import type { HeaderFamily } from './core/identity-headers.js'
import { createLogin, type LoginReporter, type LoginStore } from './core/login.js'
import { createGroupMapping } from './core/mapping.js'
import { namedSteps } from './core/pipeline/index.js'
import type { NamedStep } from './core/pipeline/pipeline.js'
import type { SessionStore } from './core/session.js'
import { entraError } from './entra/aadsts.js'
import type { EntraEndpoints } from './entra/clouds.js'
import { browserSession } from './http/browser-session.js'
import { cookiePolicy } from './http/cookies.js'
import { dialectRoute } from './http/dialects/dialect.js'
import { fromTrustedPeers } from './http/dialects/forwarded.js'
import { dialects } from './http/dialects/index.js'
import { createErrorHandler } from './http/errors.js'
import { frontChannelLogoutRoutes } from './http/front-channel-logout.js'
import { assetRoutes, homeRoutes } from './http/home.js'
import { loginRoutes } from './http/login.js'
import type { RightsOfPerson } from './http/pages/pages.js'
import { createSessionReader, createToucher, touchInterval } from './http/session-reader.js'
import { signOutRoutes } from './http/sign-out.js'
import { trustedPeers } from './http/trusted-peers.js'
import { userinfoRoutes } from './http/userinfo.js'
import { createVerifier } from './http/verify.js'

/** What the application stands on; tests hand over others. */
export interface Adapters {
  readonly source: IdentitySource
  readonly endpoints: EntraEndpoints
  readonly loginStore: LoginStore
  readonly sessions: SessionStore
  readonly report: LoginReporter
  readonly rightsOf: (userId: string) => Promise<RightsOfPerson>
  /** A step that is a module beside the configuration. */
  readonly ownStep: (file: OwnStep) => NamedStep
  readonly log: FastifyBaseLogger
}

const MAX_HEADER_BYTES = 64 * 1024 // applications' own cookies come along

/** @param live the configuration in force; what a reload may change is read from it each time, the rest once */
export async function buildApp(live: () => Config, adapters: Adapters): Promise<FastifyInstance> {
  const config = live()
  const { publicUrl } = config.server
  const parts = createParts(live, adapters)
  const { pages, trusts, reader, verifier } = parts
  const app = createInstance(trusts, pages, adapters.log)

  // Asked on every request of every application: no plugin and no hook in these scopes.
  for (const { dialect, read } of dialects(config.server.authRequestHeaders)) {
    await app.register(dialectRoute, { dialect, readTarget: fromTrustedPeers(read, trusts, adapters.log), verifier, publicUrl, pages, access: config.log.access })
  }
  await app.register(userinfoRoutes, { reader })
  await app.register(assetRoutes)
  await app.register((browser) => browserPages(browser, live, adapters, parts))
  return app
}

type Parts = ReturnType<typeof createParts>

/** What more than one scope needs. */
function createParts(live: () => Config, { endpoints, sessions, log }: Adapters) {
  const config = live()
  const { publicUrl, redirectDomains, contact } = config.server
  const cookies = cookiePolicy(publicUrl, config.session.cookieDomain)
  const signer = new Signer([...config.session.secrets])
  const touch = createToucher({ sessions, touchAfterMs: touchInterval(config.session.idleTimeoutMs), log })
  const reader = createSessionReader({ signer, cookieName: cookies.names.session, sessions, touch })
  return {
    cookies,
    signer,
    touch,
    reader,
    verifier: createVerifier({ reader, policy: () => live().access, headers: () => identityHeaderSettings(live()) }),
    trusts: trustedPeers(config.server.trustedProxies),
    returnTo: { publicUrl, redirectDomains },
    pages: { publicUrl, authority: endpoints.authority, redirectDomains, contact },
  }
}

function createInstance(trusts: Parts['trusts'], pages: Parts['pages'], log: FastifyBaseLogger): FastifyInstance {
  const onError = createErrorHandler(pages)
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'correlationId' }),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    trustProxy: (address: string) => trusts(address),
    bodyLimit: 16 * 1024,
    requestTimeout: 30_000, // a body that trickles in does not hold its connection for ever
    http: { maxHeaderSize: MAX_HEADER_BYTES },
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => { onError(error, request, reply) },
  })
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  app.setErrorHandler(onError)
  app.setNotFoundHandler(() => { throw new GatehouseError('not_found') })
  return app
}

/** The pages people open. Those that reach Entra ID are counted first, before a session is looked up for them. */
async function browserPages(browser: FastifyInstance, live: () => Config, adapters: Adapters, parts: Parts): Promise<void> {
  const { cookies, signer, trusts, returnTo, pages } = parts
  const { endpoints, sessions } = adapters
  const { server, entra, session } = live()
  const { publicUrl } = server
  await browser.register(cookie, { parseOptions: { path: '/', httpOnly: true, sameSite: 'lax', secure: cookies.secure } })
  await browser.register(formbody)
  await browser.register(rateLimit, { global: false, max: server.rateLimit, timeWindow: 60_000, errorResponseBuilder: () => new GatehouseError('rate_limited') })
  browser.addHook('onRequest', async (_request, reply) => { reply.headers({ 'cache-control': 'no-store', 'vary': 'Cookie' }) })
  const sessionOptions = { sessions, touch: parts.touch, signer, cookies, absoluteTimeoutMs: session.absoluteTimeoutMs }

  await browser.register(async (limited) => {
    limited.addHook('onRequest', limited.rateLimit())
    await limited.register(browserSession, sessionOptions)
    await limited.register(loginRoutes, {
      publicUrl,
      clientId: entra.clientId,
      authority: endpoints.authority,
      authorizePath: endpoints.authorizePath,
      scopes: endpoints.scopes,
      flows: createFlowSealer(session.secrets),
      returnTo,
      cookies,
      trusts,
      login: createLogin({ source: adapters.source, store: adapters.loginStore, pipeline: () => pipelineOf(live(), adapters.ownStep), report: adapters.report }),
      entraError: (answer) => entraError(answer, 'authorize'),
      pages,
    })
    await limited.register(signOutRoutes, { publicUrl, endSession: endpoints.endSession, returnTo, cookies, signer, pages, sessions })
  })
  await browser.register(async (framed) => { // no session is looked up for it
    framed.addHook('onRequest', framed.rateLimit())
    await framed.register(frontChannelLogoutRoutes, { authority: endpoints.authority, sessions })
  })
  await browser.register(async (open) => {
    await open.register(browserSession, sessionOptions)
    await open.register(homeRoutes, { publicUrl, pages, returnTo, cookies, signer, rightsOf: adapters.rightsOf })
  })
}

function identityHeaderSettings({ headers }: Config): { families: readonly HeaderFamily[], maxBytes: number } {
  return { families: headers.families.filter((family): family is HeaderFamily => family !== 'assertion'), maxBytes: headers.maxBytes }
}

function pipelineOf(config: Config, ownStep: Adapters['ownStep']) {
  return {
    steps: namedSteps(config.pipeline, config.ownSteps.map(ownStep)),
    settings: {
      username: config.username,
      reservedUsernames: config.reservedUsernames,
      associateByEmail: config.associateByEmail,
      authAllowed: config.authAllowed,
      defaultGroups: config.defaultGroups,
      requireMappedGroup: config.requireMappedGroup,
      mapping: createGroupMapping(config.groupMapping),
    },
  }
}
