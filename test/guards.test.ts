// The mutation guards are complete: each one has an entry in test/guards, one place that the entry changes, and one
// test that proves it. Whether that test fails without the guard: scripts/check-guards.mjs.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { markersIn, mutate, readGuards, type Guard } from '../scripts/guards.mjs'
import { testsIn } from '../scripts/test-titles.mjs'

const { guards, problems } = readGuards()
const markerOf = (word: string, names: string) => `// ${word}: ${names}`

t.test('every guard has an entry, a place and a test', async (t) => {
  t.strictSame(problems, [])
  t.ok(guards.size > 500, `${guards.size} guards`)
})

t.test('every entry changes its place', async (t) => {
  for (const guard of guards.values()) {
    const { name, file, find, replace, list, marked } = guard
    const text = readFileSync(file, 'utf8')
    const where = marked ? `below its marker in ${file}` : `once in ${file}`
    const changed = mutate(guard, text)
    t.not(changed, undefined, `${name}: ${list} seeks ${JSON.stringify(find)}, which is not ${where}`)
    t.not(changed, text, `${name}: the change makes a difference`)
    t.not(find, replace, name)
  }
})

t.test('what is incomplete is named, with what to do', async (t) => {
  const entry = { name: 'a', find: 'x', replace: 'y' }
  const source = `f(x) ${markerOf('guard', 'a')}\n`
  const test = `${markerOf('proves', 'a')}\nt.test('one', async () => {})\n`
  const complete = { 'src/http/f.ts': source, 'test/f.test.ts': test, 'test/guards/http.json': [entry] }
  const problemsOf = (changes: Readonly<Record<string, unknown>>) => readIn({ ...complete, ...changes }).problems
  const readIn = (files: Readonly<Record<string, unknown>>) => {
    const root = t.testdir()
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(join(root, dirname(path)), { recursive: true })
      writeFileSync(join(root, path), typeof content === 'string' ? content : JSON.stringify(content))
    }
    return readGuards(root)
  }

  t.strictSame(readIn(complete).problems, [])
  t.strictSame(readIn(complete).guards.get('a'), {
    ...entry,
    list: 'test/guards/http.json',
    file: 'src/http/f.ts',
    marked: true,
    test: 'test/f.test.ts',
    titles: ['one'],
  })
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, string])[] = [
    [
      { 'src/http/f.ts': 'f(x)\n' },
      'a: no line of src is marked "// guard: a", and test/guards/http.json gives no file',
    ],
    [{ 'src/http/g.ts': source }, 'a: marked at src/http/f.ts:1 and src/http/g.ts:1, but a guard has one place'],
    [
      { 'test/guards/http.json': [{ ...entry, file: 'Dockerfile' }] },
      'a: marked at src/http/f.ts:1, and test/guards/http.json gives a file: remove one of them',
    ],
    [
      { 'test/guards/core.json': [entry], 'test/guards/http.json': [] },
      'a: marked at src/http/f.ts:1, so its entry belongs in test/guards/http.json, not in test/guards/core.json',
    ],
    [{ 'test/f.test.ts': "t.test('one', async () => {})\n" }, 'a: no test has "// proves: a" above it'],
    [{ 'test/g.test.ts': test }, 'a: test/f.test.ts:1 and test/g.test.ts:1 prove it, but one test does'],
    [
      { 'test/f.test.ts': `${markerOf('proves', 'a')}\nconst b = 1\n` },
      'test/f.test.ts:1: below "// proves: a" is no test with a literal title',
    ],
  ]
  for (const [changes, problem] of cases) t.strictSame(problemsOf(changes), [problem])
  t.strictSame(problemsOf({ 'test/guards/http.json': [] }), [
    'src/http/f.ts:1: "// guard: a" has no entry in test/guards',
    'test/f.test.ts:1: "// proves: a" has no entry in test/guards',
  ])
  t.strictSame(problemsOf({ 'test/guards/http.json': [entry, entry] }), [
    'a: 2 entries in test/guards/http.json and test/guards/http.json, but a name is unique',
  ])
})

t.test('the search begins at the marker and does not depend on the layout', async (t) => {
  const guard: Guard = {
    name: 'a',
    find: 'f(x, y)',
    replace: 'g()',
    list: 'test/guards/src.json',
    file: 'src/f.ts',
    marked: true,
    test: 'test/f.test.ts',
    titles: [],
  }
  const marker = markerOf('guard', 'b, a')
  t.strictSame(markersIn(`f()\ng() ${marker}`), [{ name: 'b', line: 2, from: 4 }, { name: 'a', line: 2, from: 4 }])
  t.equal(mutate(guard, `f(x, y)\nf(x, y) ${marker}\nf(x, y)`), `f(x, y)\ng() ${marker}\nf(x, y)`)
  t.equal(mutate(guard, `${marker}\nf(\n  x,\n  y,\n)`), `${marker}\ng()`)
  t.equal(mutate(guard, `f( ${marker}\n  x, y)`), 'g()')
  t.equal(mutate(guard, `${marker}\nof(x, y)`), undefined, 'another name')
  t.equal(mutate(guard, `${marker}\n${'\n'.repeat(20)}f(x, y)`), undefined, 'too far below')
  t.equal(mutate({ ...guard, find: 'b, a' }, `1 ${marker}`), undefined, 'a marker is not the source')
  t.equal(mutate({ ...guard, marked: false }, 'f(x, y)'), 'g()')
  t.equal(mutate({ ...guard, marked: false }, 'f(x, y) f(x, y)'), undefined, 'twice')
})

t.test('a marker belongs to the test directly below it', async (t) => {
  const source = `${markerOf('proves', 'a, b')}\n${markerOf('proves', 'c')}\nt.test('x', async (t) => {\n` +
    `  await t.test('y', f)\n  // why\n  ${markerOf('proves', 'd')}\n  await t.test('z', f)\n})\n`
  t.strictSame(testsIn(source), [
    { titles: ['x'], proves: ['a', 'b', 'c'] },
    { titles: ['x', 'y'], proves: [] },
    { titles: ['x', 'z'], proves: ['d'] },
  ])
})
