// Executes the forms of acts. A form that cannot be executed is shown again with what is wrong; where a fresh sign-in
// is due its values are kept, and the answer is a page with a link.
import formbody from '@fastify/formbody'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { FormValues } from '../../../core/admin-forms.js'
import { GatehouseError } from '../../../core/errors.js'
import { asGatehouseError, pathOf } from '../../errors.js'
import { isHtmx } from '../../navigation.js'
import { queryParameters } from '../../query.js'
import type { AdminActor } from '../actor.js'
import type { Act } from '../api/act.js'
import type { ActGate } from '../acts/gate.js'
import { SIGN_IN_PATHS } from '../admin-return.js'
import { acceptUploads } from './uploads.js'
import { doneName, formContent, stepUpContent, type ActForm, type ActPage } from './act-page.js'
import { note } from './components.js'
import type { Html } from '../../pages/html.js'
import { link, withParameter } from './links.js'
import type { PageContent, PageRequest } from './page.js'
import { valuesOf, type Validate } from './values.js'

const MOST_BYTES = 64_000
const TOO_LONG =
  `The form is too long to be kept during a new sign-in. Sign in anew at ${SIGN_IN_PATHS.stepUp}, then ` +
  'send it again.'

export interface ActPagesOptions {
  readonly gate: ActGate<AdminActor>
  readonly pages: readonly ActPage[]
}

/** How routes.ts answers with a page of the console. */
export interface PageAnswers {
  requestOf(page: ActPage['page'], request: FastifyRequest, actor: AdminActor): PageRequest<unknown, unknown>
  send(status: number, content: PageContent, exchange: Exchange): FastifyReply
  /** Inside of the layout where a user of the console asks. */
  refuse(thrown: unknown, page: ActPage['page'], exchange: Omit<Exchange, 'actor'>): Promise<FastifyReply>
  fail(thrown: unknown, page: ActPage['page'], exchange: Exchange): FastifyReply
}

export interface Exchange {
  readonly actor: AdminActor
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

export async function actPageRoutes(
  scope: FastifyInstance,
  { gate, pages }: ActPagesOptions,
  answers: PageAnswers,
): Promise<void> {
  await scope.register(async (routes) => {
    await routes.register(formbody, { bodyLimit: MOST_BYTES })
    acceptUploads(routes)
    for (const each of pages) {
      const actors = new WeakMap<FastifyRequest, AdminActor>()
      routes.post(each.page.path, {
        bodyLimit: each.mostBytes ?? MOST_BYTES,
        onRequest: async (request, reply) => {
          try {
            actors.set(request, await gate.enter(request, each.act))
          } catch (thrown) {
            return await answers.refuse(thrown, each.page, { request, reply })
          }
        },
      }, async (request, reply) => {
        const actor = actors.get(request)
        if (actor === undefined) throw new Error('the request was not authenticated')
        return await execute(each, { actor, request, reply }, gate, answers)
      })
    }
  })
}

async function execute(
  each: ActPage,
  exchange: Exchange,
  gate: ActGate<AdminActor>,
  answers: PageAnswers,
): Promise<FastifyReply> {
  const { request, actor } = exchange
  try {
    const { _csrf: token, _version: version } = queryParameters(request.body ?? {}, ['_csrf', '_version'])
    await gate.own(request, each.act, actor, token)
    const asked = answers.requestOf(each.page, request, actor)
    const form = await each.describe(asked, { values: textsOf(each, request), seen: version })
    return await executeForm({ each, exchange, asked, form, version }, gate, answers)
  } catch (thrown) {
    return answers.fail(thrown, each.page, exchange)
  }
}

interface SentForm {
  readonly each: ActPage
  readonly exchange: Exchange
  readonly asked: PageRequest<unknown, unknown>
  readonly form: ActForm
  readonly version: string | undefined
}

async function executeForm(sent: SentForm, gate: ActGate<AdminActor>, answers: PageAnswers): Promise<FastifyReply> {
  const { each: { act, asks, bodyOf, fields, shown, nextOf }, exchange, asked, form, version: ifMatch } = sent
  const { request, reply, actor } = exchange
  const texts = textsOf(sent.each, request)
  if (form.pending) return showAgain(sent, form, form.pending, answers)
  try {
    const validate = request.compileValidationSchema(fields) as Validate
    const values = valuesOf(fields, texts, validate, 'request_malformed') as FormValues
    const { reason } = values
    requireConfirmed(form, texts)
    const body = form.body ?? bodyOf(values)
    requireBody(act, { ...body, ...reason === undefined ? {} : { reason } }, request)
    const params = { ...asked.params as object, ...Object.fromEntries(asks.map((name) => [name, values[name]])) }
    const answer = await gate.run(act, { actor, request, body, reason, ifMatch }, (acting) => {
      const { useCases, cursors } = asked
      const query = act.method === 'DELETE' ? body : {}
      return act.handle({ actor, useCases, params, body, query, request, acting }, cursors)
    })
    if (shown !== undefined) return answers.send(200, shown(answer), exchange) // guard: token-shown-once
    return reply.code(303).headers({
      'location': withParameter(nextOf?.(answer, values) ?? form.next ?? form.back, 'done', doneName(sent.each)),
      'cache-control': 'no-store',
    })
      .send()
  } catch (thrown) {
    const { code, sentence, status } = asGatehouseError(thrown)
    if (code === 'step_up_required') return await keepForm(sent, texts, answers)
    if (status !== 400 && status !== 409 && code !== 'version_stale') throw thrown
    const current = await sent.each.describe(asked, { values: texts, seen: ifMatch })
    return showAgain(sent, current, { status, note: note(sentence, 'bad') }, answers)
  }
}

function showAgain(
  { each: { act, fields, isUpload }, exchange }: SentForm,
  form: ActForm,
  { status, note: problem }: { readonly status: number, readonly note: Html },
  answers: PageAnswers,
): FastifyReply {
  const { request, actor } = exchange
  const values = textsOf({ fields }, request)
  const content = formContent({ act, form, actor, path: pathOf(request), values, problem, isUpload })
  return answers.send(status, content, exchange)
}

function requireConfirmed({ confirmation }: ActForm, texts: FormValues): void {
  if (confirmation === undefined || texts['confirm'] === confirmation) return // guard: act-confirmed
  throw new GatehouseError('request_malformed', { sentence: 'What was typed is not what the form asks for.' })
}

/** The form makes the body, or the query, that the API accepts. */
function requireBody({ method, body: bodySchema, query }: Act, body: unknown, request: FastifyRequest): void {
  const schema = method === 'DELETE' ? query : bodySchema
  if (schema === undefined) return
  const validate = request.compileValidationSchema(schema) as Validate
  if (!validate(body)) throw new GatehouseError('request_malformed')
}

/** What was entered, as text; the form token is not among it. */
function textsOf({ fields }: Pick<ActPage, 'fields'>, { body }: FastifyRequest): FormValues {
  return queryParameters(body ?? {}, Object.keys(fields.properties)) as FormValues
}

async function keepForm(sent: SentForm, texts: FormValues, answers: PageAnswers): Promise<FastifyReply> {
  const { each: { act }, exchange, asked, form } = sent
  const { request, reply, actor } = exchange
  const path = pathOf(request)
  const place = { adminSessionId: actor.adminSessionId, act: act.operationId, path }
  const id = await asked.useCases.forms.keep(place, texts)
  if (id === undefined) throw new GatehouseError('request_malformed', { sentence: TOO_LONG })
  const stepUp = link(SIGN_IN_PATHS.stepUp, { rd: link(path, { form: id }) })
  if (isHtmx(request.headers)) return reply.code(204).header('hx-redirect', stepUp).send()
  return answers.send(403, stepUpContent(form.title, stepUp, form.trail), exchange)
}
