// @fastify/session for the pages people open, over the same cookie and the same store that the auth endpoints read.
// Three of its habits are undone here: it silently saves nothing when it believes a secure cookie goes over http, it
// clears the cookie of an unmodified session signed with an older secret, and its `set` may not make sessions.
import fastifySession from '@fastify/session'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { newSessionId, type SessionRecord, type SessionStore } from '../core/session.js'
import { cookieValues, type CookiePolicy } from './cookies.js'
import type { CookieSigner } from './session-reader.js'

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
  readonly signer: CookieSigner
  readonly cookies: CookiePolicy
  readonly absoluteTimeoutMs: number
}

type Callback = (error?: unknown) => void

export const browserSession = fp(async (scope: FastifyInstance, { sessions, signer, cookies, absoluteTimeoutMs }: BrowserSessionOptions) => {
  scope.decorateRequest('nextSessionId')
  scope.addHook('onRequest', async (request) => {
    // publicUrl says how browsers reach us; what the last hop spoke does not matter.
    if (cookies.secure) Object.defineProperty(request, 'protocol', { value: 'https' })
    if (cookieValues(request.headers.cookie, cookies.names.session).length > 1) delete request.cookies[cookies.names.session]
  })
  await scope.register(fastifySession, {
    secret: signer as never, // its types want a whole Signer
    cookieName: cookies.names.session,
    cookie: { secure: cookies.secure, httpOnly: true, sameSite: 'lax', path: '/', maxAge: absoluteTimeoutMs, ...(cookies.domain === undefined ? {} : { domain: cookies.domain }) },
    saveUninitialized: false,
    rolling: false,
    idGenerator: (request) => request?.nextSessionId ?? newSessionId(),
    store: pluginStore(sessions) as never,
  })
  scope.addHook('onRequest', async (request) => {
    const [value] = cookieValues(request.headers.cookie, cookies.names.session)
    if (request.session.record && value !== undefined && signer.unsign(value).renew) request.session.set('writtenAt', Date.now())
  })
})

/** Rows are made by the login's transaction alone: `set` says that the session is in use and cannot bring one back. */
function pluginStore(sessions: SessionStore) {
  return {
    get(id: string, callback: (error: unknown, session?: { record: SessionRecord } | null) => void): void {
      sessions.find(id).then((record) => callback(null, record ? { record } : null), callback)
    },
    set(id: string, session: { writtenAt?: number }, callback: Callback): void {
      if (session.writtenAt === undefined) return callback()
      sessions.touch(id).then(() => callback(), callback)
    },
    destroy(id: string, callback: Callback): void {
      sessions.end(id).then(() => callback(), callback)
    },
  }
}
