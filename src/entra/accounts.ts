// What Entra ID says of people who are not here, asked with Gatehouse's own permissions (User.Read.All,
// GroupMember.Read.All): two questions a person, twenty in a request (learn.microsoft.com, "Combine multiple HTTP
// requests using JSON batching").
import { setTimeout as sleep } from 'node:timers/promises'
import { GatehouseError } from '../core/errors.js'
import type { AccountResult, AccountSource, EnabledAccount } from '../core/account-source.js'
import { createAppToken } from './app-token.js'
import type { EntraConnection } from './client.js'
import { graphError, REPORT, THROTTLED } from './graph-errors.js'
import { createGraphClient, MAX_PAUSE_MS, type GraphRequest } from './graph.js'
import { isRecord } from '../core/is-record.js'
import { firstPage, readMemberships } from './memberships.js'
import { parseRetryAfter } from './retry-after.js'

export interface AccountSourceOptions extends EntraConnection {
  readonly securityGroupsOnly: boolean
  /** For each request with what it leads to, and for all the further pages of the people in it. */
  readonly budgetMs: number
}

interface Item {
  readonly id: string
  readonly method: 'GET'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}
interface ItemAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}
type Asking = Omit<GraphRequest, 'url'>

const MAX_ITEMS = 20
const ATTEMPTS = 4
const RETRIED = new Set([429, 503, 504])
const BACKOFF_MS = 1_000
/** On each question as on the whole: no page of Microsoft's says which of them counts. */
const LOW = { 'x-ms-throttle-priority': 'low' }
const ACCOUNT = 'id,accountEnabled,signInSessionsValidFromDateTime,userPrincipalName'
const PERMISSIONS = 'Grant the application permissions User.Read.All and GroupMember.Read.All with admin consent.'

export function createAccountSource(options: AccountSourceOptions): AccountSource {
  const { http, endpoints, securityGroupsOnly, budgetMs } = options
  const graph = createGraphClient({ http, graphUrl: endpoints.graph, patient: true })
  const token = createAppToken(options)
  let pausedUntil = -Infinity // one 429 or Retry-After holds for all batches

  const budget = () => ({ deadline: performance.now() + budgetMs, signal: AbortSignal.timeout(budgetMs) })
  /** @returns false where the pause that Graph asked for would outlast the request */
  const paused = async ({ deadline, signal }: Asking, until: number): Promise<boolean> => {
    const ms = until - performance.now()
    if (ms > 0 && performance.now() + ms >= deadline) return false // guard: sync-pause
    if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => {})
    return true
  }
  /** Each item's answer; those that are throttled are asked again, the others not. */
  const askAll = async (items: readonly Item[], request: Asking): Promise<ReadonlyMap<string, ItemAnswer>> => {
    const answers = new Map<string, ItemAnswer>()
    if (!await paused(request, pausedUntil)) {
      throw new GatehouseError('graph_throttled', { detail: 'Graph asked for a longer pause', remedy: THROTTLED })
    }
    let open = items
    for (let attempt = 1;; attempt++) {
      for (
        const [id, answer] of itemAnswers(
          await graph.post({ ...request, url: `${endpoints.graph}/v1.0/$batch` }, { requests: open }),
          open,
        )
      ) answers.set(id, answer)
      open = open.filter(({ id }) => RETRIED.has(answers.get(id)?.status ?? 0))
      const last = open.length === 0 || attempt === ATTEMPTS
      let again = pausedUntil
      for (const { status, headers } of open.flatMap(({ id }) => answers.get(id) ?? [])) {
        const asked = parseRetryAfter(headers['retry-after'], Date.now())
        const until = performance.now() + Math.min(MAX_PAUSE_MS, asked ?? BACKOFF_MS * attempt ** 2)
        again = Math.max(again, until)
        // A 503 that names no time is about one person: nobody else waits for it.
        // guard: sync-pause-own, sync-pause-named, sync-pause-last
        if (asked !== undefined || (status === 429 && !last)) pausedUntil = Math.max(pausedUntil, until)
      }
      if (last || !await paused(request, again)) return answers
    }
  }
  const standing = async (
    oid: string,
    account: ItemAnswer | undefined,
    first: ItemAnswer | undefined,
    request: Asking,
  ): Promise<AccountResult> => {
    try {
      const state = accountState(oid, account, request.correlationId)
      if (state.kind !== 'enabled') return state
      const { groupIds } = await readMemberships({
        graph,
        graphUrl: endpoints.graph,
        path: 'users',
        securityGroupsOnly,
      }, { oid, first: () => bodyOf(first, request.correlationId), ...request }) // guard: sync-plain-request
      return { ...state, groupIds }
    } catch (error) {
      if (error instanceof GatehouseError) return { kind: 'failed', error: forProgram(error) }
      throw error
    }
  }
  const read = async (oids: readonly string[], request: Asking): Promise<ReadonlyMap<string, AccountResult>> => {
    const { correlationId } = request
    const answers = await askAll(
      oids.flatMap((oid, index) => [
        // guard: sync-priority
        { id: `${index}-account`, method: 'GET', headers: LOW, url: `/users/${oid}?$select=${ACCOUNT}` },
        {
          id: `${index}-groups`,
          method: 'GET',
          headers: LOW,
          url: firstPage(`users/${oid}`, 'transitiveMemberOf', securityGroupsOnly),
        },
      ]),
      request,
    )
    // the token, not the person
    for (const answer of answers.values()) if (answer.status === 401) throw itemError(answer, correlationId)
    const pages = { ...request, ...budget() }
    return new Map(
      await Promise.all(
        oids.map(async (oid, index) =>
          [oid, await standing(oid, answers.get(`${index}-account`), answers.get(`${index}-groups`), pages)] as const
        ),
      ),
    )
  }
  return {
    batchSize: MAX_ITEMS / 2,
    async read(oids, correlationId) {
      for (let again = false;; again = true) {
        const time = budget()
        const request: Asking = {
          accessToken: await token.get(correlationId, time.signal),
          correlationId,
          ...time,
          priority: 'low',
        }
        try {
          return await read(oids, request)
        } catch (error) {
          if (!(error instanceof GatehouseError)) throw error
          if (error.facts.status === 401) token.drop(request.accessToken) // guard: sync-token-refused
          if (error.facts.status !== 401 || again) throw forProgram(error)
        }
      }
    },
  }
}

/** The answers by their items' ids; whatever else came, or came twice, makes all of it unusable. */
function itemAnswers(
  { responses }: Readonly<Record<string, unknown>>,
  items: readonly Item[],
): ReadonlyMap<string, ItemAnswer> {
  const malformed = (detail: string): GatehouseError =>
    new GatehouseError('graph_malformed', { detail: `the answer to a batch ${detail}`, remedy: REPORT })
  if (!Array.isArray(responses)) throw malformed('has no list of responses')
  const asked = new Set(items.map(({ id }) => id))
  const answers = new Map<string, ItemAnswer>()
  for (const response of responses as readonly unknown[]) {
    const { id, status, headers, body } = isRecord(response) ? response : {}
    if (typeof id !== 'string' || !asked.has(id) || answers.has(id)) { // guard: sync-batch-ids
      throw malformed('has a response to no question, or two to one')
    }
    if (typeof status !== 'number') throw malformed('has a response without a status') // guard: sync-batch-status
    answers.set(id, { status, headers: lowerCase(headers), body })
  }
  return answers
}

function lowerCase(headers: unknown): Readonly<Record<string, string>> {
  return isRecord(headers)
    ? Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]))
    : {}
}

function bodyOf(answer: ItemAnswer | undefined, correlationId: string): Readonly<Record<string, unknown>> {
  if (answer === undefined) { // guard: sync-batch-whole
    throw new GatehouseError('graph_malformed', {
      detail: 'a batch leaves a question without an answer',
      remedy: REPORT,
    })
  }
  if (answer.status !== 200 || !isRecord(answer.body)) throw itemError(answer, correlationId)
  return answer.body
}

function itemError({ status, headers, body }: ItemAnswer, correlationId: string): GatehouseError {
  return forProgram(graphError({ status, headers, text: '' }, body, correlationId))
}

/** What a person's login would need is not what this needs. */
function forProgram(error: GatehouseError): GatehouseError {
  return error.code === 'graph_forbidden'
    // guard: adv-guests-sync
    ? new GatehouseError('graph_forbidden', { detail: error.message, facts: error.facts, remedy: PERMISSIONS })
    : error
}

type AccountState = Omit<EnabledAccount, 'groupIds'> | { readonly kind: 'disabled' } | { readonly kind: 'missing' }

/**
 * @throws GatehouseError where the answer leaves anything open: nobody is taken for enabled, disabled or gone by a
 * guess
 */
function accountState(oid: string, answer: ItemAnswer | undefined, correlationId: string): AccountState {
  // guard: sync-missing-said-by-graph
  if (answer?.status === 404 && errorCode(answer.body) === 'Request_ResourceNotFound') return { kind: 'missing' }
  const account = bodyOf(answer, correlationId)
  const { id, accountEnabled, signInSessionsValidFromDateTime: validFrom, userPrincipalName: name } = account
  const upn = typeof name === 'string' && name !== '' ? { upn: name } : {} // guard: adv-upn-of-graph
  if (typeof id !== 'string' || id.toLowerCase() !== oid) { // guard: sync-somebody-else
    throw new GatehouseError('graph_malformed', { detail: 'Graph answered about somebody else', remedy: REPORT })
  }
  if (typeof accountEnabled !== 'boolean') { // guard: sync-enabled-unsaid
    throw new GatehouseError('graph_forbidden', {
      detail: 'Graph does not say whether the account is enabled',
      remedy: PERMISSIONS,
    })
  }
  if (!accountEnabled) return { kind: 'disabled' } // guard: sync-disabled
  if (validFrom === null) return { kind: 'enabled', sessionsValidFrom: null, ...upn }
  const instant = typeof validFrom === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(validFrom)
    ? Date.parse(validFrom)
    : Number.NaN
  if (Number.isNaN(instant)) { // guard: sync-valid-from-unsaid
    throw new GatehouseError('graph_malformed', {
      detail: 'signInSessionsValidFromDateTime is no time',
      remedy: REPORT,
    })
  }
  return { kind: 'enabled', sessionsValidFrom: new Date(instant).toISOString(), ...upn }
}

function errorCode(body: unknown): unknown {
  return isRecord(body) && isRecord(body.error) ? body.error.code : undefined
}
