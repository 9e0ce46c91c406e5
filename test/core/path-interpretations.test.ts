// The interpretations of a path, one by one: which rewrites apply, which characters are decoded, and the two limits of
// the work.
import t from 'tap'
import { pathInterpretations } from '../../src/core/path-interpretations.js'

/** In the order of their code units: the order of the interpretations has no meaning. */
const sorted = (path: string): readonly string[] | 'unknowable' => {
  const all = pathInterpretations(path)
  return all === 'unknowable' ? all : all.toSorted()
}

t.test('each ambiguous part of a path leads to exactly these interpretations', async (t) => {
  const table: Readonly<Record<string, readonly string[]>> = {
    '/a/b': ['/a/b'],
    '/a/.b': ['/a/.b'],
    '/a/..b': ['/a/..b'],
    '/a/b/..': ['/a/b/..', '/a/', '/a'],
    '/a/b/.': ['/a/b/.', '/a/b/', '/a/b'],
    '/a/../b': ['/a/../b', '/b'],
    '/a/../b/': ['/a/../b/', '/b/'],
    '/a/./.b/c': ['/a/./.b/c', '/a/.b/c'],
    '/../a': ['/../a', '/a'],
    '/..': ['/..', '/'],
    '//a': ['//a', '/a', '/'],
    '//a/b': ['//a/b', '/a/b', '/b'],
    '/a//b': ['/a//b', '/a/b'],
    '/a\\b': ['/a\\b', '/a/b'],
    '/a;b': ['/a;b', '/a'],
    '/a;b/c': ['/a;b/c', '/a/c', '/a'],
    '/a%2Fb': ['/a%2fb', '/a/b'],
    '/a%5cb': ['/a%5cb', '/a\\b', '/a/b'],
    '/a%3bb': ['/a%3bb', '/a;b', '/a'],
    '/a%3fb': ['/a%3fb', '/a?b', '/a'],
    '/a%23b': ['/a%23b', '/a#b', '/a'],
    '/a%20/b%20': ['/a /b ', '/a/b', '/a /b'],
    '/%20a': ['/ a', '/a'],
    '/a/%252e': ['/a/%252e', '/a/%2e', '/a/.', '/a/', '/a'],
    '/%61%5A%7e%20b': ['/aZ~ b'],
    '/caf%c3%A9': ['/caf\u00c3\u00a9'],
    '/caf%c3%A9/%2e%2e/b': ['/caf\u00c3\u00a9/../b', '/b'],
  }
  for (const [path, expected] of Object.entries(table)) t.strictSame(sorted(path), expected.toSorted(), path)
})

t.test('an encoding with a digit that is none stays as it is', async (t) => {
  // encoded twice: what the first decoding leaves is not well-formed
  for (const rest of ['4g', 'g4', '4G', 'G4', '4@', '@4', '4`', '`4', '4:', ':4', '4/', '/4', '4', 'x', '', '4-f']) {
    t.strictSame(sorted(`/a%25${rest}`), [`/a%25${rest}`, `/a%${rest}`].toSorted(), `%25${rest}`)
  }
  t.strictSame(sorted('/a%4'), ['/a%4'])
  t.strictSame(sorted('/a%'), ['/a%'])
})

t.test('a path with an encoded control character or a byte that is not UTF-8 is unknowable', async (t) => {
  for (const byte of ['00', '01', '09', '0a', '0D', '0f', '10', '1f', '7f', 'ff', 'c0%af']) {
    t.equal(pathInterpretations(`/a%${byte}`), 'unknowable', byte)
  }
  for (const byte of ['00', '0a', '1f', '7f', 'ff', 'c0%af', 'c2%80', 'c2%9F']) {
    const twice = `/a%${byte}`.replaceAll('%', '%25')
    t.equal(pathInterpretations(twice), 'unknowable', twice)
    t.equal(pathInterpretations(`/a/..%2f%${byte}`), 'unknowable', `${byte} in an ambiguous path`)
  }
  for (const [encoded, byte] of [['20', ' '], ['21', '!'], ['7e', '~'], ['c2%a1', '\u00c2\u00a1']] as const) {
    t.strictSame(sorted(`/a%${encoded}b`), [`/a${byte}b`], encoded)
  }
})

t.test('a path of 65,536 characters is analysed; a longer one is unknowable if it needs any', async (t) => {
  const ofLength = (length: number) => `/${'a'.repeat(length - 4)}%41`
  t.strictSame(sorted(ofLength(65_536)), [`/${'a'.repeat(65_532)}A`])
  t.equal(pathInterpretations(ofLength(65_537)), 'unknowable')
  const plain = `/${'a'.repeat(100_000)}`
  t.strictSame(sorted(plain), [plain])
})

t.test('65,536 characters are rewritten and no more; a rewrite that cannot change the path counts none', async (t) => {
  // the path counts once, and once more for each rewrite that applies
  const cases: readonly { readonly end: string, readonly times: number, readonly other: (name: string) => string }[] = [
    { end: '\\b', times: 2, other: (name) => `/${name}/b` },
    { end: '%2fb', times: 2, other: (name) => `/${name}/b` },
    { end: '//b', times: 2, other: (name) => `/${name}/b` },
    { end: '/../b', times: 2, other: () => '/b' },
    { end: ';b', times: 3, other: (name) => `/${name}` },
  ]
  for (const { end, times, other } of cases) {
    const longest = Math.floor(65_536 / times)
    const name = 'a'.repeat(longest - end.length - 1)
    t.strictSame(sorted(`/${name}${end}`), [`/${name}${end}`, other(name)].toSorted(), `${end} at the end`)
    t.equal(pathInterpretations(`/a${name}${end}`), 'unknowable', `${end} at the end, with one character more`)
  }
})

t.test('a path with 64 interpretations is analysed, one with 65 is unknowable', async (t) => {
  const encoded = (times: number) => `/a%${'25'.repeat(times - 1)}2fb`
  const all = pathInterpretations(encoded(63))
  t.strictSame({ interpretations: all.length, last: all.at(-1) }, { interpretations: 64, last: '/a/b' })
  t.equal(pathInterpretations(encoded(64)), 'unknowable')
})
