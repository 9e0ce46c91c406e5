// The part of `gatehouse policy preview` about requests of the last day that would be decided otherwise.
import { compareRequests } from '../admin/request-comparison.js'
import { asWritten } from '../config/as-written.js'
import type { Config } from '../config/config.js'
import type { PreviewedDecision, PreviewedRequest, PreviewedRequests } from '../core/policy-preview.js'
import { requestsSampled } from '../draft-use-cases.js'
import { print, printTable, withDatabase, type CommonOptions } from './context.js'
import { policyPorts } from './policy-ports.js'

/** @returns null: none are sampled */
export async function requestsOtherwise(
  next: Config,
  options: CommonOptions,
): Promise<PreviewedRequests | null> {
  const { localGroups } = policyPorts(options)
  return await withDatabase(options, async ({ database, config }) => {
    const sample = requestsSampled(database, config, asWritten(config))
    const policy = { ...next, shownAccess: asWritten(next).access }
    return sample === undefined ? null : await compareRequests(policy, sample, localGroups) ?? null
  })
}

const WORDS = {
  allowed: 'allowed',
  refused: 'refused',
  sign_in: 'must sign in',
  depends: 'depends on the address',
} as const

export function printRequests(sampled: PreviewedRequests | null): void {
  if (sampled === null) {
    print('No requests are compared: access.sample is 0.')
    return
  }
  const { compared, differing, undecided, requests } = sampled
  printTable(
    ['USER', 'REQUEST', 'NOTED', 'NOW', 'THEN'],
    requests.map((request) => [
      request.username ?? 'without a session',
      requestText(request),
      String(request.count),
      decisionText(request.now),
      decisionText(request.then),
    ]),
    'No request that was noted in the last day would be decided otherwise.',
  )
  const listed = differing > requests.length ? ` These are ${requests.length} of them.` : ''
  print(`${differing} of ${compared} different requests of the last day would be decided otherwise.${listed}`)
  if (requests.some(({ isCut }) => isCut)) {
    print('Paths that end in ... were cut: about the whole of them, other rules may decide.')
  }
  if (undecided > 0) print(`${undecided} cannot be compared: they depend on the address, which is not kept.`)
}

function requestText({ method, host, path, isCut }: PreviewedRequest): string {
  return `${method} ${host}${path}${isCut ? '...' : ''}`
}

function decisionText({ decision, rule: { path, name } }: PreviewedDecision): string {
  return `${WORDS[decision]}, ${name ?? path}`
}
