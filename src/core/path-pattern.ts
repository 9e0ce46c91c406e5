// The paths of an access rule: `*` stands for one segment, a last `**` for any number of them, also for none after its
// slash. `/admin/**` does not match `/admin` itself.

export type PathPattern = readonly string[]

/** @param pattern as the configuration has it; compared as bytes, like the readings of a path */
export function compilePath(pattern: string): PathPattern {
  return Buffer.from(pattern, 'utf8').toString('latin1').split('/').slice(1)
}

export function matchesPath(pattern: PathPattern, reading: string): boolean {
  return matchesSegments(pattern, reading.split('/').slice(1))
}

function matchesSegments(pattern: PathPattern, segments: readonly string[]): boolean {
  const open = pattern.at(-1) === '**'
  const fixed = open ? pattern.slice(0, -1) : pattern
  if (open ? segments.length <= fixed.length : segments.length !== fixed.length) return false
  return fixed.every((wanted, index) => wanted === '*' ? segments[index] !== '' : wanted === segments[index])
}

/** Whether every path that `inner` matches is matched by `outer` too. */
export function coversPath(outer: PathPattern, inner: PathPattern): boolean {
  if (outer.at(-1) !== '**') return inner.at(-1) !== '**' && outer.length === inner.length && outer.every((segment, index) => coversSegment(segment, inner[index]))
  const fixed = outer.slice(0, -1)
  const enough = inner.at(-1) === '**' ? inner.length - 1 >= fixed.length : inner.length > fixed.length
  return enough && fixed.every((segment, index) => coversSegment(segment, inner[index]))
}

function coversSegment(outer: string, inner: string | undefined): boolean {
  return outer === inner || (outer === '*' && inner !== '' && inner !== undefined)
}
