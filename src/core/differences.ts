// The differences between two values of the same form: the innermost keys whose values differ.

export interface Difference {
  /** Such as `access.default`, or `groupMapping` for an entry of this list. */
  readonly path: string
  /** Undefined: added. */
  readonly before: unknown
  /** Undefined: removed. */
  readonly after: unknown
}

/** Lists are compared entry by entry; the index of an entry is left out, since entries do not depend on their order. */
export function differences(path: string, before: unknown, after: unknown): Difference[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  if (isMap(before) && isMap(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
      differences(path === '' ? key : `${path}.${key}`, before[key], after[key])
    )
  }
  if (Array.isArray(before) && Array.isArray(after)) return listDifferences(path, before, after)
  return [{ path, before, after }]
}

/** Removed and added entries. */
function listDifferences(path: string, before: readonly unknown[], after: readonly unknown[]): Difference[] {
  const serialized = (entries: readonly unknown[]) => new Set(entries.map((entry) => JSON.stringify(entry)))
  const [old, current] = [serialized(before), serialized(after)]
  const removed = before.filter((entry) => !current.has(JSON.stringify(entry)))
    .map((entry): Difference => ({ path, before: entry, after: undefined }))
  const added = after.filter((entry) => !old.has(JSON.stringify(entry)))
    .map((entry): Difference => ({ path, before: undefined, after: entry }))
  if (removed.length === 0 && added.length === 0) {
    return [{ path, before: 'another order', after: 'the same entries in a new order' }]
  }
  return [...removed, ...added]
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
