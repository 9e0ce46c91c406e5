// Access rules by host, method, path and network: the first rule that matches decides. Input: a target, an address and
// a session; output: a decision. The rules are compiled once, and a request is compared only with the rules of its host
// and method.
import {
  compileHost,
  hostIndex,
  isKnownMethod,
  type HostPattern,
  type HostRules,
  type PathRules,
} from './access-hosts.js'
import { countedKeys } from './activity.js'
import type { RuleCounter } from './activity-counters.js'
import { compilePath, matchesSegments, segmentsOf, type PathPattern } from './path-pattern.js'
import { pathInterpretations, type PathInterpretations } from './path-interpretations.js'
import type { SessionRecord } from './session.js'
import type { Target } from './target.js'

export type Allow = 'anyone' | 'authenticated' | 'deny' | AllowAnyOf

/** Any one of these is sufficient. */
export interface AllowAnyOf {
  readonly groups: readonly string[]
  readonly permissions: readonly string[]
  readonly staff: true | undefined
  readonly superuser: true | undefined
}

export interface AccessRule {
  /** What people read in place of its key in the configuration. */
  readonly name?: string | undefined
  /** `host`, `*.suffix`, either with `:port`. */
  readonly hosts: readonly string[]
  readonly networks: readonly string[] | undefined
  readonly methods: readonly string[] | undefined
  readonly paths: readonly string[] | undefined
  readonly allow: Allow
  /** False: a shadow rule, which decides nothing (shadow-rules.ts). */
  readonly enforce?: boolean | undefined
}

export interface AccessRules {
  /** Decides where no rule matches. */
  readonly default: 'authenticated' | 'deny'
  readonly rules: readonly AccessRule[]
}

/** Whether an address is in a network; undefined: the address is missing or cannot be parsed. */
export type NetworkTest = (address: string | undefined) => boolean | undefined

export interface AccessRequest {
  readonly target: Target
  /**
   * The client's address according to trusted proxies; called only where a rule has networks. Undefined: not read yet,
   * so rules with networks are indeterminate.
   */
  readonly address: (() => string | undefined) | undefined
}

export interface AddressedRequest extends AccessRequest {
  readonly address: () => string | undefined
}

/** What decided: a rule of the configuration, or `access.default`. */
export interface Grounds {
  /** Its key in the configuration, such as `access.rules[2]`. */
  readonly path: string
  /** Its name, if it has one. */
  readonly name?: string
  readonly allow: Allow
  /** Which users it allows, in words. */
  readonly allows: string
  /** The requests that the rule matches, in words. */
  readonly description: string
  /** There are rules, and no rule names this host. */
  readonly hostUnnamed?: true
  /** The rule has networks and the client's address is not known yet: the match is indeterminate. */
  readonly dependsOnAddress?: true
  /** Where answers are counted: those that it decided. */
  readonly hits?: Pick<RuleCounter, 'count' | 'key'>
}

export type Decision =
  | { readonly allow: true, readonly grounds: Grounds }
  | { readonly allow: false, readonly reason: 'not_signed_in' | 'not_allowed', readonly grounds: Grounds }

/** Undecided: the client's address may change the answer. */
export interface NeedsAddress {
  readonly allow: undefined
  readonly needs: 'address'
}

/** `depends`: on the address of the client. */
export type DecisionWord = 'allowed' | 'refused' | 'sign_in' | 'depends'

export function decisionWord(decision: Decision | NeedsAddress): DecisionWord {
  if (decision.allow === undefined) return 'depends'
  if (decision.allow) return 'allowed'
  return decision.reason === 'not_signed_in' ? 'sign_in' : 'refused'
}

export interface AccessPolicy {
  /** The decision does not depend on the target: there are no rules that are enforced. */
  readonly ignoresTarget: boolean
  /** @param request undefined only where `ignoresTarget` */
  decide(request: AddressedRequest | undefined, session: SessionRights | undefined): Decision
  /** Without the client's address. @returns a decision that holds for every address, or that the address is needed */
  decide(request: AccessRequest | undefined, session: SessionRights | undefined): Decision | NeedsAddress
  /**
   * Every rule that may decide, in order: more than one where the path has several interpretations, the port is
   * unknown, or the address cannot be parsed.
   */
  grounds(request: AccessRequest): readonly Grounds[]
  /** The same for each interpretation of the path and each possible port: for people who ask why. */
  interpretations(request: AccessRequest): readonly InterpretedRequest[]
  /** Whether a rule of this host allows anonymous requests. If not, every anonymous request is refused. */
  mayLetAnyoneIn(hostname: string): boolean
}

/** One way in which an application may interpret a request, and the rules that may decide about it. */
export interface InterpretedRequest {
  /** Bytes in Latin-1; undefined: any path is possible. */
  readonly path: string | undefined
  /** Undefined: no rule of the host depends on it. Empty: a port that no rule names. */
  readonly port: string | undefined
  readonly grounds: readonly Grounds[]
}

/** The part of a session that a decision depends on. */
export type SessionRights = Pick<SessionRecord, 'groups' | 'permissions' | 'isStaff' | 'isSuperuser'>

interface CompiledRule extends Grounds {
  readonly hosts: readonly HostPattern[]
  readonly methods: ReadonlySet<string> | undefined
  readonly paths: readonly PathPattern[] | undefined
  readonly network: NetworkTest | undefined
  /** This rule as the only grounds: allocated once, not for each request. */
  readonly alone: readonly Grounds[]
  /** The same, where the rule matches only from certain addresses and the address is not known yet. */
  readonly ifAddressMatches: readonly Grounds[]
}

/**
 * Shadow rules take no part in it: they are left out before anything is compiled.
 * @param networkTest compiles a list of networks (src/net/networks.ts)
 * @param countersOf the counters of these keys, in their order; none where nothing is counted
 * @param interpretationsOf shared by the policies that decide about the same targets
 * @param shown the same rules as people are shown them
 */
export function compileAccess(
  access: AccessRules,
  networkTest: (networks: readonly string[]) => NetworkTest,
  countersOf: (keys: readonly string[]) => readonly NonNullable<Grounds['hits']>[] = () => [],
  interpretationsOf: PathInterpreter = createPathInterpreter(),
  shown: Pick<AccessRules, 'rules'> = access,
): AccessPolicy {
  const hits = countersOf(countedKeys(access.rules))
  const { length } = access.rules
  const rules = access.rules.flatMap((rule, index) => {
    if (!isEnforced(rule)) return [] // guard: policy-shadow-out
    const grounds = groundsOf(rule, index, shown.rules[index])
    return [compileRule(rule, counted(grounds, hits[index]), networkTest)]
  })
  const openRules = rules.filter(({ allow }) => allow === 'anyone')
  const openRulesOf = hostIndex(openRules)
  const byDefault = counted(defaultGrounds(access.default, rules.length), hits[length])
  const unknownMethod = counted(UNKNOWN_METHOD, hits[length + 1])
  const { grounds, interpretations } = createGroundsFinder(rules, {
    byDefault,
    unknownMethod,
    interpretationsOf,
  })
  function decide(request: AddressedRequest | undefined, session: SessionRights | undefined): Decision
  function decide(request: AccessRequest | undefined, session: SessionRights | undefined): Decision | NeedsAddress {
    const all = request === undefined ? [byDefault] : grounds(request)
    for (const each of all) { // guard: adv-strictest
      if (permits(each.allow, session)) continue
      if (all.some(({ dependsOnAddress }) => dependsOnAddress)) return NEEDS_ADDRESS // guard: live-fast-path-address
      return { allow: false, reason: session ? 'not_allowed' : 'not_signed_in', grounds: each }
    }
    return { allow: true, grounds: all[0] ?? byDefault }
  }
  return {
    ignoresTarget: rules.length === 0,
    grounds,
    interpretations,
    mayLetAnyoneIn: (hostname) => openRules.length > 0 && openRulesOf(hostname) !== undefined,
    decide,
  }
}

/** A shadow rule is judged and then skipped. */
export function isEnforced({ enforce }: Pick<AccessRule, 'enforce'>): boolean {
  return enforce !== false
}

/** What people read of a rule: its name, else its key in the configuration. */
export function ruleTitle({ name, path }: Pick<Grounds, 'name' | 'path'>): string {
  return name ?? path
}

function defaultGrounds(allow: Allow, rules: number): Grounds {
  const description = rules === 0 ? 'every request: there are no rules' : 'requests that no rule matches'
  return { path: 'access.default', allow, allows: describeAllow(allow), description }
}

const UNKNOWN_METHOD: Grounds = {
  path: 'access.rules',
  allow: 'deny',
  allows: 'superusers alone',
  description: 'methods that are not registered for HTTP',
}

interface GroundsFinderParts {
  readonly byDefault: Grounds
  readonly unknownMethod: Grounds
  readonly interpretationsOf: PathInterpreter
}

function createGroundsFinder(
  rules: readonly CompiledRule[],
  { byDefault, unknownMethod: byUnknownMethod, interpretationsOf }: GroundsFinderParts,
): Pick<AccessPolicy, 'grounds' | 'interpretations'> {
  const rulesOf = hostIndex(rules)
  const unnamedHost: readonly Grounds[] = [rules.length === 0 ? byDefault : { ...byDefault, hostUnnamed: true }]
  const unknownMethod: readonly Grounds[] = [byUnknownMethod]
  const maxSegments = maxSegmentsOf(rules)
  const grounds: AccessPolicy['grounds'] = ({ target, address }) => {
    const host = rulesOf(target.hostname)
    if (!host) return unnamedHost
    if (host.hasMethods && !isKnownMethod(target.method)) return unknownMethod // guard: adv-unknown-method
    const candidates = host.byMethod.get(target.method) ?? host.otherMethods
    const interpretations = host.hasPaths ? interpretationsOf(target) : ROOT_ONLY
    return possibleMatches(candidates, interpretations, portsOf(host, target), { address, maxSegments, byDefault })
  }
  return {
    grounds,
    interpretations(request) {
      const { target, address } = request
      const host = rulesOf(target.hostname)
      if (!host || (host.hasMethods && !isKnownMethod(target.method))) {
        return [{ path: target.path, port: undefined, grounds: grounds(request) }]
      }
      const candidates = host.byMethod.get(target.method) ?? host.otherMethods
      const paths = host.hasPaths ? knownPaths(interpretationsOf(target)) : [target.path]
      const ports = portsOf(host, target)
      const context = { address, maxSegments, byDefault }
      return paths.flatMap((path) => {
        const segments = path === undefined ? undefined : segmentsOf(path, maxSegments)
        return ports.map((port) => ({
          path,
          port: host.ports.length === 1 ? undefined : port,
          grounds: matchesFor(candidates, segments, port, context),
        }))
      })
    },
  }
}

/** The ports on which the proxy may have received the request. */
function portsOf(host: HostRules<CompiledRule>, target: Target): readonly string[] {
  // guard: adv-port-by-proxy
  return target.port === undefined || host.ports.length === 1 ? host.ports : [target.port]
}

/** Undefined stands for every path. */
function knownPaths(interpretations: PathInterpretations): readonly (string | undefined)[] {
  return interpretations === 'unknowable' ? [undefined] : interpretations
}

const NEEDS_ADDRESS: NeedsAddress = { allow: undefined, needs: 'address' }

const ROOT_ONLY: PathInterpretations = ['/']

/** Superusers pass every rule; access is denied unless a condition grants it. */
export function permits(allow: Allow, session: SessionRights | undefined): boolean {
  if (allow === 'anyone') return true
  if (!session) return false
  if (session.isSuperuser || allow === 'authenticated') return true
  if (allow === 'deny') return false
  return (allow.staff === true && session.isStaff) || allow.groups.some((name) => session.groups.includes(name)) ||
    allow.permissions.some((name) => session.permissions.includes(name))
}

/** Which users a rule allows, in words. */
export function describeAllow(allow: Allow): string {
  if (allow === 'anyone') return 'everybody'
  if (allow === 'authenticated') return 'everybody who is signed in'
  if (allow === 'deny') return 'superusers alone'
  const { groups, permissions, staff } = allow
  return [
    ...(groups.length > 0 ? [`members of ${groups.join(' or ')}`] : []),
    ...(permissions.length > 0 ? [`holders of ${permissions.join(' or ')}`] : []),
    ...(staff ? ['staff'] : []),
    'superusers',
  ].join(', ')
}

const MAX_LISTED = 5

/** The requests that a rule matches, in words. A refused user reads this: it does not list the networks. */
export function describeRule({ hosts, methods, paths, networks }: Omit<AccessRule, 'allow'>): string {
  const some = (all: readonly string[]): string => {
    const others = all.length > MAX_LISTED ? [`${all.length - MAX_LISTED} more`] : []
    return [...all.slice(0, MAX_LISTED), ...others].join(' or ')
  }
  return [
    methods === undefined ? '' : `${some(methods)} of `,
    some(hosts),
    paths === undefined ? '' : `, ${some(paths)}`,
    networks === undefined ? '' : ', from certain networks',
  ].join('')
}

export type PathInterpreter = (target: Target) => PathInterpretations

/** The fast path and the route may both decide about one target: an ambiguous path is interpreted once. */
export function createPathInterpreter(): PathInterpreter {
  let last: { readonly target: Target, readonly interpretations: PathInterpretations } | undefined
  return (target) => {
    if (last?.target === target) return last.interpretations // guard: adv-path-read-once
    const interpretations = pathInterpretations(target.path)
    const unambiguous = interpretations !== 'unknowable' && interpretations.length === 1 &&
      interpretations[0] === target.path
    if (!unambiguous) last = { target, interpretations }
    return interpretations
  }
}

/** Number of segments of the longest pattern: more segments of a path need not be split. */
function maxSegmentsOf(rules: readonly CompiledRule[]): number {
  return Math.max(0, ...rules.flatMap(({ paths = [] }) => paths.map(({ length }) => length)))
}

interface MatchContext {
  readonly address: AccessRequest['address']
  readonly maxSegments: number
  readonly byDefault: Grounds
}

/**
 * For each interpretation of the path and each port: the first definite match, and before it all indeterminate ones. A
 * request is allowed only if every one of these grounds allows it, so the most restrictive interpretation wins
 * (docs/forward-auth.md).
 */
function possibleMatches(
  candidates: PathRules<CompiledRule>,
  interpretations: PathInterpretations,
  ports: readonly string[],
  context: MatchContext,
): readonly Grounds[] {
  const { maxSegments } = context
  const unambiguous = interpretations !== 'unknowable' && interpretations.length === 1 && ports.length === 1
  if (unambiguous) { // nearly always
    const [path = '', port = ''] = [interpretations[0], ports[0]]
    return matchesFor(candidates, segmentsOf(path, maxSegments), port, context)
  }
  const found = new Set<Grounds>()
  for (const path of knownPaths(interpretations)) {
    const segments = path === undefined ? undefined : segmentsOf(path, maxSegments)
    for (const port of ports) {
      for (const grounds of matchesFor(candidates, segments, port, context)) found.add(grounds)
    }
  }
  return [...found]
}

/**
 * The rules, in the order of the configuration, that may decide about one interpretation.
 * @param segments of the path; undefined: any path is possible
 */
function matchesFor(
  { all, byFirstSegment, otherSegments }: PathRules<CompiledRule>,
  segments: readonly string[] | undefined,
  port: string,
  { address, byDefault }: MatchContext,
): readonly Grounds[] {
  let indeterminate: Grounds[] | undefined
  const candidates = segments === undefined ? all : byFirstSegment.get(segments[0] ?? '') ?? otherSegments
  for (const rule of candidates) {
    const match = matchOf(rule, segments, port, address)
    if (match === 'none') continue
    if (match === 'definite') return indeterminate === undefined ? rule.alone : [...indeterminate, ...rule.alone]
    indeterminate ??= []
    indeterminate.push(...(address === undefined && rule.network !== undefined ? rule.ifAddressMatches : rule.alone))
  }
  return [...indeterminate ?? [], byDefault]
}

/**
 * Three-valued logic: `none` if the port, the path or the network does not match; `definite` if all of them match;
 * otherwise `indeterminate`, because the path is unknowable, or the address is not known yet or cannot be parsed.
 */
type Match = 'none' | 'definite' | 'indeterminate'

/** The host and the method match already: they select the candidates. */
function matchOf(
  rule: CompiledRule,
  segments: readonly string[] | undefined,
  port: string,
  address: AccessRequest['address'],
): Match {
  if (!matchesPort(rule, port)) return 'none'
  const path = matchesAnyPath(rule, segments)
  if (path === false) return 'none'
  const network = matchesNetwork(rule, address)
  if (network === false) return 'none'
  return path === true && network === true ? 'definite' : 'indeterminate'
}

/** @returns undefined: indeterminate, since the address is not known yet or cannot be parsed */
function matchesNetwork({ network }: CompiledRule, address: AccessRequest['address']): boolean | undefined {
  if (network === undefined) return true
  return address === undefined ? undefined : network(address())
}

/** @returns undefined: indeterminate, since any path is possible */
function matchesAnyPath({ paths }: CompiledRule, segments: readonly string[] | undefined): boolean | undefined {
  if (paths === undefined) return true
  if (segments === undefined) return undefined
  for (const pattern of paths) if (matchesSegments(pattern, segments)) return true
  return false
}

/** The candidates of a host name include rules for its other ports. @param port empty: a port that no rule names */
function matchesPort({ hosts }: CompiledRule, port: string): boolean {
  for (const host of hosts) if (host.port === undefined || host.port === port) return true
  return false
}

/** @param shown the same rule as people are shown it */
export function groundsOf(rule: AccessRule, index: number, shown: AccessRule = rule): Grounds {
  const { name } = shown
  const grounds: Grounds = {
    path: `access.rules[${index}]`,
    allow: rule.allow,
    allows: describeAllow(shown.allow),
    description: describeRule(shown),
  }
  return name === undefined ? grounds : { ...grounds, name }
}

function counted(grounds: Grounds, hits: Grounds['hits'] | undefined): Grounds {
  return hits === undefined ? grounds : { ...grounds, hits }
}

function compileRule(
  rule: AccessRule,
  grounds: Grounds,
  networkTest: (networks: readonly string[]) => NetworkTest,
): CompiledRule {
  return {
    ...grounds,
    hosts: rule.hosts.map(compileHost),
    methods: rule.methods && new Set(rule.methods),
    paths: rule.paths?.map(compilePath),
    network: rule.networks && networkTest(rule.networks),
    alone: [grounds],
    ifAddressMatches: [{ ...grounds, dependsOnAddress: true }],
  }
}
