// Which access rules a request is looked at by: found by its host name and its method, in the order of the
// configuration.

import type { PathPattern } from './path-pattern.js'

export interface HostPattern {
  readonly name: string
  /** `*.name`: every host below it, not itself. */
  readonly below: boolean
  /** Undefined: every port. */
  readonly port: string | undefined
}

/** What the index needs of a rule. */
interface Indexed {
  readonly hosts: readonly HostPattern[]
  readonly methods: ReadonlySet<string> | undefined
  readonly paths: readonly PathPattern[] | undefined
}

/**
 * The rules of one host name: of each method, and of those by the first segment of a path, so that many rules cost no
 * more than few.
 */
export interface HostRules<Rule> {
  readonly byMethod: ReadonlyMap<string, PathRules<Rule>>
  readonly otherMethods: PathRules<Rule>
  readonly looksAtMethods: boolean
  readonly looksAtPaths: boolean
  /** Under which a request counts whose port the proxy does not say: every port that a rule names, and none (empty). */
  readonly ports: readonly string[]
}

/** Each list in the order of the configuration. */
export interface PathRules<Rule> {
  readonly all: readonly Rule[]
  readonly byFirstSegment: ReadonlyMap<string, readonly Rule[]>
  /** Where no rule names the first segment. */
  readonly otherSegments: readonly Rule[]
}

export function compileHost(text: string): HostPattern {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(text.toLowerCase()) ?? []
  return host.startsWith('*.') ? { name: host.slice(2), below: true, port } : { name: host, below: false, port }
}

/** Finds the rules of a host name: its own and those of every domain above it, in their order. */
export function hostIndex<Rule extends Indexed>(
  rules: readonly Rule[],
): (hostname: string) => HostRules<Rule> | undefined {
  const names = [...new Set(rules.flatMap(({ hosts }) => hosts.map(({ name }) => name)))]
  const applying = (hostname: string, orBelow: boolean) =>
    hostRules(
      rules
        .map((rule) => ({
          ...rule,
          hosts: rule.hosts.filter(({ name, below }) =>
            below ? hostname.endsWith(`.${name}`) || (orBelow && hostname === name) : !orBelow && hostname === name
          ),
        }))
        .filter(({ hosts }) => hosts.length > 0),
    )
  const exact = new Map(names.map((name) => [name, applying(name, false)]))
  const below = new Map(names.map((name) => [name, applying(name, true)]))
  return (hostname) => {
    const own = exact.get(hostname)
    if (own) return own
    for (let dot = hostname.indexOf('.'); dot !== -1; dot = hostname.indexOf('.', dot + 1)) {
      const found = below.get(hostname.slice(dot + 1))
      if (found) return found
    }
    return undefined
  }
}

function hostRules<Rule extends Indexed>(rules: readonly Rule[]): HostRules<Rule> | undefined {
  if (rules.length === 0) return undefined
  const methods = new Set(rules.flatMap((rule) => [...rule.methods ?? []]))
  return {
    byMethod: new Map(
      [...methods].map((method) => [
        method,
        pathRules(rules.filter((rule) => rule.methods === undefined || rule.methods.has(method))),
      ]),
    ),
    otherMethods: pathRules(rules.filter((rule) => rule.methods === undefined)),
    looksAtMethods: methods.size > 0,
    looksAtPaths: rules.some(({ paths }) => paths !== undefined),
    ports: [...new Set([...rules.flatMap(({ hosts }) => hosts.map(({ port = '' }) => port)), ''])],
  }
}

function pathRules<Rule extends Indexed>(rules: readonly Rule[]): PathRules<Rule> {
  const firsts = new Set(rules.flatMap(({ paths = [] }) => paths.map(([first = '']) => first)))
  const mayMatch = (first: string | undefined) =>
    rules.filter(({ paths }) =>
      paths === undefined || paths.some(([own = '']) => own === '*' || own === '**' || own === first)
    )
  return {
    all: rules,
    byFirstSegment: new Map([...firsts].map((first) => [first, mayMatch(first)])),
    otherSegments: mayMatch(undefined),
  }
}

export function isKnownMethod(method: string): boolean {
  return METHODS.has(method)
}

/** The methods of IANA's registry. Any other, where rules tell methods apart, is one that no rule was written for. */
const METHODS: ReadonlySet<string> = new Set(
  `ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE
  MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PRI PROPFIND PROPPATCH PUT
    QUERY REBIND REPORT
  SEARCH TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL`.split(/\s+/),
)
