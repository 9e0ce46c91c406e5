// The frame of the API alone, over real HTTP: endpoints of a test, and a guard that believes a header.
import type { Test } from 'tap'
import { pino } from 'pino'
import type { RecordRefusal } from '../../../src/admin/acts/refusals.js'
import type { AdminUseCases } from '../../../src/admin/use-cases.js'
import { adminPermissions } from '../../../src/core/admin-permissions.js'
import { GatehouseError } from '../../../src/core/errors.js'
import type { AdminGuard, ApiActor, ApiGuard } from '../../../src/http/admin/actor.js'
import { createActGate } from '../../../src/http/admin/acts/gate.js'
import { adminScope, type AdminScopeOptions } from '../../../src/http/admin/admin-scope.js'
import type { Endpoint } from '../../../src/http/admin/api/endpoint.js'
import { sendErrorOrProblem } from '../../../src/http/admin/api/problem.js'
import { createCursors } from '../../../src/http/admin/cursors.js'
import type { ActPage } from '../../../src/http/admin/pages/act-page.js'
import { FORM_PAGES, PAGES } from '../../../src/http/admin/pages/all-pages.js'
import { createInstance } from '../../../src/http/fastify-instance.js'
import { adminApiLimit } from '../../../src/http/limits.js'
import { createTheme } from '../../../src/http/pages/theme.js'

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Empty where the answer is none. */
  readonly json: Record<string, unknown>
}

interface Sent {
  readonly headers: Record<string, string>
  readonly body: string
}

export interface Ask {
  (path: string, permissions?: string, body?: Sent): Promise<Reply>
  /** For a browser. */
  readonly url: string
}

export interface FrameOptions {
  readonly actPages?: readonly ActPage[]
  /** The administrator was authenticated at AUTHENTICATED_AT, in seconds. */
  readonly now?: () => number
  /** admin.acrs */
  readonly acrs?: string
  readonly recordRefusal?: RecordRefusal
}

export const AUTHENTICATED_AT = 1_795_000_000

/** @returns asks the API: `permissions` of the one who asks, joined by spaces; undefined: not signed in */
export async function startFrame(
  t: Test,
  endpoints: readonly Endpoint[],
  useCases: AdminUseCases = {} as AdminUseCases,
  { actPages = [], now, acrs, recordRefusal = async () => {} }: FrameOptions = {},
): Promise<Ask> {
  const rules = { requireOwnForm, recordRefusal, stepUpMs: 600_000, acrs, tokenDeploy: false, now }
  const theme = () => createTheme({ branding: { name: 'Test', color: undefined, logo: undefined }, applications: [] })
  const app = createInstance({
    trusts: () => false,
    pages: {
      publicUrl: 'http://127.0.0.1',
      authority: 'http://127.0.0.1/login',
      redirectDomains: [],
      contact: undefined,
      sessionCookie: 'gatehouse_session',
      theme,
    },
    log: pino({ level: 'silent' }),
    fastPath: () => false,
    sendError: sendErrorOrProblem,
  })
  await app.register(adminScope, {
    guard: GUARD,
    apiGuard: API_GUARD,
    useCases,
    cursors: createCursors(['a secret for cursors', 'an older one']),
    endpoints,
    requireOwnForm,
    apiGate: createActGate<ApiActor>({ ...rules, guard: API_GUARD }),
    acts: { gate: createActGate({ ...rules, guard: GUARD }), pages: actPages },
    pages: PAGES,
    formPages: FORM_PAGES,
    theme,
    cookieName: 'gatehouse_admin',
    siblings: undefined,
    apiLimit: adminApiLimit((cookies) => cookies),
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const ask = async (path: string, permissions?: string, sent?: Sent): Promise<Reply> => {
    const cookie = permissions === undefined ? {} : { cookie: permissions }
    const answer = await fetch(`${url}${path}`, {
      headers: { ...cookie, ...sent?.headers },
      ...(sent ? { method: 'POST', body: sent.body, redirect: 'manual' } : {}),
    })
    const text = await answer.text()
    const isJson = /[/+]json(?:;|$)/.test(answer.headers.get('content-type') ?? '')
    const json = isJson ? JSON.parse(text) as Record<string, unknown> : {}
    return { status: answer.status, headers: answer.headers, text, json }
  }
  return Object.assign(ask, { url })
}

/** With `Authorization: token` a program asks, with the permissions of the cookie. */
const API_GUARD: ApiGuard = {
  async authenticate(request, permission) {
    const { userId, username, name, permissions, ...session } = await GUARD.authenticate(request, permission)
    const who = { userId, username, name, permissions }
    return request.headers.authorization === 'token' ? { ...who, tokenId: 'tok_test' } : { ...who, ...session }
  },
}

const requireOwnForm: AdminScopeOptions['requireOwnForm'] = (_request, _actor, token) => {
  if (token !== 'token') throw new GatehouseError('form_refused')
}

const GUARD: AdminGuard = {
  async authenticate({ headers }, permission) {
    if (headers.cookie === undefined) throw new GatehouseError('admin_sign_in_required')
    const permissions = adminPermissions({
      isStaff: false,
      isSuperuser: false,
      permissions: headers.cookie.split(' '),
    })
    if (permissions.size === 0) throw new GatehouseError('not_found')
    if (!permissions.has(permission)) throw new GatehouseError('not_allowed')
    return {
      userId: '3f0f8a2e-0000-4000-8000-000000000001',
      username: 'sue',
      name: 'Sue Superuser',
      permissions,
      sessionId: 'ses_test',
      adminSessionId: 'a',
      authenticatedAt: AUTHENTICATED_AT,
      acrs: headers['x-test-acrs'] === undefined ? null : String(headers['x-test-acrs']),
      csrfToken: 'token',
    }
  },
}
