// The files that pages load: stylesheet, logo, icons. Their paths contain a hash, so they may be cached forever.
import type { FastifyInstance } from 'fastify'
import { GatehouseError } from '../core/errors.js'
import { ASSETS, type Theme } from './pages/theme.js'

export interface AssetOptions {
  readonly theme: () => Theme
}

const IMMUTABLE = 'public, max-age=31536000, immutable'
/** For files that may contain scripts (SVG): opened directly, they run nothing and have no origin. */
const ISOLATED = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

export async function assetRoutes(scope: FastifyInstance, { theme }: AssetOptions): Promise<void> {
  scope.get<{ Params: { file: string } }>(`${ASSETS}:file`, async (request, reply) => {
    const { assets, stylesheet } = theme()
    const path = `${ASSETS}${request.params.file}`
    const asset = assets.get(path)
    // The page may come from another replica or an earlier configuration; the current stylesheet fits it too.
    const fallback = asset === undefined && path.endsWith('.css') ? assets.get(stylesheet) : undefined
    const sent = asset ?? fallback
    if (sent === undefined) throw new GatehouseError('not_found')
    return reply.headers({
      'content-type': sent.type,
      'cache-control': asset === undefined ? 'no-store' : IMMUTABLE,
      'x-content-type-options': 'nosniff',
      ...(sent.isolated ? { 'content-security-policy': ISOLATED } : {}), // guard: adv-picture-isolated
    }).send(sent.body)
  })
}
