// The access rules in force, in order, as people read them: whom each one lets in, what `gatehouse check` finds about
// it, and how often it decided.
import { describeAllow, type AccessRule, type Allow } from '../core/access.js'
import { DEFAULT_RULE, ruleKeys, type ActivityReader, type RuleHits } from '../core/activity.js'
import { remembered } from '../core/bounded.js'
import { memoizeByConfig } from '../core/memoize-by-config.js'
import type { FilePosition, PolicyFinding, PolicyInForce } from '../core/policy.js'
import { nextPage } from './positions.js'

export type RuleFilter = 'findings' | 'idle'
export const RULE_FILTERS: readonly RuleFilter[] = ['findings', 'idle']

export interface RulesQuery {
  /** Rules after this position, counted from 1. */
  readonly after?: number | undefined
  readonly limit?: number | undefined
  /** A part of a host, path, network, method, group or permission; case does not count. */
  readonly q?: string | undefined
  /** Rules with findings, or without a hit in 30 days. */
  readonly only?: RuleFilter | undefined
}

export interface RuleView {
  /** Its key in the configuration, such as `access.rules[2]`; `access.default` is the last one. */
  readonly rule: string
  /** Null: every one. */
  readonly hosts: readonly string[] | null
  readonly methods: readonly string[] | null
  readonly paths: readonly string[] | null
  readonly networks: readonly string[] | null
  readonly allow: Allow
  /** The same in words. */
  readonly allows: string
  readonly position: FilePosition | undefined
  readonly findings: readonly PolicyFinding[]
  /** Undefined: hits are not counted here. */
  readonly hits: Hits | undefined
}

export interface Hits {
  /** The last 24 hours, 7 days and 30 days. */
  readonly day: number
  readonly week: number
  readonly month: number
  /** Undefined: none in 30 days. */
  readonly lastHit: Date | undefined
}

export interface AccessAdmin {
  rules(query: RulesQuery): Promise<{ readonly rows: readonly RuleView[], readonly next: number | undefined }>
  /** `access.default`, which decides where no rule matches. */
  byDefault(): Promise<RuleView>
}

export interface AccessAdminPorts {
  readonly policy: () => Pick<PolicyInForce, 'access'>
  /** Of the configuration in force. */
  readonly findings: () => Promise<readonly PolicyFinding[]>
  /** Undefined where the file's positions are not known. */
  readonly positionOf?: ((path: string) => FilePosition | undefined) | undefined
  readonly activity?: Pick<ActivityReader, 'ruleHits'> | undefined
}

/** Of a page. */
export const RULES = 50
/** A month of counts is read for them, to which each replica adds once a minute. */
const HITS_KEPT_MS = 10_000
const DEFAULT_PATH = 'access.default'

export function createAccessAdmin(
  { policy, findings, positionOf = () => undefined, activity }: AccessAdminPorts,
): AccessAdmin {
  const inForce = memoizeByConfig(policy, ({ access }) => {
    const keys = ruleKeys(access.rules)
    return { access, rules: access.rules.map((rule, index) => numbered(rule, index, keys[index] ?? '')) }
  })
  const ruleHits = activity && remembered(activity.ruleHits, HITS_KEPT_MS)
  const known = async () => {
    const [found, hits] = await Promise.all([findings(), ruleHits?.()])
    return { found, hits: hits && new Map(hits.value.map((each) => [each.key, each])) }
  }
  return {
    async rules({ after = 0, limit = RULES, q, only }) {
      const { rules } = inForce()
      const { found, hits } = await known()
      const view = ({ rule, path, key }: NumberedRule): RuleView => ({
        ...partsOf(rule),
        rule: path,
        allow: rule.allow,
        allows: describeAllow(rule.allow),
        position: positionOf(path),
        findings: found.filter((finding) => isBelow(finding.path, path)),
        hits: hitsOf(key, hits),
      })
      const { page, next } = nextPage(rules.slice(after), limit, ({ position }) => position, (rule) => {
        if (q !== undefined && !rule.text.includes(q.trim().toLowerCase())) return false
        if (only === 'findings') return found.some(({ path }) => isBelow(path, rule.path))
        return only !== 'idle' || hits?.has(rule.key) === false
      })
      return { rows: page.map(view), next }
    },
    async byDefault() {
      const { default: allow } = inForce().access
      const { found, hits } = await known()
      return {
        rule: DEFAULT_PATH,
        hosts: null,
        methods: null,
        paths: null,
        networks: null,
        allow,
        allows: describeAllow(allow),
        position: positionOf(DEFAULT_PATH),
        findings: found.filter((finding) => isBelow(finding.path, DEFAULT_PATH)),
        hits: hitsOf(DEFAULT_RULE, hits),
      }
    },
  }
}

interface NumberedRule {
  readonly rule: AccessRule
  readonly path: string
  /** Counted from 1. */
  readonly position: number
  /** Under which its hits are counted. */
  readonly key: string
  /** In lower case. */
  readonly text: string
}

function numbered(rule: AccessRule, index: number, key: string): NumberedRule {
  const { hosts, methods = [], paths = [], networks = [], allow } = rule
  const allowed = typeof allow === 'string' ? [allow] : [...allow.groups, ...allow.permissions]
  const text = [...hosts, ...methods, ...paths, ...networks, ...allowed].join('\n').toLowerCase()
  return { rule, path: `access.rules[${index}]`, position: index + 1, key, text }
}

function partsOf({ hosts, methods, paths, networks }: AccessRule) {
  return { hosts, methods: methods ?? null, paths: paths ?? null, networks: networks ?? null }
}

/** Whether a key is this one or belongs to it. */
function isBelow(path: string, key: string): boolean {
  return path === key || path.startsWith(`${key}.`) || path.startsWith(`${key}[`)
}

function hitsOf(key: string, hits: ReadonlyMap<string, RuleHits> | undefined): Hits | undefined {
  if (hits === undefined) return undefined
  const { day = 0, week = 0, month = 0, lastHit } = hits.get(key) ?? {}
  return { day, week, month, lastHit }
}
