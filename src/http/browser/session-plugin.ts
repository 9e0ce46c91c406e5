// @fastify/session for the browser pages, with the cookie and the store that the auth endpoints read. Four of its
// behaviours are overridden: it saves nothing if it takes the connection for http while the cookie is secure, it clears
// the cookie of an unmodified session that an older secret signed, it sends no Max-Age, and it writes and ends sessions
// itself.
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
    /** Setting it makes the plugin send the cookie again. */
    writtenAt?: number
  }
  interface FastifyRequest {
    /** The id that the login's transaction stored; `regenerate` gives it to the new session. */
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
      // publicUrl defines the scheme that browsers use; the scheme of the last hop is irrelevant.
      if (cookies.secure) Object.defineProperty(request, 'protocol', { value: 'https' })
      if (cookieValues(request.headers.cookie, cookies.names.session).length > 1) {
        delete request.cookies[cookies.names.session]
      }
    })
    await scope.register(fastifySession, {
      secret: signer as never, // the plugin's type requires all members of Signer
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
    addMaxAge(scope, cookies.names.session, absoluteTimeoutMs)
    scope.addHook('onRequest', async (request) => {
      const [value] = cookieValues(request.headers.cookie, cookies.names.session)
      if (request.session.record && value !== undefined && signer.unsign(value).renew) {
        request.session.set('writtenAt', Date.now())
      }
    })
  },
)

/**
 * The plugin computes Expires with the gateway's clock. Browsers compute Max-Age with their own clock, and it takes
 * precedence over Expires.
 */
function addMaxAge(scope: FastifyInstance, cookieName: string, absoluteTimeoutMs: number): void {
  const maxAge = `; Max-Age=${Math.floor(absoluteTimeoutMs / 1000)}; Expires=`
  scope.addHook('onSend', async (_request, reply) => {
    const lines = [reply.getHeader('set-cookie') ?? []].flat().map(String)
    if (!lines.some((line) => line.startsWith(`${cookieName}=`))) return
    const isNew = (line: string): boolean => line.startsWith(`${cookieName}=`) && !line.includes('Max-Age=')
    reply.removeHeader('set-cookie')
    reply.header(
      'set-cookie',
      lines.map((line) => (isNew(line) ? line.replace('; Expires=', maxAge) : line)), // guard: adv-max-age
    )
  })
}

/** A read-only store: the login's transaction creates sessions and the sign-out ends them, never the plugin. */
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
