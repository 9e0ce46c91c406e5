// The differences between two values of the same form: the innermost keys whose values differ.
import { isRecord } from './is-record.js'

export interface Difference {
  /** Such as `access.default`, or `groupMapping` for an entry of this list. */
  readonly path: string
  /** Undefined: added. */
  readonly before: unknown
  /** Undefined: removed. */
  readonly after: unknown
}

/** Two values as they are reported in place of those that are compared. */
interface Shown {
  readonly before: unknown
  readonly after: unknown
}

/** Lists are compared entry by entry; the index of an entry is left out, since entries do not depend on their order. */
export function differences(
  path: string,
  before: unknown,
  after: unknown,
  shown: Shown = { before, after },
): Difference[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  if (isRecord(before) && isRecord(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
      differences(path === '' ? key : `${path}.${key}`, before[key], after[key], {
        before: isRecord(shown.before) ? shown.before[key] : undefined,
        after: isRecord(shown.after) ? shown.after[key] : undefined,
      })
    )
  }
  if (Array.isArray(before) && Array.isArray(after)) return listDifferences(path, before, after, shown)
  return [{ path, ...shown }]
}

/** Removed and added entries. */
function listDifferences(
  path: string,
  before: readonly unknown[],
  after: readonly unknown[],
  shown: Shown,
): Difference[] {
  const entry = (list: unknown, index: number): unknown => Array.isArray(list) ? list[index] : undefined
  const serialized = (entries: readonly unknown[]) => new Set(entries.map((each) => JSON.stringify(each)))
  const [old, current] = [serialized(before), serialized(after)]
  const removed = before.flatMap((each, index): Difference[] =>
    current.has(JSON.stringify(each)) ? [] : [{ path, before: entry(shown.before, index), after: undefined }]
  )
  const added = after.flatMap((each, index): Difference[] =>
    old.has(JSON.stringify(each)) ? [] : [{ path, before: undefined, after: entry(shown.after, index) }]
  )
  if (removed.length === 0 && added.length === 0) {
    return [{ path, before: 'another order', after: 'the same entries in a new order' }]
  }
  return [...removed, ...added]
}
