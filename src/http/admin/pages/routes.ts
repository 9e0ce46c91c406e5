// Serves the console's pages. Who asks is read first; parameters are looked at only for a user who may see the page.
import formbody from '@fastify/formbody'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { TObject } from 'typebox'
import type { AdminUseCases } from '../../../admin/use-cases.js'
import { errorFacts, GatehouseError } from '../../../core/errors.js'
import { asGatehouseError, pathOf, RETRY_AFTER_SECONDS } from '../../errors.js'
import type { Theme } from '../../pages/theme.js'
import type { AdminActor, AdminGuard } from '../actor.js'
import type { Cursors } from '../cursors.js'
import { actPageRoutes, type ActPagesOptions, type PageAnswers } from './act-routes.js'
import { doneName } from './act-page.js'
import { errorContent } from './error-page.js'
import { sendConsolePage } from './layout.js'
import { CONSOLE_ASSETS, createConsoleLook, type ConsoleLook } from './look.js'
import { NAVIGATION, type NavigationItem } from './navigation.js'
import type { AdminPage, PageRequest } from './page.js'
import { valuesOf, type Validate } from './values.js'

export interface PageRoutesOptions {
  readonly guard: AdminGuard
  readonly useCases: AdminUseCases
  readonly cursors: Cursors
  readonly theme: () => Theme
  readonly pages: readonly AdminPage[]
  /** Forms that change something; undefined: there are none. */
  readonly acts?: ActPagesOptions | undefined
  /** What a form with POST is answered with. */
  readonly formPages?: readonly AdminPage[]
  /** @throws GatehouseError where a form is not of the console's origin, or has another form token */
  readonly requireOwnForm: (request: FastifyRequest, actor: AdminActor, token: string | undefined) => void
  readonly now?: () => number
}

interface Served extends PageRoutesOptions {
  readonly look: () => ConsoleLook
  /** Of the navigation, what there is a page for. */
  readonly sections: readonly NavigationItem[]
}

export async function pageRoutes(scope: FastifyInstance, options: PageRoutesOptions): Promise<void> {
  const paths = new Set(options.pages.map(({ path }) => path))
  const sections = NAVIGATION.filter(({ path }) => paths.has(path))
  const served = { ...options, sections, look: createConsoleLook(options.theme) }
  assetRoutes(scope, served.look)
  for (const page of options.pages) {
    scope.get(page.path, async (request, reply) => await servePage(page, request, reply, served))
  }
  for (const { page } of options.acts?.pages ?? []) {
    scope.get(page.path, async (request, reply) => await servePage(page, request, reply, served))
  }
  if (options.acts) await actPageRoutes(scope, options.acts, answersOf(served))
  await scope.register(async (forms) => {
    await forms.register(formbody)
    for (const page of options.formPages ?? []) {
      forms.post(page.path, async (request, reply) => await servePage(page, request, reply, served))
    }
  })
  scope.get(NOT_FOUND.path, async (request, reply) => {
    const isOfApi = /^\/admin\/api(?:\/|$)/.test(pathOf(request))
    return isOfApi ? reply.callNotFound() : await servePage(NOT_FOUND, request, reply, served)
  })
}

/** Any other address below /admin: a user who may see the console stays in its layout. */
const NOT_FOUND: AdminPage = {
  path: '/admin/*',
  permission: 'gatehouse.read',
  title: 'Not found',
  query: undefined,
  params: undefined,
  render: async () => {
    throw new GatehouseError('not_found')
  },
}

async function servePage(
  page: AdminPage,
  request: FastifyRequest,
  reply: FastifyReply,
  served: Served,
): Promise<FastifyReply> {
  const { guard, look, sections, requireOwnForm } = served
  const path = pathOf(request)
  let actor: AdminActor
  try {
    actor = await guard.authenticate(request, page.permission) // guard: admin-page-permission
  } catch (thrown) {
    return await refuse(thrown, { page, path, request, reply, served })
  }
  try {
    if (request.method === 'POST') requireOwnForm(request, actor, tokenOf(request)) // guard: admin-page-form
    const content = await page.render(requestOf(page, request, actor, served))
    const notice = noticeOf(request, served)
    return sendConsolePage(reply, content.status ?? 200, { ...content, actor, path, sections, notice }, look())
  } catch (thrown) {
    return sendError(thrown, actor, { page, path, request, reply, served })
  }
}

function requestOf(
  page: AdminPage,
  request: FastifyRequest,
  actor: AdminActor,
  { useCases, cursors, now = Date.now }: Served,
): PageRequest<unknown, unknown> {
  return { actor, useCases, cursors, request, path: pathOf(request), ...parametersOf(page, request), now: now() }
}

/** After an act: what it has done. The address says which one, and nothing else of it is shown. */
function noticeOf({ query }: FastifyRequest, { acts }: Served): string | undefined {
  const { done } = query as { readonly done?: unknown }
  return acts?.pages.find((page) => doneName(page) === done)?.done
}

function answersOf(served: Served): PageAnswers {
  const { look, sections } = served
  return {
    requestOf: (page, request, actor) => requestOf(page, request, actor, served),
    send: (status, content, { reply, request, actor }) =>
      sendConsolePage(reply, status, { ...content, actor, path: pathOf(request), sections }, look()),
    refuse: (thrown, page, { request, reply }) =>
      refuse(thrown, { page, path: pathOf(request), request, reply, served }),
    fail: (thrown, page, { request, reply, actor }) =>
      sendError(thrown, actor, { page, path: pathOf(request), request, reply, served }),
  }
}

function tokenOf({ body }: FastifyRequest): string | undefined {
  const { _csrf: token } = (body ?? {}) as { readonly _csrf?: unknown }
  return typeof token === 'string' ? token : undefined
}

interface Failed {
  readonly page: AdminPage
  readonly path: string
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly served: Served
}

/**
 * Only `not_allowed` says that a user of the console asks. Everything else is the product's own answer: the 404 of a
 * user without permissions cannot be distinguished from that of an unknown address.
 */
async function refuse(thrown: unknown, failed: Failed): Promise<FastifyReply> {
  const error = asGatehouseError(thrown)
  if (error.code !== 'not_allowed') throw error
  const actor = await failed.served.guard.authenticate(failed.request, 'gatehouse.read')
  return sendError(error, actor, failed)
}

function sendError(thrown: unknown, actor: AdminActor, { page, path, request, reply, served }: Failed): FastifyReply {
  const error = asGatehouseError(thrown)
  request.log[error.status >= 500 ? 'error' : 'info'](
    { ...errorFacts(error), method: request.method, path, client: request.ip },
    'page of the console refused',
  )
  if (error.status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS)
  const content = errorContent({ error, page, reference: request.id })
  return sendConsolePage(reply, error.status, { ...content, actor, path, sections: served.sections }, served.look())
}

function parametersOf({ query, params }: AdminPage, request: FastifyRequest) {
  const validated = (schema: TObject | undefined, given: unknown, onError: 'request_malformed' | 'not_found') =>
    schema === undefined ? {} : valuesOf(schema, given, request.compileValidationSchema(schema) as Validate, onError)
  return {
    params: validated(params, request.params, 'not_found'),
    query: validated(query, request.query, 'request_malformed'),
  }
}

/** Anybody may load them: they are the same for everybody, and contain nothing of this organisation but a colour. */
function assetRoutes(scope: FastifyInstance, look: () => ConsoleLook): void {
  scope.get<{ Params: { file: string } }>(`${CONSOLE_ASSETS}:file`, async (request, reply) => {
    const { files, stylesheet, script } = look()
    const path = `${CONSOLE_ASSETS}${request.params.file}`
    const known = files.get(path)
    // The page may come from another replica or an earlier configuration; the current file fits it too.
    const current = files.get(path.endsWith('.js') ? script : stylesheet)
    const file = known ?? (/\.(?:css|js)$/.test(path) ? current : undefined)
    if (file === undefined) throw new GatehouseError('not_found')
    return reply.headers({
      'content-type': file.type,
      'cache-control': known === undefined ? 'no-store' : 'public, max-age=31536000, immutable',
      'x-content-type-options': 'nosniff',
    }).send(file.body)
  })
}
