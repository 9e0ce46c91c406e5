// Shadow rules (`enforce: false`): each one is judged as if it alone were enforced beside the enforced rules, so that
// it decides in the same readings of a request as it will later. The answer never depends on it.
import {
  compileAccess,
  groundsOf,
  isEnforced,
  type AccessPolicy,
  type AccessRules,
  type Grounds,
  type NetworkTest,
  type PathInterpreter,
  type SessionRights,
} from './access.js'
import { compileHost, coversHost, hostIndex, type HostPattern } from './access-hosts.js'
import type { RuleCounter } from './activity-counters.js'
import type { Target } from './target.js'

export interface ShadowRequest {
  readonly target: Target
  readonly address: () => string | undefined
  /** Undefined: anonymous. */
  readonly session: SessionRights | undefined
}

/** The answer to a request if this shadow rule were enforced. */
export interface ShadowDecision {
  readonly rule: Pick<Grounds, 'path' | 'name' | 'allow' | 'allows' | 'description'>
  readonly kind: 'allowed' | 'not_signed_in' | 'not_allowed'
  /** The rule would decide; otherwise another one does. */
  readonly decides: boolean
}

export interface ShadowRules {
  /** Of every shadow rule for the target's host, in their order. */
  judge(request: ShadowRequest): readonly ShadowDecision[]
  /**
   * The same, counted.
   * @param allowed whether the request was let in
   * @returns the decisions that differ from the answer
   */
  count(request: ShadowRequest, allowed: boolean): readonly ShadowDecision[]
}

export interface ShadowRulesDeps {
  readonly networkTest: (networks: readonly string[]) => NetworkTest
  /** Of every rule, in the order of the configuration; empty where nothing is counted. */
  readonly counters?: readonly RuleCounter[]
  readonly interpretationsOf?: PathInterpreter
  /** The same rules as people are shown them. */
  readonly shown?: Pick<AccessRules, 'rules'>
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

interface CompiledShadowRule {
  readonly rule: ShadowDecision['rule']
  readonly policy: AccessPolicy
  readonly counter: RuleCounter | undefined
}

/** What the judgement of one request may take before the other rules are left out. */
const BUDGET_MS = 2

/** @returns undefined: there are no shadow rules */
export function compileShadowRules(access: AccessRules, deps: ShadowRulesDeps): ShadowRules | undefined {
  const { counters = [], shown = access, now = () => performance.now() } = deps
  const shadows = access.rules.flatMap((rule, index) => {
    if (isEnforced(rule)) return []
    return [{
      rule: groundsOf(rule, index, shown.rules[index]),
      policy: compileAlone(access, index, deps),
      counter: counters[index],
      hosts: rule.hosts.map(compileHost),
      methods: undefined,
      paths: undefined,
    }]
  })
  if (shadows.length === 0) return undefined
  const shadowsOf = hostIndex(shadows)
  const atHost = (hostname: string): readonly CompiledShadowRule[] => shadowsOf(hostname)?.otherMethods.all ?? []
  return {
    judge: (request) => atHost(request.target.hostname).map((shadow) => judged(shadow, request)),
    count(request, allowed) {
      const began = now()
      const changed: ShadowDecision[] = []
      for (const shadow of atHost(request.target.hostname)) {
        if (now() - began > BUDGET_MS) break // guard: policy-shadow-budget
        if (!mayMatter(shadow, request)) continue
        const decision = judged(shadow, request)
        if (shadow.counter !== undefined) addTo(shadow.counter, decision, allowed)
        if ((decision.kind === 'allowed') !== allowed) changed.push(decision)
      }
      return changed
    },
  }
}

function judged({ rule, policy }: CompiledShadowRule, { target, address, session }: ShadowRequest): ShadowDecision {
  const decision = policy.decide({ target, address }, session)
  return { rule, kind: decision.allow ? 'allowed' : decision.reason, decides: decision.grounds.path === rule.path }
}

/** As in authorization.ts: where no rule could let a request in that has no session, none is evaluated. */
function mayMatter({ policy }: CompiledShadowRule, { target, session }: ShadowRequest): boolean {
  return session !== undefined || policy.mayLetAnyoneIn(target.hostname) // guard: policy-shadow-closed-host
}

function addTo(counter: RuleCounter, { kind, decides }: ShadowDecision, allowed: boolean): void {
  if (decides) counter.count++
  if (allowed && kind !== 'allowed') counter.refused++
  if (!allowed && kind === 'allowed') counter.letIn++
}

/** The enforced rules that have a host in common with the shadow rule, and the shadow rule at its place among them. */
function compileAlone(
  access: AccessRules,
  shadow: number,
  { networkTest, interpretationsOf }: ShadowRulesDeps,
): AccessPolicy {
  const hosts = access.rules[shadow]?.hosts.map(compileHost) ?? []
  const rules = access.rules.map((rule, index) => {
    if (index === shadow) return { ...rule, enforce: true }
    return isEnforced(rule) && !haveCommonHost(hosts, rule.hosts.map(compileHost)) ? { ...rule, enforce: false } : rule
  })
  return compileAccess({ ...access, rules }, networkTest, undefined, interpretationsOf)
}

/** Of two patterns that match one host name, one is the narrower one. */
function haveCommonHost(one: readonly HostPattern[], other: readonly HostPattern[]): boolean {
  const anyPort = (host: HostPattern): HostPattern => ({ ...host, port: undefined })
  return one.map(anyPort).some((a) => other.map(anyPort).some((b) => coversHost(a, b) || coversHost(b, a)))
}
