// Returns the session as JSON, for applications without forward-auth that pass on the user's cookie server to server.
import type { FastifyInstance } from 'fastify'
import { FAILURES } from '../core/errors.js'
import { challenge, JSON_ANSWER } from './errors.js'
import type { SessionResolver } from './forward-auth/session-resolver.js'

export interface UserinfoOptions {
  readonly sessionResolver: SessionResolver
  readonly publicUrl: string
  /** Undefined: there always is one. @throws GatehouseError `policy_missing`, `policy_unusable` */
  readonly requirePolicy: (() => void) | undefined
}

export async function userinfoRoutes(
  scope: FastifyInstance,
  { sessionResolver, publicUrl, requirePolicy }: UserinfoOptions,
): Promise<void> {
  scope.get('/oauth2/userinfo', async (request, reply) => {
    requirePolicy?.() // guard: policy-missing-userinfo
    const answer = await sessionResolver.resolve(request.headers.cookie)
    reply.headers(JSON_ANSWER)
    if (!answer.session) {
      return reply.code(401).header('www-authenticate', challenge({ publicUrl })).send({
        error: answer.reason,
        message: FAILURES[answer.reason].sentence,
        detail: FAILURES[answer.reason].sentence,
        correlation_id: request.id,
      })
    }
    const { session } = answer
    return reply.send({
      sub: session.userId,
      username: session.username,
      email: session.email,
      email_verified: session.emailVerified,
      name: session.name,
      groups: session.groups,
      permissions: session.permissions,
      is_staff: session.isStaff,
      is_superuser: session.isSuperuser,
      oid: session.oid,
      tid: session.tid,
      auth_time: session.authTime,
      expires_at: session.expiresAt,
    })
  })
}
