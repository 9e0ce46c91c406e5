// Access rules that are valid one by one and probably not intended: those that never decide, and hosts that none is
// about.
import { isEnforced, type AccessRule } from '../../core/access.js'
import { compileHost, coversHost, type HostPattern } from '../../core/access-hosts.js'
import { compilePath, coversPath, matchesPath, type PathPattern } from '../../core/path-pattern.js'
import { splitPort } from '../kinds/hosts.js'
import { entries, type Rule } from './rule.js'

/** A rule as far as it was read; a part that is undefined matches everything. */
interface ReadRule {
  readonly path: string
  readonly rule: Partial<AccessRule>
  readonly hosts: readonly HostPattern[]
  readonly paths: readonly PathPattern[] | undefined
}

function readRules(draft: Parameters<Rule>[0]): readonly ReadRule[] {
  return entries(draft.access?.rules, 'access.rules').map(({ item, path }) => {
    const rule = item as Partial<AccessRule>
    const known = <T>(list: readonly (T | undefined)[] | undefined) =>
      list?.filter((each) => each !== undefined) as readonly T[] | undefined
    return {
      path,
      rule: { ...rule, ...pickKnown(rule, known) },
      hosts: (known(rule.hosts) ?? []).map(compileHost),
      paths: known(rule.paths)?.map(compilePath),
    }
  })
}

function pickKnown(
  rule: Partial<AccessRule>,
  known: <T>(list: readonly (T | undefined)[] | undefined) => readonly T[] | undefined,
) {
  return { methods: known(rule.methods), networks: known(rule.networks) }
}

/** Whatever this rule matches, earlier ones have decided. */
export const rulesDecide: Rule = (draft, report) => {
  const rules = readRules(draft)
  rules.forEach((later, index) => {
    const earlier = rules.slice(0, index).filter(({ rule }) => isEnforced(rule)) // guard: policy-shadow-covers-none
    const parts = partsOf(later)
    const by = parts.map((part) => earlier.find((rule) => coversPart(rule, part, later.rule.networks))?.path)
    if (parts.length === 0 || by.includes(undefined)) return
    report.warn(
      later.path,
      'rule_never_decides',
      `${later.path} can never decide: ${[...new Set(by)].join(' and ')} ${
        new Set(by).size === 1 ? 'matches' : 'match'
      } all that it matches, and the first rule that matches decides.`,
      'Move it up, make the earlier rule narrower, or take it away.',
    )
  })
}

interface Part {
  readonly host: HostPattern
  readonly path: PathPattern | undefined
  readonly method: string | undefined
}

/** A rule is as good as one rule for each of its hosts, paths and methods. */
function partsOf({ hosts, paths, rule }: ReadRule): readonly Part[] {
  return hosts.flatMap((host) =>
    (paths ?? [undefined]).flatMap((path) => (rule.methods ?? [undefined]).map((method) => ({ host, path, method })))
  )
}

function coversPart({ rule, hosts, paths }: ReadRule, part: Part, networks: readonly string[] | undefined): boolean {
  if (!hosts.some((host) => coversHost(host, part.host))) return false
  if (rule.methods !== undefined && (part.method === undefined || !rule.methods.includes(part.method))) return false
  const { path } = part
  if (
    paths !== undefined && (path === undefined
      ? !paths.some((each) => coversPath(each, ['**']))
      : !paths.some((each) => coversPath(each, path)))
  ) return false
  return rule.networks === undefined || (networks?.every((network) => rule.networks?.includes(network)) ?? false)
}

/** `/admin/**` does not match `/admin`: a rule that closes the one leaves the other to a later rule. */
export const rulesCloseTheFolderItself: Rule = (draft, report) => {
  for (const { path, rule, paths = [] } of readRules(draft)) {
    if (rule.allow === undefined || rule.allow === 'anyone') continue
    paths.forEach((pattern, index) => {
      const folder = pattern.slice(0, -1)
      if (pattern.at(-1) !== '**' || folder.length === 0) return
      const itself = `/${folder.join('/')}`
      const text = report.textOf(`${path}.paths[${index}]`, itself).replace(/\/\*\*$/, '')
      if (!paths.some((other) => matchesPath(other, itself))) {
        report.warn(
          `${path}.paths[${index}]`,
          'rule_without_folder',
          `${path}.paths[${index}] matches what is below ${text}/, not ${text} itself.`,
          `If the page ${text} is meant too, add it to the list.`,
        )
      }
    })
  }
}

/**
 * Where others have rules and the default lets everybody in who is signed in, a host without one is easily forgotten.
 */
export const hostsHaveRules: Rule = (draft, report) => {
  const rules = readRules(draft).filter(({ rule }) => isEnforced(rule))
  if (rules.length === 0 || draft.access?.default === 'deny') return
  const gateway = draft.server?.publicUrl === undefined ? undefined : new URL(draft.server.publicUrl).hostname
  for (const { item, path } of entries(draft.server?.redirectDomains, 'server.redirectDomains')) {
    const host = splitPort(item)?.host ?? item
    if (host.startsWith('.') || host === gateway) continue
    if (!rules.some(({ hosts }) => hosts.some((each) => coversHost({ ...each, port: undefined }, compileHost(host))))) {
      report.warn(
        path,
        'host_without_rule',
        `${path}: no access rule is about ${
          report.textOf(path, host)
        }, so access.default decides: everybody who is signed in gets in.`,
        'Add a rule for it, or set access.default to deny.',
      )
    }
  }
}

/** A name stands in refusals and in the log in place of the key: there it does not say which of two rules is meant. */
export const ruleNamesOnce: Rule = (draft, report) => {
  const first = new Map<string, string>()
  for (const { path, rule: { name } } of readRules(draft)) {
    if (name === undefined) continue
    const earlier = first.get(name)
    if (earlier === undefined) first.set(name, path)
    else {
      report.warn(
        `${path}.name`,
        'rule_name_repeated',
        `${path}.name ${JSON.stringify(name)} is the name of ${earlier} as well.`,
        'Give each rule a name of its own: refusals and the log name the rule by it alone.',
      )
    }
  }
}

/** A shadow rule closes nothing: a host or a path that only shadow rules close is open. */
export const shadowRulesProtectNothing: Rule = (draft, report) => {
  const rules = readRules(draft)
  const enforced = rules.filter(({ rule }) => isEnforced(rule))
  const byDefault = draft.access?.default === 'deny' ? 'access.default denies it' : 'everybody who is signed in gets in'
  for (const { path, rule, hosts } of rules) {
    if (isEnforced(rule)) continue
    if (rule.allow === 'deny') {
      report.warn(
        path,
        'shadow_rule_deny',
        `${path} is a shadow rule that denies: enforce: false keeps nobody out.`,
        'Look at what it would have refused (Access in the console, the log), then remove enforce: false.',
      )
    }
    hosts.forEach((host, index) => {
      if (enforced.some((other) => other.hosts.some((each) => coversHost({ ...each, port: undefined }, host)))) return
      const at = `${path}.hosts[${index}]`
      report.warn(
        at,
        'shadow_rule_alone',
        `${at}: no rule that is enforced is about ${
          report.textOf(at, rule.hosts?.[index] ?? host.name)
        }, so access.default decides: ${byDefault}.`,
        'Write a rule for it, or remove enforce: false.',
      )
    })
  }
}
