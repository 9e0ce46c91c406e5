// What Graph's response about one account means. Anything unclear is an error: an account is never taken for enabled,
// disabled or deleted by a guess.
import type { EnabledAccount } from '../core/account-source.js'
import { GatehouseError } from '../core/errors.js'
import type { BatchResponse } from './graph-batch.js'
import { graphError, REPORT } from './graph-errors.js'
import { isRecord } from '../core/is-record.js'

export type AccountState =
  | Omit<EnabledAccount, 'groupIds'>
  | { readonly kind: 'disabled' }
  | { readonly kind: 'missing' }

/** The properties that `accountState` needs. */
export const ACCOUNT_PROPERTIES = 'id,accountEnabled,signInSessionsValidFromDateTime,userPrincipalName'

const PERMISSIONS = 'Grant the application permissions User.Read.All and GroupMember.Read.All with admin consent.'

/** @throws GatehouseError `graph_*`, `person_not_found` */
export function accountState(oid: string, response: BatchResponse | undefined, correlationId: string): AccountState {
  // guard: sync-missing-per-graph
  if (response?.status === 404 && errorCode(response.body) === 'Request_ResourceNotFound') return { kind: 'missing' }
  const account = bodyOf(response, correlationId)
  const { id, accountEnabled, signInSessionsValidFromDateTime, userPrincipalName: name } = account
  const upn = typeof name === 'string' && name !== '' ? { upn: name } : {} // guard: adv-upn-of-graph
  if (typeof id !== 'string' || id.toLowerCase() !== oid) { // guard: sync-other-account
    throw new GatehouseError('graph_malformed', { detail: 'the response is about another account', remedy: REPORT })
  }
  if (typeof accountEnabled !== 'boolean') { // guard: sync-enabled-missing
    throw new GatehouseError('graph_forbidden', {
      detail: 'the response has no value of accountEnabled',
      remedy: PERMISSIONS,
    })
  }
  if (!accountEnabled) return { kind: 'disabled' } // guard: sync-disabled
  return { kind: 'enabled', sessionsValidFrom: validFrom(signInSessionsValidFromDateTime), ...upn }
}

/** @returns ISO 8601; null where the account has no such time */
function validFrom(value: unknown): string | null {
  if (value === null) return null
  const instant = typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)
    ? Date.parse(value)
    : Number.NaN
  if (Number.isNaN(instant)) { // guard: sync-valid-from-missing
    throw new GatehouseError('graph_malformed', {
      detail: 'signInSessionsValidFromDateTime is not a valid time',
      remedy: REPORT,
    })
  }
  return new Date(instant).toISOString()
}

/** @throws GatehouseError where the request of the batch failed or has no response */
export function bodyOf(response: BatchResponse | undefined, correlationId: string): Readonly<Record<string, unknown>> {
  if (response === undefined) { // guard: sync-batch-whole
    throw new GatehouseError('graph_malformed', {
      detail: 'the answer to a batch lacks a response to one of its requests',
      remedy: REPORT,
    })
  }
  if (response.status !== 200 || !isRecord(response.body)) throw responseError(response, correlationId)
  return response.body
}

export function responseError({ status, headers, body }: BatchResponse, correlationId: string): GatehouseError {
  return withApplicationRemedy(graphError({ status, headers, text: '' }, body, correlationId))
}

/** A sign-in needs delegated permissions, a re-evaluation needs application permissions. */
export function withApplicationRemedy(error: GatehouseError): GatehouseError {
  return error.code === 'graph_forbidden'
    // guard: adv-guests-sync
    ? new GatehouseError('graph_forbidden', { detail: error.message, facts: error.facts, remedy: PERMISSIONS })
    : error
}

function errorCode(body: unknown): unknown {
  return isRecord(body) && isRecord(body.error) ? body.error.code : undefined
}
