// What the forms of a mapping row and of an access rule show and give back. An entry that says something else than a
// form has fields for is shown as its own YAML.
import { isRecord } from '../core/is-record.js'
import type { EntryMap, EntryValue } from '../core/policy-entries.js'

export interface RowFields {
  readonly entraGroup: string
  readonly label: string
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
}

/** Characters of a field with one line. */
export const MOST_LINE = 300

/** `some`: any of the groups, permissions and flags. */
export const ALLOWS = ['anyone', 'authenticated', 'deny', 'some'] as const

export type Allow = typeof ALLOWS[number]

export interface RuleFields {
  readonly name: string
  readonly hosts: readonly string[]
  readonly paths: readonly string[]
  readonly methods: readonly string[]
  readonly networks: readonly string[]
  readonly allow: Allow
  readonly groups: readonly string[]
  readonly permissions: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
  /** `enforce: false` */
  readonly shadow: boolean
}

/** @returns undefined: the form has no fields for it */
export function rowFields(value: EntryValue): RowFields | undefined {
  const read = reader(value)
  const fields = {
    entraGroup: read.text('entraGroup'),
    label: read.text('label'),
    groups: read.list('groups'),
    staff: read.flag('staff', false),
    superuser: read.flag('superuser', false),
  }
  return read.isWhole() ? fields : undefined
}

/** @param before as the row is now; undefined: it is a new one */
export function rowValue({ entraGroup, label, groups, staff, superuser }: RowFields, before: EntryMap = {}): EntryMap {
  return {
    ...given('entraGroup', entraGroup, before),
    ...given('label', label, before),
    ...given('groups', groups, before),
    ...flag('staff', staff, false, before),
    ...flag('superuser', superuser, false, before),
  }
}

/** @returns undefined: the form has no fields for it */
export function ruleFields(value: EntryValue): RuleFields | undefined {
  const read = reader(value)
  const allow = isRecord(value) ? value['allow'] : undefined
  const some = reader(isRecord(allow) ? allow : {})
  const word = isRecord(allow) ? 'some' : ALLOWS.find((each) => each === allow && each !== 'some')
  read.skip('allow')
  const fields = {
    name: read.text('name'),
    hosts: read.list('hosts'),
    paths: read.list('paths'),
    methods: read.list('methods'),
    networks: read.list('networks'),
    allow: word ?? 'deny',
    groups: some.list('groups'),
    permissions: some.list('permissions'),
    staff: some.flag('staff', false),
    superuser: some.flag('superuser', false),
    shadow: !read.flag('enforce', true),
  }
  return read.isWhole() && some.isWhole() && word !== undefined ? fields : undefined
}

/** @param before as the rule is now; undefined: it is a new one */
export function ruleValue(fields: RuleFields, before: EntryMap = {}): EntryMap {
  const { name, hosts, paths, methods, networks, allow, groups, permissions, staff, superuser, shadow } = fields
  const allowed = before['allow']
  const some = isRecord(allowed) ? allowed : {}
  return {
    ...given('name', name, before),
    ...given('hosts', hosts, before),
    ...given('paths', paths, before),
    ...given('methods', methods, before),
    ...given('networks', networks, before),
    allow: allow === 'some'
      ? {
        ...given('groups', groups, some),
        ...given('permissions', permissions, some),
        ...staff ? { staff } : {},
        ...superuser ? { superuser } : {},
      }
      : allow,
    ...flag('enforce', !shadow, true, before),
  }
}

/** Fields that count only where `allow` is `some`, and are given all the same. */
export function idleFields({ allow, groups, permissions, staff, superuser }: RuleFields): boolean {
  return allow !== 'some' && (groups.length > 0 || permissions.length > 0 || staff || superuser)
}

/** An empty list stays where it was written. */
function given(key: string, value: string | readonly string[], before: EntryMap): EntryMap {
  if (value.length > 0) return { [key]: value }
  const written = before[key]
  return Array.isArray(written) && written.length === 0 ? { [key]: [] } : {}
}

/** Written where it differs from the default, and where it was written already. */
function flag(key: string, value: boolean, fallback: boolean, before: EntryMap): EntryMap {
  return value !== fallback || Object.hasOwn(before, key) ? { [key]: value } : {}
}

/** What one line of a form can hold, without a loss. */
function isLine(value: EntryValue): value is string {
  return typeof value === 'string' && value !== '' && !/[\r\n\0]/.test(value)
}

interface Reader {
  text(key: string): string
  list(key: string): readonly string[]
  flag(key: string, fallback: boolean): boolean
  skip(key: string): void
  /** Whether everything was read. */
  isWhole(): boolean
}

function reader(value: EntryValue): Reader {
  const left = new Map(isRecord(value) ? Object.entries(value) : [])
  let isWhole = isRecord(value)
  const take = (key: string): EntryValue | undefined => {
    const found = left.get(key)
    left.delete(key)
    return found
  }
  const otherwise = <Value>(fallback: Value): Value => {
    isWhole = false
    return fallback
  }
  return {
    text(key) {
      const found = take(key)
      if (found === undefined) return ''
      return isLine(found) && found.length <= MOST_LINE ? found : otherwise('')
    },
    list(key) {
      const found = take(key)
      if (found === undefined) return []
      const items = Array.isArray(found) ? found as readonly EntryValue[] : [null]
      return items.every(isLine) ? items : otherwise([])
    },
    flag(key, fallback) {
      const found = take(key)
      if (found === undefined) return fallback
      return typeof found === 'boolean' ? found : otherwise(fallback)
    },
    skip(key) {
      left.delete(key)
    },
    isWhole: () => isWhole && left.size === 0,
  }
}
