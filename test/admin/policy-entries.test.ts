// Edits of rows and rules as a use case: what they are refused for, and that nothing else is ever changed.
import fc from 'fast-check'
import t from 'tap'
import { rowFields, rowValue, ruleFields, ruleValue } from '../../src/admin/entry-fields.js'
import { createPolicyEntriesAdmin, type PolicyEntriesPorts } from '../../src/admin/policy-entries.js'
import { editPolicyEntries, entrySource } from '../../src/config/entry-edits.js'
import { readPolicyEntries } from '../../src/config/policy-entries.js'
import type { EntryEdit } from '../../src/core/policy-entries.js'
import { createEntryReader } from '../../src/draft-entries.js'

const TEXT = 'groupMapping:\n  - { entraGroup: a, staff: true }\n  - { entraGroup: b }\naccess:\n  rules: []\n'
const PORTS: PolicyEntriesPorts = {
  drafts: {
    get: async () => await Promise.reject(new Error('no draft is read')),
    judge: async () => await Promise.reject(new Error('no draft is judged')),
  },
  read: async (text) => readPolicyEntries(text),
  edit: editPolicyEntries,
  sourceOf: entrySource,
  judgeEntry: async () => [],
}
const CHANGE = { kind: 'change', list: 'groupMapping', index: 1, entry: { value: { entraGroup: 'c' } } } as const

async function problemsOf(edit: EntryEdit, ports: Partial<PolicyEntriesPorts> = {}, text = TEXT) {
  const result = await createPolicyEntriesAdmin({ ...PORTS, ...ports }).edited(text, edit)
  return 'problems' in result ? result.problems.map(({ code }) => code) : result.text
}

// proves: policy-entry-alone
t.test('a text in which anything else would be read otherwise is refused', async (t) => {
  t.equal(await problemsOf(CHANGE), TEXT.replace('entraGroup: b', 'entraGroup: c'))
  const becomes = (text: string) => ({ edit: () => ({ text, entry: '{ entraGroup: c }' }) })
  for (
    const wrong of [
      TEXT.replace('staff: true', 'superuser: true').replace('entraGroup: b', 'entraGroup: c'),
      TEXT.replace('entraGroup: b', 'entraGroup: c, superuser: true'),
      TEXT.replace('  - { entraGroup: b }\n', ''),
      TEXT.replace('entraGroup: b }', 'entraGroup: c }\n  - { entraGroup: d }'),
      TEXT.replace('rules: []', 'rules: [{ hosts: [a.test], allow: anyone }]').replace(
        'entraGroup: b',
        'entraGroup: c',
      ),
      `${TEXT.replace('entraGroup: b', 'entraGroup: c')}---\n`,
    ]
  ) t.strictSame(await problemsOf(CHANGE, becomes(wrong)), ['entry_not_alone'], wrong)
  const move = { kind: 'move', list: 'groupMapping', index: 0, to: 1 } as const
  t.strictSame(await problemsOf(move, becomes(TEXT)), ['entry_not_alone'])
  const remove = { kind: 'remove', list: 'groupMapping', index: 0 } as const
  t.strictSame(await problemsOf(remove, becomes(TEXT.replace('  - { entraGroup: b }\n', ''))), ['entry_not_alone'])
})

t.test('an entry that is not there, that no form can change, or that makes the draft too long', async (t) => {
  await t.rejects(problemsOf({ ...CHANGE, index: 2 }), { code: 'policy_entry_unknown' })
  await t.rejects(problemsOf({ kind: 'move', list: 'groupMapping', index: 0, to: 2 }), { code: 'policy_entry_unknown' })
  await t.rejects(problemsOf({ ...CHANGE, kind: 'add', at: 3 }), { code: 'policy_entry_unknown' })
  const fixed = 'a: &a { entraGroup: a }\ngroupMapping:\n  - entraGroup: a\n  - *a\n'
  for (const kind of ['change', 'remove', 'move'] as const) {
    const edit = { ...CHANGE, kind, to: 0 } as EntryEdit
    t.strictSame(await problemsOf(edit, {}, fixed), ['entry_fixed'], kind)
  }
  t.strictSame(await problemsOf(CHANGE, {}, 'a: &a []\ngroupMapping: *a\n'), ['entry_fixed'])
  t.strictSame(await problemsOf(CHANGE, {}, 'a: [\n'), ['yaml_syntax'])
  t.strictSame(
    await problemsOf(CHANGE, {}, `${TEXT}#${'x'.repeat(1024 * 1024 - TEXT.length - 2)}\n`),
    `${TEXT.replace('b }', 'c }')}#${'x'.repeat(1024 * 1024 - TEXT.length - 2)}\n`,
  )
  const longer = { ...CHANGE, entry: { value: { entraGroup: 'cc' } } }
  const full = `${TEXT}#${'x'.repeat(1024 * 1024 - TEXT.length - 2)}\n`
  t.strictSame(await problemsOf(longer, {}, full), ['file_too_large'])
  const judged = { judgeEntry: async () => [{ ...FINDING, code: 'guid_invalid' }] }
  t.strictSame(await problemsOf(CHANGE, judged), ['guid_invalid'])
})

const FINDING = { line: 1, column: 1, path: 'groupMapping[1].entraGroup', message: 'no', remedy: null }

t.test('a text is read once, also by two at the same time, and a few are kept', async (t) => {
  const read: string[] = []
  const reader = createEntryReader((text) => {
    read.push(text)
    if (text === 'bad') throw new Error('out of memory')
    return readPolicyEntries(text)
  })
  await Promise.all([reader('a: 1'), reader('a: 1')])
  await reader('a: 1')
  t.strictSame(read, ['a: 1'])
  for (const text of ['b: 1', 'c: 1', 'd: 1', 'e: 1', 'a: 1']) await reader(text)
  t.strictSame(read, ['a: 1', 'b: 1', 'c: 1', 'd: 1', 'e: 1', 'a: 1'])
  await t.rejects(reader('bad'))
  await t.rejects(reader('bad'))
  t.equal(read.length, 8, 'a failure is not kept')
})

const line = fc.string({ minLength: 1, maxLength: 8 }).filter((text) => !/[\r\n\0]/.test(text))
const lines = fc.array(line, { maxLength: 3 })

t.test('what a form shows of an entry and gives back unchanged is the same entry', async () => {
  const row = fc.record(
    { entraGroup: line, label: line, groups: lines, staff: fc.boolean(), superuser: fc.boolean() },
    {
      requiredKeys: [],
    },
  )
  const some = fc.record({ groups: fc.array(line, { minLength: 1 }), permissions: lines, staff: fc.constant(true) }, {
    requiredKeys: [],
  })
  const rule = fc.record({
    ...{ name: line, hosts: lines, paths: lines, methods: lines, networks: lines },
    ...{ allow: fc.oneof(fc.constantFrom('anyone', 'authenticated', 'deny'), some), enforce: fc.boolean() },
  }, { requiredKeys: ['allow'] })
  fc.assert(fc.property(row, (value) => {
    const fields = rowFields(value)
    return fields !== undefined && equal(rowValue(fields, value), value)
  }))
  fc.assert(fc.property(rule, (value) => {
    const fields = ruleFields(value)
    return fields !== undefined && equal(ruleValue(fields, value), value)
  }))
})

t.test('a form has no fields for other keys and other kinds of values', async (t) => {
  for (
    const wrong of [
      { more: 1 },
      { label: 7 },
      { label: '' },
      { label: 'x'.repeat(301) },
      { label: 'a\nb' },
      { groups: 'A' },
      { groups: [['A']] },
      { staff: 'yes' },
      { groups: [''] },
      [],
      'x',
      null,
    ]
  ) t.equal(rowFields(wrong), undefined, JSON.stringify(wrong))
  for (
    const wrong of [{}, { allow: 'some' }, { allow: { staff: 'x' } }, { allow: { more: 1 } }, { allow: [] }, {
      allow: 'deny',
      enforce: 1,
    }]
  ) t.equal(ruleFields(wrong), undefined, JSON.stringify(wrong))
  t.strictSame(rowValue({ entraGroup: 'a', label: '', groups: [], staff: false, superuser: false }), {
    entraGroup: 'a',
  })
})

function equal(one: unknown, other: unknown): boolean {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, each: unknown) =>
      typeof each === 'object' && each !== null && !Array.isArray(each)
        ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => a < b ? -1 : 1))
        : each)
  return text(one) === text(other)
}
