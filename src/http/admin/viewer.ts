// Who looks at something, as the use cases record it.
import type { FastifyRequest } from 'fastify'
import type { Viewer } from '../../admin/viewer.js'
import type { AdminActor } from './actor.js'

export function viewerOf({ userId, sessionId }: AdminActor, { id, ip }: Pick<FastifyRequest, 'id' | 'ip'>): Viewer {
  return { userId, sessionId, address: ip, correlationId: id }
}
