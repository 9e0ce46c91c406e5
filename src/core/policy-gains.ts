// What a change of the policy gives to users, for the ceiling of the administrator who deploys it (ceiling.ts). What is
// not known here to be harmless is a superuser's: a new key of the policy is, until it is judged here.
import { canonicalJson } from './canonical-json.js'

export interface PolicyGains {
  /** What superusers alone deploy, for people to read: `pipeline`, `staff by groupMapping`. */
  readonly superusersAlone: readonly string[]
  /** Local groups into which users may come that did not before, by a row or by default. */
  readonly groups: readonly string[]
}

/** Values of YAML. */
type Values = Readonly<Record<string, unknown>>

/** They decide about applications and about looks, and give no user a right here. */
const HARMLESS = ['requireMappedGroup', 'applications', 'branding'] as const

const ACCESS_KEYS = ['default', 'rules', 'sample'] as const
const RULE_KEYS = ['name', 'hosts', 'networks', 'methods', 'paths', 'allow', 'enforce'] as const
const ALLOW_KEYS = ['groups', 'permissions', 'staff', 'superuser'] as const
const ROW_KEYS = ['entraGroup', 'label', 'groups', 'staff', 'superuser'] as const

/** @param before,after policies as YAML has them, both accepted, without defaults filled in */
export function gainsOfPolicy(before: unknown, after: unknown): PolicyGains {
  if (!isMap(before) || !isMap(after)) return { superusersAlone: ['the whole policy'], groups: [] }
  const found = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => canonicalJson(before[key]) !== canonicalJson(after[key]))
    .map((key) => gainsOfKey(key, before[key], after[key]))
  return {
    superusersAlone: unique(found.flatMap(({ superusersAlone }) => superusersAlone)),
    groups: unique(found.flatMap(({ groups }) => groups)),
  }
}

function gainsOfKey(key: string, before: unknown, after: unknown): PolicyGains {
  if (isOneOf(key, HARMLESS)) return NOTHING
  if (key === 'access') return isKnownAccess(before) && isKnownAccess(after) ? NOTHING : ofSuperusers(key)
  if (key === 'groupMapping') return gainsOfMapping(before ?? [], after ?? [])
  if (key === 'defaultGroups') {
    const [old, now] = [before ?? [], after ?? []]
    return isNames(old) && isNames(now) ? { superusersAlone: [], groups: without(now, old) } : ofSuperusers(key)
  }
  return ofSuperusers(key) // guard: policy-gains-unknown
}

const NOTHING: PolicyGains = { superusersAlone: [], groups: [] }

function ofSuperusers(what: string): PolicyGains {
  return { superusersAlone: [what], groups: [] }
}

interface Row {
  readonly entraGroup: string
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
}

/** All that the rows of one Entra group grant together. */
type Granted = Omit<Row, 'entraGroup'>

function gainsOfMapping(before: unknown, after: unknown): PolicyGains {
  if (!Array.isArray(before) || !Array.isArray(after)) return ofSuperusers('groupMapping')
  const [was, is] = [before.map(canonicalJson), after.map(canonicalJson)].map((rows) => new Set(rows))
  const changed = [
    ...before.filter((row) => !is?.has(canonicalJson(row))),
    ...after.filter((row) => !was?.has(canonicalJson(row))),
  ]
  const read = changed.map(rowOf)
  const isKnown = read.every((row) => row !== undefined) // guard: policy-gains-unknown-row
  if (!isKnown) return ofSuperusers('an unknown key of groupMapping')
  const [old, now] = [before, after].map(grantedBy)
  const found = read.map(({ entraGroup }) => gainsOfEntraGroup(old?.get(entraGroup), now?.get(entraGroup)))
  return {
    superusersAlone: found.flatMap(({ superusersAlone }) => superusersAlone),
    groups: found.flatMap(({ groups }) => groups),
  }
}

function gainsOfEntraGroup(before = GRANTS_NOTHING, after = GRANTS_NOTHING): PolicyGains {
  return {
    superusersAlone: [
      ...after.superuser && !before.superuser ? ['superuser by groupMapping'] : [], // guard: policy-gains-superuser
      ...after.staff && !before.staff ? ['staff by groupMapping'] : [], // guard: policy-gains-staff
      // an act upon superusers
      ...before.superuser && !after.superuser ? ['superuser taken by groupMapping'] : [], // guard: policy-gains-demoted
    ],
    groups: without(after.groups, before.groups),
  }
}

const GRANTS_NOTHING: Granted = { groups: [], staff: false, superuser: false }

function grantedBy(rows: readonly unknown[]): ReadonlyMap<string, Granted> {
  const granted = new Map<string, { groups: string[], staff: boolean, superuser: boolean }>()
  for (const row of rows.map(rowOf)) {
    if (row === undefined) continue // the same before and after
    const known = granted.get(row.entraGroup)
    if (known === undefined) granted.set(row.entraGroup, { ...row, groups: [...row.groups] })
    else {
      known.groups.push(...row.groups)
      known.staff ||= row.staff
      known.superuser ||= row.superuser
    }
  }
  return granted
}

/** Undefined: not every key and value of it is known. */
function rowOf(row: unknown): Row | undefined {
  if (!isMap(row) || !hasOnly(row, ROW_KEYS)) return undefined
  const { entraGroup, groups = [], staff = false, superuser = false } = row
  if (typeof entraGroup !== 'string' || !isNames(groups)) return undefined
  if (typeof staff !== 'boolean' || typeof superuser !== 'boolean') return undefined
  return { entraGroup: entraGroup.toLowerCase(), groups, staff, superuser }
}

function isKnownAccess(access: unknown = {}): boolean {
  if (!isMap(access) || !hasOnly(access, ACCESS_KEYS)) return false
  const { rules = [] } = access
  return Array.isArray(rules) && rules.every((rule: unknown) => {
    if (!isMap(rule) || !hasOnly(rule, RULE_KEYS)) return false
    return typeof rule['allow'] === 'string' || (isMap(rule['allow']) && hasOnly(rule['allow'], ALLOW_KEYS))
  })
}

function isOneOf(key: string, known: readonly string[]): boolean {
  return known.includes(key)
}

function hasOnly(map: Values, known: readonly string[]): boolean {
  return Object.keys(map).every((key) => known.includes(key))
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}

/** Neither a list nor what a tag of YAML may make: a set, an ordered map. */
function isMap(value: unknown): value is Values {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function without(all: readonly string[], known: readonly string[]): readonly string[] {
  const names = new Set(known)
  return all.filter((name) => !names.has(name))
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)]
}
