// The known name that an unknown one was probably meant to be.

export function nearest(name: string, known: readonly string[]): string | undefined {
  const folded = known.find((candidate) => fold(candidate) === fold(name))
  if (folded !== undefined) return folded
  const limit = Math.max(1, Math.floor(name.length / 3))
  const [best] = known
    .map((candidate) => ({ candidate, distance: distance(fold(name).slice(0, 64), fold(candidate)) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
  return best?.candidate
}

/** `redirect_domains`, `Redirect-Domains` and `redirectDomains` are one name to a person. */
export function fold(name: string): string {
  return name.toLowerCase().replace(/[\s_-]/g, '')
}

/** Levenshtein, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
