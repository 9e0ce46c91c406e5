// JSON in which the order of keys does not count: what is compared, and what hashes are made of.

export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => {
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return each
    return Object.fromEntries(Object.entries(each).sort(([a], [b]) => a < b ? -1 : 1))
  })
}
