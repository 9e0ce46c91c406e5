// The limit of an application in a tenant: a token bucket of resource units, and what each request costs
// (learn.microsoft.com, "Microsoft Graph service-specific throttling limits", Identity and access service limits).
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ThrottlingOptions } from '../types.js'

export interface Throttle {
  /** @returns undefined where the request may go on, else the seconds to wait */
  take(units: number): number | undefined
  /** All units that were taken. */
  used(): number
  /** Part of the limit that is in use, 0 to 1. */
  load(): number
}

/** Of GET requests below /v1.0; the first match counts, and every other path costs 1. */
const COSTS: readonly (readonly [RegExp, number])[] = [
  [/^\/(users\/[^/]+|me)\/(transitiveMemberOf|memberOf)/, 2],
  [/^\/groups\/[^/]+\/transitiveMembers/, 5],
  [/^\/groups\/[^/]+\/members/, 3],
  [/^\/(users|applications)$/, 2],
]

export function resourceUnits(path: string, query: Readonly<Record<string, string | undefined>>): number {
  const base = COSTS.find(([pattern]) => pattern.test(path))?.[1] ?? 1
  const less = (query.$select === undefined ? 0 : 1) + (query.$top !== undefined && Number(query.$top) < 20 ? 1 : 0)
  return Math.max(1, base + (query.$expand === undefined ? 0 : 1) - less)
}

export function createThrottle(options: ThrottlingOptions | undefined, now: () => number): Throttle {
  const { resourceUnits: capacity, perMs = 10_000 } = options ?? { resourceUnits: Infinity }
  let level = 0 // of units that count at `at`
  let at = now()
  let used = 0
  const leak = () => {
    if (capacity !== Infinity) level = Math.max(0, level - (now() - at) * capacity / perMs)
    at = now()
  }
  return {
    take(units) {
      leak()
      if (level + units > capacity) return Math.max(1, Math.ceil((level + units - capacity) * perMs / capacity / 1_000))
      level += units
      used += units
      return undefined
    },
    used: () => used,
    load() {
      leak()
      return capacity === Infinity ? 0 : level / capacity
    },
  }
}

/** Requests of a batch count each for itself; the batch costs nothing. */
export function addThrottling(scope: FastifyInstance, throttle: Throttle) {
  scope.addHook('preHandler', async (request: FastifyRequest, reply) => {
    const path = (request.url.split('?')[0] ?? '').replace(/^\/v1\.0/, '')
    if (path === '/$batch' || path === '/') return undefined
    const units = resourceUnits(path, request.query as Record<string, string | undefined>)
    const waitSeconds = throttle.take(units)
    if (waitSeconds === undefined) {
      reply.header('x-ms-resource-unit', String(units))
      const load = throttle.load()
      if (load > 0.8) reply.header('x-ms-throttle-limit-percentage', load.toFixed(2))
      return undefined
    }
    return reply.code(429).headers({
      'retry-after': String(waitSeconds),
      'x-ms-throttle-information': 'ResourceUnitLimitExceeded',
      'x-ms-throttle-scope': 'Tenant_Application/ReadWrite',
    }).type('application/json').send(JSON.stringify({
      error: { code: 'TooManyRequests', message: 'Too many requests.' },
    }))
  })
}
