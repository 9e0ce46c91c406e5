// What a user may open: every application of the configuration and every host that an access rule names, with the
// decision about `GET /` there.
import {
  compileAccess,
  decisionWord,
  isEnforced,
  type AccessPolicy,
  type AccessRequest,
  type DecisionWord,
  type NetworkTest,
} from '../core/access.js'
import { compileHost } from '../core/access-hosts.js'
import { createGroupMapping } from '../core/mapping.js'
import { memoizeByConfig } from '../core/memoize-by-config.js'
import type { PolicyInForce, PolicyUsers } from '../core/policy.js'
import type { Target } from '../core/target.js'
import { evaluatedUser, judged, type EvaluatedUser, type JudgedRule } from './evaluated.js'
import { nextPage } from './positions.js'

export interface HostAccess {
  /** As the configuration writes it: `*.example.com` stands for the hosts below that no other rule names. */
  readonly host: string
  /** Name of the application; undefined: the host is named by a rule alone. */
  readonly application: string | undefined
  readonly decision: DecisionWord
  /** The rules that may decide; the first one of a refusal is the one that refuses. */
  readonly rules: readonly JudgedRule[]
}

export interface PersonAccessPage {
  readonly rows: readonly HostAccess[]
  /** For `after`; undefined: this is the last page. */
  readonly next: number | undefined
}

export interface PersonAccessAdmin {
  /** @param id of the user @returns undefined: there is none */
  access(
    id: string,
    request: { readonly after?: number | undefined, readonly limit?: number | undefined },
  ): Promise<PersonAccessPage | undefined>
}

export interface PersonAccessPorts {
  readonly policy: () => Pick<PolicyInForce, 'access' | 'applications' | 'groupMapping'>
  /** The same for people to read. */
  readonly shown?: PersonAccessPorts['policy'] | undefined
  readonly users: Pick<PolicyUsers, 'byId'>
  readonly networkTest: (networks: readonly string[]) => NetworkTest
  /** The scheme of publicUrl, which all applications use. */
  readonly scheme: 'http' | 'https'
}

const HOSTS = 50

export function createPersonAccessAdmin(
  { policy, shown = policy, users, networkTest, scheme }: PersonAccessPorts,
): PersonAccessAdmin {
  const inForce = memoizeByConfig(policy, ({ access, applications, groupMapping }) => ({
    policy: compileAccess(access, networkTest, undefined, undefined, shown().access),
    mapping: createGroupMapping(groupMapping),
    hosts: hostsOf({ access, applications }, shown()),
  }))
  return {
    async access(id, { after = 0, limit = HOSTS }) {
      const user = await users.byId(id)
      if (user === undefined) return undefined
      const { policy: compiled, mapping, hosts } = inForce()
      const evaluated = evaluatedUser(user, mapping)
      const { page, next } = nextPage(hosts.slice(after), limit, ({ position }) => position)
      return { rows: page.map((host) => decided(host, compiled, evaluated, scheme)), next }
    },
  }
}

interface NamedHost {
  readonly host: string
  /** For people to read. */
  readonly shown: string
  readonly application: string | undefined
  /** Counted from 1. */
  readonly position: number
}

type Named = Pick<PolicyInForce, 'access' | 'applications'>

/** Applications in the order of the configuration, then the other hosts by name. */
function hostsOf(named: Named, shown: Named): readonly NamedHost[] {
  const found = new Map<string, Omit<NamedHost, 'position'>>()
  named.applications.forEach(({ host }, index) => {
    const as = shown.applications[index]
    found.set(host, { host, shown: as?.host ?? host, application: as?.name })
  })
  const ofRules = named.access.rules.flatMap((rule, at) => {
    const as = shown.access.rules[at]?.hosts ?? []
    return isEnforced(rule)
      ? rule.hosts.map((host, index) => ({ host, shown: as[index] ?? host, application: undefined }))
      : []
  })
  for (const each of ofRules.sort((a, b) => a.shown < b.shown ? -1 : 1)) {
    if (!found.has(each.host)) found.set(each.host, each)
  }
  return [...found.values()].map((each, index) => ({ ...each, position: index + 1 }))
}

function decided(
  { host, shown, application }: NamedHost,
  policy: AccessPolicy,
  user: EvaluatedUser | undefined,
  scheme: 'http' | 'https',
): HostAccess {
  const request: AccessRequest = { target: frontPageOf(host, scheme), address: undefined }
  const decision = policy.decide(request, user)
  const rules = policy.grounds(request).map((grounds) => judged(grounds, user))
  const refusing = decision.allow === false ? decision.grounds.path : undefined
  return {
    host: shown,
    application,
    decision: decisionWord(decision),
    rules: refusing === undefined ? rules : [...rules].sort((a, b) => rank(a, refusing) - rank(b, refusing)),
  }
}

function rank({ path }: JudgedRule, refusing: string): number {
  return path === refusing ? 0 : 1
}

/** `*.example.com` as a host name is below example.com, and no rule names it. */
function frontPageOf(host: string, scheme: 'http' | 'https'): Target {
  const { name, below, port } = compileHost(host)
  const hostname = below ? `*.${name}` : name
  const reached = port ?? (scheme === 'https' ? '443' : '80')
  return { scheme, host, hostname, namedPort: port, port: reached, path: '/', uri: '/', method: 'GET' }
}
