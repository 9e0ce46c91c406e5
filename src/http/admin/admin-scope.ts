// The admin console and its API, below /admin alone: nothing of it is on the path of applications' requests.
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import { GatehouseError } from '../../core/errors.js'
import type { Siblings } from '../../core/siblings.js'
import { adminTokenLimit, COMMON_LIMITS, limitStore, type NamedLimit } from '../limits.js'
import { firstBearerOf } from './bearer.js'
import { apiScope, type ApiScopeOptions } from './api/api-scope.js'
import { auditDownloads } from './pages/audit-downloads.js'
import { draftDownloads } from './pages/draft-downloads.js'
import { imageFiles } from './pages/images-page.js'
import { versionDownloads } from './pages/version-downloads.js'
import { groupsDownload } from './pages/groups-download.js'
import { reviewDownloads } from './pages/review-downloads.js'
import { peopleCsvRoute } from './people-csv.js'
import { pageRoutes, type PageRoutesOptions } from './pages/routes.js'

export interface AdminScopeOptions extends ApiScopeOptions, PageRoutesOptions {
  readonly siblings: Siblings | undefined
  readonly apiLimit: NamedLimit
}

export async function adminScope(scope: FastifyInstance, options: AdminScopeOptions): Promise<void> {
  const { siblings, apiLimit } = options
  await scope.register(async (api) => {
    await api.register(rateLimit, { ...COMMON_LIMITS, ...limitStore(siblings, 'adminApi') })
    api.addHook('onRequest', api.rateLimit(apiLimit)) // guard: admin-api-limit
    // The plugin runs one limit of its own for each request, so this one is asked here.
    const count = api.createRateLimit(adminTokenLimit(({ raw }) => firstBearerOf(raw) !== undefined))
    api.addHook('onRequest', async (request) => {
      const counted = await count(request)
      if (!counted.isAllowed && counted.isExceeded) throw new GatehouseError('rate_limited')
    })
    await api.register(apiScope, options)
  })
  await scope.register(async (pages) => {
    await pages.register(rateLimit, { ...COMMON_LIMITS, ...limitStore(siblings, 'adminApi') })
    pages.addHook('onRequest', pages.rateLimit(apiLimit))
    await pages.register(auditDownloads, options)
    await pages.register(peopleCsvRoute, options)
    await pages.register(reviewDownloads, options)
    await pages.register(versionDownloads, options)
    await pages.register(draftDownloads, options)
    await pages.register(imageFiles, options)
    await pages.register(groupsDownload, options)
    await pages.register(pageRoutes, options)
  })
}
