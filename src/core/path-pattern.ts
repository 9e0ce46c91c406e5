// The paths of an access rule: `*` matches one segment, a trailing `**` any number of segments, including an empty one.
// `/admin/**` matches `/admin/` but not `/admin`.

export type PathPattern = readonly string[]

/** @param pattern of the configuration; compared as bytes, like the interpretations of a path */
export function compilePath(pattern: string): PathPattern {
  return Buffer.from(pattern, 'utf8').toString('latin1').split('/').slice(1)
}

export function matchesPath(pattern: PathPattern, path: string): boolean {
  return matchesSegments(pattern, segmentsOf(path))
}

/** Splits a path once for all patterns. @param max number of segments of the longest pattern */
export function segmentsOf(path: string, max = Infinity): readonly string[] {
  return max === Infinity ? path.slice(1).split('/') : path.slice(1).split('/', max + 1)
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
  return inner.length > fixed.length && fixed.every((segment, index) => coversSegment(segment, inner[index]))
}

function coversSegment(outer: string, inner: string | undefined): boolean {
  return outer === inner || (outer === '*' && inner !== '' && inner !== undefined)
}
