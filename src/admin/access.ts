// The access rules in force, in order, as people read them: whom each one lets in, what `gatehouse check` finds about
// it, and how often it decided.
import { describeAllow, isEnforced, type AccessRule, type AccessRules, type Allow } from '../core/access.js'
import {
  DEFAULT_RULE,
  OTHER_KEYS,
  ruleKeys,
  type ActivityReader,
  type CountsOfWindows,
  type RuleHits,
} from '../core/activity.js'
import { remembered } from '../core/bounded.js'
import { memoizeByConfig } from '../core/memoize-by-config.js'
import type { FilePosition, PolicyFinding, PolicyInForce } from '../core/policy.js'
import { nextPage } from './positions.js'

export type RuleFilter = 'findings' | 'idle' | 'shadow'
export const RULE_FILTERS: readonly RuleFilter[] = ['findings', 'idle', 'shadow']

export interface RulesQuery {
  /** Rules after this position, counted from 1. */
  readonly after?: number | undefined
  readonly limit?: number | undefined
  /** A part of a name, host, path, network, method, group or permission; case does not count. */
  readonly q?: string | undefined
  /** Rules with findings, those without a hit in 30 days, or shadow rules. */
  readonly only?: RuleFilter | undefined
}

export interface RuleView {
  /** Its key in the configuration, such as `access.rules[2]`; `access.default` is the last one. */
  readonly rule: string
  readonly name: string | null
  /** False: a shadow rule. */
  readonly enforced: boolean
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
  /** No hit in 30 days, and counted for as long. */
  readonly dead: boolean
  /** Of a shadow rule; undefined: not one, or nothing is counted here. */
  readonly wouldHave: WouldHave | undefined
}

/** The answers that a shadow rule would have changed. */
export interface WouldHave {
  readonly refused: CountsOfWindows
  readonly letIn: CountsOfWindows
}

export interface Hits extends CountsOfWindows {
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
  /** The same for people to read. */
  readonly shown?: (() => Pick<PolicyInForce, 'access'>) | undefined
  /** Of the configuration in force. */
  readonly findings: () => Promise<readonly PolicyFinding[]>
  /** Undefined where the file's positions are not known. */
  readonly positionOf?: ((path: string) => FilePosition | undefined) | undefined
  readonly activity?: Pick<ActivityReader, 'ruleHits'> | undefined
}

/** Of a page. */
export const RULES = 45
/** A month of counts is read for them, to which each replica adds once a minute. */
const HITS_KEPT_MS = 10_000
const DEFAULT_PATH = 'access.default'

export function createAccessAdmin(
  { policy, shown = policy, findings, positionOf = () => undefined, activity }: AccessAdminPorts,
): AccessAdmin {
  const inForce = memoizeByConfig(policy, ({ access }) => ({ access, rules: numberedRules(access, shown().access) }))
  const ruleHits = activity && remembered(activity.ruleHits, HITS_KEPT_MS)
  const known = async () => {
    const [found, hits] = await Promise.all([findings(), ruleHits?.()])
    return { found, hits: hits && new Map(hits.value.map((each) => [each.key, each])) }
  }
  return {
    async rules({ after = 0, limit = RULES, ...query }) {
      const { rules } = inForce()
      const facts = await known()
      const { page, next } = nextPage(
        rules.slice(after),
        limit,
        ({ position }) => position,
        (rule) => isWanted(rule, query, facts),
      )
      return { rows: page.map((rule) => viewOf(rule, facts, positionOf)), next }
    },
    async byDefault() {
      const { default: allow } = inForce().access
      const { found, hits } = await known()
      return {
        rule: DEFAULT_PATH,
        name: null,
        enforced: true,
        hosts: null,
        methods: null,
        paths: null,
        networks: null,
        allow,
        allows: describeAllow(allow),
        position: positionOf(DEFAULT_PATH),
        findings: found.filter((finding) => isBelow(finding.path, DEFAULT_PATH)),
        hits: hitsOf(DEFAULT_RULE, hits),
        dead: false,
        wouldHave: undefined,
      }
    },
  }
}

interface Known {
  readonly found: readonly PolicyFinding[]
  /** Undefined: hits are not counted here. */
  readonly hits: ReadonlyMap<string, RuleHits> | undefined
}

function isWanted({ rule, path, key, text }: NumberedRule, { q, only }: RulesQuery, { found, hits }: Known): boolean {
  if (q !== undefined && !text.includes(q.trim().toLowerCase())) return false
  if (only === 'findings') return found.some((finding) => isBelow(finding.path, path))
  if (only === 'shadow') return !isEnforced(rule)
  return only !== 'idle' || hitsOf(key, hits)?.month === 0
}

function viewOf(
  { rule, path, key }: NumberedRule,
  { found, hits }: Known,
  positionOf: (path: string) => FilePosition | undefined,
): RuleView {
  return {
    ...partsOf(rule),
    rule: path,
    name: rule.name ?? null,
    enforced: isEnforced(rule),
    allow: rule.allow,
    allows: describeAllow(rule.allow),
    position: positionOf(path),
    findings: found.filter((finding) => isBelow(finding.path, path)),
    hits: hitsOf(key, hits),
    dead: isDead(key, hits),
    wouldHave: isEnforced(rule) ? undefined : wouldHaveOf(key, hits),
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

/** Counted by the rules in force, shown as people read them. */
function numberedRules(access: AccessRules, shown: AccessRules): readonly NumberedRule[] {
  const keys = ruleKeys(access.rules)
  return shown.rules.map((rule, index) => numbered(rule, index, keys[index] ?? ''))
}

function numbered(rule: AccessRule, index: number, key: string): NumberedRule {
  const { name = '', hosts, methods = [], paths = [], networks = [], allow } = rule
  const allowed = typeof allow === 'string' ? [allow] : [...allow.groups, ...allow.permissions]
  const text = [name, ...hosts, ...methods, ...paths, ...networks, ...allowed].join('\n').toLowerCase()
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

/** Where more keys were counted than there is room for, a rule may have hits that are not its own in the table. */
function isDead(key: string, hits: ReadonlyMap<string, RuleHits> | undefined): boolean {
  const own = hits?.get(key)
  if (own === undefined || (hits?.get(OTHER_KEYS)?.month ?? 0) > 0) return false
  return own.countedForMonth && own.month === 0 // guard: policy-dead-rule
}

const NONE: CountsOfWindows = { day: 0, week: 0, month: 0 }

function wouldHaveOf(key: string, hits: ReadonlyMap<string, RuleHits> | undefined): WouldHave | undefined {
  if (hits === undefined) return undefined
  const { refused = NONE, letIn = NONE } = hits.get(key) ?? {}
  return { refused, letIn }
}
