// The file of local groups: what it may contain, and where it says that something is wrong.
import t from 'tap'
import { formatGroupsFile, parseGroupsFile } from '../../src/admin/groups-file.js'
import { GatehouseError } from '../../src/core/errors.js'

function problemOf(content: string): string {
  try {
    parseGroupsFile(content, 'groups.yaml')
  } catch (thrown) {
    if (thrown instanceof GatehouseError && thrown.code === 'file_unreadable') return thrown.sentence
    throw thrown
  }
  return ''
}

t.test('what is exported is read as it was', (t) => {
  const groups = [
    { name: "Zoë's: Engineers #1", description: 'two\nlines', permissions: ['netbox.view', 'a.b'], members: 3 },
    { name: 'yes', description: '', permissions: [], members: 0 },
    { name: '- 007', description: '  spaces ', permissions: [], members: 0 },
  ]
  t.strictSame(parseGroupsFile(formatGroupsFile(groups), 'groups.yaml'), [
    { name: "Zoë's: Engineers #1", description: 'two\nlines', permissions: ['netbox.view', 'a.b'] },
    { name: 'yes' },
    { name: '- 007', description: '  spaces ' },
  ])
  t.end()
})

t.test('every problem has its place', (t) => {
  for (
    const [content, place] of [
      ['', 'groups.yaml:1:1: must have keys'],
      ['groups: [', 'groups.yaml:1:10: '],
      ['groups: 1', 'groups.yaml:1:9 (groups): must be a list'],
      ['groups:\n  - nam: x', 'groups.yaml:2:10 (groups.0.nam): is not a key that is known here'],
      ['groups:\n  - nam: x', 'groups.yaml:2:5 (groups.0): must have the key name'],
      ['groups:\n  - name: A\n    permissions: a.b', 'groups.yaml:3:18 (groups.0.permissions): must be a list'],
      ['groups:\n  - name: A\n    name: B', 'groups.yaml:3:5: the key name is there twice'],
      ['groups: [{ name: A }, { name: A }]', 'groups.yaml: the group A is there twice'],
      ['groups: [{ name: 1 }]', 'groups.yaml:1:18 (groups.0.name): must be text'],
      ['a: &a [x]\ngroups: [*a, *b]', 'groups.yaml: it has too many aliases or is nested too deeply'],
    ] as const
  ) t.match(problemOf(content), place, content)
  t.end()
})

t.test('content that would take all memory or the stack is refused', (t) => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let n = 1; n < 9; n++) lines.push(`a${n}: &a${n} [${Array(10).fill(`*a${n - 1}`).join(', ')}]`)
  t.match(problemOf([...lines, 'groups: *a8'].join('\n')), /too many aliases/)
  t.match(problemOf(`groups: ${'['.repeat(100_000)}`), /groups\.yaml/)
  t.match(problemOf(`groups: ${'['.repeat(50_000)}${']'.repeat(50_000)}`), /groups\.yaml/)
  const keys = Array.from({ length: 20_000 }, (_, n) => `k${n}: 1`).join('\n')
  const problem = problemOf(keys)
  t.match(problem, /20001 problems in all/)
  t.ok(problem.length < 5_000, 'not every problem is named')
  t.end()
})
