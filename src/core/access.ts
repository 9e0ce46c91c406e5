// Who may pass: rules by host, method, path and network, the first that matches decides. Knows nothing of HTTP: a
// target, an address and a session in, a decision out. Compiled once; a request looks at the rules of its host and
// method alone.
import { compileHost, hostIndex, isKnownMethod, type HostPattern, type PathRules } from './access-hosts.js'
import { compilePath, matchesSegments, segmentsOf, type PathPattern } from './path-pattern.js'
import { pathReadings, type PathReadings } from './path-readings.js'
import type { SessionRecord } from './session.js'
import type { Target } from './target.js'

export type Allow = 'anyone' | 'authenticated' | 'deny' | AllowAnyOf

/** Any one of these is enough. */
export interface AllowAnyOf {
  readonly groups: readonly string[]
  readonly permissions: readonly string[]
  readonly staff: true | undefined
  readonly superuser: true | undefined
}

export interface AccessRule {
  /** `host`, `*.suffix`, either with `:port`. */
  readonly hosts: readonly string[]
  readonly networks: readonly string[] | undefined
  readonly methods: readonly string[] | undefined
  readonly paths: readonly string[] | undefined
  readonly allow: Allow
}

export interface AccessRules {
  /** What holds where no rule decides. */
  readonly default: 'authenticated' | 'deny'
  readonly rules: readonly AccessRule[]
}

/** Whether an address is in a network; undefined where the address cannot be read. */
export type NetworkTest = (address: string | undefined) => boolean | undefined

export interface AccessRequest {
  readonly target: Target
  /**
   * The client's address, as reported by the trusted proxies; called only where a rule has networks. Undefined: not
   * read yet, so rules with networks may or may not match.
   */
  readonly address: (() => string | undefined) | undefined
}

export interface AddressedRequest extends AccessRequest {
  readonly address: () => string | undefined
}

/** What decided: a rule by its place in `access.rules`, or `access.default`. */
export interface Grounds {
  readonly path: string
  readonly allow: Allow
  /** What it is about, in words. */
  readonly about: string
  /** There are rules, and none names this host. */
  readonly hostUnnamed?: true
  /** The rule has networks and the client's address has not been read: the rule may not match. */
  readonly dependsOnAddress?: true
}

export type Decision =
  | { readonly allow: true, readonly grounds: Grounds }
  | { readonly allow: false, readonly reason: 'not_signed_in' | 'not_allowed', readonly grounds: Grounds }

/** Undecided: the client's address may change the answer. */
export interface NeedsAddress {
  readonly allow: undefined
  readonly needs: 'address'
}

export interface AccessPolicy {
  /** No rule can depend on the target: there are none. */
  readonly ignoresTarget: boolean
  /** @param request undefined only where `ignoresTarget` */
  decide(request: AddressedRequest | undefined, session: Rights | undefined): Decision
  /**
   * The same without the client's address. @returns a decision that holds for every address, or that the address is
   * needed
   */
  decide(request: AccessRequest | undefined, session: Rights | undefined): Decision | NeedsAddress
  /** Every rule that may decide, in order; more than one where the path or the address can be read in several ways. */
  grounds(request: AccessRequest): readonly Grounds[]
  /**
   * Whether a rule of this host may let in who is not signed in. If not, nothing else about the request matters to
   * them.
   */
  mayLetAnyoneIn(hostname: string): boolean
}

/** What a decision needs of a session. */
export type Rights = Pick<SessionRecord, 'groups' | 'permissions' | 'isStaff' | 'isSuperuser'>

interface CompiledRule extends Grounds {
  readonly hosts: readonly HostPattern[]
  readonly methods: ReadonlySet<string> | undefined
  readonly paths: readonly PathPattern[] | undefined
  readonly network: NetworkTest | undefined
  /** The rule as the only grounds of a decision. */
  readonly alone: readonly Grounds[]
  /** The same, where the rule matches only from certain addresses and the address is not known yet. */
  readonly ifAddressMatches: readonly Grounds[]
}

/** @param networkTest how a list of networks is read (addresses are no business of this file) */
export function compileAccess(
  { default: fallback, rules }: AccessRules,
  networkTest: (networks: readonly string[]) => NetworkTest,
): AccessPolicy {
  const compiled = rules.map((rule, index) => compileRule(rule, `access.rules[${index}]`, networkTest))
  const rulesOf = hostIndex(compiled)
  const open = compiled.filter(({ allow }) => allow === 'anyone')
  const openRulesOf = hostIndex(open)
  const byDefault: Grounds = {
    path: 'access.default',
    allow: fallback,
    about: rules.length === 0 ? 'there are no rules' : 'what no rule is about',
  }
  const unnamed: readonly Grounds[] = [rules.length === 0 ? byDefault : { ...byDefault, hostUnnamed: true }]
  const unknownMethod: Grounds = { path: 'access.rules', allow: 'deny', about: 'methods that HTTP does not know' }
  const readingsOf = readingOnce()
  const longest = longestPattern(compiled)
  const grounds = ({ target, address }: AccessRequest): readonly Grounds[] => {
    const host = rulesOf(target.hostname)
    if (!host) return unnamed
    if (host.looksAtMethods && !isKnownMethod(target.method)) return [unknownMethod]
    const candidates = host.byMethod.get(target.method) ?? host.otherMethods
    const readings = host.looksAtPaths ? readingsOf(target) : NO_READING
    if (target.port === undefined || host.ports.length === 1) {
      return possible(candidates, readings, host.ports, { address, longest }, byDefault)
    }
    return possible(candidates, readings, [target.port], { address, longest }, byDefault)
  }
  function decide(request: AddressedRequest | undefined, session: Rights | undefined): Decision
  function decide(request: AccessRequest | undefined, session: Rights | undefined): Decision | NeedsAddress {
    const all = request === undefined ? [byDefault] : grounds(request)
    for (const each of all) {
      if (permits(each.allow, session)) continue
      if (all.some(({ dependsOnAddress }) => dependsOnAddress)) return NEEDS_ADDRESS
      return { allow: false, reason: session ? 'not_allowed' : 'not_signed_in', grounds: each }
    }
    return { allow: true, grounds: all[0] ?? byDefault }
  }
  return {
    ignoresTarget: rules.length === 0,
    grounds,
    mayLetAnyoneIn: (hostname) => open.length > 0 && openRulesOf(hostname) !== undefined,
    decide,
  }
}

const NEEDS_ADDRESS: NeedsAddress = { allow: undefined, needs: 'address' }

const NO_READING: PathReadings = ['/']

/** Superusers pass everything; nobody is let in unless something says so. */
export function permits(allow: Allow, session: Rights | undefined): boolean {
  if (allow === 'anyone') return true
  if (!session) return false
  if (session.isSuperuser || allow === 'authenticated') return true
  if (allow === 'deny') return false
  return (allow.staff === true && session.isStaff) || allow.groups.some((name) => session.groups.includes(name)) ||
    allow.permissions.some((name) => session.permissions.includes(name))
}

/** Whom a rule lets in, in words. */
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

const MOST_NAMED = 5

/** What a rule is about, in words; its networks are no business of whom it refuses. */
export function describeRule({ hosts, methods, paths, networks }: Omit<AccessRule, 'allow'>): string {
  const some = (all: readonly string[]): string => {
    const others = all.length > MOST_NAMED ? [`${all.length - MOST_NAMED} more`] : []
    return [...all.slice(0, MOST_NAMED), ...others].join(' or ')
  }
  return [
    methods === undefined ? '' : `${some(methods)} of `,
    some(hosts),
    paths === undefined ? '' : `, ${some(paths)}`,
    networks === undefined ? '' : ', from certain networks',
  ].join('')
}

/** The fast path and the route ask about the same target: a path that takes work is read once. */
function readingOnce(): (target: Target) => PathReadings {
  let last: { readonly target: Target, readonly readings: PathReadings } | undefined
  return (target) => {
    if (last?.target === target) return last.readings
    const readings = pathReadings(target.path)
    const effortless = readings !== 'unknowable' && readings.length === 1 && readings[0] === target.path
    if (!effortless) last = { target, readings }
    return readings
  }
}

/** Segments beyond the longest pattern's are not looked at one by one. */
function longestPattern(rules: readonly CompiledRule[]): number {
  return Math.max(0, ...rules.flatMap(({ paths = [] }) => paths.map(({ length }) => length)))
}

interface Circumstances {
  readonly address: AccessRequest['address']
  readonly longest: number
}

/** For every reading and port the first rule that surely matches; and before it those of which nobody can say. */
function possible(
  candidates: PathRules<CompiledRule>,
  readings: PathReadings,
  ports: readonly string[],
  circumstances: Circumstances,
  byDefault: Grounds,
): readonly Grounds[] {
  const [reading, port] = [readings[0] ?? '', ports[0] ?? '']
  const single = readings !== 'unknowable' && readings.length === 1 && ports.length === 1
  // nearly always
  if (single) return firstOf(candidates, segmentsOf(reading, circumstances.longest), port, circumstances, byDefault)
  const found = new Set<Grounds>()
  for (const each of readings === 'unknowable' ? [undefined] : readings) {
    const segments = each === undefined ? undefined : segmentsOf(each, circumstances.longest)
    for (const under of ports) {
      for (const grounds of firstOf(candidates, segments, under, circumstances, byDefault)) found.add(grounds)
    }
  }
  return [...found]
}

function firstOf(
  { all, byFirstSegment, otherSegments }: PathRules<CompiledRule>,
  segments: readonly string[] | undefined,
  port: string,
  { address }: Circumstances,
  byDefault: Grounds,
): readonly Grounds[] {
  let perhaps: Grounds[] | undefined
  const candidates = segments === undefined ? all : byFirstSegment.get(segments[0] ?? '') ?? otherSegments
  for (const rule of candidates) {
    if (!matchesPort(rule, port)) continue
    const path = matchesAnyPath(rule, segments)
    if (path === false) continue
    const network = matchesNetwork(rule, address)
    if (network === false) continue
    if (path === true && network === true) return perhaps === undefined ? rule.alone : [...perhaps, ...rule.alone]
    perhaps ??= []
    perhaps.push(...(address === undefined && network === undefined ? rule.ifAddressMatches : rule.alone))
  }
  return [...perhaps ?? [], byDefault]
}

/** @returns undefined where the address is not known yet or cannot be read: the rule may match */
function matchesNetwork({ network }: CompiledRule, address: Circumstances['address']): boolean | undefined {
  if (network === undefined) return true
  return address === undefined ? undefined : network(address())
}

/** True, false, or undefined: perhaps. */
function matchesAnyPath({ paths }: CompiledRule, segments: readonly string[] | undefined): boolean | undefined {
  if (paths === undefined) return true
  if (segments === undefined) return undefined
  for (const pattern of paths) if (matchesSegments(pattern, segments)) return true
  return false
}

/** The candidates of a host name may be there for another port of it. @param port empty: none that a rule names */
function matchesPort({ hosts }: CompiledRule, port: string): boolean {
  for (const host of hosts) if (host.port === undefined || host.port === port) return true
  return false
}

function compileRule(
  rule: AccessRule,
  path: string,
  networkTest: (networks: readonly string[]) => NetworkTest,
): CompiledRule {
  const about = describeRule(rule)
  return {
    path,
    allow: rule.allow,
    about,
    hosts: rule.hosts.map(compileHost),
    methods: rule.methods && new Set(rule.methods),
    paths: rule.paths?.map(compilePath),
    network: rule.networks && networkTest(rule.networks),
    alone: [{ path, allow: rule.allow, about }],
    ifAddressMatches: [{ path, allow: rule.allow, about, dependsOnAddress: true }],
  }
}
