// What Graph's refusals mean for the operator: status and `error.code` decide, never `error.message`
// (learn.microsoft.com, "Microsoft Graph error responses and resource types").
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import { isRecord } from '../core/is-record.js'
import { claimsChallenge } from './challenge.js'
import type { HttpAnswer } from './http-client.js'

const BETWEEN = 'Something between answers in its place, like a proxy that wants a login: ' +
  'check HTTPS_PROXY, NO_PROXY and entra.graphUrl.'
const CHALLENGED = 'Nothing to do: the person is sent to sign in again. ' +
  'If it happens often, look at Conditional Access and at the clocks.'
const PAGE_EXPIRED = 'Reading from the first page again did not help: the person signs in again.'
const UNAVAILABLE = 'Try again; see the status page of Microsoft 365.'
/** For whatever no document of Microsoft's explains. */
export const REPORT = 'Try again; if it stays, please report it with the request-id.'
export const COUNT_DIFFERS = 'Graph counts from an index that can lag: the person signs in again in a few minutes.'

export const THROTTLED =
  'Sign-ins go on by themselves as soon as Graph answers again. If it happens often, look for other ' +
  'programs that use the same registration, or lengthen sync.interval.'

const FORBIDDEN = 'Grant the delegated permission User.Read with admin consent; ' +
  'if it is there, set entra.membershipPath: me, or add GroupMember.Read.All.' // guard: forbidden-explained
/** The list of everything was refused, and so was the list of groups. */
export const DENIED = `${FORBIDDEN} If only guests are refused: grant GroupMember.Read.All (delegated) with ` +
  'admin consent, or allow guests more under External Identities > External collaboration settings > Guest user access.'

const BY_STATUS: Readonly<Record<number, { code: ErrorCode, remedy: string }>> = {
  401: {
    code: 'graph_unauthorized',
    remedy: 'The token was not accepted: ' +
      'check entra.graphUrl and entra.cloud (it must be for this Graph), and the clock.',
  },
  403: { code: 'graph_forbidden', remedy: FORBIDDEN },
  404: {
    code: 'person_not_found',
    remedy: 'The account was deleted, is brand-new, or entra.tenantId is of another tenant. ' +
      'A new account can take minutes to appear.',
  },
  429: {
    code: 'graph_throttled',
    remedy: THROTTLED,
  },
}

export interface GraphMeaning {
  readonly status: string
  readonly code: ErrorCode
  readonly remedy: string
}

/** The table, for documentation. */
export function graphMeanings(): readonly GraphMeaning[] {
  return [
    { status: '400 with an expired page token', code: 'graph_page_expired', remedy: PAGE_EXPIRED },
    { status: '401 with a claims challenge', code: 'graph_claims_challenge', remedy: CHALLENGED },
    ...Object.entries(BY_STATUS).map(([status, meaning]) => ({ status, ...meaning })),
    { status: '403 for the list of groups too', code: 'graph_forbidden', remedy: DENIED },
    { status: 'another `@odata.count` than there are groups', code: 'graph_count_differs', remedy: COUNT_DIFFERS },
    { status: 'other 4xx', code: 'graph_request_refused', remedy: REPORT },
    { status: '500 and above', code: 'graph_unavailable', remedy: UNAVAILABLE },
    { status: '3xx', code: 'graph_redirected', remedy: BETWEEN },
    { status: '200 without JSON', code: 'graph_not_json', remedy: BETWEEN },
    { status: '200 with something else than was asked for', code: 'graph_malformed', remedy: REPORT },
  ]
}

/** Microsoft's error as ours: status and `error.code` decide, `error.message` goes nowhere. */
export function graphError({ status, headers }: HttpAnswer, body: unknown, correlationId: string): GatehouseError {
  const error = isRecord(body) && isRecord(body.error) ? body.error : {}
  const graphCode = typeof error.code === 'string' ? error.code : ''
  const facts = {
    status,
    graphCode,
    requestId: headers['request-id'],
    clientRequestId: correlationId,
    date: headers.date,
    diagnostic: headers['x-ms-ags-diagnostic'],
    throttleScope: headers['x-ms-throttle-scope'],
  }
  const detail = `Graph answered ${status}${graphCode === '' ? '' : ` ${graphCode}`}`
  if (status === 400 && graphCode.includes('PageToken')) {
    return new GatehouseError('graph_page_expired', { detail, facts, remedy: PAGE_EXPIRED })
  }
  const claims = status === 401 ? claimsChallenge(headers['www-authenticate']) : undefined
  if (claims !== undefined) {
    const challenged = { detail: `${detail} with a claims challenge`, facts: { ...facts, claims }, remedy: CHALLENGED }
    return new GatehouseError('graph_claims_challenge', challenged)
  }
  const known = BY_STATUS[status]
  if (known) return new GatehouseError(known.code, { detail, facts, remedy: known.remedy })
  if (status >= 500) return new GatehouseError('graph_unavailable', { detail, facts, remedy: UNAVAILABLE })
  if (status >= 400) return new GatehouseError('graph_request_refused', { detail, facts, remedy: REPORT })
  if (status >= 300) {
    return new GatehouseError('graph_redirected', { detail: `${detail}, a redirect`, facts, remedy: BETWEEN })
  }
  if (body === undefined) {
    return new GatehouseError('graph_not_json', { detail: `${detail} without JSON`, facts, remedy: BETWEEN })
  }
  const malformed = { detail: `${detail} without the object that was asked for`, facts, remedy: REPORT }
  return new GatehouseError('graph_malformed', malformed)
}
