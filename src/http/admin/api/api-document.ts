// The OpenAPI document without a gateway, for docs/openapi.json: the routes are registered and nothing is served.
import fastify from 'fastify'
import type { AdminUseCases } from '../../../admin/use-cases.js'
import { GatehouseError } from '../../../core/errors.js'
import { cookiePolicy } from '../../cookies.js'
import { createActGate } from '../acts/gate.js'
import { createCursors } from '../cursors.js'
import { apiScope } from './api-scope.js'
import { ENDPOINTS } from './endpoints.js'

export async function apiDocument(): Promise<Record<string, unknown>> {
  const app = fastify()
  const { names } = cookiePolicy('https://gatehouse.example', undefined)
  let document: () => Record<string, unknown> = () => ({})
  await app.register(async (scope) => {
    await apiScope(scope, {
      apiGuard: { authenticate: () => Promise.reject(new GatehouseError('admin_sign_in_required')) },
      useCases: {} as AdminUseCases,
      requireOwnForm: () => {
        throw new GatehouseError('form_refused')
      },
      apiGate: createActGate({
        guard: { authenticate: () => Promise.reject(new GatehouseError('admin_sign_in_required')) },
        requireOwnForm: () => {},
        recordRefusal: () => Promise.resolve(),
        stepUpMs: 0,
        acrs: undefined,
        tokenDeploy: false,
      }),
      cursors: createCursors([]),
      endpoints: ENDPOINTS,
      cookieName: names.admin,
    })
    document = () => scope.swagger() as unknown as Record<string, unknown>
  })
  await app.ready()
  const made = document()
  await app.close()
  return made
}
