// The paths of an access rule: `*` stands for one segment, a last `**` for any number of them, also for none after its
// slash. `/admin/**` does not match `/admin` itself.

export type PathPattern = readonly string[]

/** @param pattern as the configuration has it; compared as bytes, like the readings of a path */
export function compilePath(pattern: string): PathPattern {
  return Buffer.from(pattern, 'utf8').toString('latin1').split('/').slice(1)
}

export function matchesPath(pattern: PathPattern, reading: string): boolean {
  return matchesSegments(pattern, segmentsOf(reading))
}

/** Once for all patterns that a reading is held against. @param longest number of segments of the longest of these */
export function segmentsOf(reading: string, longest = Infinity): readonly string[] {
  return longest === Infinity ? reading.slice(1).split('/') : reading.slice(1).split('/', longest + 1)
}

export function matchesSegments(pattern: PathPattern, segments: readonly string[]): boolean {
  const open = pattern[pattern.length - 1] === '**'
  const fixed = open ? pattern.length - 1 : pattern.length
  if (open ? segments.length <= fixed : segments.length !== fixed) return false
  for (let index = 0; index < fixed; index++) {
    const wanted = pattern[index]
    if (wanted === '*' ? segments[index] === '' : wanted !== segments[index]) return false
  }
  return true
}

/** Whether every path that `inner` matches is matched by `outer` too. */
export function coversPath(outer: PathPattern, inner: PathPattern): boolean {
  if (outer.at(-1) !== '**') {
    return inner.at(-1) !== '**' && outer.length === inner.length &&
      outer.every((segment, index) => coversSegment(segment, inner[index]))
  }
  const fixed = outer.slice(0, -1)
  const enough = inner.at(-1) === '**' ? inner.length - 1 >= fixed.length : inner.length > fixed.length
  return enough && fixed.every((segment, index) => coversSegment(segment, inner[index]))
}

function coversSegment(outer: string, inner: string | undefined): boolean {
  return outer === inner || (outer === '*' && inner !== '' && inner !== undefined)
}
