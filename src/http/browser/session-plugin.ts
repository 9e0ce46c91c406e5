// @fastify/session for the pages people open, over the same cookie and the same store that the auth endpoints read.
// Four of its habits are undone here: it silently saves nothing when it believes a secure cookie goes over http, it
// clears the cookie of an unmodified session signed with an older secret, it sends no Max-Age, and it would write and
// end sessions itself.
import fastifySession from '@fastify/session'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { newSessionId, sessionIdHash, type SessionRecord, type SessionStore } from '../../core/session.js'
import { cookieValues, type CookiePolicy } from '../cookies.js'
import type { CookieSigner } from '../cookie-signer.js'
import type { ActivityRecorder } from '../session-activity.js'

declare module 'fastify' {
  interface Session {
    record?: SessionRecord
    /** Set to have the cookie written (again). */
    writtenAt?: number
  }
  interface FastifyRequest {
    /** The id that the login's transaction gave the session which `regenerate` is about to make. */
    nextSessionId?: string
  }
}

export interface BrowserSessionOptions {
  readonly sessions: SessionStore
  readonly activity: ActivityRecorder
  readonly signer: CookieSigner
  readonly cookies: CookiePolicy
  readonly absoluteTimeoutMs: number
}

type Callback = (error?: unknown) => void

export const browserSession = fp(
  async (scope: FastifyInstance, { sessions, activity, signer, cookies, absoluteTimeoutMs }: BrowserSessionOptions) => {
    scope.decorateRequest('nextSessionId')
    scope.addHook('onRequest', async (request) => {
      // publicUrl says how browsers reach us; what the last hop spoke does not matter.
      if (cookies.secure) Object.defineProperty(request, 'protocol', { value: 'https' })
      if (cookieValues(request.headers.cookie, cookies.names.session).length > 1) {
        delete request.cookies[cookies.names.session]
      }
    })
    await scope.register(fastifySession, {
      secret: signer as never, // its types want a whole Signer
      cookieName: cookies.names.session,
      cookie: {
        secure: cookies.secure,
        httpOnly: true,
        sameSite: 'lax',
        path: '/',
        maxAge: absoluteTimeoutMs,
        ...(cookies.domain === undefined ? {} : { domain: cookies.domain }),
      },
      saveUninitialized: false,
      rolling: false,
      idGenerator: (request) => request?.nextSessionId ?? newSessionId(),
      store: pluginStore(sessions, activity) as never,
    })
    // The plugin says when the cookie ends by the gateway's clock alone; Max-Age counts by the browser's, and goes
    // before Expires.
    const maxAge = `; Max-Age=${Math.floor(absoluteTimeoutMs / 1000)}; Expires=`
    scope.addHook('onSend', async (_request, reply) => {
      const lines = [reply.getHeader('set-cookie') ?? []].flat().map(String)
      if (!lines.some((line) => line.startsWith(`${cookies.names.session}=`))) return
      const isNew = (line: string): boolean =>
        line.startsWith(`${cookies.names.session}=`) && !line.includes('Max-Age=')
      reply.removeHeader('set-cookie')
      reply.header(
        'set-cookie',
        lines.map((line) => (isNew(line) ? line.replace('; Expires=', maxAge) : line)),
      )
    })
    scope.addHook('onRequest', async (request) => {
      const [value] = cookieValues(request.headers.cookie, cookies.names.session)
      if (request.session.record && value !== undefined && signer.unsign(value).renew) {
        request.session.set('writtenAt', Date.now())
      }
    })
  },
)

/**
 * Reading alone: sessions are made by the login's transaction and ended by the sign-out, never by the plugin's habits.
 */
function pluginStore(sessions: SessionStore, activity: ActivityRecorder) {
  return {
    get(id: string, callback: (error: unknown, session?: { record: SessionRecord } | null) => void): void {
      sessions
        .find(id)
        .then((record) => {
          if (record && record.idleMs >= activity.intervalMs) activity.record(sessionIdHash(id).toString('hex'))
          callback(null, record ? { record } : null)
        })
        .catch(callback)
    },
    set: (_id: string, _session: unknown, callback: Callback): void => callback(),
    destroy: (_id: string, callback: Callback): void => callback(),
  }
}
