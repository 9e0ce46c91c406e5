// Which sampled requests another policy would decide otherwise: both policies decide by the code that decides about
// real requests, for the user with the rights of now and with those that the other mapping gives.
import { setImmediate } from 'node:timers/promises'
import {
  compileAccess,
  decisionWord,
  type AccessPolicy,
  type AccessRules,
  type NetworkTest,
  type SessionRights,
} from '../core/access.js'
import { countedKeys } from '../core/activity.js'
import { GatehouseError } from '../core/errors.js'
import { createGroupMapping, type MappingRow } from '../core/mapping.js'
import type { LocalGroup, LocalGroups } from '../core/policy.js'
import {
  MOST_REQUESTS,
  type PreviewedDecision,
  type PreviewedRequest,
  type PreviewedRequests,
  type PreviewedRule,
  type SampledUser,
} from '../core/policy-preview.js'
import type { CountedRequest } from '../core/request-sample.js'
import { parseTargetUrl, type Target } from '../core/target.js'
import { asReached } from './access-test.js'
import { evaluatedGroups } from './evaluated.js'

export interface ComparedPolicy {
  readonly access: AccessRules
  /** The same for people to read. */
  readonly shownAccess: AccessRules
}

export interface ComparisonOptions {
  readonly now: ComparedPolicy
  readonly then: ComparedPolicy & { readonly groupMapping: readonly MappingRow[] }
  /** The local groups of the other mapping that exist. */
  readonly localGroups: readonly LocalGroup[]
  readonly networkTest: (networks: readonly string[]) => NetworkTest
  /** The scheme of publicUrl, which all applications use. */
  readonly scheme: 'http' | 'https'
}

export interface SampledRequests extends Pick<ComparisonOptions, 'networkTest' | 'scheme'> {
  readonly inForce: ComparedPolicy
  /** The requests of the last day, in batches, each with its user. @param entraGroups those that matter */
  readonly read: (
    entraGroups: readonly string[],
  ) => AsyncIterable<readonly (CountedRequest & { readonly user: SampledUser | null })[]>
}

/** One path may take two milliseconds for each policy: so many are judged before other work has its turn. */
const JUDGED_AT_ONCE = 10

/** @param goesOn asked after each batch @returns undefined: it did not go on */
export async function compareRequests(
  policy: ComparisonOptions['then'],
  sample: SampledRequests,
  localGroups: LocalGroups,
  goesOn: () => Promise<boolean> = () => Promise.resolve(true),
): Promise<PreviewedRequests | undefined> {
  const { groupMapping } = policy
  const named = await localGroups.named([...new Set(groupMapping.flatMap(({ groups }) => groups))])
  const comparison = createRequestComparison({ ...sample, now: sample.inForce, then: policy, localGroups: named })
  for await (const batch of sample.read(groupMapping.map(({ entraGroup }) => entraGroup))) {
    for (const [index, { user, ...request }] of batch.entries()) {
      comparison.add(request, user ?? undefined)
      if (index % JUDGED_AT_ONCE === 0) await setImmediate()
    }
    if (!await goesOn()) return undefined
  }
  return comparison.result()
}

export interface RequestComparison {
  /** @param user undefined: a request without a session */
  add(request: CountedRequest, user: SampledUser | undefined): void
  result(): PreviewedRequests
}

export function createRequestComparison(options: ComparisonOptions): RequestComparison {
  const { now, then, localGroups, scheme } = options
  const [policyNow, policyThen] = [compiled(now, options), compiled(then, options)]
  const mapping = createGroupMapping(then.groupMapping)
  const rules = ruleTitles(now)
  const totals = { compared: 0, differing: 0, undecided: 0 }
  let gravest: PreviewedRequest[] = []
  const sorted = (): readonly PreviewedRequest[] => {
    gravest = gravest.sort(byGravity).slice(0, MOST_REQUESTS)
    return gravest
  }
  const rightsThen = (user: SampledUser): SessionRights =>
    user.entraGroupIds === null ? user : evaluatedGroups(user.entraGroupIds, mapping, localGroups)
  return {
    add(request, user) {
      const target = targetOf(request, scheme)
      if (target === undefined) return
      const [before, after] = [
        decisionOf(policyNow, target, user),
        decisionOf(policyThen, target, user && rightsThen(user)),
      ]
      totals.compared++
      if (before.decision === 'depends' && after.decision === 'depends') totals.undecided++
      if (before.decision === after.decision) return
      totals.differing++
      const { userId, host, method, path, isCut, count, rule } = request
      const username = user?.username ?? null
      const decidedBy = rules.get(rule) ?? null
      gravest.push({ userId, username, host, method, path, isCut, count, decidedBy, now: before, then: after })
      if (gravest.length >= 2 * MOST_REQUESTS) sorted()
    },
    result: () => ({ ...totals, requests: sorted() }),
  }
}

function compiled({ access, shownAccess }: ComparedPolicy, { networkTest }: ComparisonOptions): AccessPolicy {
  return compileAccess(access, networkTest, undefined, undefined, shownAccess)
}

/** In place of what a path that was cut had: matched by `*` and `**`, and the name of nothing. */
const ANY_SEGMENT = '%E2%80%A6'

/** Undefined: what was cut off it makes it malformed. */
function targetOf({ host, method, path, isCut }: CountedRequest, scheme: 'http' | 'https'): Target | undefined {
  const whole = isCut ? `${path.replace(/\/$/, '')}/${ANY_SEGMENT}` : path
  try {
    return asReached(parseTargetUrl(`${scheme}://${host}${whole}`, method))
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'target_malformed') return undefined
    throw error
  }
}

/** The address of the client is not kept: a decision may depend on it. */
function decisionOf(policy: AccessPolicy, target: Target, rights: SessionRights | undefined): PreviewedDecision {
  const request = { target, address: undefined }
  const decision = policy.decide(request, rights)
  const grounds = decision.allow === undefined
    ? policy.grounds(request).find(({ dependsOnAddress }) => dependsOnAddress)
    : decision.grounds
  return { decision: decisionWord(decision), rule: { path: grounds?.path ?? '', name: grounds?.name ?? null } }
}

/** By their keys (core/activity.ts). */
function ruleTitles({ access: { rules }, shownAccess }: ComparedPolicy): ReadonlyMap<string, PreviewedRule> {
  const titles = [
    ...rules.map((_, index): PreviewedRule => ({
      path: `access.rules[${index}]`,
      name: shownAccess.rules[index]?.name ?? null,
    })),
    { path: 'access.default', name: null },
    { path: 'access.rules', name: null },
  ]
  return new Map(countedKeys(rules).flatMap((key, index) => titles[index] === undefined ? [] : [[key, titles[index]]]))
}

/** What would be let in first, without a session before with one; then the most frequent ones. */
function byGravity(a: PreviewedRequest, b: PreviewedRequest): number {
  return weight(b) - weight(a) || b.count - a.count
}

function weight({ userId, then }: PreviewedRequest): number {
  if (then.decision !== 'allowed') return 0
  return userId === null ? 2 : 1
}
