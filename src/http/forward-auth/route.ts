// What a proxy's dialect is, and the one route that serves each: read the target, ask, answer. No hooks, no plugins and
// no body parsing on this path.
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ruleTitle } from '../../core/access.js'
import type { AnswerCounters } from '../../core/activity-counters.js'
import { errorFacts, GatehouseError, type ErrorCode } from '../../core/errors.js'
import { asParameter } from '../../core/return-to.js'
import type { Meter } from '../../core/meter.js'
import type { RequestSample } from '../../core/request-sample.js'
import type { SessionRecord } from '../../core/session.js'
import { targetUrl, type Target } from '../../core/target.js'
import { asGatehouseError, type Denied } from '../errors.js'
import { closeAfterAnnouncedBody } from './announced-body.js'
import type { AnswerLog } from './access-log.js'
import { sessionClient } from '../session-client.js'
import type { PageSettings } from '../pages/layout.js'
import type { TraceForwardAuth } from '../request-tracing.js'
import type { Authorizer, Verdict } from './authorizer.js'
import type { ShadowObserver } from './shadow-observer.js'

export interface Refusal {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly target: Target | undefined
  readonly signInUrl: string
  readonly pages: PageSettings
}

export interface Dialect {
  readonly path: string
  /**
   * A query on the auth endpoint itself: `refused` where only an administrator can have written it (oauth2-proxy
   * narrows access by ?allowed_groups=, and ignoring that would widen it); `ignored` where the proxy carries the
   * client's over.
   */
  readonly query: 'refused' | 'ignored'
  notSignedIn(refusal: Refusal & { readonly code: ErrorCode }): FastifyReply
  /** Headers of its 401, names and values alternating, where that is the same for every client and has no body. */
  readonly plain401?: (refusal: Pick<Refusal, 'signInUrl' | 'pages'>) => readonly [string, string, string, string]
  refused(refusal: Refusal & { readonly error: GatehouseError, readonly denied?: Denied }): FastifyReply
}

/**
 * The one query that a question may have where others are refused. nginx asks twice about a request that it refuses:
 * the second time for the page, which shows the correlation id of that second line of the log. So the first one has no
 * line.
 * A client cannot write it: nginx replaces the whole address of the question.
 */
export const REFUSALS_UNLOGGED = '?refusals=unlogged'

const UNLOGGED: Pick<AnswerLog, 'line'> = { line: () => {} }

export interface DialectOptions {
  readonly dialect: Dialect
  /** @throws `target_malformed` */
  readonly readTarget: (request: IncomingMessage) => Target | undefined
  readonly authorizer: Authorizer
  readonly publicUrl: string
  readonly pages: PageSettings
  readonly meter: Meter
  readonly counters: AnswerCounters
  readonly shadows: ShadowObserver
  readonly sample: RequestSample
  readonly traced: TraceForwardAuth
  readonly log: AnswerLog
  /** Called with every target that requires a sign-in. */
  readonly signInFor: (target: Target) => void
}

export async function dialectRoute(scope: FastifyInstance, options: DialectOptions): Promise<void> {
  // one logger for all instead of one each; what is logged names the request itself
  scope.setChildLoggerFactory((log) => log)
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (_request, _payload, done) => done(null)) // the body is the application's
  // Before the handler only the body can fail (for example a broken Content-Type), and it is not read: the request is
  // answered.
  scope.setErrorHandler((_error, request, reply) => answer(request, reply, options))
  scope.route({
    url: options.dialect.path,
    method: [...scope.supportedMethods],
    exposeHeadRoute: false,
    handler: options.traced(options.dialect.path, (request, reply) => answer(request, reply, options)),
  })
}

/** Without a promise where everything is known: most requests of all applications come through here. */
function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  options: DialectOptions,
): FastifyReply | Promise<FastifyReply> {
  closeAfterAnnouncedBody(request.raw, reply.raw) // guard: adv-announced-body-route
  const began = performance.now()
  let target: Target | undefined
  const done = (sent: FastifyReply): FastifyReply => {
    options.meter.answered(options.dialect.path, sent.raw.statusCode, (performance.now() - began) / 1000)
    return sent
  }
  const { dialect } = options
  const unlogged = dialect.query === 'refused' && request.url === `${dialect.path}${REFUSALS_UNLOGGED}`
  const log = unlogged ? UNLOGGED : options.log // guard: adv-refusal-logged-once
  const failed = (thrown: unknown): FastifyReply => done(refuse(thrown, target, request, reply, options, unlogged))
  try {
    if (dialect.query === 'refused' && !unlogged) refuseQuery(request)
    target = options.readTarget(request.raw)
    const verdict = options.authorizer.authorize({
      target,
      address: () => request.ip,
      cookieHeader: request.headers.cookie,
      client: () => sessionClient(request, target?.hostname),
    })
    const responded = (given: Verdict): FastifyReply => {
      const sent = respond(given, target, request, reply, options, log)
      // guard: admin-activity-route-twice
      if (!unlogged || given.kind === 'allowed') {
        count(given, options.counters)
        options.sample.note(target, sessionOf(given)?.userId, given.grounds)
        if (options.shadows.active()) observe(given, target, request, options.shadows)
      }
      return done(sent)
    }
    return verdict instanceof Promise ? verdict.then(responded).catch(failed) : responded(verdict)
  } catch (thrown) {
    return failed(thrown)
  }
}

function observe(
  verdict: Verdict,
  target: Target | undefined,
  request: FastifyRequest,
  shadows: ShadowObserver,
): void {
  const session = sessionOf(verdict)
  shadows.observe({ target, session, address: () => request.ip }, verdict.kind === 'allowed')
}

function sessionOf(verdict: Verdict): SessionRecord | undefined {
  return verdict.kind === 'not_signed_in' ? undefined : verdict.session
}

function count(verdict: Verdict, counters: AnswerCounters): void {
  if (verdict.kind === 'allowed') counters.allowed(verdict.grounds)
  else if (verdict.kind === 'not_signed_in') counters.notSignedIn(verdict.grounds)
  else counters.notAllowed(verdict.grounds)
}

function respond(
  verdict: Verdict,
  target: Target | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
  { dialect, publicUrl, pages, log: everyLine, signInFor }: DialectOptions,
  log: Pick<AnswerLog, 'line'>,
): FastifyReply {
  if (verdict.kind === 'allowed') {
    everyLine.line(request, target, 200, { rule: ruleTitle(verdict.grounds), username: verdict.session?.username })
    // guard: adv-blank-headers
    reply.raw.writeHead(200, verdict.headers as string[]) // the whole header list: Fastify adds none
    reply.hijack()
    reply.raw.end()
    return reply
  }
  reply.headers({ 'cache-control': 'no-store', 'vary': 'Cookie' })
  const refusal = { request, reply, target, pages, signInUrl: signInUrl(publicUrl, target) }
  if (verdict.kind === 'not_signed_in') {
    if (target !== undefined) signInFor(target) // guard: adv-lost-returns
    // guard: adv-long-named
    const rule = verdict.grounds && ruleTitle(verdict.grounds)
    log.line(request, target, 401, { code: verdict.code, rule, ...returnFacts(target) })
    return dialect.notSignedIn({ ...refusal, code: verdict.code })
  }
  const { grounds, session: { username } } = verdict
  const frontPage = target !== undefined && verdict.frontPage ? `${target.scheme}://${target.host}/` : undefined
  log.line(request, target, 403, {
    code: 'not_allowed',
    username,
    rule: ruleTitle(grounds),
    allows: grounds.allows,
  })
  return dialect.refused({
    ...refusal,
    error: new GatehouseError('not_allowed'),
    denied: { username, grounds, frontPage },
  })
}

function refuse(
  thrown: unknown,
  target: Target | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
  { dialect, publicUrl, pages, counters }: DialectOptions,
  unlogged: boolean,
): FastifyReply {
  const error = asGatehouseError(thrown)
  const place = target && { host: target.host, path: target.path, method: target.method }
  reply.headers({ 'cache-control': 'no-store', 'vary': 'Cookie' })
  const sent = dialect.refused({ request, reply, target, pages, signInUrl: signInUrl(publicUrl, target), error })
  if (unlogged && error.status < 500) return sent
  counters.failed(error.code)
  const { statusCode: status } = sent // what the proxy got: nginx understands no 400
  const facts = {
    correlationId: request.id,
    ...errorFacts(error), // guard: adv-proxy-status
    status,
    client: request.ip,
    dialect: dialect.path,
    ...place,
  }
  request.log[error.status >= 500 ? 'error' : 'warn'](facts, 'forward-auth refused')
  return sent
}

function refuseQuery(request: FastifyRequest): void {
  if (request.url.includes('?')) {
    throw new GatehouseError('query_unknown', {
      detail: 'the auth endpoint takes no query parameters',
      remedy: "Take the query off the address in the proxy's configuration; access is decided by the section access.",
    })
  }
}

export function signInUrl(publicUrl: string, target: Target | undefined): string {
  if (target === undefined) return `${publicUrl}/oauth2/start?rd=${encodeURIComponent(`${publicUrl}/`)}`
  const address = asParameter(targetUrl(target)) ?? encodeURIComponent(`${target.scheme}://${target.host}/`)
  return `${publicUrl}/oauth2/start?rd=${address}`
}

/** For the log: the person will come back to the front page, because the address is too long to carry. */
function returnFacts(target: Target | undefined): Readonly<Record<string, unknown>> {
  if (target === undefined || target.uri.length < 2_000 || asParameter(targetUrl(target)) !== undefined) return {}
  return {
    returnsTo: `the front page: an address of ${targetUrl(target).length} characters is too long to come back to`,
  }
}
