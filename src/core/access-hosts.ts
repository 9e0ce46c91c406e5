// Index of the access rules by host name and method; each list has the order of the configuration.

import type { PathPattern } from './path-pattern.js'

export interface HostPattern {
  readonly name: string
  /** `*.name`: every host below the name, not the name itself. */
  readonly below: boolean
  /** Undefined: every port. */
  readonly port: string | undefined
}

/** The properties of a rule that the index uses. */
interface IndexedRule {
  readonly hosts: readonly HostPattern[]
  readonly methods: ReadonlySet<string> | undefined
  readonly paths: readonly PathPattern[] | undefined
}

/** The rules of one host name, by method and then by the first segment of the path: many cost no more than few. */
export interface HostRules<Rule> {
  readonly byMethod: ReadonlyMap<string, PathRules<Rule>>
  readonly otherMethods: PathRules<Rule>
  /** Whether a rule names methods. */
  readonly hasMethods: boolean
  /** Whether a rule names paths. */
  readonly hasPaths: boolean
  /** The possible ports of a request without X-Forwarded-Port: every port that a rule names, and any other (empty). */
  readonly ports: readonly string[]
}

/** Each list in the order of the configuration. */
export interface PathRules<Rule> {
  readonly all: readonly Rule[]
  readonly byFirstSegment: ReadonlyMap<string, readonly Rule[]>
  /** For paths whose first segment no rule names. */
  readonly otherSegments: readonly Rule[]
}

export function compileHost(text: string): HostPattern {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(text.toLowerCase()) ?? []
  return host.startsWith('*.') ? { name: host.slice(2), below: true, port } : { name: host, below: false, port }
}

/** Whether a pattern matches everything that another one matches. */
export function coversHost(outer: HostPattern, inner: HostPattern): boolean {
  if (outer.port !== undefined && outer.port !== inner.port) return false
  if (!outer.below) return !inner.below && outer.name === inner.name
  return inner.name.endsWith(`.${outer.name}`) || (inner.below && inner.name === outer.name)
}

/** Finds the rules of a host name: those for the name itself and for every domain above it. */
export function hostIndex<Rule extends IndexedRule>(
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

function hostRules<Rule extends IndexedRule>(rules: readonly Rule[]): HostRules<Rule> | undefined {
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
    hasMethods: methods.size > 0,
    hasPaths: rules.some(({ paths }) => paths !== undefined),
    ports: [...new Set([...rules.flatMap(({ hosts }) => hosts.map(({ port = '' }) => port)), ''])],
  }
}

function pathRules<Rule extends IndexedRule>(rules: readonly Rule[]): PathRules<Rule> {
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

/** IANA's registry of HTTP methods. Where rules name methods, requests with any other method are denied. */
const METHODS: ReadonlySet<string> = new Set(
  `ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET HEAD LABEL LINK LOCK MERGE
  MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE OPTIONS ORDERPATCH PATCH POST PRI PROPFIND PROPPATCH PUT
    QUERY REBIND REPORT
  SEARCH TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL`.split(/\s+/),
)
