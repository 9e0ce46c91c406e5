// The common part of both servers: the request record, the simulator's clock in the Date header, faults, and the check
// for loopback addresses.
import { BlockList, isIP } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { FaultTarget } from './faults.js'
import { createFaultInjector, type FaultInjector } from './fault-injector.js'
import type { RecordedRequest, World } from './types.js'

/** Above this limit the oldest are dropped: a demo may run for weeks. */
const MAX_RECORDED = 50_000

export interface TlsIdentity {
  cert: string
  key: string | Buffer
}
export interface SimulatorServer {
  http: FastifyInstance
  faultInjector: FaultInjector
}

export function createHttpServer(
  world: World,
  server: 'login' | 'graph',
  tls: TlsIdentity | undefined,
): SimulatorServer {
  const options = {
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 500 },
  }
  const http = (tls ? Fastify({ ...options, https: tls }) : Fastify(options)) as FastifyInstance
  const faultInjector = createFaultInjector(world.now)
  const records = new WeakMap<FastifyRequest, RecordedRequest>()

  http.addHook('onRequest', async (request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    const record: RecordedRequest = {
      at: world.now(),
      server,
      method: request.method,
      path,
      query: { ...request.query as RecordedRequest['query'] },
      headers: { ...request.headers },
      status: 0,
    }
    records.set(request, record)
    if (world.requests.push(record) > MAX_RECORDED) world.requests.shift()
    reply.header('date', new Date(world.now()).toUTCString())
  })
  http.addHook('preHandler', async (request) => {
    const record = records.get(request)
    if (record && server === 'login' && request.body) record.form = { ...request.body as object }
  })
  http.addHook('onSend', async (request, reply, payload) => {
    const record = records.get(request)
    if (record) record.status = reply.statusCode
    return faultInjector.truncateIfMarked(request, reply, payload)
  })
  return { http, faultInjector }
}

/** Faults for a whole scope of routes; call it inside the scope. */
export function addFaults(scope: FastifyInstance, world: World, faultInjector: FaultInjector, target: FaultTarget) {
  scope.addHook('preHandler', async (request, reply) => {
    if (await faultInjector.inject(world.faults.forAnswer(target, request.url), request, reply)) return reply
    return undefined
  })
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

export function isLoopback(host: string): boolean {
  const family = isIP(host)
  return family === 0 ? host === 'localhost' : loopback.check(host, family === 6 ? 'ipv6' : 'ipv4')
}
