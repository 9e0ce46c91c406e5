// The files that pages load: stylesheet, logo, icons. What is asked for by its hash may be kept for good.
import type { FastifyInstance } from 'fastify'
import { GatehouseError } from '../core/errors.js'
import { ASSETS, type Theme } from './pages/theme.js'

export interface AssetOptions {
  readonly theme: () => Theme
}

const FOR_GOOD = 'public, max-age=31536000, immutable'
/** For what might hold scripts (SVG): opened on its own it is a picture, and nothing of our origin. */
const ISOLATED = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

export async function assetRoutes(scope: FastifyInstance, { theme }: AssetOptions): Promise<void> {
  scope.get<{ Params: { file: string } }>(`${ASSETS}:file`, async (request, reply) => {
    const { assets, stylesheet } = theme()
    const path = `${ASSETS}${request.params.file}`
    const asset = assets.get(path)
    // Another replica, or the configuration before this one, made the page: it looks right with this stylesheet too.
    const instead = asset === undefined && path.endsWith('.css') ? assets.get(stylesheet) : undefined
    const sent = asset ?? instead
    if (sent === undefined) throw new GatehouseError('not_found')
    return reply.headers({
      'content-type': sent.type,
      'cache-control': asset === undefined ? 'no-store' : FOR_GOOD,
      'x-content-type-options': 'nosniff',
      ...(sent.isolated ? { 'content-security-policy': ISOLATED } : {}), // guard: adv-picture-isolated
    }).send(sent.body)
  })
}
