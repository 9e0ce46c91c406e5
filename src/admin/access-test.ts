// The decision that a proxy would get about a request of somebody, and why: which rules decide, in every interpretation
// of the path, and which headers the application would get. Changes nothing.
import {
  compileAccess,
  type AccessPolicy,
  type AddressedRequest,
  type Decision,
  type NetworkTest,
  type SessionRights,
} from '../core/access.js'
import { isKnownMethod } from '../core/access-hosts.js'
import { groupsRead, rowsNotHit, type GroupRead, type RowNotHit } from '../core/entra-groups.js'
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import { headerDefinitions, identityHeaders, type HeaderPair } from '../core/identity-headers.js'
import { createGroupMapping } from '../core/mapping.js'
import { memoizeByConfig } from '../core/memoize-by-config.js'
import type { LocalGroups, PolicyInForce, PolicyUsers } from '../core/policy.js'
import { compileShadowRules, type ShadowDecision } from '../core/shadow-rules.js'
import { parseTargetUrl, type Target } from '../core/target.js'
import {
  assumedUser,
  evaluatedGroups,
  evaluatedUser,
  judged,
  type EvaluatedUser,
  type JudgedRule,
} from './evaluated.js'
import { objectIdInvalid } from './text.js'

export interface AccessTestInput {
  /** Username, UPN, e-mail address or id. Without it and without Entra groups: the request is anonymous. */
  readonly user?: string | undefined
  /** Object IDs: what somebody with these groups would get. */
  readonly entraGroups?: readonly string[] | undefined
  /** In place of both: what somebody with these rights would get. */
  readonly rights?: SessionRights | undefined
  readonly method: string
  readonly url: string
  /** The client's address. */
  readonly address?: string | undefined
}

export interface AccessTestResult {
  /** Undefined: anonymous. */
  readonly user: EvaluatedUser | undefined
  /** The user is deactivated and counts as anonymous. */
  readonly inactive: boolean
  readonly target: Target
  readonly decision: Decision
  /** The decision if the proxy does not send the port. */
  readonly withoutPort: Decision
  /** Every rule that must let them in. */
  readonly rules: readonly JudgedRule[]
  readonly interpretations: readonly TestedInterpretation[]
  /** The shadow rules that would decide if they were enforced; they decide nothing. */
  readonly shadowRules: readonly TestedShadowRule[]
  /** What the application would get with the request; undefined: it would not get the request. */
  readonly headers: TestedHeaders | undefined
  readonly read: readonly GroupRead[]
  readonly notHit: readonly RowNotHit[]
  readonly notes: readonly TestNote[]
}

/** `address_needed`: rules with networks may or may not match. */
export type TestNote = 'address_needed' | 'address_unreadable' | 'method_unknown'

export interface TestedInterpretation {
  /** Undefined: any path is possible. */
  readonly path: string | undefined
  /** Undefined: every port. */
  readonly port: string | undefined
  /** The rules that may decide about it. */
  readonly rules: readonly { readonly path: string, readonly name: string | null }[]
}

export interface TestedShadowRule {
  readonly path: string
  readonly name: string | null
  /** Whom it lets in, in words. */
  readonly allows: string
  /** What the answer would be. */
  readonly would: ShadowDecision['kind']
  /** It would be another one. */
  readonly differs: boolean
}

/** `assertion`: a signed assertion is among them, which is not shown. */
export type TestedHeaders =
  | { readonly pairs: readonly HeaderPair[], readonly assertion: boolean }
  | { readonly tooLarge: GatehouseError }

export interface AccessTestAdmin {
  /**
   * @throws `target_malformed`, `user_unknown`, `user_ambiguous`, `object_id_invalid`, `request_malformed` (both a user
   * and Entra groups are given)
   */
  test(input: AccessTestInput): Promise<AccessTestResult>
}

export interface AccessTestPorts {
  readonly policy: () => Pick<PolicyInForce, 'access' | 'groupMapping' | 'headers'>
  /** The same for people to read. */
  readonly shown?: AccessTestPorts['policy'] | undefined
  readonly users: Pick<PolicyUsers, 'find'>
  readonly localGroups: LocalGroups
  readonly networkTest: (networks: readonly string[]) => NetworkTest
}

export function createAccessTestAdmin(ports: AccessTestPorts): AccessTestAdmin {
  const { policy, shown = policy, users, localGroups, networkTest } = ports
  const inForce = memoizeByConfig(policy, (current) => compiledFrom(current, shown(), networkTest))
  const whoIs = async ({ user, entraGroups, rights }: AccessTestInput) => {
    const { mapping } = inForce()
    if (rights !== undefined) return assumedUser(rights, mapping)
    if (entraGroups !== undefined) {
      if (user !== undefined) throw new GatehouseError('request_malformed', { detail: EITHER, remedy: EITHER })
      const ids = entraGroups.map(checkedId)
      return evaluatedGroups(ids, mapping, await localGroups.named([...mapping.evaluate(ids).groups.keys()]))
    }
    return user === undefined ? undefined : evaluatedUser(await users.find(user), mapping)
  }
  return {
    async test(input) {
      const target = asReached(targetOf(input.url, input.method))
      const user = await whoIs(input)
      const compiled = inForce()
      const request = { target, address: () => input.address }
      const ids = input.entraGroups ?? user?.snapshot?.entraGroupIds ?? []
      const decision = compiled.policy.decide(request, user)
      return {
        user,
        inactive: user === undefined && input.user !== undefined,
        target,
        decision,
        withoutPort: compiled.policy.decide({ ...request, target: { ...target, port: undefined } }, user),
        rules: compiled.policy.grounds(request).map((grounds) => judged(grounds, user)),
        interpretations: interpretationsOf(compiled.policy, request),
        shadowRules: (compiled.shadows?.judge({ ...request, session: user }) ?? []).flatMap((shadow) =>
          testedShadow(shadow, decision)
        ),
        headers: decision.allow ? headersFor(user, compiled) : undefined,
        read: groupsRead(compiled.rows, ids),
        notHit: rowsNotHit(compiled.rows, ids, compiled.shownRows),
        notes: notesOn(input, target, compiled),
      }
    },
  }
}

function compiledFrom(
  { access, groupMapping, headers }: ReturnType<AccessTestPorts['policy']>,
  shown: ReturnType<AccessTestPorts['policy']>,
  networkTest: AccessTestPorts['networkTest'],
) {
  return {
    policy: compileAccess(access, networkTest, undefined, undefined, shown.access),
    shadows: compileShadowRules(access, { networkTest, shown: shown.access }),
    rows: groupMapping,
    shownRows: shown.groupMapping,
    mapping: createGroupMapping(groupMapping),
    definitions: headerDefinitions(headers),
    shownDefinitions: headerDefinitions(shown.headers),
    headers,
    withNetworks: access.rules.some(({ networks }) => networks !== undefined),
    isAddress: networkTest(['loopback']),
  }
}

const EITHER = 'Give a user or Entra groups, not both.'

function checkedId(id: string): string {
  if (isObjectId(id)) return id.toLowerCase()
  throw objectIdInvalid([id])
}

function targetOf(url: string, method: string): Target {
  try {
    return parseTargetUrl(url, method)
  } catch (error) {
    if (!(error instanceof GatehouseError) || error.remedy !== undefined) throw error
    const remedy = `Write the whole address: ${
      url.includes('://') ? 'https://host/path' : `https://${url.replace(/^\/+/, '')}`
    }`
    throw new GatehouseError(error.code, { cause: error, detail: error.message, remedy, facts: error.facts })
  }
}

/** For a proxy that sends the port on which it was reached. */
export function asReached(target: Target): Target {
  return { ...target, port: target.namedPort ?? (target.scheme === 'https' ? '443' : '80') }
}

function interpretationsOf(policy: AccessPolicy, request: AddressedRequest): readonly TestedInterpretation[] {
  return policy.interpretations(request).map(({ path, port, grounds }) => ({
    path: path === undefined ? undefined : Buffer.from(path, 'latin1').toString('utf8'),
    port,
    rules: grounds.map(({ path, name = null }) => ({ path, name })),
  }))
}

function testedShadow({ rule, kind, decides }: ShadowDecision, decision: Decision): TestedShadowRule[] {
  const differs = kind !== (decision.allow ? 'allowed' : decision.reason)
  if (!decides && !differs) return []
  return [{ path: rule.path, name: rule.name ?? null, allows: rule.allows, would: kind, differs }]
}

interface Compiled {
  readonly definitions: ReturnType<typeof headerDefinitions>
  readonly shownDefinitions: ReturnType<typeof headerDefinitions>
  readonly headers: PolicyInForce['headers']
  readonly withNetworks: boolean
  readonly isAddress: NetworkTest
}

function headersFor(user: EvaluatedUser | undefined, compiled: Compiled): TestedHeaders {
  const { definitions, shownDefinitions, headers } = compiled
  try {
    const pairs = identityHeaders(user, definitions, undefined, headers.maxBytes)
      .map(([name, value], index): HeaderPair => [shownDefinitions[index]?.name ?? name, value])
    return { pairs, assertion: headers.families.includes('assertion') }
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'identity_too_large') return { tooLarge: error }
    throw error
  }
}

function notesOn({ address }: AccessTestInput, target: Target, { withNetworks, isAddress }: Compiled): TestNote[] {
  return [
    ...(address === undefined && withNetworks ? ['address_needed' as const] : []),
    ...(address !== undefined && isAddress(address) === undefined ? ['address_unreadable' as const] : []),
    ...(isKnownMethod(target.method) ? [] : ['method_unknown' as const]),
  ]
}
