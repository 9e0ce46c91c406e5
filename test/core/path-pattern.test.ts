// Path patterns: which segments match, and when one pattern covers another. The configuration check reports a rule as
// unreachable where an earlier one covers it, so a pattern must never be reported as covered by mistake.
import fc from 'fast-check'
import t from 'tap'
import { compilePath, coversPath, matchesPath, matchesSegments, segmentsOf } from '../../src/core/path-pattern.js'

/** Every list of up to `max` of these names; the first one is the empty list. */
function listsOf(names: readonly string[], max: number): readonly (readonly string[])[] {
  if (max === 0) return [[]]
  return [[], ...listsOf(names, max - 1).flatMap((list) => names.map((name) => [name, ...list]))]
}

t.test('a pattern covers another one exactly if it matches every path that the other one matches', async (t) => {
  const closed = listsOf(['a', 'b', '', '*'], 3).filter(({ length }) => length > 0)
  const patterns = [...closed, ...listsOf(['a', 'b', '', '*'], 2).map((segments) => [...segments, '**'])]
  const paths = listsOf(['a', 'b', '', 'z'], 4).filter(({ length }) => length > 0)
  const matching = new Map(
    patterns.map((pattern) => [pattern, new Set(paths.filter((path) => matchesSegments(pattern, path)))]),
  )
  const seen = { covered: 0, notCovered: 0 }
  const wrong = [...matching].flatMap(([outer, ofOuter]) =>
    [...matching].flatMap(([inner, ofInner]) => {
      const expected = [...ofInner].every((path) => ofOuter.has(path))
      seen[expected ? 'covered' : 'notCovered']++
      return coversPath(outer, inner) === expected ? [] : [{ outer, inner, expected }]
    })
  )
  t.strictSame(wrong, [])
  t.strictSame({ patterns: patterns.length, paths: paths.length }, { patterns: 105, paths: 340 })
  t.ok(seen.covered > 500 && seen.notCovered > 5_000, JSON.stringify(seen))
})

t.test('a path that a covered pattern matches is matched by the covering one, for longer patterns too', async (t) => {
  const list = (names: readonly string[], maxLength: number) =>
    fc.array(fc.constantFrom(...names), { minLength: 1, maxLength })
  const pattern = list(['a', 'b', '', '*', '*'], 6).chain((segments) =>
    fc.constantFrom(segments, [...segments, '**'], [...segments.slice(1), '**'])
  )
  let covered = 0
  fc.assert(
    fc.property(pattern, fc.nat(63), fc.nat(6), list(['a', 'b', 'z', ''], 8), (inner, stars, cut, path) => {
      const widened = inner.map((segment, index) => (stars & (1 << index)) === 0 ? segment : '*')
      const outer = cut < inner.length ? [...widened.slice(0, cut), '**'] : widened
      // the segments of the pattern with a fresh one for each star: nearly every such path matches
      const own = inner.slice(0, -1).map((segment) => segment === '*' ? 'z' : segment)
      return coversPath(outer, inner)
        ? [path, [...own, ...path]].every((each) => {
          if (!matchesSegments(inner, each)) return true
          covered++
          return matchesSegments(outer, each)
        })
        : true
    }),
    { numRuns: 5_000 },
  )
  t.ok(covered > 500, `${covered} paths`)
})

t.test('what a pattern covers', async (t) => {
  const covers = (outer: string, inner: string) => coversPath(compilePath(outer), compilePath(inner))
  const covered = [
    ['/', '/'],
    ['/a', '/a'],
    ['/*', '/a'],
    ['/*', '/*'],
    ['/a/*', '/a/b'],
    ['/*/b', '/a/b'],
    ['/**', '/'],
    ['/**', '/a'],
    ['/**', '/a/b/**'],
    ['/**', '/**'],
    ['/a/**', '/a/'],
    ['/a/**', '/a/b'],
    ['/a/**', '/a/*/c'],
    ['/a/**', '/a/**'],
    ['/a/**', '/a/b/**'],
    ['/*/**', '/a/**'],
    ['/a/*/**', '/a/b/'],
  ] as const
  for (const [outer, inner] of covered) t.equal(covers(outer, inner), true, `${outer} covers ${inner}`)
  const notCovered = [
    ['/', '/a'],
    ['/a', '/'],
    ['/a', '/b'],
    ['/a', '/*'],
    ['/a', '/a/'],
    ['/a', '/a/**'],
    ['/a/', '/a'],
    ['/*', '/'],
    ['/*', '/**'],
    ['/*', '/a/b'],
    ['/*/*', '/a/'],
    ['/a/*', '/a/**'],
    ['/a/**', '/a'],
    ['/a/**', '/**'],
    ['/a/**', '/b/**'],
    ['/a/**', '/*/**'],
    ['/a/b/**', '/a/**'],
    ['/a/b/**', '/a/b'],
    ['/*/**', '/'],
    ['/*/**', '/**'],
    ['/*/**', '//a'],
  ] as const
  for (const [outer, inner] of notCovered) t.equal(covers(outer, inner), false, `${outer} does not cover ${inner}`)
})

t.test('a pattern is compared as bytes, and a path is split no further than its longest pattern', async (t) => {
  t.strictSame(compilePath('/caf\u00e9/*/**'), ['caf\u00c3\u00a9', '*', '**'])
  t.ok(matchesPath(compilePath('/caf\u00e9'), '/caf\u00c3\u00a9'))
  t.strictSame(segmentsOf('/a/b/'), ['a', 'b', ''])
  t.strictSame(segmentsOf('/a/b/c/d', 2), ['a', 'b', 'c'], 'one more, since /a/b does not match /a/b/c')
  t.strictSame(segmentsOf('/', 0), [''])
})
