// Who looks at something, as the use cases record it.
import type { FastifyRequest } from 'fastify'
import type { Viewer } from '../../admin/viewer.js'
import type { ApiActor } from './actor.js'

export function viewerOf(
  { userId, sessionId, tokenId }: ApiActor,
  { id, ip }: Pick<FastifyRequest, 'id' | 'ip'>,
): Viewer {
  return { userId, sessionId, tokenId, address: ip, correlationId: id }
}
