/**
 * Keeps the last results of work that is asked for again and again, by a key; calls with the same key share one run.
 * A failure is not kept.
 * @param most results that are kept: of more, the oldest one goes
 */
export function createKeptResults<T>(most: number): (key: string, work: () => Promise<T>) => Promise<T> {
  const kept = new Map<string, Promise<T>>()
  return (key, work) => {
    const known = kept.get(key)
    if (known !== undefined) return known
    const result = work()
    const [oldest] = kept.keys()
    if (kept.size >= most && oldest !== undefined) kept.delete(oldest)
    kept.set(key, result)
    result.catch(() => kept.delete(key))
    return result
  }
}
