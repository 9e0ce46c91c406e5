// What a row of the record says, for people: names and values without the marks of JSON, and what was beside what is.

export interface Fact {
  /** `groups.added`: names joined by dots. */
  readonly name: string
  readonly value: string
}

export interface Change {
  readonly name: string
  /** Null: there was nothing, or it is not recorded. */
  readonly before: string | null
  readonly after: string | null
}

export interface ReadableDetail {
  readonly changes: readonly Change[]
  readonly facts: readonly Fact[]
}

/** `reason: signed out; groups.added: A, B`: empty values are left out. */
export function detailText(detail: unknown): string {
  return factsOf(detail).map(({ name, value }) => name === '' ? value : `${name}: ${value}`).join('; ')
}

export function readableDetail({ before, after, ...others }: Readonly<Record<string, unknown>>): ReadableDetail {
  const [was, is] = [before, after].map((side) => new Map(factsOf(side).map(({ name, value }) => [name, value])))
  const names = [...new Set([...was?.keys() ?? [], ...is?.keys() ?? []])]
  return {
    changes: names.map((name) => ({
      name,
      before: was?.get(name) ?? null,
      after: is?.get(name) ?? flagAfter(others, name),
    })).filter(({ before, after }) => before !== after),
    facts: [...factsOf(others)].sort((one, other) => rankOf(one) - rankOf(other)),
  }
}

/** Reasons and messages, which people write, come first; ids and hashes come last. */
function rankOf({ name }: Fact): number {
  if (name === 'reason' || name === 'message') return 0
  return /^by\.|^(?:oid|tid|client|address|session|preview)$|hash$/i.test(name) ? 2 : 1
}

/** A sign-in records why a flag is set, as a list of causes, and not the flag: an empty list is `false`. */
function flagAfter(detail: Readonly<Record<string, unknown>>, name: string): string | null {
  const causes = detail[name]
  return Array.isArray(causes) ? String(causes.length > 0) : null
}

function factsOf(detail: unknown, name = ''): readonly Fact[] {
  if (detail === null || detail === undefined) return []
  if (typeof detail !== 'object') return [{ name, value: String(detail) }]
  if (Array.isArray(detail)) {
    const items = detail.map((item: unknown) => typeof item === 'object' ? `(${detailText(item)})` : String(item))
    return items.length === 0 ? [] : [{ name, value: items.join(', ') }]
  }
  return Object.entries(detail)
    .flatMap(([key, value]) => factsOf(value, name === '' ? key : `${name}.${key}`))
    .filter(({ value }) => value !== '')
}
