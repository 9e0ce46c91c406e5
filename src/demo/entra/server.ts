// Starts a simulated Entra ID and Microsoft Graph: two origins over one directory, strict where the real ones are. For
// the demo and for tests; anyone can sign in as any user, so by default it listens only on loopback.
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { createServerIdentity } from './certificates.js'
import { createFaults } from './faults.js'
import { createGraphServer } from './graph/server.js'
import { createThrottle } from './graph/throttling.js'
import { isLoopback } from './http-server.js'
import { createSigningKeys } from './keys.js'
import { createLoginServer } from './login-server.js'
import { createSessions } from './sessions.js'
import { createTokenStore } from './token-store.js'
import type { EntraOptions, EntraSimulator, World } from './types.js'

export type { AppRegistration, EntraOptions, EntraSimulator, OptionalClaim, RecordedRequest } from './types.js'

const HOUR = 3_600_000
const DELTA = { pageSize: 500, tokenLifetimeMs: 7 * 24 * HOUR, replays: false, untracked: [] }

export async function startEntra(options: EntraOptions): Promise<EntraSimulator> {
  const { host = '127.0.0.1', port = 0, graphPort = 0 } = options
  if (!isLoopback(host) && options.allowOffLoopback !== true) {
    throw new Error(
      `The simulated Entra ID lets anyone sign in as any user, so it does not listen on ${host} ` +
        'unless allowOffLoopback is set.',
    )
  }
  const world = await createWorld(options)
  const tls = options.tls === true ? createServerIdentity(hostsOf(options, host)) : undefined
  const login = await createLoginServer(world, tls)
  const graph = await createGraphServer(world, tls)
  const close = async () => {
    await Promise.all([login.close(), graph.close()])
  }
  const scheme = tls ? 'https' : 'http'
  try {
    await login.listen({ host, port })
    await graph.listen({ host, port: graphPort })
  } catch (error) {
    await close()
    throw error
  }
  const listening = { login: originOf(login, scheme, host), graph: originOf(graph, scheme, host) }
  world.url = withoutSlash(options.publicUrl ?? listening.login)
  world.graphUrl = withoutSlash(options.graphPublicUrl ?? listening.graph)

  return {
    url: world.url,
    graphUrl: world.graphUrl,
    listening,
    tenantId: world.tenantId,
    directory: world.directory,
    app: world.app,
    faults: world.faults,
    requests: world.requests,
    resourceUnits: () => world.throttle.used(),
    issuedTokens: world.tokens.issued,
    ...(tls && { caPem: tls.caPem }),
    rollKeys: ({ removeOld = false } = {}) => world.keys.roll(removeOld),
    close,
  }
}

/** The origins are known only once both servers listen. */
async function createWorld(
  { directory, app, now = Date.now, nullNames = true, acceptToken, pageToken = {}, delta, throttling }: EntraOptions,
): Promise<World> {
  return {
    tenantId: directory.tenantId,
    directory,
    app,
    url: '',
    graphUrl: '',
    now,
    nullNames,
    acceptToken,
    pageTokenLifetime: pageToken.lifetimeMs ?? HOUR,
    delta: { ...DELTA, ...delta },
    throttle: createThrottle(throttling, now),
    keys: await createSigningKeys(now),
    sessions: createSessions(),
    tokens: createTokenStore(),
    consents: new Set(),
    faults: createFaults(),
    requests: [],
  }
}

const withoutSlash = (origin: string) => origin.replace(/\/+$/, '')

function originOf(server: FastifyInstance, scheme: string, host: string) {
  const { port } = server.server.address() as AddressInfo
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function hostsOf({ publicUrl, graphPublicUrl }: EntraOptions, host: string) {
  const named = [publicUrl, graphPublicUrl].filter((url) => url !== undefined).map((url) =>
    new URL(url).hostname.replace(/^\[|\]$/g, '')
  )
  return [...new Set(['127.0.0.1', '::1', 'localhost', host, ...named])]
}
