// Edits of one row or rule in the YAML of a policy: the rest of the text stays as it is, to the byte.
import fc from 'fast-check'
import t from 'tap'
import { editPolicyEntries, entrySource } from '../../src/config/entry-edits.js'
import { readPolicyEntries } from '../../src/config/policy-entries.js'
import type { EntryEdit, EntryList, EntryMap } from '../../src/core/policy-entries.js'

const ID = '1a36bed9-3bdc-4970-ab66-faf9704e0af4'

function edit(text: string, change: EntryEdit): string {
  const edited = editPolicyEntries(text, readPolicyEntries(text), change)
  if ('problems' in edited) throw new Error(JSON.stringify(edited.problems))
  return edited.text
}

function valuesOf(text: string, list: EntryList): readonly unknown[] {
  const { problems, lists } = readPolicyEntries(text)
  if (problems.length > 0) throw new Error(`${JSON.stringify(problems)} in\n${text}`)
  return lists[list].entries.map(({ value, reason }) => value ?? reason)
}

// Names that YAML reads as something else where they are not quoted.
const name = fc.constantFrom(
  'Staff',
  'a b',
  'yes',
  'null',
  '~',
  '1e3',
  'x: y',
  '# no',
  '{x}',
  '[y',
  "it's",
  '"q"',
  '- z',
  '*a',
  '&b',
  '!c',
  '@d',
  '0x1F',
  '<<',
  'a #b',
  'ü’n',
  'a,b',
  '',
  ' a',
  'true',
  '%',
  '`',
  '?',
  'a:',
  '$' + '{X}',
)
const comment = fc.constantFrom('', ' # why', '  # a: [b')
const above = fc.constantFrom('', '# one row', '# - entraGroup: old')

type Lines = readonly string[]

/** A value as people write it, in several ways. */
const scalarText = fc.tuple(name, fc.constantFrom('double', 'single')).map(([text, quotes]) =>
  quotes === 'double' ? JSON.stringify(text) : `'${text.replaceAll("'", "''")}'`
)
const flowEntry = fc.record({
  label: scalarText,
  groups: fc.array(scalarText, { maxLength: 3 }),
  pad: fc.constantFrom('', ' '),
  comment,
}).map((
  { label, groups, pad, comment },
): Lines => [`{${pad}entraGroup: ${ID}, label: ${label}, groups: [${groups.join(', ')}]${pad}}${comment}`])
const blockEntry = fc.record({
  keys: fc.shuffledSubarray(['entraGroup', 'label', 'groups', 'staff'], { minLength: 1 }),
  label: scalarText,
  groups: fc.array(fc.tuple(scalarText, comment, fc.constantFrom('', '# one row', '#free', '#free', '\n')), {
    minLength: 1,
    maxLength: 3,
  }),
  isFlow: fc.boolean(),
  comment,
  above,
}).map(({ keys, label, groups, isFlow, comment, above }): Lines =>
  keys.flatMap((key, index) => {
    const lead = index > 0 && above !== '' ? [above] : []
    if (key === 'entraGroup') return [...lead, `entraGroup: ${ID}${comment}`]
    if (key === 'label') return [...lead, `label:  ${label}`]
    if (key === 'staff') return [...lead, `staff: false${comment}`]
    if (isFlow) return [...lead, `groups: [${groups.map(([each]) => each).join(', ')}]`]
    const items = groups.flatMap(([each, after, over]) => [...aboveItem(over), `  - ${each}${after}`])
    return [...lead, `groups:${comment}`, ...items]
  })
)
/** A comment that belongs to the item, one that belongs to none, or a blank line. */
function aboveItem(over: string): Lines {
  if (over === '#free') return ['', '  # free', '']
  if (over === '\n') return ['']
  return over === '' ? [] : [`  ${over}`]
}
const entry = fc.tuple(
  fc.oneof(flowEntry, blockEntry),
  fc.constantFrom('- ', '-   '),
  above,
  fc.constantFrom(0, 0, 1, 2),
)
  .map(([lines, dash, over, blank]) => {
    const content = lines.map((line, index) =>
      line === '' ? '' : `${index === 0 ? dash : ' '.repeat(dash.length)}${line}`
    )
    return [...Array.from({ length: blank }, () => ''), ...over === '' ? [] : [over], ...content]
  })

interface Text {
  readonly text: string
  readonly list: EntryList
  readonly count: number
}

const policyText: fc.Arbitrary<Text> = fc.record({
  entries: fc.array(entry, { minLength: 1, maxLength: 4 }),
  list: fc.constantFrom<EntryList>('groupMapping', 'access.rules'),
  indent: fc.constantFrom(0, 2, 5),
  newline: fc.constantFrom('\n', '\r\n'),
  end: fc.constantFrom('', '\n', '\n\n# end\n', '\nusername: upn # last\n'),
}).map(({ entries, list, indent, newline, end }) => {
  const keys = list === 'groupMapping' ? ['groupMapping:'] : ['access: # all', '  rules:']
  const own = indent + 2 * (keys.length - 1)
  const lines = entries.flat().map((line) => line === '' ? '' : `${' '.repeat(own)}${line}`)
  const text = `# top\n\n${[...keys, ...lines].join('\n')}${end}`
  return { text: text.replaceAll('\n', newline), list, count: entries.length }
})

/** Several entries within `[ ]`, in one line or more. */
const flowText: fc.Arbitrary<Text> = fc.record({
  entries: fc.array(flowEntry, { minLength: 1, maxLength: 4 }),
  list: fc.constantFrom<EntryList>('groupMapping', 'access.rules'),
  separator: fc.constantFrom(', ', ',\n  ', ', # one: [\n  ', ',\n  # - { two }\n  '),
  pad: fc.constantFrom('', ' ', '\n  '),
  comma: fc.constantFrom('', ','),
}).map(({ entries, list, separator, pad, comma }) => {
  const items = entries.map(([line = '']) => line.replace(/\}[^}]*$/, '}'))
  const written = `[${pad}${items.join(separator)}${comma}${pad}]`
  const text = list === 'groupMapping'
    ? `groupMapping: ${written} # x\n`
    : `access: { rules: ${written}, default: deny }\n`
  return { text, list, count: entries.length }
})

const anyText = fc.oneof({ weight: 3, arbitrary: policyText }, { weight: 1, arbitrary: flowText })
const wanted: fc.Arbitrary<EntryMap> = fc.record({
  entraGroup: name,
  label: name,
  groups: fc.array(name, { minLength: 1, maxLength: 4 }),
  staff: fc.boolean(),
  superuser: fc.boolean(),
}, { requiredKeys: ['entraGroup'] })
const place = fc.nat({ max: 1000 })

// proves: policy-entry-flow
t.test('changing an entry leaves every character before and behind it, and says what was wanted', async () => {
  fc.assert(
    fc.property(anyText, wanted, place, ({ text, list, count }, value, at) => {
      const index = at % count
      const { from, start, to } = readPolicyEntries(text).lists[list].entries[index] ?? { from: 0, start: 0, to: 0 }
      const changed = edit(text, { kind: 'change', list, index, entry: { value } })
      if (!changed.startsWith(text.slice(0, start)) || !changed.endsWith(text.slice(to))) return false
      const expected = [...valuesOf(text, list)]
      expected[index] = value
      return same(valuesOf(changed, list), expected) && from <= start
    }),
    { numRuns: 2000 },
  )
})

t.test('a change of nothing, and a change of one key, keep all other keys and comments of the entry', async () => {
  fc.assert(
    fc.property(anyText, name, place, ({ text, list, count }, label, at) => {
      const index = at % count
      const value = valuesOf(text, list)[index] as EntryMap
      const unchanged = edit(text, { kind: 'change', list, index, entry: { value } })
      if (unchanged !== text) return false
      const changed = edit(text, { kind: 'change', list, index, entry: { value: { ...value, label } } })
      const others = (each: string) => each.split(/\r?\n/).filter((line) => !/label: /.test(line))
      const isBlock = !/\{/.test(text.slice(...rangeOf(text, list, index)))
      return !isBlock || same(others(changed), others(text))
    }),
    { numRuns: 1000 },
  )
})

t.test('a list within an entry keeps the free comments and blank lines between its items', async () => {
  fc.assert(
    fc.property(anyText, name, place, place, ({ text, list, count }, more, at, which) => {
      const index = at % count
      const value = valuesOf(text, list)[index] as EntryMap
      const { groups } = value
      if (!Array.isArray(groups) || groups.length < 2) return true
      const items = groups as readonly string[]
      const change = (to: readonly string[]) =>
        edit(text, { kind: 'change', list, index, entry: { value: { ...value, groups: to } } })
      const linesOf = (each: string) => each.split(/\r?\n/).map((line) => line.trim())
      const grown = linesOf(change([...items, more]))
      const place = which % items.length
      const shrunk = linesOf(change(items.filter((_, each) => each !== place)))
      const free = (lines: readonly string[]) => lines.filter((line) => line === '# free').length
      const blank = (lines: readonly string[]) => lines.filter((line) => line === '').length
      return blank(grown) === blank(linesOf(text)) && free(grown) === free(linesOf(text)) &&
        free(shrunk) === free(linesOf(text))
    }),
    { numRuns: 1000 },
  )
})

t.test('adding an entry and removing it again gives the same text, wherever it is', async () => {
  fc.assert(
    fc.property(anyText, wanted, place, ({ text, list, count }, value, position) => {
      const at = position % (count + 1)
      const added = edit(text, { kind: 'add', list, at, entry: { value } })
      const expected = [...valuesOf(text, list)]
      expected.splice(at, 0, value)
      if (!same(valuesOf(added, list), expected)) return false
      return edit(added, { kind: 'remove', list, index: at }) === text
    }),
    { numRuns: 2000 },
  )
})

t.test('removing an entry takes its lines, and no others', async () => {
  fc.assert(
    fc.property(anyText, place, ({ text, list, count }, at) => {
      const index = at % count
      const edited = editPolicyEntries(text, readPolicyEntries(text), { kind: 'remove', list, index })
      if ('problems' in edited) return edited.problems[0]?.code === 'entry_fixed' && / # (?:one|- \{ two)/.test(text)
      const removed = edited.text
      const expected = valuesOf(text, list).filter((_, each) => each !== index)
      if (!same(valuesOf(removed, list), expected)) return false
      const { entries, isFlow } = readPolicyEntries(text).lists[list]
      const others = entries.filter((_, each) => each !== index).map(({ from, to }) => text.slice(from, to))
      const { from = 0, to = 0 } = entries[index] ?? {}
      const isWhole = isFlow || count === 1 || removed.length === text.length - (to - from) - (/\r/.test(text) ? 2 : 1)
      const comments = (each: string) => isFlow ? each.match(/# (?:one|- \{ two).*/g) : null
      return isWhole && others.every((each) => removed.includes(each)) && same(comments(removed), comments(text))
    }),
    { numRuns: 1000 },
  )
})

t.test('moving an entry changes the order alone, and moving it back gives the same text', async () => {
  fc.assert(
    fc.property(anyText, place, place, ({ text, list, count }, one, other) => {
      const [index, to] = [one % count, other % count]
      const moved = edit(text, { kind: 'move', list, index, to })
      const expected = [...valuesOf(text, list)]
      expected.splice(to, 0, ...expected.splice(index, 1))
      if (!same(valuesOf(moved, list), expected)) return false
      return edit(moved, { kind: 'move', list, index: to, to: index }) === text
    }),
    { numRuns: 1000 },
  )
})

function same(one: unknown, other: unknown): boolean {
  const sorted = (value: unknown) =>
    JSON.stringify(value, (_, each: unknown) =>
      typeof each === 'object' && each !== null && !Array.isArray(each)
        ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => a < b ? -1 : 1))
        : each)
  return sorted(one) === sorted(other)
}

function rangeOf(text: string, list: EntryList, index: number): [number, number] {
  const { start = 0, to = 0 } = readPolicyEntries(text).lists[list].entries[index] ?? {}
  return [start, to]
}

t.test('the first entry of a list comes where the text has none yet', async (t) => {
  const value = { entraGroup: ID, groups: ['A'] }
  const add = (list: EntryList, text: string) => edit(text, { kind: 'add', list, at: 0, entry: { value } })
  const row = `  - entraGroup: ${ID}\n    groups: [A]\n`
  const deeper = row.replace(/^/gm, '  ').trimEnd()
  for (
    const [list, text, expected] of [
      ['groupMapping', '', `groupMapping:\n${row}`],
      ['groupMapping', '# none', `# none\ngroupMapping:\n${row}`],
      ['groupMapping', 'username: upn # x', `username: upn # x\ngroupMapping:\n${row.trimEnd()}`],
      ['groupMapping', 'groupMapping: [] # none\nusername: upn\n', `groupMapping: # none\n${row}username: upn\n`],
      ['groupMapping', 'groupMapping:\nusername: upn\n', `groupMapping:\n${row}username: upn\n`],
      [
        'groupMapping',
        '{ username: upn }\n',
        `{ username: upn, groupMapping: [{ entraGroup: ${ID}, groups: [A] }] }\n`,
      ],
      ['groupMapping', '\uFEFFgroupMapping:\n', `\uFEFFgroupMapping:\n${row}`],
      ['groupMapping', '\uFEFFusername: upn\n', `\uFEFFusername: upn\ngroupMapping:\n${row}`],
      ['access.rules', '', `access:\n  rules:\n${deeper}\n`],
      ['access.rules', 'access:\n  default: deny\n# z\n', `access:\n  default: deny\n  rules:\n${deeper}\n# z\n`],
      [
        'access.rules',
        'access: { default: deny }\n',
        `access: { default: deny, rules: [{ entraGroup: ${ID}, groups: [A] }] }\n`,
      ],
      ['access.rules', 'access: { rules: [] }\n', `access: { rules: [{ entraGroup: ${ID}, groups: [A] }] }\n`],
    ] as const
  ) {
    const added = add(list, text)
    t.equal(added, expected)
    t.strictSame(valuesOf(added, list), [value], text)
    const removed = edit(added, { kind: 'remove', list, index: 0 })
    t.strictSame(valuesOf(removed, list), [], text)
    if (text.includes('[]')) t.equal(removed, text)
  }
})

t.test('what a form cannot change has its reason', async (t) => {
  const one = (row: string) => valuesOf(`x: &x 1\ngroupMapping:\n${row}\n`, 'groupMapping')[0]
  t.equal(one('  - *x'), 'has an alias (*x)')
  t.equal(one('  - &y { a: 1 }'), 'has an anchor (&y)')
  t.equal(one('  - { <<: *x, staff: true }'), 'has a merge key (<<)')
  t.equal(one('  - a: [A, # b\n      B]'), 'has a comment within { } or [ ]')
  t.equal(one('  - { a: 1, a: 2 }'), 'has a key twice')
  t.equal(one('  - label: |\n      a'), 'has text in lines of its own (| or >)')
  t.equal(one(`  - label: ${'x'.repeat(20_001)}`), 'is too long for a form')
  const reasonOf = (each: string) => readPolicyEntries(each).lists['access.rules'].reason
  t.equal(reasonOf('a: &a { rules: [] }\naccess: *a\n'), 'has an alias (*a)')
  t.equal(reasonOf('access: &a { rules: [] }\n'), 'has an anchor or a tag')
  t.equal(reasonOf('a: &a { rules: [] }\naccess: { <<: *a }\n'), 'may come from a merge key (<<)')
  t.equal(reasonOf('access: { rules: 7 }\n'), 'is no list')
  t.equal(reasonOf('access: 7\n'), 'is in access, which holds no keys')
  t.equal(reasonOf('access: {}\naccess: {}\n'), 'is in the text twice: access is given twice')
})

t.test('a text that cannot be read has its problems with their lines, and no entries', async (t) => {
  for (const [text, line] of [['a: 1\nb: "x\n', 2], ['a: 1\n---\nb: 2\n', 3], [`${'['.repeat(200)}`, 1]] as const) {
    const { problems, lists } = readPolicyEntries(text)
    t.equal(problems[0]?.line, line, text)
    t.strictSame(lists.groupMapping.entries, [])
    t.throws(() => edit(text, { kind: 'add', list: 'groupMapping', at: 0, entry: { value: {} } }))
  }
})

t.test('an entry may be written as YAML, which takes the place of its lines', async (t) => {
  const text = `groupMapping:\n  # a\n  - entraGroup: ${ID} # why\n    more:\n      - x\n  - { a: 1 } # b\n`
  const change = (index: number, yaml: string) =>
    editPolicyEntries(text, readPolicyEntries(text), { kind: 'change', list: 'groupMapping', index, entry: { yaml } })
  const [first] = readPolicyEntries(text).lists.groupMapping.entries
  t.equal(first && entrySource(text, first), `entraGroup: ${ID} # why\nmore:\n  - x`)
  t.equal(
    (change(0, 'a: 1\r\nb: # c\r\n  - y\r\n') as { text: string }).text,
    'groupMapping:\n  # a\n  - a: 1\n    b: # c\n      - y\n  - { a: 1 } # b\n',
  )
  t.equal(
    (change(1, '  a: 2\n  b: 3') as { text: string }).text.split('\n').slice(5).join('\n'),
    '  - a: 2\n    b: 3 # b\n',
  )
  for (
    const wrong of ['', 'a: [', '- a: 1', 'a: *x', '&x { a: 1 }', '# c\na: 1', 'a: 1\n---\nb: 2', 'a: 1\na: 2', 'x']
  ) {
    t.ok('problems' in change(0, wrong), wrong)
  }
  const flow = 'groupMapping: [{ a: 1 }]\n'
  const inFlow = (yaml: string) =>
    editPolicyEntries(flow, readPolicyEntries(flow), {
      kind: 'change',
      list: 'groupMapping',
      index: 0,
      entry: { yaml },
    })
  t.ok('problems' in inFlow('a: 2'))
  t.equal((inFlow('{ a: 2 } # not within [ ]\n') as { text: string }).text, 'groupMapping: [{ a: 2 }]\n')
  t.equal((inFlow('{ a: 2 }') as { text: string }).text, 'groupMapping: [{ a: 2 }]\n')
})

t.test('marks before an entry are read in time in proportion to their number', (t) => {
  const many = 10_000
  const lines = [
    `${'&'.repeat(many)} ! a: b`,
    `${'&'.repeat(many)} !${' '.repeat(many)}? a`,
    `${'& ! '.repeat(many)}a: b`,
    `${'! '.repeat(many)}- a`,
    `${' '.repeat(10 * many)}? a`,
    `${' '.repeat(10 * many)}- a`,
    `&${'!'.repeat(many)}\n  # c\n\n  a: b`,
    `${'- '.repeat(30)}${' '.repeat(10 * many)}a`,
  ]
  const began = performance.now()
  for (const line of lines) readPolicyEntries(`groupMapping:\n- ${line}\n`)
  t.ok(performance.now() - began < 20_000, 'otherwise some of them take minutes, and the first one for ever')
  const { entries } = readPolicyEntries('groupMapping:\n- &a !!map # c\n  a: b\n- !!map\n  a: b\n').lists.groupMapping
  t.strictSame(entries.map(({ reason }) => reason), ['has an anchor (&a)', undefined])
  t.end()
})
